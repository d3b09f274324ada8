/* SPDX-License-Identifier: Apache-2.0 */
/* luong: multiplicative attention with three ways to score a key against the query: their dot product, a bilinear form,
 * a one-layer net on both. Luong, Pham, Manning, EMNLP 2015, section 3.1. */
#include "attention/compose.h"
#include "ops/matmul.h"
#include "ops/slice.h"

typedef enum luong_score { DOT, GENERAL, CONCAT } luong_score;
typedef struct luong_attrs {
  int64_t score;
} luong_attrs;

static const char *const scores[] = {"dot", "general", "concat", NULL};
static const fv_option attrs_table[] = {
    {.name = "score", .type = FV_OPT_ENUM, .offset = offsetof(luong_attrs, score), .def = "dot", .choices = scores,
     .doc = "dot: keys . query; general: keys . W query; concat: v . tanh(W [query; keys])"},
    {0}};

/* keys_s . query: [B,K], [B,S,K] -> [B,S] */
static fv_value *product(fv_graph *g, fv_value *query, fv_value *keys) {
  int64_t b = fv_dim(keys, 0), s = fv_dim(keys, 1), k = fv_dim(keys, 2);
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, fv_reshape(g, query, FV_SHAPE(b, 1, k)), keys);
  return fv_reshape(g, score, FV_SHAPE(b, s));
}

/* v . tanh(W [query; keys_s]): W's first columns meet the query once, the others each key. */
static fv_value *joined(fv_graph *g, fv_value *query, fv_value *keys, fv_value *w, fv_value *v) {
  int64_t q = fv_dim(query, 1), k = fv_dim(keys, 2);
  fv_value *at_query = fv_slice_of(g, w, 1, 0, q), *at_keys = fv_slice_of(g, w, 1, q, k);
  return fv_additive_score(g, keys, at_keys, NULL, fv_project(g, query, at_query, NULL), v);
}

/* W is [K,Q] or [A,Q+K]: what the texts of the row leave open. */
static bool shapes_fit(fv_graph *g, int64_t score, int64_t q, int64_t k, const fv_value *w, const fv_value *v) {
  fv_status status = FV_OK;
  if (score == DOT && q != k)
    status = FV_FAIL(FV_ERR_REQUEST, "luong: query: expected keys' width %lld, got %lld", (long long)k, (long long)q);
  else if (score != DOT && !fv_given(g, w))
    status = FV_FAIL(FV_ERR_REQUEST, "luong: W: expected a value with score %s, got none", scores[score]);
  else if (score == GENERAL && (fv_dim(w, 0) != k || fv_dim(w, 1) != q))
    status = FV_FAIL(FV_ERR_REQUEST, "luong: W: expected [K,Q] = [%lld,%lld], got %s", (long long)k, (long long)q,
                     fv_shape_text(fv_value_shape(w)));
  else if (score == CONCAT && (!fv_given(g, v) || fv_dim(w, 0) != fv_dim(v, 0) || fv_dim(w, 1) != q + k))
    status =
        FV_FAIL(FV_ERR_REQUEST, "luong: W, v: expected [A,Q+K] = [A,%lld] and [A], got %s and %s", (long long)(q + k),
                fv_shape_text(fv_value_shape(w)), fv_given(g, v) ? fv_shape_text(fv_value_shape(v)) : "none");
  if (status != FV_OK) (void)fv_graph_fail(g, status);
  return status == FV_OK;
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  int64_t score = ((const luong_attrs *)attrs)->score;
  fv_value *query = in[0], *keys = in[1], *e;
  if (!shapes_fit(g, score, fv_dim(query, 1), fv_dim(keys, 2), par[0], par[1])) return;
  if (score == CONCAT) e = joined(g, query, keys, par[0], par[1]);
  else e = product(g, score == GENERAL ? fv_project(g, query, par[0], NULL) : query, keys);
  out[1] = fv_softmax_last(g, e, in[2]);
  out[0] = fv_weigh(g, out[1], keys);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=3 S=6 Q=5 K=5", .attrs = "score=dot", .absent = "W v"},
    {.sizes = "B=2 S=1 Q=1 K=1", .attrs = "score=dot", .absent = "W v mask"},
    {.sizes = "B=3 S=7 Q=3 K=5 X=5 Y=3", .attrs = "score=general", .absent = "v mask"},
    {.sizes = "B=4 S=5 Q=4 K=2 X=2 Y=4", .attrs = "score=general", .absent = "v"},
    {.sizes = "B=3 S=6 Q=3 K=4 X=5 Y=7 A=5", .attrs = "score=concat"},
    {.sizes = "B=2 S=1 Q=2 K=1 X=1 Y=3 A=1", .attrs = "score=concat", .absent = "mask"}, {0}};

extern const fv_attention_def fv_attention_luong;
const fv_attention_def fv_attention_luong = {
    .name = "luong",
    .doc = "multiplicative attention: alpha = softmax_S(score(query, keys_s)), y = sum_s alpha_s keys_s",
    .paper = "Luong et al. 2015, Effective Approaches to Attention-based Neural Machine Translation, arXiv:1508.04025",
    .attrs_size = sizeof(luong_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"query [B,Q]", "keys [B,S,K]", "mask? [B,S] u8", NULL},
    .params = (const char *const[]){"W? [X,Y]", "v? [A]", NULL},
    .outputs = (const char *const[]){"y [B,K]", "alpha [B,S]", NULL},
    .build = build,
    .cases = cases};
