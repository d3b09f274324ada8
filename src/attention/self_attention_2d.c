/* SPDX-License-Identifier: Apache-2.0 */
/* self_attention_2d: every place of an image attends to every other; a learned factor, at first zero, lets the result
 * in. Zhang et al., ICML 2019 (SAGAN), section 3. */
#include "attention/compose.h"
#include "ops/matmul.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  int64_t n = fv_dim(in[0], 0), c = fv_dim(in[0], 3);
  fv_value *x = fv_reshape(g, in[0], FV_SHAPE(n, fv_dim(in[0], 1) * fv_dim(in[0], 2), c));
  fv_value *keys = fv_project(g, x, par[0], NULL), *queries = fv_project(g, x, par[1], NULL);
  out[1] = fv_softmax_last(g, fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, queries, keys), NULL);
  fv_value *seen = fv_op(g, "matmul", NULL, out[1], fv_project(g, x, par[2], NULL));
  fv_value *y = fv_add(g, fv_mul(g, fv_project(g, seen, par[3], NULL), par[4]), x);
  out[0] = fv_reshape(g, y, fv_value_shape(in[0]));
}

static const fv_attention_case cases[] = {
    {.sizes = "N=2 H=3 W=4 C=5 R=2 R2=3 L=12"}, {.sizes = "N=1 H=1 W=1 C=1 R=1 R2=1 L=1"},
    {.sizes = "N=2 H=7 W=1 C=3 R=4 R2=1 L=7"}, {0}};

extern const fv_attention_def fv_attention_self_attention_2d;
const fv_attention_def fv_attention_self_attention_2d = {
    .name = "self_attention_2d",
    .doc = "self-attention over positions: y = gamma Wv sum_i softmax_i(g_j . f_i) Wh x_i + x, f = Wf x, g = Wg x",
    .paper = "Zhang et al. 2019, Self-Attention Generative Adversarial Networks, arXiv:1805.08318",
    .inputs = (const char *const[]){"x [N,H,W,C]", NULL},
    .params = (const char *const[]){"Wf [R,C]", "Wg [R,C]", "Wh [R2,C]", "Wv [C,R2]", "gamma [1]", NULL},
    .outputs = (const char *const[]){"y [N,H,W,C]", "weights [N,L,L]", NULL},
    .build = build,
    .cases = cases};
