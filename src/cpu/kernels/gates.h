/* SPDX-License-Identifier: Apache-2.0 */
/* gates.h: the functions of the gates of lstm and gru, FV_W units at a time, and the way back through them: what
 * kernels of whole sequences (recurrent.c, recurrent_grad.c) and of single steps (cell.c) share. Gates in PyTorch's
 * order. */
#ifndef FV_CPU_KERNELS_GATES_H
#define FV_CPU_KERNELS_GATES_H

#include "cpu/simd.h"
#include "cpu/vmath.h"

#define INLINE static inline __attribute__((always_inline))

INLINE fv_f32v load(const float *p, int64_t n) { return n >= FV_W ? fv_vload(p) : fv_vload_n(p, n); }
INLINE fv_f32v load_or_zero(const float *p, int64_t at, int64_t n) { return p ? load(p + at, n) : fv_vzero(); }
INLINE void store(float *p, fv_f32v v, int64_t n) {
  if (n >= FV_W) fv_vstore(p, v);
  else fv_vstore_n(p, v, n);
}

/* v: the sums of i, f, g, o, which become the gates; c: the cell before. */
INLINE void lstm_gates(fv_f32v v[4], fv_f32v c, fv_f32v *now, fv_f32v *h) {
  v[0] = fv_vsigmoid(v[0]);
  v[1] = fv_vsigmoid(v[1]);
  v[2] = fv_vtanh(v[2]);
  v[3] = fv_vsigmoid(v[3]);
  *now = fv_vfma(v[1], c, v[0] * v[2]);
  *h = v[3] * fv_vtanh(*now);
}

/* From the gradients of the state and of the cell (*dc) to those of the sums, d, and of the cell before. now: the cell
 * after the step. */
INLINE void lstm_gates_back(const fv_f32v v[4], fv_f32v c, fv_f32v now, fv_f32v dh, fv_f32v *dc, fv_f32v d[4]) {
  const fv_f32v one = fv_vsplat(1), i = v[0], f = v[1], g = v[2], o = v[3], t = fv_vtanh(now);
  const fv_f32v down = fv_vfma(dh * o, fv_vfnma(t, t, one), *dc);
  d[0] = down * g * (i * (one - i));
  d[1] = down * c * (f * (one - f));
  d[2] = down * i * fv_vfnma(g, g, one);
  d[3] = dh * t * (o * (one - o));
  *dc = down * f;
}

/* v: the sums of r and z, both sides together, and of n on the input's side, which become the gates; m: the sum of n on
 * the state's side; h: the state before. The state after it. */
INLINE fv_f32v gru_gates(fv_f32v v[3], fv_f32v m, fv_f32v h) {
  v[0] = fv_vsigmoid(v[0]);
  v[1] = fv_vsigmoid(v[1]);
  v[2] = fv_vtanh(fv_vfma(v[0], m, v[2]));
  return fv_vfma(v[1], h, (fv_vsplat(1) - v[1]) * v[2]);
}

/* The gradients of the sums on the input's side; on the state's side that of n is r times it. That of the state before,
 * as far as it goes through z. */
INLINE fv_f32v gru_gates_back(const fv_f32v v[3], fv_f32v m, fv_f32v h, fv_f32v dh, fv_f32v d[3]) {
  const fv_f32v one = fv_vsplat(1), r = v[0], z = v[1], n = v[2];
  d[2] = dh * (one - z) * fv_vfnma(n, n, one);
  d[0] = d[2] * m * (r * (one - r));
  d[1] = dh * (h - n) * (z * (one - z));
  return dh * z;
}

#endif
