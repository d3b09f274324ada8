/* SPDX-License-Identifier: Apache-2.0 */
/* The measured ceilings are plausible, those of one core asked twice the same, and 0 for levels this processor
 * lacks. */
#include "cpu/ceiling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void gflops(void **state) {
  (void)state;
  for (int i = 0; i < FV_ISAS; i++) {
    double rate = fv_ceiling_gflops((fv_isa)i);
    if (getenv("FOVEA_TEST_PRINT")) print_message("%s: %.1f GF/s\n", fv_isa_names[i], rate);
    if (!fv_cpu_has((fv_isa)i)) assert_true(rate == 0);
    else assert_true(rate > 0.05 && rate < 2000);
    assert_true(fv_ceiling_gflops((fv_isa)i) == rate);
  }
  assert_true(fv_ceiling_gflops(FV_ISAS) == 0);
}

/* A number of the right kind: how large it is on a busy machine nobody can say. */
static void gflops_pool(void **state) {
  (void)state;
  fv_isa isa = fv_cpu_isa();
  double one = fv_ceiling_gflops(isa);
  for (int threads = 1; threads <= 3; threads++) {
    fv_pool *pool = NULL;
    assert_int_equal(fv_pool_new(threads, &pool), FV_OK);
    double rate = fv_ceiling_gflops_pool(isa, pool);
    if (getenv("FOVEA_TEST_PRINT")) print_message("%d threads: %.1f GF/s\n", threads, rate);
    assert_true(rate > 0.001 * one && rate < 1000 * threads * one);
    assert_true(fv_ceiling_gflops_pool(FV_ISAS, pool) == 0);
    fv_pool_free(pool);
  }
}

static void gbytes(void **state) {
  (void)state;
  double rate = fv_ceiling_gbytes();
  if (getenv("FOVEA_TEST_PRINT")) print_message("memory: %.1f GB/s\n", rate);
  assert_true(rate > 0.05 && rate < 5000);
  assert_true(fv_ceiling_gbytes() == rate);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(gflops), cmocka_unit_test(gflops_pool),
                                     cmocka_unit_test(gbytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
