/* SPDX-License-Identifier: Apache-2.0 */
/* index_select: slices of a tensor along one axis, by number. */
#include "ops/lookup.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_index_select_attrs, axis), .def = "0",
     .min = -FV_MAX_DIMS, .max = FV_MAX_DIMS - 1, .doc = "the axis chosen from; negative counts from the end"},
    {.name = "zero", .type = FV_OPT_BOOL, .offset = offsetof(fv_index_select_attrs, zero), .def = "false",
     .doc = "a number out of range reads 0 instead of NaN"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_index_select_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape, ids = c->in[1]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < x.ndim, "axis: expected one of the axes of %s, got %lld", fv_shape_text(x),
                   (long long)a->axis);
  FV_INFER_REQUIRE(c, ids.ndim == 1, "ids: expected [K], got %s", fv_shape_text(ids));
  FV_TRY(fv_lookup_check_ids(c, 1));
  c->shape[0] = x;
  c->shape[0].dim[axis] = ids.dim[0];
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_index_select_attrs *a = c->node->attrs;
  const fv_shape x = c->node->in[0]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const fv_index_add_attrs back = {.axis = axis, .size = x.dim[axis]};
  if (c->need[0]) c->din[0] = fv_op(c->g, "index_add", &back, c->node->in[1], c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_index_select_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const int64_t before = fv_shape_before(x, axis), after = fv_shape_after(x, axis), dim = x.dim[axis];
  const int64_t n = c->in[1].shape.dim[0];
  const double missing = fv_lookup_missing(c->in[0].dtype, a->zero);
  for (int64_t b = 0; b < before; b++)
    for (int64_t i = 0; i < n; i++) {
      const int64_t id = (int64_t)fv_get(&c->in[1], i);
      for (int64_t k = 0; k < after; k++)
        fv_set(&c->out[0], (b * n + i) * after + k,
               id >= 0 && id < dim ? fv_get(&c->in[0], (b * dim + id) * after + k) : missing);
    }
}

static fv_cost cost(const fv_node *n) {
  const double out = (double)fv_shape_count(n->out[0]->shape), ids = (double)fv_shape_count(n->in[1]->shape);
  return (fv_cost){.bytes = 2 * out * (double)fv_dtype_size(n->out[0]->dtype) + 4 * ids};
}

static const fv_case cases[] = {
    {.in = "7,16; 5:i32@0..6"},
    {.in = "3,31,5; 17:i32@0..30", .attrs = "axis=1"},
    {.in = "3,31; 7:i32@0..30", .attrs = "axis=-1"},
    {.in = "2,5,33; 3:i32@0..4", .attrs = "axis=1"},
    {.in = "9; 4:i32@0..8"},
    {.in = "4,8; 0:i32@0..3"},
    {.in = "3,6,7; 5:i32@-2..8", .attrs = "axis=1", .no_grad_check = true, .note = "out of range: NaN"},
    {.in = "3,6,7; 5:i32@-2..8", .attrs = "axis=1 zero=true"},
    {.in = "5,4:i32@-9..9; 6:i32@-1..5", .note = "out of range: 0"},
    {.in = "5,4:u8@0..255; 6:i32@0..4"},
    {0}};

const fv_op_def fv_op_index_select = {
    .name = "index_select",
    .doc = "y[..., i, ...] = x[..., ids[i], ...] along one axis; a number out of range gives NaN, or 0",
    .n_in = 2,
    .attrs_size = sizeof(fv_index_select_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
