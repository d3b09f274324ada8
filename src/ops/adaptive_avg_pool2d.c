/* SPDX-License-Identifier: Apache-2.0 */
/* adaptive_avg_pool2d: means over windows that cover the image, for a result of a given size; PyTorch's windows. */
#include "ops/pool.h"

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_pool_grad(c, "adaptive_avg_pool2d_grad", NULL);
  return FV_OK;
}

static const fv_case cases[] = {
    {.in = "2,8,8,16", .attrs = "size=4"},   {.in = "1,7,10,5", .attrs = "size=3,4"},
    {.in = "1,5,3,17", .attrs = "size=5,3"}, {.in = "2,3,2,9", .attrs = "size=5,7", .note = "larger than the input"},
    {.in = "1,13,1,33", .attrs = "size=1"},  {.in = "0,4,4,3", .attrs = "size=2"},
    {0}};

const fv_op_def fv_op_adaptive_avg_pool2d = {
    .name = "adaptive_avg_pool2d",
    .doc = "y[n,oh,ow,c] = mean of x over rows [floor(oh H/OH), ceil((oh+1) H/OH)) and the like columns",
    .n_in = 1,
    .attrs_size = sizeof(fv_adaptive_pool_attrs),
    .attrs = fv_adaptive_pool_options,
    .infer = fv_pool_infer,
    .grad = grad,
    .ref = fv_pool_avg_ref,
    .cost = fv_pool_cost,
    .cases = cases};
