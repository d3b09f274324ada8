/* SPDX-License-Identifier: Apache-2.0 */
/* pass_simplify.c: what needs no work is not done: neutral elements, views of views, arithmetic on constants. Only
 * rules that keep every bit. */
#include "ir/ir.h"
#include "ops/permute.h"
#include "ops/reshape.h"

static bool is_op(const fv_value *v, const char *op) { return v->producer && !strcmp(v->producer->op->name, op); }

/* Every element of a constant is `x`. */
static bool is_const(const fv_value *v, double x) {
  if (v->kind != FV_VALUE_CONST) return false;
  fv_tensor t = {.dtype = v->dtype, .shape = v->shape, .data = (void *)(uintptr_t)v->data};
  int64_t n = fv_shape_count(v->shape);
  for (int64_t i = 0; i < n; i++)
    if (fv_get(&t, i) != x) return false;
  return n > 0;
}

static bool same_type(const fv_value *a, const fv_value *b) {
  return a->dtype == b->dtype && fv_shape_equal(a->shape, b->shape);
}

/* The operand that a node with a neutral element merely hands on; NULL when it does work. */
static fv_value *neutral(const fv_node *node) {
  static const struct { const char *op; double x; int which; } rules[] = {
      {"mul", 1, 1}, {"mul", 1, 0}, {"div", 1, 1}, {"sub", 0, 1}, {"pow", 1, 1}};
  for (size_t i = 0; i < FV_COUNT(rules); i++)
    if (!strcmp(node->op->name, rules[i].op) && is_const(node->in[rules[i].which], rules[i].x))
      return node->in[!rules[i].which];
  /* x + 0 turns -0 into +0, which nothing downstream can tell from a sum that rounds to zero */
  if (!strcmp(node->op->name, "add"))
    for (int k = 0; k < 2; k++)
      if (is_const(node->in[!k], 0)) return node->in[k];
  return NULL;
}

static fv_value *view_of_view(fv_graph *g, const fv_node *node) {
  fv_value *x = node->in[0];
  if (!strcmp(node->op->name, "reshape")) {
    if (is_op(x, "reshape")) {
      fv_reshape_attrs to = {.shape.n = node->out[0]->shape.ndim};
      for (int i = 0; i < node->out[0]->shape.ndim; i++) to.shape.v[i] = node->out[0]->shape.dim[i];
      return fv_op(g, "reshape", &to, x->producer->in[0]);
    }
    return same_type(x, node->out[0]) ? x : NULL;
  }
  if (strcmp(node->op->name, "permute")) return NULL;
  const fv_permute_attrs *outer = node->attrs;
  bool identity = true;
  for (int64_t i = 0; i < outer->perm.n; i++) identity &= fv_axis(outer->perm.v[i], x->shape.ndim) == i;
  if (identity) return x;
  if (!is_op(x, "permute")) return NULL;
  const fv_permute_attrs *inner = x->producer->attrs;
  fv_permute_attrs both = {.perm.n = outer->perm.n};
  for (int64_t i = 0; i < outer->perm.n; i++)
    both.perm.v[i] = fv_axis(inner->perm.v[fv_axis(outer->perm.v[i], x->shape.ndim)], x->shape.ndim);
  return fv_op(g, "permute", &both, x->producer->in[0]);
}

/* A small node whose inputs are all constants is run now, by its reference. */
static fv_value *fold(fv_graph *g, const fv_node *node) {
  enum { MOST = 4096, INS = 8 };
  if (node->n_in == 0 || node->n_in > INS || node->n_out != 1 || fv_shape_count(node->out[0]->shape) > MOST)
    return NULL;
  fv_tensor in[INS];
  for (int k = 0; k < node->n_in; k++) {
    const fv_value *v = node->in[k];
    if (v->kind != FV_VALUE_CONST || fv_shape_count(v->shape) > MOST) return NULL;
    in[k] = (fv_tensor){.dtype = v->dtype, .shape = v->shape, .data = (void *)(uintptr_t)v->data};
  }
  const fv_value *y = node->out[0];
  size_t bytes = (size_t)fv_shape_count(y->shape) * fv_dtype_size(y->dtype);
  void *data = fv_arena_alloc(g->arena, bytes ? bytes : 1);
  if (!data) return NULL;
  fv_tensor out = {.dtype = y->dtype, .shape = y->shape, .data = data};
  node->op->ref(
      &(fv_call){.node = node, .attrs = node->attrs, .n_in = node->n_in, .n_out = 1, .in = in, .out = &out, .end = 1});
  return fv_const_data(g, y->dtype, y->shape, data);
}

fv_status fv_pass_simplify(fv_graph *g) {
  bool changed = true;
  while (changed && g->status == FV_OK) {
    changed = false;
    for (int i = 0; i < g->n_nodes; i++) {
      fv_node *node = g->nodes[i];
      fv_value *with = neutral(node);
      if (with && !same_type(with, node->out[0])) with = NULL;
      if (!with) with = view_of_view(g, node);
      if (!with) with = fold(g, node);
      if (!with || with == node->out[0]) continue;
      fv_graph_replace(g, node->out[0], with);
      changed = true;
    }
    FV_TRY(fv_graph_check(g));
    FV_TRY(fv_pass_sort(g));
    FV_TRY(fv_pass_dce(g));
  }
  return fv_graph_check(g);
}
