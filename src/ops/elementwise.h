/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.h: what all element-wise operations share. Operands broadcast as in NumPy; the result has the operands'
 * dtype. Such an operation's file holds its formula (`scalar`), its gradient and its cases; shapes, reference and cost
 * are these. */
#ifndef FV_OPS_ELEMENTWISE_H
#define FV_OPS_ELEMENTWISE_H

#include "ir/ir.h"

fv_status fv_elementwise_infer(fv_infer *c);      /* real operands of one dtype */
fv_status fv_elementwise_infer_u8(fv_infer *c);   /* comparisons: operands of one dtype, u8 result, 1 = true */
fv_status fv_elementwise_infer_logic(fv_infer *c); /* u8 operands (not 0 = true), u8 result */
void fv_elementwise_ref(const fv_call *c);
fv_cost fv_elementwise_cost(const fv_node *n);    /* one flop an element */

/* Operands' shapes broadcast into shape[0]; what the three above do after looking at dtypes. */
fv_status fv_elementwise_broadcast(fv_infer *c, int first);
/* The gradient of a step function: nothing. */
fv_status fv_elementwise_grad_zero(fv_grad *c);
/* din[i] = v, with the broadcasting of input i undone. */
void fv_elementwise_give(fv_grad *c, int i, fv_value *v);

/* Cases around every vector width, for operand ranges such as "@-3..3". */
#define FV_UNARY_CASES(range)                                                                                      \
  {.in = "0" range}, {.in = "()" range}, {.in = "1" range}, {.in = "3" range}, {.in = "4" range}, {.in = "5" range}, \
      {.in = "7" range}, {.in = "8" range}, {.in = "9" range}, {.in = "15" range}, {.in = "16" range},                \
      {.in = "17" range}, {.in = "2,3,5" range}, {.in = "1031" range}
#define FV_BINARY_CASES(a, b)                                                                                     \
  {.in = "0" a "; 0" b}, {.in = "()" a "; ()" b}, {.in = "1" a "; 1" b}, {.in = "3" a "; 3" b}, {.in = "4" a "; 4" b}, \
      {.in = "5" a "; 5" b}, {.in = "7" a "; 7" b}, {.in = "8" a "; 8" b}, {.in = "9" a "; 9" b},                     \
      {.in = "15" a "; 15" b}, {.in = "16" a "; 16" b}, {.in = "17" a "; 17" b}, {.in = "1031" a "; 1031" b},         \
      {.in = "2,3,5" a "; ()" b}, {.in = "()" a "; 7,3" b}, {.in = "2,3,17" a "; 17" b}, {.in = "17" a "; 3,17" b},   \
      {.in = "2,3,5" a "; 3,1" b}, {.in = "3,1" a "; 1,19" b}, {.in = "2,1,4,1" a "; 3,1,5" b},                       \
      {.in = "0,4" a "; 4" b}, {.in = "1" a "; 3,0" b}

#endif
