/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.c CORPUS: drives one fuzz target. As a test: files named good-* must be read and bad-* refused; every good file
 * is read again with its first, second, ... allocation failing; then come 2,000 mutations of the corpus, the same ones
 * each time. Whatever the input, a failure has a one-line message and leaves no memory behind. */
#include "fuzz.h"

#include <stdlib.h>

#define MUTATIONS 2000
#define FILES 64
#define LARGEST (1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static fv_status check(const uint8_t *bytes, size_t n) {
  int64_t live = fv_memory_get_stats().live_bytes;
  fv_status status = fuzz_target(bytes, n);
  const char *text = fv_error_message();
  if (fv_memory_get_stats().live_bytes != live) {
    fprintf(stderr, "memory left behind (status %s)\n", fv_status_name(status));
    abort();
  }
  if (status != FV_OK && (status == FV_ERR_INTERNAL || !*text || strchr(text, '\n'))) {
    fprintf(stderr, "status %s with message '%s'\n", fv_status_name(status), text);
    abort();
  }
  return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  (void)!check(bytes, n);
  return 0;
}

#ifndef FUZZ_WITH_LIBFUZZER
typedef struct seed {
  const char *name;
  uint8_t *bytes;
  size_t n;
} seed;

static seed seeds[FILES];
static size_t n_seeds;

/* A copy of exactly n bytes from malloc, so that a sanitiser sees the first byte read beyond them. */
static fv_status run_copy(const uint8_t *bytes, size_t n) {
  uint8_t *copy = malloc(n ? n : 1);
  if (!copy) abort();
  memcpy(copy, bytes, n);
  fv_status status = check(copy, n);
  free(copy);
  return status;
}

static void require(bool cond, const seed *s, const char *what) {
  if (cond) return;
  fprintf(stderr, "%s: %s: %s\n", s->name, what, fv_error_message());
  exit(1);
}

static void check_seed(const seed *s) {
  bool good = strncmp(s->name, "good-", 5) == 0;
  fv_status status = run_copy(s->bytes, s->n);
  if (!good) {
    printf("%s: %s\n", s->name, status == FV_OK ? "read" : fv_error_message());
    require(status != FV_OK && status != FV_ERR_MEMORY, s, "expected a refusal");
    return;
  }
  require(status == FV_OK, s, "expected a good file");
  for (uint64_t k = 1; status != FV_OK || k == 1; k++) {
    fv_memory_fail_after(k);
    status = run_copy(s->bytes, s->n);
    fv_memory_fail_after(0);
    require(status == FV_OK || status == FV_ERR_MEMORY, s, "expected a failed allocation to be told");
  }
}

/* One to four small damages. Returns the new length. */
static size_t mutate(fv_rng *r, uint8_t *p, size_t n) {
  static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff, '"', '{', '[', ',', '\n', '9', '-'};
  for (uint32_t k = fv_rng_below(r, 4) + 1; k > 0 && n > 0; k--) {
    size_t at = fv_rng_below(r, (uint32_t)n), length = fv_rng_below(r, (uint32_t)FV_MIN(n - at, 16)) + 1;
    const seed *other = &seeds[fv_rng_below(r, (uint32_t)n_seeds)];
    switch (fv_rng_below(r, 7)) {
      case 0: p[at] ^= (uint8_t)(1u << fv_rng_below(r, 8)); break;
      case 1: p[at] = edges[fv_rng_below(r, FV_COUNT(edges))]; break;
      case 2: memset(p + at, edges[fv_rng_below(r, 5)], length); break;
      case 3: n = at; break;
      case 4: memmove(p + at, p + at + length, n - at - length), n -= length; break;
      case 5:
        if (n + length <= LARGEST) memmove(p + at + length, p + at, n - at), n += length;
        break;
      default:
        if (other->n > at) memcpy(p + at, other->bytes + at, FV_MIN(n, other->n) - at);
    }
  }
  return n;
}

int main(int argc, char **argv) {
  static uint8_t work[LARGEST];
  fv_arena *arena;
  char **names;
  if (argc != 2 || fv_arena_new(&arena) != FV_OK || fv_dir_list(argv[1], arena, &names, &n_seeds) != FV_OK ||
      n_seeds == 0 || n_seeds > FILES) {
    fprintf(stderr, "usage: fuzz_NAME CORPUS (1 to %d files): %s\n", FILES, fv_error_message());
    return 1;
  }
  for (size_t i = 0; i < n_seeds; i++) {
    seeds[i].name = names[i];
    require(fv_file_read(fv_path_join(arena, argv[1], names[i]), LARGEST, &seeds[i].bytes, &seeds[i].n) == FV_OK,
            &seeds[i], "cannot read");
  }
  for (size_t i = 0; i < n_seeds; i++) check_seed(&seeds[i]);
  int read = 0;
  for (uint64_t i = 0; i < MUTATIONS; i++) {
    fv_rng r = fv_rng_new(1, i);
    const seed *s = &seeds[fv_rng_below(&r, (uint32_t)n_seeds)];
    memcpy(work, s->bytes, s->n);
    read += run_copy(work, mutate(&r, work, s->n)) == FV_OK;
  }
  printf("%zu files, %d mutations, %d of them still readable\n", n_seeds, MUTATIONS, read);
  for (size_t i = 0; i < n_seeds; i++) fv_free(seeds[i].bytes);
  fv_arena_free(arena);
  return 0;
}
#endif
