/* SPDX-License-Identifier: Apache-2.0 */
/* standardise.c: bytes to numbers a network likes, and the mean and deviation that takes. Sums are whole numbers, so
 * the statistics are exact but for their last rounding, in whatever order they are taken. */
#include "data/augment.h"

#include <math.h>

void fv_scale_init(int n_channels, const float *mean, const float *deviation, fv_scale *scale) {
  for (int i = 0; i < FV_SCALE_BLOCK; i++) {
    int k = i % n_channels;
    bool raw = deviation[k] == 0;
    scale->mean[i] = raw ? 0 : 255 * mean[k];
    scale->deviation[i] = raw ? 255 : 255 * deviation[k];
  }
}

void fv_scale_apply(const fv_scale *scale, const uint8_t *in, int64_t n, float *out) {
  int64_t whole = n / FV_SCALE_BLOCK;
  for (int64_t b = 0; b < whole; b++, in += FV_SCALE_BLOCK, out += FV_SCALE_BLOCK)
    for (int i = 0; i < FV_SCALE_BLOCK; i++) out[i] = ((float)in[i] - scale->mean[i]) / scale->deviation[i];
  for (int64_t i = 0; i < n % FV_SCALE_BLOCK; i++) out[i] = ((float)in[i] - scale->mean[i]) / scale->deviation[i];
}

void fv_standardise(const uint8_t *pixels, int64_t n_pixels, int n_channels, const float *mean, const float *deviation,
                    float *out) {
  fv_scale scale;
  fv_scale_init(n_channels, mean, deviation, &scale);
  fv_scale_apply(&scale, pixels, n_pixels * n_channels, out);
}

typedef struct sums {
  uint64_t value[4], square[4];
} sums;

static void add_image(sums *s, const uint8_t *p, int64_t n_pixels, int channels) {
  for (int k = 0; k < channels; k++) {
    uint64_t value = 0, square = 0;
    for (int64_t i = k; i < n_pixels * channels; i += channels) value += p[i], square += (uint32_t)p[i] * p[i];
    s->value[k] += value;
    s->square[k] += square;
  }
}

static void finish(const sums *s, double n, int channels, float mean[4], float deviation[4]) {
  for (int k = 0; k < channels; k++) {
    double m = (double)s->value[k] / n, variance = (double)s->square[k] / n - m * m;
    mean[k] = (float)(m / 255);
    deviation[k] = variance > 1e-6 ? (float)(sqrt(variance) / 255) : 1; /* a channel that never varies */
  }
}

fv_status fv_data_statistics(const fv_dataset *d, fv_split split, int64_t from, int64_t to, uint64_t seed,
                             float mean[4], float deviation[4]) {
  fv_status status = FV_OK;
  int field = fv_dataset_field(d, "image");
  bool images = field >= 0 && d->field[field].dtype == FV_U8 && d->field[field].shape.ndim == 3;
  FV_REQUIRE(images && to > from && from >= 0 && to <= d->count[split], FV_ERR_REQUEST,
             "statistics (%s): expected images and a part of their %lld, got [%lld,%lld)", d->name,
             (long long)d->count[split], (long long)from, (long long)to);
  int64_t pixels = fv_shape_count(d->field[field].shape);
  int channels = (int)d->field[field].shape.dim[2];
  sums s = {0};
  int32_t *order = NULL;
  uint8_t *image = NULL;
  void *out[FV_MAX_FIELDS] = {0};
  FV_TRY_DONE(FV_NEW(&order, d->count[split]));
  FV_TRY_DONE(FV_NEW(&image, pixels));
  out[field] = image;
  fv_data_part_order(d, split, seed, order);
  for (int64_t i = from; i < to; i++) {
    d->read(d, split, order[i], 0, out);
    add_image(&s, image, pixels / channels, channels);
  }
  finish(&s, (double)(to - from) * (double)(pixels / channels), channels, mean, deviation);
done:
  fv_free(order);
  fv_free(image);
  return status;
}
