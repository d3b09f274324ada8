/* SPDX-License-Identifier: Apache-2.0 */
/* avg_pool2d_grad: each output's gradient is shared out evenly over its window. */
#include "ops/pool.h"

static const fv_case cases[] = {
    {.in = "2,4,4,16", .attrs = "kernel=2 size=8"},
    {.in = "1,3,4,5", .attrs = "kernel=2 size=7,9"},
    {.in = "1,5,4,17", .attrs = "kernel=3 stride=2 pad=1 size=9,8"},
    {.in = "1,5,4,17", .attrs = "kernel=3 stride=2 pad=1 exclude_pad=true size=9,8"},
    {.in = "1,2,2,7", .attrs = "kernel=2 stride=3 size=7"},
    {.in = "0,2,2,3", .attrs = "kernel=2 size=4"},
    {0}};

const fv_op_def fv_op_avg_pool2d_grad = {
    .name = "avg_pool2d_grad",
    .doc = "dx[n,h,w,c] = sum of dy / count over the windows that hold h, w",
    .n_in = 1,
    .attrs_size = sizeof(fv_pool_attrs),
    .attrs = fv_pool_grad_options,
    .infer = fv_pool_grad_infer,
    .no_grad_reason = "a gradient itself",
    .ref = fv_pool_avg_grad_ref,
    .cost = fv_pool_grad_cost,
    .cases = cases};
