/* SPDX-License-Identifier: Apache-2.0 */
/* detach: the same numbers, but no gradient passes: hard + soft - detach(soft) has the value of one and the gradient of
 * the other (straight-through, Bengio et al. 2013). */
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  (void)attrs;
  return x[0];
}

static const fv_case cases[] = {{.in = "0", .no_grad_check = true, .note = "the gradient is held back on purpose"},
                                {.in = "1", .no_grad_check = true, .note = "the gradient is held back on purpose"},
                                {.in = "3,17", .no_grad_check = true, .note = "the gradient is held back on purpose"},
                                {0}};

const fv_op_def fv_op_detach = {
    .name = "detach",
    .doc = "y = x, with a gradient of zero",
    .n_in = 1,
    .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
    .infer = fv_elementwise_infer,
    .grad = fv_elementwise_grad_zero,
    .ref = fv_elementwise_ref,
    .scalar = scalar,
    .cost = fv_elementwise_cost,
    .cases = cases};
