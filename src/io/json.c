/* SPDX-License-Identifier: Apache-2.0 */
/* json.c: strict parsing through jansson behind limits of our own, and a writer of one-line JSON.
 * jansson recurses on nesting and prints reals with 17 digits; so depth is measured before it runs, and writing is done
 * here. Texts are assumed to be UTF-8 and are escaped no more than RFC 8259 section 7 asks. */
#include "io/io.h"

#include <math.h>
#include <stdlib.h>

#define DEPTH 64

/* The deepest nesting of brackets outside strings. Wrong for text that is not JSON, but never too low for JSON. */
static int depth_of(const char *s, size_t n) {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < n; i++) {
    if (quoted && s[i] == '\\') i++;
    else if (s[i] == '"') quoted = !quoted;
    else if (!quoted && (s[i] == '[' || s[i] == '{')) depth++;
    else if (!quoted && (s[i] == ']' || s[i] == '}')) depth--;
    deepest = FV_MAX(deepest, depth);
  }
  return deepest;
}

fv_status fv_json_parse(const void *bytes, size_t n, const char *what, size_t limit, json_t **root) {
  json_error_t e;
  *root = NULL;
  FV_REQUIRE(n <= limit, FV_ERR_CORRUPT, "%s: expected at most %zu bytes of JSON, got %zu", what, limit, n);
  int depth = depth_of(bytes, n);
  FV_REQUIRE(depth <= DEPTH, FV_ERR_CORRUPT, "%s: expected at most %d levels of JSON, got %d", what, DEPTH, depth);
  *root = json_loadb(n ? bytes : "", n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
  FV_REQUIRE(*root, FV_ERR_CORRUPT, "%s (line %d, column %d): expected JSON, got %s", what, e.line,
             e.column < 0 ? 0 : e.column, fv_show(e.text, strlen(e.text)));
  return FV_OK;
}

fv_status fv_json_read(const char *path, size_t limit, json_t **root) {
  fv_map map;
  *root = NULL;
  FV_TRY(fv_map_open(path, &map));
  fv_status status = fv_json_parse(map.data, map.size, path, limit, root);
  fv_map_close(&map);
  return status;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
/* Rewrites "1e+20" and "1e-07" as "1e20" and "1e-7". */
static void tidy_exponent(char *s) {
  char *e = strchr(s, 'e');
  if (!e) return;
  char *to = e + 1, *from = e + 1;
  if (*from == '-') to++;
  if (*from == '-' || *from == '+') from++;
  while (from[0] == '0' && from[1]) from++;
  memmove(to, from, strlen(from) + 1);
}

static void print_shortest(fv_text *t, double v, bool as_float) {
  char s[32];
  if (!isfinite(v)) {
    fv_text_append(t, "null", 4);
    return;
  }
  for (int digits = as_float ? 6 : 15; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, v);
    if (as_float ? strtof(s, NULL) == (float)v : strtod(s, NULL) == v) break;
  }
  tidy_exponent(s);
  fv_text_append(t, s, strlen(s));
}

void fv_number_print(fv_text *t, double v) { print_shortest(t, v, false); }

static void put_bytes(fv_text *t, const char *s, size_t n) {
  const char *run = s, *end = s + n;
  fv_text_append(t, "\"", 1);
  for (; s < end; s++) {
    unsigned char c = (unsigned char)*s;
    if (c >= 32 && c != '"' && c != '\\') continue;
    fv_text_append(t, run, (size_t)(s - run));
    if (c == '\n') fv_text_append(t, "\\n", 2);
    else if (c < 32) fv_text_printf(t, "\\u%04x", c);
    else fv_text_printf(t, "\\%c", c);
    run = s + 1;
  }
  fv_text_append(t, run, (size_t)(end - run));
  fv_text_append(t, "\"", 1);
}

static void put_string(fv_text *t, const char *s) { put_bytes(t, s, strlen(s)); }

static void put_key(fv_json *j, const char *key) {
  if (j->comma) fv_text_append(&j->text, ", ", 2);
  if (key) {
    put_string(&j->text, key);
    fv_text_append(&j->text, ": ", 2);
  }
  j->comma = true;
}

void fv_json_begin(fv_json *j, const char *key, char bracket) {
  put_key(j, key);
  fv_text_append(&j->text, &bracket, 1);
  j->comma = false;
}

void fv_json_end(fv_json *j, char bracket) {
  fv_text_append(&j->text, &bracket, 1);
  j->comma = true;
}

void fv_json_text(fv_json *j, const char *key, const char *value) {
  put_key(j, key);
  if (value) put_string(&j->text, value);
  else fv_text_append(&j->text, "null", 4);
}

void fv_json_bytes(fv_json *j, const char *key, const char *s, size_t n) {
  put_key(j, key);
  put_bytes(&j->text, s, n);
}

void fv_json_int(fv_json *j, const char *key, int64_t value) {
  put_key(j, key);
  fv_text_printf(&j->text, "%lld", (long long)value);
}

void fv_json_real(fv_json *j, const char *key, double value) {
  put_key(j, key);
  print_shortest(&j->text, value, false);
}

void fv_json_float(fv_json *j, const char *key, float value) {
  put_key(j, key);
  print_shortest(&j->text, (double)value, true);
}

void fv_json_bool(fv_json *j, const char *key, bool value) {
  put_key(j, key);
  fv_text_printf(&j->text, "%s", value ? "true" : "false");
}

void fv_json_value(fv_json *j, const char *key, const json_t *value) {
  switch (json_typeof(value)) {
    case JSON_OBJECT:
      fv_json_begin(j, key, '{');
      json_t *object = (json_t *)(uintptr_t)value; /* jansson's iterators take no const */
      for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        fv_json_value(j, json_object_iter_key(i), json_object_iter_value(i));
      fv_json_end(j, '}');
      break;
    case JSON_ARRAY:
      fv_json_begin(j, key, '[');
      for (size_t i = 0; i < json_array_size(value); i++) fv_json_value(j, NULL, json_array_get(value, i));
      fv_json_end(j, ']');
      break;
    case JSON_STRING: fv_json_text(j, key, json_string_value(value)); break;
    case JSON_INTEGER: fv_json_int(j, key, json_integer_value(value)); break;
    case JSON_REAL: fv_json_real(j, key, json_real_value(value)); break;
    case JSON_TRUE:
    case JSON_FALSE: fv_json_bool(j, key, json_typeof(value) == JSON_TRUE); break;
    case JSON_NULL: fv_json_text(j, key, NULL); break;
  }
}

void fv_json_free(fv_json *j) {
  fv_text_free(&j->text);
  j->comma = false;
}

fv_status fv_json_write(const fv_json *j, const char *what, const char *path) {
  FV_REQUIRE(!j->text.failed, FV_ERR_MEMORY, "%s: out of memory", what);
  return fv_file_write(path, j->text.s, j->text.n);
}

fv_status fv_json_give(fv_json *j, fv_status status, const char *what, char **text) {
  if (status == FV_OK && j->text.failed) status = FV_FAIL(FV_ERR_MEMORY, "%s: out of memory", what);
  if (status == FV_OK) *text = j->text.s;
  else fv_json_free(j);
  return status;
}
