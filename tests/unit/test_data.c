/* SPDX-License-Identifier: Apache-2.0 */
/* test_data.c: the registry, the built-in sets, loaders and what they do to images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "data/augment.h"
#include "data/sets.h"

static fv_dataset *open_data(const char *name, uint64_t seed) {
  fv_dataset *d;
  if (fv_dataset_open(name, NULL, seed, NULL, NULL, NULL, &d) != FV_OK) fail_msg("%s", fv_error_message());
  return d;
}

/* ---- registry ---------------------------------------------------------------------------------------------------- */
static void test_rows(void **state) {
  (void)state;
  assert_true(fv_dataset_count() >= 6);
  for (int i = 0; i < fv_dataset_count(); i++) {
    fv_dataset_info info = fv_dataset_get_info(i);
    assert_int_equal(fv_dataset_find(info.name), i);
    assert_non_null(info.doc);
    assert_non_null(info.licence);
    assert_non_null(info.source);
    assert_non_null(info.cite);
    assert_non_null(info.shape);
    for (const fv_data_file *f = info.files; f && f->path; f++) {
      assert_int_equal(strlen(f->sha256), 64);
      assert_int_equal(strspn(f->sha256, "0123456789abcdef"), 64);
      assert_true(f->bytes > 0);
    }
  }
  assert_int_equal(fv_dataset_find("no-such"), -1);
  assert_int_equal(fv_dataset_find(NULL), -1);
  assert_null(fv_dataset_get_info(-1).name);
}

static void shape_says(const fv_dataset *d, char *text, size_t size) {
  const int64_t *dim = d->field[0].shape.dim, future = d->field[1].shape.dim[0] - 1;
  /* A window less than rows for each row of its future but one, and of its past. */
  if (fv_dataset_field(d, "past") == 0)
    snprintf(text, size, "series of %lld channels: %lld rows train, %lld validation, %lld test", (long long)dim[1],
             (long long)(d->count[FV_SPLIT_TRAIN] + dim[0] + future),
             (long long)(d->count[FV_SPLIT_VALIDATION] + future), (long long)(d->count[FV_SPLIT_TEST] + future));
  else if (fv_dataset_field(d, "support") == 0)
    snprintf(text, size, "episodes of %lldx%lldx%lld: %lld train, %lld validation, %lld test", (long long)dim[1],
             (long long)dim[2], (long long)dim[3], (long long)d->count[FV_SPLIT_TRAIN],
             (long long)d->count[FV_SPLIT_VALIDATION], (long long)d->count[FV_SPLIT_TEST]);
  else if (fv_dataset_field(d, "source") == 0)
    snprintf(text, size, "pairs of texts, %lld train, %lld validation, %lld test", (long long)d->count[FV_SPLIT_TRAIN],
             (long long)d->count[FV_SPLIT_VALIDATION], (long long)d->count[FV_SPLIT_TEST]);
  else if (fv_dataset_field(d, "node_label") >= 0)
    snprintf(text, size, "1 graph: %lld nodes, %lld words, %d classes", (long long)dim[0], (long long)d->features,
             d->n_classes);
  else if (d->features)
    snprintf(text, size, "%lld graphs of ", (long long)(d->count[FV_SPLIT_TRAIN] + d->count[FV_SPLIT_TEST]));
  else if (fv_dataset_field(d, "history") >= 0)
    snprintf(text, size, "ratings of %lld items", (long long)d->reading->catalogue->item.n);
  else if (d->length)
    snprintf(text, size, "texts of up to %lld words, %d classes, %lld train", (long long)dim[0], d->n_classes,
             (long long)d->count[FV_SPLIT_TRAIN]);
  else
    snprintf(text, size, "%lldx%lldx%lld, %d classes, %lld train", (long long)dim[0], (long long)dim[1],
             (long long)dim[2], d->n_classes, (long long)d->count[FV_SPLIT_TRAIN]);
}

/* Every row opens dry with shapes as it says and the bytes it would take, and without any file where these need
 * none. */
static void test_dry(void **state) {
  (void)state;
  for (int i = 0; i < fv_dataset_count(); i++) {
    fv_dataset_info info = fv_dataset_get_info(i);
    fv_ledger ledger = {.dry = true};
    fv_dataset *d;
    if (info.read_to_know && info.files) continue; /* test_data_real.c */
    assert_int_equal(fv_dataset_open(info.name, NULL, 1, &ledger, NULL, NULL, &d), FV_OK);
    char says[80];
    shape_says(d, says, sizeof says);
    assert_memory_equal(info.shape, says, strlen(says));
    assert_true(ledger.bytes[FV_ACCOUNT_DATA] > 0);
    if (!info.files) {
      fv_ledger real = {0};
      fv_dataset *e;
      assert_int_equal(fv_dataset_open(info.name, NULL, 1, &real, NULL, NULL, &e), FV_OK);
      assert_memory_equal(real.bytes, ledger.bytes, sizeof real.bytes);
      assert_int_equal(e->count[FV_SPLIT_TEST], d->count[FV_SPLIT_TEST]);
      fv_dataset_close(e);
    }
    fv_dataset_close(d);
  }
}

static void test_unknown(void **state) {
  (void)state;
  fv_dataset *d;
  assert_int_equal(fv_dataset_open("fashion-mnits", NULL, 0, NULL, NULL, NULL, &d), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "did you mean 'fashion-mnist'"));
  assert_null(d);
  assert_int_equal(fv_dataset_open("zzzzzzzz", NULL, 0, NULL, NULL, NULL, &d), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "digits, "));
  assert_int_equal(fv_dataset_open("./no/such/folder", NULL, 0, NULL, NULL, NULL, &d), FV_ERR_NOTFOUND);
  assert_int_equal(fv_dataset_open("", NULL, 0, NULL, NULL, NULL, &d), FV_ERR_REQUEST);
  assert_int_equal(fv_dataset_open(NULL, NULL, 0, NULL, NULL, NULL, &d), FV_ERR_REQUEST);
}

/* Every allocation of an opening may fail: nothing leaks and the status says so. */
static void test_no_memory(void **state) {
  (void)state;
  const char *const names[] = {"digits", "cluttered-digits"};
  for (size_t k = 0; k < FV_COUNT(names); k++)
    for (uint64_t n = 1;; n++) {
      fv_dataset *d;
      int64_t live = fv_memory_get_stats().live_bytes;
      fv_memory_fail_after(n);
      fv_status status = fv_dataset_open(names[k], NULL, 1, NULL, NULL, NULL, &d);
      fv_memory_fail_after(0);
      fv_dataset_close(d);
      assert_int_equal(fv_memory_get_stats().live_bytes, live);
      if (status == FV_OK) break;
      assert_int_equal(status, FV_ERR_MEMORY);
      assert_true(n < 100);
    }
}

/* ---- digits ------------------------------------------------------------------------------------------------------ */
static void read_digit(const fv_dataset *d, fv_split split, int64_t i, uint8_t *pixels, int32_t *label) {
  void *out[FV_MAX_FIELDS] = {pixels, label};
  d->read(d, split, i, 0, out);
}

static void test_digits(void **state) {
  (void)state;
  fv_dataset *d = open_data("digits", 7);
  uint8_t pixels[64];
  int32_t label;
  int64_t per_class[FV_SPLITS][10] = {0};
  assert_int_equal(d->count[FV_SPLIT_TRAIN] + d->count[FV_SPLIT_TEST], 1797);
  for (int s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++)
    for (int64_t i = 0; i < d->count[s]; i++) {
      read_digit(d, (fv_split)s, i, pixels, &label);
      per_class[s][label]++;
    }
  static const int64_t all[10] = {178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; /* as the set's description says */
  for (int c = 0; c < 10; c++) {
    assert_int_equal(per_class[0][c] + per_class[1][c], all[c]);
    assert_int_equal(per_class[1][c], (all[c] + 2) / 5);
  }
  fv_dataset_close(d);
}

/* The nearest neighbour reads them, so images, labels and split fit together (published: 98 to 99 %). */
static void test_digits_are_digits(void **state) {
  (void)state;
  fv_dataset *d = open_data("digits", 0);
  static uint8_t train[FV_DIGITS][64];
  static int32_t label[FV_DIGITS];
  int right = 0;
  for (int64_t i = 0; i < d->count[0]; i++) read_digit(d, FV_SPLIT_TRAIN, i, train[i], &label[i]);
  for (int64_t i = 0; i < d->count[1]; i++) {
    uint8_t pixels[64];
    int32_t truth;
    int64_t best = -1, best_distance = INT64_MAX;
    read_digit(d, FV_SPLIT_TEST, i, pixels, &truth);
    for (int64_t k = 0; k < d->count[0]; k++) {
      int64_t distance = 0;
      for (int p = 0; p < 64; p++) distance += (pixels[p] - train[k][p]) * (pixels[p] - train[k][p]);
      if (distance < best_distance) best_distance = distance, best = k;
    }
    right += label[best] == truth;
  }
  assert_true(right >= 0.98 * (double)d->count[1]);
  fv_dataset_close(d);
}

/* ---- cluttered digits -------------------------------------------------------------------------------------------- */
typedef struct scene {
  uint8_t image[1600];
  int32_t label;
  float box[4];
} scene;

static scene read_scene(const fv_dataset *d, fv_split split, int64_t i, uint64_t draw) {
  scene s;
  memset(&s, 0, sizeof s);
  void *out[FV_MAX_FIELDS] = {s.image, &s.label, s.box};
  d->read(d, split, i, draw, out);
  return s;
}

static void test_clutter_pure(void **state) {
  (void)state;
  fv_dataset *a = open_data("cluttered-digits", 1), *b = open_data("cluttered-digits", 2);
  for (int64_t i = 0; i < 50; i++) {
    scene s = read_scene(a, FV_SPLIT_TRAIN, i, 3), again = read_scene(a, FV_SPLIT_TRAIN, i, 3);
    assert_memory_equal(&s, &again, sizeof s);
    scene other = read_scene(a, FV_SPLIT_TRAIN, i, 4);
    assert_int_equal(other.label, s.label);
    assert_memory_not_equal(other.image, s.image, 1600);
    other = read_scene(b, FV_SPLIT_TRAIN, i, 3);
    assert_memory_not_equal(other.image, s.image, 1600);
    s = read_scene(a, FV_SPLIT_TEST, i, 0), other = read_scene(b, FV_SPLIT_TEST, i, 9);
    assert_memory_equal(&s, &other, sizeof s); /* neither seed nor epoch touches what is tested on */
  }
  fv_dataset_close(a);
  fv_dataset_close(b);
}

static void test_clutter_content(void **state) {
  (void)state;
  fv_dataset *d = open_data("cluttered-digits", 1);
  double inside = 0, outside = 0, mean_x = 0, per_class[10] = {0};
  enum { N = 2000 };
  for (int64_t i = 0; i < N; i++) {
    scene s = read_scene(d, FV_SPLIT_TRAIN, i, 0);
    const float *b = s.box;
    assert_true(b[0] >= 0 && b[1] >= 0 && b[2] <= 40 && b[3] <= 40);
    assert_in_range((int)(b[2] - b[0]), 3, 16);
    assert_in_range((int)(b[3] - b[1]), 10, 16);
    for (int y = 0; y < 40; y++)
      for (int x = 0; x < 40; x++) {
        bool in = (float)x >= b[0] && (float)x < b[2] && (float)y >= b[1] && (float)y < b[3];
        *(in ? &inside : &outside) += s.image[40 * y + x] >= 64;
      }
    mean_x += 0.5 * (double)(b[0] + b[2]) / N;
    per_class[s.label]++;
  }
  assert_true(outside > inside); /* there is more ink beside the digit than in it */
  assert_true(fabs(mean_x - 20) < 1);
  for (int c = 0; c < 10; c++) assert_true(per_class[c] > 0.08 * N && per_class[c] < 0.12 * N);
  fv_dataset_close(d);
}

/* ---- standardisation and statistics ------------------------------------------------------------------------------ */
static void test_statistics(void **state) {
  (void)state;
  fv_dataset *d = open_data("digits", 0);
  float mean[4], deviation[4], part_mean[4], part_deviation[4];
  double sum = 0, square = 0;
  int64_t n = d->count[FV_SPLIT_TRAIN];
  assert_int_equal(fv_data_statistics(d, FV_SPLIT_TRAIN, 0, n, 5, mean, deviation), FV_OK);
  for (int64_t i = 0; i < n; i++) {
    uint8_t pixels[64];
    int32_t label;
    read_digit(d, FV_SPLIT_TRAIN, i, pixels, &label);
    for (int k = 0; k < 64; k++) sum += pixels[k] / 255.0, square += pixels[k] / 255.0 * (pixels[k] / 255.0);
  }
  sum /= 64.0 * (double)n, square /= 64.0 * (double)n;
  assert_true(fabs((double)mean[0] - sum) < 1e-6);
  assert_true(fabs((double)deviation[0] - sqrt(square - sum * sum)) < 1e-6);
  assert_int_equal(fv_data_statistics(d, FV_SPLIT_TRAIN, 0, n / 2, 5, part_mean, part_deviation), FV_OK);
  assert_true(part_mean[0] != mean[0]);
  assert_int_equal(fv_data_statistics(d, FV_SPLIT_TRAIN, 0, n + 1, 5, mean, deviation), FV_ERR_REQUEST);
  fv_dataset_close(d);
}

static void test_standardise(void **state) {
  (void)state;
  enum { PIXELS = 100 };
  uint8_t in[4 * PIXELS];
  float out[4 * PIXELS];
  const float mean[4] = {0.1f, 0.5f, 0.9f, 0.3f}, deviation[4] = {0.2f, 0.3f, 0, 1};
  for (int i = 0; i < 4 * PIXELS; i++) in[i] = (uint8_t)(37 * i);
  for (int c = 1; c <= 4; c++) {
    fv_standardise(in, PIXELS, c, mean, deviation, out);
    for (int i = 0; i < c * PIXELS; i++) {
      int k = i % c;
      double v = in[i] / 255.0;
      double want = deviation[k] == 0 ? v : (v - (double)mean[k]) / (double)deviation[k];
      assert_true(fabs((double)out[i] - want) < 1e-5);
    }
  }
}

/* ---- loader ------------------------------------------------------------------------------------------------------ */
static fv_loader_options loader_options(const fv_dataset *d) {
  return (fv_loader_options){.data = d, .split = FV_SPLIT_TRAIN, .to = d->count[FV_SPLIT_TRAIN], .batch = 64,
                             .seed = 11, .shuffle = true, .n_channels = 1, .mean = {0.3f}, .deviation = {0.4f}};
}

static fv_loader *open_loader(const fv_loader_options *o) {
  fv_loader *l;
  if (fv_loader_new(o, NULL, &l) != FV_OK) fail_msg("%s", fv_error_message());
  return l;
}

static size_t batch_bytes(const fv_dataset *d, int f, int64_t batch) {
  return (size_t)(fv_shape_count(d->field[f].shape) * 4 * batch);
}

static void assert_same_batch(const fv_dataset *d, const fv_batch *a, const fv_batch *b, int64_t batch) {
  assert_int_equal(a->n, b->n);
  assert_int_equal(a->epoch, b->epoch);
  assert_int_equal(a->position, b->position);
  assert_memory_equal(a->index, b->index, (size_t)batch * 8);
  for (int f = 0; f < d->n_fields; f++) assert_memory_equal(a->field[f], b->field[f], batch_bytes(d, f, batch));
}

/* Ahead or not, from the start or resumed: the same batches. */
static void test_loader_pure(void **state) {
  (void)state;
  fv_dataset *d = open_data("cluttered-digits", 1);
  fv_loader_options o = loader_options(d);
  o.to = 700; /* a part; the last batch has 60 */
  o.augment = (fv_augment){.shift = 2, .flip = true, .cutout = 8, .rotate = 10, .scale = 0.1};
  fv_loader *plain = open_loader(&o);
  o.ahead = true;
  fv_loader *ahead = open_loader(&o);
  o.epoch = 1, o.position = 3;
  fv_loader *later = open_loader(&o);
  assert_int_equal(fv_loader_batches(plain), 11);
  for (int k = 0; k < 30; k++) {
    const fv_batch *a = fv_loader_next(plain), *b = fv_loader_next(ahead);
    assert_int_equal(a->epoch, k / 11);
    assert_int_equal(a->position, k % 11);
    assert_int_equal(a->n, k % 11 == 10 ? 60 : 64);
    assert_same_batch(d, a, b, o.batch);
    if (k >= 14) assert_same_batch(d, a, fv_loader_next(later), o.batch);
  }
  fv_loader_free(plain);
  fv_loader_free(ahead);
  fv_loader_free(later);
  fv_loader_free(NULL);
  fv_dataset_close(d);
}

/* Each epoch has every sample of the part once, in another order; parts do not meet. */
static void test_loader_epochs(void **state) {
  (void)state;
  fv_dataset *d = open_data("digits", 0);
  int64_t n = d->count[FV_SPLIT_TRAIN];
  fv_loader_options train = loader_options(d), validation = train;
  train.to = validation.from = n - 300;
  validation.shuffle = false;
  fv_loader *a = open_loader(&train), *b = open_loader(&validation);
  int seen[3][FV_DIGITS] = {0};
  int64_t first[2] = {-1, -1};
  for (int e = 0; e < 2; e++)
    for (int64_t k = 0; k < fv_loader_batches(a); k++) {
      const fv_batch *batch = fv_loader_next(a);
      if (k == 0) first[e] = batch->index[0];
      for (int64_t i = 0; i < batch->n; i++) seen[e][batch->index[i]]++;
    }
  for (int64_t k = 0; k < fv_loader_batches(b); k++) {
    const fv_batch *batch = fv_loader_next(b);
    for (int64_t i = 0; i < batch->n; i++) seen[2][batch->index[i]]++;
  }
  assert_true(first[0] != first[1]);
  for (int64_t i = 0; i < n; i++) {
    assert_int_equal(seen[0][i], seen[1][i]);
    assert_int_equal(seen[0][i] + seen[2][i], 1);
  }
  fv_loader_free(a);
  fv_loader_free(b);
  fv_dataset_close(d);
}

static void test_loader_content(void **state) {
  (void)state;
  fv_dataset *d = open_data("digits", 0);
  fv_loader_options o = loader_options(d);
  o.split = FV_SPLIT_TEST, o.to = d->count[FV_SPLIT_TEST], o.shuffle = false, o.batch = 100;
  fv_loader *l = open_loader(&o);
  for (int64_t k = 0, at = 0; k < fv_loader_batches(l); k++) {
    const fv_batch *b = fv_loader_next(l);
    const float *image = b->field[0];
    const int32_t *label = b->field[1];
    for (int64_t i = 0; i < b->n; i++, at++) {
      uint8_t pixels[64];
      float want[64];
      int32_t truth;
      read_digit(d, FV_SPLIT_TEST, at, pixels, &truth);
      fv_standardise(pixels, 64, 1, o.mean, o.deviation, want);
      assert_int_equal(b->index[i], at);
      assert_int_equal(label[i], truth);
      assert_memory_equal(image + 64 * i, want, sizeof want);
    }
    for (int64_t i = b->n; i < o.batch; i++) assert_memory_equal(image + 64 * i, image, 64 * sizeof *image);
  }
  fv_loader_free(l);
  fv_dataset_close(d);
}

static void test_loader_memory(void **state) {
  (void)state;
  fv_dataset *d = open_data("cluttered-digits", 0);
  fv_loader_options o = loader_options(d);
  o.ahead = true, o.augment.shift = 2;
  fv_ledger dry = {.dry = true}, real = {0};
  fv_loader *l;
  assert_int_equal(fv_loader_new(&o, &dry, &l), FV_OK);
  assert_int_equal(fv_loader_batches(l), fv_ceil_div(o.to, o.batch));
  fv_loader_free(l);
  assert_int_equal(fv_loader_new(&o, &real, &l), FV_OK);
  assert_memory_equal(&dry.bytes, &real.bytes, sizeof dry.bytes);
  assert_true(real.bytes[FV_ACCOUNT_BATCHES] >= 2 * 64 * 1600 * 4);
  uint64_t before = fv_memory_get_stats().count;
  for (int k = 0; k < 700; k++) (void)fv_loader_next(l); /* over two epochs */
  assert_int_equal(fv_memory_get_stats().count, before);
  fv_loader_free(l);
  fv_dataset_close(d);
}

static void test_loader_refuses(void **state) {
  (void)state;
  fv_dataset *d = open_data("digits", 0);
  fv_loader *l;
  fv_loader_options o = loader_options(d);
  o.to++;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  o = loader_options(d), o.batch = 0;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  o = loader_options(d), o.to = 10, o.drop_last = true;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  o = loader_options(d), o.n_channels = 3;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  o = loader_options(d), o.augment.scale = 1;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  assert_null(l);
  fv_dataset_close(d);
}

/* ---- augmentation ------------------------------------------------------------------------------------------------ */
enum { AW = 9, AH = 7 };
static void picture(uint8_t *p, int c) {
  for (int i = 0; i < AW * AH * c; i++) p[i] = (uint8_t)(40 + i % 200);
  for (int y = 0; y < AH; y++)
    for (int x = 0; x < AW; x++)
      if (y == 0 || x == 0 || y == AH - 1 || x == AW - 1)
        for (int k = 0; k < c; k++) p[(y * AW + x) * c + k] = (uint8_t)(7 + k);
}

/* Every result of shift and flip is one of the few there can be, and each of them comes. */
/* A set of sequences: sample i is i + 1 written i % 23 + 1 times; its label is i. */
static int64_t run_length(const fv_dataset *d, fv_split split, int64_t index) {
  (void)d;
  (void)split;
  return index % 23 + 1;
}

static void run_read(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  int32_t *tokens = out[0];
  for (int64_t i = 0, n = run_length(d, split, index); tokens && i < n; i++) tokens[i] = (int32_t)index + 1;
  if (out[1]) *(int32_t *)out[1] = (int32_t)index;
}

static fv_dataset run_set(int64_t n) {
  return (fv_dataset){.name = "runs",
                      .n_fields = 2,
                      .field = {{.name = "tokens", .dtype = FV_I32, .shape = FV_SHAPE(23), .varies = true},
                                {.name = "label", .dtype = FV_I32}},
                      .count = {n, n},
                      .length = run_length,
                      .read = run_read};
}

/* Every token where it should be, zeros behind, the length the first that fits; counts how often each sample came. */
static void check_run_batch(const fv_loader_options *o, const fv_batch *b, int *seen) {
  int64_t longest = 0;
  for (int64_t i = 0; i < b->n; i++) longest = FV_MAX(longest, run_length(o->data, o->split, b->index[i]));
  assert_int_equal(b->length, o->length[b->bucket]);
  assert_true(longest <= b->length && (b->bucket == 0 || longest > o->length[b->bucket - 1]));
  const int32_t *tokens = b->field[0], *label = b->field[1];
  for (int64_t i = 0; i < b->n; i++) {
    assert_int_equal(label[i], b->index[i]);
    for (int64_t t = 0; t < b->length; t++)
      assert_int_equal(tokens[i * b->length + t],
                       t < run_length(o->data, o->split, b->index[i]) ? b->index[i] + 1 : 0);
    seen[b->index[i]]++;
  }
}

static void test_lengths(void **state) {
  (void)state;
  enum { N = 501 };
  fv_dataset d = run_set(N);
  fv_loader_options o = {.data = &d, .to = N, .batch = 8, .seed = 3, .length = {4, 8, 16, 24}, .n_lengths = 4};
  for (int how = 0; how < 4; how++) { /* shuffled or not, ahead or not */
    int first[N / 8 + 1] = {0}, changed = 0;
    fv_loader *l;
    o.shuffle = how & 1, o.ahead = how & 2;
    assert_int_equal(fv_loader_new(&o, NULL, &l), FV_OK);
    assert_int_equal(fv_loader_batches(l), 63);
    for (int epoch = 0; epoch < 3; epoch++) {
      int seen[N] = {0};
      for (int b = 0; b < 63; b++) {
        const fv_batch *batch = fv_loader_next(l);
        check_run_batch(&o, batch, seen);
        if (epoch == 0) first[b] = (int)batch->index[0];
        else changed += first[b] != batch->index[0];
      }
      for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
    }
    assert_int_equal(changed > 0, o.shuffle);
    fv_loader_free(l);
  }
}

/* From any position on, the same batches. */
static void test_lengths_resume(void **state) {
  (void)state;
  fv_dataset d = run_set(200);
  fv_loader_options o = {.data = &d, .to = 200, .batch = 16, .seed = 5, .shuffle = true, .drop_last = true,
                         .length = {8, 24}, .n_lengths = 2};
  fv_loader *whole, *later;
  assert_int_equal(fv_loader_new(&o, NULL, &whole), FV_OK);
  for (int i = 0; i < 17; i++) (void)fv_loader_next(whole);
  o.position = 17;
  assert_int_equal(fv_loader_new(&o, NULL, &later), FV_OK);
  for (int i = 0; i < 20; i++) {
    const fv_batch *a = fv_loader_next(whole), *b = fv_loader_next(later);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->bucket, b->bucket);
    assert_memory_equal(a->index, b->index, 16 * sizeof *a->index);
    assert_memory_equal(a->field[0], b->field[0], (size_t)(16 * a->length) * sizeof(int32_t));
  }
  fv_loader_free(whole);
  fv_loader_free(later);
}

static void test_lengths_refuses(void **state) {
  (void)state;
  fv_dataset d = run_set(50);
  fv_loader *l;
  const fv_loader_options good = {.data = &d, .to = 50, .batch = 4, .length = {8, 24}, .n_lengths = 2};
  fv_loader_options o = good;
  o.n_lengths = 0;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  o = good, o.length[1] = 8;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  o = good, o.length[1] = 22;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "longest sample, 23, got 22"));
  o = good, d.length = NULL;
  assert_int_equal(fv_loader_new(&o, NULL, &l), FV_ERR_REQUEST);
}

static void test_shift_flip(void **state) {
  (void)state;
  for (int c = 1; c <= 3; c += 2) {
    fv_augmenter a = {.how = {.shift = 2, .flip = true}, .h = AH, .w = AW, .c = c};
    uint8_t in[AW * AH * 3], out[AW * AH * 3];
    int seen[5][5][2] = {0}, kinds = 0;
    picture(in, c);
    for (int t = 0; t < 1000; t++) {
      fv_rng rng = fv_rng_new(1, (uint64_t)t);
      int found = 0;
      fv_augment_apply(&a, &rng, in, out, NULL);
      for (int v = 0; v < 50 && !found; v++) {
        int dx = v % 5 - 2, dy = v / 5 % 5 - 2, flip = v / 25, same = 1;
        for (int i = 0; i < AW * AH * c && same; i++) {
          int k = i % c, x = i / c % AW - dx, y = i / c / AW - dy;
          bool inside = x >= 0 && x < AW && y >= 0 && y < AH;
          int want = inside ? in[(y * AW + (flip ? AW - 1 - x : x)) * c + k] : 7 + k;
          same = out[i] == want;
        }
        if (same) found = ++seen[dx + 2][dy + 2][flip];
      }
      assert_true(found);
    }
    for (int v = 0; v < 50; v++) kinds += seen[v % 5][v / 5 % 5][v / 25] > 0;
    assert_int_equal(kinds, 50);
  }
}

/* A bright square keeps its place in its box, whatever is done. */
static void test_box_follows(void **state) {
  (void)state;
  enum { S = 40 };
  uint8_t in[S * S], out[S * S];
  memset(in, 0, sizeof in);
  for (int y = 12; y < 20; y++)
    for (int x = 22; x < 30; x++) in[y * S + x] = 255;
  fv_augmenter a = {.how = {.shift = 3, .flip = true, .rotate = 30, .scale = 0.2}, .h = S, .w = S, .c = 1};
  for (int t = 0; t < 200; t++) {
    float box[4] = {22, 12, 30, 20};
    double x = 0, y = 0, mass = 0;
    fv_rng rng = fv_rng_new(2, (uint64_t)t);
    a.how.rotate = t % 2 ? 30 : 0, a.how.scale = t % 2 ? 0.2 : 0;
    fv_augment_apply(&a, &rng, in, out, box);
    for (int i = 0; i < S * S; i++) x += out[i] * (i % S + 0.5), y += out[i] * (i / S + 0.5), mass += out[i];
    assert_true(fabs(x / mass - 0.5 * (double)(box[0] + box[2])) < 0.2);
    assert_true(fabs(y / mass - 0.5 * (double)(box[1] + box[3])) < 0.2);
    for (int i = 0; i < S * S; i++)
      if (out[i] > 140) assert_true((float)(i % S) >= box[0] - 1 && (float)(i % S) < box[2] + 1);
  }
}

static void test_cutout(void **state) {
  (void)state;
  enum { S = 12 };
  uint8_t in[S * S], out[S * S];
  memset(in, 9, sizeof in);
  fv_augmenter a = {.how = {.cutout = 4}, .h = S, .w = S, .c = 1, .blank = {77}};
  int full = 0;
  for (int t = 0; t < 300; t++) {
    int blank = 0;
    fv_rng rng = fv_rng_new(3, (uint64_t)t);
    fv_augment_apply(&a, &rng, in, out, NULL);
    for (int i = 0; i < S * S; i++) blank += out[i] == 77;
    assert_in_range(blank, 4, 16);
    full += blank == 16;
  }
  assert_true(full > 100 && full < 300); /* whole within, cut at the edges */
  a.how.cutout = 100; /* larger than the image */
  fv_rng rng = fv_rng_new(3, 0);
  fv_augment_apply(&a, &rng, in, out, NULL);
  for (int i = 0; i < S * S; i++) assert_int_equal(out[i], 77);
}

/* ---- the cut ----------------------------------------------------------------------------------------------------- */
static void test_cut(void **state) {
  (void)state;
  int32_t label[103];
  uint8_t is_test[103], again[103];
  int tests[4] = {0};
  for (int i = 0; i < 103; i++) label[i] = i < 2 ? 3 : i % 3;
  assert_int_equal(fv_data_cut(label, 103, 4, 5, 0, is_test), FV_OK);
  assert_int_equal(fv_data_cut(label, 103, 4, 5, 0, again), FV_OK);
  assert_memory_equal(is_test, again, sizeof again);
  for (int i = 0; i < 103; i++) tests[label[i]] += is_test[i];
  assert_int_equal(tests[0], 7);
  assert_int_equal(tests[1], 7);
  assert_int_equal(tests[2], 7);
  assert_int_equal(tests[3], 0);
  assert_int_equal(fv_data_cut(label, 0, 4, 5, 0, is_test), FV_ERR_REQUEST);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rows),           cmocka_unit_test(test_dry),
      cmocka_unit_test(test_unknown),        cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_digits),         cmocka_unit_test(test_digits_are_digits),
      cmocka_unit_test(test_clutter_pure),   cmocka_unit_test(test_clutter_content),
      cmocka_unit_test(test_statistics),     cmocka_unit_test(test_standardise),
      cmocka_unit_test(test_loader_pure),    cmocka_unit_test(test_loader_epochs),
      cmocka_unit_test(test_loader_content), cmocka_unit_test(test_loader_memory),
      cmocka_unit_test(test_loader_refuses), cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_lengths_resume), cmocka_unit_test(test_lengths_refuses),
      cmocka_unit_test(test_shift_flip),
      cmocka_unit_test(test_box_follows),    cmocka_unit_test(test_cutout),
      cmocka_unit_test(test_cut),
  };
  return cmocka_run_group_tests_name("data", tests, NULL, NULL);
}
