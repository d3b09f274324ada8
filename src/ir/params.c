/* SPDX-License-Identifier: Apache-2.0 */
/* params.c: the parameter store. Names, shapes and places in one flat slab of floats, grouped so that the optimiser,
 * the weight decay and the running statistics are ranges of it. */
#include "ir/ir.h"

#include <math.h>

fv_status fv_params_new(fv_params **params) {
  *params = NULL;
  fv_params *p;
  FV_TRY(FV_NEW(&p, 1));
  fv_status status = fv_arena_new(&p->arena);
  if (status == FV_OK) *params = p;
  else fv_free(p);
  return status;
}

void fv_params_free(fv_params *p) {
  if (!p) return;
  fv_free(p->v);
  fv_arena_free(p->arena);
  fv_free(p);
}

int fv_params_find(const fv_params *p, const char *name) {
  for (int i = 0; i < p->n; i++)
    if (!strcmp(p->v[i].name, name)) return i;
  return -1;
}

fv_status fv_params_add(fv_params *p, fv_param_info info) {
  FV_REQUIRE(!p->laid_out, FV_ERR_REQUEST, "parameter '%s': expected a name of the model, got one it does not have",
             info.name);
  if (p->n == p->cap) {
    int cap = p->cap ? 2 * p->cap : 64;
    fv_param_info *v = fv_realloc(p->v, (size_t)cap * sizeof *v);
    FV_REQUIRE(v, FV_ERR_MEMORY, "parameters: out of memory");
    p->v = v;
    p->cap = cap;
  }
  info.name = fv_arena_strdup(p->arena, info.name);
  FV_REQUIRE(info.name, FV_ERR_MEMORY, "parameters: out of memory");
  p->v[p->n++] = info;
  return FV_OK;
}

fv_status fv_params_layout(fv_params *p) {
  FV_ASSERT(!p->laid_out);
  int64_t at = 0;
  for (fv_group group = FV_GROUP_DECAY; group < FV_GROUPS; group++) {
    p->group_begin[group] = at;
    for (int i = 0; i < p->n; i++) {
      if (p->v[i].group != group) continue;
      p->v[i].offset = at;
      int64_t count = fv_shape_count(p->v[i].shape);
      at += fv_round_up(count, FV_ALIGN / (int64_t)sizeof(float));
      if (group != FV_GROUP_BUFFER) p->count += count;
    }
  }
  p->group_begin[FV_GROUPS] = p->size = at;
  p->laid_out = true;
  return FV_OK;
}

/* ---- initialisers ------------------------------------------------------------------------------------------------ */
static void fill_normal(fv_rng *rng, float *w, int64_t n, double std, bool cut) {
  for (int64_t i = 0; i < n; i++) {
    double v = fv_rng_normal(rng);
    while (cut && fabs(v) > 2) v = fv_rng_normal(rng);
    w[i] = (float)(std * v);
  }
}

static void fill_uniform(fv_rng *rng, float *w, int64_t n, double bound) {
  for (int64_t i = 0; i < n; i++) w[i] = (float)(bound * (2 * fv_rng_uniform(rng) - 1));
}

/* Rows (or columns, when there are more rows) made orthonormal by modified Gram-Schmidt on normal numbers. */
static void fill_orthogonal(fv_rng *rng, float *w, int64_t rows, int64_t cols) {
  fill_normal(rng, w, rows * cols, 1, false);
  int64_t vectors = FV_MIN(rows, cols), length = FV_MAX(rows, cols);
  int64_t next = rows <= cols ? cols : 1, step = rows <= cols ? 1 : cols;
  for (int64_t i = 0; i < vectors; i++) {
    float *a = w + i * next;
    for (int64_t j = 0; j < i; j++) {
      const float *b = w + j * next;
      double dot = 0;
      for (int64_t k = 0; k < length; k++) dot += (double)a[k * step] * (double)b[k * step];
      for (int64_t k = 0; k < length; k++) a[k * step] -= (float)dot * b[k * step];
    }
    double norm = 0;
    for (int64_t k = 0; k < length; k++) norm += (double)a[k * step] * (double)a[k * step];
    for (int64_t k = 0; k < length; k++) a[k * step] = (float)((double)a[k * step] / sqrt(norm));
  }
}

static void init_one(const fv_param_info *p, uint64_t seed, float *w) {
  fv_rng rng = fv_rng_new(seed, fv_stream_of(p->name));
  int64_t n = fv_shape_count(p->shape), rows = p->shape.ndim ? p->shape.dim[0] : 1;
  if (!n) return;
  double fan_in = (double)(p->init.fan_in ? p->init.fan_in : n / rows);
  double fan_out = (double)n / (p->shape.ndim > 1 ? (double)p->shape.dim[1] : 1), a = p->init.a;
  switch (p->init.kind) {
    case FV_INIT_ZEROS: memset(w, 0, (size_t)n * sizeof *w); break;
    case FV_INIT_ONES: a = 1; /* fall through */
    case FV_INIT_CONSTANT:
      for (int64_t i = 0; i < n; i++) w[i] = (float)a;
      break;
    case FV_INIT_UNIFORM: fill_uniform(&rng, w, n, a); break;
    case FV_INIT_NORMAL: fill_normal(&rng, w, n, a, false); break;
    case FV_INIT_TRUNC_NORMAL: fill_normal(&rng, w, n, a, true); break;
    case FV_INIT_KAIMING_NORMAL: fill_normal(&rng, w, n, (a > 0 ? a : sqrt(2)) / sqrt(fan_in), false); break;
    case FV_INIT_KAIMING_UNIFORM: fill_uniform(&rng, w, n, 1 / sqrt(fan_in)); break;
    case FV_INIT_XAVIER_UNIFORM: fill_uniform(&rng, w, n, sqrt(6 / (fan_in + fan_out))); break;
    case FV_INIT_ORTHOGONAL: fill_orthogonal(&rng, w, rows, n / rows); break;
  }
  if (p->init.padding) memset(w, 0, (size_t)(n / rows) * sizeof *w);
}

void fv_params_init(const fv_params *params, uint64_t seed, float *slab) {
  for (int i = 0; i < params->n; i++) init_one(&params->v[i], seed, slab + params->v[i].offset);
}
