/* SPDX-License-Identifier: Apache-2.0 */
/* gelu_grad.c: the gradient of gelu from its input. Exact: dy (Phi(x) + x phi(x)); tanh form: with t = tanh(u),
 * dy ((1 + t) / 2 + x (1 - t^2) u' / 2). */
#include "ops/gelu.h"
#include "ops/elementwise.h"

#include <math.h>

static double by_erf(double x) {
  double density = exp(-0.5 * x * x) * M_2_SQRTPI * M_SQRT1_2 * 0.5;
  return 0.5 * erfc(-x * M_SQRT1_2) + x * density;
}

static double by_tanh(double x) {
  double t = tanh(FV_GELU_SCALE * (x + FV_GELU_CUBIC * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * FV_GELU_SCALE * (1 + 3 * FV_GELU_CUBIC * x * x);
}

static double scalar(const void *attrs, const double *x) {
  const fv_gelu_attrs *a = attrs;
  return x[0] * (a->approximate == FV_GELU_TANH ? by_tanh(x[1]) : by_erf(x[1]));
}

static const fv_case cases[] = {
  FV_BINARY_CASES("", "@-4..4"), {.in = "37; 37@-4..4", .attrs = "approximate=tanh"},
  {0}};

const fv_op_def fv_op_gelu_grad = {
  .name = "gelu_grad",
  .doc = "dy (Phi(x) + x phi(x)), or the derivative of the tanh form; operands dy, x",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_gelu_attrs),
  .attrs = fv_gelu_options,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
