/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm (Ba et al. 2016): each row of the last dimension by its own mean and (biased) variance. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const fv_option attrs[] = {FV_EPS_OPTION(fv_layer_norm_attrs, "1e-05"), {0}};

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, c->in[0]->shape.ndim >= 1, "input: expected [..., C], got %s", fv_shape_text(c->in[0]->shape));
  FV_TRY(fv_infer_channels(c, 1, "weight"));
  FV_TRY(fv_infer_channels(c, 2, "bias"));
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_node *n = c->node;
  bool dweight = fv_node_has_in(n, 1) && c->need[1], dbias = fv_node_has_in(n, 2) && c->need[2];
  fv_layer_norm_grad_attrs a = {.eps = ((const fv_layer_norm_attrs *)n->attrs)->eps, .affine = dweight || dbias};
  fv_value *in[] = {c->dout[0], n->in[0], fv_node_has_in(n, 1) ? n->in[1] : fv_absent(c->g)}, *d[3] = {NULL};
  fv_op_n(c->g, "layer_norm_grad", &a, 3, in, a.affine ? 3 : 1, d);
  if (c->need[0]) c->din[0] = d[0];
  if (dweight) c->din[1] = d[1];
  if (dbias) c->din[2] = d[2];
  return FV_OK;
}

static void row(const fv_call *c, int64_t at, int64_t n) {
  const fv_tensor *x = &c->in[0], *w = c->n_in > 1 && c->in[1].data ? &c->in[1] : NULL;
  const fv_tensor *b = c->n_in > 2 && c->in[2].data ? &c->in[2] : NULL;
  double mean = 0, var = 0;
  for (int64_t k = 0; k < n; k++) mean += fv_get(x, at + k) / (double)n;
  for (int64_t k = 0; k < n; k++) var += pow(fv_get(x, at + k) - mean, 2) / (double)n;
  double rstd = 1 / sqrt(var + ((const fv_layer_norm_attrs *)c->attrs)->eps);
  for (int64_t k = 0; k < n; k++)
    fv_set(&c->out[0], at + k, (fv_get(x, at + k) - mean) * rstd * (w ? fv_get(w, k) : 1) + (b ? fv_get(b, k) : 0));
}

static void ref(const fv_call *c) {
  fv_lines l = fv_lines_last(c->in[0].shape);
  for (int64_t i = 0; i < l.outer; i++) row(c, i * l.n, l.n);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 8); }

static const fv_case cases[] = {
    {.in = "3,0"}, {.in = "0,5"}, {.in = "3,1"}, {.in = "3,3"}, {.in = "5,4; 4; 4"}, {.in = "5,5; 5; 5"},
    {.in = "5,7; 7; 7"}, {.in = "5,8; 8; 8"}, {.in = "5,9; 9; 9"}, {.in = "3,15; 15; 15"}, {.in = "3,16; 16; 16"},
    {.in = "2,3,17; 17; 17"}, {.in = "3,31; 31"}, {.in = "3,33; -; 33"}, {.in = "67,64; 64; 64"},
    {.in = "3,131; 131; 131"}, {.in = "2,1031; 1031; 1031"}, {.in = "13@2..3; 13; 13", .attrs = "eps=0.1"},
    {.in = "4,40@100..101; 40; 40", .tolerance = 2e-5, .note = "mean / deviation = 350: x is known to 2^-17 only"},
    {0}};

const fv_op_def fv_op_layer_norm = {
    .name = "layer_norm",
    .doc = "(x - mean) / sqrt(var + eps) * weight + bias over the last dimension; inputs x, optional weight and bias "
           "(Ba et al. 2016)",
    .n_in = 1,
    .n_in_max = 3,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_layer_norm_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
