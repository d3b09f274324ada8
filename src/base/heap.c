/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c: the one way to the system's heap.
 *
 * Every block starts at a cache line and is preceded by one line that keeps its size, so that the counters stay exact
 * without asking the allocator. The counters prove that a running program allocates nothing. */
#include "base/heap.h"

#include <stdatomic.h>
#include <stdlib.h>

static _Atomic uint64_t count;
static _Atomic uint64_t fail_from; /* the first allocation that fails, counted as `count` does; 0: none */
static _Atomic int64_t live, peak;

static _Thread_local fv_tally *mine;

fv_tally *fv_memory_tally(fv_tally *tally) {
  fv_tally *before = mine;
  mine = tally;
  return before;
}

fv_tally *fv_memory_get_tally(void) { return mine; }

typedef struct block {
  _Alignas(FV_ALIGN) size_t bytes;
} block;

fv_memory_stats fv_memory_get_stats(void) {
  return (fv_memory_stats){.count = count, .live_bytes = live, .peak_bytes = peak};
}

void fv_memory_fail_after(uint64_t n) { fail_from = n ? count + n : 0; }

bool fv_heap_admit(void) {
  uint64_t now = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) + 1;
  uint64_t from = atomic_load_explicit(&fail_from, memory_order_relaxed);
  if (mine) atomic_fetch_add_explicit(mine, 1, memory_order_relaxed);
  return from == 0 || now < from;
}

void fv_heap_count(int64_t bytes) {
  int64_t now = atomic_fetch_add_explicit(&live, bytes, memory_order_relaxed) + bytes;
  int64_t top = atomic_load_explicit(&peak, memory_order_relaxed);
  while (now > top && !atomic_compare_exchange_weak_explicit(&peak, &top, now, memory_order_relaxed,
                                                             memory_order_relaxed)) {
  }
}

static block *block_of(void *p) { return (block *)p - 1; }

static void *new_block(size_t bytes) {
  if (!fv_heap_admit() || bytes > PTRDIFF_MAX - 2 * FV_ALIGN) return NULL;
  size_t whole = sizeof(block) + (bytes + FV_ALIGN - 1) / FV_ALIGN * FV_ALIGN;
  block *b = aligned_alloc(FV_ALIGN, whole);
  if (!b) return NULL;
  b->bytes = bytes;
  fv_heap_count((int64_t)bytes);
  return b + 1;
}

void *fv_alloc(size_t bytes) {
  void *p = new_block(bytes);
  return p ? memset(p, 0, bytes) : NULL;
}

/* realloc(3) would not keep the alignment. */
void *fv_realloc(void *p, size_t bytes) {
  void *q = new_block(bytes);
  if (!q || !p) return q;
  memcpy(q, p, FV_MIN(bytes, block_of(p)->bytes));
  fv_free(p);
  return q;
}

void fv_free(void *p) {
  if (!p) return;
  fv_heap_count(-(int64_t)block_of(p)->bytes);
  free(block_of(p));
}

char *fv_strdup(const char *s) {
  size_t n = strlen(s) + 1;
  char *copy = new_block(n);
  return copy ? memcpy(copy, s, n) : NULL;
}

fv_status fv_alloc_array(void **p, size_t n, size_t size) {
  size_t bytes;
  *p = NULL;
  FV_REQUIRE(!__builtin_mul_overflow(n, size, &bytes), FV_ERR_MEMORY,
             "memory: expected a size a machine can have, got %zu elements of %zu bytes", n, size);
  *p = fv_alloc(bytes);
  FV_REQUIRE(*p, FV_ERR_MEMORY, "memory: expected %zu bytes, got none", bytes);
  return FV_OK;
}
