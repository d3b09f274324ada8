/* SPDX-License-Identifier: Apache-2.0 */
/* test_data_real.c: the registered sets as the world has them, from $FOVEA_DATA_MIRROR; without it, skipped. Class
 * counts and means are published figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "data/sets.h"

static fv_dataset *open_data(const char *name) {
  fv_dataset *d, *planned;
  fv_ledger dry = {.dry = true}, real = {0};
  if (fv_dataset_open(name, NULL, 1, &real, NULL, NULL, &d) != FV_OK) fail_msg("%s", fv_error_message());
  assert_int_equal(fv_dataset_open(name, NULL, 1, &dry, NULL, NULL, &planned), FV_OK);
  assert_memory_equal(dry.bytes, real.bytes, sizeof dry.bytes);
  fv_dataset_close(planned);
  return d;
}

static void count_classes(const fv_dataset *d, fv_split split, int64_t count[10]) {
  memset(count, 0, 10 * sizeof *count);
  for (int64_t i = 0; i < d->count[split]; i++) {
    int32_t label;
    d->read(d, split, i, 0, (void *[FV_MAX_FIELDS]){NULL, &label});
    count[label]++;
  }
}

static void test_fashion(void **state) {
  (void)state;
  int64_t count[10];
  float mean[4], deviation[4];
  fv_dataset *d = open_data("fashion-mnist");
  for (int s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++) {
    count_classes(d, (fv_split)s, count);
    for (int c = 0; c < 10; c++) assert_int_equal(count[c], s == 0 ? 6000 : 1000);
  }
  assert_string_equal(d->classes[9], "Ankle boot");
  assert_int_equal(fv_data_statistics(d, FV_SPLIT_TRAIN, 0, 60000, 0, mean, deviation), FV_OK);
  assert_true(fabs((double)mean[0] - 0.2860) < 1e-4 && fabs((double)deviation[0] - 0.3530) < 1e-4);
  fv_dataset_close(d);
}

/* The Debian package has packed the same bytes anew; with nothing else around, it is found and passes. */
static void test_system_package(void **state) {
  (void)state;
  const char *dir = "/usr/share/datasets/fashion-mnist", *mirror = getenv("FOVEA_DATA_MIRROR");
  if (!fv_path_is_dir(dir)) skip();
  char *kept = fv_strdup(mirror), *path;
  unsetenv("FOVEA_DATA_MIRROR");
  int row = fv_dataset_find("fashion-mnist");
  assert_int_equal(fv_data_locate(&fv_dataset_get_info(row).files[0], &path), FV_OK);
  assert_non_null(path);
  assert_memory_equal(path, dir, strlen(dir));
  assert_int_equal(fv_data_verify(row, NULL, NULL), FV_OK);
  fv_string_free(path);
  setenv("FOVEA_DATA_MIRROR", kept, 1);
  fv_free(kept);
}

static void test_mnist(void **state) {
  (void)state;
  static const int64_t published[10] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  int64_t count[10];
  float mean[4], deviation[4];
  fv_dataset *d = open_data("mnist");
  count_classes(d, FV_SPLIT_TEST, count);
  assert_memory_equal(count, published, sizeof count);
  assert_int_equal(fv_data_statistics(d, FV_SPLIT_TRAIN, 0, 60000, 0, mean, deviation), FV_OK);
  assert_true(fabs((double)mean[0] - 0.1307) < 1e-4 && fabs((double)deviation[0] - 0.3081) < 1e-4);
  fv_dataset_close(d);
}

static void test_usps(void **state) {
  (void)state;
  static const int64_t published[10] = {359, 264, 198, 166, 200, 160, 170, 147, 166, 177};
  int64_t count[10];
  fv_dataset *d = open_data("usps");
  count_classes(d, FV_SPLIT_TEST, count);
  assert_memory_equal(count, published, sizeof count);
  fv_dataset_close(d);
}

/* The built-in digits are those of the file in the mirror, which is read as any CSV. */
static void test_digits(void **state) {
  (void)state;
  char path[4096];
  snprintf(path, sizeof path, "%s/digits/digits.csv.gz", getenv("FOVEA_DATA_MIRROR"));
  if (!fv_path_exists(path)) skip();
  fv_dataset *file = open_data(path), *own = open_data("digits");
  for (int s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++) {
    assert_int_equal(file->count[s], own->count[s]);
    for (int64_t i = 0; i < own->count[s]; i++) {
      uint8_t a[64], b[64];
      int32_t la, lb;
      file->read(file, (fv_split)s, i, 0, (void *[FV_MAX_FIELDS]){a, &la});
      own->read(own, (fv_split)s, i, 0, (void *[FV_MAX_FIELDS]){b, &lb});
      assert_int_equal(la, lb);
      for (int k = 0; k < 64; k++) assert_int_equal((a[k] * 255 + 8) / 16, b[k]);
    }
  }
  fv_dataset_close(file);
  fv_dataset_close(own);
}

static bool count_calls(void *arg, const char *what, int64_t done, int64_t total) {
  assert_non_null(what);
  assert_true(done <= total);
  ++*(int *)arg;
  return true;
}

static void test_verify(void **state) {
  (void)state;
  int calls = 0;
  assert_int_equal(fv_data_verify(fv_dataset_find("mnist"), count_calls, &calls), FV_OK);
  assert_int_equal(calls, 8);
  assert_int_equal(fv_data_get(fv_dataset_find("mnist"), NULL, NULL), FV_OK);
  assert_int_equal(fv_data_verify(fv_dataset_find("digits"), NULL, NULL), FV_OK);
}

/* This thread's, so that a busy machine does not matter. */
static double processor_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Training must not wait for its data: an optimised build does several times this. */
static void test_speed(void **state) {
  (void)state;
  fv_dataset *d = open_data("fashion-mnist");
  fv_loader_options o = {.data = d, .to = 60000, .batch = 128, .shuffle = true, .augment = {.shift = 2, .flip = true},
                         .n_channels = 1, .mean = {0.286f}, .deviation = {0.353f}};
  fv_loader *l;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_OK);
  double start = processor_seconds();
  for (int64_t k = 0; k < fv_loader_batches(l); k++) (void)fv_loader_next(l);
  double rate = 60000 / (processor_seconds() - start);
  print_message("fashion-mnist, shift and flip: %.0f images/s on one thread\n", rate);
  assert_true(rate > 20000);
  fv_loader_free(l);
  fv_dataset_close(d);
}

int main(void) {
  const char *mirror = getenv("FOVEA_DATA_MIRROR");
  if (!mirror || !*mirror) {
    printf("FOVEA_DATA_MIRROR is not set: skipped\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fashion), cmocka_unit_test(test_system_package), cmocka_unit_test(test_mnist),
      cmocka_unit_test(test_usps),    cmocka_unit_test(test_digits),         cmocka_unit_test(test_verify),
      cmocka_unit_test(test_speed),
  };
  return cmocka_run_group_tests_name("data, real", tests, NULL, NULL);
}
