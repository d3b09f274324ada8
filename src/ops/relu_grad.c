/* SPDX-License-Identifier: Apache-2.0 */
/* relu_grad.c: the gradient of relu from its output: dy where y > 0, else 0 (a NaN in y lets dy pass, as in
 * PyTorch). */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[1] <= 0 ? 0 : x[0];
}

static const fv_case cases[] = {FV_BINARY_CASES("", ""), {0}};

const fv_op_def fv_op_relu_grad = {
  .name = "relu_grad",
  .doc = "dy where y > 0, else 0; operands dy, y",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
