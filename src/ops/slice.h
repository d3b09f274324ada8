/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_SLICE_H
#define FV_OPS_SLICE_H

#include "ir/ir.h"

/* Elements start, start + step, ... below stop along one axis; clamped as in Python. A stop of 0 or less counts from
 * the end, so that 0, which is also what is left out, is the end itself. */
typedef struct fv_slice_attrs {
  int64_t axis;
  int64_t start; /* negative counts from the end */
  int64_t stop;
  int64_t step;  /* at least 1, which is the default */
} fv_slice_attrs;

/* The resolved range: first index and number of elements. */
static inline void fv_slice_range(const fv_slice_attrs *a, int64_t dim, int64_t *first, int64_t *count) {
  int64_t start = a->start < 0 ? a->start + dim : a->start;
  int64_t stop = a->stop <= 0 ? a->stop + dim : a->stop;
  start = FV_MIN(FV_MAX(start, 0), dim);
  stop = FV_MIN(FV_MAX(stop, 0), dim);
  *first = start;
  *count = stop > start ? fv_ceil_div(stop - start, a->step) : 0;
}

/* `count` elements of v from `first` on along `axis`; count must be positive. A split is several of these. */
static inline fv_value *fv_slice_of(fv_graph *g, fv_value *v, int axis, int64_t first, int64_t count) {
  const fv_slice_attrs a = {.axis = axis, .start = first, .stop = first + count, .step = 1};
  return fv_op(g, "slice", &a, v);
}

#endif
