/* SPDX-License-Identifier: Apache-2.0 */
/* hardswish.c: x clip(x + 3, 0, 6) / 6 (Howard et al. 2019). */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  double gate = x[0] + 3;
  gate = gate < 0 ? 0 : gate > 6 ? 6 : gate;
  return x[0] * gate / 6;
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *x = c->node->in[0];
  c->din[0] = fv_op(c->g, "hardswish_grad", NULL, dy, x);
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES("@-5..5"), {0}};

const fv_op_def fv_op_hardswish = {
  .name = "hardswish",
  .doc = "x clip(x + 3, 0, 6) / 6",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
