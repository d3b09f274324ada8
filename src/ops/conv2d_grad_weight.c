/* SPDX-License-Identifier: Apache-2.0 */
/* conv2d_grad_weight: the gradient of conv2d with respect to its weight and, if asked for, its bias. Linear in both
 * operands: its own gradients are convolutions again. */
#include "ops/conv2d_grad_weight.h"

#include "ops/conv2d.h"
#include "ops/conv2d_grad_input.h"

static const fv_option attrs[] = {
    FV_CONV_WINDOW_OPTIONS(fv_conv2d_grad_weight_attrs),
    {"kernel", FV_OPT_INTS, offsetof(fv_conv2d_grad_weight_attrs, kernel), "1,1", 1, FV_CONV_MAX, NULL,
     "taps: height, width"},
    {"bias", FV_OPT_BOOL, offsetof(fv_conv2d_grad_weight_attrs, bias), "false", 0, 0, NULL,
     "give the bias gradient too"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_conv2d_grad_weight_attrs *a = c->attrs;
  fv_shape x = c->in[0]->shape, y = c->in[1]->shape;
  FV_INFER_REQUIRE(c, x.ndim == 4, "input: expected [N,H,W,C], got %s", fv_shape_text(x));
  FV_INFER_REQUIRE(c, a->kernel.n == 2, "kernel: expected 2 numbers, got %d", (int)a->kernel.n);
  FV_INFER_REQUIRE(c, a->window.stride.n <= 2 && a->window.pad.n <= 2 && a->window.dilation.n <= 2,
                   "stride, pad, dilation: expected at most 2 numbers each, got %d, %d, %d", (int)a->window.stride.n,
                   (int)a->window.pad.n, (int)a->window.dilation.n);
  FV_INFER_REQUIRE(c, c->in[1]->dtype == c->in[0]->dtype && c->in[0]->dtype <= FV_F64,
                   "maps: expected real numbers of the input's type %s, got %s", fv_dtype_name(c->in[0]->dtype),
                   fv_dtype_name(c->in[1]->dtype));
  int64_t oh = fv_conv_out(&a->window, 0, x.dim[1], a->kernel.v[0]),
          ow = fv_conv_out(&a->window, 1, x.dim[2], a->kernel.v[1]);
  FV_INFER_REQUIRE(c, oh > 0 && ow > 0 && y.ndim == 4 && y.dim[0] == x.dim[0] && y.dim[1] == oh && y.dim[2] == ow,
                   "maps: expected [%lld,%lld,%lld,O] for images %s, got %s", (long long)x.dim[0], (long long)oh,
                   (long long)ow, fv_shape_text(x), fv_shape_text(y));
  FV_INFER_REQUIRE(c, x.dim[3] % a->window.groups == 0 && y.dim[3] % a->window.groups == 0,
                   "groups: expected a divisor of both channel counts %lld and %lld, got %lld", (long long)x.dim[3],
                   (long long)y.dim[3], (long long)a->window.groups);
  c->shape[0] = FV_SHAPE(y.dim[3], x.dim[3] / a->window.groups, a->kernel.v[0], a->kernel.v[1]);
  if (a->bias) {
    c->n_out = 2;
    c->dtype[1] = c->dtype[0];
    c->shape[1] = FV_SHAPE(y.dim[3]);
  }
  return FV_OK;
}

static fv_conv_geometry geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->in[1]->shape, n->out[0]->shape);
}

static fv_status grad(fv_grad *c) {
  const fv_conv2d_grad_weight_attrs *a = c->node->attrs;
  fv_value *x = c->node->in[0], *dy = c->node->in[1], *up = c->dout[0];
  fv_value *up_bias = c->node->n_out > 1 ? c->dout[1] : NULL;
  if (c->need[0] && up) {
    fv_conv2d_grad_input_attrs gi = {.window = a->window, .size = {2, {fv_dim(x, 1), fv_dim(x, 2)}}};
    c->din[0] = fv_op(c->g, "conv2d_grad_input", &gi, dy, up);
  }
  if (!c->need[1]) return FV_OK;
  if (up) c->din[1] = fv_op(c->g, "conv2d", &(fv_conv2d_attrs){.window = a->window}, x, up);
  if (up && up_bias) c->din[1] = fv_op(c->g, "add", NULL, c->din[1], up_bias);
  if (!up && up_bias) c->din[1] = fv_op(c->g, "add", NULL, fv_op(c->g, "mul", NULL, dy, fv_const(c->g, 0)), up_bias);
  return FV_OK;
}

static void ref(const fv_call *c) {
  fv_conv_geometry q = geometry(c->node);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++)
    fv_set(&c->out[0], i, fv_conv_weight_at(&q, &c->in[0], &c->in[1], i));
  if (c->n_out < 2) return;
  for (int64_t o = 0; o < q.o; o++) {
    double sum = 0;
    for (int64_t i = 0; i < q.n * q.oh * q.ow; i++) sum += fv_get(&c->in[1], i * q.o + o);
    fv_set(&c->out[1], o, sum);
  }
}

static fv_cost cost(const fv_node *n) {
  fv_conv_geometry q = geometry(n);
  return (fv_cost){fv_conv_flops(&q), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,6,5,3; 2,6,5,4", .attrs = "pad=1 kernel=3,3 bias=true"},
    {.in = "1,1,1,1; 1,1,1,1", .attrs = "kernel=1,1"},
    {.in = "0,4,4,3; 0,2,2,2", .attrs = "kernel=3,3 bias=true", .note = "no images: zeros"},
    {.in = "2,7,9,16; 2,7,9,16", .attrs = "pad=1 kernel=3,3"},
    {.in = "5,11,8,32; 5,11,8,64", .attrs = "pad=1 kernel=3,3 bias=true"},
    {.in = "5,11,11,64; 5,13,9,32", .attrs = "pad=2,0 kernel=3,3"},
    {.in = "1,28,27,16; 1,28,27,48", .attrs = "pad=1 kernel=3,3 bias=true"},
    {.in = "2,8,8,32; 2,4,4,17", .attrs = "pad=1 stride=2 kernel=3,3 bias=true"},
    {.in = "1,9,9,15; 1,4,9,31", .attrs = "stride=2,1 pad=0,1 kernel=3,3 bias=true"},
    {.in = "2,11,7,5; 2,11,8,7", .attrs = "dilation=2,3 pad=2 kernel=3,2"},
    {.in = "2,8,8,8; 2,8,8,12", .attrs = "groups=4 pad=1 kernel=3,3 bias=true"},
    {.in = "2,9,9,33; 2,9,9,33", .attrs = "groups=33 pad=1 kernel=3,3", .note = "depthwise"},
    {.in = "2,10,10,1; 2,10,10,32", .attrs = "pad=1 kernel=3,3 bias=true", .note = "a grey image"},
    {.in = "1,9,8,3; 1,5,4,41", .attrs = "pad=1 kernel=3,3 stride=2 bias=true", .note = "a colour image"},
    {.in = "2,9,8,2; 2,7,8,47", .attrs = "dilation=1,2 pad=1,1 kernel=5,2"},
    {.in = "2,14,14,2; 2,14,14,1", .attrs = "pad=3 kernel=7,7 bias=true", .note = "a spatial attention map"},
    {.in = "3,8,8,16; 3,4,4,8", .attrs = "stride=2 kernel=1,1"},
    {0}};

const fv_op_def fv_op_conv2d_grad_weight = {
    .name = "conv2d_grad_weight",
    .doc = "dw[o,c,p,q] = sum over n,i,j of dy[n,i,j,o] x[n, i stride - pad + p dilation, j stride - pad + q dilation, "
           "c]; with bias=true also dbias[o] = sum of dy[..,o]; inputs x [N,H,W,C], dy [N,OH,OW,O]",
    .n_in = 2, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_conv2d_grad_weight_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
