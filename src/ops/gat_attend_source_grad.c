/* SPDX-License-Identifier: Apache-2.0 */
/* gat_attend_source_grad: what goes to the sources, over their outgoing edges (the transposed graph). alpha is computed
 * again from the scores and the log-sum-exp; with w_k = alpha_k (m_k <dy_i, h_j> + dalpha_k - delta_i):
 * dh_j = sum m_k alpha_k dy_i, dsource_j = sum w_k slope_k. */
#include "ops/attend.h"

#include <math.h>

enum { DY, X, SOURCE, TARGET };

static fv_status infer(fv_infer *c) {
  fv_attend_sizes a;
  FV_TRY(fv_attend_infer_ends(c, DY, X, &a));
  FV_TRY(fv_attend_infer_real(c, SOURCE, "source", FV_SHAPE(a.sources, a.heads)));
  FV_TRY(fv_attend_infer_real(c, TARGET, "target", FV_SHAPE(a.targets, a.heads)));
  a.edges = c->in[FV_ATTEND_T_ROW]->shape.ndim == 1 ? c->in[FV_ATTEND_T_ROW]->shape.dim[0] : 0;
  FV_TRY(fv_attend_infer_source_grad(c, &a));
  c->n_out = 2;
  c->shape[0] = FV_SHAPE(a.sources, a.heads, a.width);
  c->shape[1] = FV_SHAPE(a.sources, a.heads);
  return FV_OK;
}

/* One edge's part; false when it is left out. */
static bool edge(const fv_call *c, int64_t j, int64_t h, int64_t k, int64_t *target, double *w, double *dsource) {
  const int64_t heads = c->in[X].shape.dim[1], d = c->in[X].shape.dim[2];
  const int64_t i = (int64_t)fv_get(&c->in[FV_ATTEND_T_ROW], k), e = (int64_t)fv_get(&c->in[FV_ATTEND_T_EDGE], k);
  if (i < 0 || i >= c->in[DY].shape.dim[0] || e < 0 || e >= c->in[FV_ATTEND_T_ROW].shape.dim[0]) return false;
  const double slope = ((const fv_attend_attrs *)c->attrs)->slope;
  const double z = fv_get(&c->in[TARGET], i * heads + h) + fv_get(&c->in[SOURCE], j * heads + h);
  const double alpha = exp(fv_attend_leaky(z, slope) - fv_get(&c->in[FV_ATTEND_LSE], i * heads + h));
  const double dalpha = fv_attend_in(c, FV_ATTEND_DALPHA) ? fv_get(&c->in[FV_ATTEND_DALPHA], e * heads + h) : 0;
  double dot = 0;
  for (int64_t f = 0; f < d; f++)
    dot += fv_get(&c->in[DY], (i * heads + h) * d + f) * fv_get(&c->in[X], (j * heads + h) * d + f);
  *target = i;
  *w = alpha * fv_attend_kept(c, FV_ATTEND_T_KEPT, e * heads + h);
  *dsource = (*w * dot + alpha * (dalpha - fv_get(&c->in[FV_ATTEND_DELTA], i * heads + h))) * (z > 0 ? 1 : slope);
  return true;
}

static void source(const fv_call *c, int64_t j, int64_t h, int64_t begin, int64_t end) {
  const int64_t heads = c->in[X].shape.dim[1], d = c->in[X].shape.dim[2], at = j * heads + h;
  double sum = 0, w, part;
  int64_t i;
  for (int64_t f = 0; f < d; f++) {
    double dx = 0;
    for (int64_t k = begin; k < end; k++)
      if (edge(c, j, h, k, &i, &w, &part)) dx += w * fv_get(&c->in[DY], (i * heads + h) * d + f);
    fv_set(&c->out[0], at * d + f, dx);
  }
  for (int64_t k = begin; k < end; k++)
    if (edge(c, j, h, k, &i, &w, &part)) sum += part;
  fv_set(&c->out[1], at, sum);
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[FV_ATTEND_T_ROW].shape.dim[0], rows = c->in[X].shape.dim[0], heads = c->in[X].shape.dim[1];
  int64_t end = fv_segment_bound(&c->in[FV_ATTEND_T_PTR], 0, 0, n);
  for (int64_t j = 0; j < rows; j++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[FV_ATTEND_T_PTR], j + 1, begin, n);
    for (int64_t h = 0; h < heads; h++) source(c, j, h, begin, end);
  }
}

static fv_cost cost(const fv_node *n) {
  const fv_shape x = n->in[X]->shape;
  return fv_attend_cost(n, n->in[FV_ATTEND_T_ROW]->shape.dim[0], x.dim[1] * (x.dim[2] + 3), 4);
}

#define SUMS .tolerance = 2e-5
static const fv_case cases[] = {
    {.in = "0,3,4; 0,3,4; 0,3; 0,3; 0,3; 0,3; 1:i32; 0:i32; 0:i32"},
    {.in = "3,2,0; 3,2,0; 3,2; 3,2; 3,2; 3,2; 4:i32@0..5; 5:i32@0..2; 5:i32@0..4", SUMS},
    {.in = "3,0,2; 3,0,2; 3,0; 3,0; 3,0; 3,0; 4:i32@0..5; 5:i32@0..2; 5:i32@0..4"},
    {.in = "5,8,8; 7,8,8; 7,8; 5,8; 5,8; 5,8; 8:i32@0..25; 25:i32@0..4; 25:i32@0..24", SUMS},
    {.in = "9,3,5; 40,3,5; 40,3; 9,3; 9,3; 9,3; 41:i32@0..600; 300:i32@0..8; 300:i32@0..299", .attrs = "slope=0", SUMS},
    {.in = "9,1,16; 4,1,16; 4,1; 9,1; 9,1; 9,1; 5:i32@0..90; 90:i32@0..8; 90:i32@0..89; 90,1", SUMS},
    {.in = "9,17,2; 5,17,2; 5,17; 9,17; 9,17; 9,17; 6:i32@0..30; 30:i32@0..8; 30:i32@0..29; 30,17", SUMS},
    {.in = "9,4,32; 5,4,32; 5,4; 9,4; 9,4; 9,4; 6:i32@0..30; 30:i32@0..8; 30:i32@0..29", SUMS},
    {.in = "9,2,67; 5,2,67; 5,2; 9,2; 9,2; 9,2; 6:i32@0..30; 30:i32@0..8; 30:i32@0..29", SUMS},
    {.in = "5,8,8; 7,8,8; 7,8; 5,8; 5,8; 5,8; 8:i32@0..70; 70:i32@0..4; 70:i32@0..69; -" FV_ATTEND_BITS(18),
     .attrs = "p=0.6", SUMS},
    {.in = "5,3,4; 7,3,4; 7,3; 5,3; 5,3; 5,3; 8:i32@0..70; 70:i32@0..4; 70:i32@0..69; 70,3" FV_ATTEND_BITS(8),
     .attrs = "p=0.3", SUMS},
    {.in = "5,3,4; 7,3,4; 7,3; 5,3; 5,3; 5,3; 8:i32@-9..40; 30:i32@-2..7; 30:i32@-2..33", .note = "outside: left out",
     SUMS},
    {0}};

const fv_op_def fv_op_gat_attend_source_grad = {
    .name = "gat_attend_source_grad",
    .doc = "dh_j = sum m alpha dy_i, dsource_j = sum slope alpha (m <dy_i, h_j> + dalpha - delta_i) over edges j to i;"
           "\ninputs dy, h [V,H,D], source, target, lse, delta [V,H], the transposed graph, optional dalpha, kept",
    .n_in = FV_ATTEND_T_EDGE + 1,
    .n_in_max = FV_ATTEND_SOURCE_GRAD_INPUTS,
    .flags = FV_OP_SHARDED,
    .attrs_size = sizeof(fv_attend_attrs),
    .attrs = fv_attend_options,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
