/* SPDX-License-Identifier: Apache-2.0 */
/* target: how much each thing of a history matters for one candidate, by a small net on both. The weights are no
 * softmax, so that their sum tells the strength of the interest. Zhou et al., KDD 2018 (Deep Interest Network),
 * section 4.3. */
#include "attention/compose.h"
#include "ops/concat.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  fv_value *history = in[0], *mask = in[2];
  int64_t b = fv_dim(history, 0), t = fv_dim(history, 1), e = fv_dim(history, 2);
  fv_value *target = fv_repeat(g, fv_reshape(g, in[1], FV_SHAPE(b, 1, e)), FV_SHAPE(b, t, e));
  fv_value *z = fv_op(g, "concat", &(fv_concat_attrs){.axis = 2}, history, target,
                      fv_op(g, "sub", NULL, history, target), fv_mul(g, history, target));
  fv_value *hidden = fv_op(g, "sigmoid", NULL, fv_project(g, z, par[0], par[1]));
  fv_value *alpha = fv_reshape(g, fv_project(g, hidden, par[2], par[3]), FV_SHAPE(b, t));
  out[1] = fv_given(g, mask) ? fv_op(g, "where", NULL, mask, alpha, fv_const(g, 0)) : alpha;
  out[0] = fv_weigh(g, out[1], history);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=3 T=6 E=4 A=5", .absent = "mask"}, {.sizes = "B=4 T=9 E=3 A=2"}, {.sizes = "B=2 T=1 E=1 A=1"},
    {.sizes = "B=2 T=0 E=2 A=3"}, {0}};

extern const fv_attention_def fv_attention_target;
const fv_attention_def fv_attention_target = {
    .name = "target",
    .doc =
        "target attention: a_t = W2 sigmoid(W1 [h_t; target; h_t - target; h_t * target] + b1) + b2, y = sum_t a_t h_t",
    .paper = "Zhou et al. 2018, Deep Interest Network, arXiv:1706.06978",
    .inputs = (const char *const[]){"history [B,T,E]", "target [B,E]", "mask? [B,T] u8", NULL},
    .params = (const char *const[]){"W1 [A,4*E]", "b1 [A]", "W2 [1,A]", "b2 [1]", NULL},
    .outputs = (const char *const[]){"y [B,E]", "alpha [B,T]", NULL},
    .build = build,
    .cases = cases};

fv_value *fv_target_layer(fv_graph *g, fv_value *history, fv_value *target, fv_value *mask, const char *name,
                          int64_t width) {
  const fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM}, zeros = {.kind = FV_INIT_ZEROS};
  const fv_init one = {.kind = FV_INIT_CONSTANT, .a = 1};
  fv_value *out[2];
  fv_scope_push(g, "%s", name);
  fv_value *par[] = {fv_param(g, "0.weight", FV_SHAPE(width, 4 * fv_dim(history, 2)), kaiming, FV_GROUP_DECAY),
                     fv_param(g, "0.bias", FV_SHAPE(width), zeros, FV_GROUP_NO_DECAY),
                     fv_param(g, "2.weight", FV_SHAPE(1, width), kaiming, FV_GROUP_DECAY),
                     fv_param(g, "2.bias", FV_SHAPE(1), one, FV_GROUP_NO_DECAY)};
  build(g, NULL, (fv_value *[]){history, target, mask ? mask : fv_absent(g)}, par, out);
  fv_tap(g, "alpha", FV_TAP_HISTORY, out[1]);
  fv_scope_pop(g);
  return out[0];
}
