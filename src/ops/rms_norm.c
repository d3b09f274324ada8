/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm (Zhang & Sennrich 2019): each row of the last dimension over its root mean square. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

/* PyTorch's default: the distance of 1 to the next f32. */
static const fv_option attrs[] = {FV_EPS_OPTION(fv_rms_norm_attrs, "1.1920928955078125e-07"), {0}};

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, c->in[0]->shape.ndim >= 1, "input: expected [..., C], got %s", fv_shape_text(c->in[0]->shape));
  FV_TRY(fv_infer_channels(c, 1, "weight"));
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_node *n = c->node;
  bool weighted = fv_node_has_in(n, 1);
  fv_rms_norm_grad_attrs a = {.eps = ((const fv_rms_norm_attrs *)n->attrs)->eps, .affine = weighted && c->need[1]};
  fv_value *in[] = {c->dout[0], n->in[0], weighted ? n->in[1] : fv_absent(c->g)}, *d[2] = {NULL};
  fv_op_n(c->g, "rms_norm_grad", &a, 3, in, a.affine ? 2 : 1, d);
  if (c->need[0]) c->din[0] = d[0];
  if (a.affine) c->din[1] = d[1];
  return FV_OK;
}

static void row(const fv_call *c, int64_t at, int64_t n) {
  const fv_tensor *x = &c->in[0], *w = c->n_in > 1 && c->in[1].data ? &c->in[1] : NULL;
  double square = 0;
  for (int64_t k = 0; k < n; k++) square += pow(fv_get(x, at + k), 2) / (double)n;
  double r = 1 / sqrt(square + ((const fv_rms_norm_attrs *)c->attrs)->eps);
  for (int64_t k = 0; k < n; k++) fv_set(&c->out[0], at + k, fv_get(x, at + k) * r * (w ? fv_get(w, k) : 1));
}

static void ref(const fv_call *c) {
  fv_lines l = fv_lines_last(c->in[0].shape);
  for (int64_t i = 0; i < l.outer; i++) row(c, i * l.n, l.n);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 4); }

static const fv_case cases[] = {
    {.in = "3,0"}, {.in = "0,5"}, {.in = "3,1"}, {.in = "3,3"}, {.in = "5,4; 4"}, {.in = "5,5; 5"}, {.in = "5,7; 7"},
    {.in = "5,8; 8"}, {.in = "5,9; 9"}, {.in = "3,15; 15"}, {.in = "3,16; 16"}, {.in = "2,3,17; 17"}, {.in = "3,31"},
    {.in = "67,64; 64"}, {.in = "2,1031; 1031"}, {.in = "13@2..3; 13", .attrs = "eps=0.1"},
    {0}};

const fv_op_def fv_op_rms_norm = {
    .name = "rms_norm",
    .doc = "x / sqrt(mean(x^2) + eps) * weight over the last dimension; inputs x, optional weight "
           "(Zhang & Sennrich 2019)",
    .n_in = 1,
    .n_in_max = 2,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_rms_norm_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
