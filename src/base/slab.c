/* SPDX-License-Identifier: Apache-2.0 */
/* slab.c: the large buffers of a run, each announced in a ledger before it exists.
 *
 * A slab comes straight from the system, which zeroes it page by page as it is touched. The page in front of it keeps
 * what munmap needs. Slabs over 4 MiB start at a huge page's boundary and ask for huge pages: fewer TLB misses. */
#include "base/heap.h"

#include <sys/mman.h>

#define PAGE ((size_t)64 << 10) /* a multiple of every page size Linux has on x86-64 and aarch64 */
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM ((size_t)4 << 20)
#define MIB (1024.0 * 1024.0)

const char *const fv_account_names[FV_ACCOUNTS] = {
    "parameters", "optimizer", "gradients", "activations", "packed", "batches", "data",
};

typedef struct slab_head {
  void *map;
  size_t map_bytes, bytes;
} slab_head;

static slab_head *head_of(void *slab) { return (slab_head *)((char *)slab - sizeof(slab_head)); }

int64_t fv_ledger_total(const fv_ledger *ledger) {
  int64_t total = 0;
  for (int i = 0; i < FV_ACCOUNTS; i++) total += ledger->bytes[i];
  return total;
}

static fv_status announce(fv_ledger *ledger, fv_account account, int64_t bytes) {
  int64_t total;
  bool fits = !__builtin_add_overflow(fv_ledger_total(ledger), bytes, &total);
  FV_REQUIRE(fits && (ledger->limit == 0 || total <= ledger->limit), FV_ERR_MEMORY,
             "memory limit (%s): expected at most %.1f MiB in all, got %.1f MiB and %.1f MiB more",
             fv_account_names[account], (double)(ledger->limit ? ledger->limit : INT64_MAX) / MIB,
             (double)fv_ledger_total(ledger) / MIB, (double)bytes / MIB);
  ledger->bytes[account] += bytes;
  return FV_OK;
}

/* NULL when the system has no such room. */
static void *map_slab(size_t bytes) {
  size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : PAGE;
  size_t whole = bytes + 2 * align;
  char *map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED) return NULL;
  char *slab = map + align - (uintptr_t)map % align;
  if (slab == map) slab += align;
  if (align == HUGE_PAGE) madvise(slab, bytes, MADV_HUGEPAGE); /* advice: refusing it costs speed alone */
  *head_of(slab) = (slab_head){.map = map, .map_bytes = whole, .bytes = bytes};
  return slab;
}

fv_status fv_slab_new(fv_ledger *ledger, fv_account account, int64_t bytes, void **slab) {
  *slab = NULL;
  FV_REQUIRE(bytes >= 0 && bytes <= INT64_MAX / 2, FV_ERR_MEMORY,
             "memory (%s): expected a size a machine can have, got %lld bytes", fv_account_names[account],
             (long long)bytes);
  bytes = fv_round_up(bytes, FV_ALIGN);
  if (ledger) FV_TRY(announce(ledger, account, bytes));
  if (ledger && ledger->dry) return FV_OK;
  *slab = fv_heap_admit() ? map_slab((size_t)bytes) : NULL;
  if (!*slab && ledger) ledger->bytes[account] -= bytes;
  FV_REQUIRE(*slab, FV_ERR_MEMORY, "memory (%s): expected %.1f MiB, got none", fv_account_names[account],
             (double)bytes / MIB);
  fv_heap_count(bytes);
  return FV_OK;
}

void *fv_slab_take(void *slab, int64_t *at, int64_t bytes) {
  void *piece = slab ? (char *)slab + *at : NULL;
  *at += fv_round_up(bytes, FV_ALIGN);
  return piece;
}

void fv_slab_free(void *slab) {
  if (!slab) return;
  slab_head head = *head_of(slab);
  fv_heap_count(-(int64_t)head.bytes);
  munmap(head.map, head.map_bytes);
}
