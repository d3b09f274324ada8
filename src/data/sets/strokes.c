/* SPDX-License-Identifier: Apache-2.0 */
/* strokes: made-up characters, each of two or three curved strokes, each drawn by twelve shaky hands. Small and always
 * the same, for trying few examples without a network. */
#include "data/sets.h"

#include <math.h>

enum { CLASSES = 120, EXAMPLES = 12, TRAIN = 70, VALIDATION = 20 };
enum { SIDE = FV_INK_SIDE, PEN = 2, POINTS = 24, MOST_STROKES = 3 };

typedef struct point {
  double x, y;
} point;
typedef struct character {
  int n;
  point at[MOST_STROKES][3]; /* where a stroke begins, bends and ends */
} character;

static double between(fv_rng *rng, double low, double high) { return low + (high - low) * fv_rng_uniform(rng); }

static character make_character(fv_rng *rng) {
  character c = {.n = 2 + (int)fv_rng_below(rng, MOST_STROKES - 1)};
  for (int s = 0; s < c.n; s++)
    for (int k = 0; k < 3; k++) {
      c.at[s][k].x = between(rng, 5, SIDE - 5);
      c.at[s][k].y = between(rng, 5, SIDE - 5);
    }
  return c;
}

/* A dot whose edge is as soft as one pixel. */
static void put_dot(uint8_t *ink, point p) {
  for (int y = (int)p.y - PEN; y <= (int)p.y + PEN; y++)
    for (int x = (int)p.x - PEN; x <= (int)p.x + PEN; x++) {
      if (x < 0 || y < 0 || x >= SIDE || y >= SIDE) continue;
      const double v = 1.7 - sqrt((x + 0.5 - p.x) * (x + 0.5 - p.x) + (y + 0.5 - p.y) * (y + 0.5 - p.y));
      ink[y * SIDE + x] = FV_MAX(ink[y * SIDE + x], (uint8_t)(255 * FV_MIN(FV_MAX(v, 0.0), 1.0)));
    }
}

static void put_stroke(uint8_t *ink, const point p[3]) {
  for (int i = 0; i <= POINTS; i++) {
    const double t = (double)i / POINTS, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
    put_dot(ink, (point){a * p[0].x + b * p[1].x + c * p[2].x, a * p[0].y + b * p[1].y + c * p[2].y});
  }
}

/* Another hand: all of it moved a little, each point a little more. */
static void draw(fv_rng *rng, const character *c, uint8_t *ink) {
  const double shake = 1.2, dx = between(rng, -2, 2), dy = between(rng, -2, 2);
  for (int s = 0; s < c->n; s++) {
    point p[3];
    for (int k = 0; k < 3; k++) {
      p[k].x = c->at[s][k].x + dx + shake * fv_rng_normal(rng);
      p[k].y = c->at[s][k].y + dy + shake * fv_rng_normal(rng);
    }
    put_stroke(ink, p);
  }
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  int32_t examples[CLASSES];
  fv_rng rng = fv_rng_new(0, fv_stream_of("strokes"));
  uint8_t *ink;
  for (int i = 0; i < CLASSES; i++) examples[i] = EXAMPLES;
  const fv_glyphs g = {.classes = CLASSES, .examples = examples, .h = SIDE, .w = SIDE, .turns = 1,
                       .part = {TRAIN, CLASSES - TRAIN - VALIDATION, VALIDATION}, .episodes = {400, 100, 100}};
  FV_TRY(fv_episodes_hold(o, d, &g, &ink));
  for (int i = 0; ink && i < CLASSES; i++) {
    const character c = make_character(&rng);
    for (int k = 0; k < EXAMPLES; k++) draw(&rng, &c, ink + (i * EXAMPLES + k) * SIDE * SIDE);
  }
  return FV_OK;
}

const fv_dataset_def fv_dataset_strokes = {
    .info = {.name = "strokes",
             .doc = "made-up characters of two or three strokes, as tasks of telling a few apart",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "episodes of 28x28x1: 400 train, 100 validation, 100 test, from 70, 20 and 30 characters",
             .training = "ways=5 epochs=4"},
    .open = open_set};
