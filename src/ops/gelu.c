/* SPDX-License-Identifier: Apache-2.0 */
/* gelu.c: x times the normal distribution function of x (Hendrycks & Gimpel 2016), exact (erf) or by its tanh
 * approximation. erfc keeps the digits of the left tail. */
#include "ops/gelu.h"
#include "ops/elementwise.h"

#include <math.h>

static const char *const forms[] = {"none", "tanh", NULL};
const fv_option fv_gelu_options[] = {
  {.name = "approximate", .type = FV_OPT_ENUM, .offset = offsetof(fv_gelu_attrs, approximate), .def = "none",
   .choices = forms, .doc = "none: with erf; tanh: the approximation many published weights were trained with"},
  {0}};

static double scalar(const void *attrs, const double *x) {
  const fv_gelu_attrs *a = attrs;
  double t = FV_GELU_SCALE * (x[0] + FV_GELU_CUBIC * x[0] * x[0] * x[0]);
  return a->approximate == FV_GELU_TANH ? 0.5 * x[0] * (1 + tanh(t)) : 0.5 * x[0] * erfc(-x[0] * M_SQRT1_2);
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "gelu_grad", c->node->attrs, c->dout[0], c->node->in[0]);
  return FV_OK;
}

static const fv_case cases[] = {
  FV_UNARY_CASES("@-4..4"), {.in = "37@-4..4", .attrs = "approximate=tanh"},
  {.in = "1031@-2..2", .attrs = "approximate=tanh"},
  {0}};

const fv_op_def fv_op_gelu = {
  .name = "gelu",
  .doc = "x Phi(x); tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) (Hendrycks & Gimpel 2016)",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_gelu_attrs),
  .attrs = fv_gelu_options,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
