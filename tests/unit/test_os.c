/* SPDX-License-Identifier: Apache-2.0 */
/* test_os.c: files, directories, locks, clock, processor, signals, libraries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/cgroup.h"
#include "os/os.h"

static fv_arena *arena;
static char *dir; /* a fresh one for each test */

static int setup(void **state) {
  (void)state;
  const char *tmp = getenv("TMPDIR");
  if (fv_arena_new(&arena) != FV_OK) return -1;
  dir = fv_arena_printf(arena, "%s/fovea-test-XXXXXX", tmp ? tmp : "/tmp");
  return dir && mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  fv_status status = fv_dir_remove(dir);
  bool gone = !fv_path_exists(dir);
  fv_arena_free(arena);
  return status == FV_OK && gone ? 0 : -1;
}

static char *in_dir(const char *name) { return fv_path_join(arena, dir, name); }

static void assert_holds(const char *path, const char *text) {
  uint8_t *data;
  size_t size;
  assert_int_equal(fv_file_read(path, 1 << 20, &data, &size), FV_OK);
  assert_int_equal(size, strlen(text));
  assert_string_equal((char *)data, text);
  fv_free(data);
}

/* How many files there are, dot files too. */
static int count_files(const char *path) {
  char *command = fv_arena_printf(arena, "ls -A '%s' | wc -l", path);
  int n = -1;
  FILE *f = popen(command, "r");
  assert_non_null(f);
  assert_int_equal(fscanf(f, "%d", &n), 1);
  pclose(f);
  return n;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static void test_map_and_read_agree(void **state) {
  (void)state;
  fv_map map;
  uint8_t *data;
  size_t size;
  assert_int_equal(fv_map_open("/proc/self/exe", &map), FV_OK);
  assert_int_equal(fv_file_read("/proc/self/exe", SIZE_MAX - 1, &data, &size), FV_OK);
  assert_true(size > 1000 && size == map.size);
  assert_memory_equal(map.data, "\177ELF", 4);
  assert_memory_equal(map.data, data, size);
  assert_int_equal(data[size], 0);
  fv_free(data);
  fv_map_close(&map);
  assert_int_equal(map.size, 0);

  assert_int_equal(fv_file_write(in_dir("empty"), "", 0), FV_OK);
  assert_int_equal(fv_map_open(in_dir("empty"), &map), FV_OK);
  assert_true(map.size == 0 && map.data != NULL);
  fv_map_close(&map);
  assert_holds(in_dir("empty"), "");
  /* files whose size is not known before */
  assert_int_equal(fv_file_read("/proc/self/status", 1 << 20, &data, &size), FV_OK);
  assert_true(size > 100);
  fv_free(data);
}

static void test_read_failures(void **state) {
  (void)state;
  fv_map map;
  uint8_t *data = (uint8_t *)dir;
  size_t size;
  char *missing = in_dir("missing.png");
  assert_int_equal(fv_map_open(missing, &map), FV_ERR_NOTFOUND);
  assert_string_equal(fv_error_message(),
                      fv_arena_printf(arena, "read (%s): expected a readable file, got 'No such file or directory'",
                                      missing));
  assert_int_equal(fv_map_open(dir, &map), FV_ERR_REQUEST);
  assert_true(map.size == 0 && map.data != NULL);
  assert_int_equal(fv_file_read(missing, 100, &data, &size), FV_ERR_NOTFOUND);
  assert_null(data);
  assert_int_equal(fv_file_read(dir, 100, &data, &size), FV_ERR_REQUEST);

  assert_int_equal(mkfifo(in_dir("pipe"), 0600), 0);
  assert_int_equal(fv_map_open(in_dir("pipe"), &map), FV_ERR_REQUEST); /* and does not hang */

  char *ten = in_dir("ten");
  assert_int_equal(fv_file_write(ten, "0123456789", 10), FV_OK);
  assert_int_equal(fv_file_read(ten, 10, &data, &size), FV_OK);
  fv_free(data);
  assert_int_equal(fv_file_read(ten, 9, &data, &size), FV_ERR_CORRUPT);
  assert_non_null(strstr(fv_error_message(), "expected at most 9 bytes"));
  assert_int_equal(fv_file_read("/dev/zero", 100000, &data, &size), FV_ERR_CORRUPT); /* a file without an end */
  fv_memory_fail_after(1);
  assert_int_equal(fv_file_read(ten, 100, &data, &size), FV_ERR_MEMORY);
  fv_memory_fail_after(0);
}

/* ---- the atomic writer ------------------------------------------------------------------------------------------- */
static void test_writer_shows_all_or_nothing(void **state) {
  (void)state;
  char *path = in_dir("model.bin");
  fv_writer *w;
  assert_int_equal(fv_file_write(path, "old", 3), FV_OK);
  assert_int_equal(fv_writer_open(path, &w), FV_OK);
  assert_int_equal(fv_writer_write(w, "new ", 4), FV_OK);
  assert_int_equal(fprintf(fv_writer_stdio(w), "%d", 7), 1);
  assert_int_equal(fflush(fv_writer_stdio(w)), 0);
  assert_holds(path, "old");
  assert_holds(fv_writer_path(w), "new 7");
  assert_int_equal(fv_writer_commit(w), FV_OK);
  assert_holds(path, "new 7");

  assert_int_equal(fv_writer_open(path, &w), FV_OK);
  assert_int_equal(fv_writer_write(w, "third", 5), FV_OK);
  fv_writer_abort(w);
  fv_writer_abort(NULL);
  assert_holds(path, "new 7");
  assert_int_equal(count_files(dir), 1);

  /* two at once, to one target: the later commit wins */
  fv_writer *a, *b;
  assert_int_equal(fv_writer_open(path, &a), FV_OK);
  assert_int_equal(fv_writer_open(path, &b), FV_OK);
  assert_int_equal(fv_writer_write(a, "a", 1), FV_OK);
  assert_int_equal(fv_writer_write(b, "b", 1), FV_OK);
  assert_int_equal(fv_writer_commit(b), FV_OK);
  assert_int_equal(fv_writer_commit(a), FV_OK);
  assert_holds(path, "a");

  /* a library that opens the name itself */
  assert_int_equal(fv_writer_open(path, &w), FV_OK);
  FILE *f = fopen(fv_writer_path(w), "wb");
  assert_non_null(f);
  fputs("by name", f);
  fclose(f);
  assert_int_equal(fv_writer_commit(w), FV_OK);
  assert_holds(path, "by name");
  assert_int_equal(count_files(dir), 1);
}

static void test_writer_in_working_directory(void **state) {
  (void)state;
  char here[4096];
  assert_non_null(getcwd(here, sizeof here));
  assert_int_equal(chdir(dir), 0);
  fv_status status = fv_file_write("plain.txt", "x", 1);
  assert_int_equal(chdir(here), 0);
  assert_int_equal(status, FV_OK);
  assert_holds(in_dir("plain.txt"), "x");
}

/* A killed writer leaves its part file; the next writer to the same target takes it away, and only that. */
static void test_writer_sweeps_what_was_killed(void **state) {
  (void)state;
  char *path = in_dir("model.bin");
  assert_int_equal(fv_file_write(path, "old", 3), FV_OK);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    fv_writer *w;
    if (fv_writer_open(path, &w) != FV_OK || fv_writer_write(w, "half", 4) != FV_OK) _exit(1);
    fflush(fv_writer_stdio(w));
    raise(SIGKILL);
  }
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how));
  assert_int_equal(count_files(dir), 2);
  assert_holds(path, "old");
  fv_writer *other;
  assert_int_equal(fv_writer_open(in_dir("model"), &other), FV_OK); /* its name begins like the target's */
  assert_int_equal(count_files(dir), 3);
  assert_int_equal(fv_file_write(path, "new", 3), FV_OK);
  assert_int_equal(count_files(dir), 2); /* the target and the part that is being written */
  assert_int_equal(fv_writer_commit(other), FV_OK);
  assert_holds(path, "new");
}

static void test_writer_failures(void **state) {
  (void)state;
  fv_writer *w;
  assert_int_equal(fv_writer_open(in_dir("no/such/file"), &w), FV_ERR_NOTFOUND);
  assert_null(w);
  assert_non_null(strstr(fv_error_message(), in_dir("no/such/file")));
  assert_int_equal(fv_writer_open(dir, &w), FV_ERR_REQUEST);
  assert_int_equal(fv_writer_open("/dev/full", &w), FV_ERR_REQUEST);
  assert_int_equal(fv_writer_open("", &w), FV_ERR_REQUEST);
  char *path = in_dir("memory");
  for (uint64_t n = 1; n < 8; n++) {
    int64_t live = fv_memory_get_stats().live_bytes;
    fv_memory_fail_after(n);
    fv_status status = fv_file_write(path, "x", 1);
    fv_memory_fail_after(0);
    assert_int_equal(status, n <= 4 ? FV_ERR_MEMORY : FV_OK);
    assert_int_equal(fv_memory_get_stats().live_bytes, live);
  }
}

/* Writes `bytes` bytes to path; the old file must survive a failure and no part file may stay. */
static fv_status write_much(const char *path, size_t bytes) {
  char *zeros = fv_alloc(bytes);
  assert_non_null(zeros);
  fv_status status = fv_file_write(path, zeros, bytes);
  fv_free(zeros);
  return status;
}

static void assert_one_line_about(const char *path, const char *reason) {
  const char *form = "write (%s): expected a place that can be written, got '%s'";
  assert_string_equal(fv_error_message(), fv_arena_printf(arena, form, path, reason));
}

static void test_writer_at_a_size_limit(void **state) {
  (void)state;
  char *path = in_dir("big");
  assert_int_equal(fv_file_write(path, "old", 3), FV_OK);
  struct rlimit before, limit;
  getrlimit(RLIMIT_FSIZE, &before);
  limit = (struct rlimit){.rlim_cur = 10000, .rlim_max = before.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  fv_status at_write = write_much(path, 1 << 20);
  char *message = fv_arena_strdup(arena, fv_error_message());
  fv_writer *w;
  fv_status opened = fv_writer_open(path, &w);
  for (int i = 0; i < 20000; i++) putc('x', fv_writer_stdio(w));
  setrlimit(RLIMIT_FSIZE, &before);
  fv_status at_commit = fv_writer_commit(w); /* what failed behind the FILE * stays failed when there is room again */
  assert_int_equal(at_write, FV_ERR_IO);
  assert_non_null(strstr(message, "got 'File too large'"));
  assert_int_equal(opened, FV_OK);
  assert_int_equal(at_commit, FV_ERR_IO);
  assert_holds(path, "old");
  assert_int_equal(count_files(dir), 1);
}

static void test_writer_on_a_full_or_read_only_disk(void **state) {
  (void)state;
  if (mount("tmpfs", dir, "tmpfs", 0, "size=64k") != 0) skip(); /* not allowed here */
  char *path = in_dir("model.bin");
  fv_status old = fv_file_write(path, "old", 3), full = write_much(path, 1 << 20);
  char *full_message = fv_arena_strdup(arena, fv_error_message());
  int files = count_files(dir);
  int frozen = mount("tmpfs", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL);
  fv_status read_only = fv_file_write(path, "new", 3), made = fv_dir_make(in_dir("a/b")), same = fv_dir_make(dir);
  fv_status removed = fv_file_remove(path);
  uint8_t *data = NULL;
  size_t size = 0;
  fv_status kept = fv_file_read(path, 10, &data, &size);
  umount(dir);
  assert_int_equal(old, FV_OK);
  assert_int_equal(full, FV_ERR_IO);
  assert_string_equal(full_message, fv_arena_printf(arena, "write (%s): expected a place that can be written, got 'No "
                                                           "space left on device'", path));
  assert_int_equal(files, 1);
  assert_int_equal(frozen, 0);
  assert_int_equal(read_only, FV_ERR_IO);
  assert_int_equal(made, FV_ERR_IO);
  assert_int_equal(same, FV_OK);
  assert_int_equal(removed, FV_ERR_IO);
  assert_int_equal(kept, FV_OK);
  assert_int_equal(size, 3);
  fv_free(data);
}

static void test_writer_without_permission(void **state) {
  (void)state;
  char *closed = in_dir("closed"), *path = in_dir("closed/x");
  assert_int_equal(fv_dir_make(closed), FV_OK);
  assert_int_equal(chmod(closed, 0555), 0);
  uid_t me = geteuid();
  if (me == 0) assert_int_equal(chmod(dir, 0755) | seteuid(65534), 0); /* root may write anywhere */
  fv_status status = fv_file_write(path, "x", 1);
  char *message = fv_arena_strdup(arena, fv_error_message());
  fv_lock *lock;
  fv_status locked = fv_lock_take(closed, &lock);
  if (me == 0) assert_int_equal(seteuid(me), 0);
  chmod(closed, 0755);
  assert_int_equal(status, FV_ERR_IO);
  assert_int_equal(locked, FV_ERR_IO);
  (void)FV_FAIL(status, "%s", message);
  assert_one_line_about(path, "Permission denied");
}

/* ---- directories ------------------------------------------------------------------------------------------------- */
static void test_directories(void **state) {
  (void)state;
  char **names;
  size_t n;
  assert_int_equal(fv_dir_make(in_dir("a/b//c/")), FV_OK);
  assert_int_equal(fv_dir_make(in_dir("a/b/c")), FV_OK);
  assert_true(fv_path_is_dir(in_dir("a/b/c")));
  const char *const files[] = {"b10", "b2", "\xc3\xa9", "A", ".hidden", "a z"};
  for (size_t i = 0; i < FV_COUNT(files); i++)
    assert_int_equal(fv_file_write(fv_path_join(arena, in_dir("a/b"), files[i]), "12345", 5), FV_OK);
  assert_int_equal(fv_dir_list(in_dir("a/b"), arena, &names, &n), FV_OK);
  const char *const expected[] = {"A", "a z", "b10", "b2", "c", "\xc3\xa9"};
  assert_int_equal(n, FV_COUNT(expected));
  for (size_t i = 0; i < n; i++) assert_string_equal(names[i], expected[i]);
  assert_int_equal(fv_dir_list(in_dir("a/b/c"), arena, &names, &n), FV_OK);
  assert_int_equal(n, 0);
  assert_int_equal(fv_dir_list(in_dir("none"), arena, &names, &n), FV_ERR_NOTFOUND);
  assert_int_equal(fv_dir_list(in_dir("a/b/A"), arena, &names, &n), FV_ERR_NOTFOUND);

  assert_int_equal(fv_file_size(in_dir("a/b/A")), 5);
  assert_int_equal(fv_file_size(in_dir("a/b")), -1);
  assert_int_equal(fv_file_size(in_dir("none")), -1);
  assert_int_equal(fv_dir_make(in_dir("a/b/A")), FV_ERR_REQUEST);
  assert_int_equal(fv_dir_make(in_dir("a/b/A/d")), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "expected a directory, got a file"));

  /* what a link points to is not removed with the link */
  assert_int_equal(symlink(in_dir("a/b"), in_dir("link")), 0);
  assert_int_equal(fv_dir_make(in_dir("other")), FV_OK);
  assert_int_equal(symlink(in_dir("a/b"), in_dir("other/link")), 0);
  assert_int_equal(fv_dir_remove(in_dir("other")), FV_OK);
  assert_false(fv_path_exists(in_dir("other")));
  assert_int_equal(fv_file_size(in_dir("a/b/A")), 5);
  assert_int_equal(fv_dir_remove(in_dir("a")), FV_OK);
  assert_false(fv_path_exists(in_dir("a")));
  assert_int_equal(fv_dir_remove(in_dir("a")), FV_OK);
  assert_int_equal(fv_file_remove(in_dir("a")), FV_OK);
}

static void test_names(void **state) {
  (void)state;
  assert_string_equal(fv_path_join(arena, "runs", "x"), "runs/x");
  assert_string_equal(fv_path_join(arena, "runs/", "x"), "runs/x");
  assert_string_equal(fv_path_join(arena, "/", "x"), "/x");
  assert_string_equal(fv_path_join(arena, "", "x"), "x");
  assert_string_equal(fv_path_join(arena, "runs", "/x"), "/x");
  unsetenv("FOVEA_CACHE");
  setenv("XDG_CACHE_HOME", "/xdg", 1);
  setenv("HOME", "/home/me", 1);
  assert_string_equal(fv_cache_dir(arena), "/xdg/fovea");
  setenv("XDG_CACHE_HOME", "relative", 1);
  assert_string_equal(fv_cache_dir(arena), "/home/me/.cache/fovea");
  setenv("FOVEA_CACHE", "/mine", 1);
  assert_string_equal(fv_cache_dir(arena), "/mine");
}

static void test_lock(void **state) {
  (void)state;
  fv_lock *first, *second;
  assert_int_equal(fv_lock_take(dir, &first), FV_OK);
  assert_int_equal(fv_lock_take(dir, &second), FV_ERR_REQUEST);
  assert_null(second);
  assert_string_equal(fv_error_message(),
                      fv_arena_printf(arena, "lock (%s): expected no other run in this directory, got process %ld", dir,
                                      (long)getpid()));
  fv_lock_release(first);
  assert_int_equal(fv_lock_take(dir, &second), FV_OK);
  fv_lock_release(second);
  fv_lock_release(NULL);

  pid_t child = fork(); /* a lock does not outlive the process that took it */
  assert_true(child >= 0);
  if (child == 0) {
    if (fv_lock_take(dir, &first) == FV_OK) raise(SIGKILL);
    _exit(1);
  }
  int how;
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how));
  assert_int_equal(fv_lock_take(dir, &second), FV_OK);
  fv_lock_release(second);
  assert_int_equal(fv_lock_take(in_dir("none"), &second), FV_ERR_NOTFOUND);
}

/* ---- processor, time, signals, libraries ------------------------------------------------------------------------- */
static void test_cpu(void **state) {
  (void)state;
  unsetenv("FOVEA_ISA");
  assert_int_equal(fv_cpu_init(), FV_OK);
  fv_isa best = fv_cpu_isa();
  assert_true(fv_cpu_has(FV_ISA_BASE) && fv_cpu_has(best));
#if defined(__x86_64__)
  /* The compiler's library asks the processor in its own way. */
  __builtin_cpu_init();
  bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  assert_int_equal(best, avx512 ? FV_ISA_AVX512 : avx2 ? FV_ISA_AVX2 : FV_ISA_BASE);
  assert_false(fv_cpu_has(FV_ISA_NEON));
  const char *const foreign = "neon";
#else
  const char *const foreign = "avx2";
#endif
  setenv("FOVEA_ISA", "base", 1);
  assert_int_equal(fv_cpu_init(), FV_OK);
  assert_int_equal(fv_cpu_isa(), FV_ISA_BASE);
  assert_false(best != FV_ISA_BASE && fv_cpu_has(best));
  setenv("FOVEA_ISA", foreign, 1);
  assert_int_equal(fv_cpu_init(), FV_ERR_REQUEST);
  assert_int_equal(strncmp(fv_error_message(), "FOVEA_ISA: expected a level this processor has (base", 52), 0);
  assert_int_equal(fv_cpu_isa(), best);
  setenv("FOVEA_ISA", "avx9", 1);
  assert_int_equal(fv_cpu_init(), FV_ERR_REQUEST);
  unsetenv("FOVEA_ISA");
  assert_int_equal(fv_cpu_init(), FV_OK);
  assert_true(fv_cpu_count() >= 1 && fv_cpu_count() <= sysconf(_SC_NPROCESSORS_CONF));
}

static double quota(const char *self, const char *file, const char *text) {
  assert_int_equal(fv_file_write(in_dir("self"), self, strlen(self)), FV_OK);
  assert_int_equal(fv_file_write(in_dir(file), text, strlen(text)), FV_OK);
  double found = fv_cgroup_processors(in_dir("self"), dir);
  assert_int_equal(fv_file_remove(in_dir(file)), FV_OK);
  return found;
}

static void test_container_quota(void **state) {
  (void)state;
  assert_int_equal(fv_dir_make(in_dir("pod/box")), FV_OK);
  assert_int_equal(fv_dir_make(in_dir("cpu/pod/box")), FV_OK);
  const char *const v2 = "0::/pod/box\n", *const v1 = "5:cpuset:/x\n4:cpu,cpuacct:/pod/box\n0::/\n";
  assert_true(quota(v2, "pod/box/cpu.max", "150000 100000\n") == 1.5);
  assert_true(quota(v2, "pod/box/cpu.max", "max 100000\n") == 0);
  assert_true(quota(v2, "pod/cpu.max", "400000 100000\n") == 4); /* the group above limits too */
  assert_true(quota(v2, "cpu.max", "300000 100000\n") == 3);     /* and the host's path may not be visible */
  assert_true(quota("0::/\n", "cpu.max", "50000 100000\n") == 0.5);
  assert_true(quota("0::/elsewhere/far\n", "cpu.max", "50000 100000\n") == 0.5);
  assert_int_equal(fv_file_write(in_dir("cpu/pod/box/cpu.cfs_period_us"), "100000\n", 7), FV_OK);
  assert_true(quota(v1, "cpu/pod/box/cpu.cfs_quota_us", "250000\n") == 2.5);
  assert_true(quota(v1, "cpu/pod/box/cpu.cfs_quota_us", "-1\n") == 0);
  assert_int_equal(fv_file_write(in_dir("pod/cpu.max"), "200000 100000\n", 14), FV_OK);
  assert_true(quota(v2, "pod/box/cpu.max", "800000 100000\n") == 2); /* the tightest counts */
  assert_true(quota("garbage\n::\n", "x", "") == 0);
  assert_true(fv_cgroup_processors(in_dir("none"), dir) == 0);
}

static void test_clock_and_memory(void **state) {
  (void)state;
  double start = fv_seconds();
  usleep(20000);
  double took = fv_seconds() - start;
  assert_true(took >= 0.02 && took < 5);
  assert_true(fv_wall_seconds() > 1.7e9);
  int64_t before = fv_peak_rss_bytes();
  assert_true(before > 1 << 20);
  void *slab;
  assert_int_equal(fv_slab_new(&(fv_ledger){0}, FV_ACCOUNT_DATA, 64 << 20, &slab), FV_OK);
  memset(slab, 1, 64 << 20);
  fv_slab_free(slab);
  assert_true(fv_peak_rss_bytes() - before > 50 << 20);
}

static void test_stop(void **state) {
  (void)state;
  int how;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    fv_stop_catch();
    if (fv_stop_requested()) _exit(1);
    raise(SIGTERM);
    if (!fv_stop_requested()) _exit(2);
    raise(SIGTERM); /* impatience of the polite kind changes nothing */
    raise(SIGINT);
    raise(SIGINT);
    _exit(3); /* not reached */
  }
  assert_int_equal(waitpid(child, &how, 0), child);
  assert_true(WIFSIGNALED(how));
  assert_int_equal(WTERMSIG(how), SIGINT);
  assert_false(fv_stop_requested());
}

static void test_terminal(void **state) {
  (void)state;
  int fd = open("/dev/null", O_RDONLY);
  assert_false(fv_is_terminal(fd));
  assert_int_equal(fv_terminal_columns(fd), 80);
  close(fd);
}

static void test_library(void **state) {
  (void)state;
  void *functions[2] = {NULL, NULL};
  const char *const maths[] = {"cos", "floor", NULL}, *const none[] = {"no_such", NULL};
  assert_int_equal(fv_library_load("libm.so.6", "libc6", maths, functions), FV_OK);
  double (*cosine)(double);
  memcpy(&cosine, &functions[0], sizeof cosine);
  assert_true(cosine(0) == 1);
  assert_int_equal(fv_library_load("libm.so.6", "libc6", none, functions), FV_ERR_NOTFOUND);
  assert_non_null(strstr(fv_error_message(), "no_such"));
  assert_int_equal(fv_library_load("libnone.so.9", "libnone9", none, functions), FV_ERR_NOTFOUND);
  assert_non_null(strstr(fv_error_message(), "library (libnone.so.9)"));
  assert_non_null(strstr(fv_error_message(), "libnone9"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_map_and_read_agree), TEST(test_read_failures), TEST(test_writer_shows_all_or_nothing),
      TEST(test_writer_in_working_directory), TEST(test_writer_sweeps_what_was_killed), TEST(test_writer_failures),
      TEST(test_writer_at_a_size_limit), TEST(test_writer_on_a_full_or_read_only_disk),
      TEST(test_writer_without_permission), TEST(test_directories), TEST(test_names), TEST(test_lock), TEST(test_cpu),
      TEST(test_container_quota), TEST(test_clock_and_memory), TEST(test_stop), TEST(test_terminal), TEST(test_library),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
