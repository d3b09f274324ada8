/* SPDX-License-Identifier: Apache-2.0 */
/* adaptive_max_pool2d: maxima over windows that cover the image, for a result of a given size; PyTorch's windows. The
 * second output (i32) says where in the image, h * W + w, each was. */
#include "ops/pool.h"

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_pool_infer(c));
  const fv_shape x = c->in[0]->shape;
  FV_INFER_REQUIRE(c, x.dim[1] <= INT32_MAX / x.dim[2], "input: expected fewer than 2^31 pixels, got %s",
                   fv_shape_text(x));
  c->n_out = 2;
  c->shape[1] = c->shape[0];
  c->dtype[1] = FV_I32;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_pool_grad(c, "adaptive_max_pool2d_grad", c->node->out[1]);
  return FV_OK;
}

static const fv_case cases[] = {
    {.in = "2,8,8,16", .attrs = "size=4"},   {.in = "1,7,10,5", .attrs = "size=3,4"},
    {.in = "1,5,3,17", .attrs = "size=5,3"}, {.in = "2,3,2,9", .attrs = "size=5,7", .note = "larger than the input"},
    {.in = "1,13,1,33", .attrs = "size=1"},  {.in = "0,4,4,3", .attrs = "size=2"},
    {0}};

const fv_op_def fv_op_adaptive_max_pool2d = {
    .name = "adaptive_max_pool2d",
    .doc = "y[n,oh,ow,c] = max of x over rows [floor(oh H/OH), ceil((oh+1) H/OH)) and the like columns",
    .n_in = 1,
    .attrs_size = sizeof(fv_adaptive_pool_attrs),
    .attrs = fv_adaptive_pool_options,
    .infer = infer,
    .grad = grad,
    .ref = fv_pool_max_ref,
    .cost = fv_pool_cost,
    .cases = cases};
