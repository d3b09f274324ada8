/* SPDX-License-Identifier: Apache-2.0 */
/* elu_grad.c: the gradient of elu from its output: dy where y > 0, else dy (y + alpha). */
#include "ops/elu.h"
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  const fv_elu_attrs *a = attrs;
  return x[1] > 0 ? x[0] : x[0] * (x[1] + a->alpha);
}

static const fv_case cases[] = {
  FV_BINARY_CASES("", ""), {.in = "37; 37@-0.3..2", .attrs = "alpha=0.3"},
  {0}};

const fv_op_def fv_op_elu_grad = {
  .name = "elu_grad",
  .doc = "dy where y > 0, else dy (y + alpha); operands dy, y",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_elu_attrs),
  .attrs = fv_elu_options,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
