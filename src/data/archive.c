/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c: members of archives through libarchive, which is opened on first use: it and the libraries it needs would
 * cost every start a few milliseconds. */
#include "data/sets.h"

#include <archive.h>
#include <archive_entry.h>

/* The library's functions, named once; their types come from its headers. */
#define FUNCTIONS(X)                                                                                   \
  X(read_new) X(read_free) X(read_support_format_all) X(read_support_filter_all) X(read_open_filename) \
  X(read_next_header) X(read_data) X(error_string) X(entry_pathname)
typedef struct functions {
#define X(name) __typeof__(&archive_##name) name;
  FUNCTIONS(X)
#undef X
} functions;

struct fv_archive {
  functions f;
  struct archive *a;
  char *path;
};

static fv_status load(functions *f) {
  static const char *const names[] = {
#define X(name) "archive_" #name,
      FUNCTIONS(X)
#undef X
      NULL};
  void *found[FV_COUNT(names) - 1];
  FV_TRY(fv_library_load("libarchive.so.13", "libarchive13", names, found));
  memcpy(f, found, sizeof *f);
  return FV_OK;
}

static fv_status fail(const fv_archive *a) {
  const char *why = a->f.error_string(a->a);
  return FV_FAIL(FV_ERR_CORRUPT, "archive (%s): expected a whole archive, got '%s'", a->path, why ? why : "an error");
}

fv_status fv_archive_open(const char *path, fv_archive **archive) {
  fv_status status = FV_OK;
  fv_archive *a = NULL;
  *archive = NULL;
  FV_TRY_DONE(FV_NEW(&a, 1));
  FV_TRY_DONE(load(&a->f));
  a->path = fv_strdup(path);
  a->a = a->f.read_new();
  FV_REQUIRE_DONE(a->path && a->a, FV_ERR_MEMORY, "archive (%s): no memory", path);
  a->f.read_support_format_all(a->a);
  a->f.read_support_filter_all(a->a);
  if (a->f.read_open_filename(a->a, path, 1 << 16) != ARCHIVE_OK) {
    status = fail(a);
    goto done;
  }
  *archive = a;
  a = NULL;
done:
  fv_archive_close(a);
  return status;
}

fv_status fv_archive_next(fv_archive *a, const char **name) {
  struct archive_entry *entry;
  *name = NULL;
  int r = a->f.read_next_header(a->a, &entry);
  if (r == ARCHIVE_EOF) return FV_OK;
  if (r != ARCHIVE_OK && r != ARCHIVE_WARN) return fail(a);
  *name = a->f.entry_pathname(entry);
  return *name ? FV_OK : fail(a);
}

fv_status fv_archive_read(fv_archive *a, void *out, size_t n, size_t *got) {
  for (*got = 0; *got < n;) {
    la_ssize_t r = a->f.read_data(a->a, (char *)out + *got, n - *got);
    if (r < 0) return fail(a);
    if (r == 0) break;
    *got += (size_t)r;
  }
  return FV_OK;
}

fv_status fv_archive_read_text(fv_archive *a, const char *member, size_t limit, char **text) {
  fv_status status = FV_OK;
  size_t room = (size_t)64 << 10, n = 0, got;
  char *s = fv_alloc(room), *grown;
  *text = NULL;
  FV_REQUIRE_DONE(s, FV_ERR_MEMORY, "archive (%s): no memory", a->path);
  for (;;) {
    FV_TRY_DONE(fv_archive_read(a, s + n, room - 1 - n, &got));
    n += got;
    if (n < room - 1) break;
    FV_REQUIRE_DONE(room < limit, FV_ERR_CORRUPT, "%s: %s: expected fewer than %zu bytes", a->path, member, limit);
    FV_REQUIRE_DONE(grown = fv_realloc(s, 2 * room), FV_ERR_MEMORY, "archive (%s): no memory", a->path);
    s = grown;
    room *= 2;
  }
  s[n] = 0;
  *text = s;
  s = NULL;
done:
  fv_free(s);
  return status;
}

void fv_archive_close(fv_archive *a) {
  if (!a) return;
  if (a->a) a->f.read_free(a->a);
  fv_free(a->path);
  fv_free(a);
}
