/* SPDX-License-Identifier: Apache-2.0 */
/* random_graph.c: graphs nobody thought of, from the rows' own cases. An operation and one of its cases are drawn; its
 * operands are values made before (reshaped, and squeezed into the range the case asks for) or fresh leaves; then come
 * element-wise tails, as fusion looks for them. The seed alone decides: the same graph can be had in f32 and in f64. */
#include "check.h"

#define COUNT_MOST 3000 /* elements of a value */

static uint32_t below(ck_random_graph *b, uint32_t n) { return fv_rng_below(&b->rng, n); }

void *ck_const_bytes(ck_random_graph *b, const fv_tensor *like, const double *v) {
  fv_tensor t = *like;
  t.data = fv_arena_alloc(b->arena, (size_t)(fv_shape_count(t.shape) + 1) * sizeof(double));
  if (t.data != NULL) ck_tensor_store(&t, v);
  return t.data;
}

/* A fresh input, parameter or constant with numbers as the case wants them. */
static fv_value *make_leaf(ck_random_graph *b, const ck_spec *spec) {
  if (b->n_leaves == CK_MAX_LEAVES) return NULL;
  ck_leaf *l = &b->leaves[b->n_leaves];
  fv_rng rng = fv_rng_new(b->seed, 7000 + (uint64_t)b->n_leaves);
  bool real = spec->dtype == FV_F32;
  fv_tensor like = {.dtype = real ? b->g->real : spec->dtype, .shape = spec->shape};
  uint32_t kind = below(b, 4);
  char name[16];
  l->v = fv_arena_alloc(b->arena, (size_t)(fv_shape_count(spec->shape) + 1) * sizeof(double));
  if (l->v == NULL) return NULL;
  ck_fill_values(spec, CK_FILL_UNIFORM, &rng, l->v);
  snprintf(name, sizeof name, "leaf%d", b->n_leaves);
  if (kind == 0) {
    const void *bytes = ck_const_bytes(b, &like, l->v);
    return bytes == NULL ? NULL : fv_const_data(b->g, like.dtype, like.shape, bytes);
  }
  l->value = kind == 1 && real ? fv_param(b->g, name, like.shape, (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_DECAY)
                               : fv_input(b->g, name, like.dtype, like.shape);
  b->n_leaves++;
  return l->value;
}

static fv_value *reshaped(fv_graph *g, fv_value *v, fv_shape shape) {
  if (fv_shape_equal(v->shape, shape)) return v;
  fv_text t = {0};
  for (int i = 0; i < shape.ndim; i++) fv_text_printf(&t, "%s%lld", i == 0 ? "shape=" : ",", (long long)shape.dim[i]);
  fv_value *r = fv_op_text(g, "reshape", t.s == NULL ? "" : t.s, 1, &v);
  fv_text_free(&t);
  return r;
}

/* v squeezed into [lo, hi]: operations are only tried where their case says they are at home. */
static fv_value *squeezed(ck_random_graph *b, fv_value *v, double lo, double hi) {
  fv_value *half = fv_const(b->g, 0.5 * (hi - lo)), *middle = fv_const(b->g, 0.5 * (hi + lo));
  fv_value *t = fv_op(b->g, "tanh", NULL, v);
  return lo == -1 && hi == 1 ? t : fv_op(b->g, "add", NULL, fv_op(b->g, "mul", NULL, t, half), middle);
}

static fv_value *operand(ck_random_graph *b, const ck_spec *spec) {
  if (spec->absent) return fv_absent(b->g);
  int64_t count = fv_shape_count(spec->shape);
  uint32_t fresh = below(b, 4), start = below(b, CK_MAX_POOL);
  if (spec->dtype == FV_F32 && fresh != 0)
    for (int i = 0; i < b->n_pool; i++) {
      fv_value *v = b->pool[(start + (uint32_t)i) % (uint32_t)b->n_pool];
      if (fv_shape_count(v->shape) == count) return squeezed(b, reshaped(b->g, v, spec->shape), spec->lo, spec->hi);
    }
  return make_leaf(b, spec);
}

static bool suitable(const ck_random_graph *b, const fv_op_def *op, const ck_case *c) {
  if (c->n < 1 || c->note != NULL || (b->differentiate && (op->grad == NULL || c->no_grad_check))) return false;
  for (int i = 0; i < c->n; i++)
    if (fv_shape_count(c->in[i].shape) > COUNT_MOST || c->in[i].dtype == FV_F64) return false;
  return strcmp(op->name, "chain") != 0;
}

static void pool_add(ck_random_graph *b, fv_value *v) {
  if (v != NULL && v->dtype == b->g->real && fv_shape_count(v->shape) > 0 && fv_shape_count(v->shape) <= COUNT_MOST &&
      b->n_pool < CK_MAX_POOL)
    b->pool[b->n_pool++] = v;
}

/* A few element-wise steps on v, such as fusion looks for: scales and shifts, activations, residuals. */
static fv_value *tail(ck_random_graph *b, fv_value *v) {
  static const char *const one[] = {"relu", "tanh", "sigmoid", "neg", "abs", "square", "silu", "gelu"};
  static const char *const two[] = {"add", "add", "mul", "sub", "maximum"};
  for (uint32_t n = 1 + below(b, 5); n > 0 && v != NULL; n--) {
    ck_spec shift = {.dtype = FV_F32, .lo = -1, .hi = 1, .shape = {.ndim = v->shape.ndim > 0, .dim = {fv_dim(v, -1)}}};
    ck_spec whole = {.dtype = FV_F32, .lo = -1, .hi = 1, .shape = v->shape};
    uint32_t kind = below(b, 6);
    if (kind < 3) {
      v = fv_op(b->g, one[below(b, FV_COUNT(one))], NULL, v);
      continue;
    }
    fv_value *other = kind == 3                     ? make_leaf(b, &shift)
                      : kind == 4 || b->n_pool == 0 ? make_leaf(b, &whole)
                                                    : b->pool[below(b, (uint32_t)b->n_pool)];
    fv_shape both;
    if (other != NULL && fv_shape_broadcast(v->shape, other->shape, &both) && fv_shape_count(both) <= COUNT_MOST)
      v = fv_op(b->g, two[below(b, FV_COUNT(two))], NULL, v, other);
  }
  return v;
}

static void add_case(ck_random_graph *b, const fv_op_def *op, const ck_case *c) {
  fv_value *in[CK_MAX_IN];
  for (int i = 0; i < c->n; i++) in[i] = operand(b, &c->in[i]);
  fv_value *v = fv_op_text(b->g, op->name, c->attrs, c->n, in);
  bool go_on = v != NULL && v->dtype == b->g->real && fv_shape_count(v->shape) <= COUNT_MOST && below(b, 2) == 0;
  if (go_on) pool_add(b, tail(b, v)); /* nothing else reads v: it may be swallowed */
  for (int i = go_on ? 1 : 0; v != NULL && i < (b->differentiate ? 1 : v->producer->n_out); i++)
    pool_add(b, v->producer->out[i]);
}

/* Every third is a product or a norm: few among many rows, but what fusion is for. */
static const fv_op_def *pick_op(ck_random_graph *b) {
  uint32_t n = 0;
  bool favourite = below(b, 3) == 0;
  while (fv_ops[n] != NULL) n++;
  const fv_op_def *op = fv_ops[below(b, n)];
  for (int tries = 0; favourite && tries < 100; tries++) {
    if ((op->flags & FV_OP_PRODUCT) || strstr(op->name, "norm") != NULL) break;
    op = fv_ops[below(b, n)];
  }
  return op;
}

static void add_random_op(ck_random_graph *b) {
  int n_cases = 0;
  const fv_op_def *op = pick_op(b);
  while (op->cases != NULL && op->cases[n_cases].in != NULL) n_cases++;
  ck_case c;
  uint32_t index = below(b, (uint32_t)FV_MAX(n_cases, 1));
  if (ck_case_get(op, (int)index, b->seed, b->arena, &c) && suitable(b, op, &c)) add_case(b, op, &c);
}

/* Mean of squares of some values, and its gradient for parameters and a few inputs. */
static void add_gradient(ck_random_graph *b) {
  fv_value *loss = NULL, *wrt[4], *grads[4];
  int n = 0;
  for (int i = 0; i < 3 && b->n_pool > 0; i++) {
    fv_value *v = b->pool[b->n_pool - 1 - (int)below(b, (uint32_t)b->n_pool)];
    fv_value *part = fv_op(b->g, "mean", NULL, fv_op(b->g, "square", NULL, v));
    loss = loss == NULL ? part : fv_op(b->g, "add", NULL, loss, part);
  }
  if (loss == NULL) return;
  fv_output(b->g, "loss", loss);
  for (int i = 0; i < b->n_leaves && n < 4; i++)
    if (b->leaves[i].value->kind == FV_VALUE_INPUT && b->leaves[i].value->dtype == b->g->real)
      wrt[n++] = b->leaves[i].value;
  fv_status status = fv_graph_differentiate(b->g, loss, true, n, wrt, grads);
  if (status != FV_OK) {
    (void)fv_graph_fail(b->g, status);
    return;
  }
  for (int i = 0; i < n; i++) {
    char name[16];
    snprintf(name, sizeof name, "d%d", i);
    fv_output(b->g, name, grads[i]);
  }
}

static void add_outputs(ck_random_graph *b) {
  for (int i = 0, n = 0; i < b->n_pool && n < CK_MAX_OUTPUTS - 10; i++) {
    char name[16];
    if (i < b->n_pool - 3 && below(b, 3) != 0) continue;
    snprintf(name, sizeof name, "out%d", n++);
    fv_output(b->g, name, b->pool[i]);
  }
}

void ck_random_graph_free(ck_random_graph *b) {
  fv_graph_free(b->g);
  fv_params_free(b->params);
  fv_arena_free(b->arena);
}

/* The same graph for the same seed, whatever `real` is. */
fv_status ck_random_graph_new(uint64_t seed, fv_dtype real, ck_random_graph *b) {
  *b = (ck_random_graph){.seed = seed, .rng = fv_rng_new(seed, fv_stream_of("random graph"))};
  FV_TRY(fv_arena_new(&b->arena));
  FV_TRY(fv_params_new(&b->params));
  FV_TRY(fv_graph_new(b->params, real, &b->g));
  b->differentiate = below(b, 2) == 0;
  for (uint32_t n = 3 + below(b, 25); n > 0; n--) {
    if (b->n_pool > 0 && below(b, 3) == 0) pool_add(b, tail(b, b->pool[below(b, (uint32_t)b->n_pool)]));
    else add_random_op(b);
  }
  add_outputs(b);
  if (b->differentiate) add_gradient(b);
  FV_TRY(fv_graph_check(b->g));
  FV_TRY(fv_params_layout(b->params));
  return fv_graph_verify(b->g);
}
