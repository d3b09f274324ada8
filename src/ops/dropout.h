/* SPDX-License-Identifier: Apache-2.0 */
/* dropout.h: which elements dropout keeps. The rule is here so that fused kernels can draw the same bits.
 *
 * Element e asks Philox for word e % 64 / 16 of counter e / 64 * 16 + e % 16: sixteen neighbours take the same word of
 * sixteen consecutive counters, which is how a vector wants them. It is kept when that word, of 32 bits, is at least
 * p 2^32. */
#ifndef FV_OPS_DROPOUT_H
#define FV_OPS_DROPOUT_H

#include "ir/ir.h"

typedef struct fv_dropout_attrs {
  double p;
  int64_t stream;
} fv_dropout_attrs;

/* The bits alone, element e in bit e % 32 of word e / 32, for who needs them in another order than they are drawn
 * in. */
typedef struct fv_dropout_bits_attrs {
  double p;
  int64_t stream, count;
} fv_dropout_bits_attrs;
static inline int64_t fv_dropout_bits_words(int64_t count) { return (count + 63) / 64 * 2; }
static inline uint32_t fv_dropout_bits_at(const int32_t *words, int64_t e, int64_t n) { /* n <= 32 of them from e on */
  const int64_t shift = e % 32;
  uint64_t bits = (uint32_t)words[e / 32];
  if (shift + n > 32) bits |= (uint64_t)(uint32_t)words[e / 32 + 1] << 32;
  return (uint32_t)(bits >> shift & (((uint64_t)1 << n) - 1));
}

/* What the i32[4] input {seed low, seed high, step, shard} and the node's stream make of Philox's key and stream: every
 * node, step and shard its own (the finaliser of SplitMix64, Steele et al. 2014). */
static inline uint64_t fv_dropout_mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
static inline uint64_t fv_dropout_seed(const int32_t rng[4]) {
  return (uint64_t)(uint32_t)rng[0] | (uint64_t)(uint32_t)rng[1] << 32;
}
static inline uint64_t fv_dropout_stream(int64_t stream, const int32_t rng[4]) {
  uint64_t place = (uint64_t)(uint32_t)rng[2] | (uint64_t)(uint32_t)rng[3] << 32;
  return fv_dropout_mix((uint64_t)stream + 0x9e3779b97f4a7c15u * fv_dropout_mix(place + 1));
}
static inline uint32_t fv_dropout_word(uint64_t seed, uint64_t stream, int64_t e) {
  uint32_t out[4];
  fv_philox(seed, stream, (uint64_t)(e / 64 * 16 + e % 16), out);
  return out[e % 64 / 16];
}
/* A word below it is dropped; 2^32 when everything is. */
static inline uint64_t fv_dropout_threshold(double p) { return (uint64_t)(p * 4294967296.0); }

#endif
