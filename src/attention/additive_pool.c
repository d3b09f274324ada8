/* SPDX-License-Identifier: Apache-2.0 */
/* additive_pool: soft attention pooling. Each token is scored against a learned context; the softmax of the scores
 * weighs their mean. The word attention of Yang et al., NAACL 2016. */
#include "attention/compose.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  out[1] = fv_softmax_last(g, fv_pool_score(g, in[0], par), in[1]);
  out[0] = fv_weigh(g, out[1], in[0]);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=3 T=7 E=5 A=4", .absent = "mask"}, {.sizes = "B=4 T=9 E=3 A=2"}, {.sizes = "B=2 T=1 E=5 A=3"},
    {.sizes = "B=1 T=17 E=1 A=1"}, {.sizes = "B=2 T=0 E=3 A=2"}, {0}};

extern const fv_attention_def fv_attention_additive_pool;
const fv_attention_def fv_attention_additive_pool = {
    .name = "additive_pool",
    .doc = "soft attention pooling: alpha = softmax_T(tanh(x W' + b) v), y = sum_t alpha_t x_t",
    .paper = "Yang et al. 2016, Hierarchical Attention Networks, NAACL",
    .inputs = (const char *const[]){"x [B,T,E]", "mask? [B,T] u8", NULL},
    .params = (const char *const[]){"W [A,E]", "b [A]", "v [A]", NULL},
    .outputs = (const char *const[]){"y [B,E]", "alpha [B,T]", NULL},
    .build = build,
    .cases = cases};

/* W, b, v under the current scope. */
static void declare(fv_graph *g, int64_t e, int64_t width, fv_value *par[3]) {
  const fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM};
  const fv_init context = {.kind = FV_INIT_KAIMING_UNIFORM, .fan_in = width};
  par[0] = fv_param(g, "attention.weight", FV_SHAPE(width, e), kaiming, FV_GROUP_DECAY);
  par[1] = fv_param(g, "attention.bias", FV_SHAPE(width), (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_NO_DECAY);
  par[2] = fv_param(g, "context", FV_SHAPE(width), context, FV_GROUP_DECAY);
}

fv_value *fv_additive_pool_layer(fv_graph *g, fv_value *x, fv_value *mask, const char *name, int64_t width) {
  fv_value *par[3], *out[2];
  fv_scope_push(g, "%s", name);
  declare(g, fv_dim(x, 2), width, par);
  build(g, NULL, (fv_value *[]){x, mask ? mask : fv_absent(g)}, par, out);
  fv_tap(g, "alpha", FV_TAP_POOLING, out[1]);
  fv_scope_pop(g);
  return out[0];
}

fv_value *fv_grouped_pool_layer(fv_graph *g, fv_value *x, fv_value *mask, const char *name, int64_t width,
                                fv_value **alpha) {
  const fv_shape groups = fv_value_shape(mask);
  fv_value *par[3];
  *alpha = NULL;
  if (!x || !mask) return NULL;
  fv_scope_push(g, "%s", name);
  declare(g, fv_dim(x, 2), width, par);
  fv_value *score = fv_reshape(g, fv_pool_score(g, x, par), FV_SHAPE(groups.dim[0], 1, groups.dim[2]));
  *alpha = fv_softmax_last(g, fv_repeat(g, score, groups), mask);
  fv_scope_pop(g);
  return fv_op(g, "matmul", NULL, *alpha, x);
}
