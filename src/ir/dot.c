/* SPDX-License-Identifier: Apache-2.0 */
/* dot.c: the graph as Graphviz text: boxes for operations, ellipses for inputs and parameters, edges with shapes. */
#include "ir/ir.h"

static void escaped(fv_text *t, const char *s) {
  for (; *s; s++) fv_text_printf(t, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
}

static void leaf(fv_text *t, const fv_value *v) {
  fv_text_printf(t, "  v%d [shape=ellipse, style=filled, fillcolor=\"%s\", label=\"", v->id,
                 v->kind == FV_VALUE_PARAM ? "#dde8f7" : v->kind == FV_VALUE_INPUT ? "#e2f3dd" : "#eeeeee");
  escaped(t, v->name);
  fv_text_printf(t, "\\n%s %s\"];\n", fv_dtype_name(v->dtype), fv_shape_text(v->shape));
}

static void box(fv_text *t, const fv_node *node) {
  fv_text_printf(t, "  n%d [shape=box, label=\"%s\\n", node->id, node->op->name);
  escaped(t, node->name);
  fv_text attrs = {0};
  if (node->op->attrs) fv_options_print_all(node->op->attrs, node->attrs, true, &attrs);
  if (attrs.n) {
    fv_text_printf(t, "\\n");
    escaped(t, attrs.s);
  }
  fv_text_free(&attrs);
  fv_text_printf(t, "\"];\n");
}

static void edges(fv_text *t, const fv_node *node) {
  for (int k = 0; k < node->n_in; k++) {
    const fv_value *v = node->in[k];
    if (v->kind == FV_VALUE_ABSENT) continue;
    fv_text_printf(t, v->producer ? "  n%d -> n%d [label=\"%s\"];\n" : "  v%d -> n%d [label=\"%s\"];\n",
                   v->producer ? v->producer->id : v->id, node->id, fv_shape_text(v->shape));
  }
}

fv_status fv_graph_dot(const fv_graph *g, char **dot) {
  *dot = NULL;
  bool *used;
  FV_TRY(FV_NEW(&used, g->n_values + 1));
  fv_text t = {0};
  fv_text_printf(&t, "digraph fovea {\n  rankdir=TB;\n  node [fontname=\"sans-serif\", fontsize=10];\n");
  for (int i = 0; i < g->n_nodes; i++)
    for (int k = 0; k < g->nodes[i]->n_in; k++) used[g->nodes[i]->in[k]->id] = true;
  for (int i = 0; i < g->n_values; i++)
    if (used[i] && !g->values[i]->producer && g->values[i]->kind != FV_VALUE_ABSENT) leaf(&t, g->values[i]);
  for (int i = 0; i < g->n_nodes; i++) box(&t, g->nodes[i]);
  for (int i = 0; i < g->n_nodes; i++) edges(&t, g->nodes[i]);
  fv_text_printf(&t, "}\n");
  fv_free(used);
  if (t.failed) {
    fv_text_free(&t);
    return FV_FAIL(FV_ERR_MEMORY, "graph: out of memory");
  }
  *dot = t.s;
  return FV_OK;
}
