/* SPDX-License-Identifier: Apache-2.0 */
/* max_pool2d: the largest element of each window, a channel at a time. The second output says where it was, for the
 * gradient alone: its place in the window, u8 while the window has at most 256 places, i32 beyond. */
#include "ops/pool.h"

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_pool_infer(c));
  const fv_int_list *k = &((const fv_pool_attrs *)c->attrs)->kernel;
  c->n_out = 2;
  c->shape[1] = c->shape[0];
  c->dtype[1] = k->v[0] * k->v[k->n - 1] <= 256 ? FV_U8 : FV_I32;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_pool_grad(c, "max_pool2d_grad", c->node->out[1]);
  return FV_OK;
}

static const fv_case cases[] = {
    {.in = "2,8,8,16", .attrs = "kernel=2"},
    {.in = "2,7,9,5", .attrs = "kernel=2"},
    {.in = "1,9,8,17", .attrs = "kernel=3 stride=2 pad=1"},
    {.in = "2,5,6,33", .attrs = "kernel=3 stride=1 pad=1"},
    {.in = "1,7,11,4", .attrs = "kernel=3,2 stride=1,2 pad=0,1"},
    {.in = "3,1,13,8", .attrs = "kernel=1,3 stride=1,2 pad=0,1"},
    {.in = "1,7,7,1", .attrs = "kernel=7"},
    {.in = "1,4,4,15", .attrs = "kernel=1 stride=2"},
    {.in = "1,18,19,3", .attrs = "kernel=17 stride=1", .note = "places in the window do not fit a byte"},
    {.in = "0,4,4,3", .attrs = "kernel=2"},
    {.in = "2,4,4,0", .attrs = "kernel=2"},
    {0}};

const fv_op_def fv_op_max_pool2d = {
    .name = "max_pool2d",
    .doc = "y[n,oh,ow,c] = max over the window of x[n,h,w,c]; the second output is its place in the window",
    .n_in = 1,
    .attrs_size = sizeof(fv_pool_attrs),
    .attrs = fv_pool_options,
    .infer = infer,
    .grad = grad,
    .ref = fv_pool_max_ref,
    .cost = fv_pool_cost,
    .cases = cases};
