/* SPDX-License-Identifier: Apache-2.0 */
/* slic.h (private to src/data): an image cut into superpixels: connected regions of like colour, about as large as each
 * other. */
#ifndef FV_DATA_SLIC_H
#define FV_DATA_SLIC_H

#include "data/data.h"

enum { FV_SLIC_MOST = 256 };
typedef struct fv_slic_how {
  int h, w, channels;  /* 1: grey; 3: red, green, blue */
  int64_t superpixels; /* about so many, at most FV_SLIC_MOST */
  double compactness;  /* m: how much a distance of S pixels counts beside one of colours, in units of CIELAB */
} fv_slic_how;
/* Seeds of the grid, and so the most superpixels that there can be. */
int fv_slic_seeds(const fv_slic_how *how);

/* Room for one image at a time. */
typedef struct fv_slic fv_slic;
fv_status fv_slic_new(const fv_slic_how *how, fv_slic **slic);
void fv_slic_free(fv_slic *slic); /* NULL is fine */
/* pixels u8 [h,w,channels]; segment [h,w]: whose each pixel is, numbers from 0 in the order in which they come up.
 * How many there are. */
int fv_slic_run(fv_slic *slic, const uint8_t *pixels, uint8_t *segment);

#endif
