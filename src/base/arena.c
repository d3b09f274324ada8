/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c: many small allocations with one life.
 *
 * Space is cut from chunks whose size doubles up to a limit, so a graph of any size takes few trips to the heap. A
 * request too big for a chunk gets one of its own behind the current chunk, whose remaining space stays in use. */
#include "base/base.h"

enum { FIRST_CHUNK = 4 << 10, LAST_CHUNK = 256 << 10, UNIT = 16 };

typedef struct chunk {
  _Alignas(UNIT) struct chunk *next;
  size_t used, size; /* of the bytes after this header */
} chunk;

struct fv_arena {
  chunk *chunks; /* the current one first */
  size_t next_size;
};

fv_status fv_arena_new(fv_arena **arena) {
  FV_TRY(FV_NEW(arena, 1));
  (*arena)->next_size = FIRST_CHUNK;
  return FV_OK;
}

void fv_arena_free(fv_arena *arena) {
  if (!arena) return;
  for (chunk *c = arena->chunks, *next; c; c = next) {
    next = c->next;
    fv_free(c);
  }
  fv_free(arena);
}

static chunk *new_chunk(size_t size) {
  chunk *c = fv_alloc(sizeof *c + size);
  if (c) c->size = size;
  return c;
}

static void *cut(chunk *c, size_t bytes) {
  void *p = (char *)(c + 1) + c->used;
  c->used += bytes;
  return p;
}

void *fv_arena_alloc(fv_arena *arena, size_t bytes) {
  if (bytes > PTRDIFF_MAX / 2) return NULL;
  bytes = FV_MAX((bytes + UNIT - 1) / UNIT * UNIT, (size_t)UNIT); /* every pointer is another one */
  chunk *head = arena->chunks;
  if (head && head->size - head->used >= bytes) return cut(head, bytes);

  bool own = bytes > arena->next_size / 4;
  chunk *c = new_chunk(own ? bytes : arena->next_size);
  if (!c) return NULL;
  if (own && head) {
    c->next = head->next;
    head->next = c;
  } else {
    c->next = head;
    arena->chunks = c;
  }
  if (!own) arena->next_size = FV_MIN(2 * arena->next_size, (size_t)LAST_CHUNK);
  return cut(c, bytes);
}

char *fv_arena_strdup(fv_arena *arena, const char *s) {
  size_t n = strlen(s) + 1;
  char *copy = fv_arena_alloc(arena, n);
  return copy ? memcpy(copy, s, n) : NULL;
}

char *fv_arena_printf(fv_arena *arena, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  char *s = n < 0 ? NULL : fv_arena_alloc(arena, (size_t)n + 1);
  if (!s) return NULL;
  va_start(args, fmt);
  vsnprintf(s, (size_t)n + 1, fmt, args);
  va_end(args);
  return s;
}
