/* SPDX-License-Identifier: Apache-2.0 */
/* columns.h: passes over the columns of [rows, C], for the normalisations over channels.
 *
 * Work goes by blocks of at most 64 columns, whose state fits on the stack, and within a block by tiles of rows that
 * stay in the nearest caches. Narrow tensors are folded: k rows of C columns are one of k C, so that vectors are
 * full. A tile's statistics are taken in two passes (sum; then squares of the distance from that mean), tiles are
 * combined in f64 (Chan et al. 1979): one trip to memory, and no cancellation. The order depends on the shape alone. */
#ifndef FV_CPU_KERNELS_COLUMNS_H
#define FV_CPU_KERNELS_COLUMNS_H

#include "cpu/simd.h"

#define COLS 64              /* of a block */
#define TILE_FLOATS (1 << 13) /* 32 KB: in the first-level cache, or nearly */
#define INLINE static inline __attribute__((always_inline))

/* A block of columns [first, first + n) of [rows, c]. */
typedef struct block {
  int64_t rows, c, first, n;
  int64_t k;         /* rows folded into one */
  int64_t width, ld; /* of a folded row: columns, floats to the next */
  int64_t tile;      /* rows of a tile, a multiple of k */
} block;

static inline block block_of(int64_t rows, int64_t c, int64_t first, int64_t n) {
  int64_t k = n == c && c > 0 ? FV_MAX(COLS / c, 1) : 1;
  block b = {.rows = rows, .c = c, .first = first, .n = n, .k = k, .width = k * n, .ld = k * c};
  b.tile = FV_MAX(TILE_FLOATS / FV_MAX(b.width, 1), 1) * k;
  return b;
}

/* The part of a tile that is full folded rows, and what is left: fewer than k rows, as one short folded row. */
typedef struct span {
  int64_t at, rows, rest; /* first float, folded rows, floats of the short row */
} span;
static inline span span_of(const block *b, int64_t row) {
  int64_t n = FV_MIN(b->tile, b->rows - row);
  return (span){row * b->c + b->first, n / b->k, n % b->k * b->n};
}

/* v[j] for j < n repeated up to the folded width; and the sums over the repeats, the other way. */
static inline void fold_out(const block *b, float *v) {
  for (int64_t j = b->n; j < b->width; j++) v[j] = v[j - b->n];
}
static inline void fold_in(const block *b, float *v) {
  for (int64_t i = 1; i < b->k; i++)
    for (int64_t j = 0; j < b->n; j++) v[j] += v[i * b->n + j];
}

INLINE fv_f32v col_load(const float *p, int64_t lanes) { return lanes == FV_W ? fv_vload(p) : fv_vload_n(p, lanes); }
INLINE void col_store(float *p, fv_f32v v, int64_t lanes) {
  if (lanes == FV_W) fv_vstore(p, v);
  else fv_vstore_n(p, v, lanes);
}

/* BODY(j, nv, lanes) for strips of nv vectors at column j: most vectors first, the last one short. */
#define COLUMN_STRIPS(width_, most, BODY)                                         \
  do {                                                              \
    int64_t j_ = 0, w_ = (width_);                                  \
    for (; j_ + (most) * FV_W <= w_; j_ += (most) * FV_W) BODY(j_, (most), FV_W); \
    for (; j_ + FV_W <= w_; j_ += FV_W) BODY(j_, 1, FV_W);          \
    if (j_ < w_) BODY(j_, 1, w_ - j_);                              \
  } while (0)
#define STRIP 4
/* Rows summed in a register before it is added to what came before: long chains of one sign round one way. */
#define CHAIN 32

INLINE void add_to(float *p, fv_f32v v) { fv_vstore(p, fv_vload(p) + v); }

/* out[j] += sum of the column. */
INLINE void strip_sum(const float *x, int64_t rows, int64_t ld, float *out, int nv, int64_t lanes) {
  fv_f32v s[STRIP];
  for (int v = 0; v < nv; v++) s[v] = fv_vzero();
  for (int64_t r = 0; r < rows; r++, x += ld)
    for (int v = 0; v < nv; v++) s[v] += col_load(x + v * FV_W, lanes);
  for (int v = 0; v < nv; v++) add_to(out + v * FV_W, s[v]);
}
static void column_sums(const float *x, int64_t rows, int64_t ld, int64_t width, float *out) {
#define BODY(j, nv, lanes) strip_sum(x + (j), FV_MIN(rows, CHAIN), ld, out + (j), nv, lanes)
  for (; rows > 0; rows -= CHAIN, x += CHAIN * ld) COLUMN_STRIPS(width, STRIP, BODY);
#undef BODY
}

/* d[j] += sum of x - center, q[j] += sum of its square. */
INLINE void strip_moments(const float *x, int64_t rows, int64_t ld, const float *center, float *d, float *q, int nv,
                          int64_t lanes) {
  fv_f32v c[STRIP], s[STRIP], t[STRIP];
  for (int v = 0; v < nv; v++) {
    c[v] = col_load(center + v * FV_W, lanes); /* lanes beyond: 0 - 0 adds nothing */
    s[v] = t[v] = fv_vzero();
  }
  for (int64_t r = 0; r < rows; r++, x += ld)
    for (int v = 0; v < nv; v++) {
      fv_f32v e = col_load(x + v * FV_W, lanes) - c[v];
      s[v] += e;
      t[v] = fv_vfma(e, e, t[v]);
    }
  for (int v = 0; v < nv; v++) {
    add_to(d + v * FV_W, s[v]);
    add_to(q + v * FV_W, t[v]);
  }
}
static void column_moments(const float *x, int64_t rows, int64_t ld, int64_t width, const float *center, float *d,
                           float *q) {
#define BODY(j, nv, lanes) strip_moments(x + (j), FV_MIN(rows, CHAIN), ld, center + (j), d + (j), q + (j), nv, lanes)
  for (; rows > 0; rows -= CHAIN, x += CHAIN * ld) COLUMN_STRIPS(width, STRIP, BODY);
#undef BODY
}

/* Mean and sum of squared distances from it of each column of the block. Arrays are COLS long throughout: a short strip
 * reads and writes whole vectors of them. */
typedef struct col_stats {
  double mean[COLS], m2[COLS];
} col_stats;

static void tile_stats(const float *x, const block *b, span s, double seen, col_stats *out) {
  float center[COLS] = {0}, d[COLS] = {0}, q[COLS] = {0};
  double n = (double)(s.rows * b->k + s.rest / b->n), share = n / (seen + n);
  const float *rest = x + s.at + s.rows * b->ld;
  column_sums(x + s.at, s.rows, b->ld, b->width, center);
  column_sums(rest, 1, 0, s.rest, center);
  fold_in(b, center);
  for (int64_t j = 0; j < b->n; j++) center[j] = (float)(center[j] / n);
  fold_out(b, center);
  column_moments(x + s.at, s.rows, b->ld, b->width, center, d, q);
  column_moments(rest, 1, 0, s.rest, center, d, q);
  fold_in(b, d);
  fold_in(b, q);
  for (int64_t j = 0; j < b->n; j++) {
    double off = d[j] / n, delta = center[j] + off - out->mean[j], m2 = q[j] - off * d[j];
    out->mean[j] += delta * share;
    out->m2[j] += (m2 < 0 ? 0 : m2) + delta * delta * seen * share;
  }
}

static void column_stats(const float *x, const block *b, col_stats *out) {
  *out = (col_stats){0};
  for (int64_t row = 0; row < b->rows; row += b->tile) tile_stats(x, b, span_of(b, row), (double)row, out);
}

/* y = (x - mean) scale + shift [+ residual], [relu]. Parameters folded out. */
typedef struct col_affine {
  float mean[COLS], scale[COLS], shift[COLS];
} col_affine;

INLINE void strip_apply(const float *x, const float *residual, float *y, int64_t rows, int64_t ld, const col_affine *p,
                        int64_t j, bool relu, int nv, int64_t lanes) {
  fv_f32v m[STRIP], a[STRIP], b[STRIP];
  for (int v = 0; v < nv; v++) {
    m[v] = fv_vload(p->mean + j + v * FV_W);
    a[v] = fv_vload(p->scale + j + v * FV_W);
    b[v] = fv_vload(p->shift + j + v * FV_W);
  }
  for (int64_t r = 0, i = j; r < rows; r++, i += ld)
    for (int v = 0; v < nv; v++) {
      fv_f32v t = fv_vfma(col_load(x + i + v * FV_W, lanes) - m[v], a[v], b[v]);
      if (residual) t += col_load(residual + i + v * FV_W, lanes);
      if (relu) t = fv_vmax(t, fv_vzero());
      col_store(y + i + v * FV_W, t, lanes);
    }
}
INLINE void apply_rows(const float *x, const float *residual, float *y, int64_t rows, int64_t ld, int64_t width,
                       const col_affine *p, bool relu) {
#define BODY(j, nv, lanes) strip_apply(x, residual, y, rows, ld, p, j, relu, nv, lanes)
  COLUMN_STRIPS(width, STRIP, BODY);
#undef BODY
}
INLINE void apply_tile(const float *x, const float *residual, float *y, const block *b, span s, const col_affine *p,
                       bool relu) {
  int64_t rest = s.at + s.rows * b->ld;
  apply_rows(x + s.at, residual ? residual + s.at : NULL, y + s.at, s.rows, b->ld, b->width, p, relu);
  apply_rows(x + rest, residual ? residual + rest : NULL, y + rest, 1, 0, s.rest, p, relu);
}
/* Last tile first: it is still in the cache after the statistics. */
static void column_apply(const float *x, const float *residual, float *y, const block *b, const col_affine *p,
                         bool relu) {
  for (int64_t row = (b->rows - 1) / b->tile * b->tile; row >= 0; row -= b->tile) {
    span s = span_of(b, row);
    if (residual && relu) apply_tile(x, residual, y, b, s, p, true);
    else if (residual) apply_tile(x, residual, y, b, s, p, false);
    else if (relu) apply_tile(x, NULL, y, b, s, p, true);
    else apply_tile(x, NULL, y, b, s, p, false);
  }
}

/* ---- backward ---------------------------------------------------------------------------------------------------
 * z = dy, or 0 where y is not positive (y given). First s[j] = sum z, t[j] = sum z (x - mean); then
 * dx = p z + q (x - mean) + r. */
typedef struct col_sums {
  double s[COLS], t[COLS];
} col_sums;
typedef struct col_slopes {
  float mean[COLS], p[COLS], q[COLS], r[COLS];
} col_slopes;
typedef struct col_grad {
  const float *x, *dy, *y; /* y: NULL without relu */
  float *dx, *dz;          /* dz: NULL when not wanted; else written first and read instead of dy and y */
} col_grad;

INLINE fv_f32v load_z(const float *dy, const float *y, int64_t i, int64_t lanes) {
  fv_f32v z = col_load(dy + i, lanes);
  return y ? fv_vmasked(fv_vgt(col_load(y + i, lanes), fv_vzero()), z) : z;
}

INLINE void strip_grad_sums(const float *x, const float *dy, const float *y, float *dz, int64_t rows, int64_t ld,
                            const float *mean, float *s, float *t, int64_t j, int nv, int64_t lanes) {
  fv_f32v m[STRIP], a[STRIP], b[STRIP];
  for (int v = 0; v < nv; v++) {
    m[v] = fv_vload(mean + j + v * FV_W);
    a[v] = b[v] = fv_vzero();
  }
  for (int64_t r = 0, i = j; r < rows; r++, i += ld)
    for (int v = 0; v < nv; v++) {
      fv_f32v z = load_z(dy, y, i + v * FV_W, lanes);
      if (dz) col_store(dz + i + v * FV_W, z, lanes);
      a[v] += z;
      b[v] = fv_vfma(z, col_load(x + i + v * FV_W, lanes) - m[v], b[v]);
    }
  for (int v = 0; v < nv; v++) {
    add_to(s + j + v * FV_W, a[v]);
    add_to(t + j + v * FV_W, b[v]);
  }
}
INLINE void grad_sums_rows(const float *x, const float *dy, const float *y, float *dz, int64_t rows, int64_t ld,
                           int64_t width, const float *mean, float *s, float *t) {
#define BODY(j, nv, lanes) \
  strip_grad_sums(x + i, dy + i, y ? y + i : NULL, dz ? dz + i : NULL, FV_MIN(rows, CHAIN), ld, mean, s, t, j, nv, \
                  lanes)
  for (int64_t i = 0; rows > 0; rows -= CHAIN, i += CHAIN * ld) COLUMN_STRIPS(width, STRIP, BODY);
#undef BODY
}
INLINE void grad_sums_tile(const col_grad *g, bool y, bool dz, const block *b, span s, const float *mean,
                           col_sums *out) {
  float sum[COLS] = {0}, dot[COLS] = {0};
  int64_t at[2] = {s.at, s.at + s.rows * b->ld};
  for (int i = 0; i < 2; i++)
    grad_sums_rows(g->x + at[i], g->dy + at[i], y ? g->y + at[i] : NULL, dz ? g->dz + at[i] : NULL, i ? 1 : s.rows,
                   i ? 0 : b->ld, i ? s.rest : b->width, mean, sum, dot);
  fold_in(b, sum);
  fold_in(b, dot);
  for (int64_t j = 0; j < b->n; j++) {
    out->s[j] += sum[j];
    out->t[j] += dot[j];
  }
}
static void column_grad_sums(const col_grad *g, const block *b, const float *mean, col_sums *out) {
  *out = (col_sums){0};
  for (int64_t row = 0; row < b->rows; row += b->tile) {
    span s = span_of(b, row);
    if (g->y && g->dz) grad_sums_tile(g, true, true, b, s, mean, out);
    else if (g->y) grad_sums_tile(g, true, false, b, s, mean, out);
    else if (g->dz) grad_sums_tile(g, false, true, b, s, mean, out);
    else grad_sums_tile(g, false, false, b, s, mean, out);
  }
}

INLINE void strip_grad_apply(const float *x, const float *dy, const float *y, float *dx, int64_t rows, int64_t ld,
                             const col_slopes *c, int64_t j, int nv, int64_t lanes) {
  fv_f32v m[STRIP], p[STRIP], q[STRIP], k[STRIP];
  for (int v = 0; v < nv; v++) {
    m[v] = fv_vload(c->mean + j + v * FV_W);
    p[v] = fv_vload(c->p + j + v * FV_W);
    q[v] = fv_vload(c->q + j + v * FV_W);
    k[v] = fv_vload(c->r + j + v * FV_W);
  }
  for (int64_t r = 0, i = j; r < rows; r++, i += ld)
    for (int v = 0; v < nv; v++) {
      fv_f32v z = load_z(dy, y, i + v * FV_W, lanes), e = col_load(x + i + v * FV_W, lanes) - m[v];
      col_store(dx + i + v * FV_W, fv_vfma(p[v], z, fv_vfma(q[v], e, k[v])), lanes);
    }
}
#define STRIP_GRAD (FV_W == 16 ? 4 : 2) /* four parameters a vector must stay in registers */
INLINE void grad_apply_rows(const float *x, const float *dy, const float *y, float *dx, int64_t rows, int64_t ld,
                            int64_t width, const col_slopes *c) {
#define BODY(j, nv, lanes) strip_grad_apply(x, dy, y, dx, rows, ld, c, j, nv, lanes)
  COLUMN_STRIPS(width, STRIP_GRAD, BODY);
#undef BODY
}
INLINE void grad_apply_tile(const float *x, const float *dy, const float *y, float *dx, const block *b, span s,
                            const col_slopes *c) {
  int64_t rest = s.at + s.rows * b->ld;
  grad_apply_rows(x + s.at, dy + s.at, y ? y + s.at : NULL, dx + s.at, s.rows, b->ld, b->width, c);
  grad_apply_rows(x + rest, dy + rest, y ? y + rest : NULL, dx + rest, 1, 0, s.rest, c);
}
static void column_grad_apply(const col_grad *g, const block *b, const col_slopes *c) {
  const float *y = g->dz ? NULL : g->y, *dy = g->dz ? g->dz : g->dy;
  for (int64_t row = (b->rows - 1) / b->tile * b->tile; row >= 0; row -= b->tile) {
    if (y) grad_apply_tile(g->x, dy, y, g->dx, b, span_of(b, row), c);
    else grad_apply_tile(g->x, dy, NULL, g->dx, b, span_of(b, row), c);
  }
}

#endif
