/* SPDX-License-Identifier: Apache-2.0 */
/* max_pool2d_grad: each output's gradient goes to the input that was the largest (the first of equals). */
#include "ops/pool.h"

static const fv_case cases[] = {
    {.in = "2,4,4,16; 2,4,4,16:u8@0..3", .attrs = "kernel=2 size=8"},
    {.in = "1,3,4,5; 1,3,4,5:u8@0..3", .attrs = "kernel=2 size=7,9"},
    {.in = "1,5,4,17; 1,5,4,17:u8@0..8", .attrs = "kernel=3 stride=2 pad=1 size=9,8"},
    {.in = "2,5,6,33; 2,5,6,33:u8@0..8", .attrs = "kernel=3 stride=1 pad=1 size=5,6"},
    {.in = "1,2,2,7; 1,2,2,7:u8@0..3", .attrs = "kernel=2 stride=3 size=7"},
    {.in = "1,2,3,3; 1,2,3,3:i32@0..288", .attrs = "kernel=17 stride=1 size=18,19"},
    {.in = "0,2,2,3; 0,2,2,3:u8@0..3", .attrs = "kernel=2 size=4"},
    {0}};

const fv_op_def fv_op_max_pool2d_grad = {
    .name = "max_pool2d_grad",
    .doc = "dx[n,h,w,c] = sum of dy over the windows whose largest element is at h, w",
    .n_in = 2,
    .attrs_size = sizeof(fv_pool_attrs),
    .attrs = fv_pool_grad_options,
    .infer = fv_pool_grad_infer,
    .no_grad_reason = "a gradient itself",
    .ref = fv_pool_max_grad_ref,
    .cost = fv_pool_grad_cost,
    .cases = cases};
