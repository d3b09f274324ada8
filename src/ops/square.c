/* SPDX-License-Identifier: Apache-2.0 */
/* square.c: x^2; dx = 2 dy x. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] * x[0];
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *x = c->node->in[0];
  c->din[0] = fv_op(c->g, "mul", NULL, dy, fv_op(c->g, "add", NULL, x, x));
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES(""), {0}};

const fv_op_def fv_op_square = {
  .name = "square",
  .doc = "x^2",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
