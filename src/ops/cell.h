/* SPDX-License-Identifier: Apache-2.0 */
/* cell.h: what the operations of one recurrent step share: lstm_cell, gru_cell and their gradients. They are the
 * functions of the gates alone; the products before them are the caller's, so that a decoder whose input depends on its
 * last step makes of it what it likes. Gates in PyTorch's order. */
#ifndef FV_OPS_CELL_H
#define FV_OPS_CELL_H

#include "ir/ir.h"

/* lstm_cell: sums [B,4H], c [B,H]; h, c and for the gradient the gates [B,4H].
 * gru_cell: sums of the input's side and of the state's, [B,3H] each, h [B,H]; h and the gates [B,3H]. */
enum { FV_CELL_SUMS, FV_CELL_C };
enum { FV_CELL_X, FV_CELL_M, FV_CELL_H };
/* lstm_cell_grad: gates, c, the new c, dh?, dc?; dsums, dc. gru_cell_grad: gates, state's sums, h, dh; dx, dm, dh. */
enum { FV_CELL_GRAD_GATES, FV_CELL_GRAD_C, FV_CELL_GRAD_NEW_C, FV_CELL_GRAD_DH, FV_CELL_GRAD_DC };

/* Refuses input i that is not [B, gates H] with [B,H] the shape of input `state`; absent is fine. */
fv_status fv_cell_check(const fv_infer *c, int i, const char *what, int64_t gates, int state);
fv_cost fv_cell_cost(const fv_node *n); /* a few operations for each number of the first input */
static inline double fv_cell_sigmoid(double x) { return 1 / (1 + __builtin_exp(-x)); }

#endif
