/* SPDX-License-Identifier: Apache-2.0 */
/* slice: part of one axis, with a step. A split is several slices. */
#include "ops/slice.h"
#include "ops/pad.h"
#include "ops/reshape.h"

static const fv_option attrs[] = {
    {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_slice_attrs, axis), .min = -FV_MAX_DIMS,
     .max = FV_MAX_DIMS - 1, .def = "0", .doc = "the axis cut; negative counts from the end"},
    {.name = "start", .type = FV_OPT_INT, .offset = offsetof(fv_slice_attrs, start), .min = -0x1p52, .max = 0x1p52,
     .def = "0", .doc = "first index taken; negative counts from the end"},
    {.name = "stop", .type = FV_OPT_INT, .offset = offsetof(fv_slice_attrs, stop), .min = -0x1p52, .max = 0x1p52,
     .def = "0", .doc = "first index left out; 0 is the end, negative counts from it"},
    {.name = "step", .type = FV_OPT_INT, .offset = offsetof(fv_slice_attrs, step), .min = 1, .max = 0x1p52,
     .def = "1", .doc = "distance between taken indices"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_slice_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  FV_INFER_REQUIRE(c, axis >= 0 && axis < x.ndim, "axis: expected one of the axes of %s, got %lld", fv_shape_text(x),
                   (long long)a->axis);
  int64_t first, count;
  fv_slice_range(a, x.dim[axis], &first, &count);
  c->shape[0] = x;
  c->shape[0].dim[axis] = count;
  return FV_OK;
}

/* Seen as [before, n, after]: each row of dy is followed by step - 1 zeros, then the ends are cut or filled. */
static fv_value *spread(fv_graph *g, fv_value *dy, fv_shape mid, int64_t step) {
  const fv_shape lone = FV_SHAPE(mid.dim[0], mid.dim[1], 1, mid.dim[2]);
  const fv_pad_attrs rows = {.before = {.n = 4}, .after = {.n = 4, .v = {0, 0, step - 1, 0}}};
  fv_value *v = fv_op(g, "pad", &rows, fv_reshape_to(g, dy, lone));
  return fv_reshape_to(g, v, FV_SHAPE(mid.dim[0], mid.dim[1] * step, mid.dim[2]));
}

static fv_status grad(fv_grad *c) {
  const fv_slice_attrs *a = c->node->attrs;
  const fv_shape x = c->node->in[0]->shape;
  const int axis = fv_axis(a->axis, x.ndim);
  int64_t first, count;
  fv_slice_range(a, x.dim[axis], &first, &count);
  if (count == 0) return FV_OK;
  const fv_shape mid = FV_SHAPE(fv_shape_before(x, axis), count, fv_shape_after(x, axis));
  fv_value *v =
      a->step > 1 && count > 1 ? spread(c->g, c->dout[0], mid, a->step) : fv_reshape_to(c->g, c->dout[0], mid);
  const int64_t rest = x.dim[axis] - first;
  if (fv_dim(v, 1) > rest) v = fv_slice_of(c->g, v, 1, 0, rest);
  const fv_pad_attrs ends = {.before = {.n = 3, .v = {0, first, 0}},
                             .after = {.n = 3, .v = {0, rest - fv_dim(v, 1), 0}}};
  if (first > 0 || rest > fv_dim(v, 1)) v = fv_op(c->g, "pad", &ends, v);
  c->din[0] = fv_reshape_to(c->g, v, x);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_slice_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const int64_t before = fv_shape_before(x, axis), after = fv_shape_after(x, axis), dim = x.dim[axis];
  int64_t first, count, o = 0;
  fv_slice_range(a, dim, &first, &count);
  for (int64_t b = 0; b < before; b++)
    for (int64_t i = 0; i < count; i++)
      for (int64_t k = 0; k < after; k++)
        fv_set(&c->out[0], o++, fv_get(&c->in[0], (b * dim + first + i * a->step) * after + k));
}

/* What is left out is not read. */
static fv_cost cost(const fv_node *n) {
  return (fv_cost){.bytes = 2.0 * (double)fv_shape_count(n->out[0]->shape) * (double)fv_dtype_size(n->out[0]->dtype)};
}

static const fv_case cases[] = {
    {.in = "7", .attrs = "start=2 stop=5"},
    {.in = "7", .attrs = ""},
    {.in = "3,17", .attrs = "axis=1 start=1"},
    {.in = "3,17", .attrs = "axis=-1 start=-5 stop=-1"},
    {.in = "3,17", .attrs = "axis=1 step=2"},
    {.in = "3,17", .attrs = "axis=1 start=1 stop=16 step=3"},
    {.in = "3,16", .attrs = "axis=1 start=3 step=4"},
    {.in = "3,17,5", .attrs = "axis=1 start=2 stop=15 step=5"},
    {.in = "3,17,5", .attrs = "axis=0 start=1 stop=2"},
    {.in = "2,3,4,33", .attrs = "axis=2 start=1 stop=3"},
    {.in = "5,31", .attrs = "axis=0 start=1 stop=100 step=2"},
    {.in = "5,31", .attrs = "axis=1 start=30 step=31"},
    {.in = "5,3", .attrs = "axis=0 start=4 stop=2", .note = "empty"},
    {.in = "0,3", .attrs = "axis=1 start=1"},
    {.in = "4,9:i32@-5..5", .attrs = "axis=1 start=2 step=3"},
    {.in = "4,9:u8@0..255", .attrs = "axis=1 start=2 stop=8"},
    {0}};

const fv_op_def fv_op_slice = {
    .name = "slice",
    .doc = "y = x[..., start:stop:step, ...] along one axis, clamped as in Python; stop 0 is the end",
    .n_in = 1,
    .attrs_size = sizeof(fv_slice_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
