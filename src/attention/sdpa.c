/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa: scaled dot-product attention on heads, with grouped keys and values, key padding, a bias, causality and a
 * window. Vaswani et al., NeurIPS 2017; groups as in Ainslie et al. 2023; slopes (ALiBi): Press et al., ICLR 2022. */
#include "attention/compose.h"

static const fv_option attrs_table[] = {
    {.name = "scale", .type = FV_OPT_REAL, .offset = offsetof(fv_sdpa_attrs, scale), .def = "0", .min = -1e6,
     .max = 1e6, .doc = "of the products; 0: 1/sqrt(D)"},
    {.name = "causal", .type = FV_OPT_BOOL, .offset = offsetof(fv_sdpa_attrs, causal), .def = "false",
     .doc = "query t sees keys s <= t + S - T"},
    {.name = "window", .type = FV_OPT_INT, .offset = offsetof(fv_sdpa_attrs, window), .def = "0", .min = 0,
     .max = 0x1p40, .doc = "query t sees keys s > t + S - T - window; 0: all"},
    {0}};

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)par;
  fv_attend(g, attrs, in, out);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=2 T=5 S=7 H=3 G=3 D=4 Dv=5", .absent = "mask bias slopes"},
    {.sizes = "B=3 T=5 S=6 H=4 G=2 D=3 Dv=2", .attrs = "scale=0.3"},
    {.sizes = "B=2 T=7 S=7 H=2 G=1 D=3 Dv=3", .attrs = "causal=true", .absent = "bias slopes"},
    {.sizes = "B=2 T=9 S=4 H=2 G=2 D=3 Dv=3", .attrs = "causal=true", .absent = "mask slopes"},
    {.sizes = "B=1 T=3 S=9 H=2 G=1 D=3 Dv=3", .attrs = "causal=true window=2", .absent = "mask bias slopes"},
    {.sizes = "B=2 T=11 S=11 H=1 G=1 D=2 Dv=2", .attrs = "window=4", .absent = "bias slopes"},
    {.sizes = "B=2 T=1 S=1 H=1 G=1 D=1 Dv=1", .attrs = "causal=true window=1"},
    {.sizes = "B=2 T=5 S=8 H=4 G=2 D=3 Dv=3", .attrs = "causal=true", .absent = "mask bias"},
    {.sizes = "B=2 T=3 S=0 H=2 G=2 D=2 Dv=2", .absent = "mask bias slopes"}, {0}};

extern const fv_attention_def fv_attention_sdpa;
const fv_attention_def fv_attention_sdpa = {
    .name = "sdpa",
    .doc = "scaled dot-product attention: softmax_S(scale q k' + bias) v; query head h reads keys of group h / (H/G)",
    .paper = "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    .attrs_size = sizeof(fv_sdpa_attrs),
    .attrs = attrs_table,
    .inputs =
        (const char *const[]){"q [B,T,H,D]", "k [B,S,G,D]", "v [B,S,G,Dv]", "mask? [B,S] u8", "bias? [H,T,S]",
                              "slopes? [H]", NULL},
    .outputs = (const char *const[]){"y [B,T,H,Dv]", "weights [B,H,T,S]", NULL},
    .build = build,
    .cases = cases};
