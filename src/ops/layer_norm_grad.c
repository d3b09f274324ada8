/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm_grad: with h = (x - mean) / sqrt(var + eps) and g = dy weight, each row
 *   dx = (g - mean(g) - h mean(g h)) / sqrt(var + eps); dweight = sum dy h, dbias = sum dy over the rows.
 * The statistics are taken anew: a row lies in the nearest cache, and saving them would cost memory. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const fv_option attrs[] = {FV_EPS_OPTION(fv_layer_norm_grad_attrs, "1e-05"),
                                  FV_AFFINE_OPTION(fv_layer_norm_grad_attrs),
                                  {0}};

static fv_status infer(fv_infer *c) {
  const fv_layer_norm_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "dy"));
  FV_TRY(fv_infer_shape(c, 1, "input", s));
  FV_TRY(fv_infer_channels(c, 2, "weight"));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "dy: expected [..., C], got %s", fv_shape_text(s));
  c->n_out = a->affine ? 3 : 1;
  c->shape[0] = s;
  for (int i = 1; i < c->n_out; i++) {
    c->dtype[i] = c->dtype[0];
    c->shape[i] = FV_SHAPE(s.dim[s.ndim - 1]);
  }
  return FV_OK;
}

typedef struct row_stats {
  double mean, rstd, g, gh; /* means of g and g h */
} row_stats;

static double weight_at(const fv_call *c, int64_t k) {
  return c->n_in > 2 && c->in[2].data ? fv_get(&c->in[2], k) : 1;
}

static row_stats stats_of(const fv_call *c, int64_t at, int64_t n) {
  row_stats s = {0};
  double var = 0, len = (double)n;
  for (int64_t k = 0; k < n; k++) s.mean += fv_get(&c->in[1], at + k) / len;
  for (int64_t k = 0; k < n; k++) var += pow(fv_get(&c->in[1], at + k) - s.mean, 2) / len;
  s.rstd = 1 / sqrt(var + ((const fv_layer_norm_grad_attrs *)c->attrs)->eps);
  for (int64_t k = 0; k < n; k++) {
    double g = fv_get(&c->in[0], at + k) * weight_at(c, k), h = (fv_get(&c->in[1], at + k) - s.mean) * s.rstd;
    s.g += g / len;
    s.gh += g * h / len;
  }
  return s;
}

/* Before dx, which may take dy's place. */
static void affine_grads(const fv_call *c, fv_lines l) {
  for (int64_t k = 0; k < l.n; k++) {
    double dweight = 0, dbias = 0;
    for (int64_t i = 0; i < l.outer; i++) {
      row_stats s = stats_of(c, i * l.n, l.n);
      double dy = fv_get(&c->in[0], i * l.n + k);
      dweight += dy * (fv_get(&c->in[1], i * l.n + k) - s.mean) * s.rstd;
      dbias += dy;
    }
    fv_set(&c->out[1], k, dweight);
    fv_set(&c->out[2], k, dbias);
  }
}

static void ref(const fv_call *c) {
  fv_lines l = fv_lines_last(c->in[0].shape);
  if (c->n_out > 1) affine_grads(c, l);
  for (int64_t i = 0; i < l.outer; i++) {
    row_stats s = stats_of(c, i * l.n, l.n);
    for (int64_t k = 0; k < l.n; k++) {
      double g = fv_get(&c->in[0], i * l.n + k) * weight_at(c, k);
      double h = (fv_get(&c->in[1], i * l.n + k) - s.mean) * s.rstd;
      fv_set(&c->out[0], i * l.n + k, s.rstd * (g - s.g - h * s.gh));
    }
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 16); }

/* Sums of either sign, at times near zero: their error is relative to their terms. */
#define SUMS .tolerance = 2e-5
static const fv_case cases[] = {
    {.in = "3,0; 3,0", SUMS}, {.in = "0,5; 0,5; 5", .attrs = "affine=true", SUMS}, {.in = "3,1; 3,1", SUMS},
    {.in = "3,3; 3,3", SUMS}, {.in = "5,4; 5,4; 4", .attrs = "affine=true", SUMS},
    {.in = "5,7; 5,7; 7", .attrs = "affine=true", SUMS}, {.in = "5,8; 5,8; 8", SUMS},
    {.in = "5,9; 5,9; 9", .attrs = "affine=true", SUMS}, {.in = "3,15; 3,15; 15", SUMS},
    {.in = "3,16; 3,16; 16", .attrs = "affine=true", SUMS}, {.in = "2,3,17; 2,3,17; -", .attrs = "affine=true", SUMS},
    {.in = "67,64; 67,64; 64", .attrs = "affine=true", SUMS},
    {.in = "150,33; 150,33; 33", .attrs = "affine=true", SUMS},
    {.in = "2,1031; 2,1031; 1031", .attrs = "affine=true", SUMS},
    {.in = "13; 13; 13", .attrs = "eps=0.1 affine=true", SUMS},
    {0}};

const fv_op_def fv_op_layer_norm_grad = {
    .name = "layer_norm_grad",
    .doc = "gradient of layer_norm; inputs dy, x, optional weight; outputs dx[, dweight, dbias]",
    .n_in = 2,
    .n_in_max = 3,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_layer_norm_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
