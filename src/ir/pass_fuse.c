/* SPDX-License-Identifier: Apache-2.0 */
/* pass_fuse.c: fewer passes over memory.
 *   fold     product(x, W) * s + t, with s and t from parameters alone, becomes product(x, W*s) + t (a batch norm at
 * inference)
 *   finish   product + residual, then an activation, become the product's last touch of its result
 *   norm     batch_norm + residual, then relu, become one node; the mask of relu's gradient moves into batch_norm_grad
 *   keep     an additive score keeps its hidden layer only when a gradient reads it
 *   chain    what is left of element-wise nodes is joined, each group one tiled pass
 * A value is swallowed only when nothing else reads it. */
#include "ir/ir.h"
#include "ops/additive_score.h"
#include "ops/chain.h"
#include "ops/conv2d.h"
#include "ops/gelu.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/reshape.h"

typedef struct fuser {
  fv_graph *g;
  int *uses;
  bool *invariant;
} fuser;

static bool is_op(const fv_node *n, const char *op) { return n && !strcmp(n->op->name, op); }

static fv_status refresh(fuser *f) {
  fv_free(f->uses);
  fv_free(f->invariant);
  f->uses = NULL;
  f->invariant = NULL;
  FV_TRY(fv_pass_sort(f->g));
  FV_TRY(fv_pass_dce(f->g));
  FV_TRY(FV_NEW(&f->uses, f->g->n_values + 1));
  FV_TRY(FV_NEW(&f->invariant, f->g->n_values + 1));
  fv_graph_count_uses(f->g, f->uses);
  fv_graph_mark_invariant(f->g, f->invariant);
  return FV_OK;
}

/* New nodes keep the scope of the one they stand for. */
static fv_value *rebuild(fv_graph *g, const fv_node *like, const char *op, const void *attrs, int n_in,
                         fv_value *const *in) {
  char saved[sizeof g->scope];
  memcpy(saved, g->scope, sizeof saved);
  const char *dot = strrchr(like->name, '.');
  snprintf(g->scope, sizeof g->scope, "%.*s", dot ? (int)(dot - like->name) : 0, like->name);
  fv_value *v = fv_op_apply(g, op, attrs, n_in, in);
  memcpy(g->scope, saved, sizeof saved);
  return v;
}

/* ---- products ---------------------------------------------------------------------------------------------------- */
/* conv2d and linear have the same four inputs: x, weight, bias, residual. */
typedef struct product {
  const fv_node *node;
  fv_value *in[4];
  int64_t act;
} product;

static bool product_of(const fuser *f, const fv_value *v, product *p) {
  const fv_node *n = v->producer;
  bool conv = is_op(n, "conv2d"), linear = is_op(n, "linear");
  if ((!conv && !linear) || f->uses[v->id] != 1) return false;
  *p = (product){.node = n,
                 .act = conv ? ((const fv_conv2d_attrs *)n->attrs)->act : ((const fv_linear_attrs *)n->attrs)->act};
  for (int k = 0; k < 4; k++) p->in[k] = k < n->n_in ? n->in[k] : fv_absent(f->g);
  return p->in[3] != NULL;
}

static fv_value *product_build(fv_graph *g, const product *p) {
  if (is_op(p->node, "conv2d")) {
    fv_conv2d_attrs a = *(const fv_conv2d_attrs *)p->node->attrs;
    a.act = p->act;
    return rebuild(g, p->node, "conv2d", &a, 4, p->in);
  }
  fv_linear_attrs a = *(const fv_linear_attrs *)p->node->attrs;
  a.act = p->act;
  return rebuild(g, p->node, "linear", &a, 4, p->in);
}

/* Which of the product's activations the node is; 0 when none. gelu: the exact one alone. */
static int64_t activation(const fv_op_def *product_op, const fv_node *node) {
  if (is_op(node, "gelu") && ((const fv_gelu_attrs *)node->attrs)->approximate) return 0;
  const char *const *names = fv_options_find(product_op->attrs, "act")->choices;
  for (int64_t i = 1; names[i]; i++)
    if (is_op(node, names[i])) return i;
  return 0;
}

static bool absent(const fv_value *v) { return v->kind == FV_VALUE_ABSENT; }

/* s as [C] when it is one number a channel of v, else NULL. */
static fv_value *per_channel(fuser *f, fv_value *s, const fv_value *v) {
  if (!f->invariant[s->id] || v->shape.ndim < 1) return NULL;
  int64_t c = v->shape.dim[v->shape.ndim - 1];
  if (s->shape.ndim < 1 || s->shape.dim[s->shape.ndim - 1] != c || fv_shape_count(s->shape) != c) return NULL;
  fv_reshape_attrs flat = {.shape = {.n = 1, .v = {c}}};
  return s->shape.ndim == 1 ? s : fv_op(f->g, "reshape", &flat, s);
}

static fv_value *fold_scale(fuser *f, product *p, fv_value *s) {
  fv_shape w = p->in[1]->shape;
  fv_reshape_attrs column = {.shape = {.n = w.ndim, .v = {w.dim[0], 1, 1, 1}}};
  p->in[1] = fv_op(f->g, "mul", NULL, p->in[1], fv_op(f->g, "reshape", &column, s));
  if (!absent(p->in[2])) p->in[2] = fv_op(f->g, "mul", NULL, p->in[2], s);
  return product_build(f->g, p);
}

static fv_value *fold_shift(fuser *f, product *p, fv_value *t) {
  p->in[2] = absent(p->in[2]) ? t : fv_op(f->g, "add", NULL, p->in[2], t);
  return product_build(f->g, p);
}

/* What node becomes when it is the last touch of a product; NULL when it is not. */
static fv_value *finish_product(fuser *f, const fv_node *node) {
  product p;
  bool add = is_op(node, "add"), sub = is_op(node, "sub"), mul = is_op(node, "mul");
  for (int k = 0; (add || mul || (sub && k == 0)) && k < 2; k++) {
    if (!product_of(f, node->in[k], &p) || p.act || !fv_shape_equal(node->in[k]->shape, node->out[0]->shape)) continue;
    fv_value *other = node->in[!k], *channel = per_channel(f, other, node->out[0]);
    if (channel && mul && absent(p.in[3])) return fold_scale(f, &p, channel);
    if (channel && add && absent(p.in[3])) return fold_shift(f, &p, channel);
    if (channel && sub && absent(p.in[3])) return fold_shift(f, &p, fv_op(f->g, "neg", NULL, channel));
    if (add && absent(p.in[3]) && fv_shape_equal(other->shape, node->out[0]->shape) && other->dtype == FV_F32) {
      p.in[3] = other;
      return product_build(f->g, &p);
    }
  }
  if (node->n_in != 1 || !product_of(f, node->in[0], &p) || p.act) return NULL;
  p.act = activation(p.node->op, node);
  if (!p.act) return NULL;
  return product_build(f->g, &p);
}

/* ---- batch norm -------------------------------------------------------------------------------------------------- */
static fv_value *finish_norm(fuser *f, const fv_node *node) {
  bool relu = is_op(node, "relu"), add = is_op(node, "add");
  for (int k = 0; k < node->n_in && (relu || add); k++) {
    const fv_node *norm = node->in[k]->producer;
    if (!is_op(norm, "batch_norm") || norm->out[0] != node->in[k] || f->uses[node->in[k]->id] != 1) continue;
    fv_batch_norm_attrs a = *(const fv_batch_norm_attrs *)norm->attrs;
    bool residual = norm->n_in > 3 && !absent(norm->in[3]);
    bool alike = fv_shape_equal(node->in[k]->shape, node->out[0]->shape);
    if (add) alike = alike && fv_shape_equal(node->in[!k]->shape, node->out[0]->shape);
    if (a.act || !alike || (add && residual)) continue;
    if (relu) a.act = 1;
    fv_value *in[4] = {norm->in[0], norm->in[1], norm->in[2],
                       add        ? node->in[!k]
                       : residual ? norm->in[3]
                                  : fv_absent(f->g)};
    fv_value *y = rebuild(f->g, norm, "batch_norm", &a, 4, in);
    for (int i = 1; y && i < norm->n_out; i++) fv_graph_replace(f->g, norm->out[i], y->producer->out[i]);
    return y;
  }
  return NULL;
}

/* batch_norm_grad of relu_grad(dy, y): the mask is applied on the way in. Where the masked gradient is needed besides
 * (the residual path), batch_norm_grad hands it out. */
static bool finish_norm_grad(fuser *f, const fv_node *node) {
  const fv_node *mask = is_op(node, "batch_norm_grad") ? node->in[1]->producer : NULL;
  if (!is_op(mask, "relu_grad")) return false;
  fv_batch_norm_grad_attrs a = *(const fv_batch_norm_grad_attrs *)node->attrs;
  if (a.act) return false;
  a.act = 1;
  a.dz = f->uses[mask->out[0]->id] > 1;
  fv_value *in[6] = {node->in[0], mask->in[0], node->in[2], node->in[3], node->in[4], mask->in[1]};
  fv_value *dx = rebuild(f->g, node, "batch_norm_grad", &a, 6, in);
  if (!dx) return false;
  for (int i = 0; i < 3; i++) fv_graph_replace(f->g, node->out[i], dx->producer->out[i]);
  if (a.dz) fv_graph_replace(f->g, mask->out[0], dx->producer->out[3]);
  return true;
}

/* ---- additive score ---------------------------------------------------------------------------------------------- */
static fv_value *keep_nothing(fuser *f, const fv_node *node) {
  if (!is_op(node, "additive_score") || f->uses[node->out[1]->id] > 0) return NULL;
  if (!((const fv_additive_score_attrs *)node->attrs)->keep) return NULL;
  return rebuild(f->g, node, "additive_score", &(fv_additive_score_attrs){.keep = false}, node->n_in, node->in);
}

/* ---- chains ------------------------------------------------------------------------------------------------------ */
typedef struct group {
  fv_node *member[FV_CHAIN_STEPS]; /* root first */
  int n;
} group;

static bool in_group(const group *c, const fv_node *node) {
  for (int i = 0; i < c->n; i++)
    if (c->member[i] == node) return true;
  return false;
}

static int uses_inside(const group *c, const fv_value *v) {
  int n = 0;
  for (int i = 0; i < c->n; i++)
    for (int k = 0; k < c->member[i]->n_in; k++) n += c->member[i]->in[k] == v;
  return n;
}

static int group_inputs(const group *c, fv_value **in, int max) {
  int n = 0;
  for (int i = 0; i < c->n; i++)
    for (int k = 0; k < c->member[i]->n_in; k++) {
      fv_value *v = c->member[i]->in[k];
      bool known = v->producer && in_group(c, v->producer);
      for (int j = 0; j < FV_MIN(n, max); j++) known |= in[j] == v;
      if (!known && n < max) in[n] = v;
      n += !known;
    }
  return n;
}

/* Producers whose only readers are in the group join it, as long as it fits one chain. */
static void gather(const fuser *f, fv_node *root, const bool *taken, group *c) {
  *c = (group){.member = {root}, .n = 1};
  for (int i = 0; i < c->n; i++)
    for (int k = 0; k < c->member[i]->n_in && c->n < FV_CHAIN_STEPS; k++) {
      fv_value *v = c->member[i]->in[k];
      fv_node *p = v->producer;
      if (!p || taken[p->id] || !(p->op->flags & FV_OP_ELEMENTWISE) || in_group(c, p)) continue;
      if (f->invariant[v->id] != f->invariant[root->out[0]->id] || !fv_shape_equal(v->shape, root->out[0]->shape))
        continue;
      if (f->uses[v->id] != uses_inside(c, v)) continue;
      c->member[c->n++] = p;
      fv_value *in[FV_CHAIN_INPUTS];
      if (group_inputs(c, in, FV_CHAIN_INPUTS) > FV_CHAIN_INPUTS) c->n--;
    }
}

static int step_of(const group *c, const fv_node *const *order, const fv_node *node) {
  for (int i = 0; i < c->n; i++)
    if (order[i] == node) return i;
  return -1;
}

static fv_value *build_chain(fuser *f, const group *c) {
  fv_value *in[FV_CHAIN_INPUTS];
  int n_in = group_inputs(c, in, FV_CHAIN_INPUTS), n = 0;
  const fv_node *order[FV_CHAIN_STEPS];
  for (int i = 0; i < f->g->n_nodes && n < c->n; i++) /* in the graph's order: producers first */
    if (in_group(c, f->g->nodes[i])) order[n++] = f->g->nodes[i];
  fv_chain_attrs a;
  memset(&a, 0, sizeof a);
  a.n_steps = n;
  a.n_out = 1;
  a.out[0] = n - 1;
  a.out_dtype[0] = c->member[0]->out[0]->dtype;
  for (int i = 0; i < n; i++) {
    a.step[i].op = order[i]->op;
    a.step[i].attrs = order[i]->attrs;
    for (int k = 0; k < order[i]->n_in; k++) {
      const fv_value *v = order[i]->in[k];
      int step = v->producer ? step_of(c, order, v->producer) : -1, input = 0;
      while (step < 0 && in[input] != v) input++;
      a.step[i].operand[k] = step >= 0 ? n_in + step : input;
    }
  }
  return rebuild(f->g, c->member[0], "chain", &a, n_in, in);
}

static fv_status fuse_chains(fuser *f) {
  bool *taken;
  int n_nodes = f->g->n_nodes;
  FV_TRY(FV_NEW(&taken, n_nodes + 1));
  for (int i = n_nodes - 1; i >= 0; i--) {
    fv_node *root = f->g->nodes[i];
    if (taken[root->id] || !(root->op->flags & FV_OP_ELEMENTWISE)) continue;
    group c;
    gather(f, root, taken, &c);
    for (int k = 0; k < c.n; k++) taken[c.member[k]->id] = true;
    if (c.n < 2) continue;
    f->g->n_nodes = n_nodes; /* the order below looks at the old nodes only */
    fv_value *y = build_chain(f, &c);
    if (!y) break;
    f->g->nodes[i] = y->producer; /* the chain takes its root's place */
    y->producer->id = i;
    f->g->n_nodes = n_nodes;
    fv_graph_replace(f->g, root->out[0], y);
  }
  fv_free(taken);
  return fv_graph_check(f->g);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */
static bool fuse_one(fuser *f, const fv_node *node) {
  if (finish_norm_grad(f, node)) return true;
  if (f->invariant[node->out[0]->id]) return false;
  fv_value *with = keep_nothing(f, node);
  if (!with) with = finish_product(f, node);
  if (!with) with = finish_norm(f, node);
  if (with) fv_graph_replace(f->g, node->out[0], with);
  return with != NULL;
}

fv_status fv_pass_fuse(fv_graph *g) {
  fuser f = {.g = g};
  fv_status status = FV_OK;
  FV_TRY_DONE(refresh(&f));
  for (int i = 0, n = g->n_nodes; i < n; i++) { /* nodes that a rule adds wait for the next round */
    if (!fuse_one(&f, g->nodes[i])) continue;
    FV_TRY_DONE(fv_graph_check(g));
    FV_TRY_DONE(refresh(&f));
    n = g->n_nodes;
    i = -1; /* the order is new */
  }
  FV_TRY_DONE(fuse_chains(&f));
done:
  fv_free(f.uses);
  fv_free(f.invariant);
  return status;
}
