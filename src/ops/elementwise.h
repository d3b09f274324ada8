/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.h: what all element-wise operations share. Operands broadcast as in NumPy; the result has the operands'
 * dtype. Such an operation's file holds its formula (`scalar`), its gradient and its cases; shapes, reference and cost
 * are these. */
#ifndef FV_OPS_ELEMENTWISE_H
#define FV_OPS_ELEMENTWISE_H

#include "ir/ir.h"

fv_status fv_elementwise_infer(fv_infer *c);      /* real operands of one dtype */
fv_status fv_elementwise_infer_u8(fv_infer *c);   /* comparisons and logic: u8 result, 1 = true */
void fv_elementwise_ref(const fv_call *c);
fv_cost fv_elementwise_cost(const fv_node *n);    /* one flop an element */

#endif
