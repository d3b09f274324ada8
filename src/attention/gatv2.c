/* SPDX-License-Identifier: Apache-2.0 */
/* gatv2: graph attention whose score is a net on both ends together, so that the order of neighbours may differ from
 * node to node. Brody, Alon, Yahav, ICLR 2022, eq. 7. */
#include "attention/compose.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  const fv_edge_attrs *a = attrs;
  int64_t heads = fv_dim(par[4], 0), d = fv_dim(par[4], 1);
  FV_BUILD_REQUIRE(g, heads == a->heads, "gatv2: heads: expected %lld as att has rows, got %lld", (long long)heads,
                   (long long)a->heads);
  fv_edges e = fv_edges_of(g, "gatv2", in[1], in[2]);
  fv_shape split = FV_SHAPE(e.nodes, heads, d);
  fv_value *l = fv_reshape(g, fv_project(g, in[0], par[0], par[1]), split);
  fv_value *r = fv_reshape(g, fv_project(g, in[0], par[2], par[3]), split);
  fv_edge_attend(g, "gatv2_attend", &e, (fv_value *[]){l, r, par[4]}, a, 0, par[5], out);
}

static const fv_attention_case cases[] = {
    {.sizes = "V=7 F=4 M=13 H=3 D=2 Z=6 Y=6", .attrs = "heads=3"},
    {.sizes = "V=9 F=5 M=11 H=2 D=3 Z=3 Y=3", .attrs = "heads=2 concat=false slope=0.1"},
    {.sizes = "V=5 F=3 M=0 H=1 D=2 Z=2 Y=2"}, {.sizes = "V=3 F=1 M=1 H=1 D=1 Z=1 Y=1", .attrs = "slope=0"},
    {.sizes = "V=3 F=2 M=40 H=2 D=1 Z=2 Y=2", .attrs = "heads=2", .absent = "bl br bias"}, {0}};

extern const fv_attention_def fv_attention_gatv2;
const fv_attention_def fv_attention_gatv2 = {
    .name = "gatv2",
    .doc =
        "graph attention, dynamic: l = Wl x + bl, r = Wr x + br, alpha_ij = softmax_j(att . leakyrelu(l_j + r_i)), "
        "y_i = sum_j alpha_ij l_j + bias",
    .paper = "Brody et al. 2022, How Attentive are Graph Attention Networks?, arXiv:2105.14491",
    .attrs_size = sizeof(fv_edge_attrs),
    .attrs = fv_edge_options,
    .inputs = (const char *const[]){"x [V,F]", "row_ptr [V+1] i32", "col [M] i32@0..2", NULL},
    .params =
        (const char *const[]){"Wl [H*D,F]", "bl? [H*D]", "Wr [H*D,F]", "br? [H*D]", "att [H,D]", "bias? [Z]", NULL},
    .outputs = (const char *const[]){"y [V,Y]", "alpha [M,H]", NULL},
    .build = build,
    .cases = cases};
