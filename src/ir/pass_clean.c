/* SPDX-License-Identifier: Apache-2.0 */
/* pass_clean.c: order, dead code, common subexpressions, and the facts that other passes ask for. */
#include "ir/ir.h"

void fv_graph_count_uses(const fv_graph *g, int *uses) {
  memset(uses, 0, (size_t)g->n_values * sizeof *uses);
  for (int i = 0; i < g->n_nodes; i++)
    for (int k = 0; k < g->nodes[i]->n_in; k++) uses[g->nodes[i]->in[k]->id]++;
  const fv_named_list *lists[] = {&g->outputs, &g->gradients, &g->tracks};
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++) uses[lists[l]->v[i].value->id]++;
}

void fv_graph_mark_invariant(const fv_graph *g, bool *invariant) {
  for (int i = 0; i < g->n_values; i++) {
    fv_value_kind kind = g->values[i]->kind;
    invariant[i] = kind == FV_VALUE_PARAM || kind == FV_VALUE_CONST || kind == FV_VALUE_ABSENT;
  }
  for (int i = 0; i < g->n_nodes; i++) {
    const fv_node *node = g->nodes[i];
    bool all = !(node->op->flags & FV_OP_SHARDED);
    for (int k = 0; k < node->n_in; k++) all &= invariant[node->in[k]->id];
    for (int k = 0; k < node->n_out; k++) invariant[node->out[k]->id] = all;
  }
}

/* Depth first in the present order: a node moved behind its users is pulled before the first of them. */
static void emit(fv_graph *g, fv_node *node, bool *done, fv_node **out, int *n) {
  if (done[node->id]) return;
  done[node->id] = true;
  for (int k = 0; k < node->n_in; k++)
    if (node->in[k]->producer) emit(g, node->in[k]->producer, done, out, n);
  out[(*n)++] = node;
}

fv_status fv_pass_sort(fv_graph *g) {
  fv_node **order = NULL;
  bool *done = NULL;
  int n = 0;
  fv_status status = FV_OK;
  for (int i = 0; i < g->n_nodes; i++) g->nodes[i]->id = i;
  FV_TRY_DONE(FV_NEW(&order, g->n_nodes + 1));
  FV_TRY_DONE(FV_NEW(&done, g->n_nodes + 1));
  for (int i = 0; i < g->n_nodes; i++) emit(g, g->nodes[i], done, order, &n);
  for (int i = 0; i < n; i++) {
    g->nodes[i] = order[i];
    order[i]->id = i;
  }
done:
  fv_free(order);
  fv_free(done);
  return status;
}

fv_status fv_pass_dce(fv_graph *g) {
  bool *live;
  FV_TRY(FV_NEW(&live, g->n_values + 1));
  const fv_named_list *lists[] = {&g->outputs, &g->gradients, &g->tracks};
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++) live[lists[l]->v[i].value->id] = true;
  for (int i = g->n_nodes - 1; i >= 0; i--) {
    bool any = false;
    for (int k = 0; k < g->nodes[i]->n_out; k++) any |= live[g->nodes[i]->out[k]->id];
    for (int k = 0; any && k < g->nodes[i]->n_in; k++) live[g->nodes[i]->in[k]->id] = true;
  }
  int n = 0;
  for (int i = 0; i < g->n_nodes; i++) {
    fv_node *node = g->nodes[i];
    bool any = false;
    for (int k = 0; k < node->n_out; k++) any |= live[node->out[k]->id];
    if (any) {
      node->id = n;
      g->nodes[n++] = node;
    }
  }
  g->n_nodes = n;
  n = 0;
  for (int i = 0; i < g->taps.n; i++)
    if (live[g->taps.v[i].value->id]) g->taps.v[n++] = g->taps.v[i];
  g->taps.n = n;
  fv_free(live);
  return FV_OK;
}

/* ---- common subexpressions --------------------------------------------------------------------------------------- */
static bool same_attrs(const fv_node *a, const fv_node *b) {
  if (!a->op->attrs_size || !memcmp(a->attrs, b->attrs, a->op->attrs_size)) return true;
  /* a chain's steps are no option */
  return a->op->attrs && strcmp(a->op->name, "chain") != 0 && fv_options_equal(a->op->attrs, a->attrs, b->attrs);
}

static bool same_node(const fv_node *a, const fv_node *b) {
  if (a->op != b->op || a->n_in != b->n_in) return false;
  bool straight = true;
  for (int k = 0; k < a->n_in; k++) straight &= a->in[k] == b->in[k];
  bool crossed = (a->op->flags & FV_OP_COMMUTES) && a->n_in == 2 && a->in[0] == b->in[1] && a->in[1] == b->in[0];
  return (straight || crossed) && same_attrs(a, b);
}

static bool same_const(const fv_value *a, const fv_value *b) {
  return a->kind == FV_VALUE_CONST && b->kind == FV_VALUE_CONST && a->dtype == b->dtype &&
         fv_shape_equal(a->shape, b->shape) &&
         !memcmp(a->data, b->data, (size_t)fv_shape_count(a->shape) * fv_dtype_size(a->dtype));
}

fv_status fv_pass_cse(fv_graph *g) {
  for (int i = 0; i < g->n_values; i++)
    for (int j = 0; g->values[i]->kind == FV_VALUE_CONST && j < i; j++)
      if (same_const(g->values[i], g->values[j])) {
        fv_graph_replace(g, g->values[i], g->values[j]);
        break;
      }
  for (int i = 0; i < g->n_nodes; i++)
    for (int j = 0; j < i; j++)
      if (same_node(g->nodes[i], g->nodes[j])) {
        for (int k = 0; k < g->nodes[i]->n_out; k++) fv_graph_replace(g, g->nodes[i]->out[k], g->nodes[j]->out[k]);
        break;
      }
  return fv_pass_dce(g);
}
