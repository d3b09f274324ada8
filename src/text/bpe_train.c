/* SPDX-License-Identifier: Apache-2.0 */
/* bpe_train.c: learning merges. Words are counted once and kept as rows of ids; of each pair of neighbours its count
 * and the words it was seen in. A heap gives the most frequent pair; counts in it may be too high, never too low, and
 * are set right when they come up. A merge then touches only words that hold the pair. Ties go to the smaller ids, so
 * the result depends on nothing but the counts; it equals that of Hugging Face's BpeTrainer. */
#include "text/text.h"

typedef struct sighting { /* a list of the words a pair was seen in */
  int32_t word, next;
} sighting;
typedef struct pair {
  int32_t a, b; /* a -1: a free slot */
  int32_t seen; /* first sighting, -1: none */
  int32_t queued; /* number of the last merge that put it into the heap */
  int64_t count;
} pair;
typedef struct best { /* an entry of the heap */
  int64_t count;
  int32_t a, b;
} best;

typedef struct training {
  fv_tokenizer *t;
  const int64_t *count;
  int32_t *id;     /* all words, one behind the other */
  int64_t *start;  /* [words + 1] */
  int32_t *length; /* [words] what is left of each */
  pair *pair;
  size_t slots, used;
  sighting *sighting;
  int64_t n_sightings, cap_sightings;
  best *heap;
  int64_t n_heap, cap_heap;
  fv_text bytes;
} training;

/* ---- pairs ------------------------------------------------------------------------------------------------------- */
static size_t slot_of(const pair *table, size_t slots, int32_t a, int32_t b) {
  uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9e3779b97f4a7c15u;
  size_t at = (size_t)(h >> 32 ^ h >> 15) & (slots - 1);
  while (table[at].a >= 0 && (table[at].a != a || table[at].b != b)) at = (at + 1) & (slots - 1);
  return at;
}

static fv_status widen(training *w) {
  size_t slots = w->slots ? 2 * w->slots : 1 << 14;
  pair *table;
  FV_TRY(FV_NEW(&table, slots));
  for (size_t i = 0; i < slots; i++) table[i].a = -1;
  for (size_t i = 0; i < w->slots; i++)
    if (w->pair[i].a >= 0) table[slot_of(table, slots, w->pair[i].a, w->pair[i].b)] = w->pair[i];
  fv_free(w->pair);
  w->pair = table, w->slots = slots;
  return FV_OK;
}

static fv_status pair_of(training *w, int32_t a, int32_t b, pair **found) {
  if (2 * w->used >= w->slots) FV_TRY(widen(w));
  pair *p = &w->pair[slot_of(w->pair, w->slots, a, b)];
  if (p->a < 0) {
    *p = (pair){.a = a, .b = b, .seen = -1, .queued = -1};
    w->used++;
  }
  *found = p;
  return FV_OK;
}

static fv_status note(training *w, pair *p, int32_t word) {
  if (p->seen >= 0 && w->sighting[p->seen].word == word) return FV_OK;
  if (w->n_sightings == w->cap_sightings) {
    int64_t cap = FV_MAX(2 * w->cap_sightings, 1 << 14);
    sighting *grown = cap < INT32_MAX ? fv_realloc(w->sighting, (size_t)cap * sizeof *grown) : NULL;
    FV_REQUIRE(grown, FV_ERR_MEMORY, "tokenizer: no memory for pairs");
    w->sighting = grown, w->cap_sightings = cap;
  }
  w->sighting[w->n_sightings] = (sighting){word, p->seen};
  p->seen = (int32_t)w->n_sightings++;
  return FV_OK;
}

/* ---- the heap ---------------------------------------------------------------------------------------------------- */
static bool before(best x, best y) {
  if (x.count != y.count) return x.count > y.count;
  return x.a != y.a ? x.a < y.a : x.b < y.b;
}

static fv_status push(training *w, best c) {
  if (w->n_heap == w->cap_heap) {
    int64_t cap = FV_MAX(2 * w->cap_heap, 1 << 12);
    best *grown = fv_realloc(w->heap, (size_t)cap * sizeof *grown);
    FV_REQUIRE(grown, FV_ERR_MEMORY, "tokenizer: no memory for pairs");
    w->heap = grown, w->cap_heap = cap;
  }
  int64_t i = w->n_heap++;
  for (; i > 0 && before(c, w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
  w->heap[i] = c;
  return FV_OK;
}

static best pop(training *w) {
  best top = w->heap[0], last = w->heap[--w->n_heap];
  int64_t i = 0;
  for (int64_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
    if (child + 1 < w->n_heap && before(w->heap[child + 1], w->heap[child])) child++;
    if (!before(w->heap[child], last)) break;
    w->heap[i] = w->heap[child];
  }
  w->heap[i] = last;
  return top;
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */
static bool holds(const training *w, int32_t word, int32_t a, int32_t b) {
  const int32_t *id = w->id + w->start[word];
  for (int32_t i = 0; i + 1 < w->length[word]; i++)
    if (id[i] == a && id[i + 1] == b) return true;
  return false;
}

/* Adds sign * count to every pair of neighbours; new ones with `made` are noted, and queued once this merge is done. */
static fv_status tally(training *w, int32_t word, int sign) {
  const int32_t *id = w->id + w->start[word];
  for (int32_t i = 0; i + 1 < w->length[word]; i++) {
    pair *p;
    FV_TRY(pair_of(w, id[i], id[i + 1], &p));
    p->count += sign * w->count[word];
  }
  return FV_OK;
}

static fv_status note_new(training *w, int32_t word, int32_t made) {
  const int32_t *id = w->id + w->start[word];
  for (int32_t i = 0; i + 1 < w->length[word]; i++) {
    pair *p;
    if (id[i] != made && id[i + 1] != made) continue;
    FV_TRY(pair_of(w, id[i], id[i + 1], &p));
    FV_TRY(note(w, p, word));
  }
  return FV_OK;
}

static void replace(training *w, int32_t word, int32_t a, int32_t b, int32_t made) {
  int32_t *id = w->id + w->start[word], n = 0;
  for (int32_t i = 0; i < w->length[word]; n++) {
    bool here = i + 1 < w->length[word] && id[i] == a && id[i + 1] == b;
    id[n] = here ? made : id[i];
    i += here ? 2 : 1;
  }
  w->length[word] = n;
}

/* Puts the pairs with `made` in this word into the heap, once a merge: counts are complete now. */
static fv_status queue_new(training *w, int32_t word, int32_t made, int32_t merge) {
  const int32_t *id = w->id + w->start[word];
  for (int32_t i = 0; i + 1 < w->length[word]; i++) {
    pair *p;
    if (id[i] != made && id[i + 1] != made) continue;
    FV_TRY(pair_of(w, id[i], id[i + 1], &p));
    if (p->queued == merge) continue;
    p->queued = merge;
    FV_TRY(push(w, (best){p->count, p->a, p->b}));
  }
  return FV_OK;
}

static fv_status merge_everywhere(training *w, best top, int32_t made, int32_t merge) {
  pair *p;
  FV_TRY(pair_of(w, top.a, top.b, &p));
  int32_t first = p->seen;
  p->seen = -1;
  for (int32_t i = first; i >= 0; i = w->sighting[i].next) {
    int32_t word = w->sighting[i].word;
    if (!holds(w, word, top.a, top.b)) continue;
    FV_TRY(tally(w, word, -1));
    replace(w, word, top.a, top.b, made);
    FV_TRY(tally(w, word, 1));
    FV_TRY(note_new(w, word, made));
  }
  for (int32_t i = first; i >= 0; i = w->sighting[i].next) FV_TRY(queue_new(w, w->sighting[i].word, made, merge));
  return FV_OK;
}

/* The token of a and b side by side, which may be there already by another way. */
static fv_status token_of(training *w, int32_t a, int32_t b, int32_t *made) {
  fv_tokenizer *t = w->t;
  int32_t first = t->map_id[0]; /* the model's ids have no gaps */
  fv_bytes left = fv_wordmap_at(&t->map, a - first), right = fv_wordmap_at(&t->map, b - first);
  w->bytes.n = 0;
  fv_text_append(&w->bytes, left.s, left.n);
  fv_text_append(&w->bytes, right.s, right.n);
  FV_REQUIRE(!w->bytes.failed, FV_ERR_MEMORY, "tokenizer: no memory for a token");
  int64_t i = fv_wordmap_find(&t->map, w->bytes.s, w->bytes.n);
  *made = i >= 0 ? t->map_id[i] : (int32_t)t->size;
  if (i < 0) FV_TRY(fv_tokenizer_add_token(t, *made, w->bytes.s, w->bytes.n));
  return FV_OK;
}

static fv_status add_merge(fv_tokenizer *t, fv_merge merge) {
  if ((t->n_merges & (t->n_merges - 1)) == 0) { /* a power of two: full */
    fv_merge *grown = fv_realloc(t->merge, (size_t)FV_MAX(2 * t->n_merges, 1) * sizeof *grown);
    FV_REQUIRE(grown, FV_ERR_MEMORY, "tokenizer: no memory for merges");
    t->merge = grown;
  }
  t->merge[t->n_merges++] = merge;
  return FV_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */
static fv_status fill(training *w, const fv_wordmap *words) {
  int64_t total = 0;
  for (int64_t i = 0; i < words->n; i++) total += words->key[i].n;
  FV_TRY(FV_NEW(&w->id, total + 1));
  FV_TRY(FV_NEW(&w->start, words->n + 1));
  FV_TRY(FV_NEW(&w->length, words->n + 1));
  for (int64_t i = 0; i < words->n; i++) {
    fv_bytes word = fv_wordmap_at(words, i);
    w->length[i] = (int32_t)word.n;
    w->start[i + 1] = w->start[i] + (int64_t)word.n;
    for (size_t k = 0; k < word.n; k++) {
      int64_t token = fv_wordmap_find(&w->t->map, word.s + k, 1);
      w->id[w->start[i] + (int64_t)k] = w->t->map_id[token];
    }
  }
  for (int32_t i = 0; i < words->n; i++) {
    FV_TRY(tally(w, i, 1));
    const int32_t *id = w->id + w->start[i];
    for (int32_t k = 0; k + 1 < w->length[i]; k++) {
      pair *p;
      FV_TRY(pair_of(w, id[k], id[k + 1], &p));
      FV_TRY(note(w, p, i));
    }
  }
  for (size_t i = 0; i < w->slots; i++)
    if (w->pair[i].a >= 0) FV_TRY(push(w, (best){w->pair[i].count, w->pair[i].a, w->pair[i].b}));
  return FV_OK;
}

static fv_status learn(training *w, int64_t size, int64_t min_count) {
  while (w->t->size < size && w->n_heap > 0) {
    best top = pop(w);
    pair *p;
    int32_t made;
    FV_TRY(pair_of(w, top.a, top.b, &p));
    if (p->count < top.count) { /* it was too high */
      if (p->count >= min_count) FV_TRY(push(w, (best){p->count, top.a, top.b}));
      continue;
    }
    if (top.count < min_count) break;
    FV_TRY(token_of(w, top.a, top.b, &made));
    FV_TRY(add_merge(w->t, (fv_merge){top.a, top.b, made}));
    FV_TRY(merge_everywhere(w, top, made, (int32_t)w->t->n_merges));
  }
  return FV_OK;
}

fv_status fv_bpe_train(fv_tokenizer *t, const fv_wordmap *words, const int64_t *count, int64_t size,
                       int64_t min_count) {
  training w = {.t = t, .count = count};
  fv_status status = fill(&w, words);
  if (status == FV_OK) status = learn(&w, size, FV_MAX(min_count, 1));
  fv_free(w.id);
  fv_free(w.start);
  fv_free(w.length);
  fv_free(w.pair);
  fv_free(w.sighting);
  fv_free(w.heap);
  fv_text_free(&w.bytes);
  return status;
}
