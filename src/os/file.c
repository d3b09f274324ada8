/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: files read whole, mapped or copied. */
#include "os/fail.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char wanted[] = "a readable file";

fv_status fv_map_open(const char *path, fv_map *map) {
  fv_status status = FV_OK;
  struct stat st;
  *map = (fv_map){.data = (const uint8_t *)""};
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hang */
  if (fd < 0) return FV_FAIL_OS(errno, "read", path, wanted);
  if (fstat(fd, &st) != 0) {
    status = FV_FAIL_OS(errno, "read", path, wanted);
    goto done;
  }
  FV_REQUIRE_DONE(S_ISREG(st.st_mode), FV_ERR_REQUEST, "read (%s): expected a file, got %s", path,
                  S_ISDIR(st.st_mode) ? "a directory" : "something else");
  if (st.st_size == 0) goto done;
  void *base = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (base == MAP_FAILED) {
    status = FV_FAIL_OS(errno, "read", path, wanted);
    goto done;
  }
  *map = (fv_map){.data = base, .size = (size_t)st.st_size, .base = base};
done:
  close(fd);
  return status;
}

void fv_map_close(fv_map *map) {
  if (map->base) munmap(map->base, map->size);
  *map = (fv_map){.data = (const uint8_t *)""};
}

/* Fills *bytes of *cap from fd to the file's end, but no more than limit + 1 bytes. Returns the size, -1 on a read
 * error (errno) or without memory (ENOMEM). */
static ssize_t read_all(int fd, size_t limit, uint8_t **bytes, size_t cap) {
  size_t n = 0;
  for (;;) {
    if (n == cap) {
      uint8_t *more = fv_realloc(*bytes, 2 * cap + 1);
      if (!more) return errno = ENOMEM, -1;
      *bytes = more;
      cap = 2 * cap;
    }
    ssize_t got = read(fd, *bytes + n, cap - n);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    n += (size_t)got;
    if (got == 0 || n > limit) return (ssize_t)n;
  }
}

fv_status fv_file_read(const char *path, size_t limit, uint8_t **data, size_t *size) {
  fv_status status = FV_OK;
  struct stat st;
  uint8_t *bytes = NULL;
  *data = NULL;
  *size = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FV_FAIL_OS(errno, "read", path, wanted);
  /* The size is a hint: pipes and files of /proc say 0. */
  size_t cap = fstat(fd, &st) == 0 && st.st_size > 0 ? FV_MIN((size_t)st.st_size, limit) + 1 : 4096;
  bytes = fv_alloc(cap + 1);
  ssize_t n = bytes ? read_all(fd, limit, &bytes, cap) : (errno = ENOMEM, -1);
  if (n < 0) {
    status = FV_FAIL_OS(errno, "read", path, wanted);
    goto done;
  }
  FV_REQUIRE_DONE((size_t)n <= limit, FV_ERR_CORRUPT, "read (%s): expected at most %zu bytes, got more", path, limit);
  bytes[n] = 0;
  *data = bytes;
  *size = (size_t)n;
  bytes = NULL;
done:
  fv_free(bytes);
  close(fd);
  return status;
}

bool fv_path_exists(const char *path) { return access(path, F_OK) == 0; }

bool fv_path_is_dir(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t fv_file_size(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, R_OK) == 0 ? st.st_size : -1;
}

fv_status fv_file_remove(const char *path) {
  if (unlink(path) == 0 || errno == ENOENT) return FV_OK;
  return FV_FAIL_OS(errno, "remove", path, "a file that may be removed");
}
