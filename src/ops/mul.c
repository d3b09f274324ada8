/* SPDX-License-Identifier: Apache-2.0 */
/* mul.c: a b, element by element, with broadcasting. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] * x[1];
}

static fv_status grad(fv_grad *c) {
  for (int i = 0; i < 2; i++)
    if (c->need[i]) fv_elementwise_give(c, i, fv_op(c->g, "mul", NULL, c->dout[0], c->node->in[1 - i]));
  return FV_OK;
}

static const fv_case cases[] = {FV_BINARY_CASES("", ""), {0}};

const fv_op_def fv_op_mul = {
  .name = "mul",
  .doc = "a b (element by element)",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE | FV_OP_COMMUTES,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
