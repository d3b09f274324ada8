/* SPDX-License-Identifier: Apache-2.0 */
/* panels.h: matrix products for kernels that do something with a result before it leaves the registers. The second
 * operand lies in panels of PANEL columns, row after row, so that it is read straight on; a block of PANEL_ROWS x PANEL
 * results stays in registers while all of K goes by (Goto & van de Geijn 2008). Every result is one chain of
 * multiply-adds over k in order: its bits depend on nothing else. */
#ifndef FV_CPU_PANELS_H
#define FV_CPU_PANELS_H

#include "cpu/simd.h"

#define PANEL_INLINE static inline __attribute__((always_inline))
enum { PANEL_VECTORS = 2, PANEL = PANEL_VECTORS * FV_W };
#if FV_SIMD_AVX512 || FV_SIMD_NEON
enum { PANEL_ROWS = 12 }; /* 24 sums of the 32 registers */
#elif FV_SIMD_AVX2
enum { PANEL_ROWS = 6 };
#else
enum { PANEL_ROWS = 4 };
#endif

typedef struct panel_block {
  fv_f32v v[PANEL_ROWS][PANEL_VECTORS];
} panel_block;

PANEL_INLINE int64_t panels_of(int64_t cols) { return fv_ceil_div(cols, PANEL); }
/* Floats of `rows` x `cols` in panels. */
PANEL_INLINE int64_t panels_size(int64_t rows, int64_t cols) { return rows * panels_of(cols) * PANEL; }

/* One panel: columns [j, j + PANEL) of m [rows,cols], zeros after the last. */
PANEL_INLINE void panel_pack(const float *m, int64_t rows, int64_t cols, int64_t j, float *to) {
  for (int v = 0; v < PANEL_VECTORS; v++) {
    const float *from = m + j + v * FV_W;
    int64_t lanes = FV_MAX(FV_MIN(cols - j - v * FV_W, FV_W), 0);
    for (int64_t r = 0; r < rows; r++)
      fv_vstore(to + r * PANEL + v * FV_W, lanes == FV_W ? fv_vload(from + r * cols)
                                           : lanes > 0   ? fv_vload_n(from + r * cols, lanes)
                                                         : fv_vzero());
  }
}
/* The same of the transpose: m is [cols,rows]. Some rows at a time, so that what is written stays near. */
PANEL_INLINE void panels_pack_transposed(const float *m, int64_t rows, int64_t cols, float *to) {
  enum { RUN = 16 };
  for (int64_t j = 0; j < cols; j += PANEL, to += rows * PANEL)
    for (int64_t from = 0; from < rows; from += RUN)
      for (int64_t i = 0; i < PANEL; i++)
        for (int64_t r = from; r < FV_MIN(rows, from + RUN); r++)
          to[r * PANEL + i] = j + i < cols ? m[(j + i) * rows + r] : 0;
}

/* sums[r][.] = sum over i < k of a[r * across + i * along] panel[i][.], for `rows` rows and `vectors` vectors of the
 * panel: constants where this is called. */
PANEL_INLINE void panel_product(const float *a, int64_t across, int64_t along, const float *panel, int64_t k, int rows,
                                int vectors, panel_block *sums) {
  panel_block s;
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) s.v[r][v] = fv_vzero();
  for (int64_t i = 0; i < k; i++, a += along, panel += PANEL) {
    fv_f32v b[PANEL_VECTORS];
    for (int v = 0; v < vectors; v++) b[v] = fv_vload(panel + v * FV_W);
    for (int r = 0; r < rows; r++) {
      fv_f32v x = fv_vsplat(a[r * across]);
      for (int v = 0; v < vectors; v++) s.v[r][v] = fv_vfma(x, b[v], s.v[r][v]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums->v[r][v] = s.v[r][v];
}
/* STEP(row, rows, column, whole) over rows [first, last) and columns [0, cols), by blocks; rows that are left come
 * one by one. By columns the panel stays near while the rows go by, by rows what the rows read is read in order. */
#define PANEL_ROWS_OF(first, last, col, whole, STEP)                                               \
  do {                                                                                             \
    int64_t row_ = (first), end_ = (last);                                                         \
    for (; row_ + PANEL_ROWS <= end_; row_ += PANEL_ROWS) STEP(row_, PANEL_ROWS, col, whole);      \
    for (; row_ < end_; row_++) STEP(row_, 1, col, whole);                                         \
  } while (0)
#define PANEL_BY_COLUMNS(first, last, cols, STEP)                                                  \
  do {                                                                                             \
    int64_t col_ = 0, cols_ = (cols);                                                              \
    for (; col_ + PANEL <= cols_; col_ += PANEL) PANEL_ROWS_OF(first, last, col_, true, STEP);     \
    if (col_ < cols_) PANEL_ROWS_OF(first, last, col_, false, STEP);                               \
  } while (0)
#define PANEL_COLUMNS_OF(row, rows, cols, STEP)                                                    \
  do {                                                                                             \
    int64_t col_ = 0, cols_ = (cols);                                                              \
    for (; col_ + PANEL <= cols_; col_ += PANEL) STEP(row, rows, col_, true);                      \
    if (col_ < cols_) STEP(row, rows, col_, false);                                                \
  } while (0)
#define PANEL_BY_ROWS(first, last, cols, STEP)                                                     \
  do {                                                                                             \
    int64_t row_ = (first), end_ = (last);                                                         \
    for (; row_ + PANEL_ROWS <= end_; row_ += PANEL_ROWS) PANEL_COLUMNS_OF(row_, PANEL_ROWS, cols, STEP); \
    for (; row_ < end_; row_++) PANEL_COLUMNS_OF(row_, 1, cols, STEP);                             \
  } while (0)

/* Asks for `n` floats ahead of their use; asking past the end of a tensor does nothing. */
PANEL_INLINE void panel_fetch(const float *p, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) __builtin_prefetch(p + i, 0, 2);
}

/* How much of vector v of a block at column j there is, of `cols`; `whole` (a constant): all of it. */
PANEL_INLINE int64_t panel_lanes(int64_t cols, int64_t j, int v, bool whole) {
  return whole ? FV_W : FV_MAX(FV_MIN(cols - j - v * FV_W, FV_W), 0);
}
PANEL_INLINE fv_f32v panel_load(const float *row, int64_t j, int v, int64_t lanes) {
  return lanes == FV_W ? fv_vload(row + j + v * FV_W) : lanes > 0 ? fv_vload_n(row + j + v * FV_W, lanes) : fv_vzero();
}
PANEL_INLINE void panel_store(float *row, int64_t j, int v, int64_t lanes, fv_f32v x) {
  if (lanes == FV_W) fv_vstore(row + j + v * FV_W, x);
  else if (lanes > 0) fv_vstore_n(row + j + v * FV_W, x, lanes);
}

#endif
