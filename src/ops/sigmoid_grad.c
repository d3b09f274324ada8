/* SPDX-License-Identifier: Apache-2.0 */
/* sigmoid_grad.c: the gradient of sigmoid from its output. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] * x[1] * (1 - x[1]);
}

static const fv_case cases[] = {FV_BINARY_CASES("", "@0..1"), {0}};

const fv_op_def fv_op_sigmoid_grad = {
  .name = "sigmoid_grad",
  .doc = "dy y (1 - y); operands dy, y",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
