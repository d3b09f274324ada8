/* SPDX-License-Identifier: Apache-2.0 */
/* adaptive_max_pool2d_grad: each output's gradient goes to the input that was the largest. */
#include "ops/pool.h"

static const fv_case cases[] = {
    {.in = "2,4,4,16; 2,4,4,16:i32@0..63", .attrs = "size=8", .note = "a place outside its window gets nothing"},
    {.in = "1,3,4,5; 1,3,4,5:i32@0..69", .attrs = "size=7,10"},
    {.in = "2,5,7,9; 2,5,7,9:i32@0..5", .attrs = "size=3,2"},
    {.in = "0,2,2,3; 0,2,2,3:i32@0..3", .attrs = "size=4"},
    {0}};

const fv_op_def fv_op_adaptive_max_pool2d_grad = {
    .name = "adaptive_max_pool2d_grad",
    .doc = "dx[n,h,w,c] = sum of dy over the windows whose largest element is at h, w",
    .n_in = 2,
    .attrs_size = sizeof(fv_adaptive_pool_attrs),
    .attrs = fv_adaptive_pool_options,
    .infer = fv_pool_grad_infer,
    .no_grad_reason = "a gradient itself",
    .ref = fv_pool_max_grad_ref,
    .cost = fv_pool_grad_cost,
    .cases = cases};
