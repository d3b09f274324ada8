/* SPDX-License-Identifier: Apache-2.0 */
/* gzip.c: gzip or plain bytes read as one stream through zlib, straight into the caller's buffer (RFC 1952). Members
 * may follow each other, as gzip allows; anything else after the last is refused. zlib counts in unsigned int, so input
 * and output are handed over in pieces. */
#include "io/io.h"

#define PIECE ((size_t)1 << 30)

bool fv_is_gzip(const void *bytes, size_t n) { return n >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0; }

fv_status fv_gzip_open(const void *bytes, size_t n, const char *what, fv_gzip *g) {
  *g = (fv_gzip){.what = what, .rest = n, .packed = fv_is_gzip(bytes, n)};
  g->z.next_in = (Bytef *)(uintptr_t)bytes;
  if (!g->packed) return FV_OK;
  FV_REQUIRE(inflateInit2(&g->z, 15 + 16) == Z_OK, FV_ERR_MEMORY, "%s: no memory to unpack", what);
  return FV_OK;
}

void fv_gzip_close(fv_gzip *g) {
  if (g->packed) inflateEnd(&g->z);
  g->packed = false;
}

size_t fv_gzip_most(const void *bytes, size_t n) {
  if (!fv_is_gzip(bytes, n)) return n;
  return n > SIZE_MAX / 1032 ? SIZE_MAX : n * 1032;
}

static void read_plain(fv_gzip *g, void *out, size_t n, size_t *got) {
  *got = FV_MIN(n, g->rest);
  if (*got == 0) return;
  memcpy(out, g->z.next_in, *got);
  g->z.next_in += *got, g->rest -= *got;
}

fv_status fv_gzip_read(fv_gzip *g, void *out, size_t n, size_t *got) {
  *got = 0;
  if (!g->packed) {
    read_plain(g, out, n, got);
    return FV_OK;
  }
  while (*got < n && !g->ended) {
    size_t room = FV_MIN(n - *got, PIECE), given = FV_MIN(g->rest, PIECE);
    g->z.next_out = (Bytef *)out + *got;
    g->z.avail_out = (uInt)room;
    g->z.avail_in = (uInt)given;
    int r = inflate(&g->z, Z_NO_FLUSH);
    *got += room - g->z.avail_out;
    g->rest -= given - g->z.avail_in;
    if (r == Z_STREAM_END) {
      if (g->rest == 0) g->ended = true;
      else if (inflateReset(&g->z) != Z_OK) return FV_FAIL(FV_ERR_INTERNAL, "%s: cannot unpack", g->what);
      continue;
    }
    FV_REQUIRE(r != Z_MEM_ERROR, FV_ERR_MEMORY, "%s: no memory to unpack", g->what);
    FV_REQUIRE(r != Z_BUF_ERROR && !(r == Z_OK && g->rest == 0 && g->z.avail_out > 0), FV_ERR_CORRUPT,
               "%s: expected a whole gzip file, got one cut short", g->what);
    FV_REQUIRE(r == Z_OK, FV_ERR_CORRUPT, "%s: expected gzip data, got damaged bytes (%s)", g->what,
               g->z.msg ? g->z.msg : "zlib error");
  }
  return FV_OK;
}

fv_status fv_gzip_read_all(const void *bytes, size_t n, const char *what, size_t limit, char **out, size_t *size) {
  fv_status status = FV_OK;
  char *buf = NULL;
  size_t cap = FV_MIN(fv_is_gzip(bytes, n) ? FV_MAX(4 * n, 4096) : n, limit), at = 0, got = 0;
  fv_gzip g;
  FV_TRY(fv_gzip_open(bytes, n, what, &g));
  FV_TRY_DONE(fv_alloc_array((void **)&buf, cap + 1, 1));
  for (;;) {
    FV_TRY_DONE(fv_gzip_read(&g, buf + at, cap - at, &got));
    at += got;
    if (at < cap) break;
    char probe;
    FV_TRY_DONE(fv_gzip_read(&g, &probe, 1, &got));
    if (got == 0) break;
    FV_REQUIRE_DONE(cap < limit, FV_ERR_REQUEST, "%s: expected at most %zu bytes unpacked, got more", what, limit);
    size_t wider = cap > limit / 2 ? limit : 2 * cap;
    char *grown = fv_realloc(buf, wider + 1);
    FV_REQUIRE_DONE(grown, FV_ERR_MEMORY, "%s: no memory for %zu bytes", what, wider);
    buf = grown, cap = wider;
    buf[at++] = probe;
  }
  buf[at] = 0;
  *out = buf, *size = at;
  buf = NULL;
done:
  fv_gzip_close(&g);
  fv_free(buf);
  return status;
}
