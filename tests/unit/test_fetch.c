/* SPDX-License-Identifier: Apache-2.0 */
/* test_fetch.c: downloads from a server of our own on 127.0.0.1 that cuts off, redirects, lies and forgets ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/sets.h"

enum { BYTES = 300000, CUT = 100000 };

static struct server {
  int listener;
  int port;
  pthread_t thread;
  uint8_t body[BYTES];
  char sha256[65];
  atomic_int requests, ranges;
} server;

/* ---- the server -------------------------------------------------------------------------------------------------- */
static void send_all(int fd, const void *bytes, size_t n) {
  for (const char *p = bytes; n > 0;) {
    ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
    if (sent <= 0) return;
    p += sent;
    n -= (size_t)sent;
  }
}

static void send_head(int fd, const char *status, size_t length, const char *more) {
  char head[512];
  int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                   length, more);
  send_all(fd, head, (size_t)n);
}

static void send_body(int fd, const char *request, bool ranges, bool cut) {
  const char *range = strstr(request, "Range: bytes=");
  size_t from = range && ranges ? (size_t)strtoul(range + 13, NULL, 10) : 0, n = BYTES - from;
  char more[128] = "";
  if (range) server.ranges++;
  if (from >= BYTES) {
    send_head(fd, "416 Range Not Satisfiable", 0, "");
    return;
  }
  if (range && ranges) snprintf(more, sizeof more, "Content-Range: bytes %zu-%d/%d\r\n", from, BYTES - 1, BYTES);
  send_head(fd, range && ranges ? "206 Partial Content" : "200 OK", n, more);
  send_all(fd, server.body + from, cut ? FV_MIN(n, (size_t)CUT) : n);
}

static void answer(int fd, const char *request) {
  const char *path = request + 4; /* after "GET " */
  server.requests++;
  if (strncmp(path, "/ok", 3) == 0) send_body(fd, request, true, false);
  else if (strncmp(path, "/cut", 4) == 0) send_body(fd, request, true, true);
  else if (strncmp(path, "/norange", 8) == 0) send_body(fd, request, false, false);
  else if (strncmp(path, "/moved", 6) == 0) send_head(fd, "302 Found", 0, "Location: /ok\r\n");
  else if (strncmp(path, "/loop", 5) == 0) send_head(fd, "302 Found", 0, "Location: /loop\r\n");
  else if (strncmp(path, "/broken", 7) == 0) send_head(fd, "500 Internal Server Error", 0, "");
  else send_head(fd, "404 Not Found", 0, "");
}

static void *serve(void *arg) {
  (void)arg;
  for (;;) {
    char request[4096];
    size_t n = 0;
    int fd = accept(server.listener, NULL, NULL);
    if (fd < 0) return NULL;
    for (ssize_t got = 1; got > 0 && n < sizeof request - 1;) {
      got = recv(fd, request + n, sizeof request - 1 - n, 0);
      if (got > 0) n += (size_t)got;
      request[n] = 0;
      if (strstr(request, "\r\n\r\n")) break;
    }
    if (n > 4) answer(fd, request);
    shutdown(fd, SHUT_WR);
    while (recv(fd, request, sizeof request, 0) > 0) {}
    close(fd);
  }
}

static int start_server(void **state) {
  (void)state;
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  fv_sha256 sha;
  for (int i = 0; i < BYTES; i++) server.body[i] = (uint8_t)(i * 7 + i / 251);
  fv_sha256_init(&sha);
  fv_sha256_update(&sha, server.body, BYTES);
  fv_sha256_final(&sha, server.sha256);
  server.listener = socket(AF_INET, SOCK_STREAM, 0);
  if (server.listener < 0 || bind(server.listener, (struct sockaddr *)&at, sizeof at) != 0 ||
      listen(server.listener, 8) != 0 || getsockname(server.listener, (struct sockaddr *)&at, &size) != 0)
    return -1;
  server.port = ntohs(at.sin_port);
  return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state) {
  (void)state;
  shutdown(server.listener, SHUT_RDWR);
  pthread_join(server.thread, NULL);
  close(server.listener);
  return 0;
}

/* ---- helpers ----------------------------------------------------------------------------------------------------- */
static char dir[64], target[128], part[160], url[128];

static int fresh(void **state) {
  (void)state;
  snprintf(dir, sizeof dir, "/tmp/fovea-fetch-XXXXXX");
  if (!mkdtemp(dir)) return -1;
  snprintf(target, sizeof target, "%s/below/file", dir);
  snprintf(part, sizeof part, "%s.part", target);
  server.requests = server.ranges = 0;
  return 0;
}

static int clear(void **state) {
  (void)state;
  return fv_dir_remove(dir) == FV_OK ? 0 : -1;
}

static fv_status fetch_from(const char *path, fv_progress *progress, void *arg) {
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server.port, path);
  return fv_fetch_file(&(fv_fetch){.url = url, .path = target, .sha256 = server.sha256, .bytes = BYTES,
                                   .progress = progress, .progress_arg = arg, .what = "file"});
}

static void write_part(const void *bytes, size_t n) {
  char below[128];
  snprintf(below, sizeof below, "%s/below", dir);
  assert_int_equal(fv_dir_make(below), FV_OK);
  assert_int_equal(fv_file_write(part, bytes, n), FV_OK);
}

static void assert_fetched(void) {
  uint8_t *got;
  size_t n;
  assert_int_equal(fv_file_read(target, BYTES, &got, &n), FV_OK);
  assert_int_equal(n, BYTES);
  assert_memory_equal(got, server.body, BYTES);
  fv_free(got);
  assert_false(fv_path_exists(part));
}

static void assert_fails(fv_status got, fv_status want, const char *says) {
  assert_int_equal(got, want);
  if (!strstr(fv_error_message(), says)) fail_msg("'%s' does not say '%s'", fv_error_message(), says);
  assert_null(strchr(fv_error_message(), '\n'));
  assert_false(fv_path_exists(target));
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */
static void test_whole(void **state) {
  (void)state;
  assert_int_equal(fetch_from("/ok", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(server.requests, 1);
}

static void test_redirect(void **state) {
  (void)state;
  assert_int_equal(fetch_from("/moved", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(server.requests, 2);
}

static void test_resume(void **state) {
  (void)state;
  write_part(server.body, CUT + 17);
  assert_int_equal(fetch_from("/ok", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(server.requests, 1);
  assert_int_equal(server.ranges, 1);
}

/* Two times cut off, each try goes on where the last one ended. */
static void test_cut_off(void **state) {
  (void)state;
  assert_int_equal(fetch_from("/cut", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(server.requests, 3);
  assert_int_equal(server.ranges, 2);
}

static void test_complete_part(void **state) {
  (void)state;
  write_part(server.body, BYTES);
  assert_int_equal(fetch_from("/ok", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(server.requests, 0);
}

static void test_server_without_ranges(void **state) {
  (void)state;
  write_part(server.body, CUT);
  assert_int_equal(fetch_from("/norange", NULL, NULL), FV_OK);
  assert_fetched();
}

/* A part file of something else is found out and thrown away. */
static void test_foreign_part(void **state) {
  (void)state;
  static uint8_t other[BYTES + 5];
  write_part(other, CUT);
  assert_int_equal(fetch_from("/ok", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(unlink(target), 0);
  write_part(other, BYTES + 5);
  assert_int_equal(fetch_from("/ok", NULL, NULL), FV_OK);
  assert_fetched();
}

static void test_wrong_content(void **state) {
  (void)state;
  server.sha256[0] ^= 1;
  fv_status status = fetch_from("/ok", NULL, NULL);
  assert_fails(status, FV_ERR_CORRUPT, "expected SHA-256");
  server.sha256[0] ^= 1;
  assert_non_null(strstr(fv_error_message(), server.sha256));
  assert_false(fv_path_exists(part));
}

static void test_too_long(void **state) {
  (void)state;
  snprintf(url, sizeof url, "http://127.0.0.1:%d/ok", server.port);
  fv_status status = fv_fetch_file(
      &(fv_fetch){.url = url, .path = target, .sha256 = server.sha256, .bytes = BYTES - 1, .what = "file"});
  assert_fails(status, FV_ERR_CORRUPT, "got more");
}

static void test_errors(void **state) {
  (void)state;
  assert_fails(fetch_from("/none", NULL, NULL), FV_ERR_NOTFOUND, "404");
  assert_false(fv_path_exists(part));
  assert_fails(fetch_from("/broken", NULL, NULL), FV_ERR_IO, "500");
  assert_fails(fetch_from("/loop", NULL, NULL), FV_ERR_IO, "redirects");
  int port = server.port;
  server.port = 1; /* nobody listens there */
  assert_fails(fetch_from("/ok", NULL, NULL), FV_ERR_IO, "onnect");
  server.port = port;
}

/* Only where the device is there: opening it for writing would make a file of that name otherwise. */
static void test_disk_full(void **state) {
  (void)state;
  struct stat st;
  if (stat("/dev/full", &st) != 0 || !S_ISCHR(st.st_mode)) skip();
  write_part("", 0);
  assert_int_equal(unlink(part), 0);
  assert_int_equal(symlink("/dev/full", part), 0);
  assert_fails(fetch_from("/ok", NULL, NULL), FV_ERR_IO, "No space left on device");
}

/* A write that fails half-way: what was written stays, and the next call goes on from there. */
static void test_write_fails(void **state) {
  (void)state;
  struct rlimit whole, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &whole), 0);
  small = whole;
  small.rlim_cur = CUT;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  fv_status status = fetch_from("/ok", NULL, NULL);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &whole), 0);
  assert_fails(status, FV_ERR_IO, "File too large");
  assert_int_equal(fv_file_size(part), CUT);
  assert_int_equal(fetch_from("/ok", NULL, NULL), FV_OK);
  assert_fetched();
  assert_int_equal(server.ranges, 1);
}

static bool stop_half(void *arg, const char *what, int64_t done, int64_t total) {
  assert_string_equal(what, "file");
  assert_int_equal(total, BYTES);
  *(int64_t *)arg = done;
  return done < CUT / 2;
}

static bool go_on(void *arg, const char *what, int64_t done, int64_t total) {
  (void)what, (void)total;
  int64_t *least = arg;
  if (*least < 0 && done > 0) *least = done;
  return true;
}

static void test_stopped(void **state) {
  (void)state;
  int64_t done = 0, first = -1;
  assert_fails(fetch_from("/cut", stop_half, &done), FV_ERR_STOPPED, "goes on from");
  int64_t kept = fv_file_size(part);
  assert_true(kept > 0 && kept < BYTES);
  assert_int_equal(fetch_from("/ok", go_on, &first), FV_OK);
  assert_true(first >= kept);
  assert_fetched();
}

static void test_two_at_once(void **state) {
  (void)state;
  fv_lock *lock;
  write_part("", 0);
  char below[128];
  snprintf(below, sizeof below, "%s/below", dir);
  assert_int_equal(fv_lock_take(below, &lock), FV_OK);
  assert_fails(fetch_from("/ok", NULL, NULL), FV_ERR_REQUEST, "no other run");
  fv_lock_release(lock);
}

/* ---- the places of a registered file ----------------------------------------------------------------------------- */
static fv_status need(const char *path) {
  fv_status status;
  fv_arena *arena;
  const char *got;
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server.port, path);
  fv_dataset_def def = {.info = {.name = "test"}};
  fv_data_file file = {"ok/file", url, server.sha256, BYTES, NULL};
  fv_data_open o = {.def = &def};
  assert_int_equal(fv_arena_new(&arena), FV_OK);
  status = fv_data_need(&o, &file, arena, &got);
  snprintf(target, sizeof target, "%s", status == FV_OK ? got : "");
  fv_arena_free(arena);
  return status;
}

static void put(const char *name, const void *bytes, size_t n) {
  char path[128], *slash;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  slash = strrchr(path, '/');
  *slash = 0;
  assert_int_equal(fv_dir_make(path), FV_OK);
  *slash = '/';
  assert_int_equal(fv_file_write(path, bytes, n), FV_OK);
}

static void test_places(void **state) {
  (void)state;
  char mirror[128], cached[160];
  setenv("FOVEA_CACHE", dir, 1);
  unsetenv("FOVEA_DATA_MIRROR");
  snprintf(cached, sizeof cached, "%s/data/ok/file", dir);
  assert_int_equal(need("/ok"), FV_OK); /* the official address */
  assert_string_equal(target, cached);
  assert_int_equal(need("/none"), FV_OK); /* the cache */
  assert_int_equal(server.requests, 1);
  put("mirror/ok/file", server.body, BYTES); /* the mirror, as a directory and as a file address */
  snprintf(mirror, sizeof mirror, "%s/mirror", dir);
  setenv("FOVEA_DATA_MIRROR", mirror, 1);
  assert_int_equal(need("/none"), FV_OK);
  assert_non_null(strstr(target, "/mirror/"));
  snprintf(mirror, sizeof mirror, "file://%s/mirror", dir);
  setenv("FOVEA_DATA_MIRROR", mirror, 1);
  assert_int_equal(need("/none"), FV_OK);
  assert_non_null(strstr(target, "/mirror/"));
  put("mirror/ok/file", "short", 5); /* wrong ones are refused, not passed over */
  assert_int_equal(need("/ok"), FV_ERR_CORRUPT);
  assert_non_null(strstr(fv_error_message(), "expected 300000 bytes, got 5"));
  static uint8_t other[BYTES]; /* of the right length */
  put("mirror/ok/file", other, BYTES);
  assert_int_equal(need("/ok"), FV_ERR_CORRUPT);
  assert_non_null(strstr(fv_error_message(), server.sha256));
  setenv("FOVEA_DATA_MIRROR", "/no/such/folder", 1);
  assert_int_equal(need("/ok"), FV_ERR_NOTFOUND);
  assert_int_equal(unlink(cached), 0); /* the mirror as a web address, then the official one */
  snprintf(mirror, sizeof mirror, "http://127.0.0.1:%d", server.port);
  setenv("FOVEA_DATA_MIRROR", mirror, 1);
  assert_int_equal(need("/none"), FV_OK);
  assert_int_equal(unlink(cached), 0);
  snprintf(mirror, sizeof mirror, "http://127.0.0.1:%d/none/", server.port);
  setenv("FOVEA_DATA_MIRROR", mirror, 1);
  assert_int_equal(need("/ok"), FV_OK);
  assert_int_equal(unlink(cached), 0);
  assert_int_equal(need("/none"), FV_ERR_NOTFOUND);
  unsetenv("FOVEA_DATA_MIRROR");
}

static void test_no_address(void **state) {
  (void)state;
  setenv("FOVEA_CACHE", dir, 1);
  unsetenv("FOVEA_DATA_MIRROR");
  int usps = fv_dataset_find("usps");
  char *path;
  assert_int_equal(fv_data_locate(&fv_dataset_get_info(usps).files[0], &path), FV_OK);
  assert_null(path);
  assert_int_equal(fv_data_get(usps, NULL, NULL), FV_ERR_NOTFOUND);
  assert_int_equal(fv_data_verify(usps, NULL, NULL), FV_ERR_NOTFOUND);
  put("data/usps/test-labels-idx1-ubyte.gz", "x", 1);
  assert_int_equal(fv_data_verify(usps, NULL, NULL), FV_ERR_CORRUPT); /* the wrong one before the missing ones */
  assert_int_equal(fv_data_get(-1, NULL, NULL), FV_ERR_REQUEST);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, clear)
  const struct CMUnitTest tests[] = {
      TEST(test_whole),        TEST(test_redirect),      TEST(test_resume),
      TEST(test_cut_off),      TEST(test_complete_part), TEST(test_server_without_ranges),
      TEST(test_foreign_part), TEST(test_wrong_content), TEST(test_too_long),
      TEST(test_errors),       TEST(test_disk_full),     TEST(test_stopped),
      TEST(test_two_at_once),  TEST(test_places),        TEST(test_no_address),
      TEST(test_write_fails),
  };
  unsetenv("http_proxy");
  unsetenv("all_proxy");
  return cmocka_run_group_tests_name("fetch", tests, start_server, stop_server);
}
