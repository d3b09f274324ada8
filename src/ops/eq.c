/* SPDX-License-Identifier: Apache-2.0 */
/* eq.c: 1 where a == b, else 0, as u8; operands of any one dtype. Comparisons with NaN are false. */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] == x[1];
}

static const fv_case cases[] = {
  FV_BINARY_CASES("", ""), FV_BINARY_CASES(":i32@-2..2", ":i32@-2..2"),
  {.in = "37:u8@0..2; 37:u8@0..2"}, {.in = "9:i32@16777216..16777218; 9:i32@16777216..16777218"},
  {0}};

const fv_op_def fv_op_eq = {
  .name = "eq",
  .doc = "a == b as u8",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_COMMUTES,
  .infer = fv_elementwise_infer_u8,
  .no_grad_reason = "a truth value has no gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
