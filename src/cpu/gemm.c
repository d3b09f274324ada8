/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.c: oneDNN's sgemm, kept on the calling thread. A failure (the one: no memory) leaves NaN. */
#include "cpu/gemm.h"

#include "cpu/onednn/dnn.h"

#include <dnnl.h>

static void scale_rows(int64_t m, int64_t n, float beta, float *c, int64_t ldc) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

void fv_gemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
             const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) {
    scale_rows(m, n, beta, c, ldc);
    return;
  }
  fv_status ready = fv_dnn_init();
  int pinned = fv_dnn_pin();
  if (ready != FV_OK ||
      dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) != dnnl_success)
    for (int64_t i = 0; i < m; i++) memset(c + i * ldc, 0xff, (size_t)n * sizeof *c);
  fv_dnn_unpin(pinned);
}
