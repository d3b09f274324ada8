/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h: sums and maxima along contiguous rows. A row is summed in blocks of vectors, blocks in f64: the order depends
 * on the length alone, and long rows lose nothing. */
#ifndef FV_CPU_KERNELS_ROWS_H
#define FV_CPU_KERNELS_ROWS_H

#include "cpu/simd.h"

#define INLINE static inline __attribute__((always_inline))
#define ROW_BLOCK (64 * FV_W)

INLINE fv_f32v row_load(const float *p, int64_t lanes) { return lanes == FV_W ? fv_vload(p) : fv_vload_short(p, lanes); }
INLINE void row_store(float *p, fv_f32v v, int64_t lanes) {
  if (lanes == FV_W) fv_vstore(p, v);
  else fv_vstore_short(p, v, lanes);
}
/* v in the first lanes, zero beyond: what a short vector may add to a sum. */
INLINE fv_f32v row_lanes(fv_f32v v, int64_t lanes) {
  return lanes == FV_W ? v : fv_vmasked(fv_mfirst(lanes), v);
}

typedef struct row_pair {
  fv_f32v a, b;
} row_pair;
typedef struct row_sums {
  double a, b;
} row_sums;
/* Two numbers of each of elements i .. i + lanes; zero in the lanes beyond. Inlined where it is passed on. */
typedef row_pair row_term(const void *arg, int64_t i, int64_t lanes);

INLINE row_sums row_reduce(int64_t n, row_term *term, const void *arg) {
  row_sums sums = {0, 0};
  for (int64_t from = 0; from < n; from += ROW_BLOCK) {
    int64_t i = from, end = FV_MIN(n, from + ROW_BLOCK);
    row_pair s[2] = {{fv_vzero(), fv_vzero()}, {fv_vzero(), fv_vzero()}};
    for (; i + 2 * FV_W <= end; i += 2 * FV_W)
      for (int k = 0; k < 2; k++) {
        row_pair t = term(arg, i + k * FV_W, FV_W);
        s[k].a += t.a;
        s[k].b += t.b;
      }
    for (; i < end; i += FV_W) {
      row_pair t = i + FV_W <= end ? term(arg, i, FV_W) : term(arg, i, end - i);
      s[0].a += t.a;
      s[0].b += t.b;
    }
    sums.a += fv_vsum(s[0].a + s[1].a);
    sums.b += fv_vsum(s[0].b + s[1].b);
  }
  return sums;
}

/* STEP(i, lanes) over a row, whole vectors and then the short one. */
#define ROW_VECTORS(n_, STEP)                                \
  do {                                                       \
    int64_t i_ = 0, len_ = (n_);                             \
    for (; i_ + FV_W <= len_; i_ += FV_W) STEP(i_, FV_W);    \
    if (i_ < len_) STEP(i_, len_ - i_);                      \
  } while (0)

#endif
