/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_relu_grad.c: the gradient of leaky_relu from its output. */
#include "ops/leaky_relu.h"
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  const fv_leaky_relu_attrs *a = attrs;
  return x[1] > 0 ? x[0] : a->negative_slope * x[0];
}

static const fv_case cases[] = {
  FV_BINARY_CASES("", ""), {.in = "37; 37", .attrs = "negative_slope=0.2"},
  {0}};

const fv_op_def fv_op_leaky_relu_grad = {
  .name = "leaky_relu_grad",
  .doc = "dy where y > 0, else negative_slope dy; operands dy, y",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_leaky_relu_attrs),
  .attrs = fv_leaky_relu_options,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
