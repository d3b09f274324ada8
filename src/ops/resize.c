/* SPDX-License-Identifier: Apache-2.0 */
/* resize: images [N,H,W,C] to another height and width, nearest or bilinear; PyTorch's interpolate by output size. */
#include "ops/resize.h"

static const char *const modes[] = {"nearest", "bilinear", NULL};
static const fv_option attrs[] = {
    {.name = "size", .type = FV_OPT_INTS, .offset = offsetof(fv_resize_attrs, size), .min = 1, .max = 1 << 20,
     .doc = "height,width of the result; one number for both"},
    {.name = "mode", .type = FV_OPT_ENUM, .offset = offsetof(fv_resize_attrs, mode), .def = "nearest",
     .choices = modes, .doc = "the nearest pixel, or four pixels weighted"},
    {.name = "align_corners", .type = FV_OPT_BOOL, .offset = offsetof(fv_resize_attrs, align_corners), .def = "false",
     .doc = "bilinear: corners of input and output coincide"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_resize_attrs *a = c->attrs;
  const fv_value *x = c->in[0];
  FV_INFER_REQUIRE(c, x->shape.ndim == 4, "input: expected [N,H,W,C], got %s", fv_shape_text(x->shape));
  FV_INFER_REQUIRE(c, x->dtype == FV_F32 || x->dtype == FV_F64, "input: expected real numbers, got %s",
                   fv_dtype_name(x->dtype));
  FV_INFER_REQUIRE(c, a->size.n == 1 || a->size.n == 2, "size: expected one or two numbers, got %lld",
                   (long long)a->size.n);
  c->shape[0] = x->shape;
  for (int i = 1; i < 3; i++) {
    FV_INFER_REQUIRE(c, x->shape.dim[i] >= 1 && x->shape.dim[i] <= 1 << 20,
                     "input: expected height and width from 1 to 2^20, got %s", fv_shape_text(x->shape));
    c->shape[0].dim[i] = a->size.v[a->size.n == 1 ? 0 : i - 1];
  }
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_shape x = c->node->in[0]->shape;
  fv_resize_attrs back = *(const fv_resize_attrs *)c->node->attrs;
  back.size = (fv_int_list){.n = 2, .v = {x.dim[1], x.dim[2]}};
  c->din[0] = fv_op(c->g, "resize_grad", &back, c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_shape x = c->in[0].shape, y = c->out[0].shape;
  const int64_t n = fv_shape_count(y), ch = x.dim[3];
  for (int64_t i = 0; i < n; i++) {
    const fv_resize_tap v = fv_resize_tap_of(c->attrs, x.dim[1], y.dim[1], i / ch / y.dim[2] % y.dim[1]);
    const fv_resize_tap u = fv_resize_tap_of(c->attrs, x.dim[2], y.dim[2], i / ch % y.dim[2]);
    const int64_t plane = i / ch / y.dim[2] / y.dim[1] * x.dim[1];
    const int64_t r0 = (plane + v.i0) * x.dim[2], r1 = (plane + v.i1) * x.dim[2];
    const double top = u.w0 * fv_get(&c->in[0], (r0 + u.i0) * ch + i % ch) +
                       u.w1 * fv_get(&c->in[0], (r0 + u.i1) * ch + i % ch);
    const double low = u.w0 * fv_get(&c->in[0], (r1 + u.i0) * ch + i % ch) +
                       u.w1 * fv_get(&c->in[0], (r1 + u.i1) * ch + i % ch);
    fv_set(&c->out[0], i, v.w0 * top + v.w1 * low);
  }
}

static fv_cost cost(const fv_node *n) {
  return fv_cost_elementwise(n, ((const fv_resize_attrs *)n->attrs)->mode == FV_RESIZE_BILINEAR ? 9 : 0);
}

static const fv_case cases[] = {
    {.in = "2,4,5,16", .attrs = "size=8,10"},
    {.in = "1,7,5,3", .attrs = "size=10,3"},
    {.in = "1,7,5,17", .attrs = "size=7,5 mode=bilinear"},
    {.in = "2,4,5,16", .attrs = "size=8,10 mode=bilinear"},
    {.in = "1,7,5,3", .attrs = "size=10,3 mode=bilinear"},
    {.in = "1,13,11,1", .attrs = "size=5 mode=bilinear"},
    {.in = "2,3,4,33", .attrs = "size=7,9 mode=bilinear align_corners=true"},
    {.in = "1,9,8,5", .attrs = "size=1,3 mode=bilinear align_corners=true"},
    {.in = "1,1,1,15", .attrs = "size=3,4 mode=bilinear"},
    {.in = "0,3,3,2", .attrs = "size=4 mode=bilinear"},
    {.in = "2,3,3,0", .attrs = "size=4"},
    {0}};

const fv_op_def fv_op_resize = {
    .name = "resize",
    .doc = "y[n,oh,ow,c] = x at the position of (oh, ow): the nearest pixel, or bilinear between four",
    .n_in = 1,
    .attrs_size = sizeof(fv_resize_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
