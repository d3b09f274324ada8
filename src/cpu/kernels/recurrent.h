/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.h: the two products inside recurrent kernels, a few sequences at a time.
 *
 * Forward, sums of the gates: c[row] (+)= a[row] W^T with W [G*H, K] repacked once per change of the weights as
 * [H/FV_W][K][G][FV_W], so that a tile of ROWS rows by G vectors stays in registers while k runs. Backward:
 * dh[row] (+)= d[row] W with W [G*H, H]. Every number is one chain of fmas over k in order: its bits do not
 * depend on which rows are worked on together, so a node may be split anywhere. */
#ifndef FV_CPU_KERNELS_RECURRENT_H
#define FV_CPU_KERNELS_RECURRENT_H

#include "cpu/simd.h"
#include "ops/recurrent.h"

/* Rows of a tile: 32 vector registers, or 16. A tile of fewer rows is code of its own, to stay in registers. */
#if FV_SIMD_AVX512 || FV_SIMD_NEON
#define ROWS 6
#define FOR_EACH_TILE(f, ...)                 \
  case 1: f(1, __VA_ARGS__); break;           \
  case 2: f(2, __VA_ARGS__); break;           \
  case 3: f(3, __VA_ARGS__); break;           \
  case 4: f(4, __VA_ARGS__); break;           \
  case 5: f(5, __VA_ARGS__); break;           \
  default: f(6, __VA_ARGS__);
#else
#define ROWS 3
#define FOR_EACH_TILE(f, ...)                 \
  case 1: f(1, __VA_ARGS__); break;           \
  case 2: f(2, __VA_ARGS__); break;           \
  default: f(3, __VA_ARGS__);
#endif
#define K_BLOCK (1024 / FV_W) /* 16 KiB of weights under a tile */
#define CHUNK 48 /* sequences that take their steps together: a block of weights is read once for all of them */
#define INLINE static inline __attribute__((always_inline))

INLINE fv_f32v load(const float *p, int64_t n) { return n >= FV_W ? fv_vload(p) : fv_vload_n(p, n); }
INLINE void store(float *p, fv_f32v v, int64_t n) {
  if (n >= FV_W) fv_vstore(p, v);
  else fv_vstore_n(p, v, n);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */
typedef struct weights {
  const float *p;
  bool packed;
  int64_t h, k; /* [G * h, k] */
} weights;
/* Gate g's sum goes to c[row] + slot[g] * h; added to what is there, or not. */
typedef struct target {
  int slot[4];
  bool add[4];
} target;

static int64_t packed_floats(int64_t gates, int64_t h, int64_t k) { return fv_ceil_div(h, FV_W) * FV_W * gates * k; }

static void pack_weights(int64_t gates, int64_t h, int64_t k, const float *from, float *to) {
  for (int64_t j = 0; j < h; j += FV_W)
    for (int64_t i = 0; i < k; i++)
      for (int64_t g = 0; g < gates; g++)
        for (int64_t l = 0; l < FV_W; l++) *to++ = j + l < h ? from[(g * h + j + l) * k + i] : 0;
}

/* Vector j..j+FV_W of gate g at k. Weights that are not parameters come unpacked, which is slow and rare. */
INLINE fv_f32v weight(const weights *w, bool packed, int gates, int g, int64_t j, int64_t k) {
  if (packed) return fv_vload(w->p + (j * w->k + k * FV_W) * gates + g * FV_W);
  return fv_vgather_n(w->p + (g * w->h + j) * w->k + k, fv_imul(fv_ilane(), fv_isplat((int32_t)w->k)),
                      FV_MIN(FV_W, w->h - j));
}

INLINE void sums_of(int rows, bool packed, int gates, const float *const *a, float *const *c, const weights *w,
                    const target *t, int64_t j, int64_t k0, int64_t k1) {
  fv_f32v acc[ROWS][4];
  const int64_t n = w->h - j;
  for (int r = 0; r < rows; r++)
    for (int g = 0; g < gates; g++)
      acc[r][g] = k0 > 0 || t->add[g] ? load(c[r] + t->slot[g] * w->h + j, n) : fv_vzero();
  for (int64_t k = k0; k < k1; k++)
    for (int g = 0; g < gates; g++) {
      const fv_f32v v = weight(w, packed, gates, g, j, k);
      for (int r = 0; r < rows; r++) acc[r][g] = fv_vfma(fv_vsplat(a[r][k]), v, acc[r][g]);
    }
  for (int r = 0; r < rows; r++)
    for (int g = 0; g < gates; g++) store(c[r] + t->slot[g] * w->h + j, acc[r][g], n);
}

/* Rows worked on together from row r of n on: even shares; for unpacked weights, as many as can be or one. */
static inline int64_t tile_of(int64_t n, int64_t r, bool packed) {
  if (packed) return FV_MIN(fv_ceil_div(n, fv_ceil_div(n, ROWS)), n - r);
  return n - r >= ROWS ? ROWS : 1;
}

/* c[row] of n rows, k in blocks whose weights fit the first-level cache. */
INLINE void sums(int gates, int64_t n, const float *const *a, float *const *c, const weights *w, const target *t) {
  for (int64_t j = 0; j < w->h; j += FV_W)
    for (int64_t k0 = 0; k0 == 0 || k0 < w->k; k0 += K_BLOCK)
      for (int64_t r = 0, rows; r < n; r += rows) {
        const int64_t k1 = FV_MIN(k0 + K_BLOCK, w->k);
        rows = tile_of(n, r, w->packed);
        if (w->packed) switch (rows) { FOR_EACH_TILE(sums_of, true, gates, a + r, c + r, w, t, j, k0, k1) }
        else if (rows == ROWS) sums_of(ROWS, false, gates, a + r, c + r, w, t, j, k0, k1);
        else sums_of(1, false, gates, a + r, c + r, w, t, j, k0, k1);
      }
}

/* c = a W^T for n rows that follow each other at steps of a_step and c_step. */
INLINE void sums_dense(int gates, int64_t n, const float *a, int64_t a_step, float *c, int64_t c_step,
                       const weights *w) {
  const target t = {.slot = {0, 1, 2, 3}};
  for (int64_t i = 0; i < n; i += CHUNK) {
    const float *from[CHUNK];
    float *to[CHUNK];
    const int64_t m = FV_MIN(CHUNK, n - i);
    for (int64_t r = 0; r < m; r++) {
      from[r] = a + (i + r) * a_step;
      to[r] = c + (i + r) * c_step;
    }
    sums(gates, m, from, to, w, &t);
  }
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */
/* W as it is, or repacked: blocks of columns, four vectors wide while they last, then one, each [k][vectors][FV_W]. */
typedef struct rows_of_weights {
  const float *p;
  bool packed;
  int64_t k, h; /* [k, h] */
} rows_of_weights;

static void pack_rows(int64_t k, int64_t h, const float *from, float *to) {
  for (int64_t j = 0, width; j < h; j += width) {
    width = j + 4 * FV_W <= h ? 4 * FV_W : FV_W;
    for (int64_t i = 0; i < k; i++)
      for (int64_t l = j; l < j + width; l++) *to++ = l < h ? from[i * h + l] : 0;
  }
}
static int64_t packed_rows(int64_t k, int64_t h) { return k * fv_round_up(h, FV_W); }

INLINE void back_of(int rows, bool packed, int vectors, const float *const *d, float *const *dh,
                    const rows_of_weights *w, int64_t j, bool add, int64_t k0, int64_t k1) {
  fv_f32v acc[ROWS][4];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      acc[r][v] = add || k0 > 0 ? load(dh[r] + j + v * FV_W, w->h - j - v * FV_W) : fv_vzero();
  for (int64_t k = k0; k < k1; k++)
    for (int v = 0; v < vectors; v++) {
      const fv_f32v x = packed ? fv_vload(w->p + j * w->k + (k * vectors + v) * FV_W)
                                  : load(w->p + k * w->h + j + v * FV_W, w->h - j - v * FV_W);
      for (int r = 0; r < rows; r++) acc[r][v] = fv_vfma(fv_vsplat(d[r][k]), x, acc[r][v]);
    }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) store(dh[r] + j + v * FV_W, acc[r][v], w->h - j - v * FV_W);
}

INLINE void back_columns(int vectors, int64_t n, const float *const *d, float *const *dh, const rows_of_weights *w,
                         int64_t j, bool add) {
  for (int64_t k0 = 0; k0 < w->k; k0 += K_BLOCK)
    for (int64_t r = 0, rows; r < n; r += rows) {
      const int64_t k1 = FV_MIN(k0 + K_BLOCK, w->k);
      rows = tile_of(n, r, true);
      switch (rows) { FOR_EACH_TILE(back_of, true, vectors, d + r, dh + r, w, j, add, k0, k1) }
    }
}

/* dh[row] (+)= d[row] W for n rows. */
static inline void back(int64_t n, const float *const *d, float *const *dh, const rows_of_weights *w, bool add) {
  int64_t j = 0;
  for (; !w->packed && j < w->h; j += FV_W)
    for (int64_t r = 0, rows; r < n; r += rows) {
      rows = tile_of(n, r, false);
      if (rows == ROWS) back_of(ROWS, false, 1, d + r, dh + r, w, j, add, 0, w->k);
      else back_of(1, false, 1, d + r, dh + r, w, j, add, 0, w->k);
    }
  for (; j + 4 * FV_W <= w->h; j += 4 * FV_W) back_columns(4, n, d, dh, w, j, add);
  for (; j < w->h; j += FV_W) back_columns(1, n, d, dh, w, j, add);
}

/* ---- both -------------------------------------------------------------------------------------------------------- */
static inline const float *floats(const fv_call *c, int i) { return i < c->n_in ? c->in[i].data : NULL; }
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
static inline void copy_or_zero(float *to, const float *from, int64_t n) {
  if (from && n > 0) memcpy(to, from, (size_t)n * sizeof *to);
  else zero(to, n);
}
static inline const float *row_or_null(const float *p, int64_t at) { return p ? p + at : NULL; }
static inline fv_f32v load_or_zero(const float *p, int64_t j, int64_t n) { return p ? load(p + j, n) : fv_vzero(); }

#endif
