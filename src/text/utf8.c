/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.c: UTF-8 checked, read and written (RFC 3629; the table of well-formed sequences is Unicode 15, table 3-7), what
 * kind of character a code point is, and the two old encodings that corpora still come in. */
#include "text/text.h"

#include <utf8proc.h>

const char *const fv_encoding_names[FV_ENCODINGS + 1] = {"utf-8", "latin-1", "windows-1252", "bytes", NULL};

/* The length of the sequence at s and the range of its second byte: that alone tells long forms, surrogates and what is
 * beyond U+10FFFF. */
static int lead(uint8_t c, uint8_t *low, uint8_t *high) {
  *low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  *high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

int fv_utf8_next(const char *s, size_t n, int32_t *point) {
  const uint8_t *p = (const uint8_t *)s;
  uint8_t low, high;
  int length = lead(p[0], &low, &high);
  *point = length == 1 ? p[0] : -1;
  if (length < 2 || (size_t)length > n || p[1] < low || p[1] > high) return 1;
  int32_t value = p[0] & (0x7f >> length);
  for (int i = 1; i < length; i++) {
    if ((p[i] & 0xc0) != 0x80) return 1;
    value = value << 6 | (p[i] & 0x3f);
  }
  *point = value;
  return length;
}

static bool eight_ascii(const char *s) {
  uint64_t word;
  memcpy(&word, s, 8);
  return (word & 0x8080808080808080u) == 0;
}

size_t fv_utf8_valid(const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    int32_t point;
    if (n - i >= 8 && eight_ascii(s + i)) {
      i += 8;
      continue;
    }
    int length = fv_utf8_next(s + i, n - i, &point);
    if (point < 0) return i;
    i += (size_t)length;
  }
  return n;
}

int fv_utf8_put(int32_t point, char out[4]) {
  if (point < 0x80) return out[0] = (char)point, 1;
  int length = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (int i = length - 1; i > 0; i--, point >>= 6) out[i] = (char)(0x80 | (point & 0x3f));
  out[0] = (char)((0xf00 >> length & 0xff) | point);
  return length;
}

/* ---- kinds of characters ----------------------------------------------------------------------------------------- */
static bool is_space(int32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

unsigned fv_utf8_class(int32_t c) {
  if (c < 0) return FV_CLASS_OTHER;
  if (c < 0x80) {
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return FV_CLASS_LETTER;
    if (c >= '0' && c <= '9') return FV_CLASS_NUMBER;
  }
  if (is_space(c)) return FV_CLASS_SPACE;
  if (c < 0x80) return FV_CLASS_OTHER;
  utf8proc_category_t k = utf8proc_category(c);
  if (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) return FV_CLASS_LETTER;
  if (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) return FV_CLASS_NUMBER;
  return k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME ? FV_CLASS_MARK : FV_CLASS_OTHER;
}

/* ---- other encodings --------------------------------------------------------------------------------------------- */
/* 0x80 .. 0x9f of windows-1252; 0: no meaning. */
static const uint16_t windows[32] = {0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                     0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
                                     0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                     0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

void fv_encoding_convert(fv_encoding encoding, const char *s, size_t n, fv_text *out, size_t *bad) {
  bool single = encoding == FV_ENCODING_LATIN1 || encoding == FV_ENCODING_WINDOWS1252;
  *bad = encoding == FV_ENCODING_UTF8 ? fv_utf8_valid(s, n) : n;
  if (!single) {
    fv_text_append(out, s, *bad);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    char bytes[4];
    int32_t c = (uint8_t)s[i];
    if (encoding == FV_ENCODING_WINDOWS1252 && c >= 0x80 && c < 0xa0) c = windows[c - 0x80];
    if (c == 0 && s[i] != 0) {
      *bad = i;
      return;
    }
    fv_text_append(out, bytes, (size_t)fv_utf8_put(c, bytes));
  }
}
