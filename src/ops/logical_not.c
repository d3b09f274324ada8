/* SPDX-License-Identifier: Apache-2.0 */
/* logical_not.c: 1 where x is 0, else 0 (u8). */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] == 0;
}

static const fv_case cases[] = {FV_UNARY_CASES(":u8"), {.in = "37:u8@0..3"}, {0}};

const fv_op_def fv_op_logical_not = {
  .name = "logical_not",
  .doc = "not x, u8",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .infer = fv_elementwise_infer_logic,
  .no_grad_reason = "a truth value has no gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
