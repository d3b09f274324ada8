/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h: what operations along an axis, normalisations and losses share: looking at a tensor as lines along one axis,
 * the checks of their inputs, and the reductions of a loss. */
#ifndef FV_OPS_LINES_H
#define FV_OPS_LINES_H

#include "ir/ir.h"

/* A tensor as outer x n x inner around an axis: element k of line (o, i) is at (o * n + k) * inner + i. */
typedef struct fv_lines {
  int64_t outer, n, inner;
} fv_lines;
fv_lines fv_lines_of(fv_shape shape, int64_t axis);
/* The same, but an empty tensor has no lines at all: there may be very many lines of nothing. */
fv_lines fv_lines_filled(fv_shape shape, int64_t axis);
/* Rows of the last dimension: outer = all before it, inner = 1; a scalar is one row, rows of nothing none. */
fv_lines fv_lines_last(fv_shape shape);

bool fv_node_has_in(const fv_node *n, int i); /* given and not absent */
/* Checks of a node's inputs; `what` names the input in the message. Absent inputs pass the last three. */
fv_status fv_infer_real(const fv_infer *c, int i, const char *what); /* f32 or f64, and input 0's dtype */
fv_status fv_infer_axis(const fv_infer *c, int64_t axis);            /* an axis of input 0 */
fv_status fv_infer_shape(const fv_infer *c, int i, const char *what, fv_shape want); /* real, of that shape */
fv_status fv_infer_channels(const fv_infer *c, int i, const char *what); /* real, [last dimension of input 0] */
fv_status fv_infer_mask(const fv_infer *c, int i); /* u8, broadcastable to input 0 */

fv_value *fv_spread(fv_graph *g, fv_value *v, fv_shape shape); /* broadcast to that shape */
fv_shape fv_shape_keep(fv_shape s, int axis); /* with dimension `axis` 1 */
fv_shape fv_shape_drop(fv_shape s, int axis); /* without it */

/* `per_element` flops for each element of input i. */
fv_cost fv_cost_input(const fv_node *n, int i, double per_element);

/* ---- losses: what becomes of the items' losses ------------------------------------------------------------------ */
enum { FV_REDUCE_MEAN, FV_REDUCE_SUM, FV_REDUCE_NONE };
extern const char *const fv_reduction_names[];
#define FV_REDUCTION_OPTION(struct_)                                                                    \
  {"reduction", FV_OPT_ENUM, offsetof(struct_, reduction), "mean", 0, 0, fv_reduction_names, \
   "mean of the items' losses, their sum, or each"}

/* Element-wise losses: inputs x, target, [two more, broadcast to x]; `item` gets one number of each, 1 for an absent
 * one. */
#define FV_LOSS_OPERANDS 4
fv_status fv_loss_infer(fv_infer *c, int64_t reduction);
void fv_loss_ref(const fv_call *c, int64_t reduction, double (*item)(const void *attrs, const double *v));
fv_value *fv_loss_dout(const fv_grad *c, int64_t reduction); /* the gradient of each item's loss (may broadcast) */

#endif
