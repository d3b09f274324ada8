/* SPDX-License-Identifier: Apache-2.0 */
/* additive_pool: soft attention pooling. Each token is scored against a learned context; the softmax of the scores weighs
 * their mean. The word attention of Yang et al., NAACL 2016. */
#include "attention/attention.h"
#include "ops/softmax.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  fv_value *x = in[0], *mask = in[1];
  int64_t b = fv_dim(x, 0), t = fv_dim(x, 1), e = fv_dim(x, 2), a = fv_dim(par[0], 0);
  fv_value *hidden = fv_op(g, "tanh", NULL, fv_op(g, "linear", NULL, x, par[0], par[1]));
  fv_value *score = fv_op(g, "linear", NULL, hidden, fv_reshape(g, par[2], FV_SHAPE(1, a)));
  fv_softmax_attrs last = {.axis = -1};
  out[1] = fv_op(g, "softmax", &last, fv_reshape(g, score, FV_SHAPE(b, t)), mask);
  out[0] = fv_reshape(g, fv_op(g, "matmul", NULL, fv_reshape(g, out[1], FV_SHAPE(b, 1, t)), x), FV_SHAPE(b, e));
}

extern const fv_attention_def fv_attention_additive_pool;
const fv_attention_def fv_attention_additive_pool = {
    .name = "additive_pool",
    .doc = "soft attention pooling: alpha = softmax_T(tanh(x W' + b) v), y = sum_t alpha_t x_t",
    .paper = "Yang et al. 2016, Hierarchical Attention Networks, NAACL",
    .inputs = (const char *const[]){"x", "mask?", NULL},
    .params = (const char *const[]){"W", "b", "v", NULL},
    .outputs = (const char *const[]){"y", "alpha", NULL},
    .build = build};

fv_value *fv_additive_pool_layer(fv_graph *g, fv_value *x, const char *name, int64_t width) {
  int64_t e = fv_dim(x, 2);
  fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM};
  fv_scope_push(g, "%s", name);
  fv_value *par[] = {fv_param(g, "attention.weight", FV_SHAPE(width, e), kaiming, FV_GROUP_DECAY),
                     fv_param(g, "attention.bias", FV_SHAPE(width), (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_NO_DECAY),
                     fv_param(g, "context", FV_SHAPE(width), (fv_init){.kind = FV_INIT_KAIMING_UNIFORM, .fan_in = width},
                              FV_GROUP_DECAY)};
  fv_value *out[2];
  build(g, NULL, (fv_value *[]){x, fv_absent(g)}, par, out);
  fv_tap(g, "alpha", FV_TAP_POOLING, out[1]);
  fv_scope_pop(g);
  return out[0];
}
