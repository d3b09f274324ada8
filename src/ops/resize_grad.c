/* SPDX-License-Identifier: Apache-2.0 */
/* resize_grad: what each output pixel took from an input pixel goes back to it. */
#include "ops/resize.h"

static const char *const modes[] = {"nearest", "bilinear", NULL};
static const fv_option attrs[] = {
    {.name = "size", .type = FV_OPT_INTS, .offset = offsetof(fv_resize_attrs, size), .min = 1, .max = 1 << 20,
     .doc = "height,width of the input the gradient is of; one number for both"},
    {.name = "mode", .type = FV_OPT_ENUM, .offset = offsetof(fv_resize_attrs, mode), .def = "nearest",
     .choices = modes, .doc = "as resize was told"},
    {.name = "align_corners", .type = FV_OPT_BOOL, .offset = offsetof(fv_resize_attrs, align_corners), .def = "false",
     .doc = "as resize was told"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_resize_attrs *a = c->attrs;
  const fv_value *dy = c->in[0];
  FV_INFER_REQUIRE(c, dy->shape.ndim == 4, "gradient: expected [N,H,W,C], got %s", fv_shape_text(dy->shape));
  FV_INFER_REQUIRE(c, dy->dtype == FV_F32 || dy->dtype == FV_F64, "gradient: expected real numbers, got %s",
                   fv_dtype_name(dy->dtype));
  FV_INFER_REQUIRE(c, a->size.n == 1 || a->size.n == 2, "size: expected one or two numbers, got %lld",
                   (long long)a->size.n);
  c->shape[0] = dy->shape;
  for (int i = 1; i < 3; i++) {
    FV_INFER_REQUIRE(c, dy->shape.dim[i] >= 1 && dy->shape.dim[i] <= 1 << 20,
                     "gradient: expected height and width from 1 to 2^20, got %s", fv_shape_text(dy->shape));
    c->shape[0].dim[i] = a->size.v[a->size.n == 1 ? 0 : i - 1];
  }
  return FV_OK;
}

static void add(const fv_tensor *t, int64_t i, double v) { fv_set(t, i, fv_get(t, i) + v); }

static void ref(const fv_call *c) {
  const fv_shape y = c->in[0].shape, x = c->out[0].shape;
  const int64_t n = fv_shape_count(y), ch = x.dim[3], m = fv_shape_count(x);
  for (int64_t i = 0; i < m; i++) fv_set(&c->out[0], i, 0);
  for (int64_t i = 0; i < n; i++) {
    const fv_resize_tap v = fv_resize_tap_of(c->attrs, x.dim[1], y.dim[1], i / ch / y.dim[2] % y.dim[1]);
    const fv_resize_tap u = fv_resize_tap_of(c->attrs, x.dim[2], y.dim[2], i / ch % y.dim[2]);
    const int64_t plane = i / ch / y.dim[2] / y.dim[1] * x.dim[1];
    const int64_t r0 = (plane + v.i0) * x.dim[2], r1 = (plane + v.i1) * x.dim[2];
    const double d = fv_get(&c->in[0], i);
    add(&c->out[0], (r0 + u.i0) * ch + i % ch, d * v.w0 * u.w0);
    add(&c->out[0], (r0 + u.i1) * ch + i % ch, d * v.w0 * u.w1);
    add(&c->out[0], (r1 + u.i0) * ch + i % ch, d * v.w1 * u.w0);
    add(&c->out[0], (r1 + u.i1) * ch + i % ch, d * v.w1 * u.w1);
  }
}

static fv_cost cost(const fv_node *n) {
  const bool bilinear = ((const fv_resize_attrs *)n->attrs)->mode == FV_RESIZE_BILINEAR;
  return (fv_cost){.flops = (bilinear ? 12.0 : 1.0) * (double)fv_shape_count(n->in[0]->shape), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,8,10,16", .attrs = "size=4,5"},
    {.in = "1,10,3,3", .attrs = "size=7,5"},
    {.in = "1,7,5,17", .attrs = "size=7,5 mode=bilinear"},
    {.in = "2,8,10,16", .attrs = "size=4,5 mode=bilinear"},
    {.in = "1,10,3,3", .attrs = "size=7,5 mode=bilinear"},
    {.in = "1,5,5,1", .attrs = "size=13,11 mode=bilinear"},
    {.in = "2,7,9,33", .attrs = "size=3,4 mode=bilinear align_corners=true"},
    {.in = "1,1,3,5", .attrs = "size=9,8 mode=bilinear align_corners=true"},
    {.in = "1,3,4,15", .attrs = "size=1 mode=bilinear"},
    {.in = "0,4,4,2", .attrs = "size=3 mode=bilinear"},
    {0}};

const fv_op_def fv_op_resize_grad = {
    .name = "resize_grad",
    .doc = "dx[n,h,w,c] = sum of dy over the output pixels that look at h, w, times their weights",
    .n_in = 1,
    .attrs_size = sizeof(fv_resize_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = cost,
    .cases = cases};
