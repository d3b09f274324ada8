/* SPDX-License-Identifier: Apache-2.0 */
/* batch_norm_grad: with z = dy (zeroed where relu gave 0), h = (x - mean) / sqrt(var + eps), M rows:
 *   dbeta = sum z, dgamma = sum z h, dx = gamma / sqrt(var + eps) (z - dbeta / M - h dgamma / M).
 * z itself is the gradient of the residual: an output on request, since the kernel has it in hand. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const char *const acts[] = {"none", "relu", NULL};
static const fv_option attrs[] = {
    FV_EPS_OPTION(fv_batch_norm_grad_attrs, "1e-05"),
    {"act", FV_OPT_ENUM, offsetof(fv_batch_norm_grad_attrs, act), "none", 0, 0, acts, "what followed"},
    {"dz", FV_OPT_BOOL, offsetof(fv_batch_norm_grad_attrs, dz), "false", 0, 0, NULL,
     "also the gradient before the activation"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_batch_norm_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "input: expected [..., C], got %s", fv_shape_text(s));
  FV_INFER_REQUIRE(c, fv_shape_before(s, s.ndim - 1) > 0, "input: expected at least one row, got %s", fv_shape_text(s));
  FV_TRY(fv_infer_shape(c, 1, "dy", s));
  FV_TRY(fv_infer_channels(c, 2, "mean"));
  FV_TRY(fv_infer_channels(c, 3, "var"));
  FV_TRY(fv_infer_channels(c, 4, "gamma"));
  FV_TRY(fv_infer_shape(c, 5, "y", s));
  FV_INFER_REQUIRE(c, a->act == FV_BATCH_NORM_NONE || fv_has_in(c, 5), "y: expected the result for act=relu, got none");
  c->n_out = a->dz ? 4 : 3;
  for (int i = 0; i < c->n_out; i++) {
    c->dtype[i] = c->dtype[0];
    c->shape[i] = i == 0 || i == 3 ? s : FV_SHAPE(s.dim[s.ndim - 1]);
  }
  return FV_OK;
}

static double z_at(const fv_call *c, int64_t i) {
  const fv_batch_norm_grad_attrs *a = c->attrs;
  return a->act == FV_BATCH_NORM_RELU && !(fv_get(&c->in[5], i) > 0) ? 0 : fv_get(&c->in[1], i);
}

static void channel(const fv_call *c, int64_t k, fv_lines l) {
  const fv_batch_norm_grad_attrs *a = c->attrs;
  double mean = fv_get(&c->in[2], k), rstd = 1 / sqrt(fv_get(&c->in[3], k) + a->eps), dbeta = 0, dgamma = 0;
  for (int64_t r = 0; r < l.outer; r++) {
    double z = z_at(c, r * l.n + k);
    dbeta += z;
    dgamma += z * (fv_get(&c->in[0], r * l.n + k) - mean) * rstd;
  }
  double scale = fv_get(&c->in[4], k) * rstd, m = (double)l.outer;
  for (int64_t r = 0; r < l.outer; r++) {
    int64_t i = r * l.n + k;
    double z = z_at(c, i), h = (fv_get(&c->in[0], i) - mean) * rstd;
    if (a->dz) fv_set(&c->out[3], i, z);
    fv_set(&c->out[0], i, scale * (z - dbeta / m - h * dgamma / m));
  }
  fv_set(&c->out[1], k, dgamma);
  fv_set(&c->out[2], k, dbeta);
}

static void ref(const fv_call *c) {
  fv_lines l = fv_lines_last(c->in[0].shape);
  for (int64_t k = 0; k < l.n; k++) channel(c, k, l);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 10); }

#define IN(rows, ch) rows "," ch "; " rows "," ch "; " ch "@-0.1..0.1; " ch "@0.1..1; " ch
/* Sums of either sign, at times near zero: their error is relative to their terms. */
#define CASE(rows, ch, attrs_) {.in = IN(rows, ch), .attrs = attrs_, .tolerance = 2e-5}
#define CASE_Y(rows, ch, attrs_) {.in = IN(rows, ch) "; " rows "," ch, .attrs = attrs_, .tolerance = 2e-5}
static const fv_case cases[] = {
    CASE("1", "1", ""), CASE("5", "3", ""), CASE("17", "4", ""), CASE("7", "5", ""), CASE("31", "7", ""),
    CASE("33", "8", ""), CASE("5", "9", ""), CASE("129", "15", ""), CASE("67", "16", ""), CASE("3,5,7", "17", ""),
    CASE("2,5,5", "32", ""), CASE("2,31", "31", ""), CASE("41", "33", ""), CASE("9", "64", ""), CASE("13", "131", ""),
    CASE("3", "517", ""), CASE("1009", "1", ""), CASE("1", "0", ""), CASE("37", "24", "eps=0.1"),
    CASE("37", "24", "dz=true"), CASE_Y("2,5,5", "32", "act=relu"), CASE_Y("33", "19", "act=relu"),
    CASE_Y("2,5,5", "32", "act=relu dz=true"), CASE_Y("29", "3", "act=relu dz=true"),
    CASE_Y("70", "67", "act=relu dz=true"), CASE_Y("517", "32", "act=relu dz=true"),
    {0}};

const fv_op_def fv_op_batch_norm_grad = {
    .name = "batch_norm_grad",
    .doc = "gradient of batch_norm; inputs x, dy, mean, var, gamma, y (for relu); outputs dx, dgamma, dbeta[, dz]",
    .n_in = 5,
    .n_in_max = 6,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_batch_norm_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
