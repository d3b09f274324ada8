/* SPDX-License-Identifier: Apache-2.0 */
/* multihead: several heads of scaled dot-product attention, each on its own projection. Vaswani et al., NeurIPS 2017. */
#include "attention/attention.h"
#include "ops/matmul.h"
#include "ops/slice.h"
#include "ops/softmax.h"

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

/* [B,T,E] -> [B,H,T,D] */
static fv_value *split_heads(fv_graph *g, fv_value *x, int64_t heads) {
  fv_value *parts = fv_reshape(g, x, FV_SHAPE(fv_dim(x, 0), fv_dim(x, 1), heads, fv_dim(x, 2) / heads));
  return fv_permute(g, parts, FV_SHAPE(0, 2, 1, 3));
}

/* u8 [T,S]: 1 where the query may look. */
static fv_value *causal_mask(fv_graph *g, int64_t t, int64_t s) {
  uint8_t *mask = fv_arena_alloc(g->arena, (size_t)FV_MAX(t * s, 1));
  for (int64_t i = 0; mask && i < t * s; i++) mask[i] = i % s <= i / s + (s - t);
  return mask ? fv_const_data(g, FV_U8, FV_SHAPE(t, s), mask) : NULL;
}

/* Key padding [B,S] and causality as one mask that goes with [B,H,T,S]. */
static fv_value *mask_of(fv_graph *g, fv_value *padding, bool causal, int64_t t, int64_t s) {
  bool padded = padding && padding != fv_absent(g);
  fv_value *keys = padded ? fv_reshape(g, padding, FV_SHAPE(fv_dim(padding, 0), 1, 1, s)) : NULL;
  fv_value *order = causal ? causal_mask(g, t, s) : NULL;
  if (keys && order) return fv_op(g, "logical_and", NULL, keys, order);
  return keys ? keys : order ? order : fv_absent(g);
}

/* q [B,T,E], k, v [B,S,E], already projected. */
static void attend(fv_graph *g, const multihead_attrs *a, fv_value *q, fv_value *k, fv_value *v, fv_value *mask, fv_value **out) {
  int64_t b = fv_dim(q, 0), t = fv_dim(q, 1), e = fv_dim(q, 2), s = fv_dim(k, 1);
  double width = (double)FV_MAX(e / a->heads, 1);
  fv_value *heads = fv_mul(g, split_heads(g, q, a->heads), fv_const(g, 1 / __builtin_sqrt(width)));
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, heads, split_heads(g, k, a->heads));
  out[1] = fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, score, mask_of(g, mask, a->causal, t, s));
  fv_value *y = fv_op(g, "matmul", NULL, out[1], split_heads(g, v, a->heads));
  out[0] = fv_reshape(g, fv_permute(g, y, FV_SHAPE(0, 2, 1, 3)), FV_SHAPE(b, t, e));
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  fv_value *key = in[1] == fv_absent(g) ? in[0] : in[1], *value = in[2] == fv_absent(g) ? key : in[2];
  fv_value *q = fv_op(g, "linear", NULL, in[0], par[0], par[3]), *k = fv_op(g, "linear", NULL, key, par[1], par[4]);
  fv_value *v = fv_op(g, "linear", NULL, value, par[2], par[5]);
  attend(g, attrs, q, k, v, in[3], out);
  out[0] = fv_op(g, "linear", NULL, out[0], par[6], par[7]);
}

extern const fv_attention_def fv_attention_multihead;
const fv_attention_def fv_attention_multihead = {
    .name = "multihead",
    .doc = "H heads of softmax(q k' / sqrt(D)) v on projected queries, keys and values, projected back",
    .paper = "Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762",
    .attrs_size = sizeof(multihead_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"query", "key?", "value?", "mask?", NULL},
    .params = (const char *const[]){"Wq", "Wk", "Wv", "bq", "bk", "bv", "Wo", "bo", NULL},
    .outputs = (const char *const[]){"y", "weights", NULL},
    .build = build};

fv_value *fv_self_attention_layer(fv_graph *g, fv_value *x, const char *name, int64_t heads) {
  int64_t e = fv_dim(x, 2);
  fv_init xavier = {.kind = FV_INIT_XAVIER_UNIFORM}, zeros = {.kind = FV_INIT_ZEROS};
  fv_scope_push(g, "%s", name);
  fv_value *w = fv_param(g, "in_proj_weight", FV_SHAPE(3 * e, e), xavier, FV_GROUP_DECAY);
  fv_value *b = fv_param(g, "in_proj_bias", FV_SHAPE(3 * e), zeros, FV_GROUP_NO_DECAY);
  fv_value *wo = fv_param(g, "out_proj.weight", FV_SHAPE(e, e), xavier, FV_GROUP_DECAY);
  fv_value *bo = fv_param(g, "out_proj.bias", FV_SHAPE(e), zeros, FV_GROUP_NO_DECAY);
  fv_value *qkv = fv_op(g, "linear", NULL, x, w, b), *part[3], *out[2];
  for (int i = 0; i < 3; i++)
    part[i] = fv_slice_of(g, qkv, 2, i * e, e);
  attend(g, &(multihead_attrs){.heads = heads}, part[0], part[1], part[2], NULL, out);
  fv_tap(g, "weights", FV_TAP_WEIGHTS, out[1]);
  fv_value *y = fv_op(g, "linear", NULL, out[0], wo, bo);
  fv_scope_pop(g);
  return y;
}
