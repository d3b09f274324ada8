/* SPDX-License-Identifier: Apache-2.0 */
/* graph_sample.c: a graph that is too large for one step: a sample is a node with its surroundings, of which so many
 * neighbours are drawn, so many of each of theirs, and so on (Hamilton, Ying, Leskovec 2017, algorithm 2). The node
 * is the first of its sample. What is drawn depends on the seed, the node and, in training, the epoch, and on nothing
 * else. */
#include "data/graphs.h"

enum { MOST = 4096, SLOTS = 2 * MOST };

/* Nodes of a sample, in the order in which they came up. */
typedef struct found {
  int32_t node[MOST];
  int32_t slot[SLOTS]; /* of a hash table: place among them, from 1; 0: free */
  int64_t n;
} found;

static int32_t place_of(found *f, int32_t node) {
  uint32_t at = (uint32_t)node * 0x9e3779b1u % SLOTS;
  for (; f->slot[at]; at = (at + 1) % SLOTS)
    if (f->node[f->slot[at] - 1] == node) return f->slot[at] - 1;
  f->node[f->n] = node;
  f->slot[at] = (int32_t)++f->n;
  return (int32_t)f->n - 1;
}

/* `wanted` of a node's neighbours, all different (Vitter 1985, algorithm R); all, in order, where there are no more. */
static int64_t draw_places(fv_rng *rng, const fv_adjacency *adj, int32_t node, int64_t wanted, int32_t *places) {
  int64_t n = 0, seen = 0;
  for (int32_t e = adj->begin[node]; wanted && e < adj->begin[node + 1]; e++) {
    if (adj->neighbour[e] == node) continue;
    if (n < wanted) places[n++] = adj->neighbour[e];
    else {
      const uint32_t at = fv_rng_below(rng, (uint32_t)(seen + 1));
      if (at < (uint32_t)wanted) places[at] = adj->neighbour[e];
    }
    seen++;
  }
  return n;
}

/* The edges into node `at` of the sample, itself the first. */
static int32_t add_edges(const fv_held_graph *h, fv_rng *rng, found *f, int64_t at, int64_t wanted, int32_t *to,
                         int64_t *k) {
  int32_t drawn[MOST];
  const int64_t n = draw_places(rng, &h->adj, f->node[at], FV_MIN(wanted, MOST), drawn);
  if (to) to[*k] = (int32_t)at;
  for (int64_t i = 0; i < n; i++) {
    const int32_t place = place_of(f, drawn[i]);
    if (to) to[*k + 1 + i] = place;
  }
  *k += n + 1;
  return (int32_t)n + 1;
}

static void read_node(const fv_dataset *d, fv_split split, int64_t index, uint64_t draw, void *const out[]) {
  const fv_held_graph *h = d->impl;
  const int32_t node = h->of[split][index];
  int32_t *degree = out[FV_HELD_DEGREE], *label = out[d->n_fields - 1];
  const bool wanted = degree || out[FV_HELD_NEIGHBOUR] || out[FV_HELD_WORD] ||
                      out[h->words ? FV_HELD_WEIGHT : FV_HELD_FEATURE];
  if (label) *label = h->adj.label[node];
  if (!wanted) return;
  found f;
  int64_t at = 0, k = 0;
  f.n = 0;
  memset(f.slot, 0, sizeof f.slot);
  fv_rng rng = fv_rng_new(h->seed, fv_stream_of("data.neighbours"));
  rng.counter = ((split == FV_SPLIT_TRAIN ? draw : 0) << 32 | (uint32_t)node) << 16;
  place_of(&f, node);
  for (int64_t hop = 0; hop <= h->neighbours.n; hop++)
    for (const int64_t end = f.n; at < end; at++) {
      const int64_t many = hop < h->neighbours.n ? h->neighbours.v[hop] : 0;
      const int32_t n = add_edges(h, &rng, &f, at, many, out[FV_HELD_NEIGHBOUR], &k);
      if (degree) degree[at] = n;
    }
  for (int64_t i = 0; i < f.n; i++) fv_held_graph_features(h, f.node[i], 1, i, out);
  for (int64_t i = f.n; degree && i < d->field[FV_HELD_DEGREE].shape.dim[0]; i++) degree[i] = 0;
}

static fv_status measure(const fv_data_open *o, const fv_dataset *d, int64_t *nodes, int64_t *edges) {
  const fv_int_list *many = &o->reading->neighbours;
  int64_t hop = 1;
  *nodes = *edges = 1;
  for (int64_t i = 0; i < many->n; i++) {
    FV_REQUIRE(many->v[i] >= 1 && hop <= MOST / many->v[i] && *nodes + hop * many->v[i] <= MOST, FV_ERR_REQUEST,
               "neighbours (%s): expected numbers from 1 that make surroundings of at most %d nodes, got %lld", d->name,
               MOST, (long long)many->v[i]);
    hop *= many->v[i];
    *nodes += hop;
    *edges += 2 * hop; /* one from each, and its own */
  }
  return FV_OK;
}

static int64_t lay_out(const fv_edge_list *n, const fv_dataset *d, fv_held_graph *h, char *slab) {
  int64_t at = 0;
  fv_held_graph_lay_out(n, h, slab, &at);
  for (int s = 0; s < FV_SPLITS; s++) h->of[s] = fv_slab_take(slab, &at, 4 * d->count[s]);
  return at;
}

/* Splits are cut where the list has them, before the slab is measured. */
fv_status fv_held_graph_surroundings(const fv_data_open *o, fv_dataset *d, const fv_edge_list *n, const fv_csr *csr,
                                     fv_held_graph *h) {
  fv_adjacency adj = {.nodes = n->nodes, .label = n->label, .split = n->split};
  int64_t nodes, edges, at[FV_SPLITS] = {0};
  FV_TRY(measure(o, d, &nodes, &edges));
  FV_TRY(fv_adjacency_splits(o, d, &adj));
  for (int s = 0; s < FV_SPLITS; s++) d->count[s] = fv_adjacency_count(&adj, (uint8_t)s);
  FV_TRY(fv_slab_new(o->ledger, FV_ACCOUNT_DATA, lay_out(n, d, h, NULL), &d->slab));
  lay_out(n, d, h, d->slab);
  fv_held_graph_fields(h, d, nodes, FV_SHAPE(nodes, fv_ceil_div(edges, nodes)), false, false);
  d->field[d->n_fields++] = (fv_field){.name = "label", .dtype = FV_I32, .shape = FV_SCALAR};
  h->seed = o->seed;
  h->neighbours = o->reading->neighbours;
  d->read = read_node;
  if (!d->slab) return FV_OK;
  FV_TRY(fv_held_graph_fill(d, n, csr, h));
  for (int64_t i = 0; i < n->nodes; i++)
    if (n->split[i] < FV_SPLITS && n->label[i] >= 0) h->of[n->split[i]][at[n->split[i]]++] = (int32_t)i;
  return FV_OK;
}
