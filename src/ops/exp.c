/* SPDX-License-Identifier: Apache-2.0 */
/* exp.c: e^x; dx = dy y. */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return exp(x[0]);
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *y = c->node->out[0];
  c->din[0] = fv_op(c->g, "mul", NULL, dy, y);
  return FV_OK;
}

static const fv_case cases[] = {
FV_UNARY_CASES("@-5..5"), {.in = "513@-80..80", .no_grad_check = true, .note = "differences lose all digits"},
  {0}};

const fv_op_def fv_op_exp = {
  .name = "exp",
  .doc = "e^x",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
