/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_grad: the gradient of sdpa, with the weights recomputed from the scores and their log sum exp (Dao et al.,
 * NeurIPS 2022, algorithm 4). With P the weights and dP what the outputs ask of them, dS = P (dP - sum over s of P
 * dP). */
#include "ops/sdpa.h"

#include <math.h>

static fv_status infer_given(const fv_infer *c, int i, const char *what, fv_dtype dtype, fv_shape want) {
  FV_INFER_REQUIRE(c, !fv_has_in(c, i) || (c->in[i]->dtype == dtype && fv_shape_equal(c->in[i]->shape, want)),
                   "%s: expected %s %s, got %s %s", what, fv_dtype_name(dtype), fv_shape_text(want),
                   fv_dtype_name(c->in[i]->dtype), fv_shape_text(c->in[i]->shape));
  return FV_OK;
}

static fv_status infer(fv_infer *c) {
  const fv_sdpa_attrs *a = c->attrs;
  fv_sdpa_size q;
  FV_TRY(fv_sdpa_infer_inputs(c, &q));
  fv_dtype real = c->in[0]->dtype;
  FV_INFER_REQUIRE(c, fv_has_in(c, FV_SDPA_GRAD_Y) && fv_has_in(c, FV_SDPA_GRAD_LSE),
                   "y, lse: expected both, got none");
  FV_INFER_REQUIRE(c, !fv_has_in(c, FV_SDPA_GRAD_DROWS) || fv_has_in(c, FV_SDPA_ROWS),
                   "rows: expected [R,2], got none");
  FV_INFER_REQUIRE(c, fv_has_in(c, FV_SDPA_GRAD_DTOP) == fv_has_in(c, FV_SDPA_GRAD_INDEX),
                   "dtop, top_index: expected both or neither, got one");
  FV_INFER_REQUIRE(c, !a->dbias || fv_has_in(c, FV_SDPA_BIAS), "dbias: expected a bias, got none");
  FV_INFER_REQUIRE(c, !a->dslopes || fv_has_in(c, FV_SDPA_SLOPES), "dslopes: expected slopes, got none");
  int64_t k = fv_has_in(c, FV_SDPA_GRAD_DTOP) && c->in[FV_SDPA_GRAD_DTOP]->shape.ndim == 4
                  ? c->in[FV_SDPA_GRAD_DTOP]->shape.dim[3] : 0;
  fv_shape y = FV_SHAPE(q.b, q.t, q.h, q.dv), query = FV_SHAPE(q.b, q.h, q.t), top = FV_SHAPE(q.b, q.h, q.t, k);
  FV_TRY(infer_given(c, FV_SDPA_GRAD_Y, "y", real, y));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_LSE, "lse", real, query));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_INDEX, "top_index", FV_I32, top));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_DY, "dy", real, y));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_DTOTALS, "dtotals", real, FV_SHAPE(q.b, q.h, q.s)));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_DENTROPY, "dentropy", real, query));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_DTOP, "dtop", real, top));
  FV_TRY(infer_given(c, FV_SDPA_GRAD_DROWS, "drows", real, FV_SHAPE(q.b, q.rows, q.s)));
  c->n_out = FV_SDPA_GRAD_OUTPUTS;
  for (int i = 0; i < 3; i++) c->shape[i] = c->in[i]->shape;
  c->shape[FV_SDPA_DBIAS] = a->dbias ? c->in[FV_SDPA_BIAS]->shape : FV_SHAPE(0);
  c->shape[FV_SDPA_DSLOPES] = a->dslopes ? FV_SHAPE(q.b, q.h) : FV_SHAPE(0);
  return FV_OK;
}

/* ---- the meaning ------------------------------------------------------------------------------------------------- */
static bool there(const fv_call *c, int i) { return c->n_in > i && c->in[i].data; }
static double get(const fv_call *c, int i, int64_t at) { return there(c, i) ? fv_get(&c->in[i], at) : 0; }
static void add(const fv_tensor *t, int64_t at, double x) { fv_set(t, at, fv_get(t, at) + x); }

typedef struct row { /* one row of the weights */
  int64_t b, h, t, at, group; /* at: in [B,H,T] */
} row;

/* d loss / d y . v_s, before dropout's factor */
static double through_values(const fv_call *c, const fv_sdpa_size *q, const row *r, int64_t s) {
  double dot = 0;
  for (int64_t i = 0; i < q->dv; i++)
    dot += get(c, FV_SDPA_GRAD_DY, ((r->b * q->t + r->t) * q->h + r->h) * q->dv + i) *
           fv_get(&c->in[FV_SDPA_V], ((r->b * q->s + s) * q->g + r->group) * q->dv + i);
  return dot;
}

/* What is asked of the pair's weight besides the output. */
static double through_weights(const fv_call *c, const fv_sdpa_size *q, const row *r, int64_t s, double weight) {
  double d = get(c, FV_SDPA_GRAD_DTOTALS, (r->b * q->h + r->h) * q->s + s);
  if (weight > 0) d -= get(c, FV_SDPA_GRAD_DENTROPY, r->at) * (log(weight) + 1);
  int64_t k = there(c, FV_SDPA_GRAD_DTOP) ? c->in[FV_SDPA_GRAD_DTOP].shape.dim[3] : 0;
  for (int64_t i = 0; i < k; i++)
    if ((int64_t)fv_get(&c->in[FV_SDPA_GRAD_INDEX], r->at * k + i) == s) d += get(c, FV_SDPA_GRAD_DTOP, r->at * k + i);
  for (int64_t i = 0; there(c, FV_SDPA_GRAD_DROWS) && i < q->rows; i++)
    if ((int64_t)fv_get(&c->in[FV_SDPA_ROWS], 2 * i) == r->h &&
        (int64_t)fv_get(&c->in[FV_SDPA_ROWS], 2 * i + 1) == r->t)
      d += fv_get(&c->in[FV_SDPA_GRAD_DROWS], (r->b * q->rows + i) * q->s + s);
  return d;
}

static void pair(const fv_call *c, const fv_sdpa_size *q, const row *r, int64_t s, double weight, double ds) {
  const fv_sdpa_attrs *a = c->attrs;
  int64_t qa = ((r->b * q->t + r->t) * q->h + r->h) * q->d, ka = ((r->b * q->s + s) * q->g + r->group) * q->d;
  int64_t ya = ((r->b * q->t + r->t) * q->h + r->h) * q->dv, va = ((r->b * q->s + s) * q->g + r->group) * q->dv;
  double kept = weight * fv_sdpa_kept(c, q, r->b, r->h, r->t, s);
  for (int64_t i = 0; i < q->d; i++) {
    add(&c->out[FV_SDPA_DQ], qa + i, q->scale * ds * fv_get(&c->in[FV_SDPA_K], ka + i));
    add(&c->out[FV_SDPA_DK], ka + i, q->scale * ds * fv_get(&c->in[FV_SDPA_Q], qa + i));
  }
  for (int64_t i = 0; i < q->dv; i++) add(&c->out[FV_SDPA_DV], va + i, kept * get(c, FV_SDPA_GRAD_DY, ya + i));
  if (a->dbias) add(&c->out[FV_SDPA_DBIAS], ((q->bias_heads == 1 ? 0 : r->h) * q->t + r->t) * q->s + s, ds);
  if (a->dslopes) add(&c->out[FV_SDPA_DSLOPES], r->b * q->h + r->h, -ds * fabs((double)(r->t + q->s - q->t - s)));
}

static double weight_of(const fv_call *c, const fv_sdpa_size *q, const row *r, int64_t s) {
  double x = fv_sdpa_score(c, q, r->b, r->h, r->t, s);
  return x == -INFINITY ? 0 : exp(x - fv_get(&c->in[FV_SDPA_GRAD_LSE], r->at));
}

/* sum over s of P dP: the output's part of it is dy . y. */
static double mean_of(const fv_call *c, const fv_sdpa_size *q, const row *r) {
  double mean = 0;
  int64_t y = ((r->b * q->t + r->t) * q->h + r->h) * q->dv;
  for (int64_t i = 0; i < q->dv; i++) mean += get(c, FV_SDPA_GRAD_DY, y + i) * get(c, FV_SDPA_GRAD_Y, y + i);
  for (int64_t s = 0; s < q->s; s++) {
    double w = weight_of(c, q, r, s);
    if (w != 0) mean += w * through_weights(c, q, r, s, w);
  }
  return mean;
}

static void ref(const fv_call *c) {
  const fv_sdpa_size q = fv_sdpa_size_of(c->node);
  for (int i = 0; i < c->n_out; i++)
    for (int64_t j = 0, n = fv_shape_count(c->out[i].shape); j < n; j++) fv_set(&c->out[i], j, 0);
  for (int64_t i = 0; i < q.b * q.h * q.t; i++) {
    row r = {.b = i / q.t / q.h, .h = i / q.t % q.h, .t = i % q.t, .at = i};
    r.group = r.h / (q.h / q.g);
    double mean = mean_of(c, &q, &r);
    for (int64_t s = 0; s < q.s; s++) {
      double w = weight_of(c, &q, &r, s);
      if (w == 0) continue;
      double d = through_values(c, &q, &r, s) * fv_sdpa_kept(c, &q, r.b, r.h, r.t, s);
      pair(c, &q, &r, s, w, w * (d + through_weights(c, &q, &r, s, w) - mean));
    }
  }
}

static fv_cost cost(const fv_node *n) {
  fv_sdpa_size q = fv_sdpa_size_of(n);
  return (fv_cost){.flops = fv_sdpa_pairs(n) * (double)(6 * q.d + 4 * q.dv), .bytes = fv_cost_io(n)};
}

/* y and lse are any numbers here, as good for the formula as sdpa's. */
#define RNG "4:i32@-2147483648..2147483647"
static const fv_case cases[] = {
    {.in = "1,1,1,1; 1,1,1,1; 1,1,1,1; -; -; -; -; -; 1,1,1,1; 1,1,1; -; 1,1,1,1"},
    {.in = "2,5,3,4; 2,7,3,4; 2,7,3,5; -; -; -; -; -; 2,5,3,5; 2,3,5@1..3; -; 2,5,3,5"},
    {.in = "1,67,1,40; 1,131,1,40; 1,131,1,24; -; -; -; -; -; 1,67,1,24; 1,1,67@4..6; -; 1,67,1,24",
     .attrs = "scale=0.2"},
    {.in = "2,17,4,3; 2,19,2,3; 2,19,2,1; 2,19:u8; -; -; -; -; 2,17,4,1; 2,4,17@2..3; -; 2,17,4,1"},
    {.in = "1,70,2,17; 1,70,1,17; 1,70,1,33; -; -; -; -; -; 1,70,2,33; 1,2,70@2..3; -; 1,70,2,33",
     .attrs = "causal=true window=9"},
    {.in = "2,13,2,6; 2,37,1,6; 2,37,1,7; 2,37:u8; 2,13,37; -; -; -; 2,13,2,7; 2,2,13@3..4; -; 2,13,2,7",
     .attrs = "dbias=true causal=true"},
    {.in = "2,20,4,6; 2,37,2,6; 2,37,2,17; -; 1,20,37; 4@0..0.2; -; -; 2,20,4,17; 2,4,20@3..4; -; 2,20,4,17",
     .attrs = "dbias=true dslopes=true causal=true"},
    {.in = "2,18,2,8; 2,67,1,8; 2,67,1,9; -; -; -; -; " RNG "; 2,18,2,9; 2,2,18@4..5; -; 2,18,2,9",
     .attrs = "p=0.4 stream=2"},
    {.in = "1,2,2,8; 1,67,1,8; 1,67,1,9; -; -; 2@0..0.1; -; " RNG "; 1,2,2,9; 1,2,2@4..5; -; 1,2,2,9",
     .attrs = "p=0.4 causal=true"},
    {.in = "1,40,2,5; 1,12,2,5; 1,12,2,6; -; -; -; 3,2:i32@0..1; -; 1,40,2,6; 1,2,40@2..3; 1,2,40,2:i32@-1..11; "
           "1,40,2,6; 1,2,12; 1,2,40; 1,2,40,2; 1,3,12", .attrs = "causal=true"},
    {.in = "2,9,2,5; 2,33,1,5; 2,33,1,6; 2,33:u8; 2,9,33; -; 4,2:i32@0..1; -; 2,9,2,6; 2,2,9@3..4; 2,2,9,3:i32@-1..32; "
           "-; 2,2,33; 2,2,9; 2,2,9,3; 2,4,33", .attrs = "dbias=true"},
    {.in = "1,300,1,8; 1,600,1,8; 1,600,1,8; -; -; -; -; -; 1,300,1,8; 1,1,300@6..7; -; 1,300,1,8",
     .attrs = "causal=true"},
    {.in = "2,3,2,4; 2,0,2,4; 2,0,2,5; -; -; -; -; -; 2,3,2,5; 2,2,3; -; 2,3,2,5"},
    {.in = "2,0,2,4; 2,3,2,4; 2,3,2,5; -; -; -; -; -; 2,0,2,5; 2,2,0; -; 2,0,2,5"},
    {0}};

const fv_op_def fv_op_sdpa_grad = {
    .name = "sdpa_grad",
    .doc = "dq, dk, dv (and those of bias and slopes) of sdpa, its weights recomputed from their log sum exp (Dao et\n"
           "al. 2022); inputs as sdpa, y, lse, top_index, then the gradients of its outputs",
    .n_in = 3,
    .n_in_max = FV_SDPA_GRAD_INPUTS,
    .flags = FV_OP_PRODUCT | FV_OP_SHARDED,
    .attrs_size = sizeof(fv_sdpa_attrs),
    .attrs = fv_sdpa_grad_options,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
