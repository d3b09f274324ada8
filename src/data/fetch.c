/* SPDX-License-Identifier: Apache-2.0 */
/* fetch.c: downloads that survive being cut off. The bytes go to PATH.part; the next try, in this call or a later one,
 * asks for the rest (Range: RFC 9110, section 14). A file gets its name only when its hash is right. libcurl is opened
 * on first use. */
#include "data/sets.h"

#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

#define FUNCTIONS(X)                                              \
  X(global_init) X(easy_init) X(easy_setopt) X(easy_perform)      \
  X(easy_getinfo) X(easy_cleanup) X(easy_strerror)
#undef curl_easy_setopt /* type-checking macros: only the functions' types are wanted here */
#undef curl_easy_getinfo
typedef struct functions {
#define X(name) __typeof__(&curl_##name) name;
  FUNCTIONS(X)
#undef X
} functions;

enum { TRIES = 4, CONNECT_SECONDS = 20, SLOW_BYTES = 100, SLOW_SECONDS = 30 };

typedef struct transfer {
  const fv_fetch *f;
  functions curl;
  char *part;
  FILE *file;
  int64_t have; /* bytes of the part file */
  int error;    /* errno of a failed write */
  bool stopped, too_long;
  char message[CURL_ERROR_SIZE];
} transfer;

static fv_status load(functions *f) {
  static const char *const names[] = {
#define X(name) "curl_" #name,
      FUNCTIONS(X)
#undef X
      NULL};
  void *found[FV_COUNT(names) - 1];
  FV_TRY(fv_library_load("libcurl.so.4", "libcurl4", names, found));
  memcpy(f, found, sizeof *f);
  FV_REQUIRE(f->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK, FV_ERR_IO,
             "download: expected libcurl to start, got an error");
  return FV_OK;
}

static size_t take_bytes(char *bytes, size_t size, size_t n, void *arg) {
  transfer *t = arg;
  n *= size;
  t->too_long = t->f->bytes > 0 && t->have + (int64_t)n > t->f->bytes;
  if (t->too_long) return 0;
  errno = 0;
  if (fwrite(bytes, 1, n, t->file) != n) {
    t->error = errno ? errno : EIO;
    return 0;
  }
  t->have += (int64_t)n;
  return n;
}

static int tell_progress(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now) {
  (void)total, (void)now, (void)up_total, (void)up_now;
  transfer *t = arg;
  t->stopped = t->f->progress && !t->f->progress(t->f->progress_arg, t->f->what, t->have, t->f->bytes);
  return t->stopped;
}

static void set_options(transfer *t, CURL *c) {
  functions *f = &t->curl;
  f->easy_setopt(c, CURLOPT_URL, t->f->url);
  f->easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https,file");
  f->easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  f->easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
  f->easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
  f->easy_setopt(c, CURLOPT_FAILONERROR, 1L);
  f->easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  f->easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
  f->easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
  f->easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
  f->easy_setopt(c, CURLOPT_USERAGENT, "fovea/" FV_VERSION);
  f->easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)t->have);
  f->easy_setopt(c, CURLOPT_WRITEFUNCTION, take_bytes);
  f->easy_setopt(c, CURLOPT_WRITEDATA, t);
  f->easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  f->easy_setopt(c, CURLOPT_XFERINFOFUNCTION, tell_progress);
  f->easy_setopt(c, CURLOPT_XFERINFODATA, t);
  f->easy_setopt(c, CURLOPT_ERRORBUFFER, t->message);
}

/* `keep` bytes of the part file stay, and it is open for more. */
static fv_status open_part(transfer *t, int64_t keep) {
  if (t->file) fclose(t->file);
  t->file = NULL;
  bool cut = fv_file_size(t->part) > keep && truncate(t->part, keep) != 0;
  t->file = cut ? NULL : fopen(t->part, "ab");
  FV_REQUIRE(t->file, FV_ERR_IO, "download (%s): expected to write %s, got '%s'", t->f->url, t->part, strerror(errno));
  t->have = FV_MAX(fv_file_size(t->part), 0);
  return FV_OK;
}

/* What a finished transfer means. *again: worth another try as things are; *anew: worth one from the first byte. */
static fv_status judge(transfer *t, CURLcode code, long http, bool resumed, bool *again, bool *anew) {
  const char *url = t->f->url, *why = *t->message ? t->message : t->curl.easy_strerror(code);
  FV_REQUIRE(!t->stopped, FV_ERR_STOPPED, "download (%s): stopped; the next one goes on from %lld bytes", url,
             (long long)t->have);
  FV_REQUIRE(!t->error, FV_ERR_IO, "download (%s): expected to write %s, got '%s' after %lld bytes", url, t->part,
             strerror(t->error), (long long)t->have);
  *anew = resumed && (t->too_long || code == CURLE_RANGE_ERROR || http == 416);
  FV_REQUIRE(!t->too_long, FV_ERR_CORRUPT, "download (%s): expected %lld bytes, got more", url, (long long)t->f->bytes);
  bool absent = http == 404 || http == 410 || code == CURLE_FILE_COULDNT_READ_FILE;
  FV_REQUIRE(!absent, FV_ERR_NOTFOUND, "download (%s): expected the file there, got '%s'", url, why);
  *again = code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_OPERATION_TIMEDOUT || http >= 500 ||
           code == CURLE_GOT_NOTHING || code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM;
  FV_REQUIRE(code == CURLE_OK, FV_ERR_IO, "download (%s): expected %lld bytes, got %lld, then '%s'", url,
             (long long)t->f->bytes, (long long)t->have, why);
  *again = true; /* a server may end early without a word */
  FV_REQUIRE(t->f->bytes == 0 || t->have == t->f->bytes, FV_ERR_IO, "download (%s): expected %lld bytes, got %lld", url,
             (long long)t->f->bytes, (long long)t->have);
  return FV_OK;
}

static fv_status transfer_once(transfer *t, bool *again, bool *anew) {
  long http = 0;
  bool resumed = t->have > 0;
  CURL *c = t->curl.easy_init();
  *again = *anew = false;
  FV_REQUIRE(c, FV_ERR_MEMORY, "download (%s): no memory", t->f->url);
  *t->message = 0;
  set_options(t, c);
  CURLcode code = t->curl.easy_perform(c);
  t->curl.easy_getinfo(c, CURLINFO_RESPONSE_CODE, &http);
  t->curl.easy_cleanup(c);
  errno = 0;
  if (fflush(t->file) != 0 && !t->error) t->error = errno ? errno : EIO;
  return judge(t, code, http, resumed, again, anew);
}

/* As many tries as bring bytes, within reason. */
static fv_status transfer_all(transfer *t) {
  fv_status status = FV_OK;
  for (int i = 0; i < TRIES; i++) {
    bool again, anew;
    int64_t before = t->have;
    if (t->f->bytes > 0 && t->have == t->f->bytes) return FV_OK;
    status = transfer_once(t, &again, &anew);
    if (status == FV_OK) return FV_OK;
    if (anew) FV_TRY(open_part(t, 0));
    else if (!again || t->have == before) return status;
    t->too_long = false;
  }
  return status;
}

static fv_status check_part(const transfer *t, bool *right) {
  char got[65];
  FV_TRY(fv_data_hash(t->part, false, got));
  *right = strcmp(got, t->f->sha256) == 0;
  if (*right) return FV_OK;
  return FV_FAIL(FV_ERR_CORRUPT, "download (%s): expected SHA-256 %s, got %s", t->f->url, t->f->sha256, got);
}

static fv_status publish(transfer *t) {
  int error = fflush(t->file) == 0 && fsync(fileno(t->file)) == 0 && rename(t->part, t->f->path) == 0 ? 0 : errno;
  FV_REQUIRE(error == 0, FV_ERR_IO, "download (%s): expected to write %s, got '%s'", t->f->url, t->f->path,
             strerror(error));
  return FV_OK;
}

static fv_status fetch_locked(transfer *t) {
  FV_TRY(load(&t->curl));
  FV_TRY(open_part(t, t->f->bytes > 0 ? t->f->bytes : INT64_MAX));
  for (bool resumed = t->have > 0;; resumed = false) {
    bool right = false;
    FV_TRY(transfer_all(t));
    fv_status status = check_part(t, &right);
    if (right) return publish(t);
    /* The bytes found may have been another file's; those just sent are the server's own. */
    FV_TRY(open_part(t, 0));
    if (!resumed) {
      (void)fv_file_remove(t->part);
      return status;
    }
  }
}

static fv_status make_place(const fv_fetch *f, fv_arena *arena, transfer *t, const char **dir) {
  t->part = fv_arena_printf(arena, "%s.part", f->path);
  const char *slash = strrchr(f->path, '/');
  *dir = slash ? fv_arena_printf(arena, "%.*s", (int)(slash - f->path), f->path) : ".";
  FV_REQUIRE(t->part && *dir, FV_ERR_MEMORY, "download (%s): no memory for a name", f->url);
  return fv_dir_make(*dir);
}

fv_status fv_fetch_file(const fv_fetch *f) {
  fv_status status = FV_OK;
  fv_arena *arena = NULL;
  fv_lock *lock = NULL;
  const char *dir;
  transfer t = {.f = f};
  FV_TRY_DONE(fv_arena_new(&arena));
  FV_TRY_DONE(make_place(f, arena, &t, &dir));
  FV_TRY_DONE(fv_lock_take(dir, &lock));
  FV_TRY_DONE(fetch_locked(&t));
done:
  if (t.file) fclose(t.file);
  if (status != FV_OK && t.part && fv_file_size(t.part) == 0) (void)fv_file_remove(t.part);
  fv_lock_release(lock);
  fv_arena_free(arena);
  return status;
}
