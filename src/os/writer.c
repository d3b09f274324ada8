/* SPDX-License-Identifier: Apache-2.0 */
/* writer.c: files that appear complete or not at all.
 *
 * The bytes go to ".NAME.PID.N.part" beside the target; commit flushes them to the disk, renames the file over the
 * target and flushes the directory. The writer holds a lock on its temporary file, and the system drops the lock when
 * the process ends however it ends: a part file that can be locked is the leftover of a killed run, and the next writer
 * to the same target removes it. */
#include "os/fail.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct fv_writer {
  char *path, *dir, *temp; /* the target, its directory, the temporary file */
  FILE *file;
  int error; /* errno of the first write that failed */
};

static const char wanted[] = "a place that can be written";
static const char suffix[] = ".part";

static char *directory_of(const char *path) {
  const char *slash = strrchr(path, '/');
  if (!slash) return fv_strdup(".");
  char *dir = fv_strdup(path);
  if (dir) dir[slash == path ? 1 : slash - path] = 0;
  return dir;
}

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* ".NAME.<digits and dots>.part" */
static bool is_part_of(const char *file, const char *name) {
  size_t n = strlen(name);
  if (file[0] != '.' || strncmp(file + 1, name, n) != 0 || file[n + 1] != '.') return false;
  const char *rest = file + n + 1;
  return strcmp(rest + strspn(rest, ".0123456789"), suffix + 1) == 0;
}

static void sweep(const char *dir, const char *name) {
  DIR *d = opendir(dir);
  if (!d) return; /* what is wrong with the directory shows when the file is made */
  for (struct dirent *e; (e = readdir(d));) {
    if (!is_part_of(e->d_name, name)) continue;
    int fd = openat(dirfd(d), e->d_name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlinkat(dirfd(d), e->d_name, 0);
    close(fd);
  }
  closedir(d);
}

/* A new, locked temporary file; -1 with errno. Another writer's sweep may come between making and locking: then the
 * next number is tried. */
static int make_part(fv_writer *w) {
  static atomic_uint serial;
  size_t room = strlen(w->path) + 64;
  w->temp = fv_alloc(room);
  if (!w->temp) return errno = ENOMEM, -1;
  for (int tries = 0; tries < 100; tries++) {
    snprintf(w->temp, room, "%s/.%s.%ld.%u%s", w->dir, name_of(w->path), (long)getpid(), serial++, suffix);
    int fd = open(w->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return -1;
    struct stat st;
    /* Where locks are not supported there is no sweep either. */
    bool taken = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!taken && fstat(fd, &st) == 0 && st.st_nlink > 0) return fd;
    close(fd);
  }
  return errno = EEXIST, -1;
}

static void free_writer(fv_writer *w) {
  fv_free(w->path);
  fv_free(w->dir);
  fv_free(w->temp);
  fv_free(w);
}

static fv_status check_target(const char *path) {
  struct stat st;
  FV_REQUIRE(*name_of(path), FV_ERR_REQUEST, "write (%s): expected a file's name, got a directory's", path);
  bool special = stat(path, &st) == 0 && !S_ISREG(st.st_mode);
  FV_REQUIRE(!special, FV_ERR_REQUEST, "write (%s): expected a file or nothing there, got %s", path,
             S_ISDIR(st.st_mode) ? "a directory" : "a device or pipe");
  return FV_OK;
}

fv_status fv_writer_open(const char *path, fv_writer **writer) {
  fv_status status = FV_OK;
  fv_writer *w = NULL;
  int fd = -1;
  *writer = NULL;
  FV_TRY(check_target(path));
  FV_TRY(FV_NEW(&w, 1));
  w->path = fv_strdup(path);
  w->dir = directory_of(path);
  FV_REQUIRE_DONE(w->path && w->dir, FV_ERR_MEMORY, "write (%s): expected memory for a name, got none", path);
  sweep(w->dir, name_of(path));
  fd = make_part(w);
  w->file = fd < 0 ? NULL : fdopen(fd, "wb");
  if (!w->file) {
    status = FV_FAIL_OS(errno, "write", path, wanted);
    if (fd >= 0) {
      unlink(w->temp);
      close(fd);
    }
    goto done;
  }
  *writer = w;
  w = NULL;
done:
  if (w) free_writer(w);
  return status;
}

fv_status fv_writer_write(fv_writer *w, const void *bytes, size_t n) {
  if (n == 0 || fwrite(bytes, 1, n, w->file) == n) return FV_OK;
  if (!w->error) w->error = errno ? errno : EIO;
  return FV_FAIL_OS(w->error, "write", w->path, wanted);
}

FILE *fv_writer_stdio(fv_writer *w) { return w->file; }

const char *fv_writer_path(const fv_writer *w) { return w->temp; }

/* 0 or errno. Some systems cannot flush a directory; the rename has happened all the same. */
static int flush_directory(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
  close(fd);
  return error;
}

/* 0 or errno of the first step that failed. The lock is dropped by fclose, so the file is renamed before. */
static int publish(fv_writer *w) {
  if (w->error) return w->error;
  errno = 0;
  if (fflush(w->file) != 0) return errno ? errno : EIO;
  if (ferror(w->file)) return EIO; /* a library's write failed; its errno is gone */
  if (fsync(fileno(w->file)) != 0) return errno;
  if (rename(w->temp, w->path) != 0) return errno;
  return flush_directory(w->dir);
}

fv_status fv_writer_commit(fv_writer *w) {
  int error = publish(w);
  fv_status status = error ? FV_FAIL_OS(error, "write", w->path, wanted) : FV_OK;
  fv_writer_abort(w);
  return status;
}

/* After a commit there is no temporary file any more, and removing it changes nothing. */
void fv_writer_abort(fv_writer *w) {
  if (!w) return;
  unlink(w->temp);
  fclose(w->file);
  free_writer(w);
}

fv_status fv_file_write(const char *path, const void *bytes, size_t n) {
  fv_writer *w;
  FV_TRY(fv_writer_open(path, &w));
  fv_status status = fv_writer_write(w, bytes, n);
  if (status != FV_OK) {
    fv_writer_abort(w);
    return status;
  }
  return fv_writer_commit(w);
}
