/* SPDX-License-Identifier: Apache-2.0 */
/* graphs.c: the inputs and hidden layers that recipes over graphs share. */
#include "models/graphs.h"

int64_t fv_graph_nodes(const fv_problem *task) {
  return task->nodes ? task->nodes : task->length ? task->length : task->block;
}

fv_graph_input fv_graph_input_of(fv_graph *g, const fv_problem *task, int64_t n) {
  const int64_t nodes = fv_graph_nodes(task), places = task->nodes ? task->edges : nodes * task->edges;
  fv_value *csr[2] = {NULL, NULL}, *degree = fv_input(g, "degree", FV_I32, FV_SHAPE(n, nodes));
  fv_value *place = fv_input(g, "neighbour", FV_I32, FV_SHAPE(n, places));
  fv_op_n(g, "csr_blocks", NULL, 2, (fv_value *[]){degree, place}, 2, csr);
  fv_graph_input in = {.row_ptr = csr[0], .col = csr[1], .degree = degree, .nodes.features = task->features,
                       .there = fv_op(g, "gt", NULL, degree, fv_const_data(g, FV_I32, FV_SCALAR, &(int32_t){0}))};
  if (task->words) {
    in.nodes.word = fv_input(g, "word", FV_I32, FV_SHAPE(n * nodes, task->words));
    in.nodes.weight = fv_input(g, "weight", FV_F32, FV_SHAPE(n * nodes, task->words));
  } else in.nodes.x = fv_input(g, "feature", FV_F32, FV_SHAPE(n * nodes, task->features));
  return in;
}

fv_nodes fv_graph_hidden(fv_graph *g, const fv_graph_settings *s, const fv_graph_input *in, int64_t hidden,
                         fv_value **each, bool training) {
  fv_nodes nodes = in->nodes;
  for (int64_t i = 0; i < hidden; i++) {
    char name[32];
    snprintf(name, sizeof name, "conv%lld", (long long)i + 1);
    nodes = fv_nodes_dropout(g, &nodes, s->dropout, training);
    fv_value *y = fv_graph_attention(g, &nodes, in->row_ptr, in->col, .name = name, .v2 = s->v2, .heads = s->heads,
                                     .width = s->width, .dropout = s->dropout, .training = training);
    nodes = (fv_nodes){.x = fv_op(g, "elu", NULL, y), .features = s->heads * s->width};
    if (each) each[i] = nodes.x;
  }
  return nodes;
}

fv_status fv_graph_check_task(const fv_problem *task) {
  FV_REQUIRE(task->features > 0, FV_ERR_REQUEST, "recipe: expected a dataset of graphs, got none");
  FV_REQUIRE(task->n_classes >= 2, FV_ERR_REQUEST, "recipe: expected at least 2 classes, got %d", (int)task->n_classes);
  return FV_OK;
}
