/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm_grad: with r = 1 / sqrt(mean(x^2) + eps), h = x r and g = dy weight, each row
 *   dx = r (g - h mean(g h)); dweight = sum dy h over the rows. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const fv_option attrs[] = {FV_EPS_OPTION(fv_rms_norm_grad_attrs, "1.1920928955078125e-07"),
                                  FV_AFFINE_OPTION(fv_rms_norm_grad_attrs),
                                  {0}};

static fv_status infer(fv_infer *c) {
  const fv_rms_norm_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "dy"));
  FV_TRY(fv_infer_shape(c, 1, "input", s));
  FV_TRY(fv_infer_channels(c, 2, "weight"));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "dy: expected [..., C], got %s", fv_shape_text(s));
  c->n_out = a->affine ? 2 : 1;
  c->dtype[1] = c->dtype[0];
  c->shape[0] = s;
  c->shape[1] = FV_SHAPE(s.dim[s.ndim - 1]);
  return FV_OK;
}

static double scale_of(const fv_call *c, int64_t at, int64_t n) {
  double square = 0;
  for (int64_t k = 0; k < n; k++) square += pow(fv_get(&c->in[1], at + k), 2) / (double)n;
  return 1 / sqrt(square + ((const fv_rms_norm_grad_attrs *)c->attrs)->eps);
}

static double g_at(const fv_call *c, int64_t at, int64_t k) {
  return fv_get(&c->in[0], at + k) * (c->n_in > 2 && c->in[2].data ? fv_get(&c->in[2], k) : 1);
}

/* Before dx, which may take dy's place. */
static void weight_grad(const fv_call *c, fv_lines l) {
  for (int64_t k = 0; k < l.n; k++) {
    double sum = 0;
    for (int64_t i = 0; i < l.outer; i++)
      sum += fv_get(&c->in[0], i * l.n + k) * fv_get(&c->in[1], i * l.n + k) * scale_of(c, i * l.n, l.n);
    fv_set(&c->out[1], k, sum);
  }
}

static void ref(const fv_call *c) {
  fv_lines l = fv_lines_last(c->in[0].shape);
  if (c->n_out > 1) weight_grad(c, l);
  for (int64_t i = 0; i < l.outer; i++) {
    double r = scale_of(c, i * l.n, l.n), gh = 0;
    for (int64_t k = 0; k < l.n; k++) gh += g_at(c, i * l.n, k) * fv_get(&c->in[1], i * l.n + k) * r / (double)l.n;
    for (int64_t k = 0; k < l.n; k++)
      fv_set(&c->out[0], i * l.n + k, r * (g_at(c, i * l.n, k) - fv_get(&c->in[1], i * l.n + k) * r * gh));
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 10); }

/* Sums of either sign, at times near zero: their error is relative to their terms. */
#define SUMS .tolerance = 2e-5
static const fv_case cases[] = {
    {.in = "3,0; 3,0", SUMS}, {.in = "0,5; 0,5; 5", .attrs = "affine=true", SUMS},
    {.in = "3,1; 3,1", .attrs = "eps=0.5", SUMS}, {.in = "3,3; 3,3", SUMS},
    {.in = "5,4; 5,4; 4", .attrs = "affine=true", SUMS}, {.in = "5,7; 5,7; 7", .attrs = "affine=true", SUMS},
    {.in = "5,8; 5,8; 8", SUMS}, {.in = "5,9; 5,9; 9", .attrs = "affine=true", SUMS}, {.in = "3,15; 3,15; 15", SUMS},
    {.in = "3,16; 3,16; 16", .attrs = "affine=true", SUMS}, {.in = "2,3,17; 2,3,17; -", .attrs = "affine=true", SUMS},
    {.in = "67,64; 67,64; 64", .attrs = "affine=true", SUMS},
    {.in = "150,33; 150,33; 33", .attrs = "affine=true", SUMS},
    {.in = "2,1031; 2,1031; 1031", .attrs = "affine=true", SUMS},
    {.in = "13; 13; 13", .attrs = "eps=0.1 affine=true", SUMS},
    {0}};

const fv_op_def fv_op_rms_norm_grad = {
    .name = "rms_norm_grad",
    .doc = "gradient of rms_norm; inputs dy, x, optional weight; outputs dx[, dweight]",
    .n_in = 2,
    .n_in_max = 3,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_rms_norm_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
