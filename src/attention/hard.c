/* SPDX-License-Identifier: Apache-2.0 */
/* hard: one token is chosen, with the gradient of a soft choice (straight-through Gumbel-softmax). The noise is an
 * input, so that the result is a function of its inputs. Xu et al., ICML 2015; Jang, Gu, Poole, ICLR 2017. */
#include "attention/compose.h"
#include "ops/one_hot.h"

typedef struct hard_attrs {
  double tau;
} hard_attrs;

static const fv_option attrs_table[] = {
    {.name = "tau", .type = FV_OPT_REAL, .offset = offsetof(hard_attrs, tau), .def = "1", .min = 1e-6, .max = 1e6,
     .doc = "temperature: small is close to a choice, large is even"},
    {0}};

/* 1 at the largest of each row, the first of equals; nothing where the mask leaves nothing. */
static fv_value *chosen(fv_graph *g, fv_value *soft, fv_value *mask) {
  fv_value *best = fv_reduce(g, "argmax", soft, FV_SHAPE(1), false);
  fv_value *hot = fv_op(g, "one_hot", &(fv_one_hot_attrs){.classes = fv_dim(soft, 1)}, best);
  return fv_given(g, mask) ? fv_op(g, "where", NULL, mask, hot, fv_const(g, 0)) : hot;
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  const hard_attrs *a = attrs;
  fv_value *score = fv_add(g, fv_pool_score(g, in[0], par), in[1]);
  fv_value *soft = fv_softmax_last(g, fv_op(g, "div", NULL, score, fv_const(g, a->tau)), in[2]);
  fv_value *slope = fv_op(g, "sub", NULL, soft, fv_op(g, "detach", NULL, soft)); /* exactly 0 */
  out[1] = fv_dim(in[0], 1) > 0 ? fv_add(g, chosen(g, soft, in[2]), slope) : soft;
  out[0] = fv_weigh(g, out[1], in[0]);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=4 T=9 E=5 A=3", .attrs = "tau=0.7", .absent = "mask"}, {.sizes = "B=4 T=7 E=4 A=3"},
    {.sizes = "B=3 T=1 E=2 A=2", .attrs = "tau=2"}, {.sizes = "B=2 T=0 E=2 A=2"}, {0}};

extern const fv_attention_def fv_attention_hard;
const fv_attention_def fv_attention_hard = {
    .name = "hard",
    .doc =
        "hard attention: alpha = onehot(argmax p), p = softmax_T((e + noise) / tau), y = sum_t alpha_t x_t; the "
        "gradient is that of p; e as additive_pool",
    .paper = "Xu et al. 2015, Show, Attend and Tell, arXiv:1502.03044; Jang et al. 2017, arXiv:1611.01144",
    .attrs_size = sizeof(hard_attrs),
    .attrs = attrs_table,
    .inputs = (const char *const[]){"x [B,T,E]", "noise [B,T]", "mask? [B,T] u8", NULL},
    .params = (const char *const[]){"W [A,E]", "b [A]", "v [A]", NULL},
    .outputs = (const char *const[]){"y [B,E]", "alpha [B,T]", NULL},
    .no_gradient = "straight-through: the gradient is that of the soft choice",
    .build = build,
    .cases = cases};
