/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d: cross-correlation of images with learned windows, as torch.nn.functional.conv2d, channels last. The gradients
 * are operations of their own: each is as large a product as the convolution itself. */
#include "ops/conv2d.h"

#include "ops/conv2d_grad_input.h"
#include "ops/conv2d_grad_weight.h"

static const fv_option attrs[] = {FV_CONV_WINDOW_OPTIONS(fv_conv2d_attrs), FV_ACT_OPTION(fv_conv2d_attrs), {0}};

static fv_status infer(fv_infer *c) {
  const fv_conv2d_attrs *a = c->attrs;
  FV_TRY(fv_conv_check(c, &a->window, 4, false));
  fv_shape x = c->in[0]->shape, w = c->in[1]->shape;
  int64_t oh = fv_conv_out(&a->window, 0, x.dim[1], w.dim[2]), ow = fv_conv_out(&a->window, 1, x.dim[2], w.dim[3]);
  FV_INFER_REQUIRE(c, oh > 0 && ow > 0, "input: expected an image (with padding) no smaller than the window %s, got %s",
                   fv_shape_text(w), fv_shape_text(x));
  c->shape[0] = FV_SHAPE(x.dim[0], oh, ow, w.dim[0]);
  return fv_layer_check_extras(c, w.dim[0]);
}

static fv_conv_geometry geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->out[0]->shape, n->in[1]->shape);
}

static fv_status grad(fv_grad *c) {
  const fv_conv2d_attrs *a = c->node->attrs;
  fv_value *x = c->node->in[0], *w = c->node->in[1], *dy = c->dout[0];
  FV_TRY(fv_refuse_act(c, a->act));
  bool bias = c->node->n_in > 2 && c->need[2];
  if (c->need[0]) {
    fv_conv2d_grad_input_attrs gi = {.window = a->window, .size = {2, {fv_dim(x, 1), fv_dim(x, 2)}}};
    c->din[0] = fv_op(c->g, "conv2d_grad_input", &gi, dy, w);
  }
  if (c->need[1]) {
    fv_conv2d_grad_weight_attrs gw = {.window = a->window, .kernel = {2, {fv_dim(w, 2), fv_dim(w, 3)}}, .bias = bias};
    fv_value *outs[2] = {0};
    fv_op_n(c->g, "conv2d_grad_weight", &gw, 2, (fv_value *[]){x, dy}, bias ? 2 : 1, outs);
    c->din[1] = outs[0];
    if (bias) c->din[2] = outs[1];
  } else if (bias) {
    c->din[2] = fv_sum_to(c->g, dy, c->node->in[2]->shape);
  }
  if (c->node->n_in > 3 && c->need[3]) c->din[3] = dy;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_conv2d_attrs *a = c->attrs;
  fv_conv_geometry q = geometry(c->node);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++)
    fv_set(&c->out[0], i, fv_layer_finish(c, a->act, fv_conv_maps_at(&q, &c->in[0], &c->in[1], i), i % q.o, i));
}

static fv_cost cost(const fv_node *n) {
  fv_conv_geometry q = geometry(n);
  return (fv_cost){fv_conv_flops(&q), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,6,5,3; 4,3,3,3; 4", .attrs = "pad=1"},
    {.in = "1,1,1,1; 1,1,1,1", .attrs = ""},
    {.in = "0,4,4,3; 2,3,3,3; 2", .attrs = "pad=1"},
    {.in = "1,4,4,0; 2,0,3,3; 2", .attrs = "", .note = "no channels: the bias alone"},
    {.in = "2,7,9,16; 16,16,3,3; 16", .attrs = "pad=1"},
    {.in = "2,8,8,32; 17,32,3,3; 17", .attrs = "pad=1 stride=2"},
    {.in = "1,9,9,15; 31,15,3,3", .attrs = "stride=2,1 pad=0,1"},
    {.in = "2,11,7,5; 7,5,3,2; 7", .attrs = "dilation=2,3 pad=2"},
    {.in = "2,8,8,8; 12,2,3,3; 12", .attrs = "groups=4 pad=1"},
    {.in = "2,9,9,33; 33,1,3,3; 33", .attrs = "groups=33 pad=1", .note = "depthwise"},
    {.in = "2,10,10,1; 32,1,3,3; 32", .attrs = "pad=1", .note = "a grey image"},
    {.in = "2,14,14,2; 1,2,7,7; 1", .attrs = "pad=3", .note = "a spatial attention map"},
    {.in = "3,7,7,16; 32,16,1,1", .attrs = ""},
    {.in = "5,11,8,32; 64,32,3,3; 64; 5,11,8,64", .attrs = "pad=1 act=relu", .no_grad_check = true,
     .note = "tiles of two by two, the last row half empty"},
    {.in = "5,13,9,64; 32,64,3,3", .attrs = "pad=2,0"},
    {.in = "1,28,27,16; 48,16,3,3; 48", .attrs = "pad=1"},
    {.in = "3,8,8,16; 8,16,1,1; 8", .attrs = "stride=2"},
    {.in = "2,32,32,32; 32,32,3,3; 32; 2,32,32,32", .attrs = "pad=1 act=relu", .no_grad_check = true,
     .note = "work enough for two"},
    {.in = "2,5,5,8; 8,8,3,3; 8; 2,5,5,8", .attrs = "pad=1", .note = "with residual"},
    {.in = "2,5,5,8; 8,8,3,3; -; 2,5,5,8", .attrs = "pad=1 act=relu", .no_grad_check = true, .note = "fused"},
    {.in = "2,5,5,17; 19,17,3,3; 19; 2,5,5,19", .attrs = "pad=1 act=silu", .no_grad_check = true, .note = "fused"},
    {.in = "2,5,5,8; 8,8,3,3; 8", .attrs = "pad=1 act=relu", .no_grad_check = true, .note = "fused"},
    {.in = "2,5,5,8; 8,8,3,3; 8", .attrs = "pad=1 act=sigmoid", .no_grad_check = true, .note = "fused"},
    {.in = "2,5,5,8; 8,8,3,3; 8", .attrs = "pad=1 act=tanh", .no_grad_check = true, .note = "fused"},
    {.in = "2,5,5,8; 8,8,3,3; 8", .attrs = "pad=1 act=gelu", .no_grad_check = true, .note = "fused"},
    {.in = "2,9,9,2; 1,2,7,7; 1", .attrs = "pad=3 act=sigmoid", .no_grad_check = true, .note = "fused"},
    {0}};

const fv_op_def fv_op_conv2d = {
    .name = "conv2d",
    .doc = "y[n,i,j,o] = act(sum over c,p,q of x[n, i stride - pad + p dilation, j stride - pad + q dilation, c] "
           "w[o,c,p,q] + bias[o] + residual[n,i,j,o]); inputs x [N,H,W,C], w [O,C/groups,KH,KW], bias [O]?, residual?",
    .n_in = 2, .n_in_max = 4, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_conv2d_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
