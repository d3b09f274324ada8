/* SPDX-License-Identifier: Apache-2.0 */
/* graph_layers.c: gat and gatv2 as layers of a network over a graph, with the initial values and the dropout of the
 * authors' own program (github.com/PetarV-/GAT): on the features, on the weights of the neighbours, and on what these
 * weigh, but not on what the scores are computed from. */
#include "attention/compose.h"
#include "ops/permute.h"

#include <math.h>

fv_nodes fv_nodes_dropout(fv_graph *g, const fv_nodes *nodes, double rate, bool training) {
  fv_nodes kept = *nodes;
  if (kept.x) kept.x = fv_dropout(g, kept.x, rate, training);
  else kept.weight = fv_dropout(g, kept.weight, rate, training); /* what is 0 stays so */
  return kept;
}

/* x W' : [V,O] */
static fv_value *project(fv_graph *g, const fv_nodes *nodes, fv_value *w, fv_value *b) {
  if (nodes->x) return fv_project(g, nodes->x, w, b);
  fv_value *y = fv_op(g, "embedding_bag", NULL, fv_permute(g, w, FV_SHAPE(1, 0)), nodes->word, nodes->weight);
  return b ? fv_add(g, y, b) : y;
}

/* Glorot & Bengio 2010, of each head by itself. */
static fv_init glorot(int64_t in, int64_t out) {
  return (fv_init){.kind = FV_INIT_UNIFORM, .a = sqrt(6 / (double)FV_MAX(in + out, 1))};
}

static fv_value *weight(fv_graph *g, const char *name, const fv_nodes *nodes, const fv_graph_attention_args *a) {
  return fv_param(g, name, FV_SHAPE(a->heads * a->width, nodes->features), glorot(nodes->features, a->width),
                  FV_GROUP_DECAY);
}

/* [H,D]; PyTorch Geometric has [1,H,D] */
static fv_value *scorer(fv_graph *g, const char *name, const fv_graph_attention_args *a) {
  fv_value *v = fv_param(g, name, FV_SHAPE(1, a->heads, a->width), glorot(a->width, 1), FV_GROUP_DECAY);
  return fv_reshape(g, v, FV_SHAPE(a->heads, a->width));
}

static fv_value *split(fv_graph *g, fv_value *x, const fv_graph_attention_args *a) {
  return fv_reshape(g, x, FV_SHAPE(fv_dim(x, 0), a->heads, a->width));
}

/* [H,D] -> [H,H*D]: each head's part in its own columns, 0 elsewhere. As a product with it all heads' scores are one
 * pass over h. */
static fv_value *spread_heads(fv_graph *g, fv_value *att) {
  const int64_t heads = fv_dim(att, 0), width = fv_dim(att, 1);
  float *own = fv_arena_alloc(g->arena, (size_t)(heads * heads) * sizeof *own + 1);
  if (!own) return fv_graph_fail(g, FV_FAIL(FV_ERR_MEMORY, "graph: out of memory"));
  for (int64_t i = 0; i < heads; i++) own[i * heads + i] = 1;
  fv_value *mask = fv_const_data(g, FV_F32, FV_SHAPE(heads, heads, 1), own);
  return fv_reshape(g, fv_mul(g, fv_reshape(g, att, FV_SHAPE(1, heads, width)), mask), FV_SHAPE(heads, heads * width));
}

static void ends_of_gat(fv_graph *g, const fv_nodes *nodes, const fv_graph_attention_args *a, fv_value *ends[3]) {
  fv_value *h = project(g, nodes, weight(g, "lin.weight", nodes, a), NULL);
  ends[1] = fv_project(g, h, spread_heads(g, scorer(g, "att_src", a)), NULL);
  ends[2] = fv_project(g, h, spread_heads(g, scorer(g, "att_dst", a)), NULL);
  ends[0] = split(g, fv_dropout(g, h, a->dropout, a->training), a);
}

static void ends_of_gatv2(fv_graph *g, const fv_nodes *nodes, const fv_graph_attention_args *a, fv_value *ends[3]) {
  const fv_init zeros = {.kind = FV_INIT_ZEROS};
  const fv_shape out = FV_SHAPE(a->heads * a->width);
  fv_value *wl = weight(g, "lin_l.weight", nodes, a);
  ends[0] = split(g, project(g, nodes, wl, fv_param(g, "lin_l.bias", out, zeros, FV_GROUP_NO_DECAY)), a);
  fv_value *wr = weight(g, "lin_r.weight", nodes, a);
  ends[1] = split(g, project(g, nodes, wr, fv_param(g, "lin_r.bias", out, zeros, FV_GROUP_NO_DECAY)), a);
  ends[2] = scorer(g, "att", a);
}

fv_value *fv_graph_attention_layer(fv_graph *g, const fv_nodes *nodes, fv_value *row_ptr, fv_value *col,
                                   const fv_graph_attention_args *a) {
  const fv_edge_attrs attrs = {.heads = a->heads, .concat = !a->mean, .slope = a->slope > 0 ? a->slope : 0.2};
  fv_value *ends[3], *out[2] = {NULL, NULL};
  fv_scope_push(g, "%s", a->name);
  if (a->v2) ends_of_gatv2(g, nodes, a, ends);
  else ends_of_gat(g, nodes, a, ends);
  fv_value *bias = fv_param(g, "bias", FV_SHAPE((a->mean ? 1 : a->heads) * a->width),
                            (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_NO_DECAY);
  fv_edges e = fv_edges_of(g, a->name, row_ptr, col);
  if (e.col)
    fv_edge_attend(g, a->v2 ? "gatv2_attend" : "gat_attend", &e, ends, &attrs, a->training ? a->dropout : 0, bias, out);
  fv_tap(g, "alpha", FV_TAP_EDGES, out[1]);
  fv_scope_pop(g);
  return out[0];
}
