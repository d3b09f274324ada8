/* SPDX-License-Identifier: Apache-2.0 */
/* floor.c: the largest whole number not above x. Its gradient is 0. */
#include "ops/elementwise.h"

#include <math.h>

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return floor(x[0]);
}

static const fv_case cases[] = {FV_UNARY_CASES("@-3.9..3.9"), {0}};

const fv_op_def fv_op_floor = {
  .name = "floor",
  .doc = "the largest whole number not above x",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer,
  .grad = fv_elementwise_grad_zero,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
