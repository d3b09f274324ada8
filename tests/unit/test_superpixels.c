/* SPDX-License-Identifier: Apache-2.0 */
/* test_superpixels.c: what superpixels must be (all there, connected, about as many as asked for, at the borders of
 * what an image shows, of one colour rather than of one shape), the graphs made of them, and the cache that keeps
 * these. */
#include "test_io.h"

#include "data/sets.h"
#include "data/slic.h"

enum { SIDE = 40, PIXELS = SIDE * SIDE, IMAGES = 24 };
static const fv_slic_how how = {SIDE, SIDE, 1, 100, 10};

static int cut(const fv_slic_how *as, const uint8_t *pixels, uint8_t *segment) {
  fv_slic *s;
  OK(fv_slic_new(as, &s));
  const int n = fv_slic_run(s, pixels, segment);
  fv_slic_free(s);
  return n;
}

/* Digits among clutter. */
static const uint8_t *real_image(int i) {
  static uint8_t images[IMAGES][PIXELS];
  static bool there;
  if (there) return images[i];
  fv_dataset *d;
  OK(fv_dataset_open("cluttered-digits", NULL, 1, NULL, NULL, NULL, &d));
  for (int k = 0; k < IMAGES; k++) fv_dataset_read_field(d, FV_SPLIT_TEST, k, "image", images[k]);
  fv_dataset_close(d);
  there = true;
  return images[i];
}

static void noise(uint64_t seed, int n, uint8_t *pixels) {
  fv_rng rng = fv_rng_new(seed, fv_stream_of("noise"));
  for (int i = 0; i < n; i++) pixels[i] = (uint8_t)fv_rng_below(&rng, 256);
}

/* ---- regions ----------------------------------------------------------------------------------------------------- */
static int spread(const uint8_t *segment, int h, int w, int from, bool *seen, int *stack) {
  int n = 0, size = 0;
  stack[n++] = from;
  seen[from] = true;
  while (n) {
    const int i = stack[--n], x = i % w, y = i / w;
    const int to[4] = {x > 0 ? i - 1 : i, x < w - 1 ? i + 1 : i, y > 0 ? i - w : i, y < h - 1 ? i + w : i};
    size++;
    for (int k = 0; k < 4; k++)
      if (!seen[to[k]] && segment[to[k]] == segment[i]) seen[to[k]] = true, stack[n++] = to[k];
  }
  return size;
}

/* Numbers 0 to n-1 as they come up, each of them one connected region. */
static void expect_regions(const uint8_t *segment, int h, int w, int n, int *smallest, int *largest) {
  bool *seen = calloc((size_t)(h * w), sizeof *seen);
  int *stack = calloc((size_t)(h * w), sizeof *stack), next = 0;
  *smallest = h * w;
  *largest = 0;
  for (int i = 0; i < h * w; i++) {
    if (seen[i]) continue;
    assert_int_equal(segment[i], next);
    const int size = spread(segment, h, w, i, seen, stack);
    *smallest = FV_MIN(*smallest, size);
    *largest = FV_MAX(*largest, size);
    next++;
  }
  assert_int_equal(next, n);
  free(seen);
  free(stack);
}

static void test_regions(void **state) {
  (void)state;
  uint8_t segment[PIXELS], wild[3 * PIXELS];
  int smallest, largest;
  for (int i = 0; i < IMAGES; i++) {
    const int n = cut(&how, real_image(i), segment);
    assert_in_range(n, 70, 100);
    expect_regions(segment, SIDE, SIDE, n, &smallest, &largest);
  }
  for (uint64_t seed = 0; seed < 8; seed++) {
    noise(seed, 3 * PIXELS, wild);
    const fv_slic_how loose = {SIDE, SIDE, 3, 60, 1};
    const int n = cut(&loose, wild, segment);
    assert_in_range(n, 30, fv_slic_seeds(&loose));
    expect_regions(segment, SIDE, SIDE, n, &smallest, &largest);
  }
}

static void test_shapes(void **state) {
  (void)state;
  static const fv_slic_how all[] = {{1, 1, 1, 75, 10}, {1, 50, 1, 10, 10}, {50, 1, 3, 7, 10}, {8, 8, 1, 75, 10},
                                    {7, 30, 1, 256, 10}, {90, 31, 3, 256, 10}, {16, 16, 1, 256, 10}, {3, 3, 1, 1, 10}};
  static uint8_t pixels[3 * 90 * 31], segment[90 * 31];
  int smallest, largest;
  for (size_t i = 0; i < FV_COUNT(all); i++) {
    noise(i, all[i].h * all[i].w * all[i].channels, pixels);
    assert_in_range(fv_slic_seeds(&all[i]), 1, FV_MIN(FV_SLIC_MOST, all[i].h * all[i].w));
    const int n = cut(&all[i], pixels, segment);
    assert_in_range(n, 1, fv_slic_seeds(&all[i]));
    expect_regions(segment, all[i].h, all[i].w, n, &smallest, &largest);
  }
  fv_slic *s;
  FAILS(FV_ERR_REQUEST, "superpixels", fv_slic_new(&(fv_slic_how){8, 8, 2, 10, 10}, &s));
  FAILS(FV_ERR_REQUEST, "superpixels", fv_slic_new(&(fv_slic_how){8, 8, 1, 257, 10}, &s));
}

/* Where there is nothing to see there is the grid. */
static void test_grid(void **state) {
  (void)state;
  uint8_t pixels[PIXELS], segment[PIXELS];
  int smallest, largest;
  memset(pixels, 77, sizeof pixels);
  assert_int_equal(cut(&how, pixels, segment), 100);
  expect_regions(segment, SIDE, SIDE, 100, &smallest, &largest);
  assert_in_range(smallest, 9, 16);
  assert_in_range(largest, 16, 25);
}

static void test_grey_is_a_colour(void **state) {
  (void)state;
  uint8_t colours[3 * PIXELS], as_grey[PIXELS], as_colours[PIXELS];
  const fv_slic_how coloured = {SIDE, SIDE, 3, 100, 10};
  for (int i = 0; i < 4; i++) {
    for (int k = 0; k < 3 * PIXELS; k++) colours[k] = real_image(i)[k / 3];
    const int n = cut(&how, real_image(i), as_grey);
    assert_int_equal(cut(&coloured, colours, as_colours), n);
    int other = 0;
    for (int k = 0; k < PIXELS; k++) other += as_grey[k] != as_colours[k];
    assert_in_range(other, 0, PIXELS / 100); /* a and b are zeros but for rounding, which decides ties */
  }
}

/* Red and green of one lightness are told apart by colour alone. */
static void test_colour_counts(void **state) {
  (void)state;
  uint8_t pixels[3 * PIXELS], segment[PIXELS];
  const fv_slic_how coloured = {SIDE, SIDE, 3, 60, 10};
  for (int i = 0; i < PIXELS; i++) {
    const bool red = i % SIDE < 17 + i / SIDE / 8;
    memcpy(pixels + 3 * i, red ? (uint8_t[]){230, 60, 60} : (uint8_t[]){20, 134, 60}, 3);
  }
  cut(&coloured, pixels, segment);
  for (int i = 1; i < PIXELS; i++)
    if (i % SIDE && pixels[3 * i] != pixels[3 * i - 3]) assert_true(segment[i] != segment[i - 1]);
}

/* ---- borders ----------------------------------------------------------------------------------------------------- */
static bool ink(const uint8_t *pixels, int i) { return pixels[i] >= 128; }

/* Of the borders between ink and paper, the share that has a border of superpixels between the same two pixels. */
static double recall(const uint8_t *pixels, const uint8_t *segment) {
  int all = 0, found = 0;
  for (int i = 0; i < PIXELS; i++)
    for (int k = 0; k < 2; k++) {
      const int j = k ? i - SIDE : i - 1;
      if ((k ? i < SIDE : i % SIDE == 0) || ink(pixels, i) == ink(pixels, j)) continue;
      all++;
      found += segment[i] != segment[j];
    }
  return (double)found / all;
}

/* How far pixels are from their superpixel's mean, squared, as a share of how far they are from the image's. */
static double unexplained(const uint8_t *pixels, const uint8_t *segment) {
  double sum[FV_SLIC_MOST] = {0}, many[FV_SLIC_MOST] = {0}, mean = 0, within = 0, all = 0;
  for (int i = 0; i < PIXELS; i++) {
    sum[segment[i]] += pixels[i];
    many[segment[i]]++;
    mean += pixels[i] / (double)PIXELS;
  }
  for (int i = 0; i < PIXELS; i++) within += pow(pixels[i] - sum[segment[i]] / many[segment[i]], 2);
  for (int i = 0; i < PIXELS; i++) all += pow(pixels[i] - mean, 2);
  return within / all;
}

static void measure(double compactness, double *found, double *missed) {
  uint8_t segment[PIXELS];
  fv_slic_how as = how;
  as.compactness = compactness;
  *found = *missed = 0;
  for (int i = 0; i < IMAGES; i++) {
    cut(&as, real_image(i), segment);
    *found += recall(real_image(i), segment) / IMAGES;
    *missed += unexplained(real_image(i), segment) / IMAGES;
  }
}

static void test_borders(void **state) {
  (void)state;
  double found[3], missed[3];
  static const double compactness[] = {1000, 30, 10}; /* the first is the grid */
  for (int k = 0; k < 3; k++) measure(compactness[k], &found[k], &missed[k]);
  assert_true(found[0] < found[1] && found[1] < found[2]);
  assert_true(missed[0] > missed[1] && missed[1] > missed[2]);
  assert_true(found[2] > 0.7 && found[0] < 0.4);
  assert_true(missed[2] < 0.06 && missed[0] > 0.25);
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */
enum { MOST = 30, FEATURES = 3 };
typedef struct graph {
  int n;
  int32_t degree[MOST], neighbour[MOST * FV_SUPERPIXEL_EDGES], label;
  float feature[MOST * FEATURES];
} graph;

static fv_dataset *open_digits(fv_reading *r) {
  fv_dataset *d;
  OK(fv_dataset_open("digits", r, 1, NULL, NULL, NULL, &d));
  return d;
}

static graph read_graph(const fv_dataset *d, fv_split split, int64_t i) {
  graph g = {.n = (int)d->length(d, split, i)};
  d->read(d, split, i, 0, (void *[FV_MAX_FIELDS]){g.degree, g.neighbour, g.feature, &g.label});
  return g;
}

static void test_graphs(void **state) {
  (void)state;
  fv_reading r = {.superpixels = 25, .compactness = 10};
  fv_dataset *d = open_digits(&r), *images;
  OK(fv_dataset_open("digits", NULL, 1, NULL, NULL, NULL, &images));
  assert_true(fv_superpixels_most(&r) == 25 && d->field[0].shape.dim[0] == 25 && d->features == FEATURES);
  for (int64_t i = 0; i < 50; i++) {
    const graph g = read_graph(d, FV_SPLIT_TEST, i);
    bool touch[MOST][MOST] = {{0}};
    double sum[MOST][FEATURES] = {{0}}, many[MOST] = {0};
    fv_shape shape;
    uint8_t *pixels, *segment;
    int32_t label;
    OK(fv_superpixels_look(d, FV_SPLIT_TEST, i, &shape, &pixels, &segment));
    for (int p = 0; p < 64; p++) {
      const int s = segment[p];
      sum[s][0] += pixels[p] / 255.0;
      sum[s][1] += (p % 8 - 3.5) / 4;
      sum[s][2] += (p / 8 - 3.5) / 4;
      many[s]++;
      touch[s][s] = true;
      if (p % 8) touch[s][segment[p - 1]] = touch[segment[p - 1]][s] = true;
      if (p >= 8) touch[s][segment[p - 8]] = touch[segment[p - 8]][s] = true;
    }
    const int32_t *neighbour = g.neighbour;
    for (int a = 0; a < g.n; a++) {
      int degree = 0;
      for (int b = 0; b < g.n; b++)
        if (touch[a][b]) {
          assert_int_equal(*neighbour++, b);
          degree++;
        }
      assert_int_equal(g.degree[a], degree);
      for (int f = 0; f < FEATURES; f++)
        assert_near((double)g.feature[a * FEATURES + f], sum[a][f] / many[a], 1e-4);
    }
    fv_dataset_read_field(images, FV_SPLIT_TEST, i, "label", &label);
    assert_int_equal(g.label, label);
    fv_free(pixels);
    fv_free(segment);
  }
  fv_dataset_close(images);
  fv_dataset_close(d);
}

static void expect_same(const fv_dataset *a, const fv_dataset *b) {
  for (fv_split s = FV_SPLIT_TRAIN; s <= FV_SPLIT_TEST; s++)
    for (int64_t i = 0; i < a->count[s]; i++) {
      const graph x = read_graph(a, s, i), y = read_graph(b, s, i);
      assert_memory_equal(&x, &y, sizeof x);
    }
}

static char *only_file(const char *dir) {
  char **names, *path;
  size_t n;
  fv_arena *arena;
  OK(fv_arena_new(&arena));
  OK(fv_dir_list(dir, arena, &names, &n));
  assert_int_equal(n, 1);
  path = fv_strdup(fv_path_join(arena, dir, names[0]));
  fv_arena_free(arena);
  return path;
}

/* Made by one thread, by three, taken from the cache, and made anew where the cache holds something else. */
static void test_cache(void **state) {
  (void)state;
  const char *dir = in_scratch("cache");
  char superpixels[300];
  snprintf(superpixels, sizeof superpixels, "%s/superpixels", dir);
  setenv("FOVEA_CACHE", dir, 1);
  fv_reading one = {.superpixels = 20, .compactness = 5}, three = one, cached = one, other = one;
  OK(fv_pool_new(3, &three.pool));
  fv_dataset *first = open_digits(&one);
  assert_true(first->seconds_cut > 0);
  char *path = only_file(superpixels);
  fv_dataset *again = open_digits(&cached);
  assert_true(again->seconds_cut == 0);
  expect_same(first, again);
  fv_dataset_close(again);
  uint8_t *bytes;
  size_t n;
  for (int damage = 0; damage < 3; damage++) {
    OK(fv_file_read(path, (size_t)1 << 24, &bytes, &n));
    bytes[n - 100] ^= 1;
    OK(fv_file_write(path, bytes, damage == 0 ? n : damage == 1 ? n / 2 : 0));
    fv_free(bytes);
    again = open_digits(&three);
    assert_true(again->seconds_cut > 0);
    expect_same(first, again);
    fv_dataset_close(again);
  }
  again = open_digits(&cached);
  assert_true(again->seconds_cut == 0);
  fv_dataset_close(again);
  other.compactness = 6;
  again = open_digits(&other);
  assert_true(again->seconds_cut > 0);
  fv_dataset_close(again);
  fv_dataset_close(first);
  fv_pool_free(three.pool);
  fv_free(path);
}

/* Images by themselves become the graphs that they are in their data set. */
static void test_pictures(void **state) {
  (void)state;
  fv_reading r = {.superpixels = 25, .compactness = 10};
  fv_dataset *d = open_digits(&r), *images, *own;
  uint8_t pixels[20 * 64];
  OK(fv_dataset_open("digits", NULL, 1, NULL, NULL, NULL, &images));
  for (int64_t i = 0; i < 20; i++) fv_dataset_read_field(images, FV_SPLIT_TEST, i, "image", pixels + i * 64);
  OK(fv_dataset_of_pictures(pixels, 20, &r, &own));
  for (int64_t i = 0; i < 20; i++) {
    graph a = read_graph(d, FV_SPLIT_TEST, i), b = read_graph(own, FV_SPLIT_TEST, i);
    assert_int_equal(b.label, -1);
    b.label = a.label;
    assert_memory_equal(&a, &b, sizeof a);
  }
  fv_dataset_close(own);
  fv_dataset_close(images);
  fv_dataset_close(d);
  FAILS(FV_ERR_REQUEST, "expected images", fv_dataset_open("motifs", &r, 1, NULL, NULL, NULL, &d));
}

static int make_places(void **state) {
  const int code = scratch_make(state);
  return code ? code : setenv("FOVEA_CACHE", in_scratch("shared"), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_regions),          cmocka_unit_test(test_shapes),        cmocka_unit_test(test_grid),
      cmocka_unit_test(test_grey_is_a_colour), cmocka_unit_test(test_colour_counts), cmocka_unit_test(test_borders),
      cmocka_unit_test(test_cache),            cmocka_unit_test(test_graphs),        cmocka_unit_test(test_pictures),
  };
  return cmocka_run_group_tests(tests, make_places, scratch_remove);
}
