/* SPDX-License-Identifier: Apache-2.0 */
/* compose.c: the steps of compose.h. Every shape has been held against the mechanism's texts before. */
#include "attention/compose.h"

#include "ops/additive_score.h"
#include "ops/attend.h"
#include "ops/broadcast_to.h"
#include "ops/matmul.h"
#include "ops/softmax.h"

#include <math.h>

bool fv_given(fv_graph *g, const fv_value *v) { return v && v != fv_absent(g); }

static fv_value *or_absent(fv_graph *g, fv_value *v) { return v ? v : fv_absent(g); }

fv_value *fv_project(fv_graph *g, fv_value *x, fv_value *w, fv_value *b) {
  return fv_op(g, "linear", NULL, x, w, or_absent(g, b));
}

fv_value *fv_softmax_last(fv_graph *g, fv_value *score, fv_value *mask) {
  return fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, score, or_absent(g, mask));
}

fv_value *fv_repeat(fv_graph *g, fv_value *x, fv_shape shape) {
  fv_broadcast_to_attrs to = {.shape.n = shape.ndim};
  for (int i = 0; i < shape.ndim; i++) to.shape.v[i] = shape.dim[i];
  return fv_op(g, "broadcast_to", &to, x);
}

fv_value *fv_additive_score(fv_graph *g, fv_value *x, fv_value *w, fv_value *b, fv_value *query, fv_value *v) {
  int64_t rows = fv_dim(x, 0) * fv_dim(x, 1);
  fv_additive_score_attrs attrs = {.keep = fv_given(g, w) && fv_additive_keeps(rows, fv_dim(x, 2), fv_dim(v, 0))};
  return fv_op(g, "additive_score", &attrs, x, v, or_absent(g, w), or_absent(g, b), or_absent(g, query));
}

fv_value *fv_weigh(fv_graph *g, fv_value *alpha, fv_value *x) {
  int64_t b = fv_dim(x, 0), s = fv_dim(x, 1), k = fv_dim(x, 2);
  return fv_reshape(g, fv_op(g, "matmul", NULL, fv_reshape(g, alpha, FV_SHAPE(b, 1, s)), x), FV_SHAPE(b, k));
}

fv_value *fv_pool_score(fv_graph *g, fv_value *x, fv_value *const *par) {
  return fv_additive_score(g, x, par[0], par[1], NULL, par[2]);
}

/* ---- attention of heads ------------------------------------------------------------------------------------------ */
/* first, first + 1, ... as [n,1] (queries, beside keys) or [n] */
static fv_value *count_from(fv_graph *g, int64_t first, int64_t n, bool beside) {
  int32_t *v = n <= INT32_MAX ? fv_arena_alloc(g->arena, (size_t)FV_MAX(n, 1) * sizeof *v) : NULL;
  if (!v) return fv_graph_fail(g, FV_FAIL(FV_ERR_MEMORY, "attention mask: expected memory for %lld places, got none",
                                          (long long)n));
  for (int64_t i = 0; i < n; i++) v[i] = (int32_t)FV_MAX(FV_MIN(first + i, INT32_MAX), INT32_MIN);
  return fv_const_data(g, FV_I32, beside ? FV_SHAPE(n, 1) : FV_SHAPE(n), v);
}

/* [T,S], made of vectors when it is needed: who only asks for the result never holds it. */
static fv_value *order_mask(fv_graph *g, bool causal, int64_t window, int64_t t, int64_t s) {
  fv_value *keys = count_from(g, 0, s, false);
  fv_value *before = causal ? fv_op(g, "le", NULL, keys, count_from(g, s - t, t, true)) : NULL;
  fv_value *after = window > 0 ? fv_op(g, "gt", NULL, keys, count_from(g, s - t - window, t, true)) : NULL;
  return before && after ? fv_op(g, "logical_and", NULL, before, after) : before ? before : after;
}

/* -slope |t + S - T - s|: [H,T,S] */
static fv_value *distance_bias(fv_graph *g, fv_value *slopes, int64_t t, int64_t s) {
  fv_value *queries = fv_real(g, count_from(g, s - t, t, true)), *keys = fv_real(g, count_from(g, 0, s, false));
  fv_value *away = fv_op(g, "abs", NULL, fv_op(g, "sub", NULL, queries, keys));
  return fv_op(g, "neg", NULL, fv_mul(g, fv_reshape(g, slopes, FV_SHAPE(fv_dim(slopes, 0), 1, 1)), away));
}

/* What goes with scores [B,H,T,S]; absent when nothing is left out. */
static fv_value *attend_mask(fv_graph *g, fv_value *padding, bool causal, int64_t window, int64_t t, int64_t s) {
  fv_value *keys = fv_given(g, padding) ? fv_reshape(g, padding, FV_SHAPE(fv_dim(padding, 0), 1, 1, s)) : NULL;
  fv_value *order = causal || window > 0 ? order_mask(g, causal, window, t, s) : NULL;
  if (keys && order) return fv_op(g, "logical_and", NULL, keys, order);
  return or_absent(g, keys ? keys : order);
}

/* q [B,T,H,D] -> [B,G,R T,D], R = H/G: the heads of a group and their places are the rows of one product. */
static fv_value *grouped_queries(fv_graph *g, fv_value *q, int64_t groups) {
  int64_t b = fv_dim(q, 0), t = fv_dim(q, 1), r = fv_dim(q, 2) / groups, d = fv_dim(q, 3);
  fv_value *parts = fv_permute(g, fv_reshape(g, q, FV_SHAPE(b, t, groups, r, d)), FV_SHAPE(0, 2, 3, 1, 4));
  return fv_reshape(g, parts, FV_SHAPE(b, groups, r * t, d));
}

static fv_value *attend_weights(fv_graph *g, const fv_sdpa_attrs *a, fv_value *const *in) {
  fv_value *q = in[FV_SDPA_Q], *k = in[FV_SDPA_K];
  int64_t b = fv_dim(q, 0), t = fv_dim(q, 1), h = fv_dim(q, 2), s = fv_dim(k, 1);
  double scale = a->scale != 0 ? a->scale : 1 / sqrt((double)FV_MAX(fv_dim(q, 3), 1));
  q = fv_mul(g, grouped_queries(g, q, fv_dim(k, 2)), fv_const(g, scale));
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, q, fv_swap_heads(g, k));
  score = fv_reshape(g, score, FV_SHAPE(b, h, t, s));
  if (fv_given(g, in[FV_SDPA_BIAS])) score = fv_add(g, score, in[FV_SDPA_BIAS]);
  if (fv_given(g, in[FV_SDPA_SLOPES])) score = fv_add(g, score, distance_bias(g, in[FV_SDPA_SLOPES], t, s));
  return fv_softmax_last(g, score, attend_mask(g, in[FV_SDPA_MASK], a->causal, a->window, t, s));
}

void fv_attend(fv_graph *g, const fv_sdpa_attrs *a, fv_value *const *in, fv_value **out) {
  out[0] = fv_op_apply(g, "sdpa", a, FV_SDPA_SLOPES + 1, in);
  out[1] = out[0] ? attend_weights(g, a, in) : NULL;
}

fv_heads fv_heads_params(fv_graph *g, int64_t e) {
  const fv_init xavier = {.kind = FV_INIT_XAVIER_UNIFORM}, zeros = {.kind = FV_INIT_ZEROS};
  fv_heads h;
  h.w = fv_param(g, "in_proj_weight", FV_SHAPE(3 * e, e), xavier, FV_GROUP_DECAY);
  h.b = fv_param(g, "in_proj_bias", FV_SHAPE(3 * e), zeros, FV_GROUP_NO_DECAY);
  h.wo = fv_param(g, "out_proj.weight", FV_SHAPE(e, e), xavier, FV_GROUP_DECAY);
  h.bo = fv_param(g, "out_proj.bias", FV_SHAPE(e), zeros, FV_GROUP_NO_DECAY);
  return h;
}

fv_value *fv_swap_heads(fv_graph *g, fv_value *x) { return fv_permute(g, x, FV_SHAPE(0, 2, 1, 3)); }

fv_value *fv_gate_channels(fv_graph *g, fv_value *x, fv_value *gate) {
  return fv_mul(g, x, fv_reshape(g, gate, FV_SHAPE(fv_dim(x, 0), 1, 1, fv_dim(x, 3))));
}

/* ---- graphs as CSR ----------------------------------------------------------------------------------------------- */
const fv_option fv_edge_options[] = {
    {.name = "heads", .type = FV_OPT_INT, .offset = offsetof(fv_edge_attrs, heads), .def = "1", .min = 1, .max = 1024,
     .doc = "number of heads"},
    {.name = "concat", .type = FV_OPT_BOOL, .offset = offsetof(fv_edge_attrs, concat), .def = "true",
     .doc = "heads side by side; otherwise their mean"},
    {.name = "slope", .type = FV_OPT_REAL, .offset = offsetof(fv_edge_attrs, slope), .def = "0.2", .min = 0, .max = 1,
     .doc = "of the leaky ReLU below zero"},
    {0}};

bool fv_const_within(fv_graph *g, const char *mechanism, const char *name, const fv_value *v, int64_t lo, int64_t hi) {
  const int32_t *numbers = v && v->kind == FV_VALUE_CONST ? v->data : NULL;
  for (int64_t i = 0, n = v ? fv_shape_count(v->shape) : 0; numbers && i < n; i++)
    if (numbers[i] < lo || numbers[i] > hi) {
      (void)fv_graph_fail(g, FV_FAIL(FV_ERR_REQUEST, "%s: %s[%lld]: expected a number from %lld to %lld, got %d",
                                     mechanism, name, (long long)i, (long long)lo, (long long)hi, numbers[i]));
      return false;
    }
  return true;
}

fv_edges fv_edges_of(fv_graph *g, const char *mechanism, fv_value *row_ptr, fv_value *col) {
  fv_edges e = {.nodes = fv_dim(row_ptr, 0) - 1};
  if (fv_graph_expect_csr(g, mechanism, row_ptr, col, e.nodes)) e.row_ptr = row_ptr, e.col = col;
  return e;
}

void fv_edge_attend(fv_graph *g, const char *op, const fv_edges *e, fv_value *const ends[3], const fv_edge_attrs *attrs,
                    double dropout, fv_value *bias, fv_value **out) {
  const int64_t h = fv_dim(ends[0], 1), d = fv_dim(ends[0], 2), width = attrs->concat ? h * d : d;
  FV_BUILD_REQUIRE(g, !fv_given(g, bias) || fv_dim(bias, 0) == width, "%s: bias: expected [%lld], got %s", op,
                   (long long)width, fv_shape_text(bias->shape));
  const fv_attend_attrs a = {.slope = attrs->slope, .p = dropout};
  const fv_dropout_bits_attrs draw = {.p = dropout, .stream = g->n_nodes, .count = fv_dim(e->col, 0) * h};
  fv_value *kept = dropout > 0 ? fv_op(g, "dropout_bits", &draw, fv_rng_input(g)) : NULL;
  fv_value *in[] = {ends[0], ends[1], ends[2], e->row_ptr, e->col, kept};
  if (!fv_op_n(g, op, &a, dropout > 0 ? 6 : 5, in, 2, out)) return;
  fv_value *y = attrs->concat ? fv_reshape(g, out[0], FV_SHAPE(e->nodes, width))
                              : fv_reduce(g, "mean", out[0], FV_SHAPE(1), false);
  out[0] = fv_given(g, bias) ? fv_add(g, y, bias) : y;
}
