/* SPDX-License-Identifier: Apache-2.0 */
/* elu.c: x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016). The gradient needs only the output:
 * alpha e^x = y + alpha. */
#include "ops/elu.h"
#include "ops/elementwise.h"

#include <math.h>

const fv_option fv_elu_options[] = {
  {.name = "alpha", .type = FV_OPT_REAL, .offset = offsetof(fv_elu_attrs, alpha), .def = "1", .min = 1e-9, .max = 1e9,
   .doc = "minus the limit at -inf"},
  {0}};

static double scalar(const void *attrs, const double *x) {
  const fv_elu_attrs *a = attrs;
  return x[0] > 0 ? x[0] : a->alpha * expm1(x[0]);
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "elu_grad", c->node->attrs, c->dout[0], c->node->out[0]);
  return FV_OK;
}

static const fv_case cases[] = {
  FV_UNARY_CASES("@-3..3"), {.in = "37@-2..2", .attrs = "alpha=0.3"},
  {0}};

const fv_op_def fv_op_elu = {
  .name = "elu",
  .doc = "x for x > 0, else alpha (e^x - 1) (Clevert et al. 2016)",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_elu_attrs),
  .attrs = fv_elu_options,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
