/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_pickle.c: pickles of Python, and the arrays in them. */
#include "fuzz.h"

static fv_status read_array(const fv_pickle *v) {
  fv_array a;
  float *x;
  FV_TRY(fv_pickle_array(v, "fuzz", &a));
  FV_TRY(FV_NEW(&x, a.count + 1));
  fv_status status = fv_array_to_f32(&a, x);
  fv_free(x);
  return status;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  fv_arena *arena;
  const fv_pickle *v;
  FV_TRY(fv_arena_new(&arena));
  fv_status status = fv_pickle_parse(bytes, n, "fuzz", arena, &v);
  if (status == FV_OK && fv_pickle_get(v, "data")) status = read_array(fv_pickle_get(v, "data"));
  fv_arena_free(arena);
  return status;
}
