/* SPDX-License-Identifier: Apache-2.0 */
/* segments.c: what the operations over CSR rows share. */
#include "ops/segments.h"

fv_status fv_segments_check(const fv_infer *c, int i) {
  const fv_value *p = c->in[i];
  FV_INFER_REQUIRE(c, p->dtype == FV_I32, "row_ptr: expected i32, got %s", fv_dtype_name(p->dtype));
  FV_INFER_REQUIRE(c, p->shape.ndim == 1 && p->shape.dim[0] > 0, "row_ptr: expected [V+1], got %s",
                   fv_shape_text(p->shape));
  return FV_OK;
}
