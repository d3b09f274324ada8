/* SPDX-License-Identifier: Apache-2.0 */
/* add.c: a + b with broadcasting. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] + x[1];
}

static fv_status grad(fv_grad *c) {
  for (int i = 0; i < 2; i++)
    if (c->need[i]) fv_elementwise_give(c, i, c->dout[0]);
  return FV_OK;
}

static const fv_case cases[] = {FV_BINARY_CASES("", ""), {0}};

const fv_op_def fv_op_add = {
  .name = "add",
  .doc = "a + b",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE | FV_OP_COMMUTES,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
