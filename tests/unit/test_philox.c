/* SPDX-License-Identifier: Apache-2.0 */
/* Vector Philox gives the bits of the scalar one, and the words dropout is defined by. Built once per level. */
#include "cpu/philox.h"
#include "ops/dropout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_counters(void **state) {
  (void)state;
  fv_rng rng = fv_rng_new(7, 7);
  for (int i = 0; i < 1000; i++) {
    uint64_t seed = (uint64_t)fv_rng_u32(&rng) << 32 | fv_rng_u32(&rng), stream = (uint64_t)fv_rng_u32(&rng) << 32 | 5;
    uint64_t first = ((uint64_t)fv_rng_u32(&rng) << 32 | fv_rng_u32(&rng)) / FV_W * FV_W;
    fv_i32v words[4];
    fv_vphilox(seed, stream, first, words);
    for (int lane = 0; lane < FV_W; lane++) {
      uint32_t want[4];
      fv_philox(seed, stream, first + (uint64_t)lane, want);
      for (int k = 0; k < 4; k++) assert_int_equal((uint32_t)words[k][lane], want[k]);
    }
  }
}

static void test_dropout_words(void **state) {
  (void)state;
  for (int64_t block = 0; block < 50; block++) {
    fv_i32v words[64 / FV_W];
    fv_vphilox_64(99, 3, block, words);
    for (int64_t e = 0; e < 64; e++)
      assert_int_equal((uint32_t)words[e / FV_W][e % FV_W], fv_dropout_word(99, 3, block * 64 + e));
  }
}

/* From any element on, also where the lower half of the counter turns over. */
static void test_any_words(void **state) {
  (void)state;
  for (int64_t from = 0; from <= INT64_C(1) << 34; from += INT64_C(1) << 33)
    for (int64_t e = FV_MAX(from - 70, 0); e < from + 70; e++) {
      fv_i32v words = fv_vphilox_words(99, 3, e);
      for (int lane = 0; lane < FV_W; lane++)
        assert_int_equal((uint32_t)words[lane], fv_dropout_word(99, 3, e + lane));
    }
}

int main(void) {
  if (!fv_cpu_has(FV_ISA_LEVEL)) return 77;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_counters), cmocka_unit_test(test_dropout_words),
                                     cmocka_unit_test(test_any_words)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
