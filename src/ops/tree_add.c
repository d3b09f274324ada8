/* SPDX-License-Identifier: Apache-2.0 */
/* tree_add.c: the sum or mean of S slabs in a fixed binary tree, ((0+1)+(2+3))+..., so that shards of a batch give the
 * same bits however many threads made them. */
#include "ops/slab.h"

static const fv_option attrs[] = {{.name = "scale", .type = FV_OPT_REAL, .offset = offsetof(fv_tree_add_attrs, scale),
                                   .def = "0", .doc = "factor on the sum; 0: 1 / S, the mean"},
                                  {0}};

static fv_status infer(fv_infer *c) {
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, c->in[0]->dtype == FV_F32 || c->in[0]->dtype == FV_F64, "x: expected real numbers, got %s",
                   fv_dtype_name(c->in[0]->dtype));
  FV_INFER_REQUIRE(c, s.ndim == 2 && s.dim[0] > 0, "x: expected [S, n] with S at least 1, got %s", fv_shape_text(s));
  c->shape[0] = FV_SHAPE(s.dim[1]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_tree_add_attrs *a = c->attrs;
  int64_t slabs = c->in[0].shape.dim[0], n = c->in[0].shape.dim[1];
  double scale = a->scale != 0 ? a->scale : 1 / (double)slabs;
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t s = 0; s < slabs; s++) sum += fv_get(&c->in[0], s * n + i);
    fv_set(&c->out[0], i, sum * scale);
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = (double)fv_shape_count(n->in[0]->shape), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "1,0"}, {.in = "1,1"}, {.in = "1,37"}, {.in = "2,3"}, {.in = "2,4"}, {.in = "3,5"}, {.in = "4,7"},
    {.in = "5,8"}, {.in = "6,9"}, {.in = "7,15"}, {.in = "8,16"}, {.in = "9,17"}, {.in = "31,19"}, {.in = "100,33"},
    {.in = "8,40009", .attrs = "scale=1"}, {.in = "7,1031", .attrs = "scale=-0.25"}, {0}};

const fv_op_def fv_op_tree_add = {
    .name = "tree_add",
    .doc = "out[i] = scale * sum over s of x[s, i], in a fixed binary tree",
    .n_in = 1,
    .attrs_size = sizeof(fv_tree_add_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "adds gradients; is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
