/* SPDX-License-Identifier: Apache-2.0 */
/* erf.c: error function; dx = dy 2 / sqrt(pi) exp(-x^2). */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return erf(x[0]);
}

static fv_status grad(fv_grad *c) {
  fv_value *dy = c->dout[0], *x = c->node->in[0];
  fv_value *bell = fv_op(c->g, "exp", NULL, fv_op(c->g, "neg", NULL, fv_op(c->g, "square", NULL, x)));
  c->din[0] = fv_op(c->g, "mul", NULL, dy, fv_op(c->g, "mul", NULL, bell, fv_const(c->g, M_2_SQRTPI)));
  return FV_OK;
}

static const fv_case cases[] = {FV_UNARY_CASES("@-3..3"), {.in = "61@-1e-3..1e-3"}, {0}};

const fv_op_def fv_op_erf = {
  .name = "erf",
  .doc = "2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
