/* SPDX-License-Identifier: Apache-2.0 */
/* table.c: text files as tables. Every row is looked at once, when the table is opened; then a field is an offset into
 * the mapped (or unpacked) file, or into a pool for the few that had to be rewritten: escapes, other encodings. */
#include "text/text.h"

const char *const fv_text_format_names[FV_TEXT_FORMATS + 1] = {"auto",  "lines",    "csv",       "tsv",
                                                               "jsonl", "labelled", "questions", NULL};

enum { MOST_FILES = 8, MOST_COLUMNS = 256, SHOWN_COLUMNS = 8 };
#define LIMIT ((size_t)4 << 30)

typedef struct source { /* one file */
  const char *file;
  fv_map map;
  char *unpacked;
  const char *text;
  size_t n;
  fv_text pool;
  fv_row_reader reader;
} source;

struct fv_text_table {
  fv_arena *arena;
  fv_text_options options;
  source source[MOST_FILES];
  int n_sources;
  bool parallel; /* column c comes from source c; otherwise all from the first */
  const char *column[MOST_COLUMNS];
  int place[MOST_COLUMNS]; /* of the column among the row's fields */
  int columns;
  int64_t width; /* fields of every row; 0: not fixed */
  int64_t rows, cap;
  int64_t *line;
  fv_row_field *field; /* [rows, columns] */
  int64_t skipped;
  const char *first_bad;
};

void fv_text_table_free(fv_text_table *t) {
  if (!t) return;
  for (int i = 0; i < t->n_sources; i++) {
    source *s = &t->source[i];
    fv_map_close(&s->map);
    fv_free(s->unpacked);
    fv_text_free(&s->pool);
    fv_row_reader_free(&s->reader);
  }
  fv_free(t->line);
  fv_free(t->field);
  fv_arena_free(t->arena);
  fv_free(t);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */
static bool ends_with(const char *s, size_t n, const char *end) {
  size_t m = strlen(end);
  return n >= m && memcmp(s + n - m, end, m) == 0;
}

static fv_text_format format_of(const char *file) {
  size_t n = strlen(file);
  if (ends_with(file, n, ".gz")) n -= 3;
  if (ends_with(file, n, ".csv")) return FV_TEXT_CSV;
  if (ends_with(file, n, ".tsv")) return FV_TEXT_TSV;
  return ends_with(file, n, ".jsonl") || ends_with(file, n, ".ndjson") ? FV_TEXT_JSONL : FV_TEXT_LINES;
}

/* Takes the bytes, unpacks them if need be, and passes over a byte-order mark. */
static fv_status set_text(fv_text_table *t, source *s, const void *bytes, size_t n) {
  size_t limit = t->options.limit ? t->options.limit : LIMIT;
  s->text = bytes, s->n = n;
  if (fv_is_gzip(bytes, n)) {
    FV_TRY(fv_gzip_read_all(bytes, n, s->file, limit, &s->unpacked, &s->n));
    s->text = s->unpacked;
  }
  FV_REQUIRE(s->n <= limit, FV_ERR_REQUEST, "table (%s): expected at most %zu bytes, got %zu", s->file, limit, s->n);
  const uint8_t *head = (const uint8_t *)s->text;
  bool wide = s->n >= 2 && ((head[0] == 0xff && head[1] == 0xfe) || (head[0] == 0xfe && head[1] == 0xff));
  FV_REQUIRE(!wide || t->options.encoding != FV_ENCODING_UTF8, FV_ERR_CORRUPT,
             "table (%s:1): expected UTF-8, got UTF-16 (it begins with that mark)", s->file);
  s->reader = (fv_row_reader){.what = s->file, .text = s->text, .n = s->n, .pool = &s->pool,
                              .format = t->options.format, .keys = t->options.columns};
  if (s->n >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0 && t->options.encoding == FV_ENCODING_UTF8) s->reader.at = 3;
  if (s->reader.format == FV_TEXT_AUTO) s->reader.format = format_of(s->file);
  return FV_OK;
}

static fv_status open_source(fv_text_table *t, const char *path) {
  source *s = &t->source[t->n_sources++];
  bool standard = strcmp(path, "-") == 0;
  s->map.data = (const uint8_t *)"";
  s->file = fv_arena_strdup(t->arena, standard ? "standard input" : path);
  FV_REQUIRE(s->file, FV_ERR_MEMORY, "table (%s): no memory", path);
  if (standard) {
    uint8_t *bytes;
    size_t n;
    FV_TRY(fv_file_read("/dev/stdin", t->options.limit ? t->options.limit : LIMIT, &bytes, &n));
    fv_status status = set_text(t, s, bytes, n);
    if (status != FV_OK || s->unpacked) fv_free(bytes);
    else s->unpacked = (char *)bytes;
    return status;
  }
  FV_TRY(fv_map_open(path, &s->map));
  return set_text(t, s, s->map.data, s->map.size);
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */
static bool is_number(const char *name, int64_t *n) { return fv_parse_int(name, n) && *n > 0; }

static bool only_numbers(const char *const *columns) {
  int64_t n;
  for (; *columns; columns++)
    if (!is_number(*columns, &n)) return false;
  return true;
}

/* Refuses `name`, which is none of the n columns there are. */
static fv_status refuse_column(const fv_text_table *t, const char *name, const char *const *names, int n) {
  fv_text list = {0};
  const char *file = t->source[0].file;
  for (int i = 0; i < n && i < SHOWN_COLUMNS; i++)
    fv_text_printf(&list, "%s'%s'", i ? ", " : "", fv_show(names[i], strlen(names[i])));
  if (n > SHOWN_COLUMNS) fv_text_printf(&list, " and %d more", n - SHOWN_COLUMNS);
  const char *near = fv_nearest_name(name, names), *shown = fv_show(name, strlen(name));
  fv_status status =
      near ? FV_FAIL(FV_ERR_REQUEST, "table (%s:1): expected a column '%s', got %s; did you mean '%s'?", file, shown,
                     list.s ? list.s : "none", fv_show(near, strlen(near)))
           : FV_FAIL(FV_ERR_REQUEST, "table (%s:1): expected a column '%s', got %s", file, shown,
                     list.s ? list.s : "none");
  fv_text_free(&list);
  return status;
}

/* Settles which of the n fields named `names` are wanted. */
static fv_status choose_columns(fv_text_table *t, const char *const *names, int n) {
  const char *const *wanted = t->options.columns;
  t->columns = 0;
  for (int i = 0; wanted ? wanted[i] != NULL : i < n; i++) {
    int64_t at = i + 1;
    int found = wanted ? -1 : i;
    FV_REQUIRE(i < MOST_COLUMNS, FV_ERR_REQUEST, "table (%s): expected at most %d columns, got more",
               t->source[0].file, MOST_COLUMNS);
    for (int k = 0; k < n && found < 0; k++)
      if (strcmp(names[k], wanted[i]) == 0) found = k;
    if (found < 0 && is_number(wanted[i], &at) && at <= n) found = (int)at - 1;
    if (found < 0) return refuse_column(t, wanted[i], names, n);
    t->column[i] = fv_arena_strdup(t->arena, wanted ? wanted[i] : names[i]);
    FV_REQUIRE(t->column[i], FV_ERR_MEMORY, "table (%s): no memory", t->source[0].file);
    t->place[i] = found;
    t->columns = i + 1;
  }
  return FV_OK;
}

/* The first row of CSV or TSV: names, or the first of the rows, which is then read again. */
static fv_status read_head(fv_text_table *t) {
  fv_row_reader *r = &t->source[0].reader, before = *r;
  const char *const *wanted = t->options.columns;
  bool named = t->options.header || (wanted && !only_numbers(wanted)), more;
  const char *names[MOST_COLUMNS + 1] = {NULL};
  FV_TRY(fv_row_next(r, &more));
  FV_REQUIRE(more, FV_ERR_REQUEST, "table (%s): expected rows of text, got none", r->what);
  FV_REQUIRE(r->n_fields <= MOST_COLUMNS, FV_ERR_REQUEST, "table (%s:1): expected at most %d columns, got %lld",
             r->what, MOST_COLUMNS, (long long)r->n_fields);
  for (int i = 0; i < r->n_fields; i++) {
    const char *s = fv_row_bytes(r, r->field[i]);
    char *name = named ? fv_arena_printf(t->arena, "%.*s", (int)FV_MIN(r->field[i].n, 1 << 16), s)
                       : fv_arena_printf(t->arena, "%d", i + 1);
    FV_REQUIRE(name, FV_ERR_MEMORY, "table (%s): no memory", r->what);
    names[i] = name;
  }
  t->width = r->n_fields;
  FV_TRY(choose_columns(t, names, (int)t->width));
  if (!named) r->at = before.at, r->line = before.line;
  return FV_OK;
}

static fv_status settle_columns(fv_text_table *t) {
  static const char *const text[] = {"text", NULL}, *const label[] = {"label", "text", NULL},
                    *const question[] = {"coarse", "fine", "text", NULL};
  const char *const *wanted = t->options.columns;
  int n = 0;
  switch (t->source[0].reader.format) {
    case FV_TEXT_CSV:
    case FV_TEXT_TSV: return read_head(t);
    case FV_TEXT_LABELLED: return choose_columns(t, label, 2);
    case FV_TEXT_QUESTIONS: return choose_columns(t, question, 3);
    case FV_TEXT_JSONL:
      FV_REQUIRE(wanted && wanted[0], FV_ERR_REQUEST,
                 "table (%s): expected names of columns for JSON lines, got none", t->source[0].file);
      FV_REQUIRE(t->options.encoding == FV_ENCODING_UTF8 || t->options.encoding == FV_ENCODING_BYTES, FV_ERR_REQUEST,
                 "table (%s): expected utf-8 for JSON lines, got %s", t->source[0].file,
                 fv_encoding_names[t->options.encoding]);
      while (wanted[n]) n++;
      return choose_columns(t, wanted, n);
    default: return choose_columns(t, text, 1);
  }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
static bool is_ascii(const char *s, size_t n) {
  unsigned all = 0;
  for (size_t i = 0; i < n; i++) all |= (uint8_t)s[i];
  return all < 0x80;
}

/* Writes a field of another encoding to the pool as UTF-8, up to *bad. */
static fv_status convert_field(fv_encoding encoding, source *s, fv_row_field *f, size_t *bad) {
  fv_text copy = {0};
  size_t from = s->pool.n;
  const char *bytes = fv_row_bytes(&s->reader, *f);
  if (f->at < 0) { /* in the pool, which may move while it grows */
    fv_text_append(&copy, bytes, (size_t)f->n);
    bytes = copy.s;
  }
  if (!copy.failed) fv_encoding_convert(encoding, bytes, (size_t)f->n, &s->pool, bad);
  bool failed = copy.failed || s->pool.failed;
  fv_text_free(&copy);
  FV_REQUIRE(!failed, FV_ERR_MEMORY, "table (%s): no memory for text", s->file);
  if (*bad == (size_t)f->n) *f = (fv_row_field){~(int64_t)from, (int64_t)(s->pool.n - from)};
  else s->pool.n = from;
  return FV_OK;
}

/* Checks a field and brings it into UTF-8. */
static fv_status settle_field(const fv_text_table *t, source *s, const char *column, fv_row_field *f) {
  const char *bytes = fv_row_bytes(&s->reader, *f);
  size_t n = (size_t)f->n, bad = n;
  fv_encoding encoding = t->options.encoding;
  long long line = (long long)s->reader.row_line;
  FV_REQUIRE(n > 0 || t->options.allow_empty, FV_ERR_CORRUPT, "table (%s:%lld): expected text in column '%s', got none",
             s->file, line, column);
  FV_REQUIRE(n < INT32_MAX / 2, FV_ERR_CORRUPT, "table (%s:%lld): expected less than 1 GiB of text, got %zu bytes",
             s->file, line, n);
  if (n == 0 || encoding == FV_ENCODING_BYTES) return FV_OK;
  const char *nul = memchr(bytes, 0, n);
  uint8_t wrong = 0;
  if (nul) bad = (size_t)(nul - bytes);
  else if (encoding == FV_ENCODING_UTF8) bad = fv_utf8_valid(bytes, n);
  if (bad < n) wrong = (uint8_t)bytes[bad];
  else if (encoding != FV_ENCODING_UTF8 && !is_ascii(bytes, n)) {
    FV_TRY(convert_field(encoding, s, f, &bad));
    if (bad < n) wrong = (uint8_t)fv_row_bytes(&s->reader, *f)[bad];
  }
  FV_REQUIRE(bad == n, FV_ERR_CORRUPT, "table (%s:%lld): expected %s, got byte 0x%02x at byte %zu of column '%s'",
             s->file, line, fv_encoding_names[encoding], (unsigned)wrong, bad + 1, column);
  return FV_OK;
}

static fv_status reserve(fv_text_table *t) {
  if (t->rows < t->cap) return FV_OK;
  int64_t cap = FV_MAX(2 * t->cap, 256);
  int64_t *line = fv_realloc(t->line, (size_t)cap * sizeof *line);
  if (line) t->line = line;
  fv_row_field *field = fv_realloc(t->field, (size_t)(cap * t->columns) * sizeof *field);
  if (field) t->field = field;
  FV_REQUIRE(line && field, FV_ERR_MEMORY, "table (%s): no memory for %lld rows", t->source[0].file, (long long)cap);
  t->cap = cap;
  return FV_OK;
}

/* The next row of one source into its columns first..last-1 of the row being made. */
static fv_status take_row(fv_text_table *t, source *s, int first, int last, bool *more) {
  fv_row_reader *r = &s->reader;
  FV_TRY(fv_row_next(r, more));
  if (!*more) return FV_OK;
  long long line = (long long)r->row_line;
  bool empty = r->n_fields == 1 && r->field[0].n == 0;
  FV_REQUIRE(!empty || (t->options.allow_empty && last - first == 1), FV_ERR_CORRUPT,
             "table (%s:%lld): expected text, got an empty line", s->file, line);
  FV_REQUIRE(t->width == 0 || r->n_fields == t->width, FV_ERR_CORRUPT,
             "table (%s:%lld): expected %lld fields, as in the first row, got %lld", s->file, line,
             (long long)t->width, (long long)r->n_fields);
  for (int c = first; c < last; c++) {
    fv_row_field *f = &t->field[t->rows * t->columns + c];
    int place = t->parallel || empty ? 0 : t->place[c];
    *f = r->field[place];
    FV_TRY(settle_field(t, s, t->column[c], f));
  }
  return FV_OK;
}

static fv_status note_bad(fv_text_table *t) {
  if (t->skipped++ > 0) return FV_OK;
  t->first_bad = fv_arena_strdup(t->arena, fv_error_message());
  FV_REQUIRE(t->first_bad, FV_ERR_MEMORY, "table (%s): no memory", t->source[0].file);
  return FV_OK;
}

/* One line of each file. *bad: there was a mistake, which is noted. */
static fv_status take_rows(fv_text_table *t, bool *more, bool *bad) {
  int ended = 0, each = t->parallel ? 1 : t->columns;
  *bad = false;
  for (int i = 0; i < t->n_sources; i++) {
    bool here;
    fv_status status = take_row(t, &t->source[i], i * each, (i + 1) * each, &here);
    if (status != FV_OK && (status == FV_ERR_MEMORY || !t->options.skip_bad)) return status;
    if (status != FV_OK && !*bad) FV_TRY(note_bad(t));
    *bad = *bad || status != FV_OK;
    if (!here) ended++;
    bool uneven = ended != 0 && ended != i + 1;
    FV_REQUIRE(!uneven, FV_ERR_CORRUPT, "table (%s:%lld): expected as many lines as %s, got %s", t->source[i].file,
               (long long)t->source[i].reader.row_line, t->source[0].file, here ? "more" : "fewer");
  }
  *more = ended == 0;
  return FV_OK;
}

static fv_status read_rows(fv_text_table *t) {
  for (bool more = true, bad;;) {
    FV_TRY(reserve(t));
    FV_TRY(take_rows(t, &more, &bad));
    if (!more) break;
    if (!bad) t->line[t->rows++] = t->source[0].reader.row_line;
  }
  FV_REQUIRE(t->rows > 0 || t->skipped == 0, FV_ERR_CORRUPT, "%s; no row is good", t->first_bad);
  FV_REQUIRE(t->rows > 0, FV_ERR_REQUEST, "table (%s): expected rows of text, got none", t->source[0].file);
  return FV_OK;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */
static fv_status new_table(const fv_text_options *options, fv_text_table **table) {
  fv_text_table *t;
  FV_TRY(FV_NEW(&t, 1));
  if (options) t->options = *options;
  fv_status status = fv_arena_new(&t->arena);
  if (status != FV_OK) fv_free(t);
  else *table = t;
  return status;
}

fv_status fv_text_table_open(const char *path, const fv_text_options *options, fv_text_table **table) {
  fv_status status = FV_OK;
  fv_text_table *t = NULL;
  *table = NULL;
  FV_TRY(new_table(options, &t));
  FV_TRY_DONE(open_source(t, path));
  FV_TRY_DONE(settle_columns(t));
  FV_TRY_DONE(read_rows(t));
  *table = t;
  t = NULL;
done:
  fv_text_table_free(t);
  return status;
}

fv_status fv_text_table_parse(const void *bytes, size_t n, const char *what, const fv_text_options *options,
                              fv_text_table **table) {
  fv_status status = FV_OK;
  fv_text_table *t = NULL;
  *table = NULL;
  FV_TRY(new_table(options, &t));
  source *s = &t->source[t->n_sources++];
  s->map.data = (const uint8_t *)"";
  s->file = fv_arena_strdup(t->arena, what);
  FV_REQUIRE_DONE(s->file, FV_ERR_MEMORY, "table (%s): no memory", what);
  FV_TRY_DONE(set_text(t, s, bytes, n));
  FV_TRY_DONE(settle_columns(t));
  FV_TRY_DONE(read_rows(t));
  *table = t;
  t = NULL;
done:
  fv_text_table_free(t);
  return status;
}

fv_status fv_text_table_open_parallel(const char *const *paths, int n, const fv_text_options *options,
                                      fv_text_table **table) {
  fv_status status = FV_OK;
  fv_text_table *t = NULL;
  *table = NULL;
  FV_REQUIRE(n >= 1 && n <= MOST_FILES, FV_ERR_REQUEST, "table: expected 1 to %d files side by side, got %d",
             MOST_FILES, n);
  FV_TRY(new_table(options, &t));
  t->parallel = true;
  t->options.format = FV_TEXT_LINES;
  for (int i = 0; i < n; i++) {
    FV_TRY_DONE(open_source(t, paths[i]));
    t->column[i] = t->source[i].file;
  }
  t->columns = n;
  FV_TRY_DONE(read_rows(t));
  *table = t;
  t = NULL;
done:
  fv_text_table_free(t);
  return status;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */
int64_t fv_text_table_rows(const fv_text_table *t) { return t->rows; }
int fv_text_table_columns(const fv_text_table *t) { return t->columns; }
const char *fv_text_table_column(const fv_text_table *t, int column) { return t->column[column]; }
int64_t fv_text_table_line(const fv_text_table *t, int64_t row) { return t->line[row]; }
const char *fv_text_table_file(const fv_text_table *t) { return t->source[0].file; }
int64_t fv_text_table_skipped(const fv_text_table *t) { return t->skipped; }
const char *fv_text_table_first_bad(const fv_text_table *t) { return t->first_bad; }

fv_bytes fv_text_table_get(const fv_text_table *t, int64_t row, int column) {
  const source *s = &t->source[t->parallel ? column : 0];
  fv_row_field f = t->field[row * t->columns + column];
  return (fv_bytes){fv_row_bytes(&s->reader, f), (size_t)f.n};
}
