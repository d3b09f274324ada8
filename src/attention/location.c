/* SPDX-License-Identifier: Apache-2.0 */
/* location: location-sensitive attention. Beside query and key the score sees where the last step looked, through a
 * convolution over its weights. Chorowski et al., NeurIPS 2015, eq. 8 and 9. */
#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/conv1d.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  fv_value *query = fv_project(g, in[0], par[0], par[4]);
  int64_t b = fv_dim(in[1], 0), s = fv_dim(in[1], 1), taps = fv_dim(par[3], 2);
  FV_BUILD_REQUIRE(g, taps % 2 == 1, "location: conv: expected an odd window, got %s",
                   fv_shape_text(fv_value_shape(par[3])));
  fv_conv1d_attrs same = {.window = {.stride = {1, {1}}, .pad = {1, {taps / 2}}, .dilation = {1, {1}}, .groups = 1}};
  fv_value *before = fv_op(g, "conv1d", &same, fv_reshape(g, in[2], FV_SHAPE(b, s, 1)), par[3]);
  /* Wk keys + Wf before is one product of both side by side. */
  fv_value *both = fv_op(g, "concat", &(fv_concat_attrs){.axis = 2}, in[1], before);
  fv_value *w = fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, par[1], par[2]);
  out[1] = fv_softmax_last(g, fv_additive_score(g, both, w, NULL, query, par[5]), in[3]);
  out[0] = fv_weigh(g, out[1], in[1]);
}

static const fv_attention_case cases[] = {
    {.sizes = "B=3 S=9 Q=5 K=4 A=3 F=2 L=5", .absent = "mask"}, {.sizes = "B=4 S=6 Q=3 K=5 A=4 F=3 L=7"},
    {.sizes = "B=2 S=1 Q=2 K=3 A=2 F=1 L=1"}, {.sizes = "B=1 S=2 Q=2 K=3 A=2 F=2 L=9", .absent = "mask"}, {0}};

extern const fv_attention_def fv_attention_location;
const fv_attention_def fv_attention_location = {
    .name = "location",
    .doc =
        "location-sensitive attention: alpha = softmax_S(v . tanh(Wq query + Wk keys_s + Wf conv(prev_alpha)_s + b))",
    .paper = "Chorowski et al. 2015, Attention-Based Models for Speech Recognition, arXiv:1506.07503",
    .inputs = (const char *const[]){"query [B,Q]", "keys [B,S,K]", "prev_alpha [B,S]", "mask? [B,S] u8", NULL},
    .params = (const char *const[]){"Wq [A,Q]", "Wk [A,K]", "Wf [A,F]", "conv [F,1,L]", "b [A]", "v [A]", NULL},
    .outputs = (const char *const[]){"y [B,K]", "alpha [B,S]", NULL},
    .build = build,
    .cases = cases};
