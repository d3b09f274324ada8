/* SPDX-License-Identifier: Apache-2.0 */
/* text.c: growing strings, the nearest name, numbers to and from text.
 *
 * Numbers are read and written as in the C locale whatever the host program has set: files must mean the same
 * everywhere. Nearness is the restricted Damerau-Levenshtein distance (Damerau 1964): a typing slip, also the exchange
 * of two neighbours, costs one. */
#include "base/base.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

static bool reserve(fv_text *t, size_t more) {
  if (t->failed) return false;
  if (more < t->cap - t->n) return true; /* one byte is for the end */
  size_t cap = FV_MAX(2 * t->cap, t->n + more + 1);
  char *s = fv_realloc(t->s, FV_MAX(cap, (size_t)64));
  t->failed = !s;
  if (!s) return false;
  t->s = s;
  t->cap = FV_MAX(cap, (size_t)64);
  return true;
}

void fv_text_append(fv_text *t, const char *bytes, size_t n) {
  if (!reserve(t, n)) return;
  if (n) memcpy(t->s + t->n, bytes, n);
  t->n += n;
  t->s[t->n] = 0;
}

void fv_text_printf(fv_text *t, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  if (n < 0 || !reserve(t, (size_t)n)) return;
  va_start(args, fmt);
  vsnprintf(t->s + t->n, (size_t)n + 1, fmt, args);
  va_end(args);
  t->n += (size_t)n;
}

void fv_text_free(fv_text *t) {
  fv_free(t->s);
  *t = (fv_text){0};
}

/* ---- the nearest name -------------------------------------------------------------------------------------------- */
enum { LONGEST = 63 };

static int min3(int a, int b, int c) { return FV_MIN(FV_MIN(a, b), c); }

static bool same_letter(char a, char b) {
  return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Of strings of at most LONGEST letters; row[i % 3] holds the distances of the first i letters of `a`. */
static int distance(const char *a, const char *b) {
  int row[3][LONGEST + 1], na = (int)strlen(a), nb = (int)strlen(b);
  for (int j = 0; j <= nb; j++) row[0][j] = j;
  for (int i = 1; i <= na; i++) {
    int *now = row[i % 3], *before = row[(i + 2) % 3], *before2 = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= nb; j++) {
      now[j] = min3(now[j - 1] + 1, before[j] + 1, before[j - 1] + !same_letter(a[i - 1], b[j - 1]));
      if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]))
        now[j] = FV_MIN(now[j], before2[j - 2] + 1);
    }
  }
  return row[na % 3][nb];
}

const char *fv_nearest_name(const char *name, const char *const *names) {
  size_t n = strlen(name);
  if (n == 0 || n > LONGEST) return NULL;
  int best = (int)FV_MIN((n + 2) / 3, n - 1) + 1; /* one letter in three may be wrong, but not all */
  const char *nearest = NULL;
  for (; *names; names++) {
    int d = strlen(*names) > LONGEST ? best : distance(name, *names);
    if (d >= best) continue;
    best = d;
    nearest = *names;
  }
  return nearest;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
/* glibc and musl answer this call with a static object. */
static locale_t c_locale(void) { return newlocale(LC_ALL_MASK, "C", (locale_t)0); }

static bool made_of(const char *s, const char *letters) { return *s && s[strspn(s, letters)] == 0; }

bool fv_parse_int(const char *s, int64_t *v) {
  if (!made_of(s, "+-0123456789")) return false;
  char *end;
  errno = 0;
  long long x = strtoll(s, &end, 10);
  if (errno || *end) return false;
  *v = x;
  return true;
}

bool fv_parse_real(const char *s, double *v) {
  if (!made_of(s, "+-.0123456789eE")) return false;
  char *end;
  double x = strtod_l(s, &end, c_locale());
  if (end == s || *end || !isfinite(x)) return false;
  *v = x;
  return true;
}

bool fv_ends_with(const char *s, const char *end) {
  const size_t n = strlen(s), k = strlen(end);
  return n >= k && memcmp(s + n - k, end, k) == 0;
}

bool fv_parse_bool(const char *s, bool *v) {
  static const char *const yes[] = {"true", "1", "yes", "on"}, *const no[] = {"false", "0", "no", "off"};
  for (size_t i = 0; i < FV_COUNT(yes); i++) {
    bool is_yes = strcasecmp(s, yes[i]) == 0;
    if (!is_yes && strcasecmp(s, no[i]) != 0) continue;
    *v = is_yes;
    return true;
  }
  return false;
}

const char *fv_real_text(double v, char buf[FV_REAL_TEXT]) {
  locale_t host = uselocale(c_locale());
  if (fabs(v) < 1e15 && v == floor(v)) {
    snprintf(buf, FV_REAL_TEXT, "%.0f", v); /* 100, not 1e+02 */
  } else {
    for (int digits = 1; digits <= 17; digits++) {
      snprintf(buf, FV_REAL_TEXT, "%.*g", digits, v);
      if (strtod(buf, NULL) == v) break;
    }
  }
  uselocale(host);
  return buf;
}
