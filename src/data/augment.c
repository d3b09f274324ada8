/* SPDX-License-Identifier: Apache-2.0 */
/* augment.c: images changed by chance: moved, mirrored, turned, enlarged, and with a square cut out (DeVries & Taylor,
 * "Improved Regularization of Convolutional Neural Networks with Cutout", 2017). What comes in from outside is the
 * image's background: the median of its border, channel by channel. */
#include "data/augment.h"

#include <math.h>

/* mirror, then turn and enlarge about the middle, then move */
typedef struct motion {
  int dx, dy;
  bool flip, turns;
  double cos, sin, scale;
} motion;

static motion draw_motion(const fv_augment *how, fv_rng *rng) {
  motion m = {.cos = 1, .scale = 1, .turns = how->rotate > 0 || how->scale > 0};
  uint32_t reach = (uint32_t)(2 * how->shift + 1);
  if (how->shift > 0) m.dx = (int)((int64_t)fv_rng_below(rng, reach) - how->shift);
  if (how->shift > 0) m.dy = (int)((int64_t)fv_rng_below(rng, reach) - how->shift);
  if (how->flip) m.flip = fv_rng_below(rng, 2) == 1;
  double angle = how->rotate > 0 ? (2 * fv_rng_uniform(rng) - 1) * how->rotate * M_PI / 180 : 0;
  if (how->scale > 0) m.scale = 1 + (2 * fv_rng_uniform(rng) - 1) * how->scale;
  if (how->rotate > 0) m.cos = cos(angle), m.sin = sin(angle);
  return m;
}

/* ---- background -------------------------------------------------------------------------------------------------- */
static uint8_t border_median(const fv_augmenter *a, const uint8_t *in, int channel) {
  uint16_t count[256] = {0};
  int w = a->w, h = a->h, c = a->c, n = 0;
  for (int x = 0; x < w; x++, n += 2) count[in[x * c + channel]]++, count[in[((h - 1) * w + x) * c + channel]]++;
  for (int y = 0; y < h; y++, n += 2) count[in[y * w * c + channel]]++, count[in[(y * w + w - 1) * c + channel]]++;
  int v = 0;
  for (int seen = count[0]; 2 * seen < n && v < 255;) seen += count[++v];
  return (uint8_t)v;
}

static void fill(uint8_t *out, int64_t pixels, int channels, const uint8_t *value) {
  if (channels == 1) {
    memset(out, value[0], (size_t)pixels);
    return;
  }
  for (int64_t i = 0; i < pixels; i++)
    for (int k = 0; k < channels; k++) *out++ = value[k];
}

/* ---- motion ------------------------------------------------------------------------------------------------------ */
static void copy_row(const fv_augmenter *a, bool flip, const uint8_t *in, int from, int n, uint8_t *out) {
  int c = a->c;
  if (!flip) {
    memcpy(out, in + from * c, (size_t)(n * c));
    return;
  }
  const uint8_t *p = in + (a->w - 1 - from) * c;
  for (int x = 0; x < n; x++, p -= c)
    for (int k = 0; k < c; k++) *out++ = p[k];
}

static void move_whole(const fv_augmenter *a, const motion *m, const uint8_t *in, const uint8_t *background,
                       uint8_t *out) {
  int c = a->c, left = FV_MIN(FV_MAX(m->dx, 0), a->w), right = FV_MIN(FV_MAX(-m->dx, 0), a->w), n = a->w - left - right;
  for (int y = 0; y < a->h; y++, out += a->w * c) {
    int from = y - m->dy;
    if (from < 0 || from >= a->h || n <= 0) {
      fill(out, a->w, c, background);
      continue;
    }
    fill(out, left, c, background);
    copy_row(a, m->flip, in + from * a->w * c, right, n, out + left * c);
    fill(out + (left + n) * c, right, c, background);
  }
}

/* The pixel's channels, or the background's. */
static const uint8_t *pixel_at(const fv_augmenter *a, const uint8_t *in, int x, int y, const uint8_t *background) {
  bool inside = x >= 0 && x < a->w && y >= 0 && y < a->h;
  return inside ? in + (y * a->w + x) * a->c : background;
}

static int round_down(double v) {
  int towards_zero = (int)v;
  return towards_zero - (v < towards_zero);
}

static void sample_point(const fv_augmenter *a, const uint8_t *in, double x, double y, const uint8_t *background,
                         uint8_t *out) {
  int x0 = round_down(x), y0 = round_down(y);
  float u = (float)(x - x0), v = (float)(y - y0);
  const uint8_t *p00 = pixel_at(a, in, x0, y0, background), *p01 = pixel_at(a, in, x0 + 1, y0, background);
  const uint8_t *p10 = pixel_at(a, in, x0, y0 + 1, background), *p11 = pixel_at(a, in, x0 + 1, y0 + 1, background);
  for (int k = 0; k < a->c; k++) {
    float top = p00[k] * (1 - u) + p01[k] * u, low = p10[k] * (1 - u) + p11[k] * u;
    out[k] = (uint8_t)(top * (1 - v) + low * v + 0.5f);
  }
}

/* Backwards: where each new pixel was before. */
static void move_turned(const fv_augmenter *a, const motion *m, const uint8_t *in, const uint8_t *background,
                        uint8_t *out) {
  double mid_x = 0.5 * (a->w - 1), mid_y = 0.5 * (a->h - 1), c = m->cos / m->scale, s = m->sin / m->scale;
  for (int y = 0; y < a->h; y++)
    for (int x = 0; x < a->w; x++, out += a->c) {
      double u = x - mid_x - m->dx, v = y - mid_y - m->dy;
      double from_x = c * u + s * v, from_y = c * v - s * u;
      sample_point(a, in, mid_x + (m->flip ? -from_x : from_x), mid_y + from_y, background, out);
    }
}

/* The box around the moved box, cut at the image's edges. */
static void move_box(const fv_augmenter *a, const motion *m, float box[4]) {
  double mid_x = 0.5 * a->w, mid_y = 0.5 * a->h, x0 = a->w, y0 = a->h, x1 = 0, y1 = 0;
  for (int corner = 0; corner < 4; corner++) {
    double u = box[corner & 1 ? 2 : 0] - mid_x, v = box[corner & 2 ? 3 : 1] - mid_y;
    if (m->flip) u = -u;
    double x = mid_x + m->dx + m->scale * (m->cos * u - m->sin * v);
    double y = mid_y + m->dy + m->scale * (m->sin * u + m->cos * v);
    x0 = FV_MIN(x0, x), x1 = FV_MAX(x1, x), y0 = FV_MIN(y0, y), y1 = FV_MAX(y1, y);
  }
  box[0] = (float)FV_MAX(x0, 0), box[1] = (float)FV_MAX(y0, 0);
  box[2] = (float)FV_MIN(x1, a->w), box[3] = (float)FV_MIN(y1, a->h);
}

/* ---- cutout ------------------------------------------------------------------------------------------------------ */
/* The middle is anywhere in the image, so squares at the edge are smaller. */
static void cut_square(const fv_augmenter *a, fv_rng *rng, uint8_t *out) {
  int side = (int)a->how.cutout;
  int x0 = (int)fv_rng_below(rng, (uint32_t)a->w) - side / 2, y0 = (int)fv_rng_below(rng, (uint32_t)a->h) - side / 2;
  int x1 = FV_MIN(x0 + side, a->w), y1 = FV_MIN(y0 + side, a->h);
  x0 = FV_MAX(x0, 0), y0 = FV_MAX(y0, 0);
  for (int y = y0; y < y1; y++) fill(out + (y * a->w + x0) * a->c, x1 - x0, a->c, a->blank);
}

void fv_augment_apply(const fv_augmenter *a, fv_rng *rng, const uint8_t *in, uint8_t *out, float *box) {
  uint8_t background[4] = {0};
  motion m = draw_motion(&a->how, rng);
  for (int k = 0; k < a->c && (m.dx || m.dy || m.turns); k++) background[k] = border_median(a, in, k);
  if (m.turns) move_turned(a, &m, in, background, out);
  else move_whole(a, &m, in, background, out);
  if (box) move_box(a, &m, box);
  if (a->how.cutout > 0) cut_square(a, rng, out);
}
