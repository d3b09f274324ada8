/* SPDX-License-Identifier: Apache-2.0 */
/* gat_attend: graph attention whose scores split into a part of each end, e_k = leaky(target_i + source_j)
 * (Velickovic et al. 2018, eq. 1 to 6), in one pass over the edges that keeps nothing of any of them.
 *
 * For the gradient it keeps the log-sum-exp and, of the edges whose score is on the rising side (above 0), the sums
 * rise_i = sum m alpha x_j and rising_i = sum alpha: what goes to `target` follows from these without another pass,
 * since the slope takes two values only and the parts of a softmax's gradient add up to nothing. */
#include "ops/attend.h"

#include <math.h>

enum { X, SOURCE, TARGET };

static fv_status infer(fv_infer *c) {
  const fv_shape x = c->in[X]->shape;
  fv_attend_sizes a = {.heads = 0};
  FV_INFER_REQUIRE(c, x.ndim == 3, "h: expected [V,H,D], got %s", fv_shape_text(x));
  FV_TRY(fv_attend_infer_real(c, X, "h", x));
  FV_TRY(fv_attend_infer_graph(c, FV_ATTEND_ROW_PTR, FV_ATTEND_COL, &a));
  FV_TRY(fv_attend_infer_real(c, SOURCE, "source", FV_SHAPE(x.dim[0], x.dim[1])));
  FV_TRY(fv_attend_infer_real(c, TARGET, "target", FV_SHAPE(a.targets, x.dim[1])));
  FV_TRY(fv_attend_infer_kept(c, FV_ATTEND_KEPT, a.edges, x.dim[1]));
  c->n_out = 5;
  c->shape[0] = c->shape[3] = FV_SHAPE(a.targets, x.dim[1], x.dim[2]);
  c->shape[1] = FV_SHAPE(a.edges, x.dim[1]);
  c->shape[2] = c->shape[4] = FV_SHAPE(a.targets, x.dim[1]);
  return FV_OK;
}

static void grad_target(fv_grad *c, const fv_attend_back *b) {
  fv_value *const *in = c->node->in, *const *out = c->node->out;
  fv_value *give[] = {b->dy, out[3], out[4], b->delta, in[FV_ATTEND_ROW_PTR], in[FV_ATTEND_COL], out[1], b->dalpha,
                      in[SOURCE], in[TARGET]};
  const bool weights = c->dout[1] != NULL;
  fv_op_n(c->g, "gat_attend_target_grad", c->node->attrs, weights ? 10 : 4, give, 1, &c->din[TARGET]);
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in, *got[2] = {NULL};
  const fv_attend_back b = fv_attend_back_of(c);
  if (c->need[TARGET]) grad_target(c, &b);
  if (!c->need[X] && !c->need[SOURCE]) return FV_OK;
  fv_value *give[FV_ATTEND_SOURCE_GRAD_INPUTS] = {b.dy, in[X], in[SOURCE], in[TARGET]};
  fv_attend_back_source(c, &b, give);
  fv_op_n(c->g, "gat_attend_source_grad", c->node->attrs, FV_ATTEND_SOURCE_GRAD_INPUTS, give, 2, got);
  if (c->need[X]) c->din[X] = got[0];
  if (c->need[SOURCE]) c->din[SOURCE] = got[1];
  return FV_OK;
}

/* ---- reference -------------------------------------------------------------------------------------------------- */
/* An edge's score; -inf (weight 0) when there is no such source. */
static double score(const fv_call *c, int64_t i, int64_t h, int64_t k, bool *rises) {
  const int64_t heads = c->in[X].shape.dim[1], j = (int64_t)fv_get(&c->in[FV_ATTEND_COL], k);
  *rises = false;
  if (j < 0 || j >= c->in[X].shape.dim[0]) return -INFINITY;
  const double z = fv_get(&c->in[TARGET], i * heads + h) + fv_get(&c->in[SOURCE], j * heads + h);
  *rises = z > 0;
  return fv_attend_leaky(z, ((const fv_attend_attrs *)c->attrs)->slope);
}
static bool there(const fv_call *c, int64_t k) {
  const double j = fv_get(&c->in[FV_ATTEND_COL], k);
  return j >= 0 && j < (double)c->in[X].shape.dim[0];
}
static void put(const fv_call *c, int out, int64_t at, double v) {
  if (c->out[out].data) fv_set(&c->out[out], at, v);
}

static double log_sum(const fv_call *c, int64_t i, int64_t h, int64_t begin, int64_t end) {
  double max = -INFINITY, sum = 0;
  bool rises;
  for (int64_t k = begin; k < end; k++) max = fmax(max, score(c, i, h, k, &rises));
  for (int64_t k = begin; k < end; k++)
    if (there(c, k)) sum += exp(score(c, i, h, k, &rises) - max);
  return sum == 0 ? 0 : max + log(sum);
}

static void target(const fv_call *c, int64_t i, int64_t h, int64_t begin, int64_t end) {
  const int64_t heads = c->in[X].shape.dim[1], d = c->in[X].shape.dim[2], at = i * heads + h;
  const double lse = log_sum(c, i, h, begin, end);
  double rising = 0;
  bool rises;
  for (int64_t f = 0; f < d; f++) {
    double y = 0, rise = 0;
    for (int64_t k = begin; k < end; k++) {
      if (!there(c, k)) continue;
      const double alpha = exp(score(c, i, h, k, &rises) - lse);
      const double w = alpha * fv_attend_kept(c, FV_ATTEND_KEPT, k * heads + h);
      const double x = fv_get(&c->in[X], ((int64_t)fv_get(&c->in[FV_ATTEND_COL], k) * heads + h) * d + f);
      y += w * x;
      rise += w * rises * x;
    }
    fv_set(&c->out[0], at * d + f, y);
    put(c, 3, at * d + f, rise);
  }
  for (int64_t k = begin; k < end; k++) {
    const double alpha = there(c, k) ? exp(score(c, i, h, k, &rises) - lse) : (rises = false, 0.0);
    put(c, 1, k * heads + h, alpha);
    rising += alpha * rises;
  }
  put(c, 2, at, lse);
  put(c, 4, at, rising);
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[FV_ATTEND_COL].shape.dim[0], rows = c->in[FV_ATTEND_ROW_PTR].shape.dim[0] - 1;
  const int64_t heads = c->in[X].shape.dim[1];
  int64_t end = fv_segment_bound(&c->in[FV_ATTEND_ROW_PTR], 0, 0, n);
  for (int64_t k = 0; k < end * heads; k++) put(c, 1, k, 0);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[FV_ATTEND_ROW_PTR], i + 1, begin, n);
    for (int64_t h = 0; h < heads; h++) target(c, i, h, begin, end);
  }
  for (int64_t k = end * heads; k < n * heads; k++) put(c, 1, k, 0);
}

static fv_cost cost(const fv_node *n) {
  const fv_shape x = n->in[X]->shape;
  return fv_attend_cost(n, n->in[FV_ATTEND_COL]->shape.dim[0], x.dim[1] * (x.dim[2] + 1), 4);
}

static const fv_case cases[] = {
    {.in = "0,3,4; 0,3; 0,3; 1:i32; 0:i32"},
    {.in = "3,2,4; 3,2; 0,2; 1:i32; 5:i32"},
    {.in = "3,0,4; 3,0; 3,0; 4:i32@0..5; 5:i32@0..2"},
    {.in = "3,2,0; 3,2; 3,2; 4:i32@0..5; 5:i32@0..2"},
    {.in = "1,1,1; 1,1; 1,1; 2:i32@0..3; 3:i32@0..0"},
    {.in = "7,8,8; 7,8; 5,8; 6:i32@0..25; 25:i32@0..6"},
    {.in = "9,3,5; 9,3; 40,3; 41:i32@0..600; 300:i32@0..8"},
    {.in = "300,1,16; 300,1; 4,1; 5:i32@0..170; 170:i32@0..299", .attrs = "slope=0"},
    {.in = "9,17,2; 9,17; 5,17; 6:i32@0..30; 30:i32@0..8"},
    {.in = "9,4,32; 9,4; 5,4; 6:i32@0..40; 40:i32@0..8"},
    {.in = "9,2,7; 9,2; 5,2; 6:i32@0..40; 40:i32@0..8"},
    {.in = "6,2,67; 6,2; 3,2; 4:i32@0..20; 20:i32@0..5"},
    {.in = "6,2,4; 6,2@-60..60; 3,2@-60..60; 4:i32@0..20; 20:i32@0..5"},
    {.in = "7,8,8; 7,8; 5,8; 6:i32@0..70; 70:i32@0..6" FV_ATTEND_BITS(18), .attrs = "p=0.6"},
    {.in = "7,3,4; 7,3; 2,3; 3:i32@0..90; 90:i32@0..6" FV_ATTEND_BITS(10), .attrs = "p=0.3 slope=1"},
    {.in = "7,19,2; 7,19; 2,19; 3:i32@0..90; 90:i32@0..6" FV_ATTEND_BITS(54), .attrs = "p=1"},
    {.in = "6,2,4; 6,2; 5,2; 6:i32@-9..40; 20:i32@-2..9", .note = "outside: left out"},
    {0}};

const fv_op_def fv_op_gat_attend = {
    .name = "gat_attend",
    .doc = "alpha_k = softmax over the edges k = (j to i) of leaky(target_i + source_j), y_i = sum m_k alpha_k h_j\n"
           "(Velickovic et al. 2018); inputs h [V,H,D], source, target [V,H], row_ptr, col, optional kept; outputs y,\n"
           "alpha [M,H] and for the gradient the log-sum-exp and the sums over scores above 0",
    .n_in = 5,
    .n_in_max = FV_ATTEND_INPUTS,
    .n_saved = 3,
    .flags = FV_OP_SHARDED | FV_OP_SPARE,
    .attrs_size = sizeof(fv_attend_attrs),
    .attrs = fv_attend_options,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
