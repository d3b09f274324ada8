/* SPDX-License-Identifier: Apache-2.0 */
/* random_graph.c: graphs nobody thought of, from the rows' own cases. An operation and one of its cases are drawn; its
 * operands are values made before (reshaped, and squeezed into the range the case asks for) or fresh leaves; then come
 * element-wise tails, as fusion looks for them. The seed alone decides: the same graph can be had in f32 and in f64. */
#include "check.h"

#define COUNT_MOST 3000   /* elements of a value */
#define LARGE_COUNT 80000 /* in the few graphs that are large enough for nodes to be split over threads */

static int64_t count_most(const ck_random_graph *b) { return b->large ? LARGE_COUNT : COUNT_MOST; }

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
  if (v == NULL || v->dtype != b->g->real || b->n_pool == CK_MAX_POOL) return;
  if (fv_shape_count(v->shape) > 0 && fv_shape_count(v->shape) <= count_most(b)) b->pool[b->n_pool++] = v;
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
    if (other != NULL && fv_shape_broadcast(v->shape, other->shape, &both) && fv_shape_count(both) <= count_most(b))
      v = fv_op(b->g, two[below(b, FV_COUNT(two))], NULL, v, other);
  }
  return v;
}

/* The operation on operands as the case wants them; NULL after a mistake. */
static fv_value *apply_case(ck_random_graph *b, const fv_op_def *op, const ck_case *c) {
  fv_value *in[CK_MAX_IN];
  for (int i = 0; i < c->n; i++) in[i] = operand(b, &c->in[i]);
  return fv_op_text(b->g, op->name, c->attrs, c->n, in);
}

static void add_case(ck_random_graph *b, const fv_op_def *op, const ck_case *c) {
  fv_value *v = apply_case(b, op, c);
  bool go_on = v != NULL && v->dtype == b->g->real && below(b, 2) == 0;
  if (go_on) pool_add(b, tail(b, v)); /* nothing else reads v: it may be swallowed */
  for (int i = go_on ? 1 : 0; v != NULL && i < (b->differentiate ? 1 : v->producer->n_out); i++)
    pool_add(b, v->producer->out[i]);
}

static bool random_case(ck_random_graph *b, const fv_op_def *op, ck_case *c) {
  int n = 0;
  while (op->cases != NULL && op->cases[n].in != NULL) n++;
  return n > 0 && ck_case_get(op, (int)below(b, (uint32_t)n), b->seed, b->arena, c) && suitable(b, op, c);
}

static const fv_op_def *random_op(ck_random_graph *b) {
  uint32_t n = 0;
  while (fv_ops[n] != NULL) n++;
  return fv_ops[below(b, n)];
}

static void add_random_op(ck_random_graph *b) {
  const fv_op_def *op = random_op(b);
  ck_case c;
  if (random_case(b, op, &c)) add_case(b, op, &c);
}

/* ---- what passes look for: rare among random operations, so made on purpose -------------------------------------- */
static fv_value *any_of_pool(ck_random_graph *b) {
  return b->n_pool == 0 ? NULL : b->pool[below(b, (uint32_t)b->n_pool)];
}

/* A parameter or constant: one number for each of the last dimension. */
static fv_value *per_channel(ck_random_graph *b, const fv_value *v, double lo, double hi) {
  fv_shape shape = FV_SHAPE(fv_dim(v, -1));
  char name[24];
  if (below(b, 3) == 0) return make_leaf(b, &(ck_spec){.dtype = FV_F32, .shape = shape, .lo = lo, .hi = hi});
  if (b->n_leaves == CK_MAX_LEAVES) return NULL;
  ck_leaf *l = &b->leaves[b->n_leaves];
  fv_rng rng = fv_rng_new(b->seed, 9000 + (uint64_t)b->n_leaves);
  l->v = fv_arena_alloc(b->arena, (size_t)(shape.dim[0] + 1) * sizeof(double));
  if (l->v == NULL) return NULL;
  ck_fill_values(&(ck_spec){.dtype = FV_F32, .shape = shape, .lo = lo, .hi = hi}, CK_FILL_UNIFORM, &rng, l->v);
  snprintf(name, sizeof name, "channel%d", b->n_leaves++);
  l->value = fv_param(b->g, name, shape, (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_DECAY);
  return l->value;
}

/* Maybe a residual, maybe an activation. */
static fv_value *finished(ck_random_graph *b, fv_value *y, fv_value *x) {
  static const char *const acts[] = {"relu", "relu", "sigmoid", "tanh", "silu", "gelu"};
  if (y == NULL) return NULL;
  if (below(b, 2) == 0) {
    bool same = x != NULL && fv_shape_equal(x->shape, y->shape) && below(b, 3) != 0;
    fv_value *r = same ? x : make_leaf(b, &(ck_spec){.dtype = FV_F32, .shape = y->shape, .lo = -1, .hi = 1});
    y = below(b, 2) == 0 ? fv_op(b->g, "add", NULL, y, r) : fv_op(b->g, "add", NULL, r, y);
  }
  return below(b, 3) != 0 ? fv_op(b->g, acts[below(b, FV_COUNT(acts))], NULL, y) : y;
}

static void add_norm_block(ck_random_graph *b) {
  fv_value *x = any_of_pool(b);
  if (x == NULL || x->shape.ndim < 2 || fv_op_find("batch_norm") == NULL) return;
  fv_value *in[] = {x, per_channel(b, x, 0.5, 1.5), per_channel(b, x, -1, 1)};
  pool_add(b, finished(b, fv_op_text(b->g, "batch_norm", "eps=0.1", 3, in), x));
}

static void add_product_block(ck_random_graph *b) {
  const fv_op_def *op = random_op(b);
  for (int tries = 0; tries < 200 && !(op->flags & FV_OP_PRODUCT); tries++) op = random_op(b);
  ck_case c;
  if (!random_case(b, op, &c)) return;
  fv_value *y = apply_case(b, op, &c);
  if (y == NULL || y->shape.ndim < 1 || fv_dim(y, -1) < 1) return;
  if (below(b, 2) == 0) y = fv_op(b->g, "mul", NULL, y, per_channel(b, y, 0.5, 1.5));
  if (below(b, 2) == 0) y = fv_op(b->g, below(b, 2) == 0 ? "add" : "sub", NULL, y, per_channel(b, y, -1, 1));
  pool_add(b, finished(b, y, any_of_pool(b)));
}

static fv_value *permuted(ck_random_graph *b, fv_value *x) {
  int32_t perm[FV_MAX_DIMS];
  fv_text t = {0};
  if (x == NULL || x->shape.ndim < 1) return x;
  fv_rng_permutation(&b->rng, perm, x->shape.ndim);
  for (int i = 0; i < x->shape.ndim; i++) fv_text_printf(&t, "%s%d", i == 0 ? "perm=" : ",", (int)perm[i]);
  fv_value *y = fv_op_text(b->g, "permute", t.s == NULL ? "" : t.s, 1, &x);
  fv_text_free(&t);
  return y;
}

/* Views of views. */
static void add_views(ck_random_graph *b) {
  fv_value *x = any_of_pool(b);
  if (x == NULL) return;
  if (below(b, 2) == 0) x = permuted(b, permuted(b, x));
  else x = reshaped(b->g, reshaped(b->g, x, FV_SHAPE(fv_shape_count(x->shape))), x->shape);
  pool_add(b, x == NULL ? NULL : tail(b, x));
}

/* The same work again, or nearly: with its first two operands exchanged. */
static void add_again(ck_random_graph *b) {
  if (b->g->n_nodes == 0) return;
  const fv_node *node = b->g->nodes[below(b, (uint32_t)b->g->n_nodes)];
  fv_value *in[CK_MAX_IN];
  for (int i = 0; i < node->n_in; i++) in[i] = node->in[i];
  if (node->n_in == 2 && in[0]->dtype == in[1]->dtype && fv_shape_equal(in[0]->shape, in[1]->shape) &&
      below(b, 2) == 0) {
    in[0] = node->in[1];
    in[1] = node->in[0];
  }
  pool_add(b, fv_op_apply(b->g, node->op->name, node->attrs, node->n_in, in));
}

static void add_something(ck_random_graph *b) {
  static void (*const makers[])(ck_random_graph *b) = {add_norm_block, add_product_block, add_views, add_again};
  uint32_t kind = below(b, 12);
  if (kind < FV_COUNT(makers)) makers[kind](b);
  else if (kind < 7 && b->n_pool > 0) pool_add(b, tail(b, any_of_pool(b)));
  else add_random_op(b);
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
  b->large = below(b, 10) == 0;
  if (b->large) pool_add(b, make_leaf(b, &(ck_spec){.dtype = FV_F32, .shape = FV_SHAPE(64, 1030), .lo = -1, .hi = 1}));
  for (uint32_t n = b->large ? 5 : 3 + below(b, 25); n > 0; n--) add_something(b);
  add_outputs(b);
  if (b->differentiate) add_gradient(b);
  FV_TRY(fv_graph_check(b->g));
  FV_TRY(fv_params_layout(b->params));
  return fv_graph_verify(b->g);
}
