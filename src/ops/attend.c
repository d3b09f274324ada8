/* SPDX-License-Identifier: Apache-2.0 */
/* attend.c: checks and gradient nodes that the operations of graph attention share. */
#include "ops/attend.h"

#include "ops/csr_transpose.h"
#include "ops/lines.h"

const fv_option fv_attend_options[] = {
    {.name = "slope", .type = FV_OPT_REAL, .offset = offsetof(fv_attend_attrs, slope), .def = "0.2", .min = 0, .max = 1,
     .doc = "of the leaky ReLU below zero"},
    {.name = "p", .type = FV_OPT_REAL, .offset = offsetof(fv_attend_attrs, p), .def = "0", .min = 0, .max = 1,
     .doc = "the share of weights that dropout drops"},
    {0}};

fv_status fv_attend_infer_real(const fv_infer *c, int i, const char *name, fv_shape want) {
  if (!fv_has_in(c, i)) return FV_OK;
  const fv_value *v = c->in[i];
  FV_INFER_REQUIRE(c, (v->dtype == FV_F32 || v->dtype == FV_F64) && v->dtype == c->in[0]->dtype,
                   "%s: expected real numbers, got %s", name, fv_dtype_name(v->dtype));
  FV_INFER_REQUIRE(c, fv_shape_equal(v->shape, want), "%s: expected %s, got %s", name, fv_shape_text(want),
                   fv_shape_text(v->shape));
  return FV_OK;
}

fv_status fv_attend_infer_int(const fv_infer *c, int i, const char *name, fv_shape want) {
  const fv_value *v = c->in[i];
  FV_INFER_REQUIRE(c, fv_has_in(c, i) && v->dtype == FV_I32 && fv_shape_equal(v->shape, want),
                   "%s: expected i32 %s, got %s %s", name, fv_shape_text(want), fv_dtype_name(v->dtype),
                   fv_shape_text(v->shape));
  return FV_OK;
}

fv_status fv_attend_infer_kept(const fv_infer *c, int i, int64_t edges, int64_t heads) {
  const fv_attend_attrs *a = c->attrs;
  FV_INFER_REQUIRE(c, fv_has_in(c, i) || a->p <= 0, "kept: expected it where p = %g, got none", a->p);
  return fv_has_in(c, i) ? fv_attend_infer_int(c, i, "kept", FV_SHAPE(fv_dropout_bits_words(edges * heads))) : FV_OK;
}

fv_status fv_attend_infer_graph(const fv_infer *c, int row_ptr, int col, fv_attend_sizes *a) {
  FV_TRY(fv_segments_check(c, row_ptr));
  const fv_shape s = c->in[col]->shape;
  FV_INFER_REQUIRE(c, s.ndim == 1, "col: expected [M], got %s", fv_shape_text(s));
  FV_TRY(fv_attend_infer_int(c, col, "col", s));
  a->targets = c->in[row_ptr]->shape.dim[0] - 1;
  a->edges = s.dim[0];
  return FV_OK;
}

fv_status fv_attend_infer_ends(const fv_infer *c, int dy, int x, fv_attend_sizes *a) {
  const fv_shape t = c->in[dy]->shape, s = c->in[x]->shape;
  FV_INFER_REQUIRE(c, t.ndim == 3, "input %d: expected [V,H,D], got %s", dy, fv_shape_text(t));
  FV_INFER_REQUIRE(c, s.ndim == 3, "input %d: expected [V,H,D], got %s", x, fv_shape_text(s));
  FV_TRY(fv_attend_infer_real(c, dy, "input", t));
  *a = (fv_attend_sizes){.targets = t.dim[0], .sources = s.dim[0], .heads = t.dim[1], .width = t.dim[2]};
  return fv_attend_infer_real(c, x, "input", FV_SHAPE(a->sources, a->heads, a->width));
}

fv_status fv_attend_infer_source_grad(const fv_infer *c, const fv_attend_sizes *a) {
  FV_TRY(fv_attend_infer_real(c, FV_ATTEND_LSE, "lse", FV_SHAPE(a->targets, a->heads)));
  FV_TRY(fv_attend_infer_real(c, FV_ATTEND_DELTA, "delta", FV_SHAPE(a->targets, a->heads)));
  FV_TRY(fv_attend_infer_int(c, FV_ATTEND_T_PTR, "t_ptr", FV_SHAPE(a->sources + 1)));
  FV_TRY(fv_attend_infer_int(c, FV_ATTEND_T_ROW, "t_row", FV_SHAPE(a->edges)));
  FV_TRY(fv_attend_infer_int(c, FV_ATTEND_T_EDGE, "t_edge", FV_SHAPE(a->edges)));
  FV_TRY(fv_attend_infer_real(c, FV_ATTEND_DALPHA, "dalpha", FV_SHAPE(a->edges, a->heads)));
  return fv_attend_infer_kept(c, FV_ATTEND_T_KEPT, a->edges, a->heads);
}

double fv_attend_kept(const fv_call *c, int kept, int64_t element) {
  const fv_attend_attrs *a = c->attrs;
  const fv_tensor *t = fv_attend_in(c, kept);
  if (a->p <= 0 || !t) return 1;
  return a->p < 1 && fv_dropout_bits_at(t->data, element, 1) ? 1 / (1 - a->p) : 0;
}

fv_attend_back fv_attend_back_of(fv_grad *c) {
  fv_value *const *in = c->node->in, *const *out = c->node->out, *none = fv_absent(c->g);
  fv_attend_back b = {.dy = c->dout[0], .dalpha = c->dout[1] ? c->dout[1] : none};
  if (!b.dy) b.dy = fv_spread(c->g, fv_const(c->g, 0), out[0]->shape);
  fv_value *alpha = c->dout[1] ? out[1] : none;
  b.delta = fv_op(c->g, "attend_delta", NULL, b.dy, out[0], in[FV_ATTEND_ROW_PTR], alpha, b.dalpha);
  return b;
}

void fv_attend_back_source(fv_grad *c, const fv_attend_back *b, fv_value **in) {
  fv_value *const *of = c->node->in;
  const fv_csr_transpose_attrs to = {.columns = of[0]->shape.dim[0]};
  in[FV_ATTEND_LSE] = c->node->out[2];
  in[FV_ATTEND_DELTA] = b->delta;
  fv_op_n(c->g, "csr_transpose", &to, 2, of + FV_ATTEND_ROW_PTR, 3, in + FV_ATTEND_T_PTR);
  in[FV_ATTEND_DALPHA] = b->dalpha;
  in[FV_ATTEND_T_KEPT] = c->node->n_in > FV_ATTEND_KEPT ? of[FV_ATTEND_KEPT] : fv_absent(c->g);
}

fv_cost fv_attend_cost(const fv_node *n, int64_t edges, int64_t floats, double flops) {
  const double all = (double)edges * (double)floats;
  return (fv_cost){.flops = all * flops, .bytes = fv_cost_io(n) + 4 * all};
}
