/* SPDX-License-Identifier: Apache-2.0 */
/* concat: any number of tensors, end to end along one axis. */
#include "ops/concat.h"
#include "ops/slice.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_concat_attrs, axis), .min = -FV_MAX_DIMS,
     .max = FV_MAX_DIMS - 1, .def = "0", .doc = "the axis that grows; negative counts from the end"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_concat_attrs *a = c->attrs;
  const fv_shape first = c->in[0]->shape;
  const int axis = fv_axis(a->axis, first.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < first.ndim, "axis: expected one of the axes of %s, got %lld",
                   fv_shape_text(first), (long long)a->axis);
  c->shape[0] = first;
  for (int i = 1; i < c->n_in; i++) {
    FV_INFER_REQUIRE(c, fv_has_in(c, i), "input %d: expected a tensor, got none", i);
    const fv_value *v = c->in[i];
    fv_shape like = v->shape;
    if (like.ndim == first.ndim) like.dim[axis] = first.dim[axis];
    FV_INFER_REQUIRE(c, fv_shape_equal(like, first), "input %d: expected %s but for axis %d, got %s", i,
                     fv_shape_text(first), axis, fv_shape_text(v->shape));
    FV_INFER_REQUIRE(c, v->dtype == c->in[0]->dtype, "input %d: expected %s, got %s", i,
                     fv_dtype_name(c->in[0]->dtype), fv_dtype_name(v->dtype));
    FV_INFER_REQUIRE(c, !__builtin_add_overflow(c->shape[0].dim[axis], v->shape.dim[axis], &c->shape[0].dim[axis]),
                     "input %d: expected a tensor that fits in memory, got %s", i, fv_shape_text(v->shape));
  }
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_concat_attrs *a = c->node->attrs;
  int64_t at = 0;
  for (int i = 0; i < c->node->n_in; i++) {
    const fv_shape s = c->node->in[i]->shape;
    const int axis = fv_axis(a->axis, s.ndim);
    if (c->need[i] && s.dim[axis] > 0) c->din[i] = fv_slice_of(c->g, c->dout[0], axis, at, s.dim[axis]);
    at += s.dim[axis];
  }
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_concat_attrs *a = c->attrs;
  const int axis = fv_axis(a->axis, c->out[0].shape.ndim);
  const int64_t before = fv_shape_before(c->out[0].shape, axis);
  int64_t o = 0;
  for (int64_t b = 0; b < before; b++)
    for (int i = 0; i < c->n_in; i++) {
      const int64_t run = c->in[i].shape.dim[axis] * fv_shape_after(c->in[i].shape, axis);
      for (int64_t k = 0; k < run; k++) fv_set(&c->out[0], o++, fv_get(&c->in[i], b * run + k));
    }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
    {.in = "3; 5", .attrs = ""},
    {.in = "2,3; 2,15; 2,1", .attrs = "axis=1"},
    {.in = "2,3,4; 2,1,4; 2,7,4; 2,2,4; 2,16,4", .attrs = "axis=1"},
    {.in = "3,17; 2,17", .attrs = "axis=0"},
    {.in = "5,7,2; 5,7,3", .attrs = "axis=-1"},
    {.in = "4,4", .attrs = "axis=1"},
    {.in = "0,3; 2,3; 0,3", .attrs = "axis=0"},
    {.in = "3,0; 3,0", .attrs = "axis=1"},
    {.in = "2,3:i32@-9..9; 2,4:i32@-9..9", .attrs = "axis=1"},
    {.in = "2,3:u8@0..255; 2,5:u8@0..255", .attrs = "axis=1"},
    {0}};

const fv_op_def fv_op_concat = {
    .name = "concat",
    .doc = "y = the inputs end to end along one axis",
    .n_in = 1,
    .n_in_max = -1,
    .attrs_size = sizeof(fv_concat_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
