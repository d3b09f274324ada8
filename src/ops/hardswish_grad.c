/* SPDX-License-Identifier: Apache-2.0 */
/* hardswish_grad.c: the gradient of hardswish from its input. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  double slope = x[1] < -3 ? 0 : x[1] > 3 ? 1 : (2 * x[1] + 3) / 6;
  return x[0] * slope;
}

static const fv_case cases[] = {FV_BINARY_CASES("", "@-5..5"), {0}};

const fv_op_def fv_op_hardswish_grad = {
  .name = "hardswish_grad",
  .doc = "0 for x < -3, dy for x > 3, else dy (2 x + 3) / 6; operands dy, x",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
