/* SPDX-License-Identifier: Apache-2.0 */
/* softplus.c: ln(1 + e^(beta x)) / beta, written so that nothing overflows (PyTorch's threshold is not needed). */
#include "ops/softplus.h"
#include "ops/elementwise.h"

#include <math.h>

static const fv_option attrs_table[] = {
  {.name = "beta", .type = FV_OPT_REAL, .offset = offsetof(fv_softplus_attrs, beta), .def = "1", .min = 1e-9,
   .max = 1e9, .doc = "sharpness of the bend"},
  {0}};

static double scalar(const void *attrs, const double *x) {
  const fv_softplus_attrs *a = attrs;
  double z = a->beta * x[0];
  return (fmax(z, 0) + log1p(exp(-fabs(z)))) / a->beta;
}

static fv_status grad(fv_grad *c) {
  const fv_softplus_attrs *a = c->node->attrs;
  fv_value *z = a->beta == 1 ? c->node->in[0] : fv_op(c->g, "mul", NULL, c->node->in[0], fv_const(c->g, a->beta));
  c->din[0] = fv_op(c->g, "mul", NULL, c->dout[0], fv_op(c->g, "sigmoid", NULL, z));
  return FV_OK;
}

static const fv_case cases[] = {
  FV_UNARY_CASES("@-6..6"), {.in = "37@-2..2", .attrs = "beta=2.5"},
  {0}};

const fv_op_def fv_op_softplus = {
  .name = "softplus",
  .doc = "ln(1 + e^(beta x)) / beta",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_softplus_attrs),
  .attrs = attrs_table,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
