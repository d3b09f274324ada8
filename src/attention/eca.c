/* SPDX-License-Identifier: Apache-2.0 */
/* eca: efficient channel attention. As squeeze and excitation, but the net is one convolution over neighbouring
 * channels. Wang et al., CVPR 2020. */
#include "attention/compose.h"
#include "ops/conv1d.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  int64_t n = fv_dim(in[0], 0), c = fv_dim(in[0], 3), taps = fv_dim(par[0], 2);
  FV_BUILD_REQUIRE(g, taps % 2 == 1, "eca: conv: expected an odd window, got %s",
                   fv_shape_text(fv_value_shape(par[0])));
  fv_value *squeezed = fv_reshape(g, fv_reduce(g, "mean", in[0], FV_SHAPE(1, 2), false), FV_SHAPE(n, c, 1));
  fv_conv1d_attrs same = {.window = {.stride = {1, {1}}, .pad = {1, {taps / 2}}, .dilation = {1, {1}}, .groups = 1}};
  fv_value *score = fv_reshape(g, fv_op(g, "conv1d", &same, squeezed, par[0]), FV_SHAPE(n, c));
  out[1] = fv_op(g, "sigmoid", NULL, score);
  out[0] = fv_gate_channels(g, in[0], out[1]);
}

static const fv_attention_case cases[] = {
    {.sizes = "N=2 H=4 W=5 C=6 K=3"}, {.sizes = "N=1 H=1 W=1 C=1 K=5"}, {.sizes = "N=3 H=2 W=3 C=17 K=1"}, {0}};

extern const fv_attention_def fv_attention_eca;
const fv_attention_def fv_attention_eca = {
    .name = "eca",
    .doc = "efficient channel attention: y = x * g, g = sigmoid(conv(mean_HW x)) over the channels",
    .paper = "Wang et al. 2020, ECA-Net, arXiv:1910.03151",
    .inputs = (const char *const[]){"x [N,H,W,C]", NULL},
    .params = (const char *const[]){"conv [1,1,K]", NULL},
    .outputs = (const char *const[]){"y [N,H,W,C]", "gate [N,C]", NULL},
    .build = build,
    .cases = cases};
