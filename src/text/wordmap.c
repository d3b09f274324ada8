/* SPDX-License-Identifier: Apache-2.0 */
/* wordmap.c: byte strings numbered in order of arrival: vocabularies, word counts, what an encoder remembers. Open
 * addressing with linear probing; the strings lie one behind the other. */
#include "text/text.h"

/* Eight bytes at a time, multiplied and folded; the constant is 2^64 over the golden ratio. */
static uint32_t hash_of(const char *s, size_t n) {
  const uint64_t odd = 0x9e3779b97f4a7c15u;
  uint64_t h = n * odd, word = 0;
  for (; n >= 8; s += 8, n -= 8) {
    memcpy(&word, s, 8);
    h = (h ^ word) * odd;
    h ^= h >> 32;
  }
  word = 0;
  if (n) memcpy(&word, s, n);
  h = (h ^ word) * odd;
  h ^= h >> 29;
  return (uint32_t)((h * odd) >> 32);
}

/* The slot where the string is, or where it belongs. */
static size_t slot_of(const fv_wordmap *m, const char *s, size_t n, uint32_t hash) {
  size_t at = hash & (m->slots - 1);
  for (; m->slot[at] >= 0; at = (at + 1) & (m->slots - 1)) {
    const fv_wordmap_key *k = &m->key[m->slot[at]];
    if (k->hash == hash && k->n == n && memcmp(m->bytes.s + k->at, s, n) == 0) break;
  }
  return at;
}

int64_t fv_wordmap_find(const fv_wordmap *m, const char *s, size_t n) {
  return m->slots ? m->slot[slot_of(m, s, n, hash_of(s, n))] : -1;
}

static fv_status widen(fv_wordmap *m) {
  size_t slots = m->slots ? 2 * m->slots : 64;
  int32_t *slot;
  FV_TRY(FV_NEW(&slot, slots));
  memset(slot, 0xff, slots * sizeof *slot);
  for (int64_t i = 0; i < m->n; i++) {
    size_t at = m->key[i].hash & (slots - 1);
    while (slot[at] >= 0) at = (at + 1) & (slots - 1);
    slot[at] = (int32_t)i;
  }
  fv_free(m->slot);
  m->slot = slot, m->slots = slots;
  return FV_OK;
}

static fv_status reserve(fv_wordmap *m) {
  if ((size_t)m->n * 2 >= m->slots) FV_TRY(widen(m));
  if (m->n < m->cap) return FV_OK;
  int64_t cap = m->cap ? 2 * m->cap : 32;
  fv_wordmap_key *key = fv_realloc(m->key, (size_t)cap * sizeof *key);
  FV_REQUIRE(key && cap < INT32_MAX, FV_ERR_MEMORY, "words: no memory for %lld of them", (long long)cap);
  m->key = key, m->cap = cap;
  return FV_OK;
}

fv_status fv_wordmap_add(fv_wordmap *m, const char *s, size_t n, int64_t *i) {
  FV_REQUIRE(n <= INT32_MAX, FV_ERR_REQUEST, "words: expected less than 2 GiB, got %zu bytes", n);
  FV_TRY(reserve(m));
  uint32_t hash = hash_of(s, n);
  size_t at = slot_of(m, s, n, hash);
  if (m->slot[at] < 0) {
    m->key[m->n] = (fv_wordmap_key){m->bytes.n, (uint32_t)n, hash};
    fv_text_append(&m->bytes, s, n);
    fv_text_append(&m->bytes, "", 1);
    FV_REQUIRE(!m->bytes.failed, FV_ERR_MEMORY, "words: no memory for %zu bytes", n);
    m->slot[at] = (int32_t)m->n++;
  }
  *i = m->slot[at];
  return FV_OK;
}

fv_bytes fv_wordmap_at(const fv_wordmap *m, int64_t i) {
  return (fv_bytes){m->bytes.s + m->key[i].at, m->key[i].n};
}

void fv_wordmap_free(fv_wordmap *m) {
  fv_text_free(&m->bytes);
  fv_free(m->key);
  fv_free(m->slot);
  *m = (fv_wordmap){0};
}
