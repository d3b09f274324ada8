/* SPDX-License-Identifier: Apache-2.0 */
/* bpe.c: one piece to ids by merges (Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword
 * Units", ACL 2016): of all neighbours that may be merged, those of the lowest rank first, the leftmost first. Parts
 * are a linked list, candidates a heap, so that a piece of n bytes takes n log n even when somebody means harm. */
#include "text/text.h"

struct fv_bpe_part {
  int32_t id, before, behind; /* id -1: merged away */
};
typedef struct fv_bpe_candidate {
  int32_t rank, at; /* the left part */
} candidate;

/* ---- characters for bytes ---------------------------------------------------------------------------------------- */
/* Bytes that print as themselves in Latin-1; the others follow from U+0100 on, in order. */
static bool prints(int b) { return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174; }

int32_t fv_bpe_symbol(uint8_t byte) {
  if (prints(byte)) return byte;
  return byte <= 32 ? 256 + byte : byte <= 160 ? 256 + 33 + byte - 127 : 323;
}

int fv_bpe_byte(int32_t point) {
  if (point >= 0 && point < 256) return prints(point) ? point : -1;
  if (point >= 256 && point <= 288) return point - 256;
  if (point >= 289 && point <= 322) return point - 289 + 127;
  return point == 323 ? 173 : -1;
}

/* ---- merges ------------------------------------------------------------------------------------------------------ */
static size_t slot_of(const fv_tokenizer *t, int32_t a, int32_t b) {
  uint64_t h = ((uint64_t)(uint32_t)a << 32 | (uint32_t)b) * 0x9e3779b97f4a7c15u;
  size_t at = (size_t)(h >> 32 ^ h >> 15) & (t->merge_slots - 1);
  for (; t->merge_slot[at] >= 0; at = (at + 1) & (t->merge_slots - 1)) {
    const fv_merge *m = &t->merge[t->merge_slot[at]];
    if (m->a == a && m->b == b) break;
  }
  return at;
}

int32_t fv_bpe_rank(const fv_tokenizer *t, int32_t a, int32_t b) {
  return t->merge_slots ? t->merge_slot[slot_of(t, a, b)] : -1;
}

fv_status fv_bpe_index_merges(fv_tokenizer *t) {
  size_t slots = 64;
  while (slots < (size_t)t->n_merges * 2) slots *= 2;
  FV_TRY(FV_NEW(&t->merge_slot, slots));
  memset(t->merge_slot, 0xff, slots * sizeof *t->merge_slot);
  t->merge_slots = slots;
  for (int64_t i = 0; i < t->n_merges; i++) {
    size_t at = slot_of(t, t->merge[i].a, t->merge[i].b);
    FV_REQUIRE(t->merge_slot[at] < 0, FV_ERR_CORRUPT, "tokenizer (merge %lld): expected a new one, got one again",
               (long long)i);
    t->merge_slot[at] = (int32_t)i;
  }
  return FV_OK;
}

/* ---- the heap ---------------------------------------------------------------------------------------------------- */
static bool first_of(candidate x, candidate y) { return x.rank != y.rank ? x.rank < y.rank : x.at < y.at; }

static void push(fv_bpe_work *w, candidate c) {
  int64_t i = w->n_heap++;
  for (; i > 0 && first_of(c, w->heap[(i - 1) / 2]); i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
  w->heap[i] = c;
}

static candidate pop(fv_bpe_work *w) {
  candidate top = w->heap[0], last = w->heap[--w->n_heap];
  int64_t i = 0;
  for (int64_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
    if (child + 1 < w->n_heap && first_of(w->heap[child + 1], w->heap[child])) child++;
    if (!first_of(w->heap[child], last)) break;
    w->heap[i] = w->heap[child];
  }
  w->heap[i] = last;
  return top;
}

/* ---- a piece ----------------------------------------------------------------------------------------------------- */
static fv_status reserve(fv_bpe_work *w, int64_t n) {
  if (n <= w->cap) return FV_OK;
  int64_t cap = FV_MAX(2 * w->cap, n + 64);
  fv_bpe_work wide = {.cap = cap};
  fv_status status = FV_NEW(&wide.part, cap);
  if (status == FV_OK) status = FV_NEW(&wide.heap, 3 * cap); /* n - 1 at first, then two a merge at most */
  if (status == FV_OK) status = FV_NEW(&wide.id, cap);
  fv_bpe_work_free(status == FV_OK ? w : &wide);
  if (status == FV_OK) *w = wide;
  return status;
}

/* Considers merging the part at `at` with the one behind it. */
static void consider(const fv_tokenizer *t, fv_bpe_work *w, int32_t at) {
  if (at < 0 || w->part[at].behind < 0) return;
  int32_t rank = fv_bpe_rank(t, w->part[at].id, w->part[w->part[at].behind].id);
  if (rank >= 0) push(w, (candidate){rank, at});
}

/* Whether the candidate is still what it was when it was pushed. */
static bool stands(const fv_tokenizer *t, const fv_bpe_work *w, candidate c) {
  const struct fv_bpe_part *p = &w->part[c.at];
  const fv_merge *m = &t->merge[c.rank];
  return p->id == m->a && p->behind >= 0 && w->part[p->behind].id == m->b;
}

static void merge(fv_bpe_work *w, int32_t at, int32_t made) {
  struct fv_bpe_part *p = &w->part[at], *gone = &w->part[p->behind];
  p->id = made;
  p->behind = gone->behind;
  gone->id = -1;
  if (p->behind >= 0) w->part[p->behind].before = at;
}

fv_status fv_bpe_encode(const fv_tokenizer *t, fv_bytes piece, fv_bpe_work *w) {
  int32_t n = (int32_t)piece.n;
  FV_TRY(reserve(w, n));
  w->n = w->n_heap = 0;
  int64_t whole = t->whole_first ? fv_wordmap_find(&t->map, piece.s, piece.n) : -1;
  if (whole >= 0) {
    w->id[w->n++] = t->map_id[whole];
    return FV_OK;
  }
  for (int32_t i = 0; i < n; i++)
    w->part[i] = (struct fv_bpe_part){t->byte_id[(uint8_t)piece.s[i]], i - 1, i + 1 < n ? i + 1 : -1};
  for (int32_t i = 0; i < n; i++) consider(t, w, i);
  while (w->n_heap > 0) {
    candidate c = pop(w);
    if (!stands(t, w, c)) continue;
    merge(w, c.at, t->merge[c.rank].made);
    consider(t, w, w->part[c.at].before);
    consider(t, w, c.at);
  }
  for (int32_t i = n > 0 ? 0 : -1; i >= 0; i = w->part[i].behind) w->id[w->n++] = w->part[i].id;
  return FV_OK;
}

void fv_bpe_work_free(fv_bpe_work *w) {
  fv_free(w->part);
  fv_free(w->heap);
  fv_free(w->id);
  *w = (fv_bpe_work){0};
}
