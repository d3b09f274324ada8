/* SPDX-License-Identifier: Apache-2.0 */
/* files.c: where a registered file is. Places in order: the mirror when it is a directory, where system packages put
 * things, the cache; then it is fetched into the cache, from the mirror when that is an address, or from the official
 * address. What lies in a place must be right: a wrong file is refused with both hashes, because going on to the next
 * place would hide a damaged disk or a mirror gone astray. */
#include "data/sets.h"

#include <stdlib.h>

typedef struct place {
  const char *path; /* NULL: nowhere yet */
  bool packed;      /* by someone else's gzip, so what counts is the content */
  const fv_data_file *file; /* whose form it has: the one looked for, or its repack */
} place;

static bool is_web(const char *s) { return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0; }

/* What $FOVEA_DATA_MIRROR says: a directory or an address; both NULL when it is unset. */
static fv_status get_mirror(const char **dir, const char **address) {
  const char *mirror = getenv("FOVEA_DATA_MIRROR");
  *dir = *address = NULL;
  if (!mirror || !*mirror) return FV_OK;
  if (is_web(mirror)) {
    *address = mirror;
    return FV_OK;
  }
  if (strncmp(mirror, "file://", 7) == 0) mirror += 7;
  FV_REQUIRE(fv_path_is_dir(mirror), FV_ERR_NOTFOUND,
             "FOVEA_DATA_MIRROR (%s): expected a directory or an http, https or file address, got no such directory",
             mirror);
  *dir = mirror;
  return FV_OK;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static const char *cache_path(fv_arena *arena, const fv_data_file *f) {
  const char *dir = fv_cache_dir(arena);
  return dir ? fv_arena_printf(arena, "%s/data/%s", dir, f->path) : NULL;
}

/* The file, or the file packed: "NAME.gz". */
static bool is_there(const char *path, fv_arena *arena, place *found) {
  const char *packed = path ? fv_arena_printf(arena, "%s.gz", path) : NULL;
  *found = (place){.path = path};
  if (path && fv_path_exists(path)) return true;
  *found = (place){.path = packed, .packed = true};
  return packed && fv_path_exists(packed);
}

static fv_status find_form(const fv_dataset_def *def, const fv_data_file *f, fv_arena *arena, place *found) {
  const char *dir, *address;
  FV_TRY(get_mirror(&dir, &address));
  const char *path = dir ? fv_path_join(arena, dir, f->path) : NULL;
  if (is_there(path, arena, found)) return FV_OK;
  for (int i = 0; f->content_sha256 && def->system_dirs && def->system_dirs[i]; i++) {
    path = fv_path_join(arena, def->system_dirs[i], base_name(f->path));
    if (!path || !fv_path_exists(path)) continue;
    *found = (place){.path = path, .packed = true};
    return FV_OK;
  }
  path = cache_path(arena, f);
  FV_REQUIRE(path, FV_ERR_MEMORY, "data (%s): no memory for a name", f->path);
  if (!is_there(path, arena, found)) *found = (place){0};
  return FV_OK;
}

/* Both forms may go by one name: then their sizes differ. */
static bool is_form(const fv_data_file *repack, const fv_data_file *f, const char *path) {
  return !strcmp(repack->path, f->path) && fv_file_size(path) == repack->bytes;
}

static fv_status find_file(const fv_dataset_def *def, const fv_data_file *f, fv_arena *arena, place *found) {
  const fv_data_file *repack = def->repack ? &def->repack[f - def->info.files] : NULL;
  FV_TRY(find_form(def, f, arena, found));
  found->file = f;
  if (!repack || (found->path && !is_form(repack, f, found->path))) return FV_OK;
  if (!found->path) FV_TRY(find_form(def, repack, arena, found));
  found->file = repack;
  return FV_OK;
}

fv_status fv_data_hash(const char *path, bool unpacked, char hex[65]) {
  fv_status status = FV_OK;
  char bytes[1 << 16];
  int n = 0, error = 0;
  fv_sha256 sha;
  fv_sha256_init(&sha);
  FILE *file = unpacked ? NULL : fopen(path, "rb");
  gzFile packed = unpacked ? gzopen(path, "rb") : NULL;
  FV_REQUIRE(file || packed, FV_ERR_IO, "data (%s): expected a readable file, got one that cannot be opened", path);
  do {
    n = unpacked ? gzread(packed, bytes, sizeof bytes) : (int)fread(bytes, 1, sizeof bytes, file);
    if (n > 0) fv_sha256_update(&sha, bytes, (size_t)n);
  } while (n > 0);
  if (unpacked) gzerror(packed, &error);
  FV_REQUIRE_DONE(error != Z_DATA_ERROR && error != Z_BUF_ERROR, FV_ERR_CORRUPT,
                  "data (%s): expected a whole gzip file, got a damaged one", path);
  FV_REQUIRE_DONE(n == 0 && error == 0 && !(file && ferror(file)), FV_ERR_IO,
                  "data (%s): expected a readable file, got a read error", path);
  fv_sha256_final(&sha, hex);
done:
  if (file) fclose(file);
  if (packed) gzclose(packed);
  return status;
}

static fv_status check_file(const place *p) {
  const fv_data_file *f = p->file;
  char got[65];
  int64_t bytes = fv_file_size(p->path);
  const char *wanted = p->packed && f->content_sha256 ? f->content_sha256 : f->sha256;
  FV_REQUIRE(p->packed || f->bytes == 0 || bytes < 0 || bytes == f->bytes, FV_ERR_CORRUPT,
             "data (%s): expected %lld bytes, got %lld", p->path, (long long)f->bytes, (long long)bytes);
  FV_TRY(fv_data_hash(p->path, p->packed, got));
  FV_REQUIRE(strcmp(got, wanted) == 0, FV_ERR_CORRUPT, "data (%s): expected SHA-256 %s%s, got %s", p->path, wanted,
             p->packed ? " of what is packed in it" : "", got);
  return FV_OK;
}

/* ---- fetching ---------------------------------------------------------------------------------------------------- */
static fv_status fetch_file(const fv_data_open *o, const fv_data_file *f, fv_arena *arena, const char *path) {
  const char *dir, *address;
  FV_TRY(get_mirror(&dir, &address));
  fv_fetch fetch = {.path = path, .sha256 = f->sha256, .bytes = f->bytes, .progress = o->progress,
                    .progress_arg = o->progress_arg, .what = f->path};
  if (address) {
    size_t n = strlen(address);
    fetch.url = fv_arena_printf(arena, "%s%s%s", address, address[n - 1] == '/' ? "" : "/", f->path);
    FV_REQUIRE(fetch.url, FV_ERR_MEMORY, "data (%s): no memory for a name", f->path);
    fv_status status = fv_fetch_file(&fetch);
    if (status != FV_ERR_NOTFOUND || !f->url) return status;
  }
  FV_REQUIRE(f->url, FV_ERR_NOTFOUND,
             "data (%s): expected it in $FOVEA_DATA_MIRROR or at %s, got neither, and no address has it in this form",
             f->path, path);
  fetch.url = f->url;
  return fv_fetch_file(&fetch);
}

fv_status fv_data_need(const fv_data_open *o, const fv_data_file *f, fv_arena *arena, const char **path) {
  place p;
  FV_TRY(find_file(o->def, f, arena, &p));
  *path = p.path;
  if (p.path) return check_file(&p);
  *path = cache_path(arena, f);
  FV_REQUIRE(*path, FV_ERR_MEMORY, "data (%s): no memory for a name", f->path);
  return fetch_file(o, f, arena, *path);
}

/* ---- for users --------------------------------------------------------------------------------------------------- */
static const fv_dataset_def *row_of(const fv_data_file *file) {
  for (int i = 0; fv_datasets[i]; i++)
    for (const fv_data_file *f = fv_datasets[i]->info.files; f && f->path; f++)
      if (f == file) return fv_datasets[i];
  return NULL;
}

fv_status fv_data_locate(const fv_data_file *file, char **path) {
  fv_status status = FV_OK;
  fv_arena *arena = NULL;
  place p;
  *path = NULL;
  const fv_dataset_def *def = row_of(file);
  FV_REQUIRE(def, FV_ERR_REQUEST, "data (%s): expected a file of the registry, got another", file->path);
  FV_TRY_DONE(fv_arena_new(&arena));
  FV_TRY_DONE(find_file(def, file, arena, &p));
  if (!p.path) goto done;
  *path = fv_strdup(p.path);
  FV_REQUIRE_DONE(*path, FV_ERR_MEMORY, "data (%s): no memory for a name", file->path);
done:
  fv_arena_free(arena);
  return status;
}

static fv_status get_row(int i, const fv_dataset_def **def) {
  FV_REQUIRE(i >= 0 && i < fv_dataset_count(), FV_ERR_REQUEST, "dataset: expected a number from 0 to %d, got %d",
             fv_dataset_count() - 1, i);
  *def = fv_datasets[i];
  return FV_OK;
}

fv_status fv_data_get(int i, fv_progress *progress, void *arg) {
  fv_status status = FV_OK;
  fv_data_open o = {.progress = progress, .progress_arg = arg};
  fv_arena *arena = NULL;
  const char *path;
  FV_TRY(get_row(i, &o.def));
  FV_TRY_DONE(fv_arena_new(&arena));
  for (const fv_data_file *f = o.def->info.files; f && f->path; f++) FV_TRY_DONE(fv_data_need(&o, f, arena, &path));
done:
  fv_arena_free(arena);
  return status;
}

static fv_status verify_file(const fv_dataset_def *def, const fv_data_file *f, fv_arena *arena) {
  place p;
  FV_TRY(find_file(def, f, arena, &p));
  FV_REQUIRE(p.path, FV_ERR_NOTFOUND, "data (%s): expected the file here, got none; 'fovea data get %s' fetches it",
             f->path, def->info.name);
  return check_file(&p);
}

fv_status fv_data_verify(int i, fv_progress *progress, void *arg) {
  fv_status status = FV_OK, missing = FV_OK;
  const fv_dataset_def *def;
  fv_arena *arena = NULL;
  const fv_data_file *absent = NULL;
  FV_TRY(get_row(i, &def));
  FV_TRY_DONE(fv_arena_new(&arena));
  for (const fv_data_file *f = def->info.files; f && f->path; f++) {
    FV_REQUIRE_DONE(!progress || progress(arg, f->path, 0, f->bytes), FV_ERR_STOPPED, "verify (%s): stopped", f->path);
    missing = verify_file(def, f, arena);
    if (missing == FV_ERR_NOTFOUND && !absent) absent = f;
    if (missing != FV_ERR_NOTFOUND) FV_TRY_DONE(missing);
    FV_REQUIRE_DONE(!progress || progress(arg, f->path, f->bytes, f->bytes), FV_ERR_STOPPED, "verify (%s): stopped",
                    f->path);
  }
  if (absent) status = verify_file(def, absent, arena); /* says it again, after the wrong ones had their say */
done:
  fv_arena_free(arena);
  return status;
}
