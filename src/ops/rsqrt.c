/* SPDX-License-Identifier: Apache-2.0 */
/* rsqrt.c: 1 / sqrt(x); dx = -dy y^3 / 2. */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return 1 / sqrt(x[0]);
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *y = c->node->out[0];
  fv_value *cube = fv_op(c->g, "mul", NULL, fv_op(c->g, "square", NULL, y), y);
  c->din[0] = fv_op(c->g, "mul", NULL, dy, fv_op(c->g, "mul", NULL, cube, fv_const(c->g, -0.5)));
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES("@0.1..10"), {0}};

const fv_op_def fv_op_rsqrt = {
  .name = "rsqrt",
  .doc = "x^(-1/2)",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
