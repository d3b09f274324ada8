/* SPDX-License-Identifier: Apache-2.0 */
/* conv_transpose2d: the adjoint of conv2d used as a layer, as torch.nn.functional.conv_transpose2d, channels last. Its
 * input plays the maps and its output the image, so that its gradients are conv2d and conv2d_grad_weight exactly. */
#include "ops/conv_transpose2d.h"

#include "ops/conv2d.h"
#include "ops/conv2d_grad_weight.h"

static const fv_option attrs[] = {
    FV_CONV_WINDOW_OPTIONS(fv_conv_transpose2d_attrs),
    {"output_padding", FV_OPT_INTS, offsetof(fv_conv_transpose2d_attrs, output_padding), "0", 0, FV_CONV_MAX, NULL,
     "pixels added at the bottom and right of the smallest output; below the stride or the dilation"},
    {0}};

static int64_t at(fv_int_list list, int i, int64_t missing) {
  return list.n == 0 ? missing : list.v[i < list.n ? i : list.n - 1];
}

static fv_status infer(fv_infer *c) {
  const fv_conv_transpose2d_attrs *a = c->attrs;
  FV_TRY(fv_conv_check(c, &a->window, 4, true));
  fv_shape x = c->in[0]->shape, w = c->in[1]->shape;
  FV_INFER_REQUIRE(c, a->output_padding.n <= 2, "output_padding: expected at most 2 numbers, got %d",
                   (int)a->output_padding.n);
  int64_t size[2];
  for (int i = 0; i < 2; i++) {
    int64_t extra = at(a->output_padding, i, 0), stride = at(a->window.stride, i, 1);
    FV_INFER_REQUIRE(c, extra < FV_MAX(stride, at(a->window.dilation, i, 1)),
                     "output_padding: expected less than stride or dilation, got %lld", (long long)extra);
    size[i] = fv_conv_in(&a->window, i, x.dim[i + 1], w.dim[i + 2], extra);
    FV_INFER_REQUIRE(c, x.dim[i + 1] > 0 && size[i] > 0, "input: expected maps of an image of at least 1 pixel, got %s",
                     fv_shape_text(x));
  }
  c->shape[0] = FV_SHAPE(x.dim[0], size[0], size[1], w.dim[1] * a->window.groups);
  return fv_layer_check_extras(c, c->shape[0].dim[3]);
}

static fv_conv_geometry geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->out[0]->shape, n->in[0]->shape, n->in[1]->shape);
}

static fv_status grad(fv_grad *c) {
  const fv_conv_transpose2d_attrs *a = c->node->attrs;
  fv_value *x = c->node->in[0], *w = c->node->in[1], *dy = c->dout[0];
  /* With output_padding at or above the stride, conv2d over the output would give more maps than the input has. */
  for (int i = 0; i < 2; i++)
    FV_REQUIRE(at(a->output_padding, i, 0) < at(a->window.stride, i, 1), FV_ERR_REQUEST,
               "conv_transpose2d (%s): output_padding: expected less than the stride in a graph to be differentiated, "
               "got %lld",
               c->node->name, (long long)at(a->output_padding, i, 0));
  if (c->need[0]) c->din[0] = fv_op(c->g, "conv2d", &(fv_conv2d_attrs){.window = a->window}, dy, w);
  if (c->need[1]) {
    fv_conv2d_grad_weight_attrs gw = {.window = a->window, .kernel = {2, {fv_dim(w, 2), fv_dim(w, 3)}}};
    c->din[1] = fv_op(c->g, "conv2d_grad_weight", &gw, dy, x);
  }
  if (c->node->n_in > 2 && c->need[2]) c->din[2] = fv_sum_to(c->g, dy, c->node->in[2]->shape);
  return FV_OK;
}

static void ref(const fv_call *c) {
  fv_conv_geometry q = geometry(c->node);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++)
    fv_set(&c->out[0], i, fv_layer_finish(c, FV_ACT_NONE, fv_conv_image_at(&q, &c->in[0], &c->in[1], i), i % q.c, i));
}

static fv_cost cost(const fv_node *n) {
  fv_conv_geometry q = geometry(n);
  return (fv_cost){fv_conv_flops(&q), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,4,5,3; 3,4,3,3; 4", .attrs = ""},
    {.in = "1,1,1,1; 1,1,1,1", .attrs = ""},
    {.in = "0,4,4,3; 3,2,3,3", .attrs = ""},
    {.in = "2,4,4,16; 16,8,4,4; 8", .attrs = "stride=2 pad=1"},
    {.in = "2,4,3,17; 17,15,3,3; 15", .attrs = "stride=2,3 pad=1 output_padding=1,2"},
    {.in = "2,5,5,5; 5,7,3,2", .attrs = "dilation=2,3 pad=2"},
    {.in = "2,4,4,8; 8,3,2,2; 12", .attrs = "groups=4 stride=2"},
    {.in = "2,7,7,4; 4,4,3,3; 4", .attrs = "pad=1"},
    {0}};

const fv_op_def fv_op_conv_transpose2d = {
    .name = "conv_transpose2d",
    .doc = "y[n, i stride - pad + p dilation, j stride - pad + q dilation, o] += x[n,i,j,c] w[c,o,p,q], "
           "from bias[o]; inputs x [N,H,W,C], w [C,O/groups,KH,KW], bias [O]?",
    .n_in = 2, .n_in_max = 3, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_conv_transpose2d_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
