/* SPDX-License-Identifier: Apache-2.0 */
/* adaptive_avg_pool2d_grad: each output's gradient is shared out evenly over its window. */
#include "ops/pool.h"

static const fv_case cases[] = {
    {.in = "2,4,4,16", .attrs = "size=8"}, {.in = "1,3,4,5", .attrs = "size=7,10"},
    {.in = "2,5,7,9", .attrs = "size=3,2"}, {.in = "0,2,2,3", .attrs = "size=4"},
    {0}};

const fv_op_def fv_op_adaptive_avg_pool2d_grad = {
    .name = "adaptive_avg_pool2d_grad",
    .doc = "dx[n,h,w,c] = sum of dy / count over the windows that hold h, w",
    .n_in = 1,
    .attrs_size = sizeof(fv_adaptive_pool_attrs),
    .attrs = fv_adaptive_pool_options,
    .infer = fv_pool_grad_infer,
    .no_grad_reason = "a gradient itself",
    .ref = fv_pool_avg_grad_ref,
    .cost = fv_pool_grad_cost,
    .cases = cases};
