/* SPDX-License-Identifier: Apache-2.0 */
/* graph_explain.h (private): what explaining a node and explaining a whole graph share: the drawing of a neighbourhood,
 * and whether what is said to count does. */
#ifndef FV_TRAIN_GRAPH_EXPLAIN_H
#define FV_TRAIN_GRAPH_EXPLAIN_H

#include "train/explain.h"

fv_status fv_graph_check_request(const fv_explain_request *request);

/* ---- for people -------------------------------------------------------------------------------------------------- */
enum { FV_SKETCH_ROOM = 60 };
typedef struct fv_sketch { /* the part of a neighbourhood that is shown */
  fv_neighbourhood h;
  fv_drawn_node node[FV_SKETCH_ROOM];
  fv_drawn_edge edge[FV_SKETCH_ROOM * FV_SKETCH_ROOM];
  int64_t id[FV_SKETCH_ROOM]; /* of each node, in the graph */
  char title[256];
  const fv_image *picture;           /* drawn in its place; NULL: none */
  const struct fv_fidelity *fidelity; /* for a page; NULL: none */
} fv_sketch;
fv_status fv_sketch_new(const fv_model *m, fv_sketch **s); /* free with fv_free */
int fv_sketch_find(const fv_sketch *s, int64_t id);        /* its place; -1: it is not shown */
int fv_sketch_add(fv_sketch *s, int64_t id, fv_drawn_node node); /* its place; there must be room */
void fv_sketch_join(fv_sketch *s, int from, int to, double weight);
/* As the ending of `out` says: the drawing, or `j`, which is all that is known. NULL: nothing. */
fv_status fv_sketch_write(const fv_sketch *s, const fv_model *m, const fv_json *j, const char *out);

/* ---- fidelity (Yuan et al. 2023) --------------------------------------------------------------------------------- */
/* Things go, those that count most first, those that count least, or any, and the network looks again. */
enum { FV_FIDELITY_ORDERS = 3, FV_FIDELITY_PARTS = 4 };
typedef struct fv_fidelity {
  const char *things; /* "edges" */
  int parts;          /* of 10, 20, 50 and 100 % of them, the first ones */
  int64_t samples;
  double right, probability; /* sums over the samples, with all things; and without */
  double part_right[FV_FIDELITY_ORDERS][FV_FIDELITY_PARTS], part_probability[FV_FIDELITY_ORDERS][FV_FIDELITY_PARTS];
} fv_fidelity;
typedef struct fv_fidelity_sample {
  int64_t number, n;    /* which one; how many things may go */
  const int32_t *order; /* [n]: those that count most first; NULL: that is how they are numbered */
  int64_t classes, label, answer;
  double probability;   /* of the answer */
  fv_status (*look)(void *arg, const int32_t *gone, int64_t n, const float **p); /* probabilities without those n */
  void *arg;
} fv_fidelity_sample;
fv_status fv_fidelity_add(fv_fidelity *f, const fv_fidelity_sample *s);
void fv_fidelity_json(const fv_fidelity *f, fv_json *j); /* a member "faithfulness" */

#endif
