/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h: one fuzz target is one file, fuzz_NAME.c, with this one function: it reads the bytes as its format, looks at
 * everything it was given, frees it, and returns what the reader said. fuzz.c drives it, as libFuzzer's entry and as a
 * plain test. */
#ifndef FV_FUZZ_H
#define FV_FUZZ_H

#include "io/io.h"

fv_status fuzz_target(const uint8_t *bytes, size_t n);

/* Reads every byte, so that a sanitiser sees a result that lies outside its memory. */
static inline unsigned fuzz_touch(const void *bytes, size_t n) {
  const volatile uint8_t *p = bytes;
  unsigned sum = 0;
  for (size_t i = 0; i < n; i++) sum += p[i];
  return sum;
}

#endif
