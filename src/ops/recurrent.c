/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.c: shapes of lstm and gru, and the gradients of their weights as products over all steps at once. */
#include "ops/recurrent.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/reshape.h"

const fv_option fv_recurrent_options[] = {
    {.name = "bidirectional",
     .type = FV_OPT_BOOL,
     .offset = offsetof(fv_recurrent_attrs, bidirectional),
     .def = "false",
     .doc = "also backwards in time, with weights of its own; y holds both side by side"},
    {0}};

fv_recurrent fv_recurrent_of(const fv_node *n) {
  const fv_shape x = n->in[0]->shape, h_n = n->out[1]->shape;
  return (fv_recurrent){.b = x.dim[0], .t = x.dim[1], .i = x.dim[2], .h = h_n.dim[2], .d = h_n.dim[0]};
}
fv_recurrent fv_recurrent_of_grad(const fv_node *n) {
  const fv_shape y = n->in[0]->shape, dh0 = n->out[0]->shape;
  return (fv_recurrent){.b = y.dim[0], .t = y.dim[1], .h = dh0.dim[2], .d = dh0.dim[0]};
}

fv_status fv_recurrent_check(const fv_infer *c, int i, fv_dtype dtype, fv_shape s) {
  if (!fv_has_in(c, i)) return FV_OK;
  FV_INFER_REQUIRE(c, fv_shape_equal(c->in[i]->shape, s), "input %d: expected %s, got %s", i, fv_shape_text(s),
                   fv_shape_text(c->in[i]->shape));
  FV_INFER_REQUIRE(c, c->in[i]->dtype == dtype, "input %d: expected %s, got %s", i, fv_dtype_name(dtype),
                   fv_dtype_name(c->in[i]->dtype));
  return FV_OK;
}

static fv_status check_weights(const fv_infer *c, int first, int gates, const fv_recurrent *r) {
  const fv_dtype real = c->in[0]->dtype;
  for (int i = first; i < first + 2; i++)
    FV_INFER_REQUIRE(c, fv_has_in(c, i), "input %d: expected weights, got none", i);
  FV_TRY(fv_recurrent_check(c, first, real, FV_SHAPE(gates * r->h, r->i)));
  FV_TRY(fv_recurrent_check(c, first + 1, real, FV_SHAPE(gates * r->h, r->h)));
  FV_TRY(fv_recurrent_check(c, first + 2, real, FV_SHAPE(gates * r->h)));
  return fv_recurrent_check(c, first + 3, real, FV_SHAPE(gates * r->h));
}

fv_status fv_recurrent_infer(const fv_infer *c, int gates, int c0, int lengths, int reverse, fv_recurrent *r) {
  const fv_value *x = c->in[0], *w = c->in[2];
  const bool both = ((const fv_recurrent_attrs *)c->attrs)->bidirectional;
  FV_INFER_REQUIRE(c, x->shape.ndim == 3, "input: expected [B,T,I], got %s", fv_shape_text(x->shape));
  FV_INFER_REQUIRE(c, x->dtype == FV_F32 || x->dtype == FV_F64, "input: expected real numbers, got %s",
                   fv_dtype_name(x->dtype));
  FV_INFER_REQUIRE(c, w->shape.ndim == 2, "w_hh: expected [%dH,H], got %s", gates, fv_shape_text(w->shape));
  *r = (fv_recurrent){.b = x->shape.dim[0], .t = x->shape.dim[1], .i = x->shape.dim[2], .h = w->shape.dim[1],
                      .d = both ? 2 : 1};
  FV_TRY(check_weights(c, 1, gates, r));
  FV_TRY(fv_recurrent_check(c, 5, x->dtype, FV_SHAPE(r->d, r->b, r->h)));
  if (c0 >= 0) FV_TRY(fv_recurrent_check(c, c0, x->dtype, FV_SHAPE(r->d, r->b, r->h)));
  FV_TRY(fv_recurrent_check(c, lengths, FV_I32, FV_SHAPE(r->b)));
  if (both) return check_weights(c, reverse, gates, r);
  for (int i = reverse; i < reverse + 4; i++)
    FV_INFER_REQUIRE(c, !fv_has_in(c, i), "input %d: expected none without bidirectional, got weights", i);
  return FV_OK;
}

void fv_recurrent_grad_weights(fv_grad *c, int first, fv_value *dx_sum, fv_value *dh_sum, fv_value *before) {
  const fv_matmul_attrs turned = {.ta = true};
  const fv_reduce_attrs rows = {.axes = {.n = 1, .v = {0}}};
  const fv_shape x = c->node->in[0]->shape;
  const int64_t n = x.dim[0] * x.dim[1], width = fv_dim(dx_sum, 2);
  fv_value *dx = fv_reshape_to(c->g, dx_sum, FV_SHAPE(n, width)), *dh = fv_reshape_to(c->g, dh_sum, FV_SHAPE(n, width));
  const bool *need = c->need;
  if (need[first])
    c->din[first] = fv_op(c->g, "matmul", &turned, dx, fv_reshape_to(c->g, c->node->in[0], FV_SHAPE(n, x.dim[2])));
  if (need[first + 1])
    c->din[first + 1] = fv_op(c->g, "matmul", &turned, dh, fv_reshape_to(c->g, before, FV_SHAPE(n, fv_dim(before, 2))));
  if (c->node->n_in > first + 2 && need[first + 2]) c->din[first + 2] = fv_op(c->g, "sum", &rows, dx);
  if (c->node->n_in > first + 3 && need[first + 3]) c->din[first + 3] = fv_op(c->g, "sum", &rows, dh);
  if (!need[0]) return;
  fv_value *in = fv_reshape_to(c->g, fv_op(c->g, "matmul", NULL, dx, c->node->in[first]), x);
  c->din[0] = c->din[0] ? fv_op(c->g, "add", NULL, c->din[0], in) : in;
}
