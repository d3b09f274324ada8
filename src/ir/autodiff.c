/* SPDX-License-Identifier: Apache-2.0 */
/* autodiff.c: reverse mode. Walks the nodes backwards; each operation's `grad` builds the nodes of its part. The result
 * is more of the same graph: it is simplified, fused, planned and explained like the rest. */
#include "ir/ir.h"
#include "ops/lookup.h"
#include "ops/reduce.h"
#include "ops/reshape.h"

fv_value *fv_sum_to(fv_graph *g, fv_value *v, fv_shape shape) {
  if (!v || fv_shape_equal(v->shape, shape)) return v;
  fv_reduce_attrs sum = {.keepdim = true};
  int extra = v->shape.ndim - shape.ndim;
  for (int i = 0; i < v->shape.ndim; i++)
    if (i < extra || (shape.dim[i - extra] == 1 && v->shape.dim[i] != 1)) sum.axes.v[sum.axes.n++] = i;
  fv_value *r = sum.axes.n ? fv_op(g, "sum", &sum, v) : v;
  fv_reshape_attrs to = {.shape.n = shape.ndim};
  for (int i = 0; i < shape.ndim; i++) to.shape.v[i] = shape.dim[i];
  return r && !fv_shape_equal(r->shape, shape) ? fv_op(g, "reshape", &to, r) : r;
}

/* Which values the wanted gradients flow through: the targets (already marked) and those that depend on one. */
static void mark_needed(const fv_graph *g, int n_nodes, bool *need) {
  for (int i = 0; i < n_nodes; i++) {
    const fv_node *node = g->nodes[i];
    bool any = false;
    for (int k = 0; k < node->n_in; k++) any |= need[node->in[k]->id];
    for (int k = 0; k < node->n_out; k++) {
      fv_dtype t = node->out[k]->dtype;
      need[node->out[k]->id] |= any && (t == FV_F32 || t == FV_F64);
    }
  }
}

static fv_value *accumulate(fv_graph *g, fv_value *sum, fv_value *more) {
  return sum && more ? fv_op(g, "add", NULL, sum, more) : more ? more : sum;
}

/* One node: hands its outputs' gradients to `grad`, adds what comes back to its inputs'. */
static fv_status backward(fv_graph *g, const fv_node *node, const bool *need, fv_value **grads) {
  fv_value *dout[FV_MAX_OUTS];
  bool any = false;
  for (int k = 0; k < node->n_out; k++) any |= (dout[k] = grads[node->out[k]->id]) != NULL;
  bool wanted = false;
  for (int k = 0; k < node->n_in; k++) wanted |= need[node->in[k]->id];
  if (!any || !wanted) return FV_OK;
  FV_REQUIRE(node->op->grad, FV_ERR_REQUEST, "%s (%s): expected an operation with a gradient, got one without: %s",
             node->op->name, node->name, node->op->no_grad_reason ? node->op->no_grad_reason : "not defined");
  for (int k = node->n_out - node->op->n_saved; k < node->n_out; k++)
    FV_REQUIRE(!dout[k], FV_ERR_REQUEST,
               "%s (%s): expected a loss that leaves output %d alone, which is kept for the gradient", node->op->name,
               node->name, k);
  fv_value **din = fv_arena_alloc(g->arena, (size_t)node->n_in * sizeof *din);
  bool *wants = fv_arena_alloc(g->arena, (size_t)node->n_in * sizeof *wants);
  FV_REQUIRE(din && wants, FV_ERR_MEMORY, "graph: out of memory");
  for (int k = 0; k < node->n_in; k++) wants[k] = need[node->in[k]->id];
  fv_grad c = {.g = g, .node = node, .dout = dout, .need = wants, .din = din};
  FV_TRY(node->op->grad(&c));
  FV_TRY(fv_graph_check(g));
  for (int k = 0; k < node->n_in; k++) {
    if (!wants[k] || !din[k]) continue;
    FV_REQUIRE(fv_shape_equal(din[k]->shape, node->in[k]->shape), FV_ERR_INTERNAL,
               "%s (%s): gradient of input %d: expected %s, got %s", node->op->name, node->name, k,
               fv_shape_text(node->in[k]->shape), fv_shape_text(din[k]->shape));
    fv_value **slot = &grads[node->in[k]->id];
    *slot = accumulate(g, *slot, din[k]);
  }
  return fv_graph_check(g);
}

static fv_value *zeros_like(fv_graph *g, const fv_value *v) {
  size_t bytes = (size_t)fv_shape_count(v->shape) * fv_dtype_size(v->dtype);
  void *zeros = fv_arena_alloc(g->arena, bytes ? bytes : 1);
  return zeros ? fv_const_data(g, v->dtype, v->shape, zeros) : NULL;
}

/* Instead of a gradient as large as the table: what one lookup would add to it. */
static fv_status collect_rows(fv_graph *g, const fv_value *param, const fv_value *grad) {
  const fv_node *n = grad->producer;
  FV_REQUIRE(
      n && !strcmp(n->op->name, "embedding_grad"), FV_ERR_REQUEST,
      "parameter '%s': expected a table that one embedding looks up, got another use: it belongs in another group",
      param->name);
  fv_row_gradient *r = fv_arena_alloc(g->arena, sizeof *r);
  FV_REQUIRE(r, FV_ERR_MEMORY, "graph: out of memory");
  *r = (fv_row_gradient){.param = param,
                         .ids = fv_arena_printf(g->arena, "rows.%s.ids", param->name),
                         .dy = fv_arena_printf(g->arena, "rows.%s.dy", param->name),
                         .entries = fv_shape_count(n->in[0]->shape),
                         .padding = (int32_t)((const fv_embedding_grad_attrs *)n->attrs)->padding_idx,
                         .next = g->rows};
  FV_REQUIRE(r->ids && r->dy, FV_ERR_MEMORY, "graph: out of memory");
  g->rows = r;
  fv_output(g, r->ids, n->in[0]);
  fv_output(g, r->dy, n->in[1]);
  return FV_OK;
}

static fv_status collect(fv_graph *g, bool params, int n_values, int n_wrt, fv_value *const *wrt, fv_value **grads,
                         fv_value **out) {
  for (int i = 0; i < n_wrt; i++) {
    fv_value *d = grads[wrt[i]->id];
    out[i] = d ? d : zeros_like(g, wrt[i]);
  }
  for (int i = 0; params && i < n_values; i++) {
    fv_value *v = g->values[i];
    if (v->kind != FV_VALUE_PARAM || g->params->v[v->out_index].group == FV_GROUP_BUFFER) continue;
    if (g->params->v[v->out_index].group == FV_GROUP_ROWS) {
      if (grads[i]) FV_TRY(collect_rows(g, v, grads[i]));
      continue;
    }
    if (!grads[i] && !(grads[i] = zeros_like(g, v))) break;
    FV_REQUIRE(fv_named_add(&g->gradients, (fv_named){.name = v->name, .value = grads[i], .target = v}), FV_ERR_MEMORY,
               "graph: out of memory");
  }
  return fv_graph_check(g);
}

fv_status fv_graph_differentiate(fv_graph *g, fv_value *loss, bool params, int n_wrt, fv_value *const *wrt,
                                 fv_value **out) {
  FV_TRY(fv_graph_check(g));
  FV_REQUIRE(loss && fv_shape_count(loss->shape) == 1 && loss->dtype == g->real, FV_ERR_REQUEST,
             "differentiate: expected a scalar loss, got %s", loss ? fv_shape_text(loss->shape) : "none");
  int n_values = g->n_values, n_nodes = g->n_nodes;
  bool *need = NULL;
  fv_value **grads = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&need, n_values));
  FV_TRY_DONE(FV_NEW(&grads, n_values));
  for (int i = 0; params && i < n_values; i++)
    need[i] = g->values[i]->kind == FV_VALUE_PARAM && g->params->v[g->values[i]->out_index].group != FV_GROUP_BUFFER;
  for (int i = 0; i < n_wrt; i++) need[wrt[i]->id] = true;
  mark_needed(g, n_nodes, need);
  double one = 1;
  float onef = 1;
  grads[loss->id] = fv_const_data(g, g->real, loss->shape, g->real == FV_F64 ? (void *)&one : (void *)&onef);
  char scope[sizeof g->scope];
  memcpy(scope, g->scope, sizeof scope);
  for (int i = n_nodes - 1; i >= 0; i--) {
    snprintf(g->scope, sizeof g->scope, "d.%s", g->nodes[i]->name);
    FV_TRY_DONE(backward(g, g->nodes[i], need, grads));
  }
  memcpy(g->scope, scope, sizeof scope);
  FV_TRY_DONE(collect(g, params, n_values, n_wrt, wrt, grads, out));
done:
  fv_free(need);
  fv_free(grads);
  return status;
}
