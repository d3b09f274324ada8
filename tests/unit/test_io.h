/* SPDX-License-Identifier: Apache-2.0 */
/* test_io.h: what tests share: checks that show what went wrong, and a scratch directory. */
#ifndef FV_TEST_IO_H
#define FV_TEST_IO_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "io/io.h"

#define OK(call)                                                                  \
  do {                                                                            \
    fv_status ok_ = (call);                                                       \
    if (ok_ != FV_OK) fail_msg("%s: %s", #call, fv_error_message());               \
  } while (0)
/* The call fails with `code`, one line that contains `text`. */
#define FAILS(code, text, call)                                                                        \
  do {                                                                                                 \
    assert_int_equal(call, code);                                                                      \
    if (!strstr(fv_error_message(), text)) fail_msg("expected '%s' in: %s", text, fv_error_message()); \
    assert_null(strchr(fv_error_message(), '\n'));                                                     \
  } while (0)

static inline void assert_near(double got, double want, double within) {
  if (!(fabs(got - want) <= within)) fail_msg("expected %.9g within %g, got %.9g", want, within, got);
}

static char scratch[] = "/tmp/fovea-test-XXXXXX";

static inline int scratch_make(void **state) {
  (void)state;
  return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(void **state) {
  (void)state;
  return fv_dir_remove(scratch) == FV_OK ? 0 : -1;
}

/* A path in the scratch directory, good until the next call but one. */
static inline const char *in_scratch(const char *name) {
  static char path[2][256];
  static int turn;
  turn = !turn;
  snprintf(path[turn], sizeof path[turn], "%s/%s", scratch, name);
  return path[turn];
}

#endif
