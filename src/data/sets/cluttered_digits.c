/* SPDX-License-Identifier: Apache-2.0 */
/* cluttered-digits: find the digit among pieces of others, then read it (after Mnih et al., "Recurrent Models of Visual
 * Attention", 2014). The digits of the set `digits` are doubled to 16x16 by linear interpolation; a sample is one of
 * them at a uniformly random place on 40x40 and fragments of 6 to 8 pixels a side cut from others of the same split, so
 * that locally they are strokes of digits, too. All is laid on top of each other by maximum; fragments come up to the
 * digit's box but not into it, or the digit could become another. Which digit a sample shows depends on its number
 * alone; place and clutter are drawn anew for every epoch (Philox: seed, epoch, sample), for testing once and for
 * all. */
#include "data/sets.h"

enum {
  CANVAS = 40,
  SMALL = 8,
  SIDE = 16,
  CELL = SIDE * SIDE,
  FRAGMENTS = 8,
  LEAST = 6,       /* sides of fragments */
  MOST = 8,
  TRIES = 8,       /* for a fragment with ink */
  PLACES = 16,     /* for one beside the digit: at least every second place is */
  FAINT = 64,      /* from here on a pixel is ink */
  TRAIN = 20000,
  TEST = 2000,
  BLOCKS = 256     /* of the random stream, for each sample; a sample needs about 30 and at most 150 */
};

typedef struct glyphs {
  int n[FV_SPLITS];
  uint8_t *pixels[FV_SPLITS]; /* [n,16,16] */
  uint8_t label[FV_SPLITS][FV_DIGITS];
  uint64_t seed, stream[FV_SPLITS];
} glyphs;

/* ---- a sample ---------------------------------------------------------------------------------------------------- */
static void paste(uint8_t *canvas, int x, int y, const uint8_t *from, int w, int h) {
  for (int r = 0; r < h; r++)
    for (int c = 0; c < w; c++) {
      uint8_t *p = canvas + (y + r) * CANVAS + x + c, v = from[r * SIDE + c];
      if (v > *p) *p = v;
    }
}

/* At least a sixth of a fragment is ink, or it would be no clutter. */
static bool has_ink(const uint8_t *p, int w, int h) {
  int ink = 0;
  for (int r = 0; r < h; r++)
    for (int c = 0; c < w; c++) ink += p[r * SIDE + c] >= FAINT;
  return 6 * ink >= w * h;
}

static int below(fv_rng *rng, int n) { return (int)fv_rng_below(rng, (uint32_t)n); }

/* Tight around the ink, half open: [x0,x1) x [y0,y1). */
static void find_box(const uint8_t *glyph, int x, int y, float box[4]) {
  int x0 = SIDE, y0 = SIDE, x1 = 0, y1 = 0;
  for (int r = 0; r < SIDE; r++)
    for (int c = 0; c < SIDE; c++)
      if (glyph[r * SIDE + c] >= FAINT) x0 = FV_MIN(x0, c), y0 = FV_MIN(y0, r), x1 = FV_MAX(x1, c + 1), y1 = r + 1;
  box[0] = (float)(x + x0), box[1] = (float)(y + y0), box[2] = (float)(x + x1), box[3] = (float)(y + y1);
}

/* Leaves out a fragment that finds no place, which hardly ever happens. */
static void add_fragment(const glyphs *g, fv_split split, fv_rng *rng, const float box[4], uint8_t *canvas) {
  int w = LEAST + below(rng, MOST - LEAST + 1), h = LEAST + below(rng, MOST - LEAST + 1);
  const uint8_t *from = NULL;
  for (int i = 0; i < TRIES; i++) {
    from = g->pixels[split] + below(rng, g->n[split]) * CELL;
    from += below(rng, SIDE - h + 1) * SIDE + below(rng, SIDE - w + 1);
    if (has_ink(from, w, h)) break;
  }
  for (int i = 0; i < PLACES; i++) {
    int x = below(rng, CANVAS - w + 1), y = below(rng, CANVAS - h + 1);
    bool beside = x + w <= (int)box[0] || x >= (int)box[2] || y + h <= (int)box[1] || y >= (int)box[3];
    if (!beside) continue;
    paste(canvas, x, y, from, w, h);
    return;
  }
}

static void read_sample(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  const glyphs *g = d->impl;
  bool fixed = split == FV_SPLIT_TEST;
  int64_t which = index % g->n[split];
  if (out[1]) *(int32_t *)out[1] = g->label[split][which];
  if (!out[0] && !out[2]) return;
  const uint8_t *glyph = g->pixels[split] + which * CELL;
  fv_rng rng = fv_rng_new(fixed ? 0 : g->seed, g->stream[split]);
  rng.counter = ((fixed ? 0 : draw) * TRAIN + (uint64_t)index) * BLOCKS;
  int x = below(&rng, CANVAS - SIDE + 1), y = below(&rng, CANVAS - SIDE + 1);
  float box[4];
  find_box(glyph, x, y, box);
  if (out[2]) memcpy(out[2], box, sizeof box);
  if (!out[0]) return;
  memset(out[0], 0, CANVAS * CANVAS);
  paste(out[0], x, y, glyph, SIDE, SIDE);
  for (int i = 0; i < FRAGMENTS; i++) add_fragment(g, split, &rng, box, out[0]);
}

/* ---- the glyphs -------------------------------------------------------------------------------------------------- */
/* Linear interpolation to twice the size, pixel centres aligned: weights 1/4 and 3/4, the border repeated. */
static void double_digit(int digit, uint8_t out[CELL]) {
  uint8_t in[SMALL * SMALL];
  fv_digit_pixels(digit, in);
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      int near_y = y / 2, near_x = x / 2;
      int far_y = FV_MIN(FV_MAX(near_y + (y % 2 ? 1 : -1), 0), SMALL - 1);
      int far_x = FV_MIN(FV_MAX(near_x + (x % 2 ? 1 : -1), 0), SMALL - 1);
      int sum = 9 * in[near_y * SMALL + near_x] + 3 * in[near_y * SMALL + far_x] + 3 * in[far_y * SMALL + near_x] +
                in[far_y * SMALL + far_x];
      out[y * SIDE + x] = (uint8_t)((sum + 8) / 16);
    }
}

static void fill_glyphs(glyphs *g, const uint8_t *is_test) {
  for (int i = 0; i < FV_DIGITS; i++) {
    int s = is_test[i], k = g->n[s]++;
    g->label[s][k] = (uint8_t)fv_digit_label(i);
    double_digit(i, g->pixels[s] + k * CELL);
  }
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  uint8_t is_test[FV_DIGITS];
  FV_TRY(fv_digits_cut(is_test));
  FV_TRY(fv_data_number_classes(d, 10));
  d->count[FV_SPLIT_TRAIN] = TRAIN;
  d->count[FV_SPLIT_TEST] = TEST;
  d->n_fields = 3;
  d->field[0] = (fv_field){.name = "image", .dtype = FV_U8, .shape = FV_SHAPE(CANVAS, CANVAS, 1)};
  d->field[1] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->field[2] = (fv_field){.name = "box", .dtype = FV_F32, .shape = FV_SHAPE(4)};
  d->read = read_sample;
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, FV_DIGITS * CELL, &d->slab));
  glyphs *g = d->impl = fv_arena_alloc(d->arena, sizeof *g);
  FV_REQUIRE(g, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  g->seed = o->seed;
  g->stream[FV_SPLIT_TRAIN] = fv_stream_of("cluttered-digits.train");
  g->stream[FV_SPLIT_TEST] = fv_stream_of("cluttered-digits.test");
  if (!d->slab) return FV_OK;
  int tests = 0;
  for (int i = 0; i < FV_DIGITS; i++) tests += is_test[i];
  g->pixels[FV_SPLIT_TRAIN] = d->slab;
  g->pixels[FV_SPLIT_TEST] = g->pixels[FV_SPLIT_TRAIN] + (FV_DIGITS - tests) * CELL;
  fill_glyphs(g, is_test);
  return FV_OK;
}

const fv_dataset_def fv_dataset_cluttered_digits = {
    .info = {.name = "cluttered-digits",
             .doc = "one digit somewhere among eight fragments of others, with the box around its ink; from `digits`",
             .licence = "CC BY 4.0",
             .source = "generated from the data set digits, training and test digits kept apart",
             .cite = "E. Alpaydin, C. Kaynak: Optical recognition of handwritten digits. UCI Machine Learning "
                     "Repository, 1998",
             .shape = "40x40x1, 10 classes, 20000 train (new clutter each epoch), 2000 test",
             .training = "epochs=4 lr=0.01"},
    .open = open_set};
