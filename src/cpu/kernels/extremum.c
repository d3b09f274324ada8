/* SPDX-License-Identifier: Apache-2.0 */
/* extremum.c: argmax, argmin and the gradient of amax and amin: where the largest or smallest element is. Results side
 * by side are done a vector at a time. Over a contiguous run each lane keeps its best and where it saw it; at the end
 * the best lane wins, of equals the one that saw it first. A NaN beats every number. */
#include "cpu/reduce.h"
#include "cpu/simd.h"

#define INLINE static inline __attribute__((always_inline))

/* Lanes where x comes before best: larger (smaller when `least`), or the first NaN. */
INLINE fv_mask beats(bool least, fv_f32v x, fv_f32v best) {
  fv_mask better = least ? fv_vlt(x, best) : fv_vgt(x, best);
  return fv_mor(better, fv_mand(fv_visnan(x), fv_mnot(fv_visnan(best))));
}

static bool scalar_beats(bool least, float x, float best) {
  return (least ? x < best : x > best) || (x != x && best == best);
}

static fv_reduce_plan plan_of(const fv_node *n, int input) {
  const fv_reduce_attrs *a = n->attrs;
  return fv_reduce_plan_new(n->in[input]->shape, fv_reduce_mask(&a->axes, n->in[input]->shape.ndim));
}

static int64_t units_of(const fv_reduce_plan *p) { return p->outer * fv_ceil_div(p->inner, FV_W); }

/* ---- argmax, argmin: one axis or all, so the rows lie at one stride ---------------------------------------------- */
INLINE void arg_columns(bool least, const fv_reduce_plan *p, const float *x, int64_t n, int32_t *y) {
  fv_f32v best = fv_vload_n(x, n);
  fv_i32v at = fv_izero();
  fv_reduce_rows row = fv_reduce_rows_first(p);
  for (fv_reduce_rows_next(&row); row.k < p->rows; fv_reduce_rows_next(&row)) {
    fv_f32v v = fv_vload_n(x + row.at, n);
    fv_mask m = beats(least, v, best);
    best = fv_vselect(m, v, best);
    at = fv_iselect(m, fv_isplat((int32_t)row.k), at);
  }
  fv_istore_n(y, at, n);
}

INLINE int32_t arg_run(bool least, const float *x, int64_t n) {
  float lane_best[FV_W], best = x[0];
  int32_t lane_at[FV_W], at = 0;
  int64_t i = FV_W;
  if (n >= FV_W) {
    fv_f32v b = fv_vload(x);
    fv_i32v now = fv_ilane(), where = now;
    for (; i + FV_W <= n; i += FV_W) {
      fv_f32v v = fv_vload(x + i);
      now = fv_iadd(now, fv_isplat(FV_W));
      fv_mask m = beats(least, v, b);
      b = fv_vselect(m, v, b);
      where = fv_iselect(m, now, where);
    }
    fv_vstore(lane_best, b);
    fv_istore(lane_at, where);
    best = lane_best[0];
    at = lane_at[0];
    for (int l = 1; l < FV_W; l++) {
      bool tied = !scalar_beats(least, best, lane_best[l]) && lane_at[l] < at;
      if (!scalar_beats(least, lane_best[l], best) && !tied) continue;
      best = lane_best[l];
      at = lane_at[l];
    }
  }
  for (i = n >= FV_W ? i : 1; i < n; i++) {
    if (!scalar_beats(least, x[i], best)) continue;
    best = x[i];
    at = (int32_t)i;
  }
  return at;
}

INLINE void run_arg(bool least, const fv_call *c) {
  fv_reduce_plan p = plan_of(c->node, 0);
  const float *x = c->in[0].data;
  int32_t *y = c->out[0].data;
  int64_t tiles = fv_ceil_div(p.inner, FV_W);
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t o = u / tiles, j = u % tiles * FV_W;
    const float *from = x + fv_reduce_plan_base(&p, o) + j;
    if (p.inner == 1) y[o] = arg_run(least, from, p.run);
    else arg_columns(least, &p, from, FV_MIN(FV_W, p.inner - j), y + o * p.inner + j);
  }
}

static void run_argmax(const fv_call *c) { run_arg(false, c); }
static void run_argmin(const fv_call *c) { run_arg(true, c); }
static int64_t units(const fv_node *n) {
  fv_reduce_plan p = plan_of(n, 0);
  return units_of(&p);
}

/* ---- extremum_grad ----------------------------------------------------------------------------------------------- */
INLINE fv_mask same(fv_f32v x, fv_f32v y) { return fv_mor(fv_veq(x, y), fv_mand(fv_visnan(x), fv_visnan(y))); }

static void grad_columns(const fv_reduce_plan *p, const float *x, int64_t n, fv_f32v dy, fv_f32v y, float *dx) {
  fv_mask left = fv_mfirst(n);
  for (fv_reduce_rows row = fv_reduce_rows_first(p); row.k < p->rows; fv_reduce_rows_next(&row)) {
    fv_mask here = fv_mand(left, same(fv_vload_n(x + row.at, n), y));
    fv_vstore_n(dx + row.at, fv_vmasked(here, dy), n);
    left = fv_mand(left, fv_mnot(here));
  }
}

static void grad_runs(const fv_reduce_plan *p, const float *x, float dy, float y, float *dx) {
  bool found = false;
  for (fv_reduce_rows row = fv_reduce_rows_first(p); row.k < p->rows; fv_reduce_rows_next(&row)) {
    memset(dx + row.at, 0, (size_t)p->run * sizeof *dx);
    for (int64_t i = 0; i < p->run && !found; i += FV_W) {
      int64_t n = FV_MIN(FV_W, p->run - i);
      fv_mask here = fv_mand(fv_mfirst(n), same(fv_vload_n(x + row.at + i, n), fv_vsplat(y)));
      if (!fv_many(here)) continue;
      dx[row.at + i + __builtin_ctz(fv_mbits(here))] = dy;
      found = true;
    }
  }
}

static void run_grad(const fv_call *c) {
  fv_reduce_plan p = plan_of(c->node, 1);
  const float *dy = c->in[0].data, *x = c->in[1].data, *y = c->in[2].data;
  float *dx = c->out[0].data;
  int64_t tiles = fv_ceil_div(p.inner, FV_W);
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t o = u / tiles, j = u % tiles * FV_W, n = FV_MIN(FV_W, p.inner - j), r = o * p.inner + j;
    int64_t from = fv_reduce_plan_base(&p, o) + j;
    if (p.inner == 1) grad_runs(&p, x + from, dy[o], y[o], dx + from);
    else grad_columns(&p, x + from, n, fv_vload_n(dy + r, n), fv_vload_n(y + r, n), dx + from);
  }
}

static int64_t grad_units(const fv_node *n) {
  fv_reduce_plan p = plan_of(n, 1);
  return units_of(&p);
}

const fv_kernel FV_KERNELS(extremum)[] = {
  {.op = "argmax", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_argmax},
  {.op = "argmin", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_argmin},
  {.op = "extremum_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = grad_units, .run = run_grad},
  {0}};
