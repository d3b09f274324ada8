/* SPDX-License-Identifier: Apache-2.0 */
/* where.c: a where the condition (u8) holds, else b; all three broadcast. A NaN in the branch not taken does not show,
 * in the gradient neither. */
#include "ops/elementwise.h"

static fv_status infer(fv_infer *c) {
  FV_INFER_REQUIRE(c, c->in[0]->dtype == FV_U8, "condition: expected u8, got %s", fv_dtype_name(c->in[0]->dtype));
  FV_INFER_REQUIRE(c, c->in[1]->dtype == c->in[2]->dtype, "branches: expected one dtype, got %s and %s",
                   fv_dtype_name(c->in[1]->dtype), fv_dtype_name(c->in[2]->dtype));
  c->dtype[0] = c->in[1]->dtype;
  return fv_elementwise_broadcast(c, 0);
}

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0] != 0 ? x[1] : x[2];
}

static fv_status grad(fv_grad *c) {
  fv_value *cond = c->node->in[0], *dy = c->dout[0], *zero = fv_const(c->g, 0);
  if (c->need[1]) fv_elementwise_give(c, 1, fv_op(c->g, "where", NULL, cond, dy, zero));
  if (c->need[2]) fv_elementwise_give(c, 2, fv_op(c->g, "where", NULL, cond, zero, dy));
  return FV_OK;
}

static const fv_case cases[] = {
  {.in = "0:u8; 0; 0"}, {.in = "():u8; (); ()"}, {.in = "1:u8; 1; 1"}, {.in = "3:u8; 3; 3"}, {.in = "4:u8; 4; 4"},
  {.in = "5:u8; 5; 5"}, {.in = "7:u8; 7; 7"}, {.in = "8:u8; 8; 8"}, {.in = "9:u8; 9; 9"}, {.in = "15:u8; 15; 15"},
  {.in = "16:u8; 16; 16"}, {.in = "17:u8; 17; 17"}, {.in = "1031:u8@0..3; 1031; 1031"}, {.in = "5,17:u8; (); 5,17"},
  {.in = "5,17:u8; 5,17; ()"}, {.in = "5,1:u8; 1,17; 5,17"}, {.in = "17:u8; 3,1,17; 2,1"}, {.in = "():u8; 7; 7"},
  {.in = "37:u8; 37:i32@-9..9; 37:i32@-9..9", .no_grad_check = true, .note = "whole numbers"},
  {0}};

const fv_op_def fv_op_where = {
  .name = "where",
  .doc = "a where cond, else b; operands cond, a, b",
  .n_in = 3,
  .flags = FV_OP_ELEMENTWISE,
  .infer = infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
