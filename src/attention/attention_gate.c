/* SPDX-License-Identifier: Apache-2.0 */
/* attention_gate: a skip connection is dimmed where the coarser level sees nothing of interest. Oktay et al. 2018
 * (Attention U-Net), eq. 1 and 2. */
#include "attention/compose.h"

static void build(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out) {
  (void)attrs;
  int64_t n = fv_dim(in[0], 0), h = fv_dim(in[0], 1), w = fv_dim(in[0], 2);
  fv_value *both = fv_add(g, fv_project(g, in[0], par[0], NULL), fv_project(g, in[1], par[1], par[2]));
  fv_value *gate = fv_op(g, "sigmoid", NULL, fv_project(g, fv_relu(g, both), par[3], par[4]));
  out[1] = fv_reshape(g, gate, FV_SHAPE(n, h, w));
  out[0] = fv_mul(g, in[0], gate);
}

static const fv_attention_case cases[] = {{.sizes = "N=2 H=3 W=4 C=5 Cg=3 A=4"},
                                          {.sizes = "N=1 H=1 W=1 C=1 Cg=1 A=1"},
                                          {.sizes = "N=1 H=7 W=5 C=2 Cg=9 A=3"},
                                          {0}};

extern const fv_attention_def fv_attention_attention_gate;
const fv_attention_def fv_attention_attention_gate = {
    .name = "attention_gate",
    .doc = "gate of a skip connection: y = x * a, a = sigmoid(psi relu(Wx x + Wg g + b) + bpsi)",
    .paper = "Oktay et al. 2018, Attention U-Net, arXiv:1804.03999",
    .inputs = (const char *const[]){"x [N,H,W,C]", "g [N,H,W,Cg]", NULL},
    .params = (const char *const[]){"Wx [A,C]", "Wg [A,Cg]", "b [A]", "psi [1,A]", "bpsi [1]", NULL},
    .outputs = (const char *const[]){"y [N,H,W,C]", "gate [N,H,W]", NULL},
    .build = build,
    .cases = cases};
