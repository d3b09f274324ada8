/* SPDX-License-Identifier: Apache-2.0 */
/* div.c: a / b with broadcasting. Gradient through the output: da = dy / b, db = -da y. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] / x[1];
}

static fv_status grad(fv_grad *c) {
  fv_value *da = fv_op(c->g, "div", NULL, c->dout[0], c->node->in[1]);
  if (c->need[0]) fv_elementwise_give(c, 0, da);
  if (c->need[1])
    fv_elementwise_give(c, 1, fv_op(c->g, "neg", NULL, fv_op(c->g, "mul", NULL, da, c->node->out[0])));
  return FV_OK;
}

static const fv_case cases[] = {
FV_BINARY_CASES("", "@0.3..2"), {.in = "5,17@-1..1; 5,17@-2..-0.5"},
  {0}};

const fv_op_def fv_op_div = {
  .name = "div",
  .doc = "a / b",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
