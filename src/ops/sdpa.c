/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa: scaled dot-product attention (Vaswani et al., NeurIPS 2017) as one operation that never holds its T x S
 * weights, only what is asked of them: sums over queries, entropies, the largest k of each query, chosen rows.
 * Grouped keys: Ainslie et al. 2023; slopes: Press et al., ICLR 2022. A query that sees nothing gets 0. */
#include "ops/sdpa.h"

#include "ops/dropout.h"

#include <math.h>

#define SHARED_OPTIONS                                                                                               \
  {"scale", FV_OPT_REAL, offsetof(fv_sdpa_attrs, scale), "0", -1e6, 1e6, NULL, "of the products; 0: 1/sqrt(D)"},     \
  {"causal", FV_OPT_BOOL, offsetof(fv_sdpa_attrs, causal), "false", 0, 0, NULL, "query t sees keys s <= t + S - T"}, \
  {"window", FV_OPT_INT, offsetof(fv_sdpa_attrs, window), "0", 0, 0x1p40, NULL,                                      \
   "query t sees keys s > t + S - T - window; 0: all"},                                                              \
  {"p", FV_OPT_REAL, offsetof(fv_sdpa_attrs, p), "0", 0, 1, NULL, "dropout of the weights"},                         \
  {"stream", FV_OPT_INT, offsetof(fv_sdpa_attrs, stream), "0", 0, 0, NULL, "a number of the node's own, for dropout"}
static const fv_option options[] = {
    SHARED_OPTIONS,
    {"topk", FV_OPT_INT, offsetof(fv_sdpa_attrs, topk), "0", 0, 64, NULL, "give the largest weights of each query"},
    {"totals", FV_OPT_BOOL, offsetof(fv_sdpa_attrs, totals), "false", 0, 0, NULL, "give each key's sum of weights"},
    {"entropy", FV_OPT_BOOL, offsetof(fv_sdpa_attrs, entropy), "false", 0, 0, NULL, "give each query's entropy"},
    {0}};
const fv_option fv_sdpa_grad_options[] = {
    SHARED_OPTIONS,
    {"dbias", FV_OPT_BOOL, offsetof(fv_sdpa_attrs, dbias), "false", 0, 0, NULL, "give the gradient of the bias"},
    {"dslopes", FV_OPT_BOOL, offsetof(fv_sdpa_attrs, dslopes), "false", 0, 0, NULL, "give the gradient of the slopes"},
    {0}};

/* ---- sizes ------------------------------------------------------------------------------------------------------- */
static fv_sdpa_size size_of(const fv_sdpa_attrs *a, int n_in, fv_value *const *in) {
  fv_shape q = in[FV_SDPA_Q]->shape, k = in[FV_SDPA_K]->shape;
  fv_sdpa_size n = {.b = q.dim[0], .t = q.dim[1], .h = q.dim[2], .d = q.dim[3], .s = k.dim[1], .g = k.dim[2],
                    .dv = in[FV_SDPA_V]->shape.dim[3]};
  if (n_in > FV_SDPA_BIAS && in[FV_SDPA_BIAS]->kind != FV_VALUE_ABSENT) n.bias_heads = in[FV_SDPA_BIAS]->shape.dim[0];
  if (n_in > FV_SDPA_ROWS && in[FV_SDPA_ROWS]->kind != FV_VALUE_ABSENT) n.rows = in[FV_SDPA_ROWS]->shape.dim[0];
  n.scale = a->scale != 0 ? a->scale : 1 / sqrt((double)FV_MAX(n.d, 1));
  return n;
}

fv_sdpa_size fv_sdpa_size_of(const fv_node *n) { return size_of(n->attrs, n->n_in, n->in); }

double fv_sdpa_pairs(const fv_node *n) {
  fv_sdpa_size q = fv_sdpa_size_of(n);
  double pairs = 0;
  for (int64_t t = 0; t < q.t; t++) {
    int64_t begin, end;
    fv_sdpa_span(n->attrs, t, q.t, q.s, &begin, &end);
    pairs += (double)(end - begin);
  }
  return pairs * (double)(q.b * q.h);
}

static fv_status infer_optional(const fv_infer *c, int i, const char *what, fv_dtype dtype, fv_shape want) {
  if (!fv_has_in(c, i)) return FV_OK;
  FV_INFER_REQUIRE(c, c->in[i]->dtype == dtype && fv_shape_equal(c->in[i]->shape, want),
                   "%s: expected %s %s, got %s %s", what, fv_dtype_name(dtype), fv_shape_text(want),
                   fv_dtype_name(c->in[i]->dtype), fv_shape_text(c->in[i]->shape));
  return FV_OK;
}

static fv_status infer_rows(const fv_infer *c, const fv_sdpa_size *q) {
  if (!fv_has_in(c, FV_SDPA_ROWS)) return FV_OK;
  const fv_value *rows = c->in[FV_SDPA_ROWS];
  FV_INFER_REQUIRE(c, rows->dtype == FV_I32 && rows->shape.ndim == 2 && rows->shape.dim[1] == 2,
                   "rows: expected i32 [R,2], got %s %s", fv_dtype_name(rows->dtype), fv_shape_text(rows->shape));
  const int32_t *v = rows->kind == FV_VALUE_CONST ? rows->data : NULL;
  for (int64_t i = 0; v && i < q->rows; i++)
    FV_INFER_REQUIRE(c, v[2 * i] >= 0 && v[2 * i] < q->h && v[2 * i + 1] >= 0 && v[2 * i + 1] < q->t,
                     "rows[%lld]: expected a head below %lld and a query below %lld, got %d and %d", (long long)i,
                     (long long)q->h, (long long)q->t, v[2 * i], v[2 * i + 1]);
  return FV_OK;
}

fv_status fv_sdpa_infer_inputs(fv_infer *c, fv_sdpa_size *size) {
  const fv_sdpa_attrs *a = c->attrs;
  fv_dtype real = c->in[FV_SDPA_Q]->dtype;
  FV_INFER_REQUIRE(c, real == FV_F32 || real == FV_F64, "q: expected real numbers, got %s", fv_dtype_name(real));
  FV_INFER_REQUIRE(c, c->in[FV_SDPA_Q]->shape.ndim == 4, "q: expected [B,T,H,D], got %s",
                   fv_shape_text(c->in[FV_SDPA_Q]->shape));
  for (int i = FV_SDPA_K; i <= FV_SDPA_V; i++)
    FV_INFER_REQUIRE(c, c->in[i]->dtype == real && c->in[i]->shape.ndim == 4, "%s: expected %s [B,S,G,D], got %s %s",
                     i == FV_SDPA_K ? "k" : "v", fv_dtype_name(real), fv_dtype_name(c->in[i]->dtype),
                     fv_shape_text(c->in[i]->shape));
  fv_shape q = c->in[FV_SDPA_Q]->shape, k = c->in[FV_SDPA_K]->shape, v = c->in[FV_SDPA_V]->shape;
  FV_INFER_REQUIRE(c, k.dim[0] == q.dim[0] && k.dim[3] == q.dim[3], "k: expected [%lld,S,G,%lld] as q has, got %s",
                   (long long)q.dim[0], (long long)q.dim[3], fv_shape_text(k));
  FV_INFER_REQUIRE(c, k.dim[2] > 0 && q.dim[2] % k.dim[2] == 0,
                   "k: expected groups that divide the %lld heads, got %lld", (long long)q.dim[2], (long long)k.dim[2]);
  FV_INFER_REQUIRE(c, v.dim[0] == k.dim[0] && v.dim[1] == k.dim[1] && v.dim[2] == k.dim[2],
                   "v: expected [%lld,%lld,%lld,Dv] as k has, got %s", (long long)k.dim[0], (long long)k.dim[1],
                   (long long)k.dim[2], fv_shape_text(v));
  FV_INFER_REQUIRE(c, q.dim[1] <= INT32_MAX && k.dim[1] <= INT32_MAX, "q, k: expected at most %d places, got %s, %s",
                   INT32_MAX, fv_shape_text(q), fv_shape_text(k));
  int64_t heads = fv_has_in(c, FV_SDPA_BIAS) && c->in[FV_SDPA_BIAS]->shape.ndim > 0 &&
                          c->in[FV_SDPA_BIAS]->shape.dim[0] == 1 ? 1 : q.dim[2];
  FV_TRY(infer_optional(c, FV_SDPA_MASK, "mask", FV_U8, FV_SHAPE(q.dim[0], k.dim[1])));
  FV_TRY(infer_optional(c, FV_SDPA_BIAS, "bias", real, FV_SHAPE(heads, q.dim[1], k.dim[1])));
  FV_TRY(infer_optional(c, FV_SDPA_SLOPES, "slopes", real, FV_SHAPE(q.dim[2])));
  FV_TRY(infer_optional(c, FV_SDPA_RNG, "rng", FV_I32, FV_SHAPE(4)));
  FV_INFER_REQUIRE(c, a->p == 0 || fv_has_in(c, FV_SDPA_RNG), "rng: expected i32 [4] for dropout p = %g, got none",
                   a->p);
  *size = size_of(a, c->n_in, c->in);
  return infer_rows(c, size);
}

static fv_status infer(fv_infer *c) {
  const fv_sdpa_attrs *a = c->attrs;
  fv_sdpa_size q;
  FV_TRY(fv_sdpa_infer_inputs(c, &q));
  for (int i = FV_SDPA_Y; i < FV_SDPA_OUTPUTS; i++) c->shape[i] = FV_SHAPE(0);
  c->n_out = FV_SDPA_OUTPUTS;
  c->shape[FV_SDPA_Y] = FV_SHAPE(q.b, q.t, q.h, q.dv);
  if (a->totals) c->shape[FV_SDPA_TOTALS] = FV_SHAPE(q.b, q.h, q.s);
  if (a->entropy) c->shape[FV_SDPA_ENTROPY] = FV_SHAPE(q.b, q.h, q.t);
  if (a->topk > 0) c->shape[FV_SDPA_TOP] = c->shape[FV_SDPA_TOP_INDEX] = FV_SHAPE(q.b, q.h, q.t, a->topk);
  c->dtype[FV_SDPA_TOP_INDEX] = FV_I32;
  if (q.rows > 0) c->shape[FV_SDPA_ROWS_OUT] = FV_SHAPE(q.b, q.rows, q.s);
  c->shape[FV_SDPA_LSE] = FV_SHAPE(q.b, q.h, q.t);
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_sdpa_attrs a = *(const fv_sdpa_attrs *)c->node->attrs;
  fv_value *in[FV_SDPA_GRAD_INPUTS], *got[FV_SDPA_GRAD_OUTPUTS], *const *out = c->node->out, *none = fv_absent(c->g);
  static const struct {
    int output, input;
  } given[] = {{FV_SDPA_Y, FV_SDPA_GRAD_DY}, {FV_SDPA_TOTALS, FV_SDPA_GRAD_DTOTALS},
               {FV_SDPA_ENTROPY, FV_SDPA_GRAD_DENTROPY}, {FV_SDPA_TOP, FV_SDPA_GRAD_DTOP},
               {FV_SDPA_ROWS_OUT, FV_SDPA_GRAD_DROWS}};
  for (int i = 0; i < FV_SDPA_INPUTS; i++) in[i] = i < c->node->n_in ? c->node->in[i] : none;
  in[FV_SDPA_GRAD_Y] = out[FV_SDPA_Y];
  in[FV_SDPA_GRAD_LSE] = out[FV_SDPA_LSE];
  for (size_t i = 0; i < FV_COUNT(given); i++) {
    fv_value *d = c->dout[given[i].output];
    in[given[i].input] = d && fv_shape_count(d->shape) > 0 ? d : none;
  }
  in[FV_SDPA_GRAD_INDEX] = in[FV_SDPA_GRAD_DTOP] != none ? out[FV_SDPA_TOP_INDEX] : none;
  if (in[FV_SDPA_GRAD_DROWS] == none) in[FV_SDPA_ROWS] = none;
  a.topk = 0, a.totals = a.entropy = false;
  a.dbias = c->node->n_in > FV_SDPA_BIAS && c->need[FV_SDPA_BIAS];
  a.dslopes = c->node->n_in > FV_SDPA_SLOPES && c->need[FV_SDPA_SLOPES];
  if (!fv_op_n(c->g, "sdpa_grad", &a, FV_SDPA_GRAD_INPUTS, in, FV_SDPA_GRAD_OUTPUTS, got)) return fv_graph_check(c->g);
  for (int i = 0; i < 3; i++)
    if (c->need[i]) c->din[i] = got[i];
  if (a.dbias) c->din[FV_SDPA_BIAS] = got[FV_SDPA_DBIAS];
  if (a.dslopes) c->din[FV_SDPA_SLOPES] = fv_sum_to(c->g, got[FV_SDPA_DSLOPES], in[FV_SDPA_SLOPES]->shape);
  return fv_graph_check(c->g);
}

/* ---- the meaning ------------------------------------------------------------------------------------------------- */
static const fv_tensor *given(const fv_call *c, int i) { return c->n_in > i && c->in[i].data ? &c->in[i] : NULL; }

double fv_sdpa_score(const fv_call *c, const fv_sdpa_size *q, int64_t b, int64_t h, int64_t t, int64_t s) {
  const fv_tensor *mask = given(c, FV_SDPA_MASK), *bias = given(c, FV_SDPA_BIAS), *slopes = given(c, FV_SDPA_SLOPES);
  int64_t begin, end, group = h / (q->h / q->g);
  fv_sdpa_span(c->attrs, t, q->t, q->s, &begin, &end);
  if (s < begin || s >= end || (mask && fv_get(mask, b * q->s + s) == 0)) return -INFINITY;
  double x = 0;
  for (int64_t i = 0; i < q->d; i++)
    x += fv_get(&c->in[FV_SDPA_Q], ((b * q->t + t) * q->h + h) * q->d + i) *
         fv_get(&c->in[FV_SDPA_K], ((b * q->s + s) * q->g + group) * q->d + i);
  x *= q->scale;
  if (bias) x += fv_get(bias, ((q->bias_heads == 1 ? 0 : h) * q->t + t) * q->s + s);
  if (slopes) x -= fv_get(slopes, h) * fabs((double)(t + q->s - q->t - s));
  return x <= FV_SDPA_MASKED ? -INFINITY : x;
}

double fv_sdpa_kept(const fv_call *c, const fv_sdpa_size *q, int64_t b, int64_t h, int64_t t, int64_t s) {
  const fv_sdpa_attrs *a = c->attrs;
  if (a->p == 0) return 1;
  const int32_t *rng = c->in[FV_SDPA_RNG].data;
  uint64_t seed = fv_dropout_seed(rng), stream = fv_dropout_stream(a->stream, rng);
  int64_t element = ((b * q->h + h) * q->t + t) * q->s + s;
  return fv_dropout_word(seed, stream, element) >= fv_dropout_threshold(a->p) ? 1 / (1 - a->p) : 0;
}

typedef struct query { /* one row of the weights */
  int64_t b, h, t;
  double lse;
} query;

static double weight(const fv_call *c, const fv_sdpa_size *q, const query *r, int64_t s) {
  double x = fv_sdpa_score(c, q, r->b, r->h, r->t, s);
  return x == -INFINITY ? 0 : exp(x - r->lse);
}

static double log_sum_exp(const fv_call *c, const fv_sdpa_size *q, const query *r) {
  double max = -INFINITY, sum = 0;
  for (int64_t s = 0; s < q->s; s++) {
    double x = fv_sdpa_score(c, q, r->b, r->h, r->t, s);
    max = isnan(x) ? x : fmax(max, x);
    if (isnan(x)) return x;
  }
  if (max == -INFINITY) return max;
  for (int64_t s = 0; s < q->s; s++) sum += exp(fv_sdpa_score(c, q, r->b, r->h, r->t, s) - max);
  return max + log(sum);
}

static void mean_of_values(const fv_call *c, const fv_sdpa_size *q, const query *r) {
  int64_t group = r->h / (q->h / q->g), y = ((r->b * q->t + r->t) * q->h + r->h) * q->dv;
  for (int64_t i = 0; i < q->dv; i++) fv_set(&c->out[FV_SDPA_Y], y + i, 0);
  for (int64_t s = 0; s < q->s; s++) {
    double w = weight(c, q, r, s) * fv_sdpa_kept(c, q, r->b, r->h, r->t, s);
    int64_t v = ((r->b * q->s + s) * q->g + group) * q->dv;
    for (int64_t i = 0; w != 0 && i < q->dv; i++)
      fv_set(&c->out[FV_SDPA_Y], y + i, fv_get(&c->out[FV_SDPA_Y], y + i) + w * fv_get(&c->in[FV_SDPA_V], v + i));
  }
}

static void largest(const fv_call *c, const fv_sdpa_size *q, const query *r, int64_t k) {
  int64_t at = ((r->b * q->h + r->h) * q->t + r->t) * k, last_s = -1;
  double last = INFINITY;
  for (int64_t i = 0; i < k; i++) { /* the largest of those that come after the one before */
    int64_t best_s = -1;
    double best = 0;
    for (int64_t s = 0; s < q->s; s++) {
      if (fv_sdpa_score(c, q, r->b, r->h, r->t, s) == -INFINITY) continue;
      double w = weight(c, q, r, s);
      bool left = w < last || (w == last && s > last_s);
      if (left && (best_s < 0 || w > best)) best = w, best_s = s;
    }
    fv_set(&c->out[FV_SDPA_TOP], at + i, best);
    fv_set(&c->out[FV_SDPA_TOP_INDEX], at + i, (double)best_s);
    if (best_s < 0) last = -1;
    else last = best, last_s = best_s;
  }
}

static void reduced(const fv_call *c, const fv_sdpa_size *q, const query *r) {
  const fv_sdpa_attrs *a = c->attrs;
  double entropy = 0;
  for (int64_t s = 0; s < q->s; s++) {
    double w = weight(c, q, r, s);
    if (w > 0 || isnan(w)) entropy -= w * log(w);
    int64_t at = (r->b * q->h + r->h) * q->s + s;
    if (a->totals) fv_set(&c->out[FV_SDPA_TOTALS], at, (r->t ? fv_get(&c->out[FV_SDPA_TOTALS], at) : 0) + w);
  }
  if (a->entropy) fv_set(&c->out[FV_SDPA_ENTROPY], (r->b * q->h + r->h) * q->t + r->t, entropy);
  if (a->topk > 0) largest(c, q, r, a->topk);
}

/* A pair outside of what there is cannot be refused while running: its row is NaN. */
static void chosen_row(const fv_call *c, const fv_sdpa_size *q, int64_t b, int64_t i) {
  const int32_t *pair = (const int32_t *)c->in[FV_SDPA_ROWS].data + 2 * i;
  bool there = pair[0] >= 0 && pair[0] < q->h && pair[1] >= 0 && pair[1] < q->t;
  query r = {.b = b, .h = pair[0], .t = pair[1]};
  if (there) r.lse = fv_get(&c->out[FV_SDPA_LSE], (b * q->h + r.h) * q->t + r.t);
  for (int64_t s = 0; s < q->s; s++)
    fv_set(&c->out[FV_SDPA_ROWS_OUT], (b * q->rows + i) * q->s + s, there ? weight(c, q, &r, s) : (double)NAN);
}

static void ref(const fv_call *c) {
  const fv_sdpa_size q = fv_sdpa_size_of(c->node);
  const fv_sdpa_attrs *a = c->attrs;
  for (int64_t i = 0; a->totals && q.t == 0 && i < q.b * q.h * q.s; i++) fv_set(&c->out[FV_SDPA_TOTALS], i, 0);
  for (int64_t i = 0; i < q.b * q.h * q.t; i++) {
    query r = {.b = i / q.t / q.h, .h = i / q.t % q.h, .t = i % q.t};
    r.lse = log_sum_exp(c, &q, &r);
    fv_set(&c->out[FV_SDPA_LSE], i, r.lse);
    mean_of_values(c, &q, &r);
    reduced(c, &q, &r);
  }
  for (int64_t i = 0; i < q.b * q.rows; i++) chosen_row(c, &q, i / q.rows, i % q.rows);
}

static fv_cost cost(const fv_node *n) {
  fv_sdpa_size q = fv_sdpa_size_of(n);
  return (fv_cost){.flops = 2 * fv_sdpa_pairs(n) * (double)(q.d + q.dv), .bytes = fv_cost_io(n)};
}

#define RNG "; 4:i32@-2147483648..2147483647"
#define ALL "topk=3 totals=true entropy=true"
static const fv_case cases[] = {
    {.in = "1,1,1,1; 1,1,1,1; 1,1,1,1"},
    {.in = "2,5,3,4; 2,7,3,4; 2,7,3,5"},
    {.in = "1,33,2,16; 1,47,2,16; 1,47,2,16"},
    {.in = "1,64,1,64; 1,64,1,64; 1,64,1,64", .attrs = "causal=true"},
    {.in = "1,35,1,40; 1,131,1,40; 1,131,1,40", .attrs = "scale=0.3"},
    {.in = "2,17,4,3; 2,19,2,3; 2,19,2,1; 2,19:u8", .note = "groups and a mask"},
    {.in = "1,9,2,256; 1,11,1,256; 1,11,1,200", .attrs = "causal=true"},
    {.in = "1,70,1,7; 1,70,1,7; 1,70,1,9", .attrs = "causal=true window=9"},
    {.in = "1,40,1,5; 1,90,1,5; 1,90,1,6", .attrs = "window=13", .note = "a window that looks ahead"},
    {.in = "1,40,2,5; 1,12,2,5; 1,12,2,6", .attrs = "causal=true " ALL, .note = "queries that see nothing"},
    {.in = "2,13,2,6; 2,37,1,6; 2,37,1,7; 2,37:u8; 2,13,37", .attrs = ALL},
    {.in = "2,20,4,6; 2,37,2,6; 2,37,2,17; -; 1,20,37; 4@0..1; 5,2:i32@0..3", .attrs = "causal=true " ALL},
    {.in = "1,34,3,8; 1,34,3,8; 1,34,3,8; 1,34:u8; -; 3@0..0.5", .attrs = "causal=true topk=1",
     .note = "the first queries may see nothing: their lse is -inf"},
    {.in = "2,18,2,8; 2,64,2,8; 2,64,2,8; -; -; -; -" RNG, .attrs = "p=0.3 stream=5 topk=2"},
    {.in = "2,18,2,8; 2,67,1,8; 2,67,1,9; 2,67:u8; 2,18,67; -; -" RNG, .attrs = "p=0.6 causal=true totals=true"},
    {.in = "1,3,1,4; 1,5,1,4; 1,5,1,4; -; -; -; -" RNG, .attrs = "p=1"},
    {.in = "1,1,4,24; 1,300,2,24; 1,300,2,20; 1,300:u8", .attrs = "causal=true " ALL, .note = "one new token"},
    {.in = "3,8,6,16; 3,129,1,16; 3,129,1,16; -; 6,8,129; 6@0..1; 4,2:i32@0..5", .attrs = "causal=true " ALL},
    {.in = "2,5,1,17; 2,65,1,17; 2,65,1,33; -; -; -; -" RNG, .attrs = "p=0.5 window=30 causal=true entropy=true"},
    {.in = "2,3,2,4; 2,0,2,4; 2,0,2,5", .attrs = ALL, .note = "no keys: lse is -inf"},
    {.in = "2,0,2,4; 2,3,2,4; 2,3,2,5", .attrs = ALL},
    {.in = "0,3,2,4; 0,3,2,4; 0,3,2,5"}, {.in = "1,3,2,0; 1,3,2,0; 1,3,2,2"}, {.in = "1,3,2,2; 1,3,2,2; 1,3,2,0"},
    {.in = "1,300,1,8; 1,600,1,8; 1,600,1,8", .attrs = "causal=true " ALL, .note = "several blocks of both"},
    {.in = "1,140,1,250@-2..2; 1,140,1,250@-2..2; 1,140,1,16", .attrs = "causal=true " ALL,
     .note = "|q| |k| about where scores need a running maximum"},
    {0}};

const fv_op_def fv_op_sdpa = {
    .name = "sdpa",
    .doc = "y = softmax_S(scale q k' + bias) v without the T x S weights; on demand their sums by key, entropies,\n"
           "largest k and chosen rows (Vaswani et al. 2017); inputs q, k, v, mask, bias, slopes, rows, rng",
    .n_in = 3,
    .n_in_max = FV_SDPA_INPUTS,
    .n_saved = 1,
    .flags = FV_OP_PRODUCT | FV_OP_SHARDED, /* dropout */
    .attrs_size = sizeof(fv_sdpa_attrs),
    .attrs = options,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
