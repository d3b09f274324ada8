/* SPDX-License-Identifier: Apache-2.0 */
/* flip: one axis the other way round. */
#include "ops/flip.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_flip_attrs, axis), .min = -FV_MAX_DIMS,
     .max = FV_MAX_DIMS - 1, .def = "0", .doc = "the axis turned round; negative counts from the end"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_flip_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < x.ndim, "axis: expected one of the axes of %s, got %lld", fv_shape_text(x),
                   (long long)a->axis);
  c->shape[0] = x;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "flip", c->node->attrs, c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_flip_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const int64_t before = fv_shape_before(x, axis), after = fv_shape_after(x, axis), dim = x.dim[axis];
  int64_t o = 0;
  for (int64_t b = 0; b < before; b++)
    for (int64_t i = 0; i < dim; i++)
      for (int64_t k = 0; k < after; k++)
        fv_set(&c->out[0], o++, fv_get(&c->in[0], (b * dim + dim - 1 - i) * after + k));
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
    {.in = "7", .attrs = ""},
    {.in = "1", .attrs = ""},
    {.in = "3,17", .attrs = "axis=1"},
    {.in = "3,17", .attrs = "axis=0"},
    {.in = "2,5,16", .attrs = "axis=1"},
    {.in = "2,5,3", .attrs = "axis=-2"},
    {.in = "0,4", .attrs = "axis=1"},
    {.in = "3,5:i32@-9..9", .attrs = "axis=1"},
    {.in = "3,5:u8@0..255", .attrs = "axis=1"},
    {0}};

const fv_op_def fv_op_flip = {
    .name = "flip",
    .doc = "y[..., i, ...] = x[..., n - 1 - i, ...] along one axis",
    .n_in = 1,
    .attrs_size = sizeof(fv_flip_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
