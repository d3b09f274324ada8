/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tokenizer.c: any bytes at all: learnt from, encoded and decoded again. Byte-level BPE must give every byte back
 * and its spans must cover the text; words must stand in order inside it; both must survive their file. */
#include "fuzz.h"

#include "text/text.h"

#define HOLDS(cond) FV_REQUIRE(cond, FV_ERR_INTERNAL, "fuzz: expected %s", #cond)

static fv_status check_spans(const fv_tokenizer *t, const fv_tokens *tokens, size_t n) {
  bool bpe = fv_tokenizer_get_kind(t) == FV_TOKENIZER_BPE, plain = t->normal == FV_NORMAL_NONE && !t->lower;
  int32_t from = 0, to = 0;
  for (int64_t i = 0; i < tokens->n; i++) {
    fv_span s = tokens->span[i];
    HOLDS(s.from >= from && s.to >= to && s.from <= s.to && (size_t)s.to <= n);
    HOLDS(!bpe || !plain || s.from == to);
    HOLDS(!bpe || s.from <= to);
    HOLDS(fv_tokenizer_token(t, tokens->id[i]).s);
    from = s.from, to = s.to;
  }
  HOLDS(!bpe || (size_t)to == n);
  return FV_OK;
}

static fv_status check_encoding(const fv_tokenizer *t, fv_encoder *e, const char *s, size_t n, unsigned flags) {
  fv_tokens tokens;
  char *text;
  size_t size;
  FV_TRY(fv_encoder_run(e, s, n, flags, &tokens));
  FV_TRY(check_spans(t, &tokens, n));
  FV_TRY(fv_tokenizer_decode(t, tokens.id, tokens.n, true, &text, &size));
  bool exact = size == n && memcmp(text, s, n) == 0;
  bool must = fv_tokenizer_get_kind(t) == FV_TOKENIZER_BPE && t->normal == FV_NORMAL_NONE && !t->lower;
  fv_string_free(text);
  HOLDS(exact || !must);
  return FV_OK;
}

static fv_status check_file(const fv_tokenizer *t) {
  char *text, *again = NULL;
  fv_tokenizer *copy;
  FV_TRY(fv_tokenizer_print(t, &text));
  fv_status status = fv_tokenizer_parse(text, strlen(text), "printed", &copy);
  if (status == FV_OK) {
    status = fv_tokenizer_print(copy, &again);
    fv_tokenizer_free(copy);
  }
  bool same = again && strcmp(text, again) == 0;
  fv_string_free(text);
  fv_string_free(again);
  FV_TRY(status);
  HOLDS(same);
  return FV_OK;
}

static fv_status round_trip(const fv_tokenizer_options *options, const char *s, size_t n) {
  fv_status status = FV_OK;
  fv_tokenizer_trainer *trainer;
  fv_tokenizer *t = NULL;
  fv_encoder *e = NULL;
  FV_TRY(fv_tokenizer_trainer_new(options, &trainer));
  status = fv_tokenizer_trainer_add(trainer, s, n / 2);
  if (status == FV_OK) status = fv_tokenizer_trainer_add(trainer, "a", 1);
  if (status != FV_OK) {
    fv_tokenizer_trainer_free(trainer);
    return status;
  }
  FV_TRY(fv_tokenizer_trainer_finish(trainer, &t));
  FV_TRY_DONE(fv_encoder_new(t, &e));
  for (unsigned i = 0; i < 3; i++) FV_TRY_DONE(check_encoding(t, e, s, n, i == 1 ? FV_ENCODE_SPECIALS : 0));
  FV_TRY_DONE(check_file(t));
done:
  fv_encoder_free(e);
  fv_tokenizer_free(t);
  return status;
}

/* The way back stays inside; normalising twice is normalising once, but for folded text, which can leave its normal
 * form, and for more marks on a letter than normal.c puts into order at once. */
static fv_status check_normal(const char *s, size_t n, fv_normal_form form, unsigned how) {
  fv_status status = FV_OK;
  fv_normal once = {0}, twice = {0};
  bool same = true;
  FV_TRY_DONE(fv_normal_run(&once, s, n, form, how));
  for (size_t i = 0; i <= once.text.n; i++) {
    fv_span back = fv_normal_source(&once, (fv_span){(int32_t)i, (int32_t)FV_MIN(i + 1, once.text.n)});
    same = same && back.from <= back.to && (size_t)back.to <= n;
  }
  FV_TRY_DONE(fv_normal_run(&twice, once.text.s ? once.text.s : "", once.text.n, form, how));
  same = same && (how || n > 120 || (twice.text.n == once.text.n &&
                          (once.text.n == 0 || memcmp(once.text.s, twice.text.s, once.text.n) == 0)));
done:
  fv_normal_free(&once);
  fv_normal_free(&twice);
  FV_TRY(status);
  HOLDS(same);
  return FV_OK;
}

fv_status fuzz_target(const uint8_t *bytes, size_t n) {
  static const fv_tokenizer_options kinds[] = {
      {.kind = FV_TOKENIZER_BPE, .size = 300, .min_count = 1},
      {.kind = FV_TOKENIZER_BPE, .size = 280, .lower = true, .normal = FV_NORMAL_NFKC},
      {.kind = FV_TOKENIZER_WORDS, .size = 50},
      {.kind = FV_TOKENIZER_WORDS, .size = 50, .lower = true, .normal = FV_NORMAL_NFC}};
  const char *s = (const char *)bytes;
  n = FV_MIN(n, (size_t)4096);
  for (size_t i = 0; i < FV_COUNT(kinds); i++) FV_TRY(round_trip(&kinds[i], s, n));
  FV_TRY(check_normal(s, n, FV_NORMAL_NFC, 0));
  FV_TRY(check_normal(s, FV_MIN(n, (size_t)120), FV_NORMAL_NFKC, 0));
  FV_TRY(check_normal(s, n, FV_NORMAL_NFKC, FV_NORMAL_FOLD));
  for (fv_split_rule rule = 0; rule < FV_SPLIT_RULES; rule++) {
    size_t at = 0, end = 0;
    fv_bytes piece;
    while (fv_split_next(rule, s, n, &at, &piece)) {
      HOLDS(piece.n > 0 && at > end && at <= n && piece.s + piece.n == s + at);
      HOLDS(rule == FV_SPLIT_WORDS || piece.s == s + end);
      end = at;
    }
    HOLDS(rule == FV_SPLIT_WORDS || end == n);
  }
  return FV_OK;
}
