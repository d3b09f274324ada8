/* SPDX-License-Identifier: Apache-2.0 */
/* finish.h: the activations of products, on vectors: for kernels that apply them to what they store. */
#ifndef FV_CPU_FINISH_H
#define FV_CPU_FINISH_H

#include "cpu/simd.h"
#include "cpu/vmath.h"
#include "ops/activation.h"

static inline fv_f32v fv_vactivate(int64_t act, fv_f32v x) {
  switch (act) {
    case FV_ACT_RELU: return fv_vmax(x, fv_vzero());
    case FV_ACT_SIGMOID: return fv_vsigmoid(x);
    case FV_ACT_TANH: return fv_vtanh(x);
    case FV_ACT_GELU:
      return fv_vmul(fv_vmul(fv_vsplat(0.5f), x),
                     fv_vadd(fv_vsplat(1), fv_verf(fv_vmul(x, fv_vsplat(0.70710678f)))));
    case FV_ACT_SILU: return fv_vmul(x, fv_vsigmoid(x));
    default: return x;
  }
}

/* y[i] = act(y[i] + residual[i]); residual may be NULL. */
static inline void fv_finish(int64_t act, const float *residual, float *y, int64_t n) {
  if (act == FV_ACT_NONE && !residual) return;
  for (int64_t i = 0; i < n; i += FV_W) {
    int64_t k = FV_MIN(n - i, FV_W);
    fv_f32v v = fv_vload_n(y + i, k);
    if (residual) v = fv_vadd(v, fv_vload_n(residual + i, k));
    fv_vstore_n(y + i, fv_vactivate(act, v), k);
  }
}

#endif
