/* SPDX-License-Identifier: Apache-2.0 */
/* bleu.c: BLEU of a corpus (Papineni, Roukos, Ward, Zhu, ACL 2002) as sacreBLEU defines it by default (Post, "A Call
 * for Clarity in Reporting BLEU Scores", WMT 2018): tokens as of mteval-v13a, smoothing method 3 of Chen and Cherry
 * 2014. */
#include "text/text.h"

#include <math.h>

/* ---- 13a tokens -------------------------------------------------------------------------------------------------- */
/* `from` becomes `to` wherever it stands, from the left. */
static void replace_all(fv_text *out, const char *s, size_t n, const char *from, const char *to) {
  size_t m = strlen(from);
  for (size_t i = 0; i < n;) {
    bool here = n - i >= m && memcmp(s + i, from, m) == 0;
    if (here) fv_text_append(out, to, strlen(to));
    else fv_text_append(out, s + i, 1);
    i += here ? m : 1;
  }
}

typedef void rewrite(fv_text *out, const char *s, size_t n);

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_stop(char c) { return c == '.' || c == ','; }
/* ASCII punctuation but for ' , - . which depend on their neighbours. */
static bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
         (c >= ':' && c <= '@') || c == '/';
}

static void put(fv_text *out, const char *before, char c, const char *behind) {
  fv_text_append(out, before, strlen(before));
  fv_text_append(out, &c, 1);
  fv_text_append(out, behind, strlen(behind));
}

static void part_punctuation(fv_text *out, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) put(out, stands_alone(s[i]) ? " " : "", s[i], stands_alone(s[i]) ? " " : "");
}

/* Pairs of neighbours of which the first and second pass their tests, found from the left without overlap. The tests
 * look at bytes: what they ask for is ASCII, so that any byte of another character answers as the character would. */
static void part_stop_behind(fv_text *out, const char *s, size_t n) { /* ([^0-9])([.,]) -> \1 \2_ */
  for (size_t i = 0; i < n; i++) {
    bool pair = i + 1 < n && !is_digit(s[i]) && is_stop(s[i + 1]);
    put(out, "", s[i], pair ? " " : "");
    if (pair) put(out, "", s[++i], " ");
  }
}

static void part_stop_before(fv_text *out, const char *s, size_t n) { /* ([.,])([^0-9]) -> _\1 \2 */
  for (size_t i = 0; i < n; i++) {
    bool pair = i + 1 < n && is_stop(s[i]) && !is_digit(s[i + 1]);
    put(out, pair ? " " : "", s[i], pair ? " " : "");
    if (pair) put(out, "", s[++i], "");
  }
}

static void part_dash(fv_text *out, const char *s, size_t n) { /* ([0-9])(-) -> \1 \2_ */
  for (size_t i = 0; i < n; i++) {
    bool pair = i + 1 < n && is_digit(s[i]) && s[i + 1] == '-';
    put(out, "", s[i], pair ? " " : "");
    if (pair) put(out, "", s[++i], " ");
  }
}

/* What Python takes for white space. */
static bool is_space(int32_t c) { return (c >= 0x1c && c <= 0x1f) || fv_utf8_class(c) == FV_CLASS_SPACE; }

static size_t without_blanks_behind(fv_bytes t) {
  size_t n = 0;
  for (size_t i = 0; i < t.n;) {
    int32_t c;
    i += (size_t)fv_utf8_next(t.s + i, t.n - i, &c);
    if (!is_space(c)) n = i;
  }
  return n;
}

/* The rewritten text, in `to`; both are used in turn. */
static void rewrite_13a(fv_bytes text, fv_text *a, fv_text *b, fv_text **to) {
  static const char *const pairs[][2] = {{"<skipped>", ""}, {"-\n", ""},   {"\n", " "},  {"&quot;", "\""},
                                         {"&amp;", "&"},    {"&lt;", "<"}, {"&gt;", ">"}};
  static rewrite *const rules[] = {part_punctuation, part_stop_behind, part_stop_before, part_dash};
  a->n = b->n = 0;
  fv_text_append(b, text.s, without_blanks_behind(text));
  for (size_t i = 0; i < FV_COUNT(pairs); i++) {
    fv_text *swap = a;
    a = b, b = swap;
    b->n = 0;
    replace_all(b, a->s, a->n, pairs[i][0], pairs[i][1]);
  }
  a->n = 0;
  put(a, "", ' ', "");
  fv_text_append(a, b->s, b->n);
  put(a, "", ' ', "");
  for (size_t i = 0; i < FV_COUNT(rules); i++) {
    b->n = 0;
    rules[i](b, a->s, a->n);
    fv_text *swap = a;
    a = b, b = swap;
  }
  *to = a;
}

/* ---- n-grams ----------------------------------------------------------------------------------------------------- */
typedef struct sentence {
  int32_t *token;
  int64_t n;
} sentence;
typedef struct scoring {
  fv_text a, b;
  fv_wordmap words, grams; /* the n-grams of the translation: rows of its tokens' numbers */
  int64_t *count, *most;   /* of each n-gram: in the translation, in a reference, the most in any of them */
  int64_t *here;
} scoring;

static fv_status cut(scoring *c, fv_bytes text, sentence *out) {
  fv_text *to;
  fv_bytes word = {NULL, 0};
  rewrite_13a(text, &c->a, &c->b, &to);
  FV_REQUIRE(!c->a.failed && !c->b.failed, FV_ERR_MEMORY, "bleu: no memory for a sentence");
  FV_TRY(FV_NEW(&out->token, to->n / 2 + 2));
  for (size_t i = 0; i <= to->n;) {
    int32_t point = ' ';
    size_t length = i < to->n ? (size_t)fv_utf8_next(to->s + i, to->n - i, &point) : 1;
    if (!is_space(point)) {
      if (!word.s) word.s = to->s + i;
      word.n += length;
    } else if (word.s) {
      int64_t number;
      FV_TRY(fv_wordmap_add(&c->words, word.s, word.n, &number));
      out->token[out->n++] = (int32_t)number;
      word = (fv_bytes){NULL, 0};
    }
    i += length;
  }
  return FV_OK;
}

static fv_bytes gram(const sentence *s, int64_t at, int order) {
  return (fv_bytes){(const char *)(s->token + at), (size_t)order * sizeof *s->token};
}

/* Counts the n-grams of the translation; those of a reference only where the translation has them. */
static fv_status count_translation(scoring *c, const sentence *s) {
  int64_t i, room = FV_BLEU_ORDER * s->n + 1;
  FV_TRY(FV_NEW(&c->count, room));
  FV_TRY(FV_NEW(&c->most, room));
  FV_TRY(FV_NEW(&c->here, room));
  for (int order = 1; order <= FV_BLEU_ORDER; order++)
    for (int64_t at = 0; at + order <= s->n; at++) {
      fv_bytes g = gram(s, at, order);
      FV_TRY(fv_wordmap_add(&c->grams, g.s, g.n, &i));
      c->count[i]++;
    }
  return FV_OK;
}

static void count_reference(scoring *c, const sentence *s) {
  memset(c->here, 0, (size_t)(c->grams.n + 1) * sizeof *c->here);
  for (int order = 1; order <= FV_BLEU_ORDER; order++)
    for (int64_t at = 0; at + order <= s->n; at++) {
      fv_bytes g = gram(s, at, order);
      int64_t i = fv_wordmap_find(&c->grams, g.s, g.n);
      if (i >= 0) c->here[i]++;
    }
  for (int64_t i = 0; i < c->grams.n; i++) c->most[i] = FV_MAX(c->most[i], c->here[i]);
}

static int64_t distance(int64_t a, int64_t b) { return a < b ? b - a : a - b; }

static fv_status compare(scoring *c, fv_bleu *sum, fv_bytes translation, const fv_bytes *references, int n,
                         sentence *s, sentence *r) {
  int64_t closest = -1;
  FV_TRY(cut(c, translation, s));
  FV_TRY(count_translation(c, s));
  for (int i = 0; i < n; i++) {
    fv_free(r->token);
    *r = (sentence){0};
    FV_TRY(cut(c, references[i], r));
    count_reference(c, r);
    int64_t now = distance(r->n, s->n), before = distance(closest, s->n);
    if (closest < 0 || now < before || (now == before && r->n < closest)) closest = r->n;
  }
  for (int64_t i = 0; i < c->grams.n; i++) {
    size_t order = c->grams.key[i].n / sizeof *s->token;
    sum->total[order - 1] += c->count[i];
    sum->matched[order - 1] += FV_MIN(c->count[i], c->most[i]);
  }
  sum->length += s->n;
  sum->reference_length += closest;
  return FV_OK;
}

fv_status fv_bleu_add(fv_bleu *bleu, fv_bytes translation, const fv_bytes *references, int n) {
  scoring c = {0};
  sentence s = {0}, r = {0};
  fv_bleu sum = *bleu;
  FV_REQUIRE(n > 0, FV_ERR_REQUEST, "bleu: expected at least one reference, got none");
  FV_REQUIRE(translation.n < INT32_MAX / 8, FV_ERR_REQUEST, "bleu: expected a sentence, got %zu bytes", translation.n);
  fv_status status = compare(&c, &sum, translation, references, n, &s, &r);
  if (status == FV_OK) *bleu = sum;
  fv_free(s.token);
  fv_free(r.token);
  fv_text_free(&c.a);
  fv_text_free(&c.b);
  fv_wordmap_free(&c.words);
  fv_wordmap_free(&c.grams);
  fv_free(c.count);
  fv_free(c.most);
  fv_free(c.here);
  return status;
}

/* ---- the score --------------------------------------------------------------------------------------------------- */
double fv_bleu_brevity(const fv_bleu *b) {
  if (b->length >= b->reference_length) return 1;
  return b->length > 0 ? exp(1 - (double)b->reference_length / (double)b->length) : 0;
}

/* Orders without a match count as half, a quarter, ... of one; from the first order on that has no n-grams, 0. */
double fv_bleu_precision(const fv_bleu *b, int order) {
  double half = 1;
  if (b->matched[0] == 0 || order < 1 || order > FV_BLEU_ORDER) return 0;
  for (int n = 1; n <= order; n++) {
    if (b->total[n - 1] == 0) return 0;
    if (b->matched[n - 1] == 0) half /= 2;
  }
  double matched = b->matched[order - 1] ? (double)b->matched[order - 1] : half;
  return 100 * matched / (double)b->total[order - 1];
}

double fv_bleu_score(const fv_bleu *b) {
  double sum = 0;
  for (int n = 1; n <= FV_BLEU_ORDER; n++) {
    double p = fv_bleu_precision(b, n);
    if (p == 0) return 0;
    sum += log(p);
  }
  return fv_bleu_brevity(b) * exp(sum / FV_BLEU_ORDER);
}
