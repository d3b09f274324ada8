/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer.c: the tokens of a tokeniser: putting them in, asking for them, and from ids back to text. */
#include "text/text.h"

#include <stdlib.h>

const char *const fv_tokenizer_kind_names[FV_TOKENIZERS + 1] = {"words", "bpe", NULL};
const char *const fv_special_names[FV_SPECIALS] = {"<pad>", "<unk>", "<bos>", "<eos>"};

enum { LONGEST = 1 << 16 }; /* bytes of a token */

/* What others call them. */
static const char *const known_as[FV_SPECIALS][6] = {{"<pad>", "[PAD]", "<|pad|>"},
                                                     {"<unk>", "[UNK]"},
                                                     {"<bos>", "<s>", "[BOS]", "<|begin_of_text|>", "<|startoftext|>"},
                                                     {"<eos>", "</s>", "[EOS]", "<|end_of_text|>", "<|endoftext|>"}};

fv_status fv_tokenizer_new(fv_tokenizer_kind kind, fv_tokenizer **tokenizer) {
  fv_tokenizer *t;
  *tokenizer = NULL;
  FV_TRY(FV_NEW(&t, 1));
  *t = (fv_tokenizer){.kind = kind, .split = kind == FV_TOKENIZER_BPE ? FV_SPLIT_GPT2 : FV_SPLIT_WORDS};
  for (int i = 0; i < FV_SPECIALS; i++) t->special[i] = -1;
  for (int i = 0; i < 256; i++) t->byte_id[i] = -1;
  fv_status status = fv_arena_new(&t->arena);
  if (status != FV_OK) {
    fv_tokenizer_free(t);
    return status;
  }
  *tokenizer = t;
  return FV_OK;
}

void fv_tokenizer_free(fv_tokenizer *t) {
  if (!t) return;
  fv_wordmap_free(&t->map);
  fv_free(t->map_id);
  fv_free(t->token);
  fv_arena_free(t->arena);
  fv_free(t->added);
  fv_free(t->merge);
  fv_free(t->merge_slot);
  fv_free(t);
}

/* ---- putting in -------------------------------------------------------------------------------------------------- */
/* A number of at least `n` for an array that grows to it one by one: the next power of two. */
static int64_t room_for(int64_t n) {
  int64_t room = 64;
  while (room < n) room *= 2;
  return room;
}

/* Marks the id as taken. Where its bytes are is written down by fv_tokenizer_complete. */
static fv_status take_id(fv_tokenizer *t, int32_t id, size_t n) {
  FV_REQUIRE(id >= 0 && id < FV_MOST_TOKENS, FV_ERR_CORRUPT, "tokenizer: expected ids from 0 to %lld, got %d",
             (long long)FV_MOST_TOKENS - 1, id);
  FV_REQUIRE(n > 0 && n <= LONGEST, FV_ERR_CORRUPT, "tokenizer: expected tokens of 1 to %d bytes, got %zu", LONGEST, n);
  if (id >= t->size) {
    int64_t old = t->size ? room_for(t->size) : 0, room = room_for(id + 1);
    if (room > old) {
      fv_bytes *token = fv_realloc(t->token, (size_t)room * sizeof *token);
      FV_REQUIRE(token, FV_ERR_MEMORY, "tokenizer: no memory for %lld tokens", (long long)room);
      memset(token + old, 0, (size_t)(room - old) * sizeof *token);
      t->token = token;
    }
    t->size = id + 1;
  }
  FV_REQUIRE(!t->token[id].s, FV_ERR_CORRUPT, "tokenizer: expected one token an id, got two of id %d", id);
  t->token[id].s = "";
  return FV_OK;
}

fv_status fv_tokenizer_add_token(fv_tokenizer *t, int32_t id, const char *bytes, size_t n) {
  int64_t i, before = t->map.n;
  FV_TRY(take_id(t, id, n));
  FV_TRY(fv_wordmap_add(&t->map, bytes, n, &i));
  FV_REQUIRE(t->map.n > before, FV_ERR_CORRUPT, "tokenizer: expected different tokens, got '%s' twice",
             fv_show(bytes, n));
  if (before == 0 || room_for(i + 1) > room_for(i)) {
    int32_t *map_id = fv_realloc(t->map_id, (size_t)room_for(i + 1) * sizeof *map_id);
    FV_REQUIRE(map_id, FV_ERR_MEMORY, "tokenizer: no memory for %lld tokens", (long long)i + 1);
    t->map_id = map_id;
  }
  t->map_id[i] = id;
  return FV_OK;
}

fv_status fv_tokenizer_add_special(fv_tokenizer *t, int32_t id, bool special, const char *content, size_t n,
                                   fv_added **added) {
  FV_TRY(take_id(t, id, n));
  int64_t i = t->n_added;
  if (i == 0 || room_for(i + 1) > room_for(i)) {
    fv_added *grown = fv_realloc(t->added, (size_t)room_for(i + 1) * sizeof *grown);
    FV_REQUIRE(grown, FV_ERR_MEMORY, "tokenizer: no memory for added tokens");
    t->added = grown;
  }
  char *copy = fv_arena_alloc(t->arena, n + 1);
  FV_REQUIRE(copy, FV_ERR_MEMORY, "tokenizer: no memory for added tokens");
  memcpy(copy, content, n);
  t->added[i] = (fv_added){.id = id, .special = special, .content = {copy, n}};
  t->n_added++;
  if (added) *added = &t->added[i];
  return FV_OK;
}

static int longest_first(const void *pa, const void *pb) {
  const fv_added *a = pa, *b = pb;
  if (a->content.n != b->content.n) return a->content.n > b->content.n ? -1 : 1;
  int c = memcmp(a->content.s, b->content.s, a->content.n);
  return c ? c : a->id - b->id;
}

static void name_specials(fv_tokenizer *t) {
  for (int k = 0; k < FV_SPECIALS; k++)
    for (int name = 0; known_as[k][name] && t->special[k] < 0; name++)
      for (int64_t i = 0; i < t->n_added && t->special[k] < 0; i++)
        if (strcmp(t->added[i].content.s, known_as[k][name]) == 0) t->special[k] = t->added[i].id;
}

static fv_status check_bytes(fv_tokenizer *t, const char *what) {
  for (int b = 0; b < 256; b++) {
    char byte = (char)b;
    int64_t i = fv_wordmap_find(&t->map, &byte, 1);
    FV_REQUIRE(i >= 0, FV_ERR_REQUEST,
               "tokenizer (%s): expected a byte-level vocabulary with all 256 bytes, got none for byte 0x%02x", what,
               (unsigned)b);
    t->byte_id[b] = t->map_id[i];
  }
  return FV_OK;
}

/* Joining must keep the bytes: decoding and spans rely on it. */
static fv_status check_merges(const fv_tokenizer *t, const char *what) {
  for (int64_t i = 0; i < t->n_merges; i++) {
    fv_bytes a = t->token[t->merge[i].a], b = t->token[t->merge[i].b], made = t->token[t->merge[i].made];
    bool joined = made.n == a.n + b.n && memcmp(made.s, a.s, a.n) == 0 && memcmp(made.s + a.n, b.s, b.n) == 0;
    FV_REQUIRE(joined, FV_ERR_CORRUPT, "tokenizer (%s, merge %lld): expected tokens of the model, got an added one",
               what, (long long)i);
  }
  return FV_OK;
}

fv_status fv_tokenizer_complete(fv_tokenizer *t, const char *what) {
  for (int64_t i = 0; i < t->map.n; i++) t->token[t->map_id[i]] = fv_wordmap_at(&t->map, i);
  if (t->n_added) qsort(t->added, (size_t)t->n_added, sizeof *t->added, longest_first);
  for (int64_t i = 0; i < t->n_added; i++) t->token[t->added[i].id] = t->added[i].content;
  name_specials(t);
  if (t->kind == FV_TOKENIZER_WORDS) {
    FV_REQUIRE(t->special[FV_SPECIAL_UNK] >= 0, FV_ERR_REQUEST,
               "tokenizer (%s): expected an added token <unk> for words outside the vocabulary, got none", what);
    return FV_OK;
  }
  FV_TRY(check_bytes(t, what));
  FV_TRY(check_merges(t, what));
  return fv_bpe_index_merges(t);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */
fv_tokenizer_kind fv_tokenizer_get_kind(const fv_tokenizer *t) { return t->kind; }
int64_t fv_tokenizer_size(const fv_tokenizer *t) { return t->size; }
int32_t fv_tokenizer_special(const fv_tokenizer *t, fv_special special) { return t->special[special]; }

fv_bytes fv_tokenizer_token(const fv_tokenizer *t, int32_t id) {
  return id >= 0 && id < t->size ? t->token[id] : (fv_bytes){0};
}

int32_t fv_tokenizer_find(const fv_tokenizer *t, const char *bytes, size_t n) {
  int64_t i = fv_wordmap_find(&t->map, bytes, n);
  if (i >= 0) return t->map_id[i];
  for (i = 0; i < t->n_added; i++)
    if (t->added[i].content.n == n && memcmp(t->added[i].content.s, bytes, n) == 0) return t->added[i].id;
  return -1;
}

bool fv_tokenizer_is_special(const fv_tokenizer *t, int32_t id) {
  for (int64_t i = 0; i < t->n_added; i++)
    if (t->added[i].id == id) return t->added[i].special;
  return false;
}

fv_status fv_tokenizer_decode(const fv_tokenizer *t, const int32_t *id, int64_t n, bool specials, char **text,
                              size_t *size) {
  fv_status status = FV_OK;
  fv_text out = {0};
  *text = NULL, *size = 0;
  fv_text_append(&out, "", 0);
  for (int64_t i = 0; i < n; i++) {
    fv_bytes token = fv_tokenizer_token(t, id[i]);
    FV_REQUIRE_DONE(token.s, FV_ERR_REQUEST, "tokenizer (token %lld): expected an id below %lld, got %d", (long long)i,
                    (long long)t->size, id[i]);
    if (!specials && fv_tokenizer_is_special(t, id[i])) continue;
    if (t->kind == FV_TOKENIZER_WORDS && out.n) fv_text_append(&out, " ", 1);
    fv_text_append(&out, token.s, token.n);
  }
  FV_REQUIRE_DONE(!out.failed, FV_ERR_MEMORY, "tokenizer: no memory for text");
  *text = out.s, *size = out.n;
  out.s = NULL;
done:
  fv_free(out.s);
  return status;
}
