/* SPDX-License-Identifier: Apache-2.0 */
/* option.c: a table that describes a struct's fields reads, checks, prints and documents them.
 *
 * A field travels as a `value`, whatever its type; each thing one can do with a field is one switch over types. */
#include "base/base.h"

#include <math.h>
#include <stdlib.h>

typedef union value {
  int64_t i;
  double r;
  bool b;
  const char *s;
  fv_int_list list;
} value;

static size_t size_of(fv_option_type type) {
  switch (type) {
    case FV_OPT_INT:
    case FV_OPT_ENUM: return sizeof(int64_t);
    case FV_OPT_REAL: return sizeof(double);
    case FV_OPT_BOOL: return sizeof(bool);
    case FV_OPT_TEXT: return sizeof(const char *);
    case FV_OPT_INTS: return sizeof(fv_int_list);
  }
  return 0;
}

static value load(const fv_option *o, const void *fields) {
  value v = {.list = {0}};
  memcpy(&v, (const char *)fields + o->offset, size_of(o->type));
  return v;
}

static void store(const fv_option *o, void *fields, const value *v) {
  memcpy((char *)fields + o->offset, v, size_of(o->type));
}

size_t fv_options_count(const fv_option *table) {
  size_t n = 0;
  while (table[n].name) n++;
  return n;
}

const fv_option *fv_options_find(const fv_option *table, const char *name) {
  for (; table->name; table++)
    if (strcmp(table->name, name) == 0) return table;
  return NULL;
}

/* ---- reading and checking ---------------------------------------------------------------------------------------- */
static bool has_range(const fv_option *o) { return o->min != 0 || o->max != 0; }

static bool in_range(const fv_option *o, double x) {
  return isfinite(x) && (!has_range(o) || (x >= o->min && x <= o->max));
}

static int64_t count_choices(const fv_option *o) {
  int64_t n = 0;
  while (o->choices[n]) n++;
  return n;
}

static bool valid_list(const fv_option *o, const fv_int_list *list) {
  if (list->n < 0 || list->n > FV_MAX_LIST) return false;
  for (int64_t k = 0; k < list->n; k++)
    if (!in_range(o, (double)list->v[k])) return false;
  return true;
}

static bool valid(const fv_option *o, const value *v) {
  switch (o->type) {
    case FV_OPT_INT: return in_range(o, (double)v->i);
    case FV_OPT_REAL: return in_range(o, v->r);
    case FV_OPT_ENUM: return v->i >= 0 && v->i < count_choices(o);
    case FV_OPT_INTS: return valid_list(o, &v->list);
    case FV_OPT_BOOL:
    case FV_OPT_TEXT: return true;
  }
  return false;
}

static bool parse_list(const char *text, fv_int_list *list) {
  *list = (fv_int_list){0};
  while (*text) {
    char number[24];
    size_t n = strcspn(text, ",");
    if (n >= sizeof number || list->n == FV_MAX_LIST) return false;
    memcpy(number, text, n);
    number[n] = 0;
    if (!fv_parse_int(number, &list->v[list->n++])) return false;
    text += n;
    if (*text == ',' && *++text == 0) return false; /* a comma with nothing behind it */
  }
  return true;
}

static bool parse_choice(const fv_option *o, const char *text, int64_t *index) {
  for (int64_t i = 0; o->choices[i]; i++) {
    if (strcmp(o->choices[i], text) != 0) continue;
    *index = i;
    return true;
  }
  return false;
}

/* A text value borrows `text`. */
static bool parse(const fv_option *o, const char *text, value *v) {
  *v = (value){.list = {0}};
  switch (o->type) {
    case FV_OPT_INT: return fv_parse_int(text, &v->i);
    case FV_OPT_REAL: return fv_parse_real(text, &v->r);
    case FV_OPT_BOOL: return fv_parse_bool(text, &v->b);
    case FV_OPT_ENUM: return parse_choice(o, text, &v->i);
    case FV_OPT_INTS: return parse_list(text, &v->list);
    case FV_OPT_TEXT: v->s = *text ? text : NULL; return true;
  }
  return false;
}

static bool default_of(const fv_option *o, value *v) {
  *v = (value){.list = {0}};
  return !o->def || (parse(o, o->def, v) && valid(o, v));
}

static fv_status set_default(const fv_option *o, void *fields) {
  value v;
  FV_REQUIRE(default_of(o, &v), FV_ERR_INTERNAL, "bug in fovea (option %s): expected a default in its range, got '%s'",
             o->name, o->def);
  store(o, fields, &v);
  return FV_OK;
}

fv_status fv_options_defaults(const fv_option *table, void *fields) {
  for (; table->name; table++) FV_TRY(set_default(table, fields));
  return FV_OK;
}

/* ---- complaints -------------------------------------------------------------------------------------------------- */
static void add_names(fv_text *out, const char *const *names, const char *separator) {
  for (size_t i = 0; names[i]; i++) fv_text_printf(out, "%s%s", i ? separator : "", names[i]);
}

/* "1 to 1000", "at least 1", "at most 9"; nothing without a range. */
static void add_range(fv_text *out, const fv_option *o, const char *before) {
  char low[FV_REAL_TEXT], high[FV_REAL_TEXT];
  if (!has_range(o)) return;
  fv_real_text(o->min, low);
  fv_real_text(o->max, high);
  if (isinf(o->max)) fv_text_printf(out, "%sat least %s", before, low);
  else if (isinf(o->min)) fv_text_printf(out, "%sat most %s", before, high);
  else fv_text_printf(out, "%s%s to %s", before, low, high);
}

static void add_expected(fv_text *out, const fv_option *o) {
  const char *before = isinf(o->max) || isinf(o->min) ? " of " : " from ";
  switch (o->type) {
    case FV_OPT_INT: fv_text_printf(out, "a whole number"); break;
    case FV_OPT_REAL: fv_text_printf(out, "a number"); break;
    case FV_OPT_BOOL: fv_text_printf(out, "true or false"); return;
    case FV_OPT_TEXT: fv_text_printf(out, "a text"); return;
    case FV_OPT_INTS: fv_text_printf(out, "up to %d whole numbers with commas between, each", FV_MAX_LIST); break;
    case FV_OPT_ENUM:
      fv_text_printf(out, "one of ");
      add_names(out, o->choices, ", ");
      return;
  }
  if (o->type == FV_OPT_INTS && !has_range(o)) fv_text_printf(out, " of 64 bits");
  add_range(out, o, before);
}

static fv_status fail_value(const fv_option *o, const char *what, const char *got) {
  fv_text expected = {0};
  add_expected(&expected, o);
  const char *near = o->type == FV_OPT_ENUM ? fv_nearest_name(got, o->choices) : NULL;
  fv_status status =
      FV_FAIL(FV_ERR_REQUEST, "%s: %s: expected %s, got '%s'%s%s%s", what, o->name,
              expected.s ? expected.s : "another value", got, near ? " (did you mean '" : "", near ? near : "",
              near ? "'?)" : "");
  fv_text_free(&expected);
  return status;
}

static fv_status fail_name(const fv_option *table, const char *what, const char *name) {
  size_t n = fv_options_count(table);
  const char **names;
  FV_TRY(FV_NEW(&names, n + 1));
  for (size_t i = 0; i < n; i++) names[i] = table[i].name;
  const char *near = fv_nearest_name(name, names);
  fv_text all = {0};
  add_names(&all, names, ", ");
  fv_status status =
      near ? FV_FAIL(FV_ERR_REQUEST, "%s: unknown setting '%s' (did you mean '%s'?)", what, name, near)
           : FV_FAIL(FV_ERR_REQUEST, "%s: unknown setting '%s': expected one of %s", what, name, all.s ? all.s : "none");
  fv_text_free(&all);
  fv_free(names);
  return status;
}

/* ---- the calls --------------------------------------------------------------------------------------------------- */
fv_status fv_options_set(const fv_option *table, void *fields, const char *what, const char *name, const char *text,
                         fv_arena *arena) {
  const fv_option *o = fv_options_find(table, name);
  value v;
  if (!o) return fail_name(table, what, name);
  if (!parse(o, text, &v) || !valid(o, &v)) return fail_value(o, what, text);
  if (o->type == FV_OPT_TEXT && v.s) {
    v.s = fv_arena_strdup(arena, v.s);
    FV_REQUIRE(v.s, FV_ERR_MEMORY, "%s: %s: expected memory for a text of %zu bytes, got none", what, name,
               strlen(text));
  }
  store(o, fields, &v);
  return FV_OK;
}

/* Zero stands for "not given" where zero cannot be meant: structs made by designated initialisers leave it there. */
static bool not_given(const fv_option *o, const value *v) {
  switch (o->type) {
    case FV_OPT_INT: return v->i == 0 && !in_range(o, 0);
    case FV_OPT_REAL: return v->r == 0 && !in_range(o, 0);
    case FV_OPT_INTS: return v->list.n == 0 && !in_range(o, 0);
    default: return false;
  }
}

fv_status fv_options_check(const fv_option *table, void *fields, const char *what) {
  for (const fv_option *o = table; o->name; o++) {
    value v = load(o, fields);
    if (not_given(o, &v)) {
      FV_TRY(set_default(o, fields));
      v = load(o, fields);
    }
    if (valid(o, &v)) continue;
    fv_text got = {0};
    fv_options_print(o, fields, &got);
    fv_status status = fail_value(o, what, got.s ? got.s : "");
    fv_text_free(&got);
    return status;
  }
  return FV_OK;
}

static void print(const fv_option *o, const value *v, fv_text *out) {
  char number[FV_REAL_TEXT];
  switch (o->type) {
    case FV_OPT_INT: fv_text_printf(out, "%lld", (long long)v->i); break;
    case FV_OPT_REAL: fv_text_printf(out, "%s", fv_real_text(v->r, number)); break;
    case FV_OPT_BOOL: fv_text_printf(out, "%s", v->b ? "true" : "false"); break;
    case FV_OPT_TEXT: fv_text_printf(out, "%s", v->s ? v->s : ""); break;
    case FV_OPT_ENUM:
      if (valid(o, v)) fv_text_printf(out, "%s", o->choices[v->i]);
      else fv_text_printf(out, "%lld", (long long)v->i);
      break;
    case FV_OPT_INTS:
      for (int64_t k = 0; k < FV_MIN(v->list.n, (int64_t)FV_MAX_LIST); k++)
        fv_text_printf(out, "%s%lld", k ? "," : "", (long long)v->list.v[k]);
      break;
  }
}

void fv_options_print(const fv_option *option, const void *fields, fv_text *out) {
  value v = load(option, fields);
  print(option, &v, out);
}

static bool equal(const fv_option *o, const value *a, const value *b) {
  switch (o->type) {
    case FV_OPT_INT:
    case FV_OPT_ENUM: return a->i == b->i;
    case FV_OPT_REAL: return a->r == b->r;
    case FV_OPT_BOOL: return a->b == b->b;
    case FV_OPT_TEXT: return strcmp(a->s ? a->s : "", b->s ? b->s : "") == 0;
    case FV_OPT_INTS:
      if (a->list.n != b->list.n) return false;
      for (int64_t k = 0; k < FV_MIN(a->list.n, (int64_t)FV_MAX_LIST); k++)
        if (a->list.v[k] != b->list.v[k]) return false;
      return true;
  }
  return false;
}

bool fv_options_equal(const fv_option *table, const void *a, const void *b) {
  for (; table->name; table++) {
    value x = load(table, a), y = load(table, b);
    if (!equal(table, &x, &y)) return false;
  }
  return true;
}

void fv_options_print_all(const fv_option *table, const void *fields, bool brief, fv_text *out) {
  bool first = true;
  for (const fv_option *o = table; o->name; o++) {
    value v = load(o, fields), def;
    if (brief && default_of(o, &def) && equal(o, &v, &def)) continue;
    fv_text_printf(out, "%s%s=", first ? "" : " ", o->name);
    print(o, &v, out);
    first = false;
  }
}

static const char *type_name(fv_option_type type) {
  static const char *const names[] = {"integer", "number", "yes/no", "choice", "text", "integers"};
  return names[type];
}

void fv_options_help(const fv_option *table, fv_text *out) {
  int width = 0;
  for (const fv_option *o = table; o->name; o++) width = FV_MAX(width, (int)strlen(o->name));
  for (const fv_option *o = table; o->name; o++) {
    value def;
    fv_text_printf(out, "  %-*s  %-8s  %s (default ", width, o->name, type_name(o->type), o->doc ? o->doc : "");
    size_t before = out->n;
    if (default_of(o, &def)) print(o, &def, out);
    if (out->n == before) fv_text_printf(out, "none");
    if (o->type == FV_OPT_ENUM) {
      fv_text_printf(out, "; one of ");
      add_names(out, o->choices, ", ");
    }
    add_range(out, o, "; ");
    fv_text_printf(out, ")\n");
  }
}
