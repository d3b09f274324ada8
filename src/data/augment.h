/* SPDX-License-Identifier: Apache-2.0 */
/* augment.h (private to src/data): one image at a time: changed by chance, then standardised. */
#ifndef FV_DATA_AUGMENT_H
#define FV_DATA_AUGMENT_H

#include "data/data.h"

/* Standardisation laid out for whole blocks: 48 is a multiple of 1, 2, 3 and 4 channels and of a vector's width. */
enum { FV_SCALE_BLOCK = 48 };
typedef struct fv_scale {
  float mean[FV_SCALE_BLOCK], deviation[FV_SCALE_BLOCK]; /* of values 0..255 */
} fv_scale;
void fv_scale_init(int n_channels, const float *mean, const float *deviation, fv_scale *scale);
void fv_scale_apply(const fv_scale *scale, const uint8_t *in, int64_t n, float *out);

typedef struct fv_augmenter {
  fv_augment how;
  int h, w, c;
  uint8_t blank[4]; /* what a cut-out square is filled with: the data's mean */
} fv_augmenter;
static inline bool fv_augment_any(const fv_augment *a) {
  return a->shift > 0 || a->flip || a->cutout > 0 || a->rotate > 0 || a->scale > 0;
}
/* A fresh version of `in` into `out`. box (x0,y0,x1,y1; may be NULL) follows what happened to it. At most 8 numbers are
 * drawn, always the same ones for the same settings. */
void fv_augment_apply(const fv_augmenter *a, fv_rng *rng, const uint8_t *in, uint8_t *out, float *box);

#endif
