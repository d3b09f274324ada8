/* SPDX-License-Identifier: Apache-2.0 */
/* se: squeeze and excitation. A two-layer net on the means over all places tells how much each channel matters. Hu,
 * Shen, Sun, CVPR 2018. */
#include "attention/compose.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  fv_value *squeezed = fv_reduce(g, "mean", in[0], FV_SHAPE(1, 2), false);
  fv_value *hidden = fv_relu(g, fv_project(g, squeezed, par[0], par[1]));
  out[1] = fv_op(g, "sigmoid", NULL, fv_project(g, hidden, par[2], par[3]));
  out[0] = fv_gate_channels(g, in[0], out[1]);
}

static const fv_attention_case cases[] = {
    {.sizes = "N=2 H=4 W=5 C=6 R=3"}, {.sizes = "N=1 H=1 W=1 C=1 R=1"}, {.sizes = "N=3 H=7 W=2 C=5 R=2"},
    {.sizes = "N=0 H=2 W=2 C=3 R=2"}, {0}};

extern const fv_attention_def fv_attention_se;
const fv_attention_def fv_attention_se = {
    .name = "se",
    .doc = "squeeze and excitation: y = x * g, g = sigmoid(W2 relu(W1 mean_HW x + b1) + b2)",
    .paper = "Hu et al. 2018, Squeeze-and-Excitation Networks, arXiv:1709.01507",
    .inputs = (const char *const[]){"x [N,H,W,C]", NULL},
    .params = (const char *const[]){"W1 [R,C]", "b1 [R]", "W2 [C,R]", "b2 [C]", NULL},
    .outputs = (const char *const[]){"y [N,H,W,C]", "gate [N,C]", NULL},
    .build = build,
    .cases = cases};
