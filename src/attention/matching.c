/* SPDX-License-Identifier: Apache-2.0 */
/* matching: a query's class is read off a labelled support set, each of its examples weighed by the softmax of its
 * cosine to the query. Vinyals et al., NeurIPS 2016 (matching networks), eq. 1. A label that is no class gives its
 * weight to none. */
#include "attention/compose.h"
#include "ops/matmul.h"
#include "ops/one_hot.h"

typedef fv_matching_attrs matching_attrs;

static const fv_option attrs_table[] = {
    {.name = "ways", .type = FV_OPT_INT, .offset = offsetof(matching_attrs, ways), .def = "5", .min = 1, .max = 65536,
     .doc = "number of classes; labels are 0 to ways - 1"},
    {.name = "scale", .type = FV_OPT_REAL, .offset = offsetof(matching_attrs, scale), .def = "1", .min = 0, .max = 1000,
     .doc = "of the cosines before the softmax: more of it is more decided"},
    {0}};

static fv_value *squared_norm(fv_graph *g, fv_value *x) {
  return fv_reduce(g, "sum", fv_op(g, "square", NULL, x), FV_SHAPE(2), false);
}

/* q . s / max(|q| |s|, 1e-8). The limit is put under the root, whose slope is then finite for a vector of zeros too. */
static fv_value *cosine(fv_graph *g, fv_value *query, fv_value *support) {
  int64_t b = fv_dim(query, 0), q = fv_dim(query, 1), s = fv_dim(support, 1);
  fv_value *norms = fv_mul(g, fv_reshape(g, squared_norm(g, query), FV_SHAPE(b, q, 1)),
                           fv_reshape(g, squared_norm(g, support), FV_SHAPE(b, 1, s)));
  norms = fv_op(g, "sqrt", NULL, fv_op(g, "maximum", NULL, norms, fv_const(g, 1e-16)));
  return fv_op(g, "div", NULL, fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, query, support), norms);
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)par;
  const matching_attrs *a = attrs;
  if (!fv_const_within(g, "matching", "labels", in[2], 0, a->ways - 1)) return;
  fv_value *score = cosine(g, in[0], in[1]);
  if (a->scale != 1) score = fv_mul(g, score, fv_const(g, a->scale));
  out[1] = fv_softmax_last(g, score, NULL);
  out[0] = fv_op(g, "matmul", NULL, out[1], fv_op(g, "one_hot", &(fv_one_hot_attrs){.classes = a->ways}, in[2]));
}

static const fv_attention_case cases[] = {
    {.sizes = "B=2 Q=5 S=10 E=4 X=5"}, {.sizes = "B=1 Q=3 S=7 E=1 X=3", .attrs = "ways=3"},
    {.sizes = "B=3 Q=1 S=1 E=5 X=20", .attrs = "ways=20"},
    {.sizes = "B=2 Q=3 S=9 E=7 X=5", .attrs = "scale=7.5"}, {.sizes = "B=1 Q=2 S=0 E=5 X=5"}, {0}};

extern const fv_attention_def fv_attention_matching;
const fv_attention_def fv_attention_matching = {
    .name = "matching",
    .doc = "attention over a support set: alpha = softmax_S(scale cosine(query, support)), "
           "p = sum_s alpha_s onehot(label_s)",
    .paper = "Vinyals et al. 2016, Matching Networks for One Shot Learning, arXiv:1606.04080",
    .attrs_size = sizeof(matching_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"query [B,Q,E]", "support [B,S,E]", "labels [B,S] i32@0..4", NULL},
    .outputs = (const char *const[]){"p [B,Q,X]", "alpha [B,Q,S]", NULL},
    .build = build,
    .cases = cases};

fv_value *fv_matching_layer(fv_graph *g, fv_value *query, fv_value *support, fv_value *labels, const char *name,
                            const fv_matching_attrs *attrs) {
  fv_value *out[2];
  fv_attention_apply(g, &fv_attention_matching, attrs, (fv_value *[]){query, support, labels}, NULL, out);
  fv_tap(g, name, FV_TAP_SUPPORT, out[1]);
  return out[0];
}
