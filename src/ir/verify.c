/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c: what must be true of a graph after every pass: order, links, and shapes inference still agrees with. */
#include "ir/ir.h"

static fv_status verify_node(const fv_graph *g, const fv_node *node, const bool *known) {
  for (int k = 0; k < node->n_in; k++) {
    const fv_value *v = node->in[k];
    FV_REQUIRE(v && (v->kind != FV_VALUE_NODE || known[v->id]), FV_ERR_INTERNAL,
               "%s (%s): input %d: expected a value made before, got %s", node->op->name, node->name, k,
               fv_value_name(v));
  }
  fv_infer c = {.g = (fv_graph *)(uintptr_t)g, .op = node->op, .name = node->name, .attrs = node->attrs,
                .n_in = node->n_in, .in = node->in, .n_out = 1};
  for (int i = 0; i < FV_MAX_OUTS; i++) c.dtype[i] = node->n_in ? node->in[0]->dtype : FV_F32;
  FV_TRY(node->op->infer(&c));
  FV_ASSERT(c.n_out == node->n_out);
  for (int k = 0; k < node->n_out; k++) {
    const fv_value *v = node->out[k];
    FV_ASSERT(v->producer == node && v->out_index == k);
    FV_REQUIRE(fv_shape_equal(c.shape[k], v->shape) && c.dtype[k] == v->dtype, FV_ERR_INTERNAL,
               "%s (%s): output %d: expected %s, got %s", node->op->name, node->name, k, fv_shape_text(c.shape[k]),
               fv_shape_text(v->shape));
  }
  return FV_OK;
}

fv_status fv_graph_verify(const fv_graph *g) {
  FV_TRY(fv_graph_check(g));
  bool *known;
  FV_TRY(FV_NEW(&known, g->n_values + 1));
  fv_status status = FV_OK;
  for (int i = 0; i < g->n_nodes; i++) {
    FV_TRY_DONE(verify_node(g, g->nodes[i], known));
    for (int k = 0; k < g->nodes[i]->n_out; k++) known[g->nodes[i]->out[k]->id] = true;
  }
  const fv_named_list *lists[] = {&g->outputs, &g->gradients, &g->tracks};
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++) {
      const fv_value *v = lists[l]->v[i].value;
      FV_REQUIRE_DONE(v->kind != FV_VALUE_NODE || known[v->id], FV_ERR_INTERNAL,
                      "output '%s': expected a value of the graph", lists[l]->v[i].name);
    }
done:
  fv_free(known);
  return status;
}
