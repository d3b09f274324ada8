/* SPDX-License-Identifier: Apache-2.0 */
/* fold.h: across the lanes of many vectors at once. FV_W vectors are folded into one whose lane i is what joining the
 * lanes of vector i gives: log2(FV_W) rounds that halve the number of vectors, two shuffles and one join a pair, where
 * folding them one by one would take log2(FV_W) joins each. The tree is that of fv_vsum (lane i with i + FV_W/2, then
 * halves), the lower lane always first, so a result's bits do not depend on which of the vectors it came from. */
#ifndef FV_CPU_FOLD_H
#define FV_CPU_FOLD_H

#include "cpu/simd.h"

/* Lane i of the pair (a, b): where i has bit h from b, else from a; the lower or upper of each two lanes h apart. */
#define FV_FOLD_LOW_(i, h) ((i) & (h) ? FV_W + (i) - (h) : (i))
#define FV_FOLD_HIGH_(i, h) ((i) & (h) ? FV_W + (i) : (i) + (h))
#if FV_W == 16
#define FV_FOLD_LANES_(f, h)                                                                                        \
  f(0, h), f(1, h), f(2, h), f(3, h), f(4, h), f(5, h), f(6, h), f(7, h), f(8, h), f(9, h), f(10, h), f(11, h),     \
      f(12, h), f(13, h), f(14, h), f(15, h)
#elif FV_W == 8
#define FV_FOLD_LANES_(f, h) f(0, h), f(1, h), f(2, h), f(3, h), f(4, h), f(5, h), f(6, h), f(7, h)
#else
#define FV_FOLD_LANES_(f, h) f(0, h), f(1, h), f(2, h), f(3, h)
#endif
#define FV_FOLD_LOW(a, b, h) __builtin_shufflevector(a, b, FV_FOLD_LANES_(FV_FOLD_LOW_, h))
#define FV_FOLD_HIGH(a, b, h) __builtin_shufflevector(a, b, FV_FOLD_LANES_(FV_FOLD_HIGH_, h))

/* Defines NAME(v): folds v[0..FV_W) into v[0] and returns it; and NAME_one(v): one vector, the result in every lane. */
#define FV_FOLD_ROUND_(join, h)                                                             \
  if (FV_W > (h))                                                                           \
    for (int i = 0; i < (h) && i < FV_W; i++)                                               \
      v[i] = join(FV_FOLD_LOW(v[i], v[i + (h)], (h) & (FV_W - 1)), FV_FOLD_HIGH(v[i], v[i + (h)], (h) & (FV_W - 1)));
#define FV_FOLD_ONE_(join, h) \
  if (FV_W > (h)) v = join(FV_FOLD_LOW(v, v, (h) & (FV_W - 1)), FV_FOLD_HIGH(v, v, (h) & (FV_W - 1)));
#define FV_FOLD(name, type, join)                                           \
  static inline __attribute__((unused)) type name(type *v) {                \
    FV_FOLD_ROUND_(join, 8) FV_FOLD_ROUND_(join, 4) FV_FOLD_ROUND_(join, 2) \
    FV_FOLD_ROUND_(join, 1) return v[0];                                    \
  }                                                                         \
  static inline __attribute__((unused)) type name##_one(type v) {           \
    FV_FOLD_ONE_(join, 8) FV_FOLD_ONE_(join, 4) FV_FOLD_ONE_(join, 2)       \
    FV_FOLD_ONE_(join, 1) return v;                                         \
  }
FV_FOLD(fv_fold_sum, fv_f32v, fv_vadd)
FV_FOLD(fv_fold_prod, fv_f32v, fv_vmul)
FV_FOLD(fv_fold_max, fv_f32v, fv_vmax) /* NaN wins */
FV_FOLD(fv_fold_min, fv_f32v, fv_vmin)
FV_FOLD(fv_fold_imin, fv_i32v, fv_imin)

#endif
