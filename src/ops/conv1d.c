/* SPDX-License-Identifier: Apache-2.0 */
/* conv1d: a convolution along a sequence [N,L,C], as torch.nn.functional.conv1d, channels last. Its gradients are those
 * of conv2d over images one pixel high. */
#include "ops/conv1d.h"

#include "ops/conv2d_grad_input.h"
#include "ops/conv2d_grad_weight.h"
#include "ops/reshape.h"

static const fv_option attrs[] = {FV_CONV_WINDOW_OPTIONS(fv_conv1d_attrs), FV_ACT_OPTION(fv_conv1d_attrs), {0}};

static fv_status infer(fv_infer *c) {
  const fv_conv1d_attrs *a = c->attrs;
  FV_TRY(fv_conv_check(c, &a->window, 3, false));
  fv_shape x = c->in[0]->shape, w = c->in[1]->shape;
  int64_t ol = fv_conv_out(&a->window, 0, x.dim[1], w.dim[2]);
  FV_INFER_REQUIRE(c, ol > 0, "input: expected a sequence (with padding) no shorter than the window %s, got %s",
                   fv_shape_text(w), fv_shape_text(x));
  c->shape[0] = FV_SHAPE(x.dim[0], ol, w.dim[0]);
  return fv_layer_check_extras(c, w.dim[0]);
}

static fv_conv_geometry geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->out[0]->shape, n->in[1]->shape);
}

/* The same window over an image one pixel high. */
static fv_conv_window flat(const fv_conv_geometry *q) {
  return (fv_conv_window){.stride = {2, {1, q->sw}}, .pad = {2, {0, q->pw}}, .dilation = {2, {1, q->dw}},
                          .groups = q->groups};
}

static fv_status grad(fv_grad *c) {
  const fv_conv1d_attrs *a = c->node->attrs;
  fv_value *x = c->node->in[0], *w = c->node->in[1];
  FV_TRY(fv_refuse_act(c, a->act));
  fv_conv_geometry q = geometry(c->node);
  fv_value *dy = fv_reshape_to(c->g, c->dout[0], FV_SHAPE(q.n, 1, q.ow, q.o));
  if (c->need[0]) {
    fv_conv2d_grad_input_attrs gi = {.window = flat(&q), .size = {2, {1, q.w}}};
    fv_value *w4 = fv_reshape_to(c->g, w, FV_SHAPE(q.o, fv_dim(w, 1), 1, q.kw));
    c->din[0] = fv_reshape_to(c->g, fv_op(c->g, "conv2d_grad_input", &gi, dy, w4), x->shape);
  }
  if (c->need[1]) {
    fv_conv2d_grad_weight_attrs gw = {.window = flat(&q), .kernel = {2, {1, q.kw}}};
    fv_value *x4 = fv_reshape_to(c->g, x, FV_SHAPE(q.n, 1, q.w, q.c));
    c->din[1] = fv_reshape_to(c->g, fv_op(c->g, "conv2d_grad_weight", &gw, x4, dy), w->shape);
  }
  if (c->node->n_in > 2 && c->need[2]) c->din[2] = fv_sum_to(c->g, c->dout[0], c->node->in[2]->shape);
  if (c->node->n_in > 3 && c->need[3]) c->din[3] = c->dout[0];
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_conv1d_attrs *a = c->attrs;
  fv_conv_geometry q = geometry(c->node);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++)
    fv_set(&c->out[0], i, fv_layer_finish(c, a->act, fv_conv_maps_at(&q, &c->in[0], &c->in[1], i), i % q.o, i));
}

static fv_cost cost(const fv_node *n) {
  fv_conv_geometry q = geometry(n);
  return (fv_cost){fv_conv_flops(&q), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,11,5; 7,5,3; 7", .attrs = "pad=1"},
    {.in = "1,1,1; 1,1,1", .attrs = ""},
    {.in = "0,8,3; 2,3,3", .attrs = ""},
    {.in = "3,17,16; 32,16,5; 32", .attrs = "pad=2 stride=2"},
    {.in = "2,31,17; 15,17,3", .attrs = "dilation=4 pad=4"},
    {.in = "2,16,8; 8,4,3; 8", .attrs = "groups=2"},
    {.in = "2,13,16; 16,1,3; 16", .attrs = "groups=16 pad=1", .note = "depthwise"},
    {.in = "4,32,1; 1,1,5", .attrs = "pad=2", .note = "efficient channel attention"},
    {.in = "2,9,8; 8,8,3; 8; 2,9,8", .attrs = "pad=1"},
    {.in = "2,9,8; 8,8,3; 8; 2,9,8", .attrs = "pad=1 act=gelu", .no_grad_check = true, .note = "fused"},
    {0}};

const fv_op_def fv_op_conv1d = {
    .name = "conv1d",
    .doc = "y[n,i,o] = act(sum over c,p of x[n, i stride - pad + p dilation, c] w[o,c,p] + bias[o] + residual[n,i,o]); "
           "inputs x [N,L,C], w [O,C/groups,K], bias [O]?, residual?",
    .n_in = 2, .n_in_max = 4, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_conv1d_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
