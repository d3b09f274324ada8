/* SPDX-License-Identifier: Apache-2.0 */
/* explain_words.c: texts as a lens sees them: what was written, the tokens it was read as, and the words they make up.
 * Of a tokeniser of words each token is one; of byte-pair encoding the text is cut by the rule of words, and a token
 * belongs to the word in which it begins, its leading blank aside. */
#include "train/explain.h"

#define ARENA_NEW(arena, p, n) ((p) = fv_arena_alloc((arena), (size_t)FV_MAX(n, 1) * sizeof *(p)))

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The pieces of the text by the rule of words; spans has room for one a byte. */
static int64_t cut_words(const char *s, size_t n, fv_span *spans) {
  fv_bytes piece;
  int64_t words = 0;
  for (size_t at = 0; fv_split_next(FV_SPLIT_WORDS, s, n, &at, &piece);) {
    const int32_t from = (int32_t)(piece.s - s);
    spans[words++] = (fv_span){from, from + (int32_t)piece.n};
  }
  return words;
}

/* Of pieces: which word each begins in. What lies behind the last token is not read, so its words are dropped. */
static void join_pieces(const fv_words *w, const fv_span *tokens, fv_span *spans, int64_t *n, int32_t *word) {
  int32_t at = 0;
  for (int64_t k = 0; k < w->n_tokens; k++) {
    int32_t from = tokens[k].from;
    while (from < tokens[k].to && is_blank(w->s[from])) from++;
    while (at + 1 < *n && spans[at + 1].from <= from) at++;
    word[k] = at;
  }
  if (*n > at + 1) *n = at + 1;
  if (*n) spans[*n - 1].to = FV_MIN(spans[*n - 1].to, FV_MAX(tokens[w->n_tokens - 1].to, spans[*n - 1].from));
}

/* A text of no word is one word, shown as nothing. */
static fv_status find_words(const fv_tokenizer *t, fv_arena *arena, size_t size, const fv_span *tokens, fv_words *w) {
  fv_span *spans;
  int32_t *word;
  const bool pieces = fv_tokenizer_get_kind(t) == FV_TOKENIZER_BPE;
  ARENA_NEW(arena, word, w->n_tokens);
  ARENA_NEW(arena, spans, pieces ? (int64_t)size : w->n_tokens);
  FV_REQUIRE(word && spans, FV_ERR_MEMORY, "explain: out of memory");
  if (pieces) {
    w->n = cut_words(w->s, size, spans);
    join_pieces(w, tokens, spans, &w->n, word);
    /* Cut off amid a character. */
    if (w->n) spans[w->n - 1].to = spans[w->n - 1].from +
              (int32_t)fv_utf8_valid(w->s + spans[w->n - 1].from, (size_t)(spans[w->n - 1].to - spans[w->n - 1].from));
  } else {
    w->n = w->n_tokens;
    for (int64_t k = 0; k < w->n_tokens; k++) spans[k] = tokens[k], word[k] = (int32_t)k;
  }
  if (!w->n) spans[w->n++] = (fv_span){0, 0};
  w->span = spans;
  w->word = word;
  return FV_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static fv_status read_text(const fv_model *m, fv_arena *arena, fv_encoder *e, fv_bytes text, fv_words *w) {
  const fv_tokenizer *t = m->reading.tokenizer[0];
  const fv_span nothing = {0, 0};
  const int32_t unknown = fv_tokenizer_special(t, FV_SPECIAL_UNK);
  fv_tokens tokens;
  int32_t *ids;
  char *s = fv_arena_alloc(arena, text.n + 1);
  FV_REQUIRE(s, FV_ERR_MEMORY, "explain: out of memory");
  if (text.n) memcpy(s, text.s, text.n);
  s[text.n] = 0;
  FV_TRY(fv_encoder_run(e, text.s, text.n, 0, &tokens));
  w->s = s;
  w->n_tokens = FV_MAX(FV_MIN(tokens.n, fv_model_longest(m)), 1);
  ARENA_NEW(arena, ids, w->n_tokens);
  FV_REQUIRE(ids, FV_ERR_MEMORY, "explain: out of memory");
  memcpy(ids, tokens.n ? tokens.id : &unknown, (size_t)w->n_tokens * sizeof *ids);
  w->token = ids;
  return find_words(t, arena, text.n, tokens.n ? tokens.span : &nothing, w);
}

fv_status fv_words_of_lines(const fv_model *m, const fv_text_table *lines, fv_sights *s) {
  fv_encoder *e;
  fv_status status = FV_OK;
  FV_TRY(fv_encoder_new(m->reading.tokenizer[0], &e));
  for (int64_t i = 0; i < s->n && status == FV_OK; i++)
    status = read_text(m, s->arena, e, fv_text_table_get(lines, i, 0), &s->v[i].words);
  fv_encoder_free(e);
  return status;
}

fv_status fv_words_of_samples(const fv_model *m, const fv_dataset *d, const int64_t *index, fv_sights *s) {
  const int label = fv_dataset_field(d, "label");
  fv_encoder *e;
  fv_status status = FV_OK;
  FV_TRY(fv_encoder_new(m->reading.tokenizer[0], &e));
  for (int64_t i = 0; i < s->n && status == FV_OK; i++) {
    fv_sight *v = &s->v[i];
    int32_t of = -1;
    void *out[FV_MAX_FIELDS] = {NULL};
    if (label >= 0) out[label] = &of;
    d->read(d, FV_SPLIT_TEST, index[i], 0, out);
    v->index = index[i];
    v->label = of;
    status = read_text(m, s->arena, e, d->text(d, FV_SPLIT_TEST, index[i], 0), &v->words);
  }
  fv_encoder_free(e);
  return status;
}

bool fv_word_is_unknown(const fv_model *m, const fv_words *w, int64_t word) {
  const int32_t unknown = fv_tokenizer_special(m->reading.tokenizer[0], FV_SPECIAL_UNK);
  for (int64_t k = 0; k < w->n_tokens; k++)
    if (w->word[k] == word && w->token[k] == unknown) return w->span[word].to > w->span[word].from;
  return false;
}

/* ---- back to tokens ---------------------------------------------------------------------------------------------- */
int fv_words_bucket(const fv_model *m, const fv_words *w) {
  return fv_length_bucket(m->length, m->n_lengths, w->n_tokens);
}

void fv_words_tokens(const fv_model *m, const fv_words *w, const uint8_t *kept, int bucket, int32_t *out) {
  int64_t n = 0;
  for (int64_t k = 0; k < w->n_tokens; k++)
    if (!kept || kept[w->word[k]]) out[n++] = w->token[k];
  if (n == 0) out[n++] = fv_tokenizer_special(m->reading.tokenizer[0], FV_SPECIAL_UNK);
  memset(out + n, 0, (size_t)(m->length[bucket] - n) * sizeof *out);
}
