/* SPDX-License-Identifier: Apache-2.0 */
/* minimum.c: the smaller of a and b with broadcasting; a NaN in either is the result. Where they are equal the gradient
 * goes to a. */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return isnan(x[0]) || x[0] <= x[1] ? x[0] : x[1];
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *zero = fv_const(c->g, 0);
  fv_value *first = fv_op(c->g, "le", NULL, c->node->in[0], c->node->in[1]);
  if (c->need[0]) fv_elementwise_give(c, 0, fv_op(c->g, "where", NULL, first, dy, zero));
  if (c->need[1]) fv_elementwise_give(c, 1, fv_op(c->g, "where", NULL, first, zero, dy));
  return FV_OK;
}

static const fv_case cases[] = {FV_BINARY_CASES("", ""), {0}};

const fv_op_def fv_op_minimum = {
  .name = "minimum",
  .doc = "min(a, b); NaN wins",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE | FV_OP_COMMUTES,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
