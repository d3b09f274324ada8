/* SPDX-License-Identifier: Apache-2.0 */
/* index_add: the sum of slices that have the same number, along one axis (segment sums: messages into the nodes of a
 * graph), in the order of positions, so that the sum has the same bits always. */
#include "ops/lookup.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_index_add_attrs, axis), .def = "0",
     .min = -FV_MAX_DIMS, .max = FV_MAX_DIMS - 1, .doc = "the axis added along; negative counts from the end"},
    {.name = "size", .type = FV_OPT_INT, .offset = offsetof(fv_index_add_attrs, size), .def = "0", .min = 0,
     .max = 0x1p46, .doc = "of the result along that axis"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_index_add_attrs *a = c->attrs;
  const fv_shape ids = c->in[0]->shape, x = c->in[1]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < x.ndim, "axis: expected one of the axes of %s, got %lld", fv_shape_text(x),
                   (long long)a->axis);
  FV_INFER_REQUIRE(c, ids.ndim == 1 && ids.dim[0] == x.dim[axis], "ids: expected [%lld], got %s",
                   (long long)x.dim[axis], fv_shape_text(ids));
  FV_TRY(fv_lookup_check_ids(c, 0));
  FV_INFER_REQUIRE(c, c->in[1]->dtype == FV_F32 || c->in[1]->dtype == FV_F64, "input 1: expected real numbers, got %s",
                   fv_dtype_name(c->in[1]->dtype));
  c->shape[0] = x;
  c->shape[0].dim[axis] = a->size;
  c->dtype[0] = c->in[1]->dtype;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_index_add_attrs *a = c->node->attrs;
  const fv_index_select_attrs back = {.axis = a->axis, .zero = true};
  if (c->need[1]) c->din[1] = fv_op(c->g, "index_select", &back, c->dout[0], c->node->in[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_index_add_attrs *a = c->attrs;
  const fv_shape x = c->in[1].shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const int64_t before = fv_shape_before(x, axis), after = fv_shape_after(x, axis), n = x.dim[axis];
  for (int64_t b = 0; b < before; b++)
    for (int64_t r = 0; r < a->size; r++)
      for (int64_t k = 0; k < after; k++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
          if ((int64_t)fv_get(&c->in[0], i) == r) sum += fv_get(&c->in[1], (b * n + i) * after + k);
        fv_set(&c->out[0], (b * a->size + r) * after + k, sum);
      }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = (double)fv_shape_count(n->in[1]->shape), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "5:i32@0..6; 5,16", .attrs = "size=7"},
    {.in = "17:i32@0..10; 3,17,5", .attrs = "axis=1 size=11"},
    {.in = "37:i32@0..2; 2,37", .attrs = "axis=-1 size=3", .tolerance = 1e-5},
    {.in = "6:i32@0..8; 6,131", .attrs = "size=9"},
    {.in = "0:i32@0..3; 0,8", .attrs = "size=4"},
    {.in = "9:i32@-2..4; 9,17", .attrs = "size=3", .note = "out of range: left out"},
    {0}};

const fv_op_def fv_op_index_add = {
    .name = "index_add",
    .doc = "y[..., r, ...] = sum of x[..., i, ...] over the places i with ids[i] = r, along one axis",
    .n_in = 2,
    .attrs_size = sizeof(fv_index_add_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
