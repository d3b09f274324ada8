/* SPDX-License-Identifier: Apache-2.0 */
/* slots.c: the texts that tell what goes into a mechanism ("keys [B,S,K]", "mask? [B,S] u8"), read, and held against
 * the values that are given. Letters are bound first wherever they stand alone; then every dimension is compared. */
#include "attention/attention.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- reading ----------------------------------------------------------------------------------------------------- */
static bool read_dims(const char **at, fv_attention_slot *slot) {
  const char *s = *at + strspn(*at, " ");
  if (*s++ != '[') return false;
  while (*s && *s != ']') {
    size_t n = strcspn(s, ",]");
    if (slot->ndim == FV_MAX_DIMS || n == 0 || n >= sizeof slot->dim[0]) return false;
    memcpy(slot->dim[slot->ndim++], s, n);
    s += n + (s[n] == ',');
  }
  *at = s + 1;
  return *s == ']';
}

static bool read_dtype(const char *s, fv_attention_slot *slot) {
  s += strspn(s, " ");
  if (!*s) return true;
  if (!strncmp(s, "u8", 2)) slot->dtype = FV_U8;
  else if (!strncmp(s, "i32", 3)) slot->dtype = FV_I32;
  else return false;
  s += slot->dtype == FV_U8 ? 2 : 3;
  long long lo, hi;
  slot->ranged = sscanf(s, "@%lld..%lld", &lo, &hi) == 2;
  if (slot->ranged) slot->lo = lo, slot->hi = hi;
  return slot->ranged || !*s;
}

static fv_status read_slot(const fv_attention_def *def, const char *text, fv_attention_slot *slot) {
  size_t n = strcspn(text, "? [");
  *slot = (fv_attention_slot){.dtype = FV_F32};
  FV_REQUIRE(n > 0 && n < sizeof slot->name, FV_ERR_INTERNAL, "%s: expected NAME [DIMS] DTYPE, got '%s'", def->name,
             text);
  memcpy(slot->name, text, n);
  slot->optional = text[n] == '?';
  text += n + slot->optional;
  FV_REQUIRE(read_dims(&text, slot) && read_dtype(text, slot), FV_ERR_INTERNAL,
             "%s: %s: expected [DIMS] DTYPE@LO..HI, got '%s'", def->name, slot->name, text);
  return FV_OK;
}

static int repeats(const fv_attention_def *def, const void *attrs) {
  const fv_option *o = def->repeat ? fv_options_find(def->attrs, def->repeat) : NULL;
  return o ? (int)((const fv_int_list *)(const void *)((const char *)attrs + o->offset))->n : 0;
}

fv_status fv_attention_slots(const fv_attention_def *def, const char *const *texts, const void *attrs,
                             fv_attention_slot *slots, int *n) {
  *n = 0;
  for (int i = 0; texts && texts[i]; i++) {
    fv_attention_slot slot;
    FV_TRY(read_slot(def, texts[i], &slot));
    size_t length = strlen(slot.name);
    bool many = slot.name[length - 1] == '*';
    for (int k = 0; k < (many ? repeats(def, attrs) : 1); k++) {
      FV_REQUIRE(*n < FV_ATTENTION_MOST, FV_ERR_INTERNAL, "%s: expected at most %d values", def->name,
                 FV_ATTENTION_MOST);
      if (many) snprintf(slot.name + length - 1, sizeof slot.name - length + 1, "%d", k);
      slots[(*n)++] = slot;
    }
  }
  return FV_OK;
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */
static int find(const fv_attention_sizes *sizes, const char *name, size_t n) {
  for (int i = 0; i < sizes->n; i++)
    if (strlen(sizes->v[i].name) == n && !memcmp(sizes->v[i].name, name, n)) return i;
  return -1;
}

static int64_t factor(const fv_attention_sizes *sizes, const char *s, size_t n) {
  if (isdigit((unsigned char)*s)) return strtoll(s, NULL, 10);
  int i = find(sizes, s, n);
  return i < 0 ? -1 : sizes->v[i].size;
}

int64_t fv_attention_size(const fv_attention_sizes *sizes, const char *dim) {
  int64_t sum = 0, product = 1;
  for (;;) {
    size_t n = strcspn(dim, "+*");
    int64_t f = factor(sizes, dim, n);
    if (f < 0 || __builtin_mul_overflow(product, f, &product)) return -1;
    dim += n;
    if (*dim != '*') {
      if (__builtin_add_overflow(sum, product, &sum)) return -1;
      product = 1;
    }
    if (!*dim++) return sum;
  }
}

/* ---- checking ---------------------------------------------------------------------------------------------------- */
static bool given(fv_graph *g, const fv_value *v) { return v != fv_absent(g); }

static void bind(fv_attention_sizes *sizes, const fv_attention_slot *slot, const fv_value *v) {
  for (int d = 0; d < slot->ndim && d < v->shape.ndim; d++) {
    const char *dim = slot->dim[d];
    size_t n = strlen(dim);
    if (strpbrk(dim, "+*") || isdigit((unsigned char)*dim) || n >= sizeof sizes->v[0].name) continue;
    if (find(sizes, dim, n) >= 0 || sizes->n == (int)FV_COUNT(sizes->v)) continue;
    memcpy(sizes->v[sizes->n].name, dim, n + 1);
    sizes->v[sizes->n++].size = v->shape.dim[d];
  }
}

/* "[B,Q+K] = [3,28]" */
static void expected(const fv_attention_sizes *sizes, const fv_attention_slot *slot, fv_text *text) {
  for (int pass = 0; pass < 2; pass++) {
    fv_text_printf(text, pass ? " = [" : "[");
    for (int d = 0; d < slot->ndim; d++) {
      if (pass) fv_text_printf(text, "%s%lld", d ? "," : "", (long long)fv_attention_size(sizes, slot->dim[d]));
      else fv_text_printf(text, "%s%s", d ? "," : "", slot->dim[d]);
    }
    fv_text_printf(text, "]");
  }
}

static fv_status check_one(fv_graph *g, const fv_attention_def *def, const fv_attention_sizes *sizes,
                           const fv_attention_slot *slot, const fv_value *v) {
  if (!given(g, v)) {
    FV_REQUIRE(slot->optional, FV_ERR_REQUEST, "%s: %s: expected a value, got none", def->name, slot->name);
    return FV_OK;
  }
  fv_dtype dtype = slot->dtype == FV_F32 ? g->real : slot->dtype;
  FV_REQUIRE(v->dtype == dtype, FV_ERR_REQUEST, "%s: %s: expected dtype %s, got %s", def->name, slot->name,
             fv_dtype_name(dtype), fv_dtype_name(v->dtype));
  bool fits = v->shape.ndim == slot->ndim;
  for (int d = 0; fits && d < slot->ndim; d++) fits = v->shape.dim[d] == fv_attention_size(sizes, slot->dim[d]);
  if (fits) return FV_OK;
  fv_text text = {0};
  expected(sizes, slot, &text);
  fv_status status = FV_FAIL(FV_ERR_REQUEST, "%s: %s: expected %s, got %s", def->name, slot->name, text.s ? text.s : "",
                             fv_shape_text(v->shape));
  fv_text_free(&text);
  return status;
}

static fv_status check_all(fv_graph *g, const fv_attention_def *def, const void *attrs, fv_value *const *in,
                           fv_value *const *par) {
  fv_attention_slot slots[2][FV_ATTENTION_MOST];
  fv_attention_sizes sizes = {0};
  fv_value *const *values[2] = {in, par};
  int n[2];
  FV_TRY(fv_attention_slots(def, def->inputs, attrs, slots[0], &n[0]));
  FV_TRY(fv_attention_slots(def, def->params, attrs, slots[1], &n[1]));
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < n[k]; i++) {
      FV_TRY(values[k][i] ? FV_OK : fv_graph_check(g));
      FV_ASSERT(values[k][i]);
      if (given(g, values[k][i])) bind(&sizes, &slots[k][i], values[k][i]);
    }
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < n[k]; i++) FV_TRY(check_one(g, def, &sizes, &slots[k][i], values[k][i]));
  return FV_OK;
}

void fv_attention_apply(fv_graph *g, const fv_attention_def *def, const void *attrs, fv_value *const *in,
                        fv_value *const *par, fv_value **out) {
  int n = 0;
  for (; def->outputs[n]; n++) out[n] = NULL;
  fv_status status = check_all(g, def, attrs, in, par);
  if (status == FV_OK) def->build(g, attrs, in, par, out);
  else (void)fv_graph_fail(g, status);
  if (fv_graph_check(g) != FV_OK)
    for (int i = 0; i < n; i++) out[i] = NULL;
}
