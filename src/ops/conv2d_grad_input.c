/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d_grad_input: the gradient of conv2d with respect to its image, which is also the transposed convolution of
 * `size`. It is linear in both operands, so that its own gradients are convolutions again. */
#include "ops/conv2d_grad_input.h"

#include "ops/conv2d.h"
#include "ops/conv2d_grad_weight.h"

static const fv_option attrs[] = {
    FV_CONV_WINDOW_OPTIONS(fv_conv2d_grad_input_attrs),
    {"size", FV_OPT_INTS, offsetof(fv_conv2d_grad_input_attrs, size), NULL, 0, INT32_MAX, NULL,
     "height, width of the image"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_conv2d_grad_input_attrs *a = c->attrs;
  FV_TRY(fv_conv_check(c, &a->window, 4, true));
  fv_shape y = c->in[0]->shape, w = c->in[1]->shape;
  FV_INFER_REQUIRE(c, a->size.n == 2, "size: expected 2 numbers, got %d", (int)a->size.n);
  int64_t oh = fv_conv_out(&a->window, 0, a->size.v[0], w.dim[2]),
          ow = fv_conv_out(&a->window, 1, a->size.v[1], w.dim[3]);
  FV_INFER_REQUIRE(c, oh == y.dim[1] && ow == y.dim[2] && oh > 0 && ow > 0,
                   "input: expected the maps [N,%lld,%lld,O] of an image of %lld x %lld, got %s", (long long)oh,
                   (long long)ow, (long long)a->size.v[0], (long long)a->size.v[1], fv_shape_text(y));
  c->shape[0] = FV_SHAPE(y.dim[0], a->size.v[0], a->size.v[1], w.dim[1] * a->window.groups);
  return FV_OK;
}

static fv_conv_geometry geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->out[0]->shape, n->in[0]->shape, n->in[1]->shape);
}

static fv_status grad(fv_grad *c) {
  const fv_conv2d_grad_input_attrs *a = c->node->attrs;
  fv_value *dy = c->node->in[0], *w = c->node->in[1], *up = c->dout[0];
  if (c->need[0]) c->din[0] = fv_op(c->g, "conv2d", &(fv_conv2d_attrs){.window = a->window}, up, w);
  if (c->need[1]) {
    fv_conv2d_grad_weight_attrs gw = {.window = a->window, .kernel = {2, {fv_dim(w, 2), fv_dim(w, 3)}}};
    c->din[1] = fv_op(c->g, "conv2d_grad_weight", &gw, up, dy);
  }
  return FV_OK;
}

static void ref(const fv_call *c) {
  fv_conv_geometry q = geometry(c->node);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++)
    fv_set(&c->out[0], i, fv_conv_image_at(&q, &c->in[0], &c->in[1], i));
}

static fv_cost cost(const fv_node *n) {
  fv_conv_geometry q = geometry(n);
  return (fv_cost){fv_conv_flops(&q), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,6,5,4; 4,3,3,3", .attrs = "pad=1 size=6,5"},
    {.in = "1,1,1,1; 1,1,1,1", .attrs = "size=1,1"},
    {.in = "0,2,2,2; 2,3,3,3", .attrs = "size=4,4"},
    {.in = "2,7,9,16; 16,16,3,3", .attrs = "pad=1 size=7,9"},
    {.in = "2,4,4,17; 17,32,3,3", .attrs = "pad=1 stride=2 size=8,8"},
    {.in = "5,11,8,32; 32,64,3,3", .attrs = "pad=1 size=11,8"},
    {.in = "5,13,9,64; 64,32,3,3", .attrs = "pad=2,0 size=11,11"},
    {.in = "1,28,27,16; 16,48,3,3", .attrs = "pad=1 size=28,27"},
    {.in = "2,4,4,17; 17,32,3,3", .attrs = "pad=1 stride=2 size=7,7"},
    {.in = "1,4,9,31; 31,15,3,3", .attrs = "stride=2,1 pad=0,1 size=9,9"},
    {.in = "2,11,8,7; 7,5,3,2", .attrs = "dilation=2,3 pad=2 size=11,7"},
    {.in = "2,8,8,12; 12,2,3,3", .attrs = "groups=4 pad=1 size=8,8"},
    {.in = "2,9,9,33; 33,1,3,3", .attrs = "groups=33 pad=1 size=9,9", .note = "depthwise"},
    {.in = "2,14,14,1; 1,2,7,7", .attrs = "pad=3 size=14,14", .note = "a spatial attention map"},
    {.in = "2,32,32,32; 32,32,3,3", .attrs = "pad=1 size=32,32", .no_grad_check = true, .note = "work enough for two"},
    {.in = "3,4,4,8; 8,16,1,1", .attrs = "stride=2 size=8,8"},
    {0}};

const fv_op_def fv_op_conv2d_grad_input = {
    .name = "conv2d_grad_input",
    .doc = "dx[n,y,x,c] = sum of dy[n,i,j,o] w[o,c,p,q] over all (i,j,p,q,o) whose tap falls on (y,x); inputs dy "
           "[N,OH,OW,O], w [O,C/groups,KH,KW]",
    .n_in = 2, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_conv2d_grad_input_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
