/* SPDX-License-Identifier: Apache-2.0 */
/* graphs.h (private to src/data): a graph in memory, and what the three ways to make samples of it share: all of it at
 * once (graphs.c), many graphs, each a sample (graph_sets.c), and the surroundings of each node (graph_sample.c). */
#ifndef FV_DATA_GRAPHS_H
#define FV_DATA_GRAPHS_H

#include "data/sets.h"

/* Fields, in this order; then the label. */
enum { FV_HELD_DEGREE, FV_HELD_NEIGHBOUR, FV_HELD_WORD, FV_HELD_WEIGHT, FV_HELD_FEATURE = FV_HELD_WORD };

typedef struct fv_held_graph {
  fv_adjacency adj;
  int64_t words; /* most entries of a node's features; 0: plain numbers */
  int64_t width; /* numbers of a node's features that are held: words, or all */
  int32_t *degree, *word;
  float *weight;
  int32_t *of[FV_SPLITS]; /* samples of each split: graphs, or nodes */
  int64_t *first;         /* of many graphs, as fv_graph_set has them */
  int32_t *graph_label;
  uint64_t seed;          /* of surroundings */
  fv_int_list neighbours;
} fv_held_graph;

typedef struct fv_csr {
  int32_t *begin, *neighbour;
  int64_t n;
} fv_csr;
/* d->impl; the edges; what is known of sizes. fv_csr_free in any case. */
fv_status fv_held_graph_begin(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, fv_csr *csr,
                              fv_held_graph **held);
void fv_csr_free(fv_csr *csr);
/* Cuts its arrays off the slab, from *at on; with the slab not there yet only counts. */
void fv_held_graph_lay_out(const fv_edge_list *n, fv_held_graph *h, char *slab, int64_t *at);
fv_status fv_held_graph_fill(const fv_dataset *d, const fv_edge_list *n, const fv_csr *csr, fv_held_graph *h);
/* Of a graph of so many nodes: shared, all there is; or a sample's, which may vary. */
void fv_held_graph_fields(const fv_held_graph *h, fv_dataset *d, int64_t nodes, fv_shape neighbour, bool shared,
                          bool varies);
/* Row `from` of the features to row `to` of a sample's fields. */
void fv_held_graph_features(const fv_held_graph *h, int64_t from, int64_t n, int64_t to, void *const out[]);
/* Samples are nodes with their surroundings. */
fv_status fv_held_graph_surroundings(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, const fv_csr *csr,
                                     fv_held_graph *h);
/* Splits that were not given are cut. */
fv_status fv_adjacency_splits(const fv_data_open *o, const fv_dataset *d, fv_adjacency *adj);
int64_t fv_adjacency_count(const fv_adjacency *adj, uint8_t split); /* nodes with a label */

#endif
