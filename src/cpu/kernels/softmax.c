/* SPDX-License-Identifier: Apache-2.0 */
/* softmax, log_softmax, logsumexp and their gradients. Along the last axis a row at a time: maximum, exponentials and
 * their sum, result, while the row is in the nearest cache. Along another axis the lanes of a vector are neighbouring
 * lines. A unit is a row, or a vector of lines. Masks of rows only: the reference does other axes. */
#include "cpu/vmath.h"
#include "ops/lines.h"
#include "ops/logsumexp.h"
#include "ops/softmax.h"
#include "rows.h"

#include <math.h>

/* ---- rows ------------------------------------------------------------------------------------------------------- */
typedef struct row {
  const float *x, *y; /* gradients: x = dy */
  float *out;         /* also where exponentials are kept; NULL: nowhere */
  const uint8_t *mask;
  int64_t mask_step; /* 0: one flag for the row */
  int64_t n;
  float max;
} row;

INLINE fv_mask kept(const row *r, int64_t i, int64_t lanes) {
  fv_mask in = fv_mfirst(lanes);
  if (!r->mask) return in;
  if (r->mask_step == 0) return r->mask[0] ? in : fv_mfirst(0);
  fv_i32v m = lanes == FV_W ? fv_iload_u8(r->mask + i) : fv_iload_u8_n(r->mask + i, lanes);
  return fv_mand(in, fv_ine(m, fv_izero()));
}

/* NaN need not come through here: its exponential is NaN and spoils the sum. */
INLINE fv_f32v larger(fv_f32v m, const row *r, int64_t i, int64_t lanes) {
  fv_f32v x = row_load(r->x + i, lanes);
  return fv_vselect(fv_mand(fv_vgt(x, m), kept(r, i, lanes)), x, m);
}
INLINE float row_max(const row *r) {
  fv_f32v low = fv_vsplat(-INFINITY), m[4] = {low, low, low, low};
  int64_t i = 0;
  for (; i + 4 * FV_W <= r->n; i += 4 * FV_W)
    for (int k = 0; k < 4; k++) m[k] = larger(m[k], r, i + k * FV_W, FV_W);
  for (; i < r->n; i += FV_W) m[0] = i + FV_W <= r->n ? larger(m[0], r, i, FV_W) : larger(m[0], r, i, r->n - i);
  return fv_vhmax(fv_vmax(fv_vmax(m[0], m[1]), fv_vmax(m[2], m[3])));
}

INLINE row_pair term_exp(const void *arg, int64_t i, int64_t lanes) {
  const row *r = arg;
  fv_f32v e = fv_vmasked(kept(r, i, lanes), fv_vexp(row_load(r->x + i, lanes) - fv_vsplat(r->max)));
  if (r->out) row_store(r->out + i, e, lanes);
  return (row_pair){e, fv_vzero()};
}
INLINE double exp_sum(const row *r) { return row_reduce(r->n, term_exp, r).a; }

INLINE void softmax_row(row *r) {
  r->max = row_max(r);
  double sum = exp_sum(r);
  fv_f32v scale = fv_vsplat(sum == 0 ? 0 : (float)(1 / sum)); /* 0: the mask leaves nothing */
#define STEP(i, lanes) \
  row_store(r->out + (i), fv_vmasked(kept(r, i, lanes), row_load(r->out + (i), lanes) * scale), lanes)
  ROW_VECTORS(r->n, STEP);
#undef STEP
}

INLINE void log_softmax_row(row *r) {
  float *out = r->out;
  r->out = NULL;
  r->max = row_max(r);
  fv_f32v max = fv_vsplat(r->max), lse = fv_vsplat((float)log(exp_sum(r)));
#define STEP(i, lanes)                                                                          \
  row_store(out + (i), fv_vselect(kept(r, i, lanes), row_load(r->x + (i), lanes) - max - lse,   \
                                  fv_vsplat(-INFINITY)), lanes)
  ROW_VECTORS(r->n, STEP);
#undef STEP
}

INLINE float logsumexp_row(row *r) {
  float max = row_max(r);
  r->max = isfinite(max) ? max : 0; /* infinities come through exp and log; NaN too */
  return (float)(r->max + log(exp_sum(r)));
}

INLINE row_pair term_dot(const void *arg, int64_t i, int64_t lanes) {
  const row *r = arg;
  return (row_pair){row_load(r->x + i, lanes) * row_load(r->y + i, lanes), fv_vzero()};
}
INLINE void softmax_grad_row(row *r) {
  fv_f32v dot = fv_vsplat((float)row_reduce(r->n, term_dot, r).a);
#define STEP(i, lanes) \
  row_store(r->out + (i), row_load(r->y + (i), lanes) * (row_load(r->x + (i), lanes) - dot), lanes)
  ROW_VECTORS(r->n, STEP);
#undef STEP
}

INLINE fv_f32v log_slope(fv_f32v dy, fv_f32v y, fv_f32v sum) { /* 0 where y = -inf */
  return fv_vmasked(fv_vne(y, fv_vsplat(-INFINITY)), dy - fv_vexp(y) * sum);
}
INLINE row_pair term_sent(const void *arg, int64_t i, int64_t lanes) {
  const row *r = arg;
  fv_mask sent = fv_vne(row_load(r->y + i, lanes), fv_vsplat(-INFINITY));
  return (row_pair){fv_vmasked(sent, row_load(r->x + i, lanes)), fv_vzero()};
}
INLINE void log_softmax_grad_row(row *r) {
  fv_f32v sum = fv_vsplat((float)row_reduce(r->n, term_sent, r).a);
#define STEP(i, lanes) \
  row_store(r->out + (i), log_slope(row_load(r->x + (i), lanes), row_load(r->y + (i), lanes), sum), lanes)
  ROW_VECTORS(r->n, STEP);
#undef STEP
}

/* ---- lines along another axis: lanes are neighbouring lines, k steps by `inner` --------------------------------- */
typedef struct lines {
  const float *x, *y;
  float *out;
  int64_t n, inner, lanes;
} lines;

INLINE fv_f32v line_x(const lines *l, int64_t k) { return row_load(l->x + k * l->inner, l->lanes); }
INLINE fv_f32v line_y(const lines *l, int64_t k) { return row_load(l->y + k * l->inner, l->lanes); }
INLINE void line_out(const lines *l, int64_t k, fv_f32v v) { row_store(l->out + k * l->inner, v, l->lanes); }

INLINE fv_f32v lines_max(const lines *l) {
  fv_f32v m = fv_vsplat(-INFINITY);
  for (int64_t k = 0; k < l->n; k++) m = fv_vmax(m, line_x(l, k));
  return m;
}
/* In short chains, so that long lines keep their digits. */
INLINE fv_f32v lines_exp_sum(const lines *l, fv_f32v max, bool keep) {
  fv_f32v sum = fv_vzero();
  for (int64_t from = 0; from < l->n; from += 64) {
    fv_f32v part = fv_vzero();
    for (int64_t k = from; k < FV_MIN(l->n, from + 64); k++) {
      fv_f32v e = fv_vexp(line_x(l, k) - max);
      if (keep) line_out(l, k, e);
      part += e;
    }
    sum += part;
  }
  return sum;
}

INLINE void softmax_lines(const lines *l) {
  fv_f32v scale = fv_vsplat(1) / lines_exp_sum(l, lines_max(l), true);
  for (int64_t k = 0; k < l->n; k++) line_out(l, k, row_load(l->out + k * l->inner, l->lanes) * scale);
}
INLINE void log_softmax_lines(const lines *l) {
  fv_f32v max = lines_max(l), lse = fv_vlog(lines_exp_sum(l, max, false));
  for (int64_t k = 0; k < l->n; k++) line_out(l, k, line_x(l, k) - max - lse);
}
INLINE void logsumexp_lines(const lines *l) {
  fv_f32v max = lines_max(l);
  fv_f32v shift = fv_vmasked(fv_vlt(fv_vabs(max), fv_vsplat(INFINITY)), max);
  row_store(l->out, shift + fv_vlog(lines_exp_sum(l, shift, false)), l->lanes);
}
INLINE void softmax_grad_lines(const lines *l) {
  fv_f32v dot = fv_vzero();
  for (int64_t k = 0; k < l->n; k++) dot = fv_vfma(line_x(l, k), line_y(l, k), dot);
  for (int64_t k = 0; k < l->n; k++) line_out(l, k, line_y(l, k) * (line_x(l, k) - dot));
}
INLINE void log_softmax_grad_lines(const lines *l) {
  fv_f32v sum = fv_vzero();
  for (int64_t k = 0; k < l->n; k++)
    sum += fv_vmasked(fv_vne(line_y(l, k), fv_vsplat(-INFINITY)), line_x(l, k));
  for (int64_t k = 0; k < l->n; k++) line_out(l, k, log_slope(line_x(l, k), line_y(l, k), sum));
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */
typedef enum kind { SOFTMAX, LOG_SOFTMAX, LOGSUMEXP, SOFTMAX_GRAD, LOG_SOFTMAX_GRAD } kind;

/* The sum of an empty line is -inf and must be written; other results of empty lines are nothing. */
INLINE fv_lines node_lines(fv_shape s, const void *attrs, kind what) {
  if (what == LOGSUMEXP) return fv_lines_of(s, ((const fv_logsumexp_attrs *)attrs)->axis);
  return fv_lines_filled(s, ((const fv_softmax_attrs *)attrs)->axis);
}

INLINE void run_row(const fv_call *c, kind what, int64_t i, int64_t n) {
  const float *in = c->in[0].data;
  bool grad = what == SOFTMAX_GRAD || what == LOG_SOFTMAX_GRAD;
  row r = {.x = in + i * n, .n = n};
  if (grad) r.y = (const float *)c->in[1].data + i * n;
  if (what != LOGSUMEXP) r.out = (float *)c->out[0].data + i * n;
  if (!grad && c->n_in > 1 && c->in[1].data && n > 0) {
    fv_shape m = c->in[1].shape;
    r.mask = (const uint8_t *)c->in[1].data + fv_broadcast_index(m, c->in[0].shape, i * n);
    r.mask_step = m.ndim > 0 && m.dim[m.ndim - 1] > 1 ? 1 : 0;
  }
  if (what == SOFTMAX) softmax_row(&r);
  if (what == LOG_SOFTMAX) log_softmax_row(&r);
  if (what == LOGSUMEXP) ((float *)c->out[0].data)[i] = logsumexp_row(&r);
  if (what == SOFTMAX_GRAD) softmax_grad_row(&r);
  if (what == LOG_SOFTMAX_GRAD) log_softmax_grad_row(&r);
}

INLINE void run_lines(const fv_call *c, kind what, int64_t unit, fv_lines s) {
  int64_t per = fv_ceil_div(s.inner, FV_W), o = unit / per, i = unit % per * FV_W, at = o * s.n * s.inner + i;
  lines l = {.x = (const float *)c->in[0].data + at, .n = s.n, .inner = s.inner, .lanes = FV_MIN(s.inner - i, FV_W)};
  l.out = (float *)c->out[0].data + (what == LOGSUMEXP ? o * s.inner + i : at);
  if (what == SOFTMAX) softmax_lines(&l);
  if (what == LOG_SOFTMAX) log_softmax_lines(&l);
  if (what == LOGSUMEXP) logsumexp_lines(&l);
  if (what == SOFTMAX || what == LOG_SOFTMAX || what == LOGSUMEXP) return;
  l.y = (const float *)c->in[1].data + at;
  if (what == SOFTMAX_GRAD) softmax_grad_lines(&l);
  if (what == LOG_SOFTMAX_GRAD) log_softmax_grad_lines(&l);
}

INLINE void run(const fv_call *c, kind what) {
  fv_lines l = node_lines(c->in[0].shape, c->attrs, what);
  for (int64_t u = c->begin; u < c->end; u++) {
    if (l.inner == 1) run_row(c, what, u, l.n);
    else run_lines(c, what, u, l);
  }
}
static void run_softmax(const fv_call *c) { run(c, SOFTMAX); }
static void run_log_softmax(const fv_call *c) { run(c, LOG_SOFTMAX); }
static void run_logsumexp(const fv_call *c) { run(c, LOGSUMEXP); }
static void run_softmax_grad(const fv_call *c) { run(c, SOFTMAX_GRAD); }
static void run_log_softmax_grad(const fv_call *c) { run(c, LOG_SOFTMAX_GRAD); }

static int64_t units_of(const fv_node *n, kind what) {
  fv_lines l = node_lines(n->in[0]->shape, n->attrs, what);
  return l.inner == 1 ? l.outer : l.outer * fv_ceil_div(l.inner, FV_W);
}
static int64_t units(const fv_node *n) { return units_of(n, SOFTMAX); }
static int64_t units_logsumexp(const fv_node *n) { return units_of(n, LOGSUMEXP); }
static bool can_mask(const fv_node *n, kind what) {
  return n->in[0]->dtype == FV_F32 &&
         (!fv_node_has_in(n, 1) || node_lines(n->in[0]->shape, n->attrs, what).inner == 1);
}
static bool can(const fv_node *n) { return can_mask(n, SOFTMAX); }
static bool can_logsumexp(const fv_node *n) { return can_mask(n, LOGSUMEXP); }

#define ROW(op_, can_, units_) \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .can = can_, .units = units_, .run = run_##op_}
const fv_kernel FV_KERNELS(softmax)[] = {ROW(softmax, can, units),
                                         ROW(log_softmax, can, units),
                                         ROW(logsumexp, can_logsumexp, units_logsumexp),
                                         ROW(softmax_grad, NULL, units),
                                         ROW(log_softmax_grad, NULL, units),
                                         {0}};
