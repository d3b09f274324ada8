/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_idx.c: IDX files, plain and gzip. */
#include "fuzz.h"

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_array a;
  FV_TRY(fv_idx_parse(bytes, n, "fuzz", 1 << 24, &a));
  fuzz_touch(a.data, a.bytes);
  fv_idx_free(&a);
  return FV_OK;
}
