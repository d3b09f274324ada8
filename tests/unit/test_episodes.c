/* SPDX-License-Identifier: Apache-2.0 */
/* test_episodes.c: episodes: what is in one, that it is a function of seed, draw and number alone, that classes of the
 * splits are apart, that a loader changes their pictures by chance; pictures as ink; folders of one's own and what is wrong with them; and, where $FOVEA_DATA_MIRROR
 * has it, Omniglot. */
#include "test_io.h"

#include "data/sets.h"

#include <unistd.h>

enum { SUPPORT, SUPPORT_LABEL, QUERY, LABEL, PIXELS = 28 * 28, ROOM = 64 };
typedef struct episode {
  float support[ROOM][PIXELS], query[ROOM][PIXELS];
  int32_t support_label[ROOM], label[ROOM];
} episode;

static episode *read_episode(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw) {
  episode *e;
  OK(FV_NEW(&e, 1));
  d->read(d, split, index, draw,
          (void *[FV_MAX_FIELDS]){[SUPPORT] = e->support, [SUPPORT_LABEL] = e->support_label, [QUERY] = e->query,
                                  [LABEL] = e->label, [FV_MAX_FIELDS - 1] = NULL});
  return e;
}

static bool is_same(const episode *a, const episode *b) { return memcmp(a, b, sizeof *a) == 0; }

static fv_dataset *open_set(const char *name, fv_reading *r, uint64_t seed) {
  fv_dataset *d;
  OK(fv_dataset_open(name, r, seed, NULL, NULL, NULL, &d));
  return d;
}

/* Each class as often as it should, support in another order than the labels', all pictures different. */
static void test_contents(void **state) {
  (void)state;
  fv_reading r = {.ways = 4, .shots = 3, .queries = 2};
  fv_dataset *d = open_set("strokes", &r, 7);
  int sorted = 0;
  assert_true(fv_shape_equal(d->field[SUPPORT].shape, FV_SHAPE(12, 28, 28, 1)));
  assert_true(fv_shape_equal(d->field[QUERY].shape, FV_SHAPE(8, 28, 28, 1)));
  assert_int_equal(d->n_classes, 4);
  for (int k = 0; k < 20; k++) {
    episode *e = read_episode(d, FV_SPLIT_TRAIN, k, 0);
    int shown[4] = {0}, falls = 0;
    for (int i = 0; i < 12; i++) shown[e->support_label[i]]++;
    for (int i = 1; i < 12; i++) falls += e->support_label[i] < e->support_label[i - 1];
    for (int c = 0; c < 4; c++) assert_int_equal(shown[c], 3);
    for (int i = 0; i < 8; i++) assert_int_equal(e->label[i], i / 2);
    for (int i = 0; i < 8; i++)
      for (int j = 0; j < 12; j++) assert_memory_not_equal(e->query[i], e->support[j], sizeof e->query[i]);
    sorted += !falls;
    fv_free(e);
  }
  assert_true(sorted < 2);
  fv_dataset_close(d);
}

/* Reading one field draws what reading all does. */
static void test_function(void **state) {
  (void)state;
  fv_reading r = {.ways = 5, .shots = 1, .queries = 1};
  fv_dataset *d = open_set("strokes", &r, 7), *other = open_set("strokes", &r, 8);
  episode *a = read_episode(d, FV_SPLIT_TRAIN, 3, 2), *b = read_episode(d, FV_SPLIT_TRAIN, 3, 2);
  assert_true(is_same(a, b));
  int32_t alone[5];
  d->read(d, FV_SPLIT_TRAIN, 3, 2, (void *[FV_MAX_FIELDS]){[SUPPORT_LABEL] = alone, [FV_MAX_FIELDS - 1] = NULL});
  assert_memory_equal(alone, a->support_label, sizeof alone);
  const struct { const fv_dataset *d; fv_split split; int64_t index; uint64_t draw; bool same; } all[] = {
      {d, FV_SPLIT_TRAIN, 3, 3, false}, {d, FV_SPLIT_TRAIN, 4, 2, false}, {other, FV_SPLIT_TRAIN, 3, 2, false},
      {d, FV_SPLIT_TEST, 3, 2, false}};
  for (size_t i = 0; i < FV_COUNT(all); i++) {
    episode *c = read_episode(all[i].d, all[i].split, all[i].index, all[i].draw);
    assert_int_equal(is_same(a, c), all[i].same);
    fv_free(c);
  }
  fv_free(b);
  for (int s = FV_SPLIT_TEST; s <= FV_SPLIT_VALIDATION; s++) { /* whatever the draw and the seed */
    b = read_episode(d, (fv_split)s, 9, 0);
    episode *c = read_episode(other, (fv_split)s, 9, 4);
    assert_true(is_same(b, c));
    fv_free(b);
    fv_free(c);
  }
  fv_free(a);
  fv_dataset_close(d);
  fv_dataset_close(other);
}

/* Whether `moved` is `plain` moved by dx, dy, with nothing coming in. */
static bool is_moved(const float *plain, const float *moved, int dx, int dy) {
  for (int y = 0; y < 28; y++)
    for (int x = 0; x < 28; x++) {
      const int u = x - dx, v = y - dy;
      const float was = u >= 0 && u < 28 && v >= 0 && v < 28 ? plain[v * 28 + u] : 0;
      if (moved[y * 28 + x] != was) return false;
    }
  return true;
}

/* How it was moved, as one of 25 ways; -1: not at all that way. */
static int motion_of(const float *plain, const float *moved) {
  for (int i = 0; i < 25; i++)
    if (is_moved(plain, moved, i % 5 - 2, i / 5 - 2)) return i;
  return -1;
}

/* A loader moves each picture by itself, and leaves all else. */
static void test_moved(void **state) {
  (void)state;
  fv_reading r = {.ways = 5, .shots = 3, .queries = 2};
  fv_dataset *d = open_set("strokes", &r, 7);
  fv_loader_options o = {.data = d, .split = FV_SPLIT_TRAIN, .to = 8, .batch = 1, .augment = {.shift = 2}};
  fv_loader *l;
  int times[25] = {0}, ways = 0;
  OK(fv_loader_new(&o, NULL, &l));
  for (int k = 0; k < 8; k++) {
    const fv_batch *b = fv_loader_next(l);
    episode *e = read_episode(d, FV_SPLIT_TRAIN, b->index[0], 0);
    assert_memory_equal(b->field[SUPPORT_LABEL], e->support_label, 15 * sizeof *e->support_label);
    assert_memory_equal(b->field[LABEL], e->label, 10 * sizeof *e->label);
    for (int i = 0; i < 25; i++) {
      const float *support = b->field[SUPPORT], *query = b->field[QUERY];
      const int motion = i < 15 ? motion_of(e->support[i], support + i * PIXELS)
                                : motion_of(e->query[i - 15], query + (i - 15) * PIXELS);
      assert_in_range(motion, 0, 24);
      times[motion]++;
    }
    fv_free(e);
  }
  for (int i = 0; i < 25; i++) ways += times[i] > 0;
  assert_in_range(ways, 20, 25);
  fv_loader_free(l);
  fv_dataset_close(d);
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */
/* Class c is a grey of 4 c, with a mark of the example's own. */
static void write_picture(const char *dir, int cls, int k) {
  char path[512];
  fv_image im;
  OK(fv_image_new(28, 28, 1, &im));
  memset(im.pixels, 4 * cls, PIXELS);
  im.pixels[k] = 255;
  snprintf(path, sizeof path, "%s/c%02d/%d.png", dir, cls, k);
  OK(fv_image_write_png(path, &im));
  fv_image_free(&im);
}

static void write_folder(const char *dir, int classes, int each) {
  char path[256];
  for (int c = 0; c < classes; c++) {
    snprintf(path, sizeof path, "%s/c%02d", dir, c);
    OK(fv_dir_make(path));
    for (int k = 0; k < each; k++) write_picture(dir, c, k);
  }
}

/* The splits' classes, by their grey, in every fold: no class is of two. */
static void test_folder(void **state) {
  (void)state;
  write_folder("own", 20, 4);
  bool tested[20] = {false};
  for (int fold = 0; fold < 5; fold++) {
    fv_reading r = {.ways = 4, .shots = 1, .queries = 1, .fold = fold};
    fv_dataset *d = open_set("./own", &r, 0);
    int of[20];
    for (int i = 0; i < 20; i++) of[i] = -1;
    for (int s = 0; s < FV_SPLITS; s++)
      for (int k = 0; k < 200; k++) {
        episode *e = read_episode(d, (fv_split)s, k, 0);
        for (int i = 0; i < 4; i++) {
          const int c = (int)lroundf(e->query[i][PIXELS - 1] * 255) / 4;
          assert_true(of[c] < 0 || of[c] == s);
          of[c] = s;
        }
        fv_free(e);
      }
    int n[FV_SPLITS] = {0};
    for (int i = 0; i < 20; i++) n[of[i]]++, tested[i] |= of[i] == FV_SPLIT_TEST;
    assert_int_equal(n[FV_SPLIT_TRAIN], 12);
    assert_int_equal(n[FV_SPLIT_TEST], 4);
    fv_dataset_close(d);
  }
  for (int i = 0; i < 20; i++) assert_true(tested[i]);
}

static void refuse(const char *dir, fv_reading r, fv_status code, const char *words) {
  fv_dataset *d = NULL;
  FAILS(code, words, fv_dataset_open(dir, &r, 0, NULL, NULL, NULL, &d));
  assert_null(d);
}

static void test_refused(void **state) {
  (void)state;
  const fv_reading r = {.ways = 4, .shots = 1, .queries = 1};
  refuse("./own", (fv_reading){.ways = 5, .shots = 1, .queries = 1}, FV_ERR_REQUEST, "5 or more of its 20 classes");
  refuse("./own", (fv_reading){.ways = 4, .shots = 3, .queries = 2}, FV_ERR_REQUEST, "5 pictures or more");
  refuse("strokes", (fv_reading){.ways = 1000}, FV_ERR_REQUEST, "at most 256 ways");
  refuse("./own@28x28x3", r, FV_ERR_REQUEST, "3 channels");
  OK(fv_file_write("own/c07/1.png", "no picture", 10));
  refuse("./own", r, FV_ERR_CORRUPT, "own/c07/1.png");
  OK(fv_dir_remove("own/c07"));
  OK(fv_dir_make("own/c07"));
  refuse("./own", r, FV_ERR_REQUEST, "own/c07");
  OK(fv_dir_remove("own"));
}

/* ---- ink --------------------------------------------------------------------------------------------------------- */
static void read_ink(const fv_image *im, int h, int w, uint8_t *ink) {
  fv_text png = {0};
  OK(fv_image_encode_png(im, &png));
  OK(fv_ink_parse(png.s, png.n, "picture", h, w, ink));
  fv_text_free(&png);
}

/* Black on white or white on black, shrunk by a fraction or enlarged. */
static void test_ink(void **state) {
  (void)state;
  fv_image im;
  uint8_t ink[16];
  OK(fv_image_new(5, 5, 1, &im));
  im.pixels[0] = im.pixels[6] = 200; /* (0,0) and (1,1) */
  read_ink(&im, 2, 2, ink);          /* a quarter covers 2.5 x 2.5: two whole ones */
  assert_int_equal(ink[0], (int)(400 / 6.25 + 0.5));
  assert_int_equal(ink[1] + ink[2] + ink[3], 0);
  for (int i = 0; i < 25; i++) im.pixels[i] = (uint8_t)(255 - im.pixels[i]);
  read_ink(&im, 2, 2, ink);
  assert_int_equal(ink[0], (int)(400 / 6.25 + 0.5));
  fv_image_free(&im);
  OK(fv_image_new(2, 2, 1, &im));
  im.pixels[3] = 90;
  read_ink(&im, 4, 4, ink);
  for (int i = 0; i < 16; i++) assert_int_equal(ink[i], i / 4 >= 2 && i % 4 >= 2 ? 90 : 0);
  fv_image_free(&im);
}

/* ---- Omniglot ---------------------------------------------------------------------------------------------------- */
/* 105x105 to 28x28 conserves ink; a character and its turns are other classes. */
static void test_omniglot(void **state) {
  (void)state;
  fv_reading r = {.ways = 20, .shots = 1, .queries = 2};
  fv_dataset *d;
  if (!getenv("FOVEA_DATA_MIRROR")) skip();
  OK(fv_dataset_open("omniglot", &r, 0, NULL, NULL, NULL, &d));
  assert_int_equal(d->count[FV_SPLIT_TEST], 1000);
  double sum = 0;
  for (int k = 0; k < 50; k++) {
    episode *e = read_episode(d, FV_SPLIT_TEST, k, 0);
    for (int i = 0; i < 20; i++)
      for (int p = 0; p < PIXELS; p++) sum += (double)e->support[i][p] / (50 * 20.0 * PIXELS);
    fv_free(e);
  }
  assert_near(sum, 0.08, 0.03); /* a stroke is thin */
  fv_dataset_close(d);
}

static int enter(void **state) { return scratch_make(state) || chdir(scratch); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_contents), cmocka_unit_test(test_function),
                                     cmocka_unit_test(test_moved),    cmocka_unit_test(test_folder),
                                     cmocka_unit_test(test_refused),  cmocka_unit_test(test_ink),
                                     cmocka_unit_test(test_omniglot)};
  return cmocka_run_group_tests(tests, enter, scratch_remove);
}
