/* SPDX-License-Identifier: Apache-2.0 */
/* gatv2_attend: graph attention whose score is a net on both ends together, e_k = att . leaky(l_j + r_i) a head
 * (Brody et al. 2022, eq. 7). What the net makes of an edge lives in registers. */
#include "ops/attend.h"

#include "ops/reduce.h"

#include <math.h>

enum { L, R, ATT };

static fv_status infer(fv_infer *c) {
  const fv_shape l = c->in[L]->shape;
  fv_attend_sizes a = {.heads = 0};
  FV_INFER_REQUIRE(c, l.ndim == 3, "l: expected [V,H,D], got %s", fv_shape_text(l));
  FV_TRY(fv_attend_infer_real(c, L, "l", l));
  FV_TRY(fv_attend_infer_graph(c, FV_ATTEND_ROW_PTR, FV_ATTEND_COL, &a));
  FV_TRY(fv_attend_infer_real(c, R, "r", FV_SHAPE(a.targets, l.dim[1], l.dim[2])));
  FV_TRY(fv_attend_infer_real(c, ATT, "att", FV_SHAPE(l.dim[1], l.dim[2])));
  FV_TRY(fv_attend_infer_kept(c, FV_ATTEND_KEPT, a.edges, l.dim[1]));
  c->n_out = 3;
  c->shape[0] = FV_SHAPE(a.targets, l.dim[1], l.dim[2]);
  c->shape[1] = FV_SHAPE(a.edges, l.dim[1]);
  c->shape[2] = FV_SHAPE(a.targets, l.dim[1]);
  return FV_OK;
}

static void grad_target(fv_grad *c, const fv_attend_back *b) {
  fv_value *const *in = c->node->in, *got[2] = {NULL};
  fv_value *kept = c->node->n_in > FV_ATTEND_KEPT ? in[FV_ATTEND_KEPT] : fv_absent(c->g);
  fv_value *give[] = {b->dy,    in[L],  in[R], in[ATT], c->node->out[2], b->delta, in[FV_ATTEND_ROW_PTR],
                      in[FV_ATTEND_COL], b->dalpha, kept};
  fv_op_n(c->g, "gatv2_attend_target_grad", c->node->attrs, FV_COUNT(give), give, 2, got);
  if (c->need[R]) c->din[R] = got[0];
  const fv_reduce_attrs parts = {.axes = {.n = 1, .v = {0}}};
  if (c->need[ATT]) c->din[ATT] = fv_op(c->g, "sum", &parts, got[1]);
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in;
  const fv_attend_back b = fv_attend_back_of(c);
  if (c->need[R] || c->need[ATT]) grad_target(c, &b);
  if (!c->need[L]) return FV_OK;
  fv_value *give[FV_ATTEND_SOURCE_GRAD_INPUTS] = {b.dy, in[L], in[R], in[ATT]};
  fv_attend_back_source(c, &b, give);
  fv_op_n(c->g, "gatv2_attend_source_grad", c->node->attrs, FV_ATTEND_SOURCE_GRAD_INPUTS, give, 1, &c->din[L]);
  return FV_OK;
}

/* ---- reference -------------------------------------------------------------------------------------------------- */
static bool there(const fv_call *c, int64_t k) {
  const double j = fv_get(&c->in[FV_ATTEND_COL], k);
  return j >= 0 && j < (double)c->in[L].shape.dim[0];
}
static double score(const fv_call *c, int64_t i, int64_t h, int64_t k) {
  const int64_t heads = c->in[L].shape.dim[1], d = c->in[L].shape.dim[2];
  const int64_t j = (int64_t)fv_get(&c->in[FV_ATTEND_COL], k);
  double sum = 0;
  for (int64_t f = 0; f < d; f++) {
    const double z = fv_get(&c->in[L], (j * heads + h) * d + f) + fv_get(&c->in[R], (i * heads + h) * d + f);
    sum += fv_get(&c->in[ATT], h * d + f) * fv_attend_leaky(z, ((const fv_attend_attrs *)c->attrs)->slope);
  }
  return sum;
}
static void put(const fv_call *c, int out, int64_t at, double v) {
  if (c->out[out].data) fv_set(&c->out[out], at, v);
}

static void target(const fv_call *c, int64_t i, int64_t h, int64_t begin, int64_t end) {
  const int64_t heads = c->in[L].shape.dim[1], d = c->in[L].shape.dim[2], at = i * heads + h;
  double max = -INFINITY, sum = 0;
  for (int64_t k = begin; k < end; k++)
    if (there(c, k)) max = fmax(max, score(c, i, h, k));
  for (int64_t k = begin; k < end; k++)
    if (there(c, k)) sum += exp(score(c, i, h, k) - max);
  const double lse = sum == 0 ? 0 : max + log(sum);
  for (int64_t f = 0; f < d; f++) {
    double y = 0;
    for (int64_t k = begin; k < end; k++)
      if (there(c, k))
        y += exp(score(c, i, h, k) - lse) * fv_attend_kept(c, FV_ATTEND_KEPT, k * heads + h) *
             fv_get(&c->in[L], ((int64_t)fv_get(&c->in[FV_ATTEND_COL], k) * heads + h) * d + f);
    fv_set(&c->out[0], at * d + f, y);
  }
  for (int64_t k = begin; k < end; k++) put(c, 1, k * heads + h, there(c, k) ? exp(score(c, i, h, k) - lse) : 0);
  put(c, 2, at, lse);
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[FV_ATTEND_COL].shape.dim[0], rows = c->in[FV_ATTEND_ROW_PTR].shape.dim[0] - 1;
  const int64_t heads = c->in[L].shape.dim[1];
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
  const fv_shape l = n->in[L]->shape;
  return fv_attend_cost(n, n->in[FV_ATTEND_COL]->shape.dim[0], l.dim[1] * l.dim[2], 7);
}

#define SUMS .tolerance = 5e-6
static const fv_case cases[] = {
    {.in = "0,3,4; 0,3,4; 3,4; 1:i32; 0:i32"},
    {.in = "3,2,4; 0,2,4; 2,4; 1:i32; 5:i32"},
    {.in = "3,0,4; 3,0,4; 0,4; 4:i32@0..5; 5:i32@0..2"},
    {.in = "3,2,0; 3,2,0; 2,0; 4:i32@0..5; 5:i32@0..2"},
    {.in = "1,1,1; 1,1,1; 1,1; 2:i32@0..3; 3:i32@0..0"},
    {.in = "7,8,8; 5,8,8; 8,8; 6:i32@0..25; 25:i32@0..6", SUMS},
    {.in = "9,3,5; 40,3,5; 3,5; 41:i32@0..600; 300:i32@0..8", SUMS},
    {.in = "300,1,16; 4,1,16; 1,16; 5:i32@0..170; 170:i32@0..299", .attrs = "slope=0", SUMS},
    {.in = "9,17,2; 5,17,2; 17,2; 6:i32@0..30; 30:i32@0..8", SUMS},
    {.in = "9,4,32; 5,4,32; 4,32; 6:i32@0..40; 40:i32@0..8", SUMS},
    {.in = "9,2,7; 5,2,7; 2,7; 6:i32@0..40; 40:i32@0..8", SUMS},
    {.in = "6,2,67; 3,2,67; 2,67; 4:i32@0..20; 20:i32@0..5", SUMS},
    {.in = "6,2,4; 3,2,4; 2,4@-40..40; 4:i32@0..20; 20:i32@0..5", .tolerance = 1e-4,
     .note = "scores of 200: known to 1e-5"},
    {.in = "7,8,8; 5,8,8; 8,8; 6:i32@0..70; 70:i32@0..6" FV_ATTEND_BITS(18), .attrs = "p=0.6", SUMS},
    {.in = "7,3,4; 2,3,4; 3,4; 3:i32@0..90; 90:i32@0..6" FV_ATTEND_BITS(10), .attrs = "p=0.3 slope=1", SUMS},
    {.in = "6,2,4; 5,2,4; 2,4; 6:i32@-9..40; 20:i32@-2..9", .note = "outside: left out", SUMS},
    {0}};

const fv_op_def fv_op_gatv2_attend = {
    .name = "gatv2_attend",
    .doc = "alpha_k = softmax over the edges k = (j to i) of att . leaky(l_j + r_i), y_i = sum m_k alpha_k l_j\n"
           "(Brody et al. 2022); inputs l, r [V,H,D], att [H,D], row_ptr, col, optional kept; outputs y, alpha [M,H]\n"
           "and for the gradient the log-sum-exp [V,H]",
    .n_in = 5,
    .n_in_max = FV_ATTEND_INPUTS,
    .n_saved = 1,
    .flags = FV_OP_SHARDED | FV_OP_SPARE,
    .attrs_size = sizeof(fv_attend_attrs),
    .attrs = fv_attend_options,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
