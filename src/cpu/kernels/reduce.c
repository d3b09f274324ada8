/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c: sum, mean, prod, amax, amin, var. One fixed tree whatever the split: each lane adds up blocks of fixed
 * size, and blocks are joined in pairs, pairs in fours, and so on (pairwise summation: the error grows with the
 * logarithm of the count). Results side by side in memory are done a vector at a time; a result over a contiguous run
 * keeps four vectors and joins their lanes at the end. var does this twice: mean, then squared deviations. */
#include "cpu/fold.h"
#include "cpu/reduce.h"
#include "ops/var.h"

enum { SUM, PROD, MAX, MIN, DEVIATION };
#define BLOCK 64  /* elements a lane takes in before its block is closed */
#define LEVELS 44 /* of the tree of blocks: enough for 2^46 elements */
#define TILE 8    /* vectors of results done together */
#define INLINE static inline __attribute__((always_inline))

INLINE float neutral(int kind) {
  return kind == PROD ? 1.0f : kind == MAX ? -__builtin_inff() : kind == MIN ? __builtin_inff() : 0.0f;
}
/* Joins two partial results. */
INLINE fv_f32v join(int kind, fv_f32v a, fv_f32v b) {
  return kind == PROD ? a * b : kind == MAX ? fv_vmax(a, b) : kind == MIN ? fv_vmin(a, b) : a + b;
}
/* Takes in elements. */
INLINE fv_f32v take(int kind, fv_f32v acc, fv_f32v x, fv_f32v center) {
  if (kind != DEVIATION) return join(kind, acc, x);
  fv_f32v d = x - center;
  return fv_vfma(d, d, acc);
}

/* ---- results side by side: `nv` vectors of them, the last with `tail` lanes -------------------------------------- */
typedef struct columns {
  fv_f32v level[LEVELS][TILE];
} columns;

INLINE fv_f32v load(const float *p, bool whole, int64_t n) { return whole ? fv_vload(p) : fv_vload_n(p, n); }

INLINE void reduce_columns(int kind, int nv, const fv_reduce_plan *p, const float *x, int64_t tail,
                           const fv_f32v *center, columns *tree, fv_f32v *out) {
  fv_reduce_rows row = fv_reduce_rows_first(p);
  fv_f32v acc[TILE];
  for (uint64_t block = 0;; block++) {
    int64_t stop = FV_MIN(p->rows, row.k + BLOCK);
    for (int v = 0; v < nv; v++) acc[v] = fv_vsplat(neutral(kind));
    for (; row.k < stop; fv_reduce_rows_next(&row))
      for (int v = 0; v < nv; v++)
        acc[v] = take(kind, acc[v], load(x + row.at + v * FV_W, v < nv - 1 || tail == FV_W, tail), center[v]);
    bool done = row.k >= p->rows;
    int l = 0;
    for (; done ? block >> l != 0 : (block >> l & 1) != 0; l++)
      if (block >> l & 1)
        for (int v = 0; v < nv; v++) acc[v] = join(kind, tree->level[l][v], acc[v]);
    for (int v = 0; v < nv; v++) *(done ? &out[v] : &tree->level[l][v]) = acc[v];
    if (done) return;
  }
}

INLINE void any_columns(int kind, int nv, const fv_reduce_plan *p, const float *x, int64_t tail, const fv_f32v *center,
                        columns *tree, fv_f32v *out) {
  switch (nv) {
    case 8: reduce_columns(kind, 8, p, x, tail, center, tree, out); break;
    case 4: reduce_columns(kind, 4, p, x, tail, center, tree, out); break;
    case 2: reduce_columns(kind, 2, p, x, tail, center, tree, out); break;
    default: reduce_columns(kind, 1, p, x, tail, center, tree, out); break;
  }
}

/* ---- one result over contiguous runs ----------------------------------------------------------------------------- */
/* Up to BLOCK * 4 vectors of one run. */
INLINE fv_f32v reduce_piece(int kind, const float *x, int64_t n, fv_f32v center) {
  fv_f32v start = fv_vsplat(neutral(kind)), acc[4] = {start, start, start, start};
  /* lanes that lie behind the end take in what changes nothing */
  fv_f32v nothing = kind == DEVIATION ? center : start;
  int64_t i = 0;
  for (; i + 4 * FV_W <= n; i += 4 * FV_W)
    for (int v = 0; v < 4; v++) acc[v] = take(kind, acc[v], fv_vload(x + i + v * FV_W), center);
  for (int v = 0; v < 4; v++) {
    const float *at = x + i + v * FV_W;
    int64_t left = n - i - v * FV_W;
    if (left <= 0) break;
    fv_f32v last = left >= FV_W ? fv_vload(at) : fv_vselect(fv_mfirst(left), fv_vload_n(at, left), nothing);
    acc[v] = take(kind, acc[v], last, center);
  }
  return join(kind, join(kind, acc[0], acc[1]), join(kind, acc[2], acc[3]));
}

/* The lanes of v[0..FV_W) joined: result i in lane i. */
INLINE fv_f32v fold(int kind, fv_f32v *v) {
  return kind == PROD ? fv_fold_prod(v) : kind == MAX ? fv_fold_max(v) : kind == MIN ? fv_fold_min(v) : fv_fold_sum(v);
}
/* The elements behind one result, its lanes not yet joined. */
INLINE fv_f32v reduce_runs(int kind, const fv_reduce_plan *p, const float *x, float center) {
  const int64_t piece = BLOCK * 4 * FV_W;
  fv_f32v level[LEVELS], c = fv_vsplat(center), acc = fv_vsplat(neutral(kind));
  if (p->rows == 1 && p->run <= piece) return reduce_piece(kind, x, p->run, c);
  uint64_t block = 0;
  for (fv_reduce_rows row = fv_reduce_rows_first(p); row.k < p->rows; fv_reduce_rows_next(&row))
    for (int64_t i = 0; i < p->run; i += piece, block++) {
      fv_f32v part = reduce_piece(kind, x + row.at + i, FV_MIN(piece, p->run - i), c);
      int l = 0;
      for (; block >> l & 1; l++) part = join(kind, level[l], part);
      level[l] = part;
    }
  for (int l = 0; block >> l; l++)
    if (block >> l & 1) acc = join(kind, level[l], acc);
  return acc;
}

/* Up to FV_W results, the elements behind result l beginning at x[l]. */
INLINE fv_f32v reduce_group(int kind, const fv_reduce_plan *p, const float *const *x, int64_t n, fv_f32v center) {
  fv_f32v v[FV_W];
  float c[FV_W];
  fv_vstore(c, center);
  for (int64_t l = 0; l < n; l++) v[l] = reduce_runs(kind, p, x[l], c[l]);
  for (int64_t l = n; l < FV_W; l++) v[l] = v[0];
  return fold(kind, v);
}

/* ---- the kernels: a unit is one tile of results side by side, or one result -------------------------------------- */
static fv_reduce_plan plan_of(const fv_node *n) {
  const fv_reduce_attrs *a = n->attrs; /* var's begin with it */
  return fv_reduce_plan_new(n->in[0]->shape, fv_reduce_mask(&a->axes, n->in[0]->shape.ndim));
}

static int64_t units(const fv_node *n) {
  fv_reduce_plan p = plan_of(n);
  return p.outer * fv_ceil_div(p.inner, TILE * FV_W);
}

static float divisor_of(const fv_call *c, const fv_reduce_plan *p, int kind, bool mean) {
  int64_t n = p->rows * p->run;
  if (kind == DEVIATION) n = ((const fv_var_attrs *)c->attrs)->biased ? n : FV_MAX(n - 1, 0);
  return kind == DEVIATION || mean ? (float)n : 1.0f;
}

INLINE void run_columns(const fv_call *c, const fv_reduce_plan *p, int kind, bool mean) {
  const float *x = c->in[0].data;
  float *y = c->out[0].data;
  int64_t tiles = fv_ceil_div(p->inner, TILE * FV_W);
  fv_f32v count = fv_vsplat((float)(p->rows * p->run)), divisor = fv_vsplat(divisor_of(c, p, kind, mean));
  columns tree;
  for (int64_t unit = c->begin; unit < c->end; unit++) {
    int64_t o = unit / tiles, j = unit % tiles * TILE * FV_W, stop = FV_MIN(p->inner, j + TILE * FV_W);
    const float *from = x + fv_reduce_plan_base(p, o);
    while (j < stop) {
      int64_t left = fv_ceil_div(stop - j, FV_W);
      int nv = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      int64_t tail = FV_MIN(FV_W, stop - j - (nv - 1) * FV_W);
      fv_f32v center[TILE] = {fv_vzero()}, out[TILE];
      if (kind == DEVIATION) {
        any_columns(SUM, nv, p, from + j, tail, center, &tree, out);
        for (int v = 0; v < nv; v++) center[v] = out[v] / count;
      }
      any_columns(kind, nv, p, from + j, tail, center, &tree, out);
      for (int v = 0; v < nv; v++, j += FV_W) {
        fv_f32v r = mean || kind == DEVIATION ? out[v] / divisor : out[v];
        fv_vstore_n(y + o * p->inner + j, r, FV_MIN(FV_W, stop - j));
      }
    }
  }
}

INLINE void run_runs(const fv_call *c, const fv_reduce_plan *p, int kind, bool mean) {
  fv_f32v count = fv_vsplat((float)(p->rows * p->run)), divisor = fv_vsplat(divisor_of(c, p, kind, mean));
  for (int64_t o = c->begin; o < c->end; o += FV_W) {
    int64_t n = FV_MIN(FV_W, c->end - o);
    const float *x[FV_W];
    for (int64_t l = 0; l < n; l++) x[l] = (const float *)c->in[0].data + fv_reduce_plan_base(p, o + l);
    fv_f32v center = kind == DEVIATION ? reduce_group(SUM, p, x, n, fv_vzero()) / count : fv_vzero();
    fv_f32v r = reduce_group(kind, p, x, n, center);
    fv_vstore_n((float *)c->out[0].data + o, mean || kind == DEVIATION ? r / divisor : r, n);
  }
}

INLINE void run(const fv_call *c, int kind, bool mean) {
  fv_reduce_plan p = plan_of(c->node);
  if (p.inner == 1) run_runs(c, &p, kind, mean);
  else run_columns(c, &p, kind, mean);
}

static void run_sum(const fv_call *c) { run(c, SUM, false); }
static void run_mean(const fv_call *c) { run(c, SUM, true); }
static void run_prod(const fv_call *c) { run(c, PROD, false); }
static void run_amax(const fv_call *c) { run(c, MAX, false); }
static void run_amin(const fv_call *c) { run(c, MIN, false); }
static void run_var(const fv_call *c) { run(c, DEVIATION, false); }

#define ROW(op_) {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_##op_}
const fv_kernel FV_KERNELS(reduce)[] = {ROW(sum), ROW(mean), ROW(prod), ROW(amax), ROW(amin), ROW(var), {0}};
