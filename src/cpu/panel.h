/* SPDX-License-Identifier: Apache-2.0 */
/* panel.h: the product that attention's kernels are made of: c[r][l] = sum over i of a[r][i] b[i][l], with the
 * numbers of a broadcast and FV_PANEL lanes of b side by side. A tile of FV_PANEL_ROWS rows stays in registers while
 * i runs: 16 (or 12) running sums, enough to hide the latency of a multiply-add, and fewer loads than multiply-adds.
 * Neither operand has to be repacked. Every number is one chain of multiply-adds in the order of i: which rows are
 * worked on together is not seen in it. */
#ifndef FV_CPU_PANEL_H
#define FV_CPU_PANEL_H

#include "cpu/simd.h"

#define FV_PANEL (2 * FV_W) /* lanes */
#if FV_SIMD_AVX512 || FV_SIMD_NEON
#define FV_PANEL_ROWS 8 /* of 32 registers; with 12 the loads of a tile's rows get in each other's way */
#else
#define FV_PANEL_ROWS 6 /* of 16 */
#endif

typedef enum fv_panel_start {
  FV_PANEL_ZERO,       /* c = ... */
  FV_PANEL_ADD,        /* c += ... */
  FV_PANEL_SCALE,      /* c = c * scale[lane] + ... */
  FV_PANEL_SCALE_ROWS, /* c = c * scale[row] + ... */
} fv_panel_start;

/* Memory that is wanted later, fetched into the second-level cache a little at a time beside the products: rows far
 * apart in cold memory otherwise cost their latency. */
enum { FV_AHEAD_PIECES = 8 };
typedef struct fv_ahead {
  struct {
    const char *p;
    int64_t step, rows, lines; /* bytes from row to row; 64-byte lines a row */
    bool write;
  } piece[FV_AHEAD_PIECES];
  int n, at;         /* pieces; the one that is next */
  int64_t row, line; /* in it */
  int64_t quota;     /* lines a tile */
} fv_ahead;

static inline void fv_ahead_add(fv_ahead *a, const float *p, int64_t step, int64_t rows, int64_t width, bool write) {
  if (rows <= 0 || width <= 0) return;
  a->piece[a->n].p = (const char *)p;
  a->piece[a->n].step = step * (int64_t)sizeof(float);
  a->piece[a->n].rows = rows;
  a->piece[a->n].lines = fv_ceil_div(width * (int64_t)sizeof(float), 64);
  a->piece[a->n++].write = write;
}
static inline int64_t fv_ahead_lines(const fv_ahead *a) {
  int64_t lines = 0;
  for (int i = 0; i < a->n; i++) lines += a->piece[i].rows * a->piece[i].lines;
  return lines;
}
static inline void fv_ahead_some(fv_ahead *a) {
  for (int64_t i = 0; i < a->quota && a->at < a->n; i++) {
    const char *p = a->piece[a->at].p + a->row * a->piece[a->at].step + a->line * 64;
    if (a->piece[a->at].write)
      __builtin_prefetch(p, 1, 2);
    else
      __builtin_prefetch(p, 0, 2);
    if (++a->line < a->piece[a->at].lines) continue;
    a->line = 0;
    if (++a->row < a->piece[a->at].rows) continue;
    a->row = 0;
    a->at++;
  }
}

typedef struct fv_panel {
  int64_t n;      /* terms of each sum */
  const float *a; /* a[r * a_row + i * a_step] */
  int64_t a_row, a_step;
  const float *b; /* b[i * b_step + lane] */
  int64_t b_step;
  float *c; /* c[r * c_row + lane] */
  int64_t c_row;
  fv_panel_start start;
  const float *scale; /* [lanes] or [rows] */
  fv_ahead *ahead;    /* or NULL */
} fv_panel;

/* The sums of a tile. `rows` and `vecs` (vectors side by side) are constants where this is expanded; so is `start`
 * where it is known: p->start otherwise. */
static inline __attribute__((always_inline)) void fv_panel_sums(const int rows, const int vecs,
                                                                const fv_panel_start start, const fv_panel *p,
                                                                int64_t row, fv_f32v sum[FV_PANEL_ROWS][2]) {
  const float *a = p->a + row * p->a_row, *b = p->b;
  const int64_t a_row = p->a_row, a_step = p->a_step, b_step = p->b_step;
  const float *c = p->c + row * p->c_row;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < vecs; v++) {
      sum[r][v] = start == FV_PANEL_ZERO ? fv_vzero() : fv_vload(c + r * p->c_row + v * FV_W);
      if (start == FV_PANEL_SCALE) sum[r][v] = fv_vmul(sum[r][v], fv_vload(p->scale + v * FV_W));
      if (start == FV_PANEL_SCALE_ROWS) sum[r][v] = fv_vmul(sum[r][v], fv_vsplat(p->scale[row + r]));
    }
  for (int64_t i = 0; i < p->n; i++) {
    fv_f32v x[2];
#pragma GCC unroll 2
    for (int v = 0; v < vecs; v++) x[v] = fv_vload(b + v * FV_W);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      fv_f32v y = fv_vsplat(a[r * a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < vecs; v++) sum[r][v] = fv_vfma(y, x[v], sum[r][v]);
    }
    a += a_step;
    b += b_step;
  }
}

static inline __attribute__((always_inline)) void fv_panel_tile(const int rows, const int vecs, const fv_panel *p,
                                                                int64_t row) {
  fv_f32v sum[FV_PANEL_ROWS][2];
  float *c = p->c + row * p->c_row;
  fv_panel_sums(rows, vecs, p->start, p, row, sum);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < vecs; v++) fv_vstore(c + r * p->c_row + v * FV_W, sum[r][v]);
}

typedef void fv_panel_fn(const fv_panel *p, int64_t row);

/* A tile of each height is code of its own, to stay in registers: the table `tile`s of what tile(height, p, row) makes
 * of each. */
#if FV_PANEL_ROWS == 8
#define FV_PANEL_HEIGHTS(X, tile) \
  X(1, tile) X(2, tile) X(3, tile) X(4, tile) X(5, tile) X(6, tile) X(7, tile) X(8, tile)
#else
#define FV_PANEL_HEIGHTS(X, tile) X(1, tile) X(2, tile) X(3, tile) X(4, tile) X(5, tile) X(6, tile)
#endif
#define FV_PANEL_FUNCTION(rows, tile) \
  static __attribute__((noinline)) void tile##_##rows(const fv_panel *p, int64_t row) { tile(rows, p, row); }
#define FV_PANEL_NAME(rows, tile) tile##_##rows,
#define FV_PANEL_TILES(tile)                \
  FV_PANEL_HEIGHTS(FV_PANEL_FUNCTION, tile) \
  static fv_panel_fn *const tile##s[FV_PANEL_ROWS] = {FV_PANEL_HEIGHTS(FV_PANEL_NAME, tile)};

static inline __attribute__((always_inline)) void fv_panel_one(const int rows, const fv_panel *p, int64_t row) {
  fv_panel_tile(rows, 1, p, row);
}
static inline __attribute__((always_inline)) void fv_panel_two(const int rows, const fv_panel *p, int64_t row) {
  fv_panel_tile(rows, 2, p, row);
}
FV_PANEL_TILES(fv_panel_one)
FV_PANEL_TILES(fv_panel_two)

/* `rows` rows in tiles of even height: low ones are slow. tiles[height - 1] works on one. */
static inline __attribute__((always_inline)) void fv_panel_walk(const fv_panel *p, int64_t rows,
                                                                fv_panel_fn *const tiles[FV_PANEL_ROWS]) {
  int64_t row = 0;
  for (int64_t left = fv_ceil_div(rows, FV_PANEL_ROWS); left > 0; left--) {
    int64_t height = fv_ceil_div(rows - row, left);
    if (p->ahead) fv_ahead_some(p->ahead);
    tiles[height - 1](p, row);
    row += height;
  }
}

/* `rows` rows of one or two vectors. */
static inline void fv_panel_run(const fv_panel *p, int vecs, int64_t rows) {
  fv_panel_walk(p, rows, vecs == 1 ? fv_panel_ones : fv_panel_twos);
}

#endif
