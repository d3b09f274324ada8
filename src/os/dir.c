/* SPDX-License-Identifier: Apache-2.0 */
/* dir.c: directories, names of files, the lock on a run's directory. */
#include "os/fail.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static fv_status make_one(const char *path) {
  if (mkdir(path, 0777) == 0) return FV_OK;
  int error = errno;
  if (fv_path_is_dir(path)) return FV_OK; /* made by another process, or there before: EEXIST, EROFS, EACCES */
  FV_REQUIRE(error != EEXIST && error != ENOTDIR, FV_ERR_REQUEST, "directory (%s): expected a directory, got a file",
             path);
  return FV_FAIL_OS(error, "directory", path, "to make it");
}

fv_status fv_dir_make(const char *path) {
  fv_status status = FV_OK;
  char *part = fv_strdup(path);
  FV_REQUIRE(part, FV_ERR_MEMORY, "directory (%s): expected memory for a name, got none", path);
  for (char *p = part; *p; p++) {
    if (*p != '/' || p == part) continue;
    *p = 0;
    FV_TRY_DONE(make_one(part));
    *p = '/';
  }
  FV_TRY_DONE(make_one(part));
done:
  fv_free(part);
  return status;
}

/* ---- listing ----------------------------------------------------------------------------------------------------- */
static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

typedef struct name_list {
  char **v;
  size_t n, cap;
} name_list;

static bool add_name(name_list *list, char *name) {
  if (list->n == list->cap) {
    size_t cap = FV_MAX(2 * list->cap, (size_t)64);
    char **v = fv_realloc(list->v, cap * sizeof *v);
    if (!v) return false;
    list->v = v;
    list->cap = cap;
  }
  list->v[list->n++] = name;
  return name != NULL;
}

fv_status fv_dir_list(const char *path, fv_arena *arena, char ***names, size_t *n) {
  fv_status status = FV_OK;
  name_list list = {0};
  *names = NULL;
  *n = 0;
  DIR *d = opendir(path);
  if (!d) return FV_FAIL_OS(errno, "directory", path, "a readable directory");
  errno = 0;
  for (struct dirent *e; (e = readdir(d)); errno = 0) {
    if (e->d_name[0] == '.') continue;
    FV_REQUIRE_DONE(add_name(&list, fv_arena_strdup(arena, e->d_name)), FV_ERR_MEMORY,
                    "directory (%s): expected memory for the names in it, got none", path);
  }
  if (errno) {
    status = FV_FAIL_OS(errno, "directory", path, "a readable directory");
    goto done;
  }
  if (list.n) qsort(list.v, list.n, sizeof *list.v, by_bytes);
  *names = fv_arena_alloc(arena, list.n * sizeof *list.v);
  FV_REQUIRE_DONE(*names, FV_ERR_MEMORY, "directory (%s): expected memory for the names in it, got none", path);
  if (list.n) memcpy(*names, list.v, list.n * sizeof *list.v);
  *n = list.n;
done:
  fv_free(list.v);
  closedir(d);
  return status;
}

/* ---- removal ----------------------------------------------------------------------------------------------------- */
static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)st, (void)type, (void)where;
  return remove(path) == 0 || errno == ENOENT ? 0 : errno;
}

fv_status fv_dir_remove(const char *path) {
  int error = nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); /* links are removed, not followed */
  if (error < 0) error = errno;
  if (error == 0 || error == ENOENT) return FV_OK;
  return FV_FAIL_OS(error, "remove", path, "a directory that may be removed");
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
char *fv_path_join(fv_arena *arena, const char *dir, const char *name) {
  size_t n = strlen(dir);
  if (n == 0 || name[0] == '/') return fv_arena_strdup(arena, name);
  return fv_arena_printf(arena, "%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

const char *fv_cache_dir(fv_arena *arena) {
  const char *own = getenv("FOVEA_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  if (own && *own) return fv_arena_strdup(arena, own);
  if (xdg && *xdg == '/') return fv_path_join(arena, xdg, "fovea"); /* relative ones are to be ignored */
  return fv_path_join(arena, home ? home : "", ".cache/fovea");
}

/* ---- the lock ---------------------------------------------------------------------------------------------------- */
struct fv_lock {
  int fd;
};

/* The file stays: removing it would let two processes hold locks on two files of one name. */
fv_status fv_lock_take(const char *dir, fv_lock **lock) {
  fv_status status = FV_OK;
  char path[4096], owner[32] = "";
  *lock = NULL;
  int n = snprintf(path, sizeof path, "%s/.lock", dir);
  FV_REQUIRE(n > 0 && (size_t)n < sizeof path, FV_ERR_REQUEST, "lock (%s): expected a shorter name", dir);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return FV_FAIL_OS(errno, "lock", dir, "a directory that can be written");
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno != ENOTSUP && errno != ENOLCK) {
    ssize_t got = pread(fd, owner, sizeof owner - 1, 0);
    owner[got > 0 ? strcspn(owner, "\n") : 0] = 0;
    FV_REQUIRE_DONE(false, FV_ERR_REQUEST, "lock (%s): expected no other run in this directory, got process %s", dir,
                    *owner ? owner : "?");
  }
  FV_TRY_DONE(FV_NEW(lock, 1));
  (*lock)->fd = fd;
  fd = -1;
  n = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
  /* The number is for the message alone: a full disk must not keep a run from reading its own files. */
  if (ftruncate((*lock)->fd, 0) == 0 && pwrite((*lock)->fd, owner, (size_t)n, 0) != n) (void)ftruncate((*lock)->fd, 0);
done:
  if (fd >= 0) close(fd);
  return status;
}

void fv_lock_release(fv_lock *lock) {
  if (!lock) return;
  close(lock->fd);
  fv_free(lock);
}
