/* SPDX-License-Identifier: Apache-2.0 */
/* resize.h: attributes of resize and resize_grad, and where an output pixel looks. */
#ifndef FV_OPS_RESIZE_H
#define FV_OPS_RESIZE_H

#include "ir/ir.h"

enum { FV_RESIZE_NEAREST, FV_RESIZE_BILINEAR };
typedef struct fv_resize_attrs {
  fv_int_list size;   /* H, W of the output (of a gradient: of the input); one number for both */
  int64_t mode;       /* FV_RESIZE_... */
  bool align_corners; /* bilinear: the corner pixels' centres stay where they are */
} fv_resize_attrs;

/* Output o of an axis is w0 * x[i0] + w1 * x[i1], i0 <= i1. Coordinates are computed in f32 as PyTorch does for f32
 * images, so that the same pixel is chosen where the exact position lies on an edge. */
typedef struct fv_resize_tap {
  int64_t i0, i1;
  float w0, w1;
} fv_resize_tap;
fv_resize_tap fv_resize_tap_of(const fv_resize_attrs *a, int64_t in, int64_t out, int64_t o);

#endif
