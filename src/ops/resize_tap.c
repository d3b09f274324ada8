/* SPDX-License-Identifier: Apache-2.0 */
/* resize_tap.c: which input pixels an output pixel is made of, along one axis. PyTorch's rules: half-pixel centres
 * clamped at 0 (or corner to corner with align_corners); nearest takes floor(o * in / out). */
#include "ops/resize.h"

#include <math.h>

static fv_resize_tap nearest(int64_t in, int64_t out, int64_t o) {
  int64_t i = o;
  if (out == 2 * in) i = o / 2;
  else if (out != in) i = FV_MIN((int64_t)floorf((float)o * ((float)in / (float)out)), in - 1);
  return (fv_resize_tap){.i0 = i, .i1 = i, .w0 = 1};
}

static float position(bool align_corners, int64_t in, int64_t out, int64_t o) {
  if (align_corners) return out > 1 ? (float)(in - 1) / (float)(out - 1) * (float)o : 0;
  return fmaxf((float)in / (float)out * ((float)o + 0.5f) - 0.5f, 0);
}

fv_resize_tap fv_resize_tap_of(const fv_resize_attrs *a, int64_t in, int64_t out, int64_t o) {
  if (a->mode == FV_RESIZE_NEAREST || in == out) return nearest(in, out, o);
  const float at = position(a->align_corners, in, out, o);
  const int64_t i = FV_MIN((int64_t)at, in - 1);
  const float w = FV_MIN(FV_MAX(at - (float)i, 0), 1);
  return (fv_resize_tap){.i0 = i, .i1 = FV_MIN(i + 1, in - 1), .w0 = 1 - w, .w1 = w};
}
