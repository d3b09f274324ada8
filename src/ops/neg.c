/* SPDX-License-Identifier: Apache-2.0 */
/* neg.c: -x. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return -x[0];
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "neg", NULL, c->dout[0]);
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES(""), {0}};

const fv_op_def fv_op_neg = {
  .name = "neg",
  .doc = "-x",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
