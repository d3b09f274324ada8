/* SPDX-License-Identifier: Apache-2.0 */
/* gather: an element for each place of an index tensor, found along one axis; PyTorch's gather. */
#include "ops/lookup.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_gather_attrs, axis), .def = "0", .min = -FV_MAX_DIMS,
     .max = FV_MAX_DIMS - 1, .doc = "the axis the index runs along; negative counts from the end"},
    {.name = "zero", .type = FV_OPT_BOOL, .offset = offsetof(fv_gather_attrs, zero), .def = "false",
     .doc = "a number out of range reads 0 instead of NaN"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_gather_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape, index = c->in[1]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < x.ndim, "axis: expected one of the axes of %s, got %lld", fv_shape_text(x),
                   (long long)a->axis);
  bool fits = index.ndim == x.ndim;
  for (int i = 0; fits && i < x.ndim; i++) fits = i == axis || index.dim[i] <= x.dim[i];
  FV_INFER_REQUIRE(c, fits, "index: expected at most %s but for axis %d, got %s", fv_shape_text(x), axis,
                   fv_shape_text(index));
  FV_TRY(fv_lookup_check_ids(c, 1));
  c->shape[0] = index;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_gather_attrs *a = c->node->attrs;
  const fv_shape x = c->node->in[0]->shape;
  fv_scatter_add_attrs back = {.axis = a->axis, .shape.n = x.ndim};
  for (int i = 0; i < x.ndim; i++) back.shape.v[i] = x.dim[i];
  if (c->need[0]) c->din[0] = fv_op(c->g, "scatter_add", &back, c->node->in[1], c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_gather_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape, index = c->in[1].shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const int64_t n = fv_shape_count(index);
  for (int64_t i = 0; i < n; i++) {
    const int64_t id = (int64_t)fv_get(&c->in[1], i);
    fv_set(&c->out[0], i, id >= 0 && id < x.dim[axis] ? fv_get(&c->in[0], fv_lookup_place(x, index, axis, i, id))
                                                      : fv_lookup_missing(c->in[0].dtype, a->zero));
  }
}

static fv_cost cost(const fv_node *n) {
  const double out = (double)fv_shape_count(n->out[0]->shape);
  return (fv_cost){.bytes = 2 * out * (double)fv_dtype_size(n->out[0]->dtype) + 4 * out};
}

static const fv_case cases[] = {
    {.in = "7,16; 7,3:i32@0..15", .attrs = "axis=1"},
    {.in = "7,16; 9,16:i32@0..6", .attrs = "axis=0"},
    {.in = "7,16; 4,5:i32@0..6", .attrs = "axis=0", .note = "fewer columns than x"},
    {.in = "3,5,17; 2,33,17:i32@0..4", .attrs = "axis=1"},
    {.in = "3,5,4; 3,5,1:i32@0..3", .attrs = "axis=-1"},
    {.in = "11; 31:i32@0..10"},
    {.in = "4,8; 0,8:i32@0..3"},
    {.in = "4,5; 4,6:i32@-2..7", .attrs = "axis=1", .no_grad_check = true, .note = "out of range: NaN"},
    {.in = "4,5; 4,6:i32@-2..7", .attrs = "axis=1 zero=true"},
    {.in = "4,5:i32@-9..9; 4,6:i32@-1..5", .attrs = "axis=1", .note = "out of range: 0"},
    {.in = "4,5:u8@0..255; 4,6:i32@0..4", .attrs = "axis=1"},
    {0}};

const fv_op_def fv_op_gather = {
    .name = "gather",
    .doc = "y[i, j, ...] = x[i, index[i, j, ...], ...] with the index on one axis; a number out of range gives NaN, or"
           " 0",
    .n_in = 2,
    .attrs_size = sizeof(fv_gather_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
