/* SPDX-License-Identifier: Apache-2.0 */
/* planes.h: one channel of a channels-last image as a plane of its own, for kernels that run along pixels. */
#ifndef FV_CPU_PLANES_H
#define FV_CPU_PLANES_H

#include "base/base.h"

/* Channel `c` of `channels`, placed at (top, left) of a zeroed plane. */
static inline void fv_to_plane(const float *image, int64_t h, int64_t w, int64_t channels, int64_t c, int64_t top,
                               int64_t left, int64_t pitch, int64_t size, float *plane) {
  memset(plane, 0, (size_t)size * sizeof *plane);
  for (int64_t y = 0; y < h; y++) {
    float *row = plane + (top + y) * pitch + left;
    const float *from = image + y * w * channels + c;
    if (channels == 1) memcpy(row, from, (size_t)w * sizeof *row);
    else
      for (int64_t x = 0; x < w; x++) row[x] = from[x * channels];
  }
}

#endif
