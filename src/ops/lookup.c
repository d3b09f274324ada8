/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c: what the operations that choose by number share. */
#include "ops/lookup.h"

fv_status fv_lookup_check_ids(const fv_infer *c, int input) {
  FV_INFER_REQUIRE(c, c->in[input]->dtype == FV_I32, "input %d: expected numbers of dtype i32, got %s", input,
                   fv_dtype_name(c->in[input]->dtype));
  return FV_OK;
}

fv_status fv_lookup_infer_table(fv_infer *c, fv_shape places, int dy, int64_t rows) {
  fv_shape s = c->in[dy]->shape;
  const int64_t width = s.ndim > 0 ? s.dim[--s.ndim] : -1;
  FV_INFER_REQUIRE(c, width >= 0 && fv_shape_equal(places, s), "gradient: expected %s and one more dimension, got %s",
                   fv_shape_text(places), fv_shape_text(c->in[dy]->shape));
  c->shape[0] = FV_SHAPE(rows, width);
  c->dtype[0] = c->in[dy]->dtype;
  return FV_OK;
}

int64_t fv_lookup_place(fv_shape x, fv_shape index, int axis, int64_t i, int64_t id) {
  int64_t place = 0, stride = 1;
  for (int d = x.ndim - 1; d >= 0; d--) {
    place += (d == axis ? id : i % index.dim[d]) * stride;
    i /= index.dim[d];
    stride *= x.dim[d];
  }
  return place;
}
