/* SPDX-License-Identifier: Apache-2.0 */
/* topk.c: the k largest along the last axis in falling order, and where they are. Of equals the one at the lower
 * position comes first; a NaN counts as larger than any number. */
#include "ops/topk.h"

#include <math.h>

static const fv_option options[] = {
  {.name = "k", .type = FV_OPT_INT, .offset = offsetof(fv_topk_attrs, k), .def = "1", .min = 1, .max = INT32_MAX,
   .doc = "how many to keep"},
  {0}};

static fv_status infer(fv_infer *c) {
  const fv_topk_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  fv_dtype t = c->in[0]->dtype;
  FV_INFER_REQUIRE(c, t == FV_F32 || t == FV_F64, "input: expected real numbers, got %s", fv_dtype_name(t));
  FV_INFER_REQUIRE(c, s.ndim >= 1 && s.dim[s.ndim - 1] >= a->k && s.dim[s.ndim - 1] <= INT32_MAX,
                   "input: expected at least k = %lld in the last dimension, got %s", (long long)a->k,
                   fv_shape_text(s));
  s.dim[s.ndim - 1] = a->k;
  c->n_out = 2;
  c->shape[0] = c->shape[1] = s;
  c->dtype[1] = FV_I32;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_topk_grad_attrs a = {.size = fv_dim(c->node->in[0], -1)};
  if (c->dout[0]) c->din[0] = fv_op(c->g, "topk_grad", &a, c->dout[0], c->node->out[1]);
  return FV_OK;
}

static bool larger(double a, double b) { return a > b || (isnan(a) && !isnan(b)); }

static void ref(const fv_call *c) {
  const fv_topk_attrs *a = c->attrs;
  fv_shape s = c->in[0].shape;
  int64_t n = s.dim[s.ndim - 1], rows = fv_shape_before(s, s.ndim - 1);
  for (int64_t r = 0; r < rows; r++) {
    double last = 0;
    int64_t last_at = -1;
    for (int64_t k = 0; k < a->k; k++) { /* the largest of those that come after the one before */
      double best = 0;
      int64_t at = -1;
      for (int64_t i = 0; i < n; i++) {
        double x = fv_get(&c->in[0], r * n + i);
        bool left = last_at < 0 || larger(last, x) || (!larger(x, last) && i > last_at);
        if (!left || (at >= 0 && !larger(x, best))) continue;
        best = x;
        at = i;
      }
      fv_set(&c->out[0], r * a->k + k, last = best);
      fv_set(&c->out[1], r * a->k + k, (double)(last_at = at));
    }
  }
}

/* A heap of k over each row: n log k at worst. */
static fv_cost cost(const fv_node *n) {
  const fv_topk_attrs *a = n->attrs;
  return (fv_cost){.flops = (double)fv_shape_count(n->in[0]->shape) * (1 + log2((double)a->k)), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
  {.in = "1"}, {.in = "3"}, {.in = "3", .attrs = "k=3"}, {.in = "17", .attrs = "k=4"}, {.in = "17", .attrs = "k=17"},
  {.in = "5,16", .attrs = "k=3"}, {.in = "2,3,33", .attrs = "k=8"},
  {.in = "4,7@0..0", .attrs = "k=3", .no_grad_check = true, .note = "all tied"}, {.in = "1031", .attrs = "k=1031"},
  {.in = "3,1031", .attrs = "k=64"}, {.in = "0,5", .attrs = "k=2"},
  {0}};

const fv_op_def fv_op_topk = {
  .name = "topk",
  .doc = "the k largest along the last axis, falling, and their positions",
  .n_in = 1,
  .attrs_size = sizeof(fv_topk_attrs),
  .attrs = options,
  .infer = infer,
  .grad = grad,
  .ref = ref,
  .cost = cost,
  .cases = cases};
