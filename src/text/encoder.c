/* SPDX-License-Identifier: Apache-2.0 */
/* encoder.c: text to ids: added tokens first, then what lies between: normalised, cut into pieces, each piece to ids.
 * Natural text repeats its pieces, so those met before are looked up; a full memory is simply not added to, since the
 * frequent ones come early. */
#include "text/text.h"

enum { MOST_SEEN = 1 << 16, LONGEST_SEEN = 48 };

typedef struct seen_ids { /* in the pool */
  int64_t at;
  int64_t n;
} seen_ids;

struct fv_encoder {
  const fv_tokenizer *t;
  fv_normal normal;
  fv_text prefixed;
  fv_bpe_work work;
  fv_wordmap seen;
  seen_ids *ids; /* [cap_seen] */
  int64_t cap_seen;
  int32_t *pool;
  int64_t n_pool, cap_pool;
  int32_t *id;
  fv_span *span;
  int64_t n, cap;
};

fv_status fv_encoder_new(const fv_tokenizer *t, fv_encoder **encoder) {
  FV_TRY(FV_NEW(encoder, 1));
  (*encoder)->t = t;
  return FV_OK;
}

void fv_encoder_free(fv_encoder *e) {
  if (!e) return;
  fv_normal_free(&e->normal);
  fv_text_free(&e->prefixed);
  fv_bpe_work_free(&e->work);
  fv_wordmap_free(&e->seen);
  fv_free(e->ids);
  fv_free(e->pool);
  fv_free(e->id);
  fv_free(e->span);
  fv_free(e);
}

static fv_status reserve(fv_encoder *e, int64_t more) {
  if (e->n + more <= e->cap) return FV_OK;
  int64_t cap = FV_MAX(2 * e->cap, e->n + more + 64);
  int32_t *id = fv_realloc(e->id, (size_t)cap * sizeof *id);
  if (id) e->id = id;
  fv_span *span = fv_realloc(e->span, (size_t)cap * sizeof *span);
  if (span) e->span = span;
  FV_REQUIRE(id && span, FV_ERR_MEMORY, "tokenizer: no memory for %lld tokens", (long long)cap);
  e->cap = cap;
  return FV_OK;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */
static fv_status remember(fv_encoder *e, fv_bytes piece) {
  int64_t i, n = e->work.n;
  if (e->n_pool + n > e->cap_pool) {
    int64_t cap = FV_MAX(2 * e->cap_pool, e->n_pool + n + 1024);
    int32_t *pool = fv_realloc(e->pool, (size_t)cap * sizeof *pool);
    FV_REQUIRE(pool, FV_ERR_MEMORY, "tokenizer: no memory");
    e->pool = pool, e->cap_pool = cap;
  }
  if (e->seen.n == e->cap_seen) {
    int64_t cap = FV_MAX(2 * e->cap_seen, 256);
    seen_ids *ids = fv_realloc(e->ids, (size_t)cap * sizeof *ids);
    FV_REQUIRE(ids, FV_ERR_MEMORY, "tokenizer: no memory");
    e->ids = ids, e->cap_seen = cap;
  }
  FV_TRY(fv_wordmap_add(&e->seen, piece.s, piece.n, &i));
  memcpy(e->pool + e->n_pool, e->work.id, (size_t)n * sizeof *e->pool);
  e->ids[i] = (seen_ids){e->n_pool, n};
  e->n_pool += n;
  return FV_OK;
}

/* The piece lies at `from` of the text being cut. */
static fv_status put_bpe(fv_encoder *e, fv_bytes piece, int32_t from) {
  int64_t i = piece.n <= LONGEST_SEEN ? fv_wordmap_find(&e->seen, piece.s, piece.n) : -1;
  if (i < 0) {
    FV_TRY(fv_bpe_encode(e->t, piece, &e->work));
    if (piece.n <= LONGEST_SEEN && e->seen.n < MOST_SEEN) FV_TRY(remember(e, piece));
  }
  int64_t n = i < 0 ? e->work.n : e->ids[i].n;
  const int32_t *id = i < 0 ? e->work.id : e->pool + e->ids[i].at;
  FV_TRY(reserve(e, n));
  for (int64_t k = 0; k < n; k++) {
    int32_t to = from + (int32_t)e->t->token[id[k]].n;
    e->id[e->n] = id[k];
    e->span[e->n++] = (fv_span){from, to};
    from = to;
  }
  return FV_OK;
}

static fv_status put_word(fv_encoder *e, fv_bytes piece, int32_t from) {
  int64_t i = fv_wordmap_find(&e->t->map, piece.s, piece.n);
  FV_TRY(reserve(e, 1));
  e->id[e->n] = i < 0 ? e->t->special[FV_SPECIAL_UNK] : e->t->map_id[i];
  e->span[e->n++] = (fv_span){from, from + (int32_t)piece.n};
  return FV_OK;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */
/* Text without added tokens, which lies at `base` of the source. */
static fv_status put_text(fv_encoder *e, const char *s, size_t n, int32_t base) {
  const fv_tokenizer *t = e->t;
  bool changes = t->normal != FV_NORMAL_NONE || t->lower;
  int64_t first = e->n;
  size_t at = 0;
  int32_t shift = 0;
  fv_bytes piece;
  if (n == 0) return FV_OK;
  if (changes) {
    FV_TRY(fv_normal_run(&e->normal, s, n, t->normal, t->lower ? FV_NORMAL_LOWER : 0));
    s = e->normal.text.s, n = e->normal.text.n;
  }
  if (t->prefix_blank && s[0] != ' ') {
    e->prefixed.n = 0;
    fv_text_append(&e->prefixed, " ", 1);
    fv_text_append(&e->prefixed, s, n);
    FV_REQUIRE(!e->prefixed.failed, FV_ERR_MEMORY, "tokenizer: no memory for text");
    s = e->prefixed.s, n = e->prefixed.n, shift = 1;
  }
  while (fv_split_next(t->split, s, n, &at, &piece)) {
    int32_t from = (int32_t)(piece.s - s);
    FV_TRY(t->kind == FV_TOKENIZER_BPE ? put_bpe(e, piece, from) : put_word(e, piece, from));
  }
  for (int64_t i = first; i < e->n; i++) {
    fv_span span = {FV_MAX(e->span[i].from - shift, 0), FV_MAX(e->span[i].to - shift, 0)};
    if (changes) span = fv_normal_source(&e->normal, span);
    e->span[i] = (fv_span){base + span.from, base + span.to};
  }
  return FV_OK;
}

fv_status fv_encoder_run(fv_encoder *e, const char *s, size_t n, unsigned flags, fv_tokens *tokens) {
  size_t at = 0;
  *tokens = (fv_tokens){0};
  FV_REQUIRE(n < INT32_MAX / 2, FV_ERR_REQUEST, "tokenizer: expected less than 1 GiB of text at once, got %zu bytes",
             n);
  e->n = 0;
  while (at < n) {
    int32_t id = -1;
    fv_span found = fv_special_next(e->t, s, n, at, (flags & FV_ENCODE_SPECIALS) != 0, &id);
    FV_TRY(put_text(e, s + at, (size_t)found.from - at, (int32_t)at));
    if (id >= 0) {
      FV_TRY(reserve(e, 1));
      e->id[e->n] = id;
      e->span[e->n++] = found;
    }
    at = (size_t)found.to;
  }
  *tokens = (fv_tokens){e->n, e->id, e->span};
  return FV_OK;
}
