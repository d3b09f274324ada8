/* SPDX-License-Identifier: Apache-2.0 */
/* split.c: cutting text into the pieces that no token crosses. Each rule is a regular expression, which stands beside
 * as other programs read it, and here written out by hand: no engine, one pass, bad bytes as characters of no class. */
#include "text/text.h"

/* Han, kana: no blanks between words, so each character is a piece. */
#define IDEOGRAPHS \
  "\\x{3040}-\\x{30FF}\\x{3400}-\\x{4DBF}\\x{4E00}-\\x{9FFF}\\x{F900}-\\x{FAFF}\\x{20000}-\\x{3FFFD}"
#define WORD "[\\p{L}\\p{M}\\p{N}_\\x{200C}\\x{200D}&&[^" IDEOGRAPHS "]]"
#define APOSTROPHE "['\\x{2019}]"
#define CLITIC APOSTROPHE "(?:[sSmMdD]|[rR][eE]|[vV][eE]|[lL][lL])(?!" WORD ")"
#define NOT "[nN]" APOSTROPHE "[tT](?!" WORD ")"
#define GPT4(digits) \
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits \
  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

const char *const fv_split_patterns[FV_SPLIT_RULES] = {
    [FV_SPLIT_WORDS] = WORD "+?(?=" NOT ")|" NOT "|" CLITIC "|\\p{N}+(?:[.,]\\p{N}+)+|" WORD "+(?:(?!" CLITIC
                            ")" APOSTROPHE "(?=" WORD "))?|[" IDEOGRAPHS "]|\\.{2,}|-{2,}|``|''|\\S",
    [FV_SPLIT_GPT2] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
    [FV_SPLIT_GPT4_1] = GPT4(""),
    [FV_SPLIT_GPT4_3] = GPT4("{1,3}")};

typedef struct letter { /* a character and what lies behind it */
  int32_t c;
  unsigned class;
  size_t end;
} letter;

static letter look(const char *s, size_t n, size_t at) {
  letter l = {.c = -2, .end = at};
  if (at >= n) return l; /* -2: the end, which is no blank and no letter */
  l.end = at + (size_t)fv_utf8_next(s + at, n - at, &l.c);
  l.class = fv_utf8_class(l.c);
  return l;
}

/* The end of the run of characters whose class is one of `classes` (`not`: is none of them). */
static size_t run(const char *s, size_t n, size_t at, unsigned classes, bool not) {
  for (;;) {
    letter l = look(s, n, at);
    if (l.c == -2 || ((l.class & classes) != 0) == not) return at;
    at = l.end;
  }
}

static char small(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* The length of s, t, m, d, re, ve or ll at s in any case; 0 when none is there. With `any_t`, t counts. */
static size_t clitic(const char *s, size_t n, bool any_case, bool with_t) {
  if (n == 0) return 0;
  char a = any_case ? small(s[0]) : s[0], b = n > 1 ? (any_case ? small(s[1]) : s[1]) : 0;
  if (a == 's' || a == 'm' || a == 'd' || (with_t && a == 't')) return 1;
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

/* ---- GPT-2 and its heirs ----------------------------------------------------------------------------------------- */
enum { LN = FV_CLASS_LETTER | FV_CLASS_NUMBER };

/* \s+(?!\S)|\s+ : all blanks up to the end, or all but the last, which belongs to what follows. */
static size_t blanks(const char *s, size_t n, size_t at) {
  size_t last = at;
  for (size_t p = at;;) {
    letter l = look(s, n, p);
    if (l.c == -2) return p;
    if (l.class != FV_CLASS_SPACE) return last > at ? last : p;
    last = p, p = l.end;
  }
}

static size_t gpt2(const char *s, size_t n, size_t at) {
  letter first = look(s, n, at), next = first;
  if (first.c == '\'') {
    size_t length = clitic(s + at + 1, n - at - 1, false, true);
    if (length) return at + 1 + length;
  }
  if (first.c == ' ') next = look(s, n, first.end);
  if (next.c == -2 || next.class == FV_CLASS_SPACE) return blanks(s, n, at);
  size_t start = first.c == ' ' ? first.end : at;
  if (next.class & LN) return run(s, n, start, next.class, false);
  return run(s, n, start, LN | FV_CLASS_SPACE, true);
}

/* \s*[\r\n]+ : through the last line end of this run of blanks; `at` when it has none. */
static size_t line_ends(const char *s, size_t n, size_t at) {
  size_t last = at;
  for (size_t p = at;;) {
    letter l = look(s, n, p);
    if (l.class != FV_CLASS_SPACE) return last;
    p = l.end;
    if (l.c == '\n' || l.c == '\r') last = p;
  }
}

static size_t digits(const char *s, size_t n, size_t at, int most) {
  for (; most > 0; most--) {
    letter l = look(s, n, at);
    if (l.class != FV_CLASS_NUMBER) break;
    at = l.end;
  }
  return at;
}

static size_t gpt4(const char *s, size_t n, size_t at, int most_digits) {
  letter first = look(s, n, at), next = look(s, n, first.end);
  bool ends_line = first.c == '\n' || first.c == '\r';
  if (first.c == '\'') {
    size_t length = clitic(s + at + 1, n - at - 1, true, true);
    if (length) return at + 1 + length;
    if (next.c == 0x17f) return next.end; /* the long s: an s where case does not count */
  }
  if (first.class == FV_CLASS_LETTER) return run(s, n, at, FV_CLASS_LETTER, false);
  if (next.class == FV_CLASS_LETTER && !ends_line && first.class != FV_CLASS_NUMBER)
    return run(s, n, first.end, FV_CLASS_LETTER, false);
  if (first.class == FV_CLASS_NUMBER) return digits(s, n, at, most_digits);
  size_t start = first.c == ' ' ? first.end : at, end = run(s, n, start, LN | FV_CLASS_SPACE, true);
  if (end > start) {
    while (end < n && (s[end] == '\n' || s[end] == '\r')) end++;
    return end;
  }
  end = line_ends(s, n, at);
  return end > at ? end : blanks(s, n, at);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */
static bool is_ideograph(int32_t c) {
  return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3fffd);
}

static bool is_word(letter l) {
  return ((l.class & (LN | FV_CLASS_MARK)) || l.c == '_' || l.c == 0x200c || l.c == 0x200d) && !is_ideograph(l.c);
}

static bool word_at(const char *s, size_t n, size_t at) { return is_word(look(s, n, at)); }

static size_t word_run(const char *s, size_t n, size_t at) {
  for (;;) {
    letter l = look(s, n, at);
    if (!is_word(l)) return at;
    at = l.end;
  }
}

/* Behind the apostrophe at `at`; `at` when there is none. */
static size_t apostrophe(const char *s, size_t n, size_t at) {
  letter l = look(s, n, at);
  return l.c == '\'' || l.c == 0x2019 ? l.end : at;
}

/* Behind 's, 're, ... as a whole; `at` when there is none. */
static size_t whole_clitic(const char *s, size_t n, size_t at) {
  size_t from = apostrophe(s, n, at);
  if (from == at) return at;
  size_t length = clitic(s + from, n - from, true, false);
  return length && !word_at(s, n, from + length) ? from + length : at;
}

/* Behind n't as a whole; `at` when there is none. */
static size_t whole_not(const char *s, size_t n, size_t at) {
  if (at >= n || small(s[at]) != 'n') return at;
  size_t t = apostrophe(s, n, at + 1);
  return t > at + 1 && t < n && small(s[t]) == 't' && !word_at(s, n, t + 1) ? t + 1 : at;
}

static size_t number(const char *s, size_t n, size_t at) {
  size_t end = run(s, n, at, FV_CLASS_NUMBER, false), whole = at;
  while (end > at && end < n && (s[end] == '.' || s[end] == ',')) {
    size_t next = run(s, n, end + 1, FV_CLASS_NUMBER, false);
    if (next == end + 1) break;
    whole = end = next;
  }
  return whole;
}

/* A run of letters, less the n of a n't at its end, with the apostrophe of an elision. */
static size_t letters(const char *s, size_t n, size_t at) {
  size_t end = word_run(s, n, at);
  if (end - at > 1 && whole_not(s, n, end - 1) > end - 1) return end - 1;
  size_t after = apostrophe(s, n, end);
  return after > end && whole_clitic(s, n, end) == end && word_at(s, n, after) ? after : end;
}

/* Two or more of c: their end; `at` otherwise. */
static size_t several(const char *s, size_t n, size_t at, char c) {
  size_t end = at;
  while (end < n && s[end] == c) end++;
  return end - at >= 2 ? end : at;
}

static size_t word(const char *s, size_t n, size_t at) {
  size_t end = whole_not(s, n, at);
  if (end > at || (end = whole_clitic(s, n, at)) > at) return end;
  letter first = look(s, n, at);
  if (is_word(first)) {
    end = letters(s, n, at);
    size_t as_number = number(s, n, at);
    /* a number, unless letters before n't come first */
    bool before_not = whole_not(s, n, end) > end;
    return as_number > at && !before_not ? as_number : end;
  }
  if ((end = several(s, n, at, '.')) > at || (end = several(s, n, at, '-')) > at) return end;
  if (n - at >= 2 && (s[at] == '`' || s[at] == '\'') && s[at + 1] == s[at]) return at + 2;
  return first.end;
}

bool fv_split_next(fv_split_rule rule, const char *s, size_t n, size_t *at, fv_bytes *piece) {
  size_t from = *at, to;
  if (rule == FV_SPLIT_WORDS) from = run(s, n, from, FV_CLASS_SPACE, false);
  *piece = (fv_bytes){0};
  if (from >= n) return false; /* s may be NULL here */
  switch (rule) {
    case FV_SPLIT_WORDS: to = word(s, n, from); break;
    case FV_SPLIT_GPT2: to = gpt2(s, n, from); break;
    default: to = gpt4(s, n, from, rule == FV_SPLIT_GPT4_1 ? 1 : 3);
  }
  *piece = (fv_bytes){s + from, to - from};
  *at = to;
  return true;
}
