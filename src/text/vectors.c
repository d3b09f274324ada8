/* SPDX-License-Identifier: Apache-2.0 */
/* vectors.c: word vectors in the text format of GloVe, fastText and word2vec: a line a word, the word first, then its
 * numbers; the latter two begin with a line of the number of words and of numbers a word. GloVe has words with blanks
 * inside (". . ."): what stands before the last numbers is the word, so long as nothing in it behind its first part is
 * a number itself, as it is in a row that is too long. */
#include "text/text.h"

typedef struct reader {
  const char *what;
  const char *s;
  size_t n, at;
  int64_t line, width, promised; /* promised: rows, by the first line; -1: it says nothing */
  const fv_tokenizer *t;
  float *table;
  uint8_t *seen;
} reader;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The next line without blanks at its ends; false at the end of the text. */
static bool next_line(reader *r, fv_bytes *line) {
  if (r->at >= r->n) return false;
  const char *s = r->s + r->at, *end = memchr(s, '\n', r->n - r->at);
  size_t n = end ? (size_t)(end - s) : r->n - r->at;
  r->at += n + 1;
  r->line++;
  while (n > 0 && is_blank(s[n - 1])) n--;
  while (n > 0 && is_blank(*s)) s++, n--;
  *line = (fv_bytes){s, n};
  return true;
}

/* Cuts the last field off; what is left has no blank at its end. */
static fv_bytes last_field(fv_bytes *line) {
  size_t from = line->n;
  while (from > 0 && !is_blank(line->s[from - 1])) from--;
  const fv_bytes field = {line->s + from, line->n - from};
  while (from > 0 && is_blank(line->s[from - 1])) from--;
  line->n = from;
  return field;
}

static bool number_of(fv_bytes field, double *v) {
  char text[64];
  if (field.n == 0 || field.n >= sizeof text) return false;
  memcpy(text, field.s, field.n);
  text[field.n] = 0;
  return fv_parse_real(text, v);
}

static int64_t count_fields(fv_bytes line) {
  int64_t n = 0;
  for (; line.n > 0; n++) last_field(&line);
  return n;
}

static fv_status ragged(const reader *r, fv_bytes line) {
  return FV_FAIL(FV_ERR_CORRUPT, "vectors (%s:%lld): expected a word and %lld numbers, got %lld fields", r->what,
                 (long long)r->line, (long long)r->width, (long long)count_fields(line));
}

/* The word of a row: what stands before its numbers. */
static fv_status word_of(const reader *r, fv_bytes line, fv_bytes *word) {
  double v;
  *word = line;
  for (int64_t i = 0; i < r->width && word->n > 0; i++) last_field(word);
  if (word->n == 0) return ragged(r, line);
  fv_bytes rest = *word;
  for (fv_bytes part = last_field(&rest); rest.n > 0; part = last_field(&rest))
    if (number_of(part, &v)) return ragged(r, line);
  return FV_OK;
}

static fv_status read_numbers(const reader *r, fv_bytes line, float *out) {
  for (int64_t i = r->width - 1; i >= 0; i--) {
    double v;
    const fv_bytes field = last_field(&line);
    FV_REQUIRE(number_of(field, &v) && (float)v - (float)v == 0, FV_ERR_CORRUPT,
               "vectors (%s:%lld): expected a finite number, got '%s'", r->what, (long long)r->line,
               fv_show(field.s, field.n));
    out[i] = (float)v;
  }
  return FV_OK;
}

static bool count_of(double x, int64_t least, int64_t *count) {
  if (!(x >= (double)least && x <= 0x1p53) || x != (double)(int64_t)x) return false;
  *count = (int64_t)x;
  return true;
}

/* "400000 300" */
static bool read_head(reader *r, fv_bytes line, int64_t *width) {
  double rows, columns;
  fv_bytes first = line, second = last_field(&first);
  if (count_fields(line) != 2 || !number_of(first, &rows) || !number_of(second, &columns)) return false;
  int64_t promised;
  if (!count_of(rows, 0, &promised) || !count_of(columns, 1, width)) return false;
  r->promised = promised;
  return true;
}

/* The first line, passed over if it tells sizes; it tells the width, too, where that is not known. */
static fv_status check_head(reader *r) {
  fv_bytes line, word;
  const size_t begin = r->at;
  FV_REQUIRE(next_line(r, &line), FV_ERR_CORRUPT, "vectors (%s): expected a line a word, got nothing", r->what);
  int64_t width = count_fields(line) - 1;
  const bool head = read_head(r, line, &width);
  if (r->width == 0) r->width = width;
  FV_REQUIRE(width > 0, FV_ERR_CORRUPT, "vectors (%s:1): expected a word and its numbers, got %lld fields", r->what,
             (long long)width + 1);
  const bool fits = head ? width == r->width : word_of(r, line, &word) == FV_OK;
  FV_REQUIRE(fits, FV_ERR_REQUEST,
             "vectors (%s:1): expected vectors of %lld numbers as the setting width says, got %lld", r->what,
             (long long)r->width, (long long)width);
  if (head) return FV_OK;
  r->at = begin;
  r->line = 0;
  return FV_OK;
}

static fv_status read_rows(reader *r, fv_vectors_found *found) {
  fv_bytes line, word;
  FV_TRY(check_head(r));
  while (next_line(r, &line)) {
    FV_TRY(word_of(r, line, &word));
    found->rows++;
    const int32_t id = fv_tokenizer_find(r->t, word.s, word.n);
    if (id < 0 || fv_tokenizer_is_special(r->t, id) || r->seen[id]) continue; /* of a word's rows the first counts */
    FV_TRY(read_numbers(r, line, r->table + (int64_t)id * r->width));
    r->seen[id] = 1;
    found->found++;
  }
  FV_REQUIRE(r->promised < 0 || r->promised == found->rows, FV_ERR_CORRUPT,
             "vectors (%s): expected %lld words as its first line says, got %lld", r->what, (long long)r->promised,
             (long long)found->rows);
  return FV_OK;
}

fv_status fv_vectors_parse(const void *bytes, size_t n, const char *what, const fv_tokenizer *t, int64_t width,
                           float *table, uint8_t *seen, fv_vectors_found *found) {
  reader r = {.what = what, .s = bytes, .n = n, .width = width, .t = t, .table = table, .seen = seen, .promised = -1};
  *found = (fv_vectors_found){0};
  return read_rows(&r, found);
}

typedef struct text_file {
  fv_map map;
  char *unpacked; /* NULL: it is text as it lies */
  const char *s;
  size_t n;
} text_file;

static void close_text(text_file *f) {
  fv_free(f->unpacked);
  fv_map_close(&f->map);
}

static fv_status open_text(const char *path, text_file *f) {
  const size_t limit = (size_t)16 << 30;
  *f = (text_file){0};
  FV_TRY(fv_map_open(path, &f->map));
  f->s = (const char *)f->map.data, f->n = f->map.size;
  if (!fv_is_gzip(f->map.data, f->map.size)) return FV_OK;
  fv_status status = fv_gzip_read_all(f->map.data, f->map.size, path, limit, &f->unpacked, &f->n);
  f->s = f->unpacked;
  if (status != FV_OK) close_text(f);
  return status;
}

fv_status fv_vectors_read(const char *path, const fv_tokenizer *t, int64_t width, float *table, uint8_t *seen,
                          fv_vectors_found *found) {
  text_file f;
  FV_TRY(open_text(path, &f));
  fv_status status = fv_vectors_parse(f.s, f.n, path, t, width, table, seen, found);
  close_text(&f);
  return status;
}

fv_status fv_vectors_parse_words(const void *bytes, size_t n, const char *what, int64_t most,
                                 fv_tokenizer_trainer *trainer) {
  reader r = {.what = what, .s = bytes, .n = n, .promised = -1};
  fv_bytes line, word;
  FV_TRY(check_head(&r));
  for (int64_t i = 0; i < most && next_line(&r, &line); i++) {
    FV_TRY(word_of(&r, line, &word));
    FV_TRY(fv_tokenizer_trainer_also(trainer, word.s, word.n));
  }
  return FV_OK;
}

fv_status fv_vectors_words(const char *path, int64_t most, fv_tokenizer_trainer *trainer) {
  text_file f;
  FV_TRY(open_text(path, &f));
  fv_status status = fv_vectors_parse_words(f.s, f.n, path, most, trainer);
  close_text(&f);
  return status;
}
