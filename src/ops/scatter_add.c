/* SPDX-License-Identifier: Apache-2.0 */
/* scatter_add: adds each element of a source to the place its index names along one axis; PyTorch's scatter_add, and
 * what undoes gather. Inputs: index, source of the same shape, and the tensor added to (absent: zeros). */
#include "ops/lookup.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_scatter_add_attrs, axis), .def = "0",
     .min = -FV_MAX_DIMS, .max = FV_MAX_DIMS - 1, .doc = "the axis the index runs along; negative counts from the end"},
    {.name = "shape", .type = FV_OPT_INTS, .offset = offsetof(fv_scatter_add_attrs, shape), .min = 0, .max = 0x1p46,
     .doc = "of the result when there is no base"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_scatter_add_attrs *a = c->attrs;
  const fv_shape index = c->in[0]->shape;
  fv_shape y = {.ndim = (int)a->shape.n};
  for (int i = 0; i < y.ndim; i++) y.dim[i] = a->shape.v[i];
  if (fv_has_in(c, 2)) {
    FV_INFER_REQUIRE(c, y.ndim == 0 || fv_shape_equal(y, c->in[2]->shape), "base: expected %s, got %s",
                     fv_shape_text(y), fv_shape_text(c->in[2]->shape));
    FV_INFER_REQUIRE(c, c->in[2]->dtype == c->in[1]->dtype, "base: expected %s, got %s",
                     fv_dtype_name(c->in[1]->dtype), fv_dtype_name(c->in[2]->dtype));
    y = c->in[2]->shape;
  }
  const int axis = fv_axis(a->axis, y.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < y.ndim, "axis: expected one of the axes of %s, got %lld", fv_shape_text(y),
                   (long long)a->axis);
  bool fits = index.ndim == y.ndim;
  for (int i = 0; fits && i < y.ndim; i++) fits = i == axis || index.dim[i] <= y.dim[i];
  FV_INFER_REQUIRE(c, fits, "index: expected at most %s but for axis %d, got %s", fv_shape_text(y), axis,
                   fv_shape_text(index));
  FV_INFER_REQUIRE(c, fv_shape_equal(c->in[1]->shape, index), "source: expected %s, got %s", fv_shape_text(index),
                   fv_shape_text(c->in[1]->shape));
  FV_TRY(fv_lookup_check_ids(c, 0));
  c->shape[0] = y;
  c->dtype[0] = c->in[1]->dtype;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_gather_attrs back = {.axis = ((const fv_scatter_add_attrs *)c->node->attrs)->axis, .zero = true};
  if (c->need[1]) c->din[1] = fv_op(c->g, "gather", &back, c->dout[0], c->node->in[0]);
  if (c->node->n_in > 2 && c->need[2]) c->din[2] = c->dout[0];
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_scatter_add_attrs *a = c->attrs;
  const fv_shape y = c->out[0].shape, index = c->in[0].shape;
  const int axis = fv_axis(a->axis, y.ndim);
  const int64_t n = fv_shape_count(index), m = fv_shape_count(y);
  const bool based = c->n_in > 2 && c->in[2].data;
  for (int64_t i = 0; i < m; i++) fv_set(&c->out[0], i, based ? fv_get(&c->in[2], i) : 0);
  for (int64_t i = 0; i < n; i++) {
    const int64_t id = (int64_t)fv_get(&c->in[0], i);
    if (id < 0 || id >= y.dim[axis]) continue;
    const int64_t place = fv_lookup_place(y, index, axis, i, id);
    fv_set(&c->out[0], place, fv_get(&c->out[0], place) + fv_get(&c->in[1], i));
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = (double)fv_shape_count(n->in[1]->shape), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "7,3:i32@0..15; 7,3", .attrs = "axis=1 shape=7,16"},
    {.in = "7,3:i32@0..15; 7,3; 7,16", .attrs = "axis=1"},
    {.in = "9,16:i32@0..6; 9,16; 7,16", .attrs = "axis=0"},
    {.in = "4,5:i32@0..6; 4,5", .attrs = "axis=0 shape=7,16", .note = "fewer columns than the result"},
    {.in = "2,33,17:i32@0..4; 2,33,17; 3,5,17", .attrs = "axis=1", .tolerance = 1e-5},
    {.in = "31:i32@0..10; 31; 11"},
    {.in = "0,8:i32@0..3; 0,8", .attrs = "shape=4,8"},
    {.in = "4,6:i32@-2..7; 4,6; 4,5", .attrs = "axis=1", .note = "out of range: left out"},
    {0}};

const fv_op_def fv_op_scatter_add = {
    .name = "scatter_add",
    .doc = "y = base; y[i, index[i, j, ...], ...] += source[i, j, ...] with the index on one axis",
    .n_in = 2,
    .n_in_max = 3,
    .attrs_size = sizeof(fv_scatter_add_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
