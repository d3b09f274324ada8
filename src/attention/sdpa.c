/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa: scaled dot-product attention on heads, with grouped keys and values, key padding, a bias, causality and a
 * window. Vaswani et al., NeurIPS 2017; groups as in Ainslie et al. 2023. The H/G query heads of a group and their
 * places are the rows of one product, so keys and values are never repeated. */
#include "attention/compose.h"
#include "ops/matmul.h"

typedef struct sdpa_attrs {
  double scale;
  bool causal;
  int64_t window;
} sdpa_attrs;

static const fv_option attrs_table[] = {
    {.name = "scale", .type = FV_OPT_REAL, .offset = offsetof(sdpa_attrs, scale), .def = "0", .min = -1e6, .max = 1e6,
     .doc = "of the products; 0: 1/sqrt(D)"},
    {.name = "causal", .type = FV_OPT_BOOL, .offset = offsetof(sdpa_attrs, causal), .def = "false",
     .doc = "query t sees keys s <= t + S - T"},
    {.name = "window", .type = FV_OPT_INT, .offset = offsetof(sdpa_attrs, window), .def = "0", .min = 0, .max = 0x1p40,
     .doc = "query t sees keys s > t + S - T - window; 0: all"},
    {0}};

/* q [B,T,H,D] -> [B,G,R T,D], R = H/G */
static fv_value *grouped_queries(fv_graph *g, fv_value *q, int64_t groups) {
  int64_t b = fv_dim(q, 0), t = fv_dim(q, 1), r = fv_dim(q, 2) / groups, d = fv_dim(q, 3);
  fv_value *parts = fv_permute(g, fv_reshape(g, q, FV_SHAPE(b, t, groups, r, d)), FV_SHAPE(0, 2, 3, 1, 4));
  return fv_reshape(g, parts, FV_SHAPE(b, groups, r * t, d));
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)par;
  const sdpa_attrs *a = attrs;
  int64_t b = fv_dim(in[0], 0), t = fv_dim(in[0], 1), h = fv_dim(in[0], 2), d = fv_dim(in[0], 3);
  int64_t s = fv_dim(in[1], 1), groups = fv_dim(in[1], 2), width = fv_dim(in[2], 3);
  FV_BUILD_REQUIRE(g, groups > 0 && h % groups == 0, "sdpa: k: expected groups that divide the %lld heads, got %lld",
                   (long long)h, (long long)groups);
  double scale = a->scale != 0 ? a->scale : 1 / __builtin_sqrt((double)FV_MAX(d, 1));
  fv_value *q = fv_mul(g, grouped_queries(g, in[0], groups), fv_const(g, scale));
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, q, fv_swap_heads(g, in[1]));
  score = fv_reshape(g, score, FV_SHAPE(b, h, t, s));
  if (fv_given(g, in[4])) score = fv_add(g, score, in[4]);
  out[1] = fv_softmax_last(g, score, fv_attend_mask(g, in[3], a->causal, a->window, t, s));
  fv_value *weights = fv_reshape(g, out[1], FV_SHAPE(b, groups, h / groups * t, s));
  fv_value *y = fv_op(g, "matmul", NULL, weights, fv_swap_heads(g, in[2]));
  out[0] = fv_swap_heads(g, fv_reshape(g, y, FV_SHAPE(b, h, t, width)));
}

static const fv_attention_case cases[] = {
    {.sizes = "B=2 T=5 S=7 H=3 G=3 D=4 Dv=5", .absent = "mask bias"},
    {.sizes = "B=3 T=5 S=6 H=4 G=2 D=3 Dv=2", .attrs = "scale=0.3"},
    {.sizes = "B=2 T=7 S=7 H=2 G=1 D=3 Dv=3", .attrs = "causal=true", .absent = "bias"},
    {.sizes = "B=2 T=9 S=4 H=2 G=2 D=3 Dv=3", .attrs = "causal=true", .absent = "mask"},
    {.sizes = "B=1 T=3 S=9 H=2 G=1 D=3 Dv=3", .attrs = "causal=true window=2", .absent = "mask bias"},
    {.sizes = "B=2 T=11 S=11 H=1 G=1 D=2 Dv=2", .attrs = "window=4", .absent = "bias"},
    {.sizes = "B=2 T=1 S=1 H=1 G=1 D=1 Dv=1", .attrs = "causal=true window=1"},
    {.sizes = "B=2 T=3 S=0 H=2 G=2 D=2 Dv=2", .absent = "mask bias"}, {0}};

extern const fv_attention_def fv_attention_sdpa;
const fv_attention_def fv_attention_sdpa = {
    .name = "sdpa",
    .doc = "scaled dot-product attention: softmax_S(scale q k' + bias) v; query head h reads keys of group h / (H/G)",
    .paper = "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    .attrs_size = sizeof(sdpa_attrs),
    .attrs = attrs_table,
    .inputs =
        (const char *const[]){"q [B,T,H,D]", "k [B,S,G,D]", "v [B,S,G,Dv]", "mask? [B,S] u8", "bias? [H,T,S]", NULL},
    .outputs = (const char *const[]){"y [B,T,H,Dv]", "weights [B,H,T,S]", NULL},
    .build = build,
    .cases = cases};
