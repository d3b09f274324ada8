/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: time, and how much memory the process has had. */
#include "os/os.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double fv_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }

double fv_wall_seconds(void) { return seconds_of(CLOCK_REALTIME); }

int64_t fv_machine_bytes(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (int64_t)pages * size : 0;
}

/* getrusage's figure survives exec, so that a child of a big process would seem big: /proc knows this program's own. */
int64_t fv_peak_rss_bytes(void) {
  long long kib = -1;
  char line[256];
  FILE *f = fopen("/proc/self/status", "re");
  while (f && kib < 0 && fgets(line, sizeof line, f))
    if (strncmp(line, "VmHWM:", 6) == 0) kib = strtoll(line + 6, NULL, 10);
  if (f) fclose(f);
  struct rusage usage;
  if (kib < 0 && getrusage(RUSAGE_SELF, &usage) == 0) kib = usage.ru_maxrss;
  return kib < 0 ? 0 : (int64_t)kib * 1024;
}
