/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup.c: quotas of version 2 (cpu.max) and version 1 (cpu.cfs_quota_us) of Linux's control groups.
 *
 * The groups above a process limit it too, so every directory up to the root counts; inside a container the path in
 * /proc may name directories that only the host sees, which are skipped. */
#include "os/cgroup.h"

#include "os/os.h"

#include <stdlib.h>

/* The first line of root/group/file; false when there is none. */
static bool first_line(const char *root, const char *group, const char *file, char line[64]) {
  char path[4096];
  int n = snprintf(path, sizeof path, "%s%s/%s", root, group, file);
  FILE *f = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
  if (!f) return false;
  bool got = fgets(line, 64, f) != NULL;
  fclose(f);
  return got;
}

static double ratio(long long quota, long long period) {
  return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

static double limit_v2(const char *root, const char *group) {
  char line[64], *rest;
  if (!first_line(root, group, "cpu.max", line)) return 0; /* "max 100000" gives a quota of 0: none */
  long long quota = strtoll(line, &rest, 10);
  return ratio(quota, strtoll(rest, NULL, 10));
}

static double limit_v1(const char *root, const char *group) {
  char quota[64], period[64];
  if (!first_line(root, group, "cpu.cfs_quota_us", quota)) return 0; /* -1: none */
  if (!first_line(root, group, "cpu.cfs_period_us", period)) return 0;
  return ratio(strtoll(quota, NULL, 10), strtoll(period, NULL, 10));
}

static double tighter(double a, double b) { return a > 0 && (b == 0 || a < b) ? a : b; }

/* The tightest limit of `group` and the groups above it; shortens `group`. */
static double walk_up(const char *root, char *group, double (*limit)(const char *, const char *)) {
  double found = 0;
  if (strcmp(group, "/") == 0) *group = 0;
  for (;;) {
    found = tighter(limit(root, group), found);
    char *slash = strrchr(group, '/');
    if (!slash) return found;
    *slash = 0;
  }
}

static bool has_word(const char *list, const char *word) {
  size_t n = strlen(word);
  for (; *list; list += strcspn(list, ",") + (list[strcspn(list, ",")] == ','))
    if (strncmp(list, word, n) == 0 && (list[n] == ',' || list[n] == 0)) return true;
  return false;
}

/* Lines are "0::/path" (version 2) and "3:cpu,cpuacct:/path" (version 1). */
double fv_cgroup_processors(const char *self, const char *root) {
  char line[2048], v1_root[1024];
  double found = 0;
  snprintf(v1_root, sizeof v1_root, "%s/cpu", root);
  FILE *f = fopen(self, "re");
  while (f && fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) continue;
    *group++ = 0;
    controllers++;
    if (!*controllers) found = tighter(walk_up(root, group, limit_v2), found);
    else if (has_word(controllers, "cpu")) found = tighter(walk_up(v1_root, group, limit_v1), found);
  }
  if (f) fclose(f);
  return found;
}
