/* SPDX-License-Identifier: Apache-2.0 */
/* npy.c: NumPy's array file, versions 1 and 2: magic, version, header length, a Python dictionary in one line, data.
 * Format: numpy.lib.format. The dictionary is read by a parser for exactly what NumPy writes: three keys in any order,
 * quoted text, True/False, a tuple of whole numbers. */
#include "io/io.h"

typedef struct scan { /* the header's text */
  const char *p, *end, *what;
} scan;

static void skip_space(scan *s) {
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t')) s->p++;
}

static bool accept(scan *s, const char *token) {
  size_t n = strlen(token);
  skip_space(s);
  if ((size_t)(s->end - s->p) < n || memcmp(s->p, token, n) != 0) return false;
  s->p += n;
  return true;
}

static fv_status expect(scan *s, const char *token) {
  FV_REQUIRE(accept(s, token), FV_ERR_CORRUPT, "%s (npy header): expected %s, got '%s'", s->what, token,
             fv_show(s->p, (size_t)FV_MIN(s->end - s->p, 12)));
  return FV_OK;
}

static fv_status scan_number(scan *s, int64_t *v) {
  skip_space(s);
  const char *first = s->p;
  for (*v = 0; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
    FV_REQUIRE(*v <= (INT64_MAX - 9) / 10, FV_ERR_CORRUPT, "%s (npy header): expected a shape, got too large a number",
               s->what);
    *v = *v * 10 + (*s->p - '0');
  }
  FV_REQUIRE(s->p > first, FV_ERR_CORRUPT, "%s (npy header): expected a whole number, got '%s'", s->what,
             fv_show(s->p, (size_t)FV_MIN(s->end - s->p, 12)));
  return FV_OK;
}

static fv_status scan_shape(scan *s, fv_array *a) {
  FV_TRY(expect(s, "("));
  a->ndim = 0;
  while (!accept(s, ")")) {
    FV_REQUIRE(a->ndim < FV_ARRAY_DIMS, FV_ERR_REQUEST, "%s: expected at most %d dimensions, got more", s->what,
               FV_ARRAY_DIMS);
    FV_TRY(scan_number(s, &a->dim[a->ndim++]));
    if (accept(s, ")")) {
      FV_REQUIRE(a->ndim > 1, FV_ERR_CORRUPT, "%s (npy header): expected (n,), got (n)", s->what);
      return FV_OK;
    }
    FV_TRY(expect(s, ","));
  }
  return FV_OK;
}

static fv_status scan_descr(scan *s, fv_array *a) {
  static const struct {
    const char *text;
    fv_elem elem;
  } known[] = {{"'|u1'", FV_ELEM_U8},  {"'<i4'", FV_ELEM_I32}, {"'<i8'", FV_ELEM_I64},
               {"'<f2'", FV_ELEM_F16}, {"'<f4'", FV_ELEM_F32}, {"'<f8'", FV_ELEM_F64}};
  for (size_t i = 0; i < FV_COUNT(known); i++)
    if (accept(s, known[i].text)) {
      a->elem = known[i].elem;
      return FV_OK;
    }
  return FV_FAIL(FV_ERR_REQUEST, "%s: expected dtype |u1, <i4, <i8, <f2, <f4 or <f8, got %s", s->what,
                 fv_show(s->p, (size_t)FV_MIN(s->end - s->p, 8)));
}

static fv_status scan_header(scan *s, fv_array *a) {
  unsigned seen = 0;
  FV_TRY(expect(s, "{"));
  while (!accept(s, "}")) {
    unsigned key = 0;
    if (accept(s, "'descr'")) key = 1;
    else if (accept(s, "'fortran_order'")) key = 2;
    else if (accept(s, "'shape'")) key = 4;
    FV_REQUIRE(key != 0 && !(seen & key), FV_ERR_CORRUPT,
               "%s (npy header): expected descr, fortran_order and shape once each, got '%s'", s->what,
               fv_show(s->p, (size_t)FV_MIN(s->end - s->p, 12)));
    seen |= key;
    FV_TRY(expect(s, ":"));
    if (key == 1) FV_TRY(scan_descr(s, a));
    else if (key == 4) FV_TRY(scan_shape(s, a));
    else if (!accept(s, "False"))
      return FV_FAIL(FV_ERR_REQUEST, "%s: expected C order (fortran_order False), got another", s->what);
    if (accept(s, "}")) break;
    FV_TRY(expect(s, ","));
  }
  skip_space(s);
  FV_REQUIRE(seen == 7 && s->p == s->end, FV_ERR_CORRUPT,
             "%s (npy header): expected descr, fortran_order and shape and no more", s->what);
  return FV_OK;
}

fv_status fv_npy_parse(const void *bytes, size_t n, const char *what, fv_array *array) {
  const uint8_t *p = bytes;
  fv_array a = {0};
  *array = a;
  FV_REQUIRE(n >= 12 && memcmp(p, "\x93NUMPY", 6) == 0, FV_ERR_CORRUPT, "%s: expected an npy file, got other bytes",
             what);
  FV_REQUIRE((p[6] == 1 || p[6] == 2) && p[7] == 0, FV_ERR_REQUEST, "%s: expected npy version 1.0 or 2.0, got %d.%d",
             what, p[6], p[7]);
  size_t start = p[6] == 1 ? 10 : 12, length = (size_t)p[8] | (size_t)p[9] << 8;
  if (p[6] == 2) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
  FV_REQUIRE(length <= n - start, FV_ERR_CORRUPT, "%s: expected an npy header of at most %zu bytes, got %zu", what,
             n - start, length);
  scan s = {.p = (const char *)p + start, .end = (const char *)p + start + length, .what = what};
  FV_TRY(scan_header(&s, &a));
  FV_TRY(fv_array_measure(&a, what));
  FV_REQUIRE(a.bytes == n - start - length, FV_ERR_CORRUPT, "%s: expected %zu bytes for %s, got %zu", what, a.bytes,
             fv_dims_text(a.dim, a.ndim), n - start - length);
  a.data = p + start + length;
  *array = a;
  return FV_OK;
}

fv_status fv_npy_open(const char *path, fv_npy *npy) {
  *npy = (fv_npy){0};
  FV_TRY(fv_map_open(path, &npy->map));
  fv_status status = fv_npy_parse(npy->map.data, npy->map.size, path, &npy->array);
  if (status != FV_OK) fv_npy_close(npy);
  return status;
}

void fv_npy_close(fv_npy *npy) {
  if (npy->map.data) fv_map_close(&npy->map);
  *npy = (fv_npy){0};
}
