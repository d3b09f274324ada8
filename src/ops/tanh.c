/* SPDX-License-Identifier: Apache-2.0 */
/* tanh.c: hyperbolic tangent. The gradient needs only the output: dy (1 - y^2). */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return tanh(x[0]);
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *y = c->node->out[0];
  c->din[0] = fv_op(c->g, "tanh_grad", NULL, dy, y);
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES("@-4..4"), {.in = "61@-1e-3..1e-3"}, {0}};

const fv_op_def fv_op_tanh = {
  .name = "tanh",
  .doc = "tanh x",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
