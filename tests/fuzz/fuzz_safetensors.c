/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_safetensors.c: header, offsets and conversions of safetensors files. */
#include "fuzz.h"

static fv_status look(const fv_array *a) {
  float *v;
  FV_TRY(FV_NEW(&v, a->count + 1));
  fv_status status = fv_array_to_f32(a, v);
  fuzz_touch(a->data, a->bytes);
  fv_free(v);
  return status;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_status status = FV_OK;
  fv_safetensors *f;
  char hex[65];
  FV_TRY(fv_safetensors_parse(bytes, n, "fuzz", &f));
  for (int64_t i = 0; i < fv_safetensors_count(f); i++) FV_TRY_DONE(look(fv_safetensors_at(f, i)));
  fv_safetensors_find(f, "weight");
  fv_safetensors_meta(f, "format");
  if (fv_safetensors_count(f) > 0) FV_TRY_DONE(fv_arrays_sha256(fv_safetensors_at(f, 0), fv_safetensors_count(f), hex));
done:
  fv_safetensors_close(f);
  return status;
}
