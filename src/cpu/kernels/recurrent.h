/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.h: the two products inside recurrent kernels, a few sequences at a time.
 *
 * Forward, sums of the gates: c[row] (+)= a[row] W^T with W [G*H, K] repacked once per change of the weights as
 * [H/FV_W][K][G][FV_W], so that a tile of ROWS rows by G vectors stays in registers while k runs. Backward:
 * dh[row] (+)= d[row] W with W [G*H, H] as it is. Every number is one chain of fmas over k in order: its bits do not
 * depend on which rows are worked on together, so a node may be split anywhere. */
#ifndef FV_CPU_KERNELS_RECURRENT_H
#define FV_CPU_KERNELS_RECURRENT_H

#include "cpu/simd.h"
#include "ops/recurrent.h"

#if FV_SIMD_AVX512 || FV_SIMD_NEON /* 32 vector registers, else 16 */
#define ROWS 6
#else
#define ROWS 3
#endif
#define CHUNK 48 /* sequences that take their steps together: a block of weights is read once for all of them */
#define INLINE static inline __attribute__((always_inline))

INLINE fv_f32v load(const float *p, int64_t n) { return n >= FV_W ? fv_vload(p) : fv_vload_n(p, n); }
INLINE void store(float *p, fv_f32v v, int64_t n) {
  if (n >= FV_W) fv_vstore(p, v);
  else fv_vstore_n(p, v, n);
}

/* ---- forward -------------------------------------------------------------------------------------------------------- */
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
INLINE fv_f32v weight(const weights *w, int gates, int g, int64_t j, int64_t k) {
  if (w->packed) return fv_vload(w->p + (j * w->k + k * FV_W) * gates + g * FV_W);
  return fv_vgather_n(w->p + (g * w->h + j) * w->k + k, fv_imul(fv_ilane(), fv_isplat((int32_t)w->k)),
                      FV_MIN(FV_W, w->h - j));
}

INLINE void sums_of(int rows, int gates, const float *const *a, float *const *c, const weights *w, const target *t, int64_t j) {
  fv_f32v acc[ROWS][4];
  const int64_t n = w->h - j;
  for (int r = 0; r < rows; r++)
    for (int g = 0; g < gates; g++) acc[r][g] = t->add[g] ? load(c[r] + t->slot[g] * w->h + j, n) : fv_vzero();
  for (int64_t k = 0; k < w->k; k++)
    for (int g = 0; g < gates; g++) {
      const fv_f32v v = weight(w, gates, g, j, k);
      for (int r = 0; r < rows; r++) acc[r][g] = fv_vfma(fv_vsplat(a[r][k]), v, acc[r][g]);
    }
  for (int r = 0; r < rows; r++)
    for (int g = 0; g < gates; g++) store(c[r] + t->slot[g] * w->h + j, acc[r][g], n);
}

/* c[row] of n rows. */
INLINE void sums(int gates, int64_t n, const float *const *a, float *const *c, const weights *w, const target *t) {
  for (int64_t j = 0; j < w->h; j += FV_W) {
    int64_t r = 0;
    for (; r + ROWS <= n; r += ROWS) sums_of(ROWS, gates, a + r, c + r, w, t, j);
    for (; r < n; r++) sums_of(1, gates, a + r, c + r, w, t, j);
  }
}

/* c = a W^T for n rows that follow each other at steps of a_step and c_step. */
INLINE void sums_dense(int gates, int64_t n, const float *a, int64_t a_step, float *c, int64_t c_step, const weights *w) {
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

/* ---- backward ------------------------------------------------------------------------------------------------------- */
INLINE void back_of(int rows, int vectors, const float *const *d, float *const *dh, const float *w, int64_t k_end, int64_t h,
                    int64_t j, bool add) {
  fv_f32v acc[ROWS][4];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) acc[r][v] = add ? load(dh[r] + j + v * FV_W, h - j - v * FV_W) : fv_vzero();
  for (int64_t k = 0; k < k_end; k++)
    for (int v = 0; v < vectors; v++) {
      const fv_f32v x = load(w + k * h + j + v * FV_W, h - j - v * FV_W);
      for (int r = 0; r < rows; r++) acc[r][v] = fv_vfma(fv_vsplat(d[r][k]), x, acc[r][v]);
    }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) store(dh[r] + j + v * FV_W, acc[r][v], h - j - v * FV_W);
}

/* dh[row] (+)= d[row] W for n rows; W [k, h]. */
static inline void back(int64_t n, const float *const *d, float *const *dh, const float *w, int64_t k, int64_t h, bool add) {
  int64_t j = 0;
  for (; j + 4 * FV_W <= h; j += 4 * FV_W) {
    int64_t r = 0;
    for (; r + ROWS <= n; r += ROWS) back_of(ROWS, 4, d + r, dh + r, w, k, h, j, add);
    for (; r < n; r++) back_of(1, 4, d + r, dh + r, w, k, h, j, add);
  }
  for (; j < h; j += FV_W) {
    int64_t r = 0;
    for (; r + ROWS <= n; r += ROWS) back_of(ROWS, 1, d + r, dh + r, w, k, h, j, add);
    for (; r < n; r++) back_of(1, 1, d + r, dh + r, w, k, h, j, add);
  }
}

/* ---- both ----------------------------------------------------------------------------------------------------------- */
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
