/* SPDX-License-Identifier: Apache-2.0 */
/* transpose.h: planes of 32-bit elements transposed in registers, FV_W x FV_W at a time, by repeated perfect shuffles
 * (zip row i with row i + FV_W/2, log2 FV_W times). */
#ifndef FV_CPU_TRANSPOSE_H
#define FV_CPU_TRANSPOSE_H

#include "cpu/simd.h"

#if FV_W == 16
#define FV_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define FV_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif FV_W == 8
#define FV_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define FV_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define FV_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define FV_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* FV_W x FV_W numbers: to[i * to_step + j] = from[j * from_step + i]. */
static inline void fv_transpose_square(int32_t *to, int64_t to_step, const int32_t *from, int64_t from_step) {
  fv_i32v r[FV_W], s[FV_W];
  for (int i = 0; i < FV_W; i++) r[i] = fv_iload(from + i * from_step);
  for (int pass = 1; pass < FV_W; pass *= 4) {
    for (int i = 0; i < FV_W / 2; i++) {
      s[2 * i] = FV_ZIP_LOW(r[i], r[i + FV_W / 2]);
      s[2 * i + 1] = FV_ZIP_HIGH(r[i], r[i + FV_W / 2]);
    }
    if (2 * pass >= FV_W) {
      for (int i = 0; i < FV_W; i++) r[i] = s[i];
      break;
    }
    for (int i = 0; i < FV_W / 2; i++) {
      r[2 * i] = FV_ZIP_LOW(s[i], s[i + FV_W / 2]);
      r[2 * i + 1] = FV_ZIP_HIGH(s[i], s[i + FV_W / 2]);
    }
  }
  for (int i = 0; i < FV_W; i++) fv_istore(to + i * to_step, r[i]);
}

/* rows x columns of the output: to[i * to_step + j] = from[j * from_step + i]. */
static inline void fv_transpose(int32_t *to, int64_t to_step, const int32_t *from, int64_t from_step, int64_t rows,
                            int64_t columns) {
  int64_t i = 0;
  for (; i + FV_W <= rows; i += FV_W) {
    int64_t j = 0;
    for (; j + FV_W <= columns; j += FV_W)
      fv_transpose_square(to + i * to_step + j, to_step, from + j * from_step + i, from_step);
    for (int64_t k = i; k < i + FV_W; k++)
      for (int64_t l = j; l < columns; l++) to[k * to_step + l] = from[l * from_step + k];
  }
  for (; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) to[i * to_step + j] = from[j * from_step + i];
}

#undef FV_ZIP_LOW
#undef FV_ZIP_HIGH

#endif
