/* SPDX-License-Identifier: Apache-2.0 */
/* philox.h: Philox4x32-10 (Salmon et al. 2011) on vectors: FV_W counters at a time, the bits of fv_philox. */
#ifndef FV_CPU_PHILOX_H
#define FV_CPU_PHILOX_H

#include "cpu/simd.h"

/* Words 0..3 of any FV_W counters: lower and upper halves. */
static inline void fv_vphilox_at(uint64_t seed, uint64_t stream, fv_i32v c0, fv_i32v c1, fv_i32v out[4]) {
  const fv_i32v m0 = fv_isplat((int32_t)0xd2511f53u), m1 = fv_isplat((int32_t)0xcd9e8d57u);
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
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

/* Of counters first .. first + FV_W - 1; their upper halves must be equal (first a multiple of FV_W). */
static inline void fv_vphilox(uint64_t seed, uint64_t stream, uint64_t first, fv_i32v out[4]) {
  fv_vphilox_at(seed, stream, fv_iadd(fv_isplat((int32_t)(uint32_t)first), fv_ilane()),
                fv_isplat((int32_t)(first >> 32)), out);
}

/* The words that dropout (ops/dropout.h) draws for elements 64 i .. 64 i + 63. */
static inline void fv_vphilox_64(uint64_t seed, uint64_t stream, int64_t i, fv_i32v out[64 / FV_W]) {
  for (int v = 0; v < 16 / FV_W; v++) {
    fv_i32v w[4];
    fv_vphilox(seed, stream, (uint64_t)(i * 16 + v * FV_W), w);
    for (int k = 0; k < 4; k++) out[k * (16 / FV_W) + v] = w[k];
  }
}

/* The words that dropout draws for any FV_W elements in a row, e .. e + FV_W - 1: they lie in two blocks of 64 at
 * most. */
static inline fv_i32v fv_vphilox_words(uint64_t seed, uint64_t stream, int64_t e) {
  const uint64_t counter = (uint64_t)(e / 64 * 16);
  const fv_i32v first = fv_isplat((int32_t)(uint32_t)counter), flip = fv_isplat(INT32_MIN);
  fv_i32v at = fv_iadd(fv_ilane(), fv_isplat((int32_t)(e % 64))), words[4];
  fv_i32v low = fv_iadd(first, fv_iadd(fv_ishl(fv_ishr(at, 6), 4), fv_iand(at, fv_isplat(15))));
  fv_i32v wraps = fv_mtoi(fv_ilt(fv_ixor(low, flip), fv_ixor(first, flip))); /* as unsigned numbers */
  fv_vphilox_at(seed, stream, low, fv_iadd(fv_isplat((int32_t)(counter >> 32)), wraps), words);
  fv_i32v which = fv_iand(fv_ishr(at, 4), fv_isplat(3)), word = words[0];
  for (int k = 1; k < 4; k++) word = fv_iselect(fv_ieq(which, fv_isplat(k)), words[k], word);
  return word;
}

#endif
