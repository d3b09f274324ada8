/* SPDX-License-Identifier: Apache-2.0 */
/* explain_cut.c: an image painted by what its superpixels count: the image, and beside it every superpixel in the
 * colour of its share of the largest share, with its borders. */
#include "train/train.h"

enum { SIDE = 480, GAP = 2, GREY = 96 };

fv_status fv_cut_image_new(const fv_dataset *d, int64_t index, const double *share, int64_t n, fv_cut_image *c) {
  *c = (fv_cut_image){.share = share};
  for (int64_t i = 0; i < n; i++) c->most = FV_MAX(c->most, share[i]);
  return fv_superpixels_look(d, FV_SPLIT_TEST, index, &c->shape, &c->pixels, &c->segment);
}

void fv_cut_image_free(fv_cut_image *c) {
  fv_free(c->pixels);
  fv_free(c->segment);
  *c = (fv_cut_image){.share = NULL};
}

/* ---- painting ---------------------------------------------------------------------------------------------------- */
static void plain_at(const fv_cut_image *c, int64_t i, uint8_t rgb[3]) {
  const int channels = (int)c->shape.dim[2];
  for (int k = 0; k < 3; k++) rgb[k] = c->pixels[i * channels + (channels == 3 ? k : 0)];
}

static void painted_at(const fv_cut_image *c, int64_t i, uint8_t rgb[3]) {
  fv_colormap_rgb(FV_COLORMAP_IRIS, c->most > 0 ? c->share[c->segment[i]] / c->most : 0, rgb);
}

/* Whether another superpixel begins above or to the left of a point of the enlarged image. */
static bool on_border(const fv_cut_image *c, int x, int y, int up) {
  const int w = (int)c->shape.dim[1], i = y / up * w + x / up;
  return (x % up == 0 && x > 0 && c->segment[i] != c->segment[i - 1]) ||
         (y % up == 0 && y > 0 && c->segment[i] != c->segment[i - w]);
}

fv_status fv_cut_image_picture(const fv_cut_image *c, int up, fv_image *out) {
  const int h = (int)c->shape.dim[0], w = (int)c->shape.dim[1];
  if (up == 0) up = FV_MAX(SIDE / FV_MAX(h, w), 1);
  FV_TRY(fv_image_new((2 * w + GAP) * up, h * up, 3, out));
  for (int y = 0; y < out->h; y++)
    for (int x = 0; x < w * up; x++) {
      uint8_t *left = out->pixels + ((int64_t)y * out->w + x) * 3, *right = left + 3 * (w + GAP) * up;
      const int64_t i = (int64_t)(y / up) * w + x / up;
      plain_at(c, i, left);
      if (up > 2 && on_border(c, x, y, up)) memset(right, GREY, 3);
      else painted_at(c, i, right);
    }
  return FV_OK;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
void fv_cut_image_place(const fv_cut_image *c, int64_t node, fv_json *j) {
  const int64_t h = c->shape.dim[0], w = c->shape.dim[1];
  double x = 0, y = 0, many = 0;
  for (int64_t i = 0; i < h * w; i++)
    if (c->segment[i] == node) x += (double)(i % w), y += (double)(i / w), many++;
  fv_json_real(j, "x", x / many);
  fv_json_real(j, "y", y / many);
  fv_json_int(j, "pixels", (int64_t)many);
}

void fv_cut_image_json(const fv_cut_image *c, fv_json *j) {
  const int64_t h = c->shape.dim[0], w = c->shape.dim[1];
  fv_json_begin(j, "segments", '[');
  for (int64_t y = 0; y < h; y++) {
    fv_json_begin(j, NULL, '[');
    for (int64_t x = 0; x < w; x++) fv_json_int(j, NULL, c->segment[y * w + x]);
    fv_json_end(j, ']');
  }
  fv_json_end(j, ']');
}
