/* SPDX-License-Identifier: Apache-2.0 */
/* graph_sets.c: many graphs, each a sample: parts of one large graph between which no edge leads. */
#include "data/graphs.h"

fv_status fv_graph_set_new(int64_t n, fv_graph_set *g) {
  *g = (fv_graph_set){.n = n};
  FV_TRY(FV_NEW(&g->first, n + 1));
  FV_TRY(FV_NEW(&g->label, n));
  return FV_NEW(&g->split, n);
}

void fv_graph_set_free(fv_graph_set *g) {
  fv_free(g->first);
  fv_free(g->label);
  fv_free(g->split);
}

static int64_t length_of(const fv_dataset *d, fv_split split, int64_t index) {
  const fv_held_graph *h = d->impl;
  const int32_t g = h->of[split][index];
  return h->first[g + 1] - h->first[g];
}

static void read_graph(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  const fv_held_graph *h = d->impl;
  const int32_t g = h->of[split][index];
  const int64_t from = h->first[g], nodes = h->first[g + 1] - from;
  const int32_t *place = h->adj.neighbour + h->adj.begin[from];
  int32_t *neighbour = out[FV_HELD_NEIGHBOUR], *label = out[d->n_fields - 1];
  if (out[FV_HELD_DEGREE]) memcpy(out[FV_HELD_DEGREE], h->degree + from, (size_t)nodes * 4);
  for (int64_t k = 0; neighbour && k < h->adj.begin[from + nodes] - h->adj.begin[from]; k++)
    neighbour[k] = (int32_t)(place[k] - from);
  fv_held_graph_features(h, from, nodes, 0, out);
  if (label) *label = h->graph_label[g];
}

/* Nodes of the largest graph, and the most edges for each node of one. */
static fv_status measure_graphs(const fv_dataset *d, const fv_graph_set *g, const fv_csr *csr, int64_t *most,
                                int64_t *edges_a_node) {
  *most = *edges_a_node = 1;
  for (int64_t i = 0; i < g->n; i++) {
    const int64_t first = g->first[i], end = g->first[i + 1];
    FV_REQUIRE(end > first, FV_ERR_CORRUPT, "dataset (%s, graph %lld): expected nodes, got none", d->name,
               (long long)i);
    for (int64_t e = csr->begin[first]; e < csr->begin[end]; e++)
      FV_REQUIRE(csr->neighbour[e] >= first && csr->neighbour[e] < end, FV_ERR_CORRUPT,
                 "dataset (%s, graph %lld): expected edges between nodes of one graph, got one to another", d->name,
                 (long long)i);
    *most = FV_MAX(*most, end - first);
    *edges_a_node = FV_MAX(*edges_a_node, fv_ceil_div(csr->begin[end] - csr->begin[first], end - first));
  }
  return FV_OK;
}

static fv_status cut_graphs(const fv_data_open *o, const fv_dataset *d, fv_graph_set *g) {
  fv_status status = FV_OK;
  uint8_t *is_test = NULL;
  const int folds = o->def->info.folds ? o->def->info.folds : FV_FOLDS;
  for (int64_t i = 0; i < g->n; i++)
    if (g->split[i] == FV_SPLIT_TEST) return FV_OK;
  FV_TRY_DONE(FV_NEW(&is_test, g->n));
  FV_TRY_DONE(fv_data_cut(g->label, g->n, d->n_classes, folds, o->reading->fold, is_test));
  for (int64_t i = 0; i < g->n; i++)
    if (is_test[i]) g->split[i] = FV_SPLIT_TEST;
done:
  fv_free(is_test);
  return status;
}

static void fill_graphs(const fv_graph_set *g, fv_held_graph *h) {
  int64_t at[FV_SPLITS] = {0};
  memcpy(h->first, g->first, (size_t)(g->n + 1) * sizeof *g->first);
  memcpy(h->graph_label, g->label, (size_t)g->n * sizeof *g->label);
  for (int64_t i = 0; i < g->n; i++) h->of[g->split[i]][at[g->split[i]]++] = (int32_t)i;
}

static int64_t lay_out(const fv_edge_list *n, const fv_graph_set *g, const fv_dataset *d, fv_held_graph *h,
                       char *slab) {
  int64_t at = 0;
  fv_held_graph_lay_out(n, h, slab, &at);
  h->first = fv_slab_take(slab, &at, 8 * (g->n + 1));
  h->graph_label = fv_slab_take(slab, &at, 4 * g->n);
  for (int s = 0; s < FV_SPLITS; s++) h->of[s] = fv_slab_take(slab, &at, 4 * d->count[s]);
  return at;
}

static fv_status hold(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, const fv_graph_set *g,
                      const fv_csr *csr, fv_held_graph *h) {
  int64_t most, edges_a_node;
  FV_TRY(measure_graphs(d, g, csr, &most, &edges_a_node));
  for (int64_t i = 0; i < g->n; i++) d->count[g->split[i]]++;
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, lay_out(n, g, d, h, NULL), &d->slab));
  lay_out(n, g, d, h, d->slab);
  fv_held_graph_fields(h, d, most, FV_SHAPE(most, edges_a_node), false, true);
  d->field[d->n_fields++] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->length = length_of;
  d->read = read_graph;
  if (!d->slab) return FV_OK;
  fill_graphs(g, h);
  return fv_held_graph_fill(d, n, csr, h);
}

fv_status fv_graph_set_hold(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, fv_graph_set *g) {
  fv_csr csr = {.begin = NULL};
  fv_held_graph *h;
  fv_status status = fv_held_graph_begin(o, d, n, &csr, &h);
  if (status == FV_OK) status = cut_graphs(o, d, g);
  if (status == FV_OK) status = hold(o, d, n, g, &csr, h);
  fv_csr_free(&csr);
  return status;
}
