/* SPDX-License-Identifier: Apache-2.0 */
/* table_rows.c: cutting one row of a text file into fields: plain lines, CSV (RFC 4180), TSV, JSON lines, and lines
 * with a label before the text. Nothing is copied but what a format escapes. After a bad row reading goes on with the
 * next line, so that one mistake costs one row. */
#include "text/text.h"

#define ROW_LIMIT ((size_t)64 << 20)

#define ROW_REQUIRE(cond, r, ...)                    \
  do {                                               \
    if (!(cond)) return row_fail((r), __VA_ARGS__);  \
  } while (0)

FV_PRINTF(2, 3) static fv_status row_fail(const fv_row_reader *r, const char *fmt, ...) {
  char text[512];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  return FV_FAIL(FV_ERR_CORRUPT, "table (%s:%lld): %s", r->what, (long long)r->row_line, text);
}

const char *fv_row_bytes(const fv_row_reader *r, fv_row_field f) {
  return f.at < 0 ? r->pool->s + ~f.at : r->text + f.at;
}

void fv_row_reader_free(fv_row_reader *r) {
  fv_free(r->field);
  r->field = NULL;
}

static fv_status add_field(fv_row_reader *r, int64_t at, size_t n) {
  if (r->n_fields == r->cap) {
    int64_t cap = FV_MAX(2 * r->cap, 16);
    fv_row_field *grown = fv_realloc(r->field, (size_t)cap * sizeof *grown);
    FV_REQUIRE(grown, FV_ERR_MEMORY, "table (%s): no memory for %lld fields", r->what, (long long)cap);
    r->field = grown, r->cap = cap;
  }
  r->field[r->n_fields++] = (fv_row_field){at, (int64_t)n};
  return FV_OK;
}

/* A field of what was appended to the pool from `from` on. */
static fv_status add_pooled(fv_row_reader *r, size_t from) {
  FV_REQUIRE(!r->pool->failed, FV_ERR_MEMORY, "table (%s): no memory for text", r->what);
  return add_field(r, ~(int64_t)from, r->pool->n - from);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */
/* The end of the line at r->at; *next is where the one after begins. */
static size_t line_end(const fv_row_reader *r, size_t *next) {
  const char *feed = memchr(r->text + r->at, '\n', r->n - r->at);
  size_t end = feed ? (size_t)(feed - r->text) : r->n;
  *next = feed ? end + 1 : end;
  return feed && end > r->at && r->text[end - 1] == '\r' ? end - 1 : end;
}

static fv_status cut_tabs(fv_row_reader *r, size_t from, size_t end) {
  for (;;) {
    const char *tab = memchr(r->text + from, '\t', end - from);
    size_t to = tab ? (size_t)(tab - r->text) : end;
    FV_TRY(add_field(r, (int64_t)from, to - from));
    if (!tab) return FV_OK;
    from = to + 1;
  }
}

static size_t first_of(const fv_row_reader *r, size_t from, size_t end, const char *letters) {
  while (from < end && !(r->text[from] && strchr(letters, r->text[from]))) from++;
  return from;
}

static fv_status cut_label(fv_row_reader *r, size_t from, size_t end) {
  size_t blank = first_of(r, from, end, " \t");
  ROW_REQUIRE(blank > from && blank < end, r, "expected a label, a blank and text, got '%s'",
              fv_show(r->text + from, end - from));
  FV_TRY(add_field(r, (int64_t)from, blank - from));
  return add_field(r, (int64_t)blank + 1, end - blank - 1);
}

static fv_status cut_question(fv_row_reader *r, size_t from, size_t end) {
  size_t blank = first_of(r, from, end, " "), colon = first_of(r, from, blank, ":");
  ROW_REQUIRE(colon > from && colon + 1 < blank && blank < end, r, "expected COARSE:fine, a blank and text, got '%s'",
              fv_show(r->text + from, end - from));
  FV_TRY(add_field(r, (int64_t)from, colon - from));
  FV_TRY(add_field(r, (int64_t)colon + 1, blank - colon - 1));
  return add_field(r, (int64_t)blank + 1, end - blank - 1);
}

/* ---- JSON lines -------------------------------------------------------------------------------------------------- */
static bool put_list(fv_text *out, const json_t *list) {
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *s = json_string_value(json_array_get(list, i));
    if (!s) return false;
    if (i) fv_text_append(out, " ", 1);
    fv_text_append(out, s, strlen(s));
  }
  return true;
}

/* Appends the value as text; false when it is none. */
static bool put_value(fv_text *out, const json_t *v) {
  if (json_is_array(v)) return put_list(out, v);
  if (json_is_string(v)) fv_text_append(out, json_string_value(v), json_string_length(v));
  else if (json_is_integer(v)) fv_text_printf(out, "%lld", (long long)json_integer_value(v));
  else if (json_is_real(v)) fv_number_print(out, json_real_value(v));
  else if (json_is_boolean(v)) fv_text_printf(out, "%s", json_is_true(v) ? "true" : "false");
  else return false;
  return true;
}

static fv_status take_members(fv_row_reader *r, const json_t *object) {
  ROW_REQUIRE(json_is_object(object), r, "expected a JSON object, got another value");
  for (int k = 0; r->keys[k]; k++) {
    const json_t *v = json_object_get(object, r->keys[k]);
    const char *key = fv_show(r->keys[k], strlen(r->keys[k]));
    size_t from = r->pool->n;
    ROW_REQUIRE(v, r, "expected '%s', got an object without it", key);
    ROW_REQUIRE(put_value(r->pool, v), r, "expected '%s' to be text, a number or a list of texts, got another value",
                key);
    FV_TRY(add_pooled(r, from));
  }
  return FV_OK;
}

static fv_status cut_json(fv_row_reader *r, size_t from, size_t end) {
  json_t *object;
  json_error_t e;
  size_t bad = fv_utf8_valid(r->text + from, end - from);
  ROW_REQUIRE(bad == end - from, r, "expected UTF-8, got byte 0x%02x at byte %zu of the line",
              (unsigned)(uint8_t)r->text[from + FV_MIN(bad, end - from - 1)], bad + 1);
  if (fv_json_parse(r->text + from, end - from, r->what, ROW_LIMIT, &object) != FV_OK) {
    object = json_loadb(r->text + from, end - from, JSON_REJECT_DUPLICATES, &e); /* for its own text and column */
    bool parsed = object != NULL;
    json_decref(object);
    return parsed ? row_fail(r, "expected an object of JSON, got one nested too deeply")
                  : row_fail(r, "expected JSON, got %s (column %d)", fv_show(e.text, strlen(e.text)), e.column);
  }
  fv_status status = take_members(r, object);
  json_decref(object);
  return status;
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */
/* The quoted field at r->at, which moves behind its closing quote. */
static fv_status cut_quoted(fv_row_reader *r, size_t most) {
  size_t from = ++r->at, pooled = r->pool->n;
  bool doubled = false;
  for (;; r->at++) {
    const char *quote = memchr(r->text + r->at, '"', most - r->at);
    ROW_REQUIRE(quote, r, most < r->n ? "expected a closing quote within 64 MiB, got none"
                                      : "expected a closing quote, got the end of the file");
    size_t at = (size_t)(quote - r->text);
    bool again = at + 1 < r->n && r->text[at + 1] == '"';
    doubled = doubled || again;
    if (doubled) fv_text_append(r->pool, r->text + r->at, at - r->at + again);
    r->at = at + 1;
    if (!again) break;
  }
  if (!doubled) return add_field(r, (int64_t)from, r->at - 1 - from);
  FV_REQUIRE(!r->pool->failed, FV_ERR_MEMORY, "table (%s): no memory for text", r->what);
  return add_field(r, ~(int64_t)pooled, r->pool->n - pooled);
}

static fv_status cut_csv(fv_row_reader *r) {
  size_t next, most = FV_MIN(r->n, r->at + ROW_LIMIT);
  for (;;) {
    if (r->at < r->n && r->text[r->at] == '"') FV_TRY(cut_quoted(r, most));
    else {
      size_t end = line_end(r, &next);
      const char *comma = memchr(r->text + r->at, ',', end - r->at);
      size_t to = comma ? (size_t)(comma - r->text) : end;
      FV_TRY(add_field(r, (int64_t)r->at, to - r->at));
      r->at = to;
    }
    size_t end = line_end(r, &next);
    if (r->at == end) break;
    ROW_REQUIRE(r->text[r->at] == ',', r, "expected a comma or the line's end behind a quote, got '%s'",
                fv_show(r->text + r->at, 1));
    r->at++;
  }
  r->at = next;
  return FV_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
static int64_t count_lines(const fv_row_reader *r, size_t from, size_t to) {
  int64_t n = 0;
  const char *p = r->text + from, *end = r->text + to;
  while (p < end && (p = memchr(p, '\n', (size_t)(end - p)))) p++, n++;
  return n;
}

static fv_status cut_line(fv_row_reader *r, size_t from, size_t end) {
  switch (r->format) {
    case FV_TEXT_TSV: return cut_tabs(r, from, end);
    case FV_TEXT_JSONL: return cut_json(r, from, end);
    case FV_TEXT_LABELLED: return cut_label(r, from, end);
    case FV_TEXT_QUESTIONS: return cut_question(r, from, end);
    default: return add_field(r, (int64_t)from, end - from);
  }
}

fv_status fv_row_next(fv_row_reader *r, bool *more) {
  size_t from = r->at, next;
  r->n_fields = 0;
  r->row_line = r->line + 1;
  *more = from < r->n;
  if (!*more) return FV_OK;
  size_t end = line_end(r, &next);
  if (end == from) { /* an empty line is one empty field in every format */
    r->at = next, r->line++;
    return add_field(r, (int64_t)from, 0);
  }
  fv_status status;
  if (r->format == FV_TEXT_CSV) {
    status = cut_csv(r);
    if (status != FV_OK) r->at = next; /* with the line after the one where the row began */
    r->line += status == FV_OK ? count_lines(r, from, r->at) : 1;
  } else {
    status = cut_line(r, from, end);
    r->at = next, r->line++;
  }
  return status;
}
