/* SPDX-License-Identifier: Apache-2.0 */
/* lines.c: see lines.h. References of losses sum in f64, items in order. */
#include "ops/lines.h"

fv_lines fv_lines_of(fv_shape shape, int64_t axis) {
  int a = fv_axis(axis, shape.ndim);
  fv_lines l = {fv_shape_before(shape, a), shape.dim[a], fv_shape_after(shape, a)};
  if (l.inner == 0) l.outer = 0;
  if (l.outer == 0) l.inner = 0;
  return l;
}

fv_lines fv_lines_filled(fv_shape shape, int64_t axis) {
  fv_lines l = fv_lines_of(shape, axis);
  if (l.n == 0) l.outer = l.inner = 0;
  return l;
}

fv_lines fv_lines_last(fv_shape shape) {
  return shape.ndim == 0 ? (fv_lines){1, 1, 1} : fv_lines_filled(shape, -1);
}

bool fv_node_has_in(const fv_node *n, int i) { return i < n->n_in && n->in[i]->kind != FV_VALUE_ABSENT; }

fv_status fv_infer_real(const fv_infer *c, int i, const char *what) {
  fv_dtype t = c->in[i]->dtype;
  FV_INFER_REQUIRE(c, t == FV_F32 || t == FV_F64, "%s: expected f32 or f64, got %s", what, fv_dtype_name(t));
  FV_INFER_REQUIRE(c, t == c->in[0]->dtype, "%s: expected %s as the input, got %s", what,
                   fv_dtype_name(c->in[0]->dtype), fv_dtype_name(t));
  return FV_OK;
}

fv_status fv_infer_axis(const fv_infer *c, int64_t axis) {
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, axis >= -s.ndim && axis < s.ndim, "axis: expected an axis of %s, got %lld", fv_shape_text(s),
                   (long long)axis);
  return FV_OK;
}

fv_status fv_infer_shape(const fv_infer *c, int i, const char *what, fv_shape want) {
  if (!fv_has_in(c, i)) return FV_OK;
  FV_TRY(fv_infer_real(c, i, what));
  FV_INFER_REQUIRE(c, fv_shape_equal(c->in[i]->shape, want), "%s: expected %s, got %s", what, fv_shape_text(want),
                   fv_shape_text(c->in[i]->shape));
  return FV_OK;
}

fv_status fv_infer_channels(const fv_infer *c, int i, const char *what) {
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, s.ndim >= 1, "input: expected at least one dimension, got %s", fv_shape_text(s));
  return fv_infer_shape(c, i, what, FV_SHAPE(s.dim[s.ndim - 1]));
}

fv_status fv_infer_mask(const fv_infer *c, int i) {
  if (!fv_has_in(c, i)) return FV_OK;
  fv_shape s = c->in[0]->shape, m = c->in[i]->shape, both;
  FV_INFER_REQUIRE(c, c->in[i]->dtype == FV_U8, "mask: expected u8, got %s", fv_dtype_name(c->in[i]->dtype));
  FV_INFER_REQUIRE(c, fv_shape_broadcast(m, s, &both) && fv_shape_equal(both, s),
                   "mask: expected a shape that broadcasts to %s, got %s", fv_shape_text(s), fv_shape_text(m));
  return FV_OK;
}

fv_value *fv_spread(fv_graph *g, fv_value *v, fv_shape shape) {
  char text[32 * FV_MAX_DIMS] = "shape=";
  for (int i = 0; i < shape.ndim; i++) {
    size_t n = strlen(text);
    snprintf(text + n, sizeof text - n, "%s%lld", i ? "," : "", (long long)shape.dim[i]);
  }
  return fv_op_text(g, "broadcast_to", text, 1, &v);
}

fv_shape fv_shape_keep(fv_shape s, int axis) {
  s.dim[axis] = 1;
  return s;
}

fv_shape fv_shape_drop(fv_shape s, int axis) {
  for (int i = axis; i + 1 < s.ndim; i++) s.dim[i] = s.dim[i + 1];
  s.dim[--s.ndim] = 0;
  return s;
}

fv_cost fv_cost_input(const fv_node *n, int i, double per_element) {
  return (fv_cost){per_element * (double)fv_shape_count(n->in[i]->shape), fv_cost_io(n)};
}

const char *const fv_reduction_names[] = {"mean", "sum", "none", NULL};

fv_status fv_loss_infer(fv_infer *c, int64_t reduction) {
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_TRY(fv_infer_shape(c, 1, "target", c->in[0]->shape));
  for (int i = 2; i < c->n_in; i++) {
    if (!fv_has_in(c, i)) continue;
    fv_shape s = c->in[0]->shape, w = c->in[i]->shape, both;
    FV_TRY(fv_infer_real(c, i, "weight"));
    FV_INFER_REQUIRE(c, fv_shape_broadcast(w, s, &both) && fv_shape_equal(both, s),
                     "weight: expected a shape that broadcasts to %s, got %s", fv_shape_text(s), fv_shape_text(w));
  }
  c->shape[0] = reduction == FV_REDUCE_NONE ? c->in[0]->shape : FV_SCALAR;
  return FV_OK;
}

void fv_loss_ref(const fv_call *c, int64_t reduction, double (*item)(const void *attrs, const double *v)) {
  fv_shape s = c->in[0].shape;
  int64_t n = fv_shape_count(s);
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    double v[FV_LOSS_OPERANDS] = {1, 1, 1, 1};
    for (int j = 0; j < c->n_in; j++)
      if (c->in[j].data) v[j] = fv_get(&c->in[j], fv_broadcast_index(c->in[j].shape, s, i));
    double l = item(c->attrs, v);
    sum += l;
    if (reduction == FV_REDUCE_NONE) fv_set(&c->out[0], i, l);
  }
  if (reduction == FV_REDUCE_MEAN) sum /= (double)n;
  if (reduction != FV_REDUCE_NONE) fv_set(&c->out[0], 0, sum);
}

fv_value *fv_loss_dout(const fv_grad *c, int64_t reduction) {
  if (reduction != FV_REDUCE_MEAN) return c->dout[0];
  double n = (double)fv_shape_count(c->node->in[0]->shape);
  return fv_op(c->g, "mul", NULL, c->dout[0], fv_const(c->g, 1 / n));
}
