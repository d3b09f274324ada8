/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.c: learning a vocabulary. Texts are cut into pieces as the encoder will cut them, equal pieces counted, and
 * the texts themselves forgotten: memory follows the number of different pieces. */
#include "text/text.h"

#include <stdlib.h>

enum { WORDS_SIZE = 30000, BPE_SIZE = 8000, BPE_LEAST = FV_SPECIALS + 256 };

struct fv_tokenizer_trainer {
  fv_tokenizer_options options;
  fv_split_rule split;
  fv_normal normal;
  fv_wordmap words, also;
  int64_t *count; /* [cap], of words */
  int64_t cap;
};

fv_status fv_tokenizer_trainer_new(const fv_tokenizer_options *options, fv_tokenizer_trainer **trainer) {
  fv_tokenizer_options o = *options;
  *trainer = NULL;
  FV_REQUIRE(o.kind >= 0 && o.kind < FV_TOKENIZERS && o.normal >= 0 && o.normal < FV_NORMALS, FV_ERR_REQUEST,
             "tokenizer: expected a known kind and normal form, got others");
  bool bpe = o.kind == FV_TOKENIZER_BPE;
  if (o.size == 0) o.size = bpe ? BPE_SIZE : WORDS_SIZE;
  if (o.min_count == 0) o.min_count = bpe ? 2 : 1;
  int64_t least = bpe ? BPE_LEAST : FV_SPECIALS + 1;
  FV_REQUIRE(o.size >= least && o.size <= FV_MOST_TOKENS, FV_ERR_REQUEST,
             "tokenizer (size): expected %lld to %lld tokens, got %lld", (long long)least, (long long)FV_MOST_TOKENS,
             (long long)o.size);
  FV_REQUIRE(o.min_count > 0, FV_ERR_REQUEST, "tokenizer (min_count): expected at least 1, got %lld",
             (long long)o.min_count);
  FV_TRY(FV_NEW(trainer, 1));
  (*trainer)->options = o;
  (*trainer)->split = bpe ? FV_SPLIT_GPT2 : FV_SPLIT_WORDS;
  return FV_OK;
}

void fv_tokenizer_trainer_free(fv_tokenizer_trainer *r) {
  if (!r) return;
  fv_normal_free(&r->normal);
  fv_wordmap_free(&r->words);
  fv_wordmap_free(&r->also);
  fv_free(r->count);
  fv_free(r);
}

static fv_status count_piece(fv_tokenizer_trainer *r, fv_bytes piece) {
  int64_t i;
  FV_TRY(fv_wordmap_add(&r->words, piece.s, piece.n, &i));
  if (i >= r->cap) {
    int64_t cap = FV_MAX(2 * r->cap, 1024);
    int64_t *count = fv_realloc(r->count, (size_t)cap * sizeof *count);
    FV_REQUIRE(count, FV_ERR_MEMORY, "tokenizer: no memory for %lld words", (long long)cap);
    memset(count + r->cap, 0, (size_t)(cap - r->cap) * sizeof *count);
    r->count = count, r->cap = cap;
  }
  r->count[i]++;
  return FV_OK;
}

/* In the form in which it is cut. */
static fv_status to_form(fv_tokenizer_trainer *r, fv_bytes *text) {
  if (!r->options.lower && r->options.normal == FV_NORMAL_NONE) return FV_OK;
  FV_TRY(fv_normal_run(&r->normal, text->s, text->n, r->options.normal, r->options.lower ? FV_NORMAL_LOWER : 0));
  *text = (fv_bytes){r->normal.text.s, r->normal.text.n};
  return FV_OK;
}

fv_status fv_tokenizer_trainer_add(fv_tokenizer_trainer *r, const char *text, size_t n) {
  size_t at = 0;
  fv_bytes whole = {text, n}, piece;
  FV_TRY(to_form(r, &whole));
  while (fv_split_next(r->split, whole.s, whole.n, &at, &piece)) FV_TRY(count_piece(r, piece));
  return FV_OK;
}

fv_status fv_tokenizer_trainer_also(fv_tokenizer_trainer *r, const char *word, size_t n) {
  size_t at = 0;
  int64_t i;
  fv_bytes whole = {word, n}, piece;
  FV_TRY(to_form(r, &whole));
  const bool changed = whole.n != n || memcmp(whole.s, word, n) != 0;
  if (changed || !fv_split_next(r->split, word, n, &at, &piece) || piece.n != n) return FV_OK;
  return fv_wordmap_add(&r->also, word, n, &i);
}

static fv_status add_specials(fv_tokenizer *t) {
  for (int32_t i = 0; i < FV_SPECIALS; i++)
    FV_TRY(fv_tokenizer_add_special(t, i, true, fv_special_names[i], strlen(fv_special_names[i]), NULL));
  return FV_OK;
}

/* ---- words ------------------------------------------------------------------------------------------------------- */
typedef struct ranked {
  fv_bytes word;
  int64_t count;
} ranked;

static int more_frequent(const void *pa, const void *pb) {
  const ranked *a = pa, *b = pb;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  int c = memcmp(a->word.s, b->word.s, FV_MIN(a->word.n, b->word.n));
  return c ? c : a->word.n < b->word.n ? -1 : a->word.n > b->word.n;
}

/* What a file of JSON cannot hold stays <unk>. */
static bool is_text(fv_bytes w) { return fv_utf8_valid(w.s, w.n) == w.n && !memchr(w.s, 0, w.n) && w.n < 1 << 16; }

static fv_status choose_words(const fv_tokenizer_trainer *r, fv_tokenizer *t) {
  fv_status status = FV_OK;
  ranked *word;
  int64_t n = 0;
  FV_TRY(FV_NEW(&word, r->words.n + 1));
  for (int64_t i = 0; i < r->words.n; i++) {
    fv_bytes w = fv_wordmap_at(&r->words, i);
    if (r->count[i] >= r->options.min_count && is_text(w)) word[n++] = (ranked){w, r->count[i]};
  }
  qsort(word, (size_t)n, sizeof *word, more_frequent);
  for (int64_t i = 0; i < n && t->size < r->options.size; i++)
    FV_TRY_DONE(fv_tokenizer_add_token(t, (int32_t)t->size, word[i].word.s, word[i].word.n));
  for (int64_t i = 0; i < r->also.n && t->size < FV_MOST_TOKENS; i++) {
    const fv_bytes w = fv_wordmap_at(&r->also, i);
    if (is_text(w) && fv_tokenizer_find(t, w.s, w.n) < 0)
      FV_TRY_DONE(fv_tokenizer_add_token(t, (int32_t)t->size, w.s, w.n));
  }
done:
  fv_free(word);
  return status;
}

/* ---- bpe --------------------------------------------------------------------------------------------------------- */
static fv_status learn_merges(const fv_tokenizer_trainer *r, fv_tokenizer *t) {
  for (int32_t symbol = 0; symbol < 324; symbol++) { /* in the order of their characters */
    char byte = (char)fv_bpe_byte(symbol);
    if (fv_bpe_byte(symbol) >= 0) FV_TRY(fv_tokenizer_add_token(t, (int32_t)t->size, &byte, 1));
  }
  return fv_bpe_train(t, &r->words, r->count, r->options.size, r->options.min_count);
}

fv_status fv_tokenizer_trainer_finish(fv_tokenizer_trainer *r, fv_tokenizer **tokenizer) {
  fv_status status = FV_OK;
  fv_tokenizer *t = NULL;
  *tokenizer = NULL;
  FV_REQUIRE_DONE(r->words.n > 0, FV_ERR_REQUEST, "tokenizer: expected text to learn from, got none");
  FV_TRY_DONE(fv_tokenizer_new(r->options.kind, &t));
  t->lower = r->options.lower;
  t->normal = r->options.normal;
  FV_TRY_DONE(add_specials(t));
  FV_TRY_DONE(t->kind == FV_TOKENIZER_BPE ? learn_merges(r, t) : choose_words(r, t));
  FV_TRY_DONE(fv_tokenizer_complete(t, "trained"));
  *tokenizer = t;
  t = NULL;
done:
  fv_tokenizer_free(t);
  fv_tokenizer_trainer_free(r);
  return status;
}
