/* SPDX-License-Identifier: Apache-2.0 */
/* reciprocal.c: 1 / x; dx = -dy y^2. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return 1 / x[0];
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *y = c->node->out[0];
  c->din[0] = fv_op(c->g, "neg", NULL, fv_op(c->g, "mul", NULL, dy, fv_op(c->g, "square", NULL, y)));
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES("@0.2..3"), {.in = "17@-3..-0.2"}, {0}};

const fv_op_def fv_op_reciprocal = {
  .name = "reciprocal",
  .doc = "1 / x",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
