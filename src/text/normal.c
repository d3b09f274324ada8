/* SPDX-License-Identifier: Apache-2.0 */
/* normal.c: normal forms (Unicode Standard Annex 15) and case through utf8proc, with the way back to the source.
 *
 * The text is taken in clusters that normalise by themselves: a character and what may combine with it. So each byte of
 * the result knows its source, bad bytes in between do no harm, and nothing is held beside the result. */
#include "text/text.h"

#include <utf8proc.h>

const char *const fv_normal_form_names[FV_NORMALS + 1] = {"none", "nfc", "nfkc", NULL};

/* A cluster is cut here at the latest: putting marks into order takes time that grows with the square of their number.
 * The Stream-Safe Text Format allows 30. */
enum { MOST_POINTS = 128, MOST_EXPANSION = 18 };

/* May combine with what stands before, itself or what it decomposes to: marks, the later parts of Hangul syllables, and
 * the half-width forms of both. */
static bool joins(int32_t c) {
  if (c < 0x300) return false;
  if ((c >= 0x1160 && c <= 0x11ff) || (c >= 0x3131 && c <= 0x318e) || (c >= 0xff9e && c <= 0xffdc)) return true;
  return fv_utf8_class(c) == FV_CLASS_MARK;
}

/* The bytes of the cluster at s. */
static size_t cluster(const char *s, size_t n) {
  int32_t c;
  size_t length = (size_t)fv_utf8_next(s, n, &c);
  if (c < 0) return length;
  for (int points = 1; length < n && points < MOST_POINTS; points++) {
    size_t more = (size_t)fv_utf8_next(s + length, n - length, &c);
    if (!joins(c)) break;
    length += more;
  }
  return length;
}

/* Simple lower case, and the one character whose full mapping is longer in any language. */
static int lower(int32_t c, int32_t out[2]) {
  out[0] = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : utf8proc_tolower(c);
  out[1] = 0x307;
  if (c != 0x130) return 1;
  out[0] = 'i';
  return 2;
}

/* Appends what a cluster of well-formed UTF-8 becomes. */
static void append(fv_text *text, const char *s, size_t n, fv_normal_form form, unsigned how) {
  int32_t point[MOST_POINTS * MOST_EXPANSION], two[2];
  utf8proc_option_t o = UTF8PROC_STABLE;
  if (form != FV_NORMAL_NONE) o |= UTF8PROC_COMPOSE;
  if (form == FV_NORMAL_NFKC) o |= UTF8PROC_COMPAT;
  if (how & FV_NORMAL_FOLD) o |= UTF8PROC_CASEFOLD;
  utf8proc_ssize_t points = utf8proc_decompose((const uint8_t *)s, (utf8proc_ssize_t)n, point, FV_COUNT(point), o);
  if (points < 0 || points > (utf8proc_ssize_t)FV_COUNT(point)) return; /* cannot be: see MOST_EXPANSION */
  if (form != FV_NORMAL_NONE) points = utf8proc_normalize_utf32(point, points, o);
  for (utf8proc_ssize_t i = 0; i < points; i++) {
    char bytes[4];
    int made = 1;
    two[0] = point[i];
    if (how & FV_NORMAL_LOWER) made = lower(point[i], two);
    for (int k = 0; k < made; k++) fv_text_append(text, bytes, (size_t)fv_utf8_put(two[k], bytes));
  }
}

/* Bytes from..text.n-1 came from the source at `at`. */
static fv_status note(fv_normal *m, size_t from, size_t at) {
  FV_REQUIRE(!m->text.failed, FV_ERR_MEMORY, "text: no memory to normalise");
  if (m->text.n + 1 > m->cap) {
    size_t cap = FV_MAX(2 * m->cap, m->text.n + 64);
    int32_t *grown = fv_realloc(m->from, cap * sizeof *grown);
    FV_REQUIRE(grown, FV_ERR_MEMORY, "text: no memory to normalise");
    m->from = grown, m->cap = cap;
  }
  for (size_t i = from; i < m->text.n; i++) m->from[i] = (int32_t)at;
  return FV_OK;
}

fv_status fv_normal_run(fv_normal *m, const char *s, size_t n, fv_normal_form form, unsigned how) {
  FV_REQUIRE(n < INT32_MAX / 2, FV_ERR_REQUEST, "text: expected less than 1 GiB at once, got %zu bytes", n);
  m->text.n = 0;
  for (size_t i = 0; i < n;) {
    size_t from = m->text.n, length = 1;
    if ((uint8_t)s[i] < 0x80 && (i + 1 == n || (uint8_t)s[i + 1] < 0x80)) { /* ASCII by itself is normal */
      char c = s[i];
      if (how && c >= 'A' && c <= 'Z') c = (char)(c + 32);
      fv_text_append(&m->text, &c, 1);
    } else {
      int32_t c;
      fv_utf8_next(s + i, n - i, &c);
      length = cluster(s + i, n - i);
      if (c < 0) fv_text_append(&m->text, s + i, length);
      else append(&m->text, s + i, length, form, how);
    }
    FV_TRY(note(m, from, i));
    i += length;
  }
  FV_TRY(note(m, m->text.n, n));
  m->from[m->text.n] = (int32_t)n;
  return FV_OK;
}

fv_span fv_normal_source(const fv_normal *m, fv_span span) {
  int32_t to = span.to;
  if (to > span.from) /* to the end of the last byte's cluster */
    while ((size_t)to < m->text.n && m->from[to] == m->from[span.to - 1]) to++;
  return (fv_span){m->from[span.from], m->from[to]};
}

void fv_normal_free(fv_normal *m) {
  fv_text_free(&m->text);
  fv_free(m->from);
  *m = (fv_normal){0};
}
