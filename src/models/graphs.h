/* SPDX-License-Identifier: Apache-2.0 */
/* graphs.h (private to src/models): what recipes over graphs share: the graph as the dataset gives it, and a stack of
 * graph attention over it. */
#ifndef FV_MODELS_GRAPHS_H
#define FV_MODELS_GRAPHS_H

#include "models/recipe.h"

typedef struct fv_graph_settings {
  int64_t layers, heads, width;
  int64_t out_heads;    /* node-classify */
  int64_t pool, hidden; /* graph-classify */
  double pooled;
  double dropout;
  bool v2;
} fv_graph_settings;
#define FV_GRAPH_FIELD(name) #name, .offset = offsetof(fv_graph_settings, name)
#define FV_GRAPH_OPTIONS                                                                                             \
  {.name = FV_GRAPH_FIELD(layers), .type = FV_OPT_INT, .def = "2", .min = 1, .max = FV_GRAPH_LAYERS,                 \
   .doc = "layers of graph attention: how many edges away a node sees"},                                             \
      {.name = FV_GRAPH_FIELD(heads), .type = FV_OPT_INT, .def = "8", .min = 1, .max = 256,                          \
       .doc = "of the hidden layers, side by side"},                                                                 \
      {.name = FV_GRAPH_FIELD(width), .type = FV_OPT_INT, .def = "8", .min = 1, .max = 1024, .doc = "of a head"},    \
      {.name = FV_GRAPH_FIELD(dropout), .type = FV_OPT_REAL, .def = "0.6", .min = 0, .max = 0.95,                    \
       .doc = "dropped share of features and of attention weights, in each layer"},                                  \
      {.name = FV_GRAPH_FIELD(v2), .type = FV_OPT_BOOL, .def = "false",                                              \
       .doc = "GATv2: scores from both ends together (Brody et al. 2022)"}

int64_t fv_graph_nodes(const fv_problem *task); /* of a sample */
/* n graphs of the dataset as one: the inputs "degree", "neighbour" and "word" with "weight", or "feature". */
typedef struct fv_graph_input {
  fv_value *row_ptr, *col;
  fv_value *degree; /* [n,L] */
  fv_value *there; /* u8 [n,L]: 1 where there is a node; every node is its own neighbour */
  fv_nodes nodes;
} fv_graph_input;
fv_graph_input fv_graph_input_of(fv_graph *g, const fv_problem *task, int64_t n);

enum { FV_GRAPH_LAYERS = 16 };
/* conv1, conv2, ...: `hidden` layers of heads side by side with ELU behind; [V,heads*width]. each: what every one of
 * them gives; NULL: not wanted. */
fv_nodes fv_graph_hidden(fv_graph *g, const fv_graph_settings *s, const fv_graph_input *in, int64_t hidden,
                         fv_value **each, bool training);
fv_status fv_graph_check_task(const fv_problem *task);

#endif
