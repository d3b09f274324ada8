/* SPDX-License-Identifier: Apache-2.0 */
/* extremum.c: argmax, argmin and the gradient of amax and amin: where the largest or smallest element is. Results side
 * by side are done a vector at a time. Over a contiguous run each lane keeps its best and where it saw it; at the end
 * the best lane wins, of equals the one that saw it first. A NaN beats every number. */
#include "cpu/fold.h"
#include "cpu/reduce.h"

#define TILE 4 /* vectors of results done together */
#define INLINE static inline __attribute__((always_inline))

/* Lanes where x comes before best: larger (smaller when `least`), or the first NaN. */
INLINE fv_mask beats(bool least, fv_f32v x, fv_f32v best) {
  fv_mask better = least ? fv_vlt(x, best) : fv_vgt(x, best);
  return fv_mor(better, fv_mand(fv_visnan(x), fv_mnot(fv_visnan(best))));
}

INLINE fv_mask same(fv_f32v x, fv_f32v y) { return fv_mor(fv_veq(x, y), fv_mand(fv_visnan(x), fv_visnan(y))); }

/* Up to a vector of n elements. */
INLINE fv_f32v load(const float *p, int64_t n) { return n >= FV_W ? fv_vload(p) : fv_vload_n(p, n); }

static fv_reduce_plan plan_of(const fv_node *n, int input) {
  const fv_reduce_attrs *a = n->attrs;
  return fv_reduce_plan_new(n->in[input]->shape, fv_reduce_mask(&a->axes, n->in[input]->shape.ndim));
}

/* ---- argmax, argmin: one axis or all, so the rows lie at one stride ---------------------------------------------- */
INLINE void arg_columns(bool least, const fv_reduce_plan *p, const float *x, int64_t n, int32_t *y) {
  fv_f32v best = load(x, n);
  fv_i32v at = fv_izero();
  fv_reduce_rows row = fv_reduce_rows_first(p);
  for (fv_reduce_rows_next(&row); row.k < p->rows; fv_reduce_rows_next(&row)) {
    fv_f32v v = load(x + row.at, n);
    fv_mask m = beats(least, v, best);
    best = fv_vselect(m, v, best);
    at = fv_iselect(m, fv_isplat((int32_t)row.k), at);
  }
  fv_istore_n(y, at, n);
}

INLINE int32_t arg_run(bool least, const float *x, int64_t n) {
  fv_mask given = fv_mfirst(FV_MIN(n, FV_W));
  fv_f32v worst = fv_vsplat(least ? __builtin_inff() : -__builtin_inff());
  fv_f32v best = fv_vselect(given, load(x, n), worst);
  fv_i32v now = fv_ilane(), at = fv_iselect(given, now, fv_isplat(INT32_MAX));
  for (int64_t i = FV_W; i < n; i += FV_W) {
    fv_f32v v = load(x + i, n - i);
    fv_mask m = fv_mand(beats(least, v, best), fv_mfirst(FV_MIN(n - i, FV_W)));
    now = fv_iadd(now, fv_isplat(FV_W));
    best = fv_vselect(m, v, best);
    at = fv_iselect(m, now, at);
  }
  fv_f32v winner = least ? fv_fold_min_one(best) : fv_fold_max_one(best);
  at = fv_iselect(same(best, winner), at, fv_isplat(INT32_MAX));
  return fv_fold_imin_one(at)[0];
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
  return p.outer * fv_ceil_div(p.inner, FV_W);
}

/* ---- extremum_grad ----------------------------------------------------------------------------------------------- */
/* `nv` vectors of results side by side; all whole, or one with n lanes. */
INLINE void grad_tile(int nv, const fv_reduce_plan *p, const float *x, int64_t n, const float *dy, const float *y,
                      float *dx) {
  fv_mask left[TILE];
  fv_f32v best[TILE], give[TILE];
  for (int v = 0; v < nv; v++) {
    left[v] = fv_mfirst(FV_MIN(n, FV_W));
    best[v] = load(y + v * FV_W, n);
    give[v] = load(dy + v * FV_W, n);
  }
  for (fv_reduce_rows row = fv_reduce_rows_first(p); row.k < p->rows; fv_reduce_rows_next(&row))
    for (int v = 0; v < nv; v++) {
      int64_t at = row.at + v * FV_W;
      fv_mask here = fv_mand(left[v], same(load(x + at, n), best[v]));
      left[v] = fv_mand(left[v], fv_mnot(here));
      if (n >= FV_W) fv_vstore(dx + at, fv_vmasked(here, give[v]));
      else fv_vstore_n(dx + at, fv_vmasked(here, give[v]), n);
    }
}

static void grad_columns(const fv_reduce_plan *p, const float *x, int64_t n, const float *dy, const float *y,
                         float *dx) {
  if (n == TILE * FV_W) grad_tile(TILE, p, x, FV_W, dy, y, dx);
  else
    for (int64_t j = 0; j < n; j += FV_W) grad_tile(1, p, x + j, n - j, dy + j, y + j, dx + j);
}

static void grad_runs(const fv_reduce_plan *p, const float *x, float dy, float y, float *dx) {
  bool found = false;
  for (fv_reduce_rows row = fv_reduce_rows_first(p); row.k < p->rows; fv_reduce_rows_next(&row))
    for (int64_t i = 0; i < p->run; i += FV_W) {
      int64_t n = FV_MIN(FV_W, p->run - i), at = row.at + i;
      if (n == FV_W) fv_vstore(dx + at, fv_vzero());
      else fv_vstore_n(dx + at, fv_vzero(), n);
      uint32_t here = found ? 0 : fv_mbits(fv_mand(fv_mfirst(n), same(load(x + at, n), fv_vsplat(y))));
      if (!here) continue;
      dx[at + __builtin_ctz(here)] = dy;
      found = true;
    }
}

static void run_grad(const fv_call *c) {
  fv_reduce_plan p = plan_of(c->node, 1);
  const float *dy = c->in[0].data, *x = c->in[1].data, *y = c->in[2].data;
  float *dx = c->out[0].data;
  int64_t tiles = fv_ceil_div(p.inner, TILE * FV_W);
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t o = u / tiles, j = u % tiles * TILE * FV_W, n = FV_MIN(TILE * FV_W, p.inner - j), r = o * p.inner + j;
    int64_t from = fv_reduce_plan_base(&p, o) + j;
    if (p.inner == 1) grad_runs(&p, x + from, dy[o], y[o], dx + from);
    else grad_columns(&p, x + from, n, dy + r, y + r, dx + from);
  }
}

static int64_t grad_units(const fv_node *n) {
  fv_reduce_plan p = plan_of(n, 1);
  return p.outer * fv_ceil_div(p.inner, TILE * FV_W);
}

const fv_kernel FV_KERNELS(extremum)[] = {
  {.op = "argmax", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_argmax},
  {.op = "argmin", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_argmin},
  {.op = "extremum_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = grad_units, .run = run_grad},
  {0}};
