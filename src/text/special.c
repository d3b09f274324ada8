/* SPDX-License-Identifier: Apache-2.0 */
/* special.c: added tokens found in a text: the leftmost, of several the longest, as Hugging Face's library does.
 * Special ones count only when asked for: text from outside must not be able to say "end of text". */
#include "text/text.h"

static const fv_added *match(const fv_tokenizer *t, const char *s, size_t n, bool specials) {
  for (int64_t i = 0; i < t->n_added; i++) {
    const fv_added *a = &t->added[i];
    if ((specials || !a->special) && a->content.n <= n && memcmp(a->content.s, s, a->content.n) == 0) return a;
  }
  return NULL;
}

static int32_t blanks_before(const char *s, int32_t low, int32_t at) {
  while (at > low) {
    int32_t c, p = at - 1;
    while (p > low && ((uint8_t)s[p] & 0xc0) == 0x80) p--;
    if (p + fv_utf8_next(s + p, (size_t)(at - p), &c) != at || fv_utf8_class(c) != FV_CLASS_SPACE) break;
    at = p;
  }
  return at;
}

static int32_t blanks_behind(const char *s, size_t n, int32_t at) {
  while ((size_t)at < n) {
    int32_t c, length = fv_utf8_next(s + at, n - (size_t)at, &c);
    if (fv_utf8_class(c) != FV_CLASS_SPACE) break;
    at += length;
  }
  return at;
}

fv_span fv_special_next(const fv_tokenizer *t, const char *s, size_t n, size_t at, bool specials, int32_t *id) {
  bool first[256] = {false}, any = false;
  for (int64_t i = 0; i < t->n_added; i++)
    if (specials || !t->added[i].special) any = first[(uint8_t)t->added[i].content.s[0]] = true;
  for (size_t p = at; any && p < n; p++) {
    const fv_added *a = first[(uint8_t)s[p]] ? match(t, s + p, n - p, specials) : NULL;
    if (!a) continue;
    fv_span span = {(int32_t)p, (int32_t)(p + a->content.n)};
    if (a->eats_left) span.from = blanks_before(s, (int32_t)at, span.from);
    if (a->eats_right) span.to = blanks_behind(s, n, span.to);
    *id = a->id;
    return span;
  }
  return (fv_span){(int32_t)n, (int32_t)n};
}
