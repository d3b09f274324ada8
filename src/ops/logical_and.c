/* SPDX-License-Identifier: Apache-2.0 */
/* logical_and.c: a and b on truth values (u8, not 0 = true); the result is 0 or 1. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] != 0 && x[1] != 0;
}

static const fv_case cases[] = {
FV_BINARY_CASES(":u8", ":u8"), {.in = "37:u8@0..3; 37:u8@0..3"},
  {0}};

const fv_op_def fv_op_logical_and = {
  .name = "logical_and",
  .doc = "a and b, u8",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE | FV_OP_COMMUTES,
  .infer = fv_elementwise_infer_logic,
  .no_grad_reason = "a truth value has no gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
