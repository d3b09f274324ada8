/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_relu.c: x where x > 0, else negative_slope x (Maas et al. 2013). The slope is above 0, so the sign of the
 * output is the sign of x and the gradient needs only the output. */
#include "ops/leaky_relu.h"
#include "ops/elementwise.h"

const fv_option fv_leaky_relu_options[] = {
  {.name = "negative_slope", .type = FV_OPT_REAL, .offset = offsetof(fv_leaky_relu_attrs, negative_slope),
   .def = "0.01", .min = 1e-9, .max = 1e9, .doc = "slope where x < 0"},
  {0}};

static double scalar(const void *attrs, const double *x) {
  const fv_leaky_relu_attrs *a = attrs;
  return x[0] > 0 ? x[0] : a->negative_slope * x[0];
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "leaky_relu_grad", c->node->attrs, c->dout[0], c->node->out[0]);
  return FV_OK;
}

static const fv_case cases[] = {
  FV_UNARY_CASES(""), {.in = "37@-2..2", .attrs = "negative_slope=0.2"},
  {0}};

const fv_op_def fv_op_leaky_relu = {
  .name = "leaky_relu",
  .doc = "x for x > 0, else negative_slope x (Maas et al. 2013)",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_leaky_relu_attrs),
  .attrs = fv_leaky_relu_options,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
