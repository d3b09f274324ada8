/* SPDX-License-Identifier: Apache-2.0 */
/* dropout and dropout_bits: 64 elements a time from 16 counters of Philox. A unit is 4096 elements. */
#include "cpu/philox.h"
#include "ops/dropout.h"

#define UNIT 4096

/* Unsigned compare: the sign bit turned over. */
static fv_mask kept(fv_i32v word, uint32_t threshold) {
  fv_i32v flip = fv_isplat(INT32_MIN);
  return fv_ige(fv_ixor(word, flip), fv_isplat((int32_t)(threshold ^ 0x80000000u)));
}

static void run(const fv_call *c) {
  const fv_dropout_attrs *a = c->attrs;
  int32_t rng[4];
  memcpy(rng, c->in[1].data, sizeof rng);
  uint64_t seed = fv_dropout_seed(rng), stream = fv_dropout_stream(a->stream, rng);
  uint64_t threshold = fv_dropout_threshold(a->p);
  fv_f32v scale = fv_vsplat(a->p < 1 ? (float)(1 / (1 - a->p)) : 0);
  const float *x = c->in[0].data;
  float *y = c->out[0].data;
  int64_t end = FV_MIN(c->end * UNIT, fv_shape_count(c->in[0].shape));
  for (int64_t i = c->begin * UNIT; i < end; i += 64) {
    fv_i32v words[64 / FV_W];
    fv_vphilox_64(seed, stream, i / 64, words);
    for (int64_t v = 0; v < 64 / FV_W && i + v * FV_W < end; v++) {
      int64_t at = i + v * FV_W, lanes = FV_MIN(end - at, FV_W);
      fv_mask keep = threshold >> 32 ? fv_mfirst(0) : kept(words[v], (uint32_t)threshold);
      if (lanes == FV_W) fv_vstore(y + at, fv_vmasked(keep, fv_vload(x + at) * scale));
      else fv_vstore_n(y + at, fv_vmasked(keep, fv_vload_n(x + at, lanes) * scale), lanes);
    }
  }
}

static int64_t units(const fv_node *n) { return fv_ceil_div(fv_shape_count(n->in[0]->shape), UNIT); }

static void run_bits(const fv_call *c) {
  const fv_dropout_bits_attrs *a = c->attrs;
  int32_t rng[4], *bits = c->out[0].data;
  memcpy(rng, c->in[0].data, sizeof rng);
  const uint64_t seed = fv_dropout_seed(rng), stream = fv_dropout_stream(a->stream, rng);
  const uint64_t threshold = fv_dropout_threshold(a->p);
  for (int64_t i = c->begin * UNIT; i < FV_MIN(c->end * UNIT, a->count); i += 64) {
    fv_i32v words[64 / FV_W];
    uint64_t all = 0;
    fv_vphilox_64(seed, stream, i / 64, words);
    for (int v = 0; v < 64 / FV_W && !(threshold >> 32); v++)
      all |= (uint64_t)fv_mbits(kept(words[v], (uint32_t)threshold)) << v * FV_W;
    if (a->count - i < 64) all &= ((uint64_t)1 << (a->count - i)) - 1;
    bits[i / 32] = (int32_t)(uint32_t)all;
    bits[i / 32 + 1] = (int32_t)(uint32_t)(all >> 32);
  }
}

static int64_t bits_units(const fv_node *n) {
  return fv_ceil_div(((const fv_dropout_bits_attrs *)n->attrs)->count, UNIT);
}

const fv_kernel FV_KERNELS(dropout)[] = {
    {.op = "dropout", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run},
    {.op = "dropout_bits", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = bits_units, .run = run_bits},
    {0}};
