/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_npy.c: NumPy array files. */
#include "fuzz.h"

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_array a;
  float *v;
  FV_TRY(fv_npy_parse(bytes, n, "fuzz", &a));
  FV_TRY(FV_NEW(&v, a.count + 1));
  fv_status status = fv_array_to_f32(&a, v);
  fv_free(v);
  return status;
}
