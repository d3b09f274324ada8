/* SPDX-License-Identifier: Apache-2.0 */
/* philox.h: Philox4x32-10 (Salmon et al. 2011) on vectors: FV_W counters at a time, the bits of fv_philox. */
#ifndef FV_CPU_PHILOX_H
#define FV_CPU_PHILOX_H

#include "cpu/simd.h"

/* Words 0..3 of counters first .. first + FV_W - 1; the upper halves of the counters must be equal (first a multiple of
 * FV_W). */
static inline void fv_vphilox(uint64_t seed, uint64_t stream, uint64_t first, fv_i32v out[4]) {
  const fv_i32v m0 = fv_isplat((int32_t)0xd2511f53u), m1 = fv_isplat((int32_t)0xcd9e8d57u);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  fv_i32v c0 = fv_iadd(fv_isplat((int32_t)(uint32_t)first), fv_ilane()), c1 = fv_isplat((int32_t)(first >> 32));
  fv_i32v c2 = fv_isplat((int32_t)(uint32_t)stream), c3 = fv_isplat((int32_t)(stream >> 32));
  for (int round = 0; round < 10; round++) {
    fv_i32v h0 = fv_imulhi_u(m0, c0), h1 = fv_imulhi_u(m1, c2), l0 = fv_imul(m0, c0), l1 = fv_imul(m1, c2);
    c0 = fv_ixor(fv_ixor(h1, c1), fv_isplat((int32_t)k0));
    c2 = fv_ixor(fv_ixor(h0, c3), fv_isplat((int32_t)k1));
    c1 = l1;
    c3 = l0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* The words that dropout (ops/dropout.h) draws for elements 64 i .. 64 i + 63. */
static inline void fv_vphilox_64(uint64_t seed, uint64_t stream, int64_t i, fv_i32v out[64 / FV_W]) {
  for (int v = 0; v < 16 / FV_W; v++) {
    fv_i32v w[4];
    fv_vphilox(seed, stream, (uint64_t)(i * 16 + v * FV_W), w);
    for (int k = 0; k < 4; k++) out[k * (16 / FV_W) + v] = w[k];
  }
}

#endif
