/* SPDX-License-Identifier: Apache-2.0 */
/* reinforce: one token is drawn from the attention's distribution and stands for all. The score learns through log p of
 * the draw, which goes into fv_reinforce (nn/nn.h) with a reward: the stochastic attention of Xu et al., ICML 2015,
 * section 4.1, and of Mnih et al., NeurIPS 2014. `hard` is the choice without a draw. */
#include "attention/compose.h"
#include "ops/one_hot.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  int64_t t = fv_dim(in[0], 1);
  fv_choice choice = fv_choose(g, fv_pool_score(g, in[0], par), in[1], in[2]);
  fv_value *hot = fv_op(g, "one_hot", &(fv_one_hot_attrs){.classes = FV_MAX(t, 1)}, choice.index);
  out[1] = t > 0 ? hot : fv_reshape(g, in[1], FV_SHAPE(fv_dim(in[0], 0), 0));
  out[0] = fv_weigh(g, out[1], in[0]);
  out[2] = choice.log_p;
  out[3] = choice.entropy;
}

static const fv_attention_case cases[] = {{.sizes = "B=4 T=9 E=5 A=3", .absent = "mask"},
                                          {.sizes = "B=4 T=7 E=4 A=3"},
                                          {.sizes = "B=3 T=1 E=2 A=2"},
                                          {.sizes = "B=2 T=0 E=2 A=2"},
                                          {0}};

extern const fv_attention_def fv_attention_reinforce;
const fv_attention_def fv_attention_reinforce = {
    .name = "reinforce",
    .doc = "stochastic hard attention: alpha = onehot(t), t drawn from p = softmax_T(e) by Gumbel noise, y = x_t; log "
           "p_t and the entropy of p go into the REINFORCE loss with a baseline; e as additive_pool",
    .paper = "Williams 1992, Machine Learning 8; Xu et al. 2015, Show, Attend and Tell, arXiv:1502.03044",
    .inputs = (const char *const[]){"x [B,T,E]", "noise [B,T]", "mask? [B,T] u8", NULL},
    .params = (const char *const[]){"W [A,E]", "b [A]", "v [A]", NULL},
    .outputs = (const char *const[]){"y [B,E]", "alpha [B,T]", "log_p [B]", "entropy [B]", NULL},
    .build = build,
    .cases = cases};
