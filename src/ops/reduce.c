/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c: what reductions share. A shape and a set of axes split into kept and reduced dimensions, each with
 * strides. */
#include "ops/reduce.h"
#include "ops/broadcast_to.h"
#include "ops/reshape.h"

const fv_option fv_reduce_options[] = {
  {.name = "axes", .type = FV_OPT_INTS, .offset = offsetof(fv_reduce_attrs, axes), .min = -FV_MAX_DIMS,
   .max = FV_MAX_DIMS - 1, .doc = "dimensions to reduce; none: all"},
  {.name = "keepdim", .type = FV_OPT_BOOL, .offset = offsetof(fv_reduce_attrs, keepdim), .def = "false",
   .doc = "keep reduced dimensions as 1"},
  {0}};

uint32_t fv_reduce_mask(const fv_int_list *axes, int ndim) {
  uint32_t mask = axes->n ? 0 : (1u << ndim) - 1u;
  for (int64_t i = 0; i < axes->n; i++) mask |= 1u << fv_axis(axes->v[i], ndim);
  return mask;
}

static fv_shape without(fv_shape in, uint32_t mask, bool keepdim) {
  fv_shape out = {.ndim = 0};
  for (int d = 0; d < in.ndim; d++) {
    bool gone = mask >> d & 1;
    if (!gone || keepdim) out.dim[out.ndim++] = gone ? 1 : in.dim[d];
  }
  return out;
}

fv_status fv_reduce_shape(fv_infer *c, const fv_reduce_attrs *a, fv_shape in, fv_shape *out) {
  uint32_t seen = 0;
  for (int64_t i = 0; i < a->axes.n; i++) {
    int axis = fv_axis(a->axes.v[i], in.ndim);
    FV_INFER_REQUIRE(c, axis >= 0 && axis < in.ndim, "axes: expected dimensions of %s, got %d", fv_shape_text(in),
                     (int)a->axes.v[i]);
    FV_INFER_REQUIRE(c, !(seen >> axis & 1), "axes: expected each once, got %d again", (int)a->axes.v[i]);
    seen |= 1u << axis;
  }
  *out = without(in, fv_reduce_mask(&a->axes, in.ndim), a->keepdim);
  return FV_OK;
}

fv_status fv_reduce_infer(fv_infer *c) {
  fv_dtype t = c->in[0]->dtype;
  FV_INFER_REQUIRE(c, t == FV_F32 || t == FV_F64, "input: expected real numbers, got %s", fv_dtype_name(t));
  return fv_reduce_shape(c, c->attrs, c->in[0]->shape, &c->shape[0]);
}

fv_status fv_reduce_infer_nonempty(fv_infer *c) {
  FV_TRY(fv_reduce_infer(c));
  FV_INFER_REQUIRE(c, fv_shape_count(c->in[0]->shape) || !fv_shape_count(c->shape[0]),
                   "input: expected at least one element behind each result, got %s", fv_shape_text(c->in[0]->shape));
  return FV_OK;
}

fv_cost fv_reduce_cost(const fv_node *n) {
  return (fv_cost){.flops = (double)fv_shape_count(n->in[0]->shape), .bytes = fv_cost_io(n)};
}

fv_value *fv_reduce_keep(fv_graph *g, fv_value *v, fv_shape in, const fv_reduce_attrs *a) {
  if (!v || a->keepdim) return v;
  return fv_reshape_to(g, v, without(in, fv_reduce_mask(&a->axes, in.ndim), true));
}

fv_value *fv_reduce_spread(fv_graph *g, fv_value *v, fv_shape in, const fv_reduce_attrs *a) {
  v = fv_reduce_keep(g, v, in, a);
  return v ? fv_broadcast_value(g, v, in) : NULL;
}

fv_reduce_walk fv_reduce_walk_new(fv_shape shape, uint32_t mask) {
  fv_reduce_walk w = {.n_kept = 1, .n_reduced = 1};
  for (int d = 0; d < shape.ndim; d++) {
    int64_t stride = fv_shape_after(shape, d);
    if (mask >> d & 1) {
      w.reduced[w.n_reduced_dims] = shape.dim[d];
      w.reduced_stride[w.n_reduced_dims++] = stride;
      w.n_reduced *= shape.dim[d];
    } else {
      w.kept[w.n_kept_dims] = shape.dim[d];
      w.kept_stride[w.n_kept_dims++] = stride;
      w.n_kept *= shape.dim[d];
    }
  }
  return w;
}

static int64_t offset(const int64_t *dim, const int64_t *stride, int n, int64_t i) {
  int64_t at = 0;
  for (int d = n - 1; d >= 0; d--) {
    at += i % dim[d] * stride[d];
    i /= dim[d];
  }
  return at;
}

int64_t fv_reduce_index(const fv_reduce_walk *w, int64_t i, int64_t k) {
  return offset(w->kept, w->kept_stride, w->n_kept_dims, i) +
         offset(w->reduced, w->reduced_stride, w->n_reduced_dims, k);
}
