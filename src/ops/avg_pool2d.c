/* SPDX-License-Identifier: Apache-2.0 */
/* avg_pool2d: the mean of each window, a channel at a time. The border counts as zeros unless exclude_pad. */
#include "ops/pool.h"

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_pool_grad(c, "avg_pool2d_grad", NULL);
  return FV_OK;
}

static const fv_case cases[] = {
    {.in = "2,8,8,16", .attrs = "kernel=2"},
    {.in = "2,7,9,5", .attrs = "kernel=2"},
    {.in = "1,9,8,17", .attrs = "kernel=3 stride=2 pad=1"},
    {.in = "1,9,8,17", .attrs = "kernel=3 stride=2 pad=1 exclude_pad=true"},
    {.in = "2,5,6,33", .attrs = "kernel=3 stride=1 pad=1 exclude_pad=true"},
    {.in = "1,7,11,4", .attrs = "kernel=3,2 stride=1,2 pad=0,1"},
    {.in = "3,1,13,8", .attrs = "kernel=1,3 stride=1,2 pad=0,1"},
    {.in = "1,7,7,1", .attrs = "kernel=7"},
    {.in = "1,4,4,15", .attrs = "kernel=1 stride=2"},
    {.in = "0,4,4,3", .attrs = "kernel=2"},
    {0}};

const fv_op_def fv_op_avg_pool2d = {
    .name = "avg_pool2d",
    .doc = "y[n,oh,ow,c] = mean over the window of x[n,h,w,c]",
    .n_in = 1,
    .attrs_size = sizeof(fv_pool_attrs),
    .attrs = fv_pool_options,
    .infer = fv_pool_infer,
    .grad = grad,
    .ref = fv_pool_avg_ref,
    .cost = fv_pool_cost,
    .cases = cases};
