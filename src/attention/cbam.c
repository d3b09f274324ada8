/* SPDX-License-Identifier: Apache-2.0 */
/* cbam: convolutional block attention module. Which channels matter (a shared two-layer net on mean and maximum over
 * places), then which places (a convolution on mean and maximum over channels). Woo, Park, Lee, Kweon, ECCV 2018. */
#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/conv2d.h"

static fv_value *mlp(fv_graph *g, fv_value *x, fv_value *const *par) {
  return fv_op(g, "linear", NULL, fv_relu(g, fv_op(g, "linear", NULL, x, par[0], par[1])), par[2], par[3]);
}

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  fv_value *x = in[0];
  int64_t n = fv_dim(x, 0), h = fv_dim(x, 1), w = fv_dim(x, 2), k = fv_dim(par[4], 2);
  FV_BUILD_REQUIRE(g, k % 2 == 1, "cbam: conv: expected an odd window, got %s", fv_shape_text(fv_value_shape(par[4])));
  fv_value *mean = mlp(g, fv_reduce(g, "mean", x, FV_SHAPE(1, 2), false), par);
  fv_value *most = mlp(g, fv_reduce(g, "amax", x, FV_SHAPE(1, 2), false), par);
  out[1] = fv_op(g, "sigmoid", NULL, fv_add(g, mean, most));
  fv_value *scaled = fv_gate_channels(g, x, out[1]);
  fv_value *both = fv_op(g, "concat", &(fv_concat_attrs){.axis = 3}, fv_reduce(g, "mean", scaled, FV_SHAPE(3), true),
                         fv_reduce(g, "amax", scaled, FV_SHAPE(3), true));
  fv_conv2d_attrs same = {.window = {.stride = {1, {1}}, .pad = {1, {k / 2}}, .dilation = {1, {1}}, .groups = 1}};
  fv_value *gate = fv_op(g, "sigmoid", NULL, fv_op(g, "conv2d", &same, both, par[4], par[5]));
  out[2] = fv_reshape(g, gate, FV_SHAPE(n, h, w));
  out[0] = fv_mul(g, scaled, gate);
}

static const fv_attention_case cases[] = {{.sizes = "N=2 H=4 W=5 C=6 R=3 K=3"},
                                          {.sizes = "N=1 H=1 W=1 C=1 R=1 K=7"},
                                          {.sizes = "N=3 H=2 W=3 C=5 R=4 K=1"},
                                          {0}};

extern const fv_attention_def fv_attention_cbam;
const fv_attention_def fv_attention_cbam = {
    .name = "cbam",
    .doc = "channel then spatial attention on images: y = x * g * s, g = sigmoid(mlp(mean_HW x) + mlp(max_HW x)), "
           "s = sigmoid(conv[mean_C, max_C])",
    .paper = "Woo et al. 2018, CBAM, arXiv:1807.06521",
    .inputs = (const char *const[]){"x [N,H,W,C]", NULL},
    .params = (const char *const[]){"W1 [R,C]", "b1 [R]", "W2 [C,R]", "b2 [C]", "conv [1,2,K,K]", "bc [1]", NULL},
    .outputs = (const char *const[]){"y [N,H,W,C]", "channel [N,C]", "spatial [N,H,W]", NULL},
    .build = build,
    .cases = cases};

fv_value *fv_cbam_layer(fv_graph *g, fv_value *x, const char *name, int64_t reduction, int64_t kernel) {
  int64_t c = fv_dim(x, 3), r = FV_MAX(c / FV_MAX(reduction, 1), 4);
  fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM}, zeros = {.kind = FV_INIT_ZEROS};
  fv_scope_push(g, "%s", name);
  fv_value *par[] = {fv_param(g, "mlp.0.weight", FV_SHAPE(r, c), kaiming, FV_GROUP_DECAY),
                     fv_param(g, "mlp.0.bias", FV_SHAPE(r), zeros, FV_GROUP_NO_DECAY),
                     fv_param(g, "mlp.2.weight", FV_SHAPE(c, r), kaiming, FV_GROUP_DECAY),
                     fv_param(g, "mlp.2.bias", FV_SHAPE(c), zeros, FV_GROUP_NO_DECAY),
                     fv_param(g, "conv.weight", FV_SHAPE(1, 2, kernel, kernel), kaiming, FV_GROUP_DECAY),
                     fv_param(g, "conv.bias", FV_SHAPE(1), zeros, FV_GROUP_NO_DECAY)};
  fv_value *out[3] = {0};
  build(g, NULL, &x, par, out);
  fv_tap(g, "channel", FV_TAP_CHANNEL, out[1]);
  fv_tap(g, "spatial", FV_TAP_SPATIAL, out[2]);
  fv_scope_pop(g);
  return out[0];
}
