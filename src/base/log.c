/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: lines for whoever asked to see them. */
#include "base/base.h"

#include <stdlib.h>

static struct {
  fv_log_line *receiver;
  void *arg;
} log_state;

void fv_log_to(fv_log_line *receiver, void *arg) {
  log_state.receiver = receiver;
  log_state.arg = arg;
}

bool fv_verbose(void) {
  const char *v = getenv("FOVEA_VERBOSE");
  return log_state.receiver && v && *v && strcmp(v, "0") != 0;
}

void fv_log(const char *fmt, ...) {
  char line[512];
  if (!log_state.receiver) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(line, sizeof line, fmt, args);
  va_end(args);
  log_state.receiver(log_state.arg, line);
}
