/* SPDX-License-Identifier: Apache-2.0 */
/* pass_join.c: sums that a loop written out leaves behind, one term a step, become one node:
 *   products   a1' b1 + a2' b2 + ... = [a1; a2; ...]' [b1; b2; ...]: the gradient of a weight that each step used
 *   pads       parts of one axis, each in zeros of the whole: the gradient of what was cut into slices
 * A term is taken only when nothing else reads it. */
#include "ir/ir.h"
#include "ops/concat.h"
#include "ops/matmul.h"
#include "ops/pad.h"

typedef struct joiner {
  fv_graph *g;
  int *uses, n_values; /* of the values there were before */
  fv_value **terms;
  int n, most;
} joiner;

static bool used_once(const joiner *j, const fv_value *v) { return v->id < j->n_values && j->uses[v->id] == 1; }

static bool is_op(const fv_value *v, const char *op) { return v->producer && !strcmp(v->producer->op->name, op); }

/* The additions under v of its own shape, and what they add, first term first. */
static void collect(joiner *j, fv_value *v, bool root) {
  const fv_node *n = v->producer;
  const bool sum = is_op(v, "add") && (root || used_once(j, v)) && fv_shape_equal(n->in[0]->shape, v->shape) &&
                   fv_shape_equal(n->in[1]->shape, v->shape);
  if (!sum) {
    if (j->n < j->most) j->terms[j->n] = v;
    j->n++;
    return;
  }
  collect(j, n->in[0], false);
  collect(j, n->in[1], false);
}

static fv_value *joined(joiner *j, int axis, int n, fv_value *const *parts) {
  return n == 1 ? parts[0] : fv_op_apply(j->g, "concat", &(fv_concat_attrs){.axis = axis}, n, parts);
}

/* ---- products ---------------------------------------------------------------------------------------------------- */
static bool is_product(const joiner *j, const fv_value *v) {
  if (!is_op(v, "matmul") || !used_once(j, v)) return false;
  const fv_matmul_attrs *a = v->producer->attrs;
  const fv_shape x = v->producer->in[0]->shape, y = v->producer->in[1]->shape;
  bool same = a->ta && !a->tb && x.ndim == y.ndim;
  for (int d = 0; same && d < x.ndim - 2; d++) same = x.dim[d] == y.dim[d];
  return same;
}

/* They may differ in how much is summed over, and in nothing else. */
static bool joins(const fv_value *a, const fv_value *b) {
  for (int k = 0; k < 2; k++) {
    fv_shape x = a->producer->in[k]->shape, y = b->producer->in[k]->shape;
    if (x.ndim != y.ndim) return false;
    x.dim[x.ndim - 2] = y.dim[y.ndim - 2] = 0;
    if (!fv_shape_equal(x, y)) return false;
  }
  return true;
}

/* Term `first` and those after it that go with it become the first; room: for twice as many. */
static void join_products(joiner *j, int first, fv_value **room) {
  fv_value *head = j->terms[first], **a = room, **b = room + j->n;
  int n = 0, kept = first + 1;
  for (int i = first; i < j->n; i++) {
    fv_value *v = j->terms[i];
    if (i > first && !(is_product(j, v) && joins(head, v))) {
      j->terms[kept++] = v;
      continue;
    }
    a[n] = v->producer->in[0];
    b[n++] = v->producer->in[1];
  }
  j->n = kept;
  if (n == 1) return;
  const int axis = a[0]->shape.ndim - 2;
  j->terms[first] = fv_op(j->g, "matmul", &(fv_matmul_attrs){.ta = true}, joined(j, axis, n, a), joined(j, axis, n, b));
}

/* ---- pads -------------------------------------------------------------------------------------------------------- */
/* Zeros before and after along one axis; its number, or -1. *from: where the part begins. */
static int padded_axis(const joiner *j, const fv_value *v, int64_t *from) {
  if (!is_op(v, "pad") || !used_once(j, v)) return -1;
  const fv_pad_attrs *a = v->producer->attrs;
  const fv_shape part = v->producer->in[0]->shape;
  int axis = -1;
  for (int d = 0; d < part.ndim; d++) {
    if (part.dim[d] == v->shape.dim[d]) continue;
    if (axis >= 0) return -1;
    axis = d;
  }
  if (a->value != 0 || axis < 0) return -1;
  *from = axis < a->before.n ? a->before.v[axis] : 0;
  return axis;
}

static int by_place(const joiner *j, fv_value *const *parts, int n, int axis, int64_t at) {
  int64_t from;
  for (int i = 0; i < n; i++)
    if (padded_axis(j, parts[i], &from) == axis && from == at) return i;
  return -1;
}

/* When the pads among the terms cover the axis without gaps, they become their parts in a row. */
static void join_pads(joiner *j, int axis, fv_value **room) {
  fv_value **pads = room, **parts = room + j->n;
  int n = 0, kept = 0;
  int64_t from, at = 0;
  for (int i = 0; i < j->n; i++)
    if (padded_axis(j, j->terms[i], &from) == axis) pads[n++] = j->terms[i];
  if (n < 2) return;
  for (int i = 0; i < n; i++) {
    const int next = by_place(j, pads, n, axis, at);
    if (next < 0) return;
    parts[i] = pads[next]->producer->in[0];
    at += parts[i]->shape.dim[axis];
  }
  if (at != pads[0]->shape.dim[axis]) return;
  for (int i = 0; i < j->n; i++)
    if (padded_axis(j, j->terms[i], &from) != axis) j->terms[kept++] = j->terms[i];
  j->n = kept;
  j->terms[j->n++] = joined(j, axis, n, parts);
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */
static void join_terms(joiner *j, fv_value **room) {
  for (int axis = 0; axis < FV_MAX_DIMS; axis++) join_pads(j, axis, room);
  for (int i = 0; i < j->n; i++)
    if (is_product(j, j->terms[i])) join_products(j, i, room);
}

static fv_status join_sum(joiner *j, fv_value *sum, fv_value **room) {
  j->n = 0;
  collect(j, sum, true);
  const int before = j->n;
  if (before > j->most) return FV_OK;
  join_terms(j, room);
  if (j->n == before) return fv_graph_check(j->g);
  fv_value *v = j->terms[0];
  for (int i = 1; i < j->n; i++) v = fv_op(j->g, "add", NULL, v, j->terms[i]);
  FV_TRY(fv_graph_check(j->g));
  fv_graph_replace(j->g, sum, v);
  return FV_OK;
}

/* Sums that are no term of another. */
static bool is_root(const joiner *j, const bool *inner, const fv_value *v) {
  return is_op(v, "add") && !(inner[v->id] && used_once(j, v));
}

fv_status fv_pass_join(fv_graph *g) {
  enum { MOST_TERMS = 4096 };
  const int n_nodes = g->n_nodes, n_values = g->n_values;
  joiner j = {.g = g, .n_values = n_values, .most = MOST_TERMS};
  bool *inner = NULL;
  fv_value **room = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&j.uses, n_values + 1));
  FV_TRY_DONE(FV_NEW(&inner, n_values + 1));
  FV_TRY_DONE(FV_NEW(&j.terms, MOST_TERMS));
  FV_TRY_DONE(FV_NEW(&room, 2 * MOST_TERMS));
  fv_graph_count_uses(g, j.uses);
  for (int i = 0; i < n_nodes; i++)
    for (int k = 0; k < g->nodes[i]->n_in; k++)
      if (is_op(g->nodes[i]->out[0], "add")) inner[g->nodes[i]->in[k]->id] = true;
  for (int i = 0; i < n_nodes; i++)
    if (is_root(&j, inner, g->nodes[i]->out[0])) FV_TRY_DONE(join_sum(&j, g->nodes[i]->out[0], room));
  FV_TRY_DONE(fv_pass_sort(g));
  FV_TRY_DONE(fv_pass_dce(g));
done:
  fv_free(j.uses);
  fv_free(inner);
  fv_free(j.terms);
  fv_free(room);
  return status;
}
