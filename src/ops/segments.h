/* SPDX-License-Identifier: Apache-2.0 */
/* segments.h: rows of a graph in CSR form. Segment i is the places [row_ptr[i], row_ptr[i+1]). What a program is given
 * cannot fail while it runs, so numbers that fall or lie outside are drawn in: a segment begins where the one before
 * ended and ends at the last place at most. Segments so never overlap, and places before the first or after the last
 * belong to none. */
#ifndef FV_OPS_SEGMENTS_H
#define FV_OPS_SEGMENTS_H

#include "ir/ir.h"

/* The bound row_ptr[i] of segments over n places, given the bound before it (0 at first). */
static inline int64_t fv_segment_bound(const fv_tensor *row_ptr, int64_t i, int64_t before, int64_t n) {
  return FV_MIN(FV_MAX((int64_t)fv_get(row_ptr, i), before), n);
}
/* Input i is a row_ptr: [V+1] of i32. */
fv_status fv_segments_check(const fv_infer *c, int i);

#endif
