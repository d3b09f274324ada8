/* SPDX-License-Identifier: Apache-2.0 */
/* image.c: 8-bit pictures in memory: making, resizing, grey and colour, and the choice between PNG and JPEG.
 * Resizing is separable with a triangle filter as wide as the larger pixel of the two grids, so that it interpolates
 * when enlarging and averages when shrinking; pixel centres lie at half-integers. */
#include "io/io.h"

#include <math.h>

fv_status fv_image_check_size(int64_t w, int64_t h, const char *what) {
  FV_REQUIRE(w > 0 && h > 0 && w <= FV_IMAGE_SIDE && h <= FV_IMAGE_SIDE && w * h <= FV_IMAGE_PIXELS, FV_ERR_CORRUPT,
             "%s: expected an image of at most %d a side and %d million pixels, got %lldx%lld", what, FV_IMAGE_SIDE,
             FV_IMAGE_PIXELS >> 20, (long long)w, (long long)h);
  return FV_OK;
}

fv_status fv_image_new(int w, int h, int channels, fv_image *image) {
  *image = (fv_image){0};
  FV_ASSERT(channels >= 1 && channels <= 4);
  FV_TRY(fv_image_check_size(w, h, "image"));
  FV_TRY(fv_alloc_array((void **)&image->pixels, (size_t)w * (size_t)h, (size_t)channels));
  image->w = w, image->h = h, image->channels = channels;
  return FV_OK;
}

void fv_image_free(fv_image *image) {
  fv_free(image->pixels);
  *image = (fv_image){0};
}

fv_status fv_image_convert(const fv_image *image, int channels, fv_image *out) {
  FV_ASSERT((channels == 1 || channels == 3) && (image->channels == 1 || image->channels == 3));
  FV_TRY(fv_image_new(image->w, image->h, channels, out));
  int64_t n = (int64_t)image->w * image->h;
  const uint8_t *p = image->pixels;
  uint8_t *q = out->pixels;
  if (channels == image->channels) memcpy(q, p, (size_t)(n * channels));
  else if (channels == 3)
    for (int64_t i = 0; i < n; i++, q += 3) q[0] = q[1] = q[2] = p[i];
  else /* BT.601: 0.299 R + 0.587 G + 0.114 B in 16 bits of fraction, so that grey stays itself */
    for (int64_t i = 0; i < n; i++, p += 3)
      q[i] = (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16);
  return FV_OK;
}

/* Turns *image into `channels` in place (a fresh buffer); frees it on failure. */
static fv_status take_channels(int channels, fv_image *image) {
  if (channels == 0 || channels == image->channels) return FV_OK;
  fv_image converted;
  fv_status status = fv_image_convert(image, channels, &converted);
  fv_image_free(image);
  if (status == FV_OK) *image = converted;
  return status;
}

fv_status fv_image_parse(const void *bytes, size_t n, const char *what, int channels, fv_image *image) {
  const uint8_t *p = bytes;
  *image = (fv_image){0};
  FV_ASSERT(channels == 0 || channels == 1 || channels == 3);
  if (n >= 8 && memcmp(p, "\x89PNG\r\n\x1a\n", 8) == 0) FV_TRY(fv_png_parse(bytes, n, what, image));
  else if (n >= 3 && memcmp(p, "\xff\xd8\xff", 3) == 0) FV_TRY(fv_jpeg_parse(bytes, n, what, image));
  else return FV_FAIL(FV_ERR_CORRUPT, "%s: expected a PNG or JPEG image, got other bytes", what);
  FV_TRY(take_channels(channels, image));
  return FV_OK;
}

fv_status fv_image_read(const char *path, int channels, fv_image *image) {
  fv_map map;
  *image = (fv_image){0};
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_image_parse(map.data, map.size, path, channels, image);
  fv_map_close(&map);
  return status;
}

static fv_status write_text(const char *path, fv_status encoded, fv_text *t) {
  fv_status status = encoded == FV_OK ? fv_file_write(path, t->s, t->n) : encoded;
  fv_text_free(t);
  return status;
}

fv_status fv_image_write_png(const char *path, const fv_image *image) {
  fv_text t = {0};
  fv_status encoded = fv_image_encode_png(image, &t);
  return write_text(path, encoded, &t);
}

fv_status fv_image_write_jpeg(const char *path, const fv_image *image, int quality) {
  fv_text t = {0};
  fv_status encoded = fv_image_encode_jpeg(image, quality, &t);
  return write_text(path, encoded, &t);
}

/* ---- resizing ---------------------------------------------------------------------------------------------------- */
typedef struct taps { /* one axis: output i is the sum of weight[i * width + k] * input[first[i] + k] */
  int width;
  int *first;
  float *weight;
} taps;

static void taps_free(taps *t) {
  fv_free(t->first);
  fv_free(t->weight);
  *t = (taps){0};
}

static fv_status taps_new(int from, int to, taps *t) {
  fv_status status = FV_OK;
  double scale = (double)from / to, reach = FV_MAX(scale, 1.0);
  *t = (taps){.width = (int)ceil(2 * reach) + 1};
  FV_TRY_DONE(FV_NEW(&t->first, to));
  FV_TRY_DONE(FV_NEW(&t->weight, (int64_t)to * t->width));
  for (int i = 0; i < to; i++) {
    double centre = (i + 0.5) * scale, sum = 0;
    int first = FV_MAX((int)floor(centre - reach), 0), last = FV_MIN((int)ceil(centre + reach), from);
    float *w = t->weight + (int64_t)i * t->width;
    t->first[i] = first;
    for (int k = first; k < last && k - first < t->width; k++) {
      double v = FV_MAX(1 - fabs(k + 0.5 - centre) / reach, 0.0);
      w[k - first] = (float)v, sum += v;
    }
    for (int k = 0; k < t->width; k++) w[k] = (float)(w[k] / sum);
  }
done:
  if (status != FV_OK) taps_free(t);
  return status;
}

/* One row of the input, in both directions of resizing: out[x][c] = sum over taps. */
static void resize_row(const uint8_t *in, int w, int channels, const taps *t, int out_w, float *out) {
  for (int x = 0; x < out_w; x++)
    for (int c = 0; c < channels; c++) {
      float sum = 0;
      const float *weight = t->weight + (int64_t)x * t->width;
      for (int k = 0; k < t->width && t->first[x] + k < w; k++) sum += weight[k] * in[(t->first[x] + k) * channels + c];
      out[x * channels + c] = sum;
    }
}

fv_status fv_image_resize(const fv_image *image, int w, int h, fv_image *out) {
  fv_status status = FV_OK;
  int channels = image->channels;
  int64_t row = (int64_t)w * channels;
  taps tx = {0}, ty = {0};
  float *rows = NULL, *line = NULL;
  *out = (fv_image){0};
  FV_TRY(fv_image_check_size(w, h, "resized image"));
  FV_TRY_DONE(taps_new(image->w, w, &tx));
  FV_TRY_DONE(taps_new(image->h, h, &ty));
  FV_TRY_DONE(FV_NEW(&rows, image->h * row));
  FV_TRY_DONE(FV_NEW(&line, row));
  FV_TRY_DONE(fv_image_new(w, h, channels, out));
  for (int y = 0; y < image->h; y++)
    resize_row(image->pixels + (int64_t)y * image->w * channels, image->w, channels, &tx, w, rows + y * row);
  for (int y = 0; y < h; y++) {
    memset(line, 0, (size_t)row * sizeof *line);
    for (int k = 0; k < ty.width && ty.first[y] + k < image->h; k++) {
      float weight = ty.weight[(int64_t)y * ty.width + k];
      const float *in = rows + (ty.first[y] + k) * row;
      for (int64_t x = 0; x < row; x++) line[x] += weight * in[x];
    }
    for (int64_t x = 0; x < row; x++)
      out->pixels[y * row + x] = (uint8_t)FV_MIN(FV_MAX(line[x] + 0.5f, 0.0f), 255.0f);
  }
done:
  taps_free(&tx);
  taps_free(&ty);
  fv_free(rows);
  fv_free(line);
  return status;
}
