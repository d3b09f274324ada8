/* SPDX-License-Identifier: Apache-2.0 */
/* report.c: counting and telling. A subject is what one line of the count stands for: a row with one of its cases (and
 * one level). It passes when nothing was wrong with it; the first few problems of each are printed. */
#include "check.h"

#define PROBLEMS_SHOWN 4

void ck_begin(ck_report *r, const char *again, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(r->subject, sizeof r->subject, fmt, args);
  va_end(args);
  snprintf(r->again, sizeof r->again, "%s", again);
  r->problems = 0;
}

void ck_problem(ck_report *r, const char *fmt, ...) {
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  if (r->first[0] == 0) snprintf(r->first, sizeof r->first, "%s", text);
  if (!r->quiet && r->problems < PROBLEMS_SHOWN) printf("FAIL %s %s: %s\n", r->mode, r->subject, text);
  r->problems++;
}

void ck_end(ck_report *r) {
  if (r->problems == 0) {
    r->passed++;
    return;
  }
  r->failed++;
  if (r->quiet) return;
  if (r->problems > PROBLEMS_SHOWN) printf("     and %d more\n", r->problems - PROBLEMS_SHOWN);
  printf("     again: check %s %s --seed %llu\n", r->mode, r->again, (unsigned long long)r->seed);
}

void ck_skip(ck_report *r, const char *fmt, ...) {
  r->skipped++;
  if (r->quiet) return;
  va_list args;
  va_start(args, fmt);
  printf("skip %s %s: ", r->mode, r->subject);
  vprintf(fmt, args);
  va_end(args);
  putchar('\n');
}

bool ck_wanted(const ck_report *r, const char *name) { return r->only == NULL || strcmp(r->only, name) == 0; }

ck_difference ck_compare(fv_dtype dtype, int64_t n, const double *want, const double *got, double tolerance,
                         double least, bool each) {
  ck_difference d = {0};
  bool real = dtype == FV_F32 || dtype == FV_F64;
  double largest = least;
  for (int64_t i = 0; i < n; i++)
    if (isfinite(want[i])) largest = fmax(largest, fabs(want[i]));
  for (int64_t i = 0; i < n; i++) {
    double w = dtype == FV_F32 ? (double)(float)want[i] : want[i];
    bool same = w == got[i] || (isnan(w) && isnan(got[i]));
    if (!same && real && isfinite(w) && isfinite(got[i])) {
      /* denormals have few digits, and what is computed from them fewer */
      double scale = each ? fabs(w) : largest, error = fabs(w - got[i]) - (dtype == FV_F32 ? 0x1p-136 : 0x1p-1060);
      if (scale > 0) d.worst = fmax(d.worst, error / scale);
      same = error <= tolerance * scale;
    }
    if (same) continue;
    if (d.count++ == 0) d.first = i, d.want = w, d.got = got[i];
  }
  return d;
}
