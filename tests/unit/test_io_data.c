/* SPDX-License-Identifier: Apache-2.0 */
/* test_io_data.c: the readers on real files, from the directory $FOVEA_DATA_MIRROR; without it, skipped. The figures
 * are known beforehand: MNIST's label counts and mean (0.1307), Fashion-MNIST's balance, the digits' sizes. */
#include "test_io.h"

#include <math.h>

static const char *mirror;

static const char *in_mirror(const char *name) {
  static char path[1024];
  snprintf(path, sizeof path, "%s/%s", mirror, name);
  return path;
}

static void test_mnist(void **state) {
  (void)state;
  static const int counts[10] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
  fv_array a;
  int seen[10] = {0};
  OK(fv_idx_read(in_mirror("mnist/train-labels-idx1-ubyte.gz"), 1 << 20, &a));
  assert_int_equal(a.count, 60000);
  for (int i = 0; i < 60000; i++) seen[((const uint8_t *)a.data)[i]]++;
  fv_idx_free(&a);
  assert_memory_equal(seen, counts, sizeof counts);
  OK(fv_idx_read(in_mirror("mnist/train-images-idx3-ubyte.gz"), 64 << 20, &a));
  assert_int_equal(a.ndim, 3);
  assert_int_equal(a.dim[2], 28);
  double sum = 0;
  for (int64_t i = 0; i < a.count; i++) sum += ((const uint8_t *)a.data)[i];
  fv_idx_free(&a);
  assert_true(fabs(sum / 255 / 60000 / 784 - 0.1307) < 0.0001);
}

static void test_fashion(void **state) {
  (void)state;
  fv_array a;
  int seen[10] = {0};
  OK(fv_idx_read(in_mirror("fashion-mnist/t10k-labels-idx1-ubyte.gz"), 1 << 20, &a));
  for (int64_t i = 0; i < a.count; i++) seen[((const uint8_t *)a.data)[i]]++;
  fv_idx_free(&a);
  for (int i = 0; i < 10; i++) assert_int_equal(seen[i], 1000);
  FAILS(FV_ERR_REQUEST, "at most 1000 bytes, got [10000,28,28]",
        fv_idx_read(in_mirror("fashion-mnist/t10k-images-idx3-ubyte.gz"), 1000, &a));
}

static void test_digits(void **state) {
  (void)state;
  fv_csv *c;
  fv_matrix m;
  OK(fv_csv_open(in_mirror("digits/digits.csv.gz"), NULL, &c));
  OK(fv_csv_matrix(c, &m));
  fv_csv_close(c);
  assert_int_equal(m.rows, 1797);
  assert_int_equal(m.cols, 65);
  uint8_t *v = fv_alloc((size_t)(m.rows * m.cols));
  assert_non_null(v);
  OK(fv_matrix_to_u8(&m, "digits", v));
  int most = 0, zeros = 0;
  for (int64_t i = 0; i < m.rows * m.cols; i++)
    if (i % 65 < 64) most = FV_MAX(most, v[i]);
    else zeros += v[i] == 0;
  assert_int_equal(most, 16);
  assert_int_equal(zeros, 178);
  fv_free(v);
  fv_matrix_free(&m);
}

static void test_news(void **state) { /* quotes, commas and backslashes in the fields */
  (void)state;
  fv_csv *c;
  char **fields;
  size_t n;
  int64_t rows = 0;
  OK(fv_csv_open(in_mirror("ag_news/test.csv.gz"), NULL, &c));
  for (;; rows++) {
    OK(fv_csv_next(c, &fields, &n));
    if (n == 0) break;
    assert_int_equal(n, 3);
    assert_true(fields[0][0] >= '1' && fields[0][0] <= '4' && fields[0][1] == 0);
    if (rows == 0) assert_string_equal(fields[1], "Fears for T N pension after talks");
  }
  assert_int_equal(rows, 7600);
  fv_csv_close(c);
}

static size_t little(const uint8_t *p, int n) { return n == 0 ? 0 : p[0] | little(p + 1, n - 1) << 8; }

/* Unpacks one entry of a zip archive's central directory; its length, 0 when it does not fit. */
static size_t unzip(const uint8_t *archive, const uint8_t *entry, uint8_t *out, size_t room) {
  size_t packed = little(entry + 20, 4), size = little(entry + 24, 4);
  const uint8_t *local = archive + little(entry + 42, 4);
  const uint8_t *data = local + 30 + little(local + 26, 2) + little(local + 28, 2);
  if (size > room) return 0;
  if (entry[10] == 0) {
    memcpy(out, data, size);
    return size;
  }
  z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)packed};
  z.next_out = out, z.avail_out = (uInt)room;
  assert_int_equal(inflateInit2(&z, -15), Z_OK);
  assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
  inflateEnd(&z);
  return size;
}

static void check_drawing(const uint8_t *png, size_t n) {
  fv_image image;
  int ink = 0;
  OK(fv_image_parse(png, n, "omniglot", 1, &image));
  assert_int_equal(image.w, 105);
  assert_int_equal(image.h, 105);
  for (int i = 0; i < 105 * 105; i++) ink += image.pixels[i] == 0;
  assert_in_range(ink, 50, 3500); /* a thin black pen on white */
  fv_image_free(&image);
}

static void test_omniglot(void **state) {
  (void)state;
  fv_map map;
  uint8_t png[8192];
  int images = 0;
  OK(fv_map_open(in_mirror("omniglot/images_background_small1.zip"), &map));
  const uint8_t *end = map.data + map.size - 22; /* the archive has no comment */
  assert_memory_equal(end, "PK\5\6", 4);
  const uint8_t *entry = map.data + little(end + 16, 4);
  for (size_t length; entry < end && images < 300; entry += length) {
    size_t n = unzip(map.data, entry, png, sizeof png);
    length = 46 + little(entry + 28, 2) + little(entry + 30, 2) + little(entry + 32, 2);
    if (n < 8 || memcmp(png, "\x89PNG", 4) != 0) continue;
    check_drawing(png, n);
    images++;
  }
  fv_map_close(&map);
  assert_int_equal(images, 300);
}

int main(void) {
  mirror = getenv("FOVEA_DATA_MIRROR");
  if (!mirror || !fv_path_is_dir(mirror)) {
    printf("FOVEA_DATA_MIRROR is not a directory: skipped\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mnist), cmocka_unit_test(test_fashion),  cmocka_unit_test(test_digits),
      cmocka_unit_test(test_news),  cmocka_unit_test(test_omniglot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
