/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: the text and the trace of a thread's last failure.
 *
 * A failure is a small number for the program and a sentence for the person. The sentence lives in fixed thread-local
 * buffers, so that reporting "out of memory" needs no memory. */
#include "base/base.h"

static _Thread_local char message[1024];
static _Thread_local char trace[2048];

const char *fv_error_message(void) { return message; }

const char *fv_error_trace(void) { return trace; }

const char *fv_status_name(fv_status status) {
  switch (status) {
    case FV_OK: return "ok";
    case FV_ERR_REQUEST: return "request";
    case FV_ERR_NOTFOUND: return "notfound";
    case FV_ERR_IO: return "io";
    case FV_ERR_CORRUPT: return "corrupt";
    case FV_ERR_MEMORY: return "memory";
    case FV_ERR_NUMERIC: return "numeric";
    case FV_ERR_STOPPED: return "stopped";
    case FV_ERR_INTERNAL: return "internal";
  }
  return "unknown";
}

/* What another command line would mend is a wrong request; a missing file is one of these. */
int fv_status_exit_code(fv_status status) {
  if (status == FV_OK) return 0;
  return status == FV_ERR_REQUEST || status == FV_ERR_NOTFOUND ? 2 : 1;
}

/* One line whatever a file name or a setting holds: control characters become '?', and a text that was cut ends in
 * "..." without half a UTF-8 character before it. */
static void keep_message(const char *text, size_t wanted) {
  size_t n = strlen(text);
  memcpy(message, text, n + 1);
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f) message[i] = '?';
  if (wanted < sizeof message) return;
  size_t end = sizeof message - 4;
  while (end > 0 && ((unsigned char)message[end] & 0xc0) == 0x80) end--;
  memcpy(message + end, "...", 4);
}

static void add_place(const char *file, int line, const char *func) {
  const char *slash = strrchr(file, '/');
  size_t used = strlen(trace), room = sizeof trace - used;
  int n = snprintf(trace + used, room, "%s:%d %s\n", slash ? slash + 1 : file, line, func);
  if (n < 0 || (size_t)n >= room) trace[used] = 0; /* whole lines or none */
}

fv_status fv_fail_at(fv_status code, const char *file, int line, const char *func, const char *fmt, ...) {
  char text[sizeof message]; /* the arguments may be pieces of `message` itself */
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  keep_message(n < 0 ? fmt : text, n < 0 ? 0 : (size_t)n);
  trace[0] = 0;
  add_place(file, line, func);
  return code;
}

fv_status fv_trace_at(fv_status code, const char *file, int line, const char *func) {
  add_place(file, line, func);
  return code;
}

fv_status fv_error_prefix(fv_status code, const char *fmt, ...) {
  char text[sizeof message];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (n < 0) return code;
  size_t used = strlen(text), room = sizeof text - used;
  int m = snprintf(text + used, room, ": %s", message);
  keep_message(text, (size_t)n + (m < 0 ? 0 : (size_t)m));
  return code;
}
