/* SPDX-License-Identifier: Apache-2.0 */
/* communities: a made-up graph of four groups (a stochastic block model, Holland et al. 1983): most edges stay within a
 * group, and so do most of a node's words, but neither tells it for sure. Small and always the same, for trying things
 * without a network. */
#include "data/sets.h"

enum { GROUPS = 4, NODES = 240, EDGES = 720, WORDS = 64, EACH = 6, TRAIN = 40, VALIDATION = 80 };

static int32_t group_of(int32_t node) { return node % GROUPS; }
/* One in three is anywhere. */
static int32_t draw(fv_rng *rng, int32_t group, int32_t n) {
  const int32_t at = (int32_t)fv_rng_below(rng, (uint32_t)n);
  return fv_rng_below(rng, 3) ? at - at % GROUPS + group : at;
}

static void make_list(fv_edge_list *n) {
  fv_rng rng = fv_rng_new(0, fv_stream_of("communities"));
  n->columns = WORDS;
  for (int32_t e = 0; e < EDGES; e++) {
    n->from[e] = e % NODES;
    n->to[e] = draw(&rng, group_of(e % NODES), NODES);
  }
  for (int32_t i = 0; i < NODES; i++) {
    n->label[i] = group_of(i);
    n->split[i] = i < TRAIN ? FV_SPLIT_TRAIN : i < TRAIN + VALIDATION ? FV_SPLIT_VALIDATION : FV_SPLIT_TEST;
    for (int32_t k = i * EACH; k < (i + 1) * EACH; k++) {
      n->column[k] = draw(&rng, group_of(i), WORDS);
      n->value[k] = 1;
    }
    n->begin[i + 1] = (i + 1) * EACH;
  }
}

static fv_status open_set(const fv_data_open *o, fv_dataset *d) {
  fv_edge_list *n;
  FV_TRY(fv_data_number_classes(d, GROUPS));
  FV_TRY(fv_edge_list_new(NODES, EDGES, NODES * EACH, &n));
  make_list(n);
  fv_edge_list_normalise(n);
  fv_status status = fv_edge_list_hold(o, d, n);
  fv_edge_list_free(n);
  return status;
}

const fv_dataset_def fv_dataset_communities = {
    .info = {.name = "communities",
             .doc = "a made-up graph: four groups that mostly keep to themselves",
             .licence = "Apache-2.0",
             .source = "generated",
             .cite = "none",
             .shape = "1 graph: 240 nodes, 64 words, 4 classes; 40 nodes train, 80 validation, 120 test",
             .read_to_know = true},
    .open = open_set};
