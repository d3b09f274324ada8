/* SPDX-License-Identifier: Apache-2.0 */
/* gat: graph attention. A node's new features are the mean of its neighbours', weighed by a softmax of scores that
 * split into a part of each end. Velickovic et al., ICLR 2018, eq. 1 to 6. */
#include "attention/compose.h"

/* att . h per node and head: [V,H,D], [H,D] -> [V,H] */
static fv_value *part(fv_graph *g, fv_value *h, fv_value *att) {
  return fv_reduce(g, "sum", fv_mul(g, h, att), FV_SHAPE(2), false);
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  const fv_edge_attrs *a = attrs;
  int64_t heads = fv_dim(par[1], 0), d = fv_dim(par[1], 1);
  FV_BUILD_REQUIRE(g, heads == a->heads, "gat: heads: expected %lld as att_src has rows, got %lld", (long long)heads,
                   (long long)a->heads);
  fv_edges e = fv_edges_of(g, "gat", in[1], in[2]);
  fv_value *h = fv_reshape(g, fv_project(g, in[0], par[0], NULL), FV_SHAPE(e.nodes, heads, d));
  fv_value *ends[] = {h, part(g, h, par[1]), part(g, h, par[2])};
  fv_edge_attend(g, "gat_attend", &e, ends, a, 0, par[3], out);
}

static const fv_attention_case cases[] = {
    {.sizes = "V=7 F=4 M=13 H=3 D=2 Z=6 Y=6", .attrs = "heads=3"},
    {.sizes = "V=9 F=5 M=11 H=2 D=3 Z=3 Y=3", .attrs = "heads=2 concat=false slope=0.1"},
    {.sizes = "V=5 F=3 M=0 H=1 D=2 Z=2 Y=2"}, {.sizes = "V=3 F=1 M=1 H=1 D=1 Z=1 Y=1", .attrs = "slope=0"},
    {.sizes = "V=3 F=2 M=40 H=2 D=1 Z=2 Y=2", .attrs = "heads=2", .absent = "bias"}, {0}};

extern const fv_attention_def fv_attention_gat;
const fv_attention_def fv_attention_gat = {
    .name = "gat",
    .doc =
        "graph attention: h = W x, alpha_ij = softmax_j(leakyrelu(att_dst . h_i + att_src . h_j)), "
        "y_i = sum_j alpha_ij h_j + bias; edges into i are col[row_ptr[i] .. row_ptr[i+1])",
    .paper = "Velickovic et al. 2018, Graph Attention Networks, arXiv:1710.10903",
    .attrs_size = sizeof(fv_edge_attrs),
    .attrs = fv_edge_options,
    .inputs = (const char *const[]){"x [V,F]", "row_ptr [V+1] i32", "col [M] i32@0..2", NULL},
    .params = (const char *const[]){"W [H*D,F]", "att_src [H,D]", "att_dst [H,D]", "bias? [Z]", NULL},
    .outputs = (const char *const[]){"y [V,Y]", "alpha [M,H]", NULL},
    .build = build,
    .cases = cases};
