/* SPDX-License-Identifier: Apache-2.0 */
/* multihead: several heads of scaled dot-product attention, each on its own projection. Vaswani et al., 2017. */
#include "attention/compose.h"
#include "ops/slice.h"

typedef struct multihead_attrs {
  int64_t heads;
  bool causal;
} multihead_attrs;

static const fv_option attrs_table[] = {
    {.name = "heads", .type = FV_OPT_INT, .offset = offsetof(multihead_attrs, heads), .def = "1", .min = 1, .max = 1024,
     .doc = "number of heads; divides the width"},
    {.name = "causal", .type = FV_OPT_BOOL, .offset = offsetof(multihead_attrs, causal), .def = "false",
     .doc = "query t sees keys s <= t + S - T"},
    {0}};

/* [B,T,E] -> [B,T,H,D] */
static fv_value *split_heads(fv_graph *g, fv_value *x, int64_t heads) {
  return fv_reshape(g, x, FV_SHAPE(fv_dim(x, 0), fv_dim(x, 1), heads, fv_dim(x, 2) / heads));
}

/* q [B,T,E], k, v [B,S,E], already projected. */
static void attend(fv_graph *g, const multihead_attrs *a, fv_value *q, fv_value *k, fv_value *v, fv_value *mask,
                   fv_value **out) {
  fv_value *none = fv_absent(g);
  fv_value *in[] = {split_heads(g, q, a->heads), split_heads(g, k, a->heads), split_heads(g, v, a->heads), mask, none,
                    none};
  fv_attend(g, &(fv_sdpa_attrs){.causal = a->causal}, in, out);
  out[0] = fv_reshape(g, out[0], fv_value_shape(q));
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  const multihead_attrs *a = attrs;
  fv_value *key = fv_given(g, in[1]) ? in[1] : in[0], *value = fv_given(g, in[2]) ? in[2] : key;
  FV_BUILD_REQUIRE(g, fv_dim(in[0], 2) % a->heads == 0,
                   "multihead: heads: expected a divisor of the width %lld, got %lld", (long long)fv_dim(in[0], 2),
                   (long long)a->heads);
  FV_BUILD_REQUIRE(g, fv_dim(value, 1) == fv_dim(key, 1),
                   "multihead: value: expected as many places as keys, %lld, got %lld", (long long)fv_dim(key, 1),
                   (long long)fv_dim(value, 1));
  FV_BUILD_REQUIRE(g, !fv_given(g, in[3]) || fv_dim(in[3], 1) == fv_dim(key, 1),
                   "multihead: mask: expected [%lld,%lld], got %s", (long long)fv_dim(key, 0),
                   (long long)fv_dim(key, 1), fv_shape_text(fv_value_shape(in[3])));
  /* The key bias adds the same q . bk to every score of a row, and the softmax takes it away again. Left out, its
   * gradient is the exact 0 and not what rounding makes of it. */
  fv_value *q = fv_project(g, in[0], par[0], par[3]), *k = fv_project(g, key, par[1], NULL);
  fv_value *v = fv_project(g, value, par[2], par[5]);
  attend(g, attrs, q, k, v, in[3], out);
  out[0] = fv_project(g, out[0], par[6], par[7]);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=2 T=5 S=7 E=6 K=4 L=3 H=3", .attrs = "heads=3"},
    {.sizes = "B=3 T=5 S=5 E=4 K=4 L=4 H=2", .attrs = "heads=2", .absent = "key value"},
    {.sizes = "B=2 T=6 S=6 E=4 K=4 L=4 H=1", .attrs = "causal=true", .absent = "key value mask"},
    {.sizes = "B=2 T=7 S=4 E=4 K=3 L=3 H=2", .attrs = "heads=2 causal=true", .absent = "value bq bk bv bo"},
    {.sizes = "B=1 T=1 S=1 E=3 K=2 L=5 H=3", .attrs = "heads=3", .absent = "mask"}, {0}};

extern const fv_attention_def fv_attention_multihead;
const fv_attention_def fv_attention_multihead = {
    .name = "multihead",
    .doc = "H heads of softmax(q k' / sqrt(D)) v on projected queries, keys and values, projected back",
    .paper = "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    .attrs_size = sizeof(multihead_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"query [B,T,E]", "key? [B,S,K]", "value? [B,S,L]", "mask? [B,S] u8", NULL},
    .params = (const char *const[]){"Wq [E,E]", "Wk [E,K]", "Wv [E,L]", "bq? [E]", "bk? [E]", "bv? [E]", "Wo [E,E]",
                                    "bo? [E]", NULL},
    .outputs = (const char *const[]){"y [B,T,E]", "weights [B,H,T,S]", NULL},
    .build = build,
    .cases = cases};

fv_value *fv_self_attention_layer(fv_graph *g, fv_value *x, const char *name, int64_t heads) {
  int64_t e = fv_dim(x, 2);
  fv_scope_push(g, "%s", name);
  const fv_heads h = fv_heads_params(g, e);
  fv_value *qkv = fv_op(g, "linear", NULL, x, h.w, h.b), *part[3], *out[2];
  for (int i = 0; i < 3; i++)
    part[i] = fv_slice_of(g, qkv, 2, i * e, e);
  attend(g, &(multihead_attrs){.heads = heads}, part[0], part[1], part[2], fv_absent(g), out);
  fv_tap(g, "weights", FV_TAP_WEIGHTS, out[1]);
  fv_value *y = fv_op(g, "linear", NULL, out[0], h.wo, h.bo);
  fv_scope_pop(g);
  return y;
}
