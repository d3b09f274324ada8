/* SPDX-License-Identifier: Apache-2.0 */
/* heat.c: attention maps as colour, alone or over the picture they belong to.
 * The colour maps are paths through OKLab (B. Ottosson 2020): lightness rises evenly, the hue turns, and the
 * chroma follows a short polynomial that stays just inside sRGB. Equal steps of the map thus look equally large, in
 * grey print as well. Lines are drawn from signed distances, so they are smooth at any size. */
#include "io/io.h"

#include <math.h>

#define PI 3.14159265358979323846

static double clamp01(double v) { return v > 0 ? FV_MIN(v, 1.0) : 0; } /* NaN gives 0 */

/* OKLab to linear sRGB. */
static void lab_to_rgb(double L, double a, double b, double rgb[3]) {
  double l = L + 0.3963377774 * a + 0.2158037573 * b;
  double m = L - 0.1055613458 * a - 0.0638541728 * b;
  double s = L - 0.0894841775 * a - 1.2914855480 * b;
  l = l * l * l, m = m * m * m, s = s * s * s;
  rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
  rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
  rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static uint8_t encode_srgb(double v) {
  v = clamp01(v);
  v = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
  return (uint8_t)(v * 255 + 0.5);
}

void fv_colormap_rgb(fv_colormap map, double v, uint8_t rgb[3]) {
  double L, hue, chroma, linear[3];
  v = clamp01(v);
  switch (map) {
    case FV_COLORMAP_IRIS: /* violet, blue, teal, green, yellow */
      L = 0.24 + 0.69 * v, hue = 312 - 205 * v, chroma = 0.113 - 0.125 * v + 0.197 * v * v;
      break;
    case FV_COLORMAP_EMBER: /* black, purple, red, orange, pale yellow */
      L = 0.10 + 0.88 * v, hue = 285 + 180 * v, chroma = 0.04 + 0.56 * v * (1 - v) * (0.9 + 0.2 * v);
      break;
    default: L = v, hue = 0, chroma = 0; break;
  }
  lab_to_rgb(L, chroma * cos(hue * PI / 180), chroma * sin(hue * PI / 180), linear);
  for (int c = 0; c < 3; c++) rgb[c] = encode_srgb(linear[c]);
}

/* ---- maps -------------------------------------------------------------------------------------------------------- */
typedef struct field { /* a map looked at through [0, 1] x [0, 1], with the colours of its values */
  const float *v;
  int h, w;
  double low, scale;
  uint8_t colours[256][3];
} field;

static void field_init(field *f, const float *map, int h, int w, bool raw, fv_colormap colormap) {
  float low = INFINITY, high = -INFINITY;
  for (int64_t i = 0; i < (int64_t)h * w; i++)
    if (isfinite(map[i])) low = FV_MIN(low, map[i]), high = FV_MAX(high, map[i]);
  *f = (field){.v = map, .h = h, .w = w, .low = 0, .scale = 1};
  if (!raw) { /* a flat map becomes 0 everywhere */
    f->low = low <= high ? (double)low : 0;
    f->scale = low < high ? 1 / ((double)high - (double)low) : 0;
  }
  for (int i = 0; i < 256; i++) fv_colormap_rgb(colormap, i / 255.0, f->colours[i]);
}

static double field_cell(const field *f, int y, int x) {
  double v = (double)f->v[(int64_t)FV_MIN(FV_MAX(y, 0), f->h - 1) * f->w + FV_MIN(FV_MAX(x, 0), f->w - 1)];
  return isfinite(v) ? clamp01((v - f->low) * f->scale) : 0;
}

/* The map between the centres of its cells, linearly. */
static double field_at(const field *f, double y, double x) {
  double fy = y * f->h - 0.5, fx = x * f->w - 0.5;
  int iy = (int)floor(fy), ix = (int)floor(fx);
  double ty = fy - iy, tx = fx - ix;
  double top = field_cell(f, iy, ix) * (1 - tx) + field_cell(f, iy, ix + 1) * tx;
  double bottom = field_cell(f, iy + 1, ix) * (1 - tx) + field_cell(f, iy + 1, ix + 1) * tx;
  return top * (1 - ty) + bottom * ty;
}

fv_status fv_heatmap_image(const float *map, int h, int w, fv_colormap colormap, int out_w, int out_h, fv_image *out) {
  field f;
  *out = (fv_image){0};
  FV_REQUIRE(h > 0 && w > 0, FV_ERR_REQUEST, "heat map: expected a map of at least 1x1, got %dx%d", w, h);
  FV_TRY(fv_image_new(out_w, out_h, 3, out));
  field_init(&f, map, h, w, false, colormap);
  uint8_t *p = out->pixels;
  for (int y = 0; y < out_h; y++)
    for (int x = 0; x < out_w; x++, p += 3)
      memcpy(p, f.colours[(int)(field_at(&f, (y + 0.5) / out_h, (x + 0.5) / out_w) * 255 + 0.5)], 3);
  return FV_OK;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */
typedef struct mark { /* a box (r = 0) or a ring (half width and height 0) around a centre, in output pixels */
  double x, y, half_w, half_h, r;
} mark;

static double mark_distance(const mark *m, double x, double y) {
  double dx = fabs(x - m->x) - m->half_w, dy = fabs(y - m->y) - m->half_h;
  double outside = hypot(FV_MAX(dx, 0.0), FV_MAX(dy, 0.0)), inside = FV_MIN(FV_MAX(dx, dy), 0.0);
  return fabs(outside + inside - m->r);
}

static void blend(uint8_t *p, int shade, double share) {
  for (int c = 0; c < 3; c++) p[c] = (uint8_t)(p[c] * (1 - share) + shade * share + 0.5);
}

/* A white line of the given width with a dark rim, so that it shows on any ground. */
static void draw_mark(fv_image *image, const mark *m, double width) {
  double reach_x = m->half_w + m->r + 2 * width + 1, reach_y = m->half_h + m->r + 2 * width + 1;
  int x0 = (int)FV_MAX(m->x - reach_x, 0.0), x1 = (int)FV_MIN(m->x + reach_x, (double)image->w);
  int y0 = (int)FV_MAX(m->y - reach_y, 0.0), y1 = (int)FV_MIN(m->y + reach_y, (double)image->h);
  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++) {
      uint8_t *p = image->pixels + ((int64_t)y * image->w + x) * 3;
      double d = mark_distance(m, x + 0.5, y + 0.5);
      blend(p, 20, 0.75 * clamp01(width + 0.5 - d));
      blend(p, 255, clamp01(width / 2 + 0.5 - d));
    }
}

static void draw_marks(fv_image *image, const fv_overlay *o, int up) {
  double width = FV_MAX(1.5, FV_MIN(image->w, image->h) / 160.0);
  if (o->box) {
    mark box = {.x = (o->box_x + o->box_w / 2) * up, .y = (o->box_y + o->box_h / 2) * up,
                .half_w = o->box_w / 2 * up, .half_h = o->box_h / 2 * up};
    draw_mark(image, &box, width);
  }
  if (o->marker) {
    mark ring = {.x = o->marker_x * up, .y = o->marker_y * up, .r = 4 * width};
    mark dot = {.x = ring.x, .y = ring.y};
    draw_mark(image, &ring, width);
    draw_mark(image, &dot, width);
  }
}

fv_status fv_heatmap_overlay(const fv_image *image, const float *map, int h, int w, const fv_overlay *overlay,
                             fv_image *out) {
  fv_image grey;
  field f;
  int up = FV_MAX(overlay->upscale, 1);
  *out = (fv_image){0};
  FV_REQUIRE(h > 0 && w > 0, FV_ERR_REQUEST, "heat map: expected a map of at least 1x1, got %dx%d", w, h);
  FV_TRY(fv_image_check_size((int64_t)image->w * up, (int64_t)image->h * up, "overlay"));
  FV_TRY(fv_image_convert(image, 1, &grey));
  fv_status status = fv_image_new(image->w * up, image->h * up, 3, out);
  if (status == FV_OK) {
    field_init(&f, map, h, w, overlay->raw, overlay->colormap);
    uint8_t *p = out->pixels;
    for (int y = 0; y < out->h; y++)
      for (int x = 0; x < out->w; x++, p += 3) {
        double v = field_at(&f, (y + 0.5) / out->h, (x + 0.5) / out->w);
        double share = clamp01(overlay->alpha) * (0.55 + 0.45 * v);
        int shade = grey.pixels[(int64_t)(y / up) * grey.w + x / up];
        const uint8_t *colour = f.colours[(int)(v * 255 + 0.5)];
        for (int c = 0; c < 3; c++) p[c] = (uint8_t)(shade * (1 - share) + colour[c] * share + 0.5);
      }
    draw_marks(out, overlay, up);
  }
  fv_image_free(&grey);
  return status;
}
