/* SPDX-License-Identifier: Apache-2.0 */
/* sign.c: -1, 0 or 1; 0 for NaN, as in PyTorch. Its gradient is 0 everywhere. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return (double)((x[0] > 0) - (x[0] < 0));
}

static const fv_case cases[] = {FV_UNARY_CASES(""), {0}};

const fv_op_def fv_op_sign = {
  .name = "sign",
  .doc = "1 for x > 0, -1 for x < 0, else 0",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = fv_elementwise_grad_zero,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
