/* SPDX-License-Identifier: Apache-2.0 */
/* pow.c: a^b with broadcasting, as C's pow. Gradient: da = dy b a^(b-1), db = dy y log a. Both have a limit where the
 * formula has 0 * inf: da = 0 for b = 0, db = 0 for a = 0 (PyTorch does the same). */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return pow(x[0], x[1]);
}

static fv_value *base_gradient(fv_graph *g, fv_value *dy, fv_value *a, fv_value *b) {
  fv_value *zero = fv_const(g, 0);
  fv_value *lower = fv_op(g, "pow", NULL, a, fv_op(g, "sub", NULL, b, fv_const(g, 1)));
  fv_value *slope = fv_op(g, "mul", NULL, b, lower);
  return fv_op(g, "mul", NULL, dy, fv_op(g, "where", NULL, fv_op(g, "eq", NULL, b, zero), zero, slope));
}

static fv_value *exponent_gradient(fv_graph *g, fv_value *dy, fv_value *a, fv_value *y) {
  fv_value *zero = fv_const(g, 0);
  fv_value *slope = fv_op(g, "mul", NULL, y, fv_op(g, "log", NULL, a));
  return fv_op(g, "mul", NULL, dy, fv_op(g, "where", NULL, fv_op(g, "eq", NULL, a, zero), zero, slope));
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *a = c->node->in[0], *b = c->node->in[1];
  if (c->need[0]) fv_elementwise_give(c, 0, base_gradient(c->g, dy, a, b));
  if (c->need[1]) fv_elementwise_give(c, 1, exponent_gradient(c->g, dy, a, c->node->out[0]));
  return FV_OK;
}

static const fv_case cases[] = {
  FV_BINARY_CASES("@0.2..2", "@-2..2"),
  {.in = "37@-2..2; 37@2..2", .note = "negative base, whole exponent", .no_grad_check = true},
  {0}};

const fv_op_def fv_op_pow = {
  .name = "pow",
  .doc = "a^b",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
