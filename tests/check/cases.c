/* SPDX-License-Identifier: Apache-2.0 */
/* cases.c: from a row's cases to graphs and numbers. The text form is described at fv_case (ir.h). */
#include "check.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- reading ---------------------------------------------------------------------------------------------------- */
static void skip_space(const char **s) {
  while (isspace((unsigned char)**s)) (*s)++;
}

static bool take(const char **s, const char *word) {
  size_t n = strlen(word);
  if (strncmp(*s, word, n) != 0) return false;
  *s += n;
  return true;
}

static bool parse_dims(const char **s, fv_shape *shape) {
  *shape = (fv_shape){.ndim = 0};
  if (take(s, "()")) return true;
  do {
    char *end;
    skip_space(s);
    if (!isdigit((unsigned char)**s) || shape->ndim == FV_MAX_DIMS) return false;
    shape->dim[shape->ndim++] = strtoll(*s, &end, 10);
    *s = end;
    skip_space(s);
  } while (take(s, ","));
  return true;
}

static bool parse_dtype(const char **s, fv_dtype *dtype) {
  static const fv_dtype all[] = {FV_F32, FV_F64, FV_I32, FV_U8};
  for (size_t i = 0; i < FV_COUNT(all); i++)
    if (take(s, fv_dtype_name(all[i]))) {
      *dtype = all[i];
      return true;
    }
  return false;
}

static bool parse_range(const char **s, double *lo, double *hi) {
  char *end;
  *lo = strtod(*s, &end);
  if (end == *s) return false;
  /* strtod takes the first dot of "0..9" with it */
  *s = end > *s && end[-1] == '.' && end[0] == '.' ? end - 1 : end;
  if (!take(s, "..")) return false;
  *hi = strtod(*s, &end);
  if (end == *s) return false;
  *s = end;
  return *lo <= *hi;
}

static bool parse_spec(const char **s, ck_spec *spec) {
  *spec = (ck_spec){.dtype = FV_F32};
  skip_space(s);
  if (take(s, "-")) {
    spec->absent = true;
  } else {
    if (!parse_dims(s, &spec->shape)) return false;
    if (take(s, ":") && !parse_dtype(s, &spec->dtype)) return false;
    spec->lo = spec->dtype == FV_F32 || spec->dtype == FV_F64 ? -1 : 0;
    spec->hi = 1;
    skip_space(s);
    if (take(s, "@") && !parse_range(s, &spec->lo, &spec->hi)) return false;
  }
  skip_space(s);
  return **s == 0 || **s == ';';
}

bool ck_case_parse(const char *text, ck_case *c) {
  const char *s = text;
  c->n = 0;
  skip_space(&s);
  while (*s != 0) {
    if (c->n == CK_MAX_IN || !parse_spec(&s, &c->in[c->n++])) return false;
    if (*s == ';') s++;
    skip_space(&s);
  }
  return true;
}

#define RANDOM_CHAINS 24

bool ck_is_elementwise(const fv_op_def *op) {
  return (op->flags & FV_OP_ELEMENTWISE) != 0 || strcmp(op->name, "chain") == 0;
}

bool ck_case_get(const fv_op_def *op, int index, uint64_t seed, fv_arena *arena, ck_case *c) {
  int n = 0;
  while (op->cases != NULL && n <= index && op->cases[n].in != NULL) n++;
  *c = (ck_case){.index = index, .tolerance = 2e-6, .attrs = ""};
  if (index >= n) /* the table's are used up */
    return n > 0 && strcmp(op->name, "chain") == 0 && index < n + RANDOM_CHAINS && ck_chain_case(seed, index, arena, c);
  const fv_case *from = &op->cases[index];
  c->text = from->in;
  if (from->attrs != NULL) c->attrs = from->attrs;
  if (from->tolerance > 0) c->tolerance = from->tolerance;
  c->no_grad_check = from->no_grad_check;
  c->note = from->note;
  if (!ck_case_parse(from->in, c)) c->n = -1;
  return true;
}

const char *ck_case_text(const ck_case *c) {
  static char text[400];
  snprintf(text, sizeof text, "case %d \"%s\"%s%s", c->index, c->text, *c->attrs ? " " : "", c->attrs);
  return text;
}

fv_rng ck_rng(uint64_t seed, const char *op, int index) {
  return fv_rng_new(seed, fv_stream_of(op) + (uint64_t)index);
}

fv_status ck_attrs_parse(const fv_op_def *op, const char *text, fv_arena *arena, void **attrs) {
  *attrs = NULL;
  if (op->attrs == NULL) return FV_OK;
  char *copy = fv_arena_strdup(arena, text), *save = NULL;
  *attrs = fv_arena_alloc(arena, op->attrs_size);
  FV_REQUIRE(copy != NULL && *attrs != NULL, FV_ERR_MEMORY, "attributes: out of memory");
  FV_TRY(fv_options_defaults(op->attrs, *attrs));
  for (char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
    char *equals = strchr(word, '=');
    FV_REQUIRE(equals != NULL, FV_ERR_REQUEST, "%s: expected attribute=value, got '%s'", op->name, word);
    *equals = 0;
    FV_TRY(fv_options_set(op->attrs, *attrs, op->name, word, equals + 1, arena));
  }
  return fv_options_check(op->attrs, *attrs, op->name);
}

/* ---- building --------------------------------------------------------------------------------------------------- */
static fv_value *build_input(fv_graph *g, const ck_spec *spec, int i) {
  char name[16];
  if (spec->absent) return fv_absent(g);
  snprintf(name, sizeof name, "in%d", i);
  return fv_input(g, name, spec->dtype == FV_F32 ? g->real : spec->dtype, spec->shape);
}

fv_status ck_node_build(const fv_op_def *op, const ck_case *c, fv_dtype real, fv_graph **g, fv_node **node) {
  *node = NULL;
  FV_TRY(fv_graph_new(NULL, real, g));
  fv_value *in[CK_MAX_IN];
  for (int i = 0; i < c->n; i++) in[i] = build_input(*g, &c->in[i], i);
  fv_value *out = fv_op_text(*g, op->name, c->attrs, c->n, in);
  fv_status status = fv_graph_check(*g);
  if (status != FV_OK) {
    fv_graph_free(*g);
    *g = NULL;
    return status;
  }
  *node = out->producer;
  (*node)->op = op;
  return FV_OK;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */
static double integer_in(const ck_spec *spec, fv_rng *rng) {
  bool byte = spec->dtype == FV_U8;
  double lo = fmax(ceil(spec->lo), byte ? 0 : INT32_MIN),
         n = fmin(floor(spec->hi), byte ? UINT8_MAX : INT32_MAX) - lo + 1;
  return n < 1 ? lo : lo + (double)fv_rng_below(rng, (uint32_t)fmin(n, 4294967295.0));
}

/* Numbers whose squares overflow only where one operand stands alone: what two of them make on the way to a result is
 * not held against a kernel. */
static double number_from(fv_rng *rng, bool alone) {
  static const double table[] = {0,    -0.0, 1,     -1,    0.5,   -2,       NAN,        INFINITY,   -INFINITY,
                                 1e-5, 1e5,  -100,  88,    -88,   1e-38,    -1e-38,     1e18,       -1e18,
                                 1e-9, 2.5,  1e-20, -1e-20, -3.5, 0x1p-149, -0x1p-149,  0x1.8p-130, -0x1.8p-127,
                                 1e20, -1e20, 3.4e38, -3.4e38};
  return table[fv_rng_below(rng, FV_COUNT(table) - (alone ? 0 : 4))];
}

void ck_fill_values(const ck_spec *spec, ck_fill fill, fv_rng *rng, double *v) {
  int64_t n = fv_shape_count(spec->shape);
  bool real = spec->dtype == FV_F32 || spec->dtype == FV_F64;
  for (int64_t i = 0; i < n; i++) {
    double u = spec->lo + (spec->hi - spec->lo) * fv_rng_uniform(rng);
    if (!real) v[i] = integer_in(spec, rng);
    else if (fill == CK_FILL_STEPS) v[i] = spec->lo + (spec->hi - spec->lo) * 0.25 * (double)fv_rng_below(rng, 5);
    else if (fill == CK_FILL_NUMBERS || fill == CK_FILL_HUGE) v[i] = number_from(rng, fill == CK_FILL_HUGE);
    else if (fill == CK_FILL_NAN && fv_rng_below(rng, 7) == 0) v[i] = NAN;
    else v[i] = u;
    if (real) v[i] = (double)(float)v[i];
  }
}

void ck_tensor_store(const fv_tensor *t, const double *v) {
  for (int64_t i = 0, n = fv_shape_count(t->shape); i < n; i++) fv_set(t, i, v[i]);
}

void ck_tensor_load(const fv_tensor *t, double *v) {
  for (int64_t i = 0, n = fv_shape_count(t->shape); i < n; i++) v[i] = fv_get(t, i);
}
