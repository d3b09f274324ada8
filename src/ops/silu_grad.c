/* SPDX-License-Identifier: Apache-2.0 */
/* silu_grad.c: the gradient of silu from its input: with s = sigmoid(x), dy s (1 + x (1 - s)). */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  double s = 1 / (1 + exp(-x[1]));
  return x[0] * s * (1 + x[1] * (1 - s));
}

static const fv_case cases[] = {FV_BINARY_CASES("", "@-6..6"), {0}};

const fv_op_def fv_op_silu_grad = {
  .name = "silu_grad",
  .doc = "dy s (1 + x (1 - s)), s = 1 / (1 + e^-x); operands dy, x",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
