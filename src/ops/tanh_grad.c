/* SPDX-License-Identifier: Apache-2.0 */
/* tanh_grad.c: the gradient of tanh from its output. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] * (1 - x[1] * x[1]);
}

static const fv_case cases[] = {FV_BINARY_CASES("", ""), {0}};

const fv_op_def fv_op_tanh_grad = {
  .name = "tanh_grad",
  .doc = "dy (1 - y^2); operands dy, y",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
