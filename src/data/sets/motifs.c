/* SPDX-License-Identifier: Apache-2.0 */
/* motifs: made-up graphs of 12 to 20 nodes, a random tree with nine edges more; in half of them these lead to one node.
 * Small and always the same, for trying things without a network. */
#include "data/sets.h"

enum { GRAPHS = 1000, LEAST = 12, MOST = 20, TAGS = 2, MORE = 9 };

static void add_edge(fv_edge_list *n, int64_t first, int64_t a, int64_t b) {
  n->from[n->edges] = (int32_t)(first + a);
  n->to[n->edges++] = (int32_t)(first + b);
}

static void make_graph(fv_rng *rng, fv_edge_list *n, int64_t first, int64_t size, bool hub) {
  for (int64_t i = 1; i < size; i++) add_edge(n, first, i, fv_rng_below(rng, (uint32_t)i));
  const int64_t at = fv_rng_below(rng, (uint32_t)size);
  for (int64_t k = 1; k <= MORE; k++) {
    const int64_t any = fv_rng_below(rng, (uint32_t)size);
    add_edge(n, first, hub ? at : any, (any + k) % size);
  }
}

static void make_all(fv_edge_list *n, fv_graph_set *g) {
  fv_rng rng = fv_rng_new(0, fv_stream_of("motifs"));
  n->columns = TAGS;
  n->edges = n->nodes = 0;
  for (int64_t i = 0; i < GRAPHS; i++) {
    const int64_t size = LEAST + fv_rng_below(&rng, MOST - LEAST + 1);
    g->label[i] = (int32_t)(i % 2);
    make_graph(&rng, n, n->nodes, size, i % 2);
    for (int64_t k = 0; k < size; k++, n->nodes++) {
      n->column[n->nodes] = (int32_t)fv_rng_below(&rng, TAGS);
      n->value[n->nodes] = 1;
      n->begin[n->nodes + 1] = n->nodes + 1;
    }
    g->first[i + 1] = n->nodes;
  }
  n->entries = n->nodes;
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  static const char *const names[] = {"plain", "hub"};
  fv_edge_list *n = NULL;
  fv_graph_set g = {0};
  fv_status status = FV_OK;
  d->classes = names;
  d->n_classes = FV_COUNT(names);
  FV_TRY_DONE(fv_edge_list_new(GRAPHS * MOST, GRAPHS * (MOST + MORE), GRAPHS * MOST, &n));
  FV_TRY_DONE(fv_graph_set_new(GRAPHS, &g));
  make_all(n, &g);
  FV_TRY_DONE(fv_graph_set_hold(o, d, n, &g));
done:
  fv_edge_list_free(n);
  fv_graph_set_free(&g);
  return status;
}

const fv_dataset_def fv_dataset_motifs = {
    .info = {.name = "motifs",
             .doc = "made-up graphs, half of which have a node that many others know",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "1000 graphs of 12 to 20 nodes, 2 features, 2 classes",
             .folds = 5,
             .read_to_know = true},
    .open = open_set};
