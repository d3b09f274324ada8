/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.h: the two products inside recurrent kernels, a few sequences at a time.
 *
 * Forward, sums of the gates: c[row] (+)= a[row] W^T with W [G*H, K] repacked once per change of the weights as panels
 * [K][G][FV_W], one for each FV_W units of the state, so that a tile of some rows by G vectors stays in registers while
 * k runs, and all that the gates' functions need is there at once. Backward: dh[row] (+)= d[row] W with W [G*H, H] in
 * panels [G*H][vectors][FV_W]. Every number is one chain of multiply-adds over k in order: its bits do not depend on
 * which rows are worked on together, so a node may be split anywhere. */
#ifndef FV_CPU_KERNELS_RECURRENT_H
#define FV_CPU_KERNELS_RECURRENT_H

#include "cpu/kernels/gates.h"
#include "cpu/transpose.h"
#include "ops/recurrent.h"

/* Rows of a tile of three or four vectors: 32 vector registers, or 16. */
#if FV_SIMD_AVX512 || FV_SIMD_NEON
#define MOST_ROWS 8
#define ROWS(vectors) ((vectors) == 4 ? 6 : 8)
#else
#define MOST_ROWS 4
#define ROWS(vectors) ((vectors) == 4 ? 3 : 4)
#endif
#define K_BLOCK (4096 / FV_W) /* 64 KiB of weights under tiles of four vectors: what the second level gives in time */
#define CHUNK 48 /* sequences that take their steps together: weights are read once for all of them */

/* ---- products ---------------------------------------------------------------------------------------------------- */
#define SUMS (4 * FV_W) /* a row of results: four vectors, whatever their number */

typedef struct factors {
  const float *const *a;
  int64_t at, k;  /* a[r][at .. at + k) */
  const float *w; /* [k][vectors][FV_W] */
  float *c;       /* [][SUMS] */
  bool add;       /* to what is there */
} factors;

/* Rows r0.. of the product; `rows` and `vectors` are constants where this is expanded. */
INLINE void product_tile(const int rows, const int vectors, const factors *f, int64_t r0) {
  fv_f32v sum[MOST_ROWS][4];
  const float *a[MOST_ROWS], *w = f->w;
  float *c = f->c + r0 * SUMS;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    a[r] = f->a[r0 + r] + f->at;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[r][v] = f->add ? fv_vload(c + r * SUMS + v * FV_W) : fv_vzero();
  }
  for (int64_t i = 0, k = f->k; i < k; i++, w += vectors * FV_W) {
    fv_f32v x[4];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) x[v] = fv_vload(w + v * FV_W);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const fv_f32v y = fv_vsplat(a[r][i]);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[r][v] = fv_vfma(y, x[v], sum[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) fv_vstore(c + r * SUMS + v * FV_W, sum[r][v]);
}
typedef void tile_fn(const factors *f, int64_t r0);

/* n rows, k in blocks; tiles of even height, since low ones are slow. */
static inline void product_tiles(int64_t most, tile_fn *const *tile, int64_t vectors, int64_t n, const float *const *a,
                                 const float *w, int64_t k, float *c, bool add) {
  const int64_t tiles = fv_ceil_div(n, most), block = tiles > 1 ? K_BLOCK : FV_MAX(k, 1);
  for (int64_t k0 = 0; k0 == 0 || k0 < k; k0 += block) {
    const factors f = {a, k0, FV_MIN(block, k - k0), w + k0 * vectors * FV_W, c, add || k0 > 0};
    for (int64_t r = 0, left = tiles, rows; left > 0; left--, r += rows) {
      rows = fv_ceil_div(n - r, left);
      tile[rows - 1](&f, r);
    }
  }
}

/* product_V: c[r] (+)= a[r][0..k) w for n rows and V vectors. A tile of each height is a function of its own, to stay
 * in registers. */
#define TILE(vectors, rows) \
  static __attribute__((noinline)) void tile_##vectors##_##rows(const factors *f, int64_t r0) { \
    product_tile(rows, vectors, f, r0);                                                       \
  }
#define TILES_4(v) TILE(v, 1) TILE(v, 2) TILE(v, 3) TILE(v, 4)
#define TILE_NAMES_4(v) tile_##v##_1, tile_##v##_2, tile_##v##_3, tile_##v##_4
#if MOST_ROWS == 8
#define TILES(v) TILES_4(v) TILE(v, 5) TILE(v, 6) TILE(v, 7) TILE(v, 8)
#define TILE_NAMES(v) TILE_NAMES_4(v), tile_##v##_5, tile_##v##_6, tile_##v##_7, tile_##v##_8
#else
#define TILES(v) TILES_4(v)
#define TILE_NAMES(v) TILE_NAMES_4(v)
#endif
#define PRODUCT(v)                                                                                             \
  TILES(v)                                                                                                     \
  static void product_##v(int64_t n, const float *const *a, const float *w, int64_t k, float *c, bool add) {   \
    static tile_fn *const tiles[] = {TILE_NAMES(v)};                                                           \
    product_tiles(ROWS(v), tiles, v, n, a, w, k, c, add);                                                      \
  }

/* ---- weights ----------------------------------------------------------------------------------------------------- */
/* Those that are no parameters come as they are: each panel is then repacked into `room` whenever it is used. */
typedef struct weights {
  const float *p;
  bool packed;
  int64_t h, k; /* forward [G * h, k], backward [k, h] */
  float *room;
} weights;

/* Units j..j+FV_W of all gates, gate `first` before the others: [k][gates][FV_W]. */
static inline void pack_units(int64_t gates, int64_t first, int64_t h, int64_t k, const float *from, int64_t j,
                              float *to) {
  const int64_t n = FV_MIN(FV_W, h - j), step = gates * FV_W;
  if (n < FV_W) memset(to, 0, (size_t)(k * step) * sizeof *to);
  for (int64_t g = 0; g < gates; g++)
    fv_transpose((int32_t *)(void *)(to + g * FV_W), step,
                 (const int32_t *)(const void *)(from + ((first + g) % gates * h + j) * k), k, k, n);
}
static inline int64_t packed_units(int64_t gates, int64_t h, int64_t k) { return fv_round_up(h, FV_W) * gates * k; }
INLINE const float *units_at(const int gates, const int first, const weights *w, int64_t j) {
  if (w->packed) return w->p + j * gates * w->k;
  pack_units(gates, first, w->h, w->k, w->p, j, w->room);
  return w->room;
}

/* Columns: four vectors at a time while they last, then one: [k][vectors][FV_W]. */
static inline int columns_wide(int64_t h, int64_t j) { return j + 4 * FV_W <= h ? 4 : 1; }
static inline void pack_columns(int64_t k, int64_t h, const float *from, int64_t j, float *to) {
  const int64_t width = columns_wide(h, j) * FV_W, n = FV_MIN(width, h - j);
  if (n < width) memset(to, 0, (size_t)(k * width) * sizeof *to);
  for (int64_t i = 0; i < k; i++) memcpy(to + i * width, from + i * h + j, (size_t)n * sizeof *to);
}
static inline int64_t packed_columns(int64_t k, int64_t h) { return k * fv_round_up(h, FV_W); }
INLINE const float *columns_at(const weights *w, int64_t j) {
  if (w->packed) return w->p + j * w->k;
  pack_columns(w->k, w->h, w->p, j, w->room);
  return w->room;
}

/* ---- sequences --------------------------------------------------------------------------------------------------- */
static inline const float *floats(const fv_call *c, int i) { return i < c->n_in ? c->in[i].data : NULL; }
static inline float *out_floats(const fv_call *c, int i) { return c->out[i].data; }
/* Unit = one sequence in one direction: the direction of `u`, and the sequences [*b0, *b1) up to `end` or CHUNK. */
static inline int64_t unit_chunk(const fv_recurrent *r, int64_t u, int64_t end, int64_t *b0, int64_t *b1) {
  const int64_t d = u / r->b;
  *b0 = u - d * r->b;
  *b1 = FV_MIN(FV_MIN(r->b, end - d * r->b), *b0 + CHUNK);
  return d;
}
static inline void zero(float *p, int64_t n) {
  if (n > 0) memset(p, 0, (size_t)n * sizeof *p);
}
static inline void copy(float *to, const float *from, int64_t n) {
  if (n > 0) memcpy(to, from, (size_t)n * sizeof *to);
}
static inline void copy_or_zero(float *to, const float *from, int64_t n) {
  if (from) copy(to, from, n);
  else zero(to, n);
}
static inline const float *row_or_null(const float *p, int64_t at) { return p ? p + at : NULL; }

/* Rows of scratch: an odd number of cache lines apart, so that those of a tile do not fall upon each other. */
static inline int64_t row_step(int64_t width) { return fv_round_up(width, 16) | 16; }

#endif
