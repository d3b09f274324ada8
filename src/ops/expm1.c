/* SPDX-License-Identifier: Apache-2.0 */
/* expm1.c: e^x - 1 without cancellation near 0; dx = dy (y + 1). */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return expm1(x[0]);
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *y = c->node->out[0];
  c->din[0] = fv_op(c->g, "mul", NULL, dy, fv_op(c->g, "add", NULL, y, fv_const(c->g, 1)));
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES("@-3..3"), {.in = "61@-1e-4..1e-4"}, {0}};

const fv_op_def fv_op_expm1 = {
  .name = "expm1",
  .doc = "e^x - 1",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
