/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.h: one matrix product on the calling thread, for kernels that contain one. */
#ifndef FV_CPU_GEMM_H
#define FV_CPU_GEMM_H

#include "base/base.h"

/* c = alpha op(a) op(b) + beta c, row-major: op(a) is m x k, op(b) k x n, c m x n; lda, ldb, ldc are the floats from
 * one stored row to the next. With ta, a is stored k x m; with tb, b is stored n x k. beta = 0 overwrites c, NaN
 * included. Sizes of zero are fine. */
void fv_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
             const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

#endif
