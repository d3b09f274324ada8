/* SPDX-License-Identifier: Apache-2.0 */
/* graphs.c: datasets of graphs. Edges as they are found become CSR by two counting sorts: rows in order, neighbours
 * rising, so that the same graph has the same bits however its edges were listed. Features are kept by column and
 * value, K a node, or as plain numbers where most are there. */
#include "data/graphs.h"

fv_status fv_edge_list_new(int64_t nodes, int64_t edges, int64_t entries, fv_edge_list **list) {
  fv_status status = FV_OK;
  fv_edge_list *n = NULL;
  *list = NULL;
  FV_REQUIRE(nodes >= 1 && nodes < INT32_MAX && edges >= 0 && 2 * edges + nodes < INT32_MAX && entries >= 0,
             FV_ERR_REQUEST, "graph: expected at least 1 node and numbers below 2^31, got %lld nodes and %lld edges",
             (long long)nodes, (long long)edges);
  FV_TRY_DONE(FV_NEW(&n, 1));
  *n = (fv_edge_list){.nodes = nodes, .edges = edges, .entries = entries};
  FV_TRY_DONE(FV_NEW(&n->from, edges));
  FV_TRY_DONE(FV_NEW(&n->to, edges));
  FV_TRY_DONE(FV_NEW(&n->begin, nodes + 1));
  FV_TRY_DONE(FV_NEW(&n->column, entries));
  FV_TRY_DONE(FV_NEW(&n->value, entries));
  FV_TRY_DONE(FV_NEW(&n->label, nodes));
  FV_TRY_DONE(FV_NEW(&n->split, nodes));
  memset(n->label, -1, (size_t)nodes * sizeof *n->label);
  memset(n->split, FV_SPLITS, (size_t)nodes);
  *list = n;
  n = NULL;
done:
  fv_edge_list_free(n);
  return status;
}

void fv_edge_list_free(fv_edge_list *n) {
  if (!n) return;
  fv_free(n->from);
  fv_free(n->to);
  fv_free(n->begin);
  fv_free(n->column);
  fv_free(n->value);
  fv_free(n->label);
  fv_free(n->split);
  fv_free(n);
}

void fv_edge_list_normalise(fv_edge_list *n) {
  for (int64_t i = 0; i < n->nodes; i++) {
    double sum = 0;
    for (int64_t e = n->begin[i]; e < n->begin[i + 1]; e++) sum += (double)n->value[e];
    for (int64_t e = n->begin[i]; e < n->begin[i + 1] && sum != 0; e++)
      n->value[e] = (float)((double)n->value[e] / sum);
  }
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */
static fv_status check_ends(const fv_dataset *d, const fv_edge_list *n) {
  for (int64_t e = 0; e < n->edges; e++)
    FV_REQUIRE(n->from[e] >= 0 && n->from[e] < n->nodes && n->to[e] >= 0 && n->to[e] < n->nodes, FV_ERR_CORRUPT,
               "dataset (%s, edge %lld): expected nodes from 0 to %lld, got %d and %d", d->name, (long long)e,
               (long long)n->nodes - 1, n->from[e], n->to[e]);
  return FV_OK;
}

/* Place `to` of every edge in the order of `from`; stable. begin [nodes+1] is set. */
static void sort_edges(const int32_t *key, const int32_t *other, int64_t edges, int64_t nodes, int32_t *begin,
                       int32_t *key_out, int32_t *other_out) {
  memset(begin, 0, (size_t)(nodes + 1) * sizeof *begin);
  for (int64_t e = 0; e < edges; e++) begin[key[e] + 1]++;
  for (int64_t i = 0; i < nodes; i++) begin[i + 1] += begin[i];
  for (int64_t e = 0; e < edges; e++) {
    const int32_t at = begin[key[e]]++;
    key_out[at] = key[e];
    other_out[at] = other[e];
  }
  for (int64_t i = nodes; i > 0; i--) begin[i] = begin[i - 1];
  begin[0] = 0;
}

/* Neighbours that are there twice count once. */
static int64_t unite(int32_t *begin, int32_t *neighbour, int64_t nodes) {
  int32_t at = 0;
  for (int64_t i = 0, k = 0; i < nodes; i++) {
    const int64_t end = begin[i + 1], first = at;
    for (; k < end; k++)
      if (at == first || neighbour[at - 1] != neighbour[k]) neighbour[at++] = neighbour[k];
    begin[i + 1] = at;
  }
  return at;
}

void fv_csr_free(fv_csr *csr) {
  fv_free(csr->begin);
  fv_free(csr->neighbour);
}

static fv_status make_csr(const fv_edge_list *n, bool directed, fv_csr *csr) {
  fv_status status = FV_OK;
  const int64_t most = (directed ? 1 : 2) * n->edges + n->nodes;
  int32_t *v[4] = {NULL}; /* to, from; and both sorted */
  int64_t at = 0;
  for (int i = 0; i < 4; i++) FV_TRY_DONE(FV_NEW(&v[i], most));
  FV_TRY_DONE(FV_NEW(&csr->begin, n->nodes + 1));
  for (int64_t e = 0; e < n->edges; e++) {
    v[0][at] = n->to[e];
    v[1][at++] = n->from[e];
    if (directed) continue;
    v[0][at] = n->from[e];
    v[1][at++] = n->to[e];
  }
  for (int32_t i = 0; i < n->nodes; i++) v[0][at] = v[1][at] = i, at++;
  sort_edges(v[1], v[0], at, n->nodes, csr->begin, v[3], v[2]);
  sort_edges(v[2], v[3], at, n->nodes, csr->begin, v[0], v[1]);
  csr->n = unite(csr->begin, v[1], n->nodes);
  csr->neighbour = v[1];
  v[1] = NULL;
done:
  for (int i = 0; i < 4; i++) fv_free(v[i]);
  return status;
}

/* ---- splits ------------------------------------------------------------------------------------------------------ */
int64_t fv_adjacency_count(const fv_adjacency *adj, uint8_t split) {
  int64_t n = 0;
  for (int64_t i = 0; i < adj->nodes; i++) n += adj->split[i] == split && adj->label[i] >= 0;
  return n;
}

/* Part `fold` of `folds` of the split's nodes goes to another one. */
static fv_status cut_split(fv_adjacency *adj, int n_classes, uint8_t from, uint8_t to, int folds, int64_t fold) {
  fv_status status = FV_OK;
  const int64_t n = fv_adjacency_count(adj, from);
  int32_t *node = NULL, *label = NULL;
  uint8_t *cut = NULL;
  int64_t at = 0;
  FV_TRY_DONE(FV_NEW(&node, n));
  FV_TRY_DONE(FV_NEW(&label, n));
  FV_TRY_DONE(FV_NEW(&cut, n));
  for (int64_t i = 0; i < adj->nodes; i++)
    if (adj->split[i] == from && adj->label[i] >= 0) node[at] = (int32_t)i, label[at++] = adj->label[i];
  FV_TRY_DONE(fv_data_cut(label, n, n_classes, folds, fold, cut));
  for (int64_t k = 0; k < n; k++)
    if (cut[k]) adj->split[node[k]] = to;
done:
  fv_free(node);
  fv_free(label);
  fv_free(cut);
  return status;
}

static fv_status expect_nodes(const fv_dataset *d, const fv_adjacency *adj, fv_split s) {
  FV_REQUIRE(fv_adjacency_count(adj, (uint8_t)s) > 0, FV_ERR_REQUEST,
             "dataset (%s): expected nodes with a label for %s, got none",
             d->name, fv_split_names[s]);
  return FV_OK;
}

fv_status fv_adjacency_splits(const fv_data_open *o, const fv_dataset *d, fv_adjacency *adj) {
  if (!fv_adjacency_count(adj, FV_SPLIT_TRAIN) && !fv_adjacency_count(adj, FV_SPLIT_TEST) &&
      !fv_adjacency_count(adj, FV_SPLIT_VALIDATION))
    memset(adj->split, FV_SPLIT_TRAIN, (size_t)adj->nodes);
  FV_TRY(expect_nodes(d, adj, FV_SPLIT_TRAIN));
  if (!fv_adjacency_count(adj, FV_SPLIT_TEST))
    FV_TRY(cut_split(adj, d->n_classes, FV_SPLIT_TRAIN, FV_SPLIT_TEST, FV_FOLDS, o->reading->fold));
  else FV_TRY(fv_data_no_fold(o));
  if (!fv_adjacency_count(adj, FV_SPLIT_VALIDATION))
    FV_TRY(cut_split(adj, d->n_classes, FV_SPLIT_TRAIN, FV_SPLIT_VALIDATION, FV_FOLDS, 0));
  for (int s = 0; s < FV_SPLITS; s++) FV_TRY(expect_nodes(d, adj, (fv_split)s));
  return FV_OK;
}

/* ---- the dataset ------------------------------------------------------------------------------------------------- */
void fv_held_graph_lay_out(const fv_edge_list *n, fv_held_graph *h, char *slab, int64_t *at) {
  h->degree = fv_slab_take(slab, at, 4 * n->nodes);
  h->adj.begin = fv_slab_take(slab, at, 4 * (n->nodes + 1));
  h->adj.neighbour = fv_slab_take(slab, at, 4 * h->adj.edges);
  h->weight = fv_slab_take(slab, at, 4 * n->nodes * h->width);
  h->word = fv_slab_take(slab, at, 4 * n->nodes * h->words);
  h->adj.label = fv_slab_take(slab, at, 4 * n->nodes);
  h->adj.split = fv_slab_take(slab, at, n->nodes);
}

static void read_whole(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)index;
  (void)draw;
  const fv_held_graph *h = d->impl;
  int32_t *label = out[d->n_fields - 1];
  for (int64_t i = 0; label && i < h->adj.nodes; i++) label[i] = h->adj.split[i] == split ? h->adj.label[i] : -1;
}

void fv_held_graph_fields(const fv_held_graph *h, fv_dataset *d, int64_t nodes, fv_shape neighbour, bool shared,
                          bool varies) {
  const fv_field like = {.dtype = FV_I32, .shared = shared, .varies = varies};
  const int last = h->words ? FV_HELD_WEIGHT : FV_HELD_FEATURE;
  for (int f = FV_HELD_DEGREE; f <= last; f++) {
    d->field[f] = like;
    d->field[f].shape = FV_SHAPE(nodes, h->width);
  }
  d->field[FV_HELD_DEGREE].name = "degree";
  d->field[FV_HELD_DEGREE].shape = FV_SHAPE(nodes);
  d->field[FV_HELD_NEIGHBOUR].name = "neighbour";
  d->field[FV_HELD_NEIGHBOUR].shape = neighbour;
  d->field[FV_HELD_WORD].name = "word";
  d->field[last].name = h->words ? "weight" : "feature";
  d->field[last].dtype = FV_F32;
  d->n_fields = last + 1;
  if (!shared) return;
  d->field[FV_HELD_DEGREE].all = h->degree;
  d->field[FV_HELD_NEIGHBOUR].all = h->adj.neighbour;
  d->field[FV_HELD_WORD].all = h->word;
  d->field[last].all = h->weight;
}

static fv_status fill_features(const fv_dataset *d, const fv_edge_list *n, fv_held_graph *h) {
  for (int64_t i = 0; i < n->nodes; i++)
    for (int64_t e = n->begin[i]; e < n->begin[i + 1]; e++) {
      FV_REQUIRE(n->column[e] >= 0 && n->column[e] < n->columns, FV_ERR_CORRUPT,
                 "dataset (%s, node %lld): expected features from 0 to %lld, got %d", d->name, (long long)i,
                 (long long)n->columns - 1, n->column[e]);
      const int64_t at = h->words ? i * h->words + e - n->begin[i] : i * n->columns + n->column[e];
      h->weight[at] = n->value[e];
      if (h->words) h->word[at] = n->column[e];
    }
  return FV_OK;
}

fv_status fv_held_graph_fill(const fv_dataset *d, const fv_edge_list *n, const fv_csr *csr, fv_held_graph *h) {
  memcpy(h->adj.begin, csr->begin, (size_t)(n->nodes + 1) * sizeof *csr->begin);
  memcpy(h->adj.neighbour, csr->neighbour, (size_t)csr->n * sizeof *csr->neighbour);
  for (int64_t i = 0; i < n->nodes; i++) h->degree[i] = csr->begin[i + 1] - csr->begin[i];
  memcpy(h->adj.label, n->label, (size_t)n->nodes * sizeof *n->label);
  memcpy(h->adj.split, n->split, (size_t)n->nodes);
  return fill_features(d, n, h);
}

static int64_t most_entries(const fv_edge_list *n) {
  int64_t most = 1;
  for (int64_t i = 0; i < n->nodes; i++) most = FV_MAX(most, n->begin[i + 1] - n->begin[i]);
  return most;
}

fv_status fv_held_graph_begin(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, fv_csr *csr,
                              fv_held_graph **held) {
  fv_held_graph *h = *held = fv_arena_alloc(d->arena, sizeof *h);
  FV_REQUIRE(h, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  FV_TRY(check_ends(d, n));
  FV_TRY(make_csr(n, o->reading->directed, csr));
  h->adj = (fv_adjacency){.nodes = n->nodes, .edges = csr->n, .name = n->name};
  h->words = 2 * n->entries >= n->nodes * n->columns ? 0 : most_entries(n);
  h->width = h->words ? h->words : n->columns;
  d->features = n->columns;
  d->impl = h;
  return FV_OK;
}

void fv_held_graph_features(const fv_held_graph *h, int64_t from, int64_t n, int64_t to, void *const out[]) {
  const int weights = h->words ? FV_HELD_WEIGHT : FV_HELD_FEATURE;
  const size_t bytes = (size_t)(n * h->width) * 4;
  if (h->words && out[FV_HELD_WORD])
    memcpy((int32_t *)out[FV_HELD_WORD] + to * h->words, h->word + from * h->words, bytes);
  if (out[weights]) memcpy((float *)out[weights] + to * h->width, h->weight + from * h->width, bytes);
}

static fv_status hold_whole(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, const fv_csr *csr,
                            fv_held_graph *h) {
  int64_t bytes = 0, at = 0;
  fv_held_graph_lay_out(n, h, NULL, &bytes);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, bytes, &d->slab));
  fv_held_graph_lay_out(n, h, d->slab, &at);
  fv_held_graph_fields(h, d, n->nodes, FV_SHAPE(h->adj.edges), true, false);
  d->field[d->n_fields++] = (fv_field){.name = "node_label", .dtype = FV_I32, .shape = FV_SHAPE(n->nodes)};
  for (int s = 0; s < FV_SPLITS; s++) d->count[s] = 1;
  if (!d->slab) return FV_OK;
  FV_TRY(fv_held_graph_fill(d, n, csr, h));
  d->read = read_whole;
  d->adj = &h->adj;
  return fv_adjacency_splits(o, d, &h->adj);
}

fv_status fv_edge_list_hold(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n) {
  fv_csr csr = {.begin = NULL};
  fv_held_graph *h;
  fv_status status = fv_held_graph_begin(o, d, n, &csr, &h);
  if (status == FV_OK && o->reading->neighbours.n > 0) status = fv_held_graph_surroundings(o, d, n, &csr, h);
  else if (status == FV_OK) status = hold_whole(o, d, n, &csr, h);
  fv_csr_free(&csr);
  return status;
}
