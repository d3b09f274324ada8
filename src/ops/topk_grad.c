/* SPDX-License-Identifier: Apache-2.0 */
/* topk_grad.c: the gradient of topk: each kept element's gradient back to where it was, 0 elsewhere. Positions in a row
 * differ, so nothing is added up; one outside the row is left out. */
#include "ops/topk.h"

static const fv_option options[] = {
  {.name = "size", .type = FV_OPT_INT, .offset = offsetof(fv_topk_grad_attrs, size), .def = "1", .min = 1,
   .max = INT32_MAX, .doc = "last dimension of topk's input"},
  {0}};

static fv_status infer(fv_infer *c) {
  const fv_topk_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, s.ndim >= 1 && fv_shape_equal(s, c->in[1]->shape), "positions: expected %s, got %s",
                   fv_shape_text(s), fv_shape_text(c->in[1]->shape));
  FV_INFER_REQUIRE(c, c->in[0]->dtype == c->g->real && c->in[1]->dtype == FV_I32,
                   "inputs: expected %s and i32, got %s and %s", fv_dtype_name(c->g->real),
                   fv_dtype_name(c->in[0]->dtype), fv_dtype_name(c->in[1]->dtype));
  s.dim[s.ndim - 1] = a->size;
  c->shape[0] = s;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_topk_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0].shape;
  int64_t k = s.dim[s.ndim - 1], rows = fv_shape_before(s, s.ndim - 1);
  for (int64_t i = 0; i < rows * a->size; i++) fv_set(&c->out[0], i, 0);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < k; i++) {
      double at = fv_get(&c->in[1], r * k + i);
      if (at >= 0 && at < (double)a->size) fv_set(&c->out[0], r * a->size + (int64_t)at, fv_get(&c->in[0], r * k + i));
    }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
  {.in = "1; 1:i32@0..0"}, {.in = "0,2; 0,2:i32", .attrs = "size=5"}, {.in = "5,1; 5,1:i32@0..16", .attrs = "size=17"},
  {.in = "2,3,1; 2,3,1:i32@0..32", .attrs = "size=33"}, {.in = "3,0; 3,0:i32", .attrs = "size=4"},
  {.in = "7,1; 7,1:i32@-2..9", .attrs = "size=5", .note = "positions outside the row"},
  {0}};

const fv_op_def fv_op_topk_grad = {
  .name = "topk_grad",
  .doc = "kept elements' gradients back to their positions; operands dy, positions",
  .n_in = 2,
  .attrs_size = sizeof(fv_topk_grad_attrs),
  .attrs = options,
  .infer = infer,
  .no_grad_reason = "is itself a gradient",
  .ref = ref,
  .cost = cost,
  .cases = cases};
