/* SPDX-License-Identifier: Apache-2.0 */
/* sub.c: a - b with broadcasting. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] - x[1];
}

static fv_status grad(fv_grad *c) {
  if (c->need[0]) fv_elementwise_give(c, 0, c->dout[0]);
  if (c->need[1]) fv_elementwise_give(c, 1, fv_op(c->g, "neg", NULL, c->dout[0]));
  return FV_OK;
}

static const fv_case cases[] = {FV_BINARY_CASES("", ""), {0}};

const fv_op_def fv_op_sub = {
  .name = "sub",
  .doc = "a - b",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
