/* SPDX-License-Identifier: Apache-2.0 */
/* csv.c: comma-separated values as in RFC 4180, gzip or plain. The text is unpacked once; rows are cut in place: fields
 * are ended by NULs and quoted ones are moved down over their quotes, so a row costs no allocation. */
#include "io/io.h"

#include <float.h>
#include <math.h>

#define LIMIT ((size_t)1 << 30)

struct fv_csv {
  char *what, *text;
  char *p, *end;
  char **fields;
  size_t cap;
  int64_t line, row_line;
  char separator;
  bool quotes;
};

fv_status fv_csv_parse(const void *bytes, size_t n, const char *what, const fv_csv_options *options, fv_csv **csv) {
  fv_status status = FV_OK;
  fv_csv_options o = options ? *options : (fv_csv_options){0};
  fv_csv *c = NULL;
  size_t size;
  *csv = NULL;
  FV_TRY(FV_NEW(&c, 1));
  c->what = fv_strdup(what);
  FV_REQUIRE_DONE(c->what, FV_ERR_MEMORY, "%s: no memory", what);
  FV_TRY_DONE(fv_gzip_read_all(bytes, n, what, o.limit ? o.limit : LIMIT, &c->text, &size));
  const char *nul = memchr(c->text, 0, size);
  FV_REQUIRE_DONE(!nul, FV_ERR_CORRUPT, "%s: expected text, got a zero byte at offset %zu", what,
                  (size_t)(nul - c->text));
  c->p = c->text, c->end = c->text + size;
  if (size >= 3 && memcmp(c->text, "\xef\xbb\xbf", 3) == 0) c->p += 3;
  c->line = 1;
  c->separator = o.separator ? o.separator : ',';
  c->quotes = !o.no_quotes;
  *csv = c;
  c = NULL;
done:
  fv_csv_close(c);
  return status;
}

fv_status fv_csv_open(const char *path, const fv_csv_options *options, fv_csv **csv) {
  fv_map map;
  *csv = NULL;
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_csv_parse(map.data, map.size, path, options, csv);
  fv_map_close(&map);
  return status;
}

void fv_csv_close(fv_csv *c) {
  if (!c) return;
  fv_free(c->what);
  fv_free(c->text);
  fv_free(c->fields);
  fv_free(c);
}

int64_t fv_csv_line(const fv_csv *c) { return c->row_line; }

/* The length of the line end at p: 0 when there is none, 1 for LF, 2 for CRLF. */
static size_t line_end(const fv_csv *c) {
  if (c->p < c->end && c->p[0] == '\n') return 1;
  return c->end - c->p >= 2 && c->p[0] == '\r' && c->p[1] == '\n' ? 2 : 0;
}

/* Moves the text after the opening quote down over quotes and doubled quotes; *last is where the field ends. */
static fv_status take_quoted(fv_csv *c, char **field, char **last) {
  int64_t opened = c->line;
  char *to = ++c->p;
  *field = to;
  for (; c->p < c->end; c->p++) {
    if (*c->p == '"') {
      if (c->p[1] != '"') break; /* text[size] is NUL: one byte beyond may be read */
      c->p++;
    }
    if (*c->p == '\n') c->line++;
    *to++ = *c->p;
  }
  FV_REQUIRE(c->p < c->end, FV_ERR_CORRUPT, "%s:%lld: expected a closing quote, got the end of the file", c->what,
             (long long)opened);
  c->p++;
  *last = to;
  FV_REQUIRE(c->p == c->end || *c->p == c->separator || line_end(c) > 0, FV_ERR_CORRUPT,
             "%s:%lld: expected a separator or a line end after the closing quote, got '%s'", c->what,
             (long long)c->line, fv_show(c->p, 1));
  return FV_OK;
}

static fv_status take_field(fv_csv *c, char **field, char **last) {
  if (c->quotes && c->p < c->end && *c->p == '"') return take_quoted(c, field, last);
  *field = c->p;
  while (c->p < c->end && *c->p != c->separator && line_end(c) == 0) c->p++;
  *last = c->p;
  return FV_OK;
}

static fv_status grow_fields(fv_csv *c) {
  size_t wider = c->cap ? 2 * c->cap : 16;
  char **grown = fv_realloc(c->fields, wider * sizeof *grown);
  FV_REQUIRE(grown, FV_ERR_MEMORY, "%s: no memory for %zu fields", c->what, wider);
  c->fields = grown, c->cap = wider;
  return FV_OK;
}

fv_status fv_csv_next(fv_csv *c, char ***fields, size_t *n) {
  *n = 0;
  *fields = c->fields;
  for (size_t skip; (skip = line_end(c)) > 0; c->line++) c->p += skip;
  c->row_line = c->line;
  if (c->p == c->end) return FV_OK;
  for (bool more = true; more;) {
    char *last = NULL;
    if (*n == c->cap) FV_TRY(grow_fields(c));
    FV_TRY(take_field(c, &c->fields[(*n)++], &last));
    more = c->p < c->end && *c->p == c->separator;
    size_t skip = more ? 1 : line_end(c);
    if (!more && skip > 0) c->line++;
    c->p += skip;
    *last = 0; /* only now: it may be the separator just looked at */
  }
  *fields = c->fields;
  return FV_OK;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static fv_status grow_rows(const fv_csv *c, fv_matrix *m, int64_t *cap) {
  int64_t wider = *cap ? 2 * *cap : 64;
  float *grown = fv_realloc(m->v, (size_t)(wider * m->cols) * sizeof *grown);
  FV_REQUIRE(grown, FV_ERR_MEMORY, "%s: no memory for %lld rows", c->what, (long long)wider);
  m->v = grown, *cap = wider;
  return FV_OK;
}

static fv_status read_row(const fv_csv *c, char **fields, float *out, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double v;
    char *s = fields[i];
    while (*s == ' ') s++;
    for (size_t len = strlen(s); len > 0 && s[len - 1] == ' '; len--) s[len - 1] = 0;
    FV_REQUIRE(fv_parse_real(s, &v) && fabs(v) <= (double)FLT_MAX, FV_ERR_CORRUPT,
               "%s:%lld: column %lld: expected a number, got '%s'", c->what, (long long)c->row_line, (long long)i + 1,
               fv_show(s, strlen(s)));
    out[i] = (float)v;
  }
  return FV_OK;
}

fv_status fv_csv_matrix(fv_csv *c, fv_matrix *matrix) {
  fv_status status = FV_OK;
  fv_matrix m = {0};
  int64_t cap = 0;
  char **fields;
  size_t n;
  *matrix = m;
  for (;;) {
    FV_TRY_DONE(fv_csv_next(c, &fields, &n));
    if (n == 0) break;
    if (m.rows == 0) m.cols = (int64_t)n;
    FV_REQUIRE_DONE((int64_t)n == m.cols, FV_ERR_CORRUPT, "%s:%lld: expected %lld columns, got %zu", c->what,
                    (long long)c->row_line, (long long)m.cols, n);
    if (m.rows == cap) FV_TRY_DONE(grow_rows(c, &m, &cap));
    FV_TRY_DONE(read_row(c, fields, m.v + m.rows * m.cols, m.cols));
    m.rows++;
  }
  *matrix = m;
  m.v = NULL;
done:
  fv_free(m.v);
  return status;
}

void fv_matrix_free(fv_matrix *m) {
  fv_free(m->v);
  *m = (fv_matrix){0};
}

fv_status fv_matrix_to_u8(const fv_matrix *m, const char *what, uint8_t *out) {
  for (int64_t i = 0; i < m->rows * m->cols; i++) {
    float v = m->v[i];
    FV_REQUIRE(v >= 0 && v <= 255 && v == (float)(int)v, FV_ERR_CORRUPT,
               "%s (row %lld, column %lld): expected a whole number from 0 to 255, got %g", what,
               (long long)(i / m->cols) + 1, (long long)(i % m->cols) + 1, (double)v);
    out[i] = (uint8_t)v;
  }
  return FV_OK;
}
