/* SPDX-License-Identifier: Apache-2.0 */
/* graphs.c: datasets of graphs. Edges as they are found become CSR by two counting sorts: rows in order, neighbours
 * rising, so that the same graph has the same bits however its edges were listed. Features are kept by column and value,
 * K a node, or as plain numbers where most are there. */
#include "data/sets.h"

fv_status fv_net_new(int64_t nodes, int64_t edges, int64_t entries, fv_net **net) {
  fv_status status = FV_OK;
  fv_net *n = NULL;
  *net = NULL;
  FV_REQUIRE(nodes >= 1 && nodes < INT32_MAX && edges >= 0 && 2 * edges + nodes < INT32_MAX && entries >= 0,
             FV_ERR_REQUEST, "graph: expected at least 1 node and numbers below 2^31, got %lld nodes and %lld edges",
             (long long)nodes, (long long)edges);
  FV_TRY_DONE(FV_NEW(&n, 1));
  *n = (fv_net){.nodes = nodes, .edges = edges, .entries = entries};
  FV_TRY_DONE(FV_NEW(&n->from, edges));
  FV_TRY_DONE(FV_NEW(&n->to, edges));
  FV_TRY_DONE(FV_NEW(&n->begin, nodes + 1));
  FV_TRY_DONE(FV_NEW(&n->column, entries));
  FV_TRY_DONE(FV_NEW(&n->value, entries));
  FV_TRY_DONE(FV_NEW(&n->label, nodes));
  FV_TRY_DONE(FV_NEW(&n->split, nodes));
  memset(n->label, -1, (size_t)nodes * sizeof *n->label);
  memset(n->split, FV_SPLITS, (size_t)nodes);
  *net = n;
  n = NULL;
done:
  fv_net_free(n);
  return status;
}

void fv_net_free(fv_net *n) {
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

void fv_net_normalise(fv_net *n) {
  for (int64_t i = 0; i < n->nodes; i++) {
    double sum = 0;
    for (int64_t e = n->begin[i]; e < n->begin[i + 1]; e++) sum += (double)n->value[e];
    for (int64_t e = n->begin[i]; e < n->begin[i + 1] && sum != 0; e++) n->value[e] = (float)((double)n->value[e] / sum);
  }
}

/* ---- edges ------------------------------------------------------------------------------------------------------- */
static fv_status check_ends(const fv_dataset *d, const fv_net *n) {
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

typedef struct edges {
  int32_t *begin, *neighbour;
  int64_t n;
} edges;

static fv_status make_csr(const fv_net *n, bool directed, edges *csr) {
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
static int64_t count_split(const fv_web *w, uint8_t split) {
  int64_t n = 0;
  for (int64_t i = 0; i < w->nodes; i++) n += w->split[i] == split && w->label[i] >= 0;
  return n;
}

/* Part `fold` of `folds` of the split's nodes goes to another one. */
static fv_status cut_split(fv_web *w, int n_classes, uint8_t from, uint8_t to, int folds, int64_t fold) {
  fv_status status = FV_OK;
  const int64_t n = count_split(w, from);
  int32_t *node = NULL, *label = NULL;
  uint8_t *cut = NULL;
  int64_t at = 0;
  FV_TRY_DONE(FV_NEW(&node, n));
  FV_TRY_DONE(FV_NEW(&label, n));
  FV_TRY_DONE(FV_NEW(&cut, n));
  for (int64_t i = 0; i < w->nodes; i++)
    if (w->split[i] == from && w->label[i] >= 0) node[at] = (int32_t)i, label[at++] = w->label[i];
  FV_TRY_DONE(fv_data_cut(label, n, n_classes, folds, fold, cut));
  for (int64_t k = 0; k < n; k++)
    if (cut[k]) w->split[node[k]] = to;
done:
  fv_free(node);
  fv_free(label);
  fv_free(cut);
  return status;
}

static fv_status expect_nodes(const fv_dataset *d, const fv_web *w, fv_split s) {
  FV_REQUIRE(count_split(w, (uint8_t)s) > 0, FV_ERR_REQUEST, "dataset (%s): expected nodes with a label for %s, got none",
             d->name, fv_split_names[s]);
  return FV_OK;
}

static fv_status complete_splits(const fv_data_open *o, const fv_dataset *d, fv_web *w) {
  if (!count_split(w, FV_SPLIT_TRAIN) && !count_split(w, FV_SPLIT_TEST) && !count_split(w, FV_SPLIT_VALIDATION))
    memset(w->split, FV_SPLIT_TRAIN, (size_t)w->nodes);
  FV_TRY(expect_nodes(d, w, FV_SPLIT_TRAIN));
  if (!count_split(w, FV_SPLIT_TEST))
    FV_TRY(cut_split(w, d->n_classes, FV_SPLIT_TRAIN, FV_SPLIT_TEST, FV_FOLDS, o->reading->fold));
  else FV_TRY(fv_data_no_fold(o));
  if (!count_split(w, FV_SPLIT_VALIDATION))
    FV_TRY(cut_split(w, d->n_classes, FV_SPLIT_TRAIN, FV_SPLIT_VALIDATION, FV_FOLDS, 0));
  for (int s = 0; s < FV_SPLITS; s++) FV_TRY(expect_nodes(d, w, (fv_split)s));
  return FV_OK;
}

/* ---- the dataset ------------------------------------------------------------------------------------------------- */
enum { DEGREE, NEIGHBOUR, WORD, WEIGHT, FEATURE = WORD };
typedef struct held_web {
  fv_web w;
  int64_t words; /* most entries of a node's features; 0: plain numbers */
  int32_t *degree, *word;
  float *weight;
  int64_t width;                 /* numbers of a node's features that are held: words, or all */
  int64_t *first;                /* of many graphs, as fv_net_graphs has them */
  int32_t *graph_label, *of[FV_SPLITS];
} held_web;

static void *take(char *slab, int64_t *at, int64_t bytes) {
  void *piece = slab ? slab + *at : NULL;
  *at += fv_round_up(bytes, FV_ALIGN);
  return piece;
}

static int64_t lay_out(const fv_net *n, held_web *h, char *slab) {
  int64_t at = 0;
  h->degree = take(slab, &at, 4 * n->nodes);
  h->w.begin = take(slab, &at, 4 * (n->nodes + 1));
  h->w.neighbour = take(slab, &at, 4 * h->w.edges);
  h->weight = take(slab, &at, 4 * n->nodes * h->width);
  h->word = take(slab, &at, 4 * n->nodes * h->words);
  h->w.label = take(slab, &at, 4 * n->nodes);
  h->w.split = take(slab, &at, n->nodes);
  return at;
}

static int64_t lay_out_graphs(const fv_net *n, const fv_net_graphs *graphs, const fv_dataset *d, held_web *h,
                              char *slab) {
  int64_t at = fv_round_up(lay_out(n, h, slab), FV_ALIGN);
  h->first = take(slab, &at, 8 * (graphs->n + 1));
  h->graph_label = take(slab, &at, 4 * graphs->n);
  for (int s = 0; s < FV_SPLITS; s++) h->of[s] = take(slab, &at, 4 * d->count[s]);
  return at;
}

static void read_web(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)index;
  (void)draw;
  const held_web *h = d->impl;
  int32_t *label = out[d->n_fields - 1];
  for (int64_t i = 0; label && i < h->w.nodes; i++) label[i] = h->w.split[i] == split ? h->w.label[i] : -1;
}

/* Of a graph of so many nodes, all in one place or of a sample. */
static void set_fields(const held_web *h, fv_dataset *d, int64_t nodes, fv_shape neighbour, bool shared) {
  const fv_field like = {.dtype = FV_I32, .shared = shared, .varies = !shared};
  const int last = h->words ? WEIGHT : FEATURE;
  for (int f = DEGREE; f <= last; f++) {
    d->field[f] = like;
    d->field[f].shape = FV_SHAPE(nodes, h->width);
  }
  d->field[DEGREE].name = "degree";
  d->field[DEGREE].shape = FV_SHAPE(nodes);
  d->field[NEIGHBOUR].name = "neighbour";
  d->field[NEIGHBOUR].shape = neighbour;
  d->field[WORD].name = "word";
  d->field[last].name = h->words ? "weight" : "feature";
  d->field[last].dtype = FV_F32;
  d->n_fields = last + 1;
  if (!shared) return;
  d->field[DEGREE].all = h->degree;
  d->field[NEIGHBOUR].all = h->w.neighbour;
  d->field[WORD].all = h->word;
  d->field[last].all = h->weight;
}

static fv_status fill_features(const fv_dataset *d, const fv_net *n, held_web *h) {
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

static fv_status fill_web(const fv_dataset *d, const fv_net *n, const edges *csr, held_web *h) {
  memcpy(h->w.begin, csr->begin, (size_t)(n->nodes + 1) * sizeof *csr->begin);
  memcpy(h->w.neighbour, csr->neighbour, (size_t)csr->n * sizeof *csr->neighbour);
  for (int64_t i = 0; i < n->nodes; i++) h->degree[i] = csr->begin[i + 1] - csr->begin[i];
  memcpy(h->w.label, n->label, (size_t)n->nodes * sizeof *n->label);
  memcpy(h->w.split, n->split, (size_t)n->nodes);
  return fill_features(d, n, h);
}

static int64_t most_entries(const fv_net *n) {
  int64_t most = 1;
  for (int64_t i = 0; i < n->nodes; i++) most = FV_MAX(most, n->begin[i + 1] - n->begin[i]);
  return most;
}

static fv_status begin_hold(const fv_data_open *o, fv_dataset *d, const fv_net *n, edges *csr, held_web **held) {
  held_web *h = *held = fv_arena_alloc(d->arena, sizeof *h);
  FV_REQUIRE(h, FV_ERR_MEMORY, "dataset (%s): no memory", d->name);
  FV_TRY(check_ends(d, n));
  FV_TRY(make_csr(n, o->reading->directed, csr));
  h->w = (fv_web){.nodes = n->nodes, .edges = csr->n, .name = n->name};
  h->words = 2 * n->entries >= n->nodes * n->columns ? 0 : most_entries(n);
  h->width = h->words ? h->words : n->columns;
  d->features = n->columns;
  d->impl = h;
  return FV_OK;
}

fv_status fv_net_hold(const fv_data_open *o, fv_dataset *d, const fv_net *n) {
  fv_status status = FV_OK;
  edges csr = {NULL};
  held_web *h;
  FV_TRY_DONE(begin_hold(o, d, n, &csr, &h));
  FV_TRY_DONE(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, lay_out(n, h, NULL), &d->slab));
  lay_out(n, h, d->slab);
  set_fields(h, d, n->nodes, FV_SHAPE(h->w.edges), true);
  d->field[d->n_fields++] = (fv_field){.name = "node_label", .dtype = FV_I32, .shape = FV_SHAPE(n->nodes)};
  for (int s = 0; s < FV_SPLITS; s++) d->count[s] = 1;
  if (!d->slab) goto done;
  FV_TRY_DONE(fill_web(d, n, &csr, h));
  FV_TRY_DONE(complete_splits(o, d, &h->w));
  d->read = read_web;
  d->web = &h->w;
done:
  fv_free(csr.begin);
  fv_free(csr.neighbour);
  return status;
}

/* ---- many graphs ------------------------------------------------------------------------------------------------- */
fv_status fv_net_graphs_new(int64_t n, fv_net_graphs *g) {
  *g = (fv_net_graphs){.n = n};
  FV_TRY(FV_NEW(&g->first, n + 1));
  FV_TRY(FV_NEW(&g->label, n));
  return FV_NEW(&g->split, n);
}

void fv_net_graphs_free(fv_net_graphs *g) {
  fv_free(g->first);
  fv_free(g->label);
  fv_free(g->split);
}

static int64_t length_of(const fv_dataset *d, fv_split split, int64_t index) {
  const held_web *h = d->impl;
  const int32_t g = h->of[split][index];
  return h->first[g + 1] - h->first[g];
}

static void read_graph(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  (void)draw;
  const held_web *h = d->impl;
  const int32_t g = h->of[split][index];
  const int64_t from = h->first[g], nodes = h->first[g + 1] - from, weights = h->words ? WEIGHT : FEATURE;
  const int32_t *place = h->w.neighbour + h->w.begin[from];
  int32_t *neighbour = out[NEIGHBOUR];
  if (out[DEGREE]) memcpy(out[DEGREE], h->degree + from, (size_t)nodes * 4);
  for (int64_t k = 0; neighbour && k < h->w.begin[from + nodes] - h->w.begin[from]; k++)
    neighbour[k] = (int32_t)(place[k] - from);
  if (h->words && out[WORD]) memcpy(out[WORD], h->word + from * h->words, (size_t)(nodes * h->words) * 4);
  if (out[weights]) memcpy(out[weights], h->weight + from * h->width, (size_t)(nodes * h->width) * 4);
  if (out[weights + 1]) *(int32_t *)out[weights + 1] = h->graph_label[g];
}

/* Nodes of the largest graph, and the most edges for each node of one. */
static fv_status measure_graphs(const fv_dataset *d, const fv_net_graphs *g, const edges *csr, int64_t *most,
                                int64_t *edges_a_node) {
  *most = *edges_a_node = 1;
  for (int64_t i = 0; i < g->n; i++) {
    const int64_t first = g->first[i], end = g->first[i + 1];
    FV_REQUIRE(end > first, FV_ERR_CORRUPT, "dataset (%s, graph %lld): expected nodes, got none", d->name, (long long)i);
    for (int64_t e = csr->begin[first]; e < csr->begin[end]; e++)
      FV_REQUIRE(csr->neighbour[e] >= first && csr->neighbour[e] < end, FV_ERR_CORRUPT,
                 "dataset (%s, graph %lld): expected edges between nodes of one graph, got one to another", d->name,
                 (long long)i);
    *most = FV_MAX(*most, end - first);
    *edges_a_node = FV_MAX(*edges_a_node, fv_ceil_div(csr->begin[end] - csr->begin[first], end - first));
  }
  return FV_OK;
}

static fv_status cut_graphs(const fv_data_open *o, const fv_dataset *d, fv_net_graphs *g) {
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

static void fill_graphs(const fv_net_graphs *g, held_web *h) {
  int64_t at[FV_SPLITS] = {0};
  memcpy(h->first, g->first, (size_t)(g->n + 1) * sizeof *g->first);
  memcpy(h->graph_label, g->label, (size_t)g->n * sizeof *g->label);
  for (int64_t i = 0; i < g->n; i++) h->of[g->split[i]][at[g->split[i]]++] = (int32_t)i;
}

fv_status fv_net_hold_graphs(const fv_data_open *o, fv_dataset *d, const fv_net *n, const fv_net_graphs *graphs) {
  fv_status status = FV_OK;
  edges csr = {NULL};
  held_web *h;
  int64_t most, edges_a_node;
  fv_net_graphs g = *graphs;
  FV_TRY_DONE(begin_hold(o, d, n, &csr, &h));
  FV_TRY_DONE(measure_graphs(d, &g, &csr, &most, &edges_a_node));
  FV_TRY_DONE(cut_graphs(o, d, &g));
  for (int64_t i = 0; i < g.n; i++) d->count[g.split[i]]++;
  FV_TRY_DONE(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, lay_out_graphs(n, &g, d, h, NULL), &d->slab));
  lay_out_graphs(n, &g, d, h, d->slab);
  set_fields(h, d, most, FV_SHAPE(most, edges_a_node), false);
  d->field[d->n_fields++] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  d->length = length_of;
  if (!d->slab) goto done;
  FV_TRY_DONE(fill_web(d, n, &csr, h));
  fill_graphs(&g, h);
  d->read = read_graph;
done:
  fv_free(csr.begin);
  fv_free(csr.neighbour);
  return status;
}
