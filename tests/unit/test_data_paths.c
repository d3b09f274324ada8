/* SPDX-License-Identifier: Apache-2.0 */
/* test_data_paths.c: folders, CSV, npy and IDX files as datasets, made here from the built-in digits; and what is said
 * when they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "data/sets.h"

enum { N = 60 };
static char dir[64], where[256];
static uint8_t pixels[N][64];
static int32_t label[N];

static int fresh(void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/fovea-paths-XXXXXX");
  for (int i = 0; i < N; i++) {
    label[i] = fv_digit_label(i);
    fv_digit_pixels(i, pixels[i]);
  }
  return mkdtemp(dir) ? 0 : -1;
}

static int clear(void **state) {
  (void)state;
  return fv_dir_remove(dir) == FV_OK ? 0 : -1;
}

static const char *in_dir(const char *name) {
  snprintf(where, sizeof where, "%s/%s", dir, name);
  return where;
}

static void make_dir_of(char *path) {
  char *slash = strrchr(path, '/');
  *slash = 0;
  assert_int_equal(fv_dir_make(path), FV_OK);
  *slash = '/';
}

static void put(const char *name, const void *bytes, size_t n) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  make_dir_of(path);
  assert_int_equal(fv_file_write(path, bytes, n), FV_OK);
}

static void put_text(const char *name, const char *text) { put(name, text, strlen(text)); }

static fv_dataset *open_path(const char *name) {
  fv_dataset *d, *planned;
  fv_ledger dry = {.dry = true}, real = {0};
  if (fv_dataset_open(in_dir(name), NULL, 1, &real, NULL, NULL, &d) != FV_OK) fail_msg("%s", fv_error_message());
  assert_int_equal(fv_dataset_open(in_dir(name), NULL, 1, &dry, NULL, NULL, &planned), FV_OK);
  assert_memory_equal(dry.bytes, real.bytes, sizeof dry.bytes); /* the plan knows what the run takes */
  assert_int_equal(planned->n_classes, d->n_classes);
  for (int s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++) assert_int_equal(planned->count[s], d->count[s]);
  fv_dataset_close(planned);
  return d;
}

static void refuse(const char *name, fv_status want, const char *says) {
  fv_dataset *d;
  int64_t live = fv_memory_get_stats().live_bytes;
  fv_status status = fv_dataset_open(in_dir(name), NULL, 1, NULL, NULL, NULL, &d);
  if (status != want) fail_msg("%s: %s: %s", name, fv_status_name(status), fv_error_message());
  if (!strstr(fv_error_message(), says)) fail_msg("'%s' does not say '%s'", fv_error_message(), says);
  assert_null(strchr(fv_error_message(), '\n'));
  assert_null(d);
  assert_int_equal(fv_memory_get_stats().live_bytes, live);
}

/* Every digit of ours is in the set once, in train or test, with its label. */
static void assert_all_there(fv_dataset *d, int least_classes) {
  int seen[N] = {0};
  assert_int_equal(d->count[0] + d->count[1], N);
  assert_true(d->n_classes >= least_classes);
  assert_int_equal(fv_shape_count(d->field[0].shape), 64);
  for (int s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++)
    for (int64_t i = 0; i < d->count[s]; i++) {
      uint8_t image[64];
      int32_t got;
      int k = 0;
      d->read(d, (fv_split)s, i, 0, (void *[FV_MAX_FIELDS]){image, &got});
      while (k < N && (seen[k] || memcmp(pixels[k], image, 64) != 0)) k++;
      if (k == N) fail_msg("%s image %d is none of ours", fv_split_names[s], (int)i);
      assert_int_equal(got, label[k]);
      seen[k] = 1;
    }
  fv_dataset_close(d);
}

/* ---- csv --------------------------------------------------------------------------------------------------------- */
static void put_csv(const char *name, int from, int to, bool label_first, const char *header) {
  fv_text t = {0};
  const char *sep = strstr(name, ".tsv") ? "\t" : ",";
  fv_text_printf(&t, "%s", header);
  for (int i = from; i < to; i++) {
    if (label_first) fv_text_printf(&t, "%d", label[i]);
    for (int k = 0; k < 64; k++) fv_text_printf(&t, "%s%d", k > 0 || label_first ? sep : "", pixels[i][k]);
    if (!label_first) fv_text_printf(&t, "%s%d", sep, label[i]);
    fv_text_printf(&t, "\n");
  }
  put(name, t.s, t.n);
  fv_text_free(&t);
}

static void header_of(char header[1024], const char *first, const char *last) {
  int n = snprintf(header, 1024, "%s", first);
  for (int k = 0; k < 63; k++) n += snprintf(header + n, 1024 - (size_t)n, ",p%d", k);
  snprintf(header + n, 1024 - (size_t)n, ",%s\n", last);
}

static void test_csv(void **state) {
  (void)state;
  char header[1024];
  put_csv("last.csv", 0, N, false, "");
  assert_all_there(open_path("last.csv"), 10);
  put_csv("tabs.tsv", 0, N, false, "");
  assert_all_there(open_path("tabs.tsv@8x8"), 10);
  header_of(header, "label", "p63");
  put_csv("first.csv", 0, N, true, header);
  assert_all_there(open_path("first.csv"), 10);
  header_of(header, "p0", "Class");
  put_csv("named.csv", 0, N, false, header);
  assert_all_there(open_path("named.csv"), 10);
  put_csv("set_train.csv", 0, 40, false, "");
  put_csv("set_test.csv", 40, N, false, "");
  fv_dataset *d = open_path("set_train.csv@8x8x1");
  assert_int_equal(d->count[FV_SPLIT_TEST], N - 40);
  assert_all_there(d, 10);
  put_csv("set/train.csv", 0, N, false, "");
  assert_all_there(open_path("set"), 10);
}

/* Without a header the label is the first column when the last is one value throughout, as a border pixel is. */
static void test_csv_guess(void **state) {
  (void)state;
  for (int i = 0; i < N; i++) pixels[i][63] = 0;
  put_csv("guess.csv", 0, N, true, "");
  assert_all_there(open_path("guess.csv"), 10);
}

static void test_csv_words(void **state) {
  (void)state;
  put_text("words.csv", "1,2,3,4,cat\n5,6,7,8,ant\n1,2,3,4,cat\n1,2,3,4,cat\n5,6,7,9,ant\n5,6,7,9,ant\n");
  fv_dataset *d = open_path("words.csv");
  assert_int_equal(d->n_classes, 2);
  assert_string_equal(d->classes[0], "ant");
  assert_string_equal(d->classes[1], "cat");
  for (int64_t i = 0; i < d->count[0]; i++) {
    uint8_t image[4];
    int32_t got;
    d->read(d, FV_SPLIT_TRAIN, i, 0, (void *[FV_MAX_FIELDS]){image, &got});
    assert_int_equal(got, image[0] == 1 ? 1 : 0);
  }
  fv_dataset_close(d);
}

static void test_csv_bad(void **state) {
  (void)state;
  put_text("empty.csv", "");
  refuse("empty.csv", FV_ERR_REQUEST, "expected images, got none");
  put_text("header.csv", "a,b,c,d,label\n");
  refuse("header.csv", FV_ERR_REQUEST, "only a header");
  put_text("ragged.csv", "1,2,3,4,0\n1,2,3,1\n");
  refuse("ragged.csv", FV_ERR_CORRUPT, "line 2): expected 5 columns, got 4");
  put_text("pixel.csv", "1,2,3,4,0\n1,2,3,256,1\n1,2,3,4,0\n1,2,3,4,0\n");
  refuse("pixel.csv", FV_ERR_CORRUPT, "line 2): expected pixels that are whole numbers of 0 to 255, got '256'");
  put_text("label.csv", "1,2,3,4,0\n1,2,3,4,-1\n");
  refuse("label.csv", FV_ERR_CORRUPT, "expected whole-number labels of 0 to 65535, got -1");
  put_text("nolabel.csv", "1,2,3,4,0\n1,2,3,4,\n");
  refuse("nolabel.csv", FV_ERR_CORRUPT, "line 2): expected a label, got nothing");
  put_text("square.csv", "1,2,3,4,5,0\n1,2,3,4,5,1\n");
  refuse("square.csv", FV_ERR_REQUEST, "got 5 pixels; say PATH@HxWxC");
  refuse("square.csv@2x2", FV_ERR_REQUEST, "expected images of [2,2], got 5 pixels");
  refuse("square.csv@2y2", FV_ERR_REQUEST, "expected a size as @HxW");
  refuse("square.csv@0x2", FV_ERR_REQUEST, "expected a size as @HxW");
  put_text("one.csv", "a,b,c,d,label\n1,2,3,4,0\n1,2,3,5,0\n9,2,3,5,0\n");
  refuse("one.csv", FV_ERR_REQUEST, "expected at least 2 classes, got 1");
  put_text("few.csv", "1,2,3,4,0\n1,2,3,4,1\n");
  refuse("few.csv", FV_ERR_REQUEST, "to cut a test part from");
  put_text("text.csv", "\x89PNG\r\n\x1a\n\x01\x02");
  refuse("text.csv", FV_ERR_REQUEST, "text.csv");
}

/* ---- npy and idx ------------------------------------------------------------------------------------------------- */
static void put_npy(const char *name, const char *descr, const char *shape, const void *bytes, size_t n) {
  fv_text t = {0};
  char head[128];
  int k = snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
  fv_text_append(&t, "\x93NUMPY\x01\x00\x76\x00", 10);
  fv_text_append(&t, head, (size_t)k);
  for (; k < 117; k++) fv_text_append(&t, " ", 1);
  fv_text_append(&t, "\n", 1);
  fv_text_append(&t, bytes, n);
  put(name, t.s, t.n);
  fv_text_free(&t);
}

static void test_npy(void **state) {
  (void)state;
  static float fraction[N][64], whole[N][64];
  static int64_t wide[N];
  for (int i = 0; i < N; i++) wide[i] = label[i];
  for (int i = 0; i < N; i++)
    for (int k = 0; k < 64; k++) fraction[i][k] = (float)pixels[i][k] / 255, whole[i][k] = pixels[i][k];
  put_npy("X.npy", "|u1", "(60, 8, 8)", pixels, sizeof pixels);
  put_npy("y.npy", "<i8", "(60,)", wide, sizeof wide);
  assert_all_there(open_path("X.npy"), 10);
  assert_all_there(open_path("."), 10);
  put_npy("my_images.npy", "<f4", "(60, 8, 8, 1)", fraction, sizeof fraction);
  put_npy("my_labels.npy", "<i4", "(60, 1)", label, sizeof label);
  assert_all_there(open_path("my_images.npy"), 10);
  put_npy("X_train.npy", "<f4", "(40, 64)", whole, sizeof whole[0] * 40);
  put_npy("y_train.npy", "<i4", "(40,)", label, sizeof label[0] * 40);
  put_npy("X_test.npy", "|u1", "(20, 8, 8)", pixels[40], sizeof pixels[0] * 20);
  put_npy("y_test.npy", "<i4", "(20,)", label + 40, sizeof label[0] * 20);
  fv_dataset *d = open_path("X_train.npy");
  assert_int_equal(d->count[FV_SPLIT_TEST], 20);
  assert_all_there(d, 10);
}

static void test_npy_bad(void **state) {
  (void)state;
  static float real[N][64];
  int32_t bad[N] = {[7] = -3};
  put_npy("X.npy", "|u1", "(60, 8, 8)", pixels, sizeof pixels);
  refuse("X.npy", FV_ERR_NOTFOUND, "expected labels beside it");
  put_npy("y.npy", "<i4", "(59,)", label, sizeof label[0] * 59);
  refuse("X.npy", FV_ERR_REQUEST, "expected 60 labels, got [59]");
  put_npy("y.npy", "<i4", "(60,)", bad, sizeof bad);
  refuse("X.npy", FV_ERR_CORRUPT, "image 7): expected a label from 0 to 65535, got -3");
  put_npy("y.npy", "<i4", "(60,)", label, sizeof label);
  put_npy("X.npy", "|u1", "(60, 8, 9)", pixels, sizeof pixels);
  refuse("X.npy", FV_ERR_CORRUPT, "expected 4320 bytes");
  real[3][5] = -0.5f;
  put_npy("X.npy", "<f4", "(60, 64)", real, sizeof real);
  refuse("X.npy", FV_ERR_REQUEST, "value 197): expected a fraction of 0 to 1, got -0.5");
  real[3][5] = 300;
  put_npy("X.npy", "<f4", "(60, 64)", real, sizeof real);
  refuse("X.npy", FV_ERR_REQUEST, "expected a whole number of 0 to 255, got 300");
  put_npy("X.npy", "|u1", "(60, 1, 8, 8)", pixels, sizeof pixels);
  refuse("X.npy", FV_ERR_REQUEST, "channels last");
  refuse("y.npy@2x2x2x2", FV_ERR_REQUEST, "expected a size");
}

static void put_idx(const char *name, int ndim, const uint32_t *dim, const uint8_t *bytes, size_t n) {
  fv_text t = {0};
  fv_text_append(&t, (char[]){0, 0, 8, (char)ndim}, 4);
  for (int i = 0; i < ndim; i++) {
    uint8_t be[4] = {(uint8_t)(dim[i] >> 24), (uint8_t)(dim[i] >> 16), (uint8_t)(dim[i] >> 8), (uint8_t)dim[i]};
    fv_text_append(&t, (const char *)be, 4);
  }
  fv_text_append(&t, (const char *)bytes, n);
  put(name, t.s, t.n);
  fv_text_free(&t);
}

static void test_idx(void **state) {
  (void)state;
  uint8_t small[N];
  for (int i = 0; i < N; i++) small[i] = (uint8_t)label[i];
  put_idx("a-images-idx3-ubyte", 3, (uint32_t[]){N, 8, 8}, pixels[0], sizeof pixels);
  put_idx("a-labels-idx1-ubyte", 1, (uint32_t[]){N}, small, N);
  assert_all_there(open_path("a"), 10);
  assert_all_there(open_path("a-images-idx3-ubyte"), 10);
  put_idx("m/train-images-idx3-ubyte", 3, (uint32_t[]){40, 8, 8}, pixels[0], 40 * 64);
  put_idx("m/train-labels-idx1-ubyte", 1, (uint32_t[]){40}, small, 40);
  put_idx("m/t10k-images-idx3-ubyte", 3, (uint32_t[]){20, 8, 8}, pixels[40], 20 * 64);
  put_idx("m/t10k-labels-idx1-ubyte", 1, (uint32_t[]){20}, small + 40, 20);
  fv_dataset *d = open_path("m");
  assert_int_equal(d->count[FV_SPLIT_TEST], 20);
  assert_all_there(d, 10);
  refuse("m@9x9", FV_ERR_REQUEST, "expected images of [9,9], got [8,8,1]");
  put_idx("m/t10k-images-idx3-ubyte", 3, (uint32_t[]){20, 4, 16}, pixels[40], 20 * 64);
  refuse("m", FV_ERR_REQUEST, "expected images of [8,8,1] as for training, got [4,16,1]");
  put_idx("m/t10k-images-idx3-ubyte", 3, (uint32_t[]){20, 8, 8}, pixels[40], 20 * 64 - 1);
  refuse("m", FV_ERR_CORRUPT, "expected 1280 bytes");
  put_idx("m/t10k-images-idx3-ubyte", 3, (uint32_t[]){20, 8, 8}, pixels[40], 20 * 64);
  put_idx("m/t10k-labels-idx1-ubyte", 1, (uint32_t[]){19}, small + 40, 19);
  refuse("m", FV_ERR_CORRUPT, "expected U8 or I32 [20], got U8 [19]");
  put_idx("a-images-idx3-ubyte", 3, (uint32_t[]){0x7fffffff, 8, 8}, pixels[0], sizeof pixels);
  refuse("a", FV_ERR_CORRUPT, "[2147483647,8,8]");
  put_idx("a-images-idx3-ubyte", 3, (uint32_t[]){0, 8, 8}, pixels[0], 0);
  refuse("a", FV_ERR_REQUEST, "expected images");
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */
static void put_image(const char *name, int w, int h, int channels, const uint8_t *bytes) {
  char path[256];
  fv_image image = {.w = w, .h = h, .channels = channels, .pixels = (uint8_t *)(uintptr_t)bytes};
  snprintf(path, sizeof path, "%s/%s", dir, name);
  make_dir_of(path);
  assert_int_equal(fv_image_write_png(path, &image), FV_OK);
}

static void put_digits(const char *below, int from, int to) {
  for (int i = from; i < to; i++) {
    char name[64];
    snprintf(name, sizeof name, "%sd%d/%03d.%s", below, label[i], i, i % 2 ? "png" : "PNG");
    put_image(name, 8, 8, 1, pixels[i]);
  }
}

static void test_folder(void **state) {
  (void)state;
  put_digits("all/", 0, N);
  put_text("all/d3/notes.txt", "not a picture");
  put_text("all/README", "nor a class");
  fv_dataset *d = open_path("all");
  assert_string_equal(d->classes[3], "d3");
  assert_all_there(d, 10);
  put_digits("cut/train/", 0, 40);
  put_digits("cut/val/", 40, N);
  d = open_path("cut");
  assert_int_equal(d->count[FV_SPLIT_TEST], 20);
  assert_all_there(d, 10);
  d = open_path("cut@16x12x3");
  assert_int_equal(d->field[0].shape.dim[0], 16);
  assert_int_equal(d->field[0].shape.dim[1], 12);
  assert_int_equal(d->field[0].shape.dim[2], 3);
  fv_dataset_close(d);
}

static void test_folder_bad(void **state) {
  (void)state;
  uint8_t colour[8 * 8 * 3] = {200, 30};
  assert_int_equal(fv_dir_make(in_dir("none")), FV_OK);
  refuse("none", FV_ERR_REQUEST, "expected at least 2 class folders with PNG or JPEG files, got 0");
  put_digits("f/", 0, N);
  assert_int_equal(fv_dir_make(in_dir("f/empty")), FV_OK);
  refuse("f", FV_ERR_REQUEST, "f/empty): expected PNG or JPEG files of this class, got none");
  assert_int_equal(fv_dir_remove(in_dir("f/empty")), FV_OK);
  put_text("f/d3/bad.jpg", "not a picture");
  refuse("f", FV_ERR_CORRUPT, "f/d3/bad.jpg");
  assert_int_equal(fv_file_remove(in_dir("f/d3/bad.jpg")), FV_OK);
  put_image("f/d3/wide.png", 9, 8, 1, colour);
  refuse("f", FV_ERR_REQUEST, "wide.png): expected 8x8 as the first picture, got 8x9; PATH@HxW resizes all");
  fv_dataset_close(open_path("f@8x8"));
  put_image("f/d3/wide.png", 8, 8, 3, colour);
  refuse("f", FV_ERR_REQUEST, "expected grey as the first picture, got colour");
  fv_dataset_close(open_path("f@8x8x1"));
  refuse("f@8x8x2", FV_ERR_REQUEST, "1 or 3 channels");
  put_digits("g/train/", 0, N);
  put_image("g/test/other/0.png", 8, 8, 1, pixels[0]);
  refuse("g", FV_ERR_REQUEST, "got also 'other'");
  put_text("what.xyz", "?");
  refuse("what.xyz", FV_ERR_REQUEST, "expected a folder of class folders, a .csv");
}

/* ---- cifar ------------------------------------------------------------------------------------------------------- */
/* The members of a tar archive as ustar lays them out. */
static void tar_member(fv_text *t, const char *name, const uint8_t *bytes, size_t n) {
  char head[512] = {0};
  unsigned sum = 8 * ' ';
  snprintf(head, 100, "%s", name);
  snprintf(head + 100, 8, "0000644");
  snprintf(head + 124, 12, "%011zo", n);
  snprintf(head + 136, 12, "%011o", 0);
  head[156] = '0';
  memcpy(head + 257, "ustar\00000", 8);
  for (int i = 0; i < 512; i++) sum += (unsigned char)head[i];
  snprintf(head + 148, 8, "%06o", sum);
  fv_text_append(t, head, 512);
  fv_text_append(t, (const char *)bytes, n);
  memset(head, 0, 512);
  fv_text_append(t, head, (512 - n % 512) % 512);
}

static void test_cifar(void **state) {
  (void)state;
  enum { EACH = 3, RECORD = 3073 };
  static uint8_t batch[EACH * RECORD], image[6 * EACH * 3072];
  int32_t got[6 * EACH];
  fv_text t = {0};
  const char *const names[] = {"test_batch",   "data_batch_5", "data_batch_1",
                               "data_batch_2", "data_batch_3", "data_batch_4"};
  const int place[] = {5, 4, 0, 1, 2, 3};
  tar_member(&t, "cifar-10-batches-bin/readme.html", (const uint8_t *)"hello", 5);
  for (int m = 0; m < 6; m++) {
    char name[64];
    for (int i = 0; i < EACH; i++) {
      batch[i * RECORD] = (uint8_t)((m + i) % 10);
      memset(batch + i * RECORD + 1, 10 * m + i, 3072);
    }
    snprintf(name, sizeof name, "cifar-10-batches-bin/%s.bin", names[m]);
    tar_member(&t, name, batch, sizeof batch);
    if (m == 3) put("short.tar", t.s, t.n);
  }
  put("cifar.tar", t.s, t.n);
  put("cut.tar", t.s, t.n - 5000);
  fv_text_free(&t);
  if (fv_cifar10_pour(in_dir("cifar.tar"), EACH, image, got) != FV_OK) fail_msg("%s", fv_error_message());
  for (int m = 0; m < 6; m++)
    for (int i = 0; i < EACH; i++) {
      assert_int_equal(got[place[m] * EACH + i], (m + i) % 10);
      assert_int_equal(image[(place[m] * EACH + i) * 3072 + 99], 10 * m + i);
    }
  assert_int_equal(fv_cifar10_pour(in_dir("cifar.tar"), EACH + 1, image, got), FV_ERR_CORRUPT);
  assert_non_null(strstr(fv_error_message(), "got fewer"));
  assert_int_equal(fv_cifar10_pour(in_dir("cifar.tar"), EACH - 1, image, got), FV_ERR_CORRUPT);
  assert_non_null(strstr(fv_error_message(), "got more"));
  assert_int_equal(fv_cifar10_pour(in_dir("short.tar"), EACH, image, got), FV_ERR_CORRUPT);
  assert_non_null(strstr(fv_error_message(), "data_batch_3.bin, got none"));
  assert_int_equal(fv_cifar10_pour(in_dir("cut.tar"), EACH, image, got), FV_ERR_CORRUPT);
  put_text("no.tar", "this is no archive");
  assert_int_equal(fv_cifar10_pour(in_dir("no.tar"), EACH, image, got), FV_ERR_CORRUPT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
  const struct CMUnitTest tests[] = {
      TEST(test_csv),     TEST(test_csv_guess), TEST(test_csv_words), TEST(test_csv_bad),    TEST(test_npy),
      TEST(test_npy_bad), TEST(test_idx),       TEST(test_folder),    TEST(test_folder_bad), TEST(test_cifar),
  };
  return cmocka_run_group_tests_name("data paths", tests, NULL, NULL);
}
