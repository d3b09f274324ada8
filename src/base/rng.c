/* SPDX-License-Identifier: Apache-2.0 */
/* rng.c: random numbers as a function of a counter (Philox4x32-10: Salmon et al., "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011). The key is the seed; the 128-bit counter is (counter, stream), low words first. No state means no
 * order: any thread may compute any number. */
#include "base/base.h"

#include <math.h>

static uint32_t high(uint64_t product) { return (uint32_t)(product >> 32); }

void fv_philox(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)seed, k1 = high(seed);
  uint32_t c0 = (uint32_t)counter, c1 = high(counter), c2 = (uint32_t)stream, c3 = high(stream);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    c0 = high(p1) ^ c1 ^ k0;
    c1 = (uint32_t)p1;
    c2 = high(p0) ^ c3 ^ k1;
    c3 = (uint32_t)p0;
    k0 += 0x9E3779B9u; /* Weyl sequences: the golden ratio and sqrt(3) - 1 */
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

fv_rng fv_rng_new(uint64_t seed, uint64_t stream) { return (fv_rng){.seed = seed, .stream = stream}; }

uint32_t fv_rng_u32(fv_rng *r) {
  if (r->left == 0) {
    fv_philox(r->seed, r->stream, r->counter++, r->block);
    r->left = 4;
  }
  return r->block[4 - r->left--];
}

/* Lemire, "Fast Random Integer Generation in an Interval", 2019: the high half of a product, and the few low halves
 * that would favour some results are drawn again. */
uint32_t fv_rng_below(fv_rng *r, uint32_t n) {
  if (n == 0) return 0;
  uint64_t product = (uint64_t)fv_rng_u32(r) * n;
  if ((uint32_t)product < n) {
    uint32_t uneven = (0u - n) % n;
    while ((uint32_t)product < uneven) product = (uint64_t)fv_rng_u32(r) * n;
  }
  return high(product);
}

double fv_rng_uniform(fv_rng *r) { return fv_rng_u32(r) * 0x1p-32; }

double fv_rng_normal(fv_rng *r) {
  if (r->has_spare) {
    r->has_spare = 0;
    return r->spare;
  }
  double radius = sqrt(-2 * log((fv_rng_u32(r) + 1.0) * 0x1p-32)); /* (0, 1]: no log of 0 */
  double angle = 2 * M_PI * fv_rng_uniform(r);
  r->spare = radius * sin(angle);
  r->has_spare = 1;
  return radius * cos(angle);
}

void fv_rng_permutation(fv_rng *r, int32_t *v, int64_t n) {
  for (int64_t i = 0; i < n; i++) v[i] = (int32_t)i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = fv_rng_below(r, (uint32_t)i + 1);
    int32_t x = v[i];
    v[i] = v[j];
    v[j] = x;
  }
}

uint64_t fv_stream_of(const char *name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
  return hash;
}
