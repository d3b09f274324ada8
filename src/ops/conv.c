/* SPDX-License-Identifier: Apache-2.0 */
/* conv.c: geometry, shape checks and the defining sums of convolutions (Dumoulin & Visin 2016, "A guide to convolution
 * arithmetic"). The sums gather: each output element is one loop over what it depends on. */
#include "ops/conv.h"

#include "ops/activation.h"

const char *const fv_pad_mode_names[] = {"zeros", NULL};

static int64_t pick(fv_int_list list, int i, int64_t missing) {
  return list.n == 0 ? missing : list.v[i < list.n ? i : list.n - 1];
}

fv_conv_geometry fv_conv_geometry_of(const fv_conv_window *a, fv_shape image, fv_shape maps, fv_shape weight) {
  bool flat = image.ndim == 3;
  int x = flat ? 0 : 1; /* which entry of the lists belongs to W */
  return (fv_conv_geometry){
      .n = image.dim[0], .h = flat ? 1 : image.dim[1], .w = image.dim[flat ? 1 : 2], .c = image.dim[flat ? 2 : 3],
      .oh = flat ? 1 : maps.dim[1], .ow = maps.dim[flat ? 1 : 2], .o = maps.dim[flat ? 2 : 3],
      .kh = flat ? 1 : weight.dim[2], .kw = weight.dim[flat ? 2 : 3],
      .sh = flat ? 1 : pick(a->stride, 0, 1), .sw = pick(a->stride, x, 1),
      .ph = flat ? 0 : pick(a->pad, 0, 0), .pw = pick(a->pad, x, 0),
      .dh = flat ? 1 : pick(a->dilation, 0, 1), .dw = pick(a->dilation, x, 1),
      .groups = a->groups > 0 ? a->groups : 1};
}

double fv_conv_flops(const fv_conv_geometry *q) {
  return 2.0 * (double)q->n * (double)q->oh * (double)q->ow * (double)q->o * (double)(q->c / q->groups) *
         (double)q->kh * (double)q->kw;
}

static int64_t reach(const fv_conv_window *a, int i, int64_t taps) {
  return taps > 0 ? (taps - 1) * pick(a->dilation, i, 1) + 1 : 0;
}

int64_t fv_conv_out(const fv_conv_window *a, int i, int64_t size, int64_t taps) {
  int64_t room = size + 2 * pick(a->pad, i, 0) - reach(a, i, taps);
  return room < 0 ? 0 : room / pick(a->stride, i, 1) + 1;
}

int64_t fv_conv_in(const fv_conv_window *a, int i, int64_t maps, int64_t taps, int64_t extra) {
  return (maps - 1) * pick(a->stride, i, 1) + reach(a, i, taps) - 2 * pick(a->pad, i, 0) + extra;
}

fv_status fv_conv_check(fv_infer *c, const fv_conv_window *a, int ndim, bool transposed) {
  fv_shape x = c->in[0]->shape, w = c->in[1]->shape;
  const char *layout = ndim == 3 ? "[N,L,C]" : "[N,H,W,C]";
  FV_INFER_REQUIRE(c, x.ndim == ndim, "input: expected %s, got %s", layout, fv_shape_text(x));
  FV_INFER_REQUIRE(c, w.ndim == ndim, "weight: expected %s, got %s",
                   ndim == 3 ? "[O,I/groups,K]" : "[O,I/groups,KH,KW]", fv_shape_text(w));
  FV_INFER_REQUIRE(c, c->in[1]->dtype == c->in[0]->dtype && c->in[0]->dtype <= FV_F64,
                   "weight: expected real numbers of the input's type %s, got %s", fv_dtype_name(c->in[0]->dtype),
                   fv_dtype_name(c->in[1]->dtype));
  int64_t dirs = ndim - 2;
  FV_INFER_REQUIRE(c, a->stride.n <= dirs && a->pad.n <= dirs && a->dilation.n <= dirs,
                   "stride, pad, dilation: expected at most %d numbers each, got %d, %d, %d", (int)dirs,
                   (int)a->stride.n, (int)a->pad.n, (int)a->dilation.n);
  FV_INFER_REQUIRE(c, w.dim[0] % a->groups == 0, "weight: expected outputs in %lld equal groups, got %s",
                   (long long)a->groups, fv_shape_text(w));
  for (int i = 2; i < ndim; i++)
    FV_INFER_REQUIRE(c, w.dim[i] >= 1 && w.dim[i] <= FV_CONV_MAX && x.dim[i - 1] <= INT32_MAX,
                     "weight: expected 1 to %d taps over at most %d pixels, got %s over %s", FV_CONV_MAX, INT32_MAX,
                     fv_shape_text(w), fv_shape_text(x));
  bool wide = w.dim[1] > INT32_MAX;
  int64_t channels = transposed ? w.dim[0] : wide ? -1 : w.dim[1] * a->groups;
  FV_INFER_REQUIRE(c, !wide && x.dim[ndim - 1] == channels,
                   "input: expected %lld channels to go with weight %s in %lld groups, got %s", (long long)channels,
                   fv_shape_text(w), (long long)a->groups, fv_shape_text(x));
  return FV_OK;
}

fv_status fv_layer_check_extras(fv_infer *c, int64_t o) {
  if (fv_has_in(c, 2))
    FV_INFER_REQUIRE(c, fv_shape_equal(c->in[2]->shape, FV_SHAPE(o)) && c->in[2]->dtype == c->dtype[0],
                     "bias: expected [%lld] of type %s, got %s of type %s", (long long)o, fv_dtype_name(c->dtype[0]),
                     fv_shape_text(c->in[2]->shape), fv_dtype_name(c->in[2]->dtype));
  if (fv_has_in(c, 3))
    FV_INFER_REQUIRE(c, fv_shape_equal(c->in[3]->shape, c->shape[0]) && c->in[3]->dtype == c->dtype[0],
                     "residual: expected the output's shape %s, got %s", fv_shape_text(c->shape[0]),
                     fv_shape_text(c->in[3]->shape));
  return FV_OK;
}

double fv_layer_finish(const fv_call *c, int64_t act, double v, int64_t o, int64_t i) {
  if (c->n_in > 2 && c->in[2].data) v += fv_get(&c->in[2], o);
  if (c->n_in > 3 && c->in[3].data) v += fv_get(&c->in[3], i);
  return fv_activate(act, v);
}

double fv_conv_maps_at(const fv_conv_geometry *q, const fv_tensor *image, const fv_tensor *weight, int64_t i) {
  int64_t o = i % q->o, ox = i / q->o % q->ow, oy = i / q->o / q->ow % q->oh, n = i / q->o / q->ow / q->oh;
  int64_t cg = q->c / q->groups, first = o / (q->o / q->groups) * cg;
  double sum = 0;
  for (int64_t ky = 0; ky < q->kh; ky++) {
    for (int64_t kx = 0; kx < q->kw; kx++) {
      int64_t y = oy * q->sh - q->ph + ky * q->dh, x = ox * q->sw - q->pw + kx * q->dw;
      if (y < 0 || y >= q->h || x < 0 || x >= q->w) continue;
      for (int64_t c = 0; c < cg; c++)
        sum += fv_get(image, ((n * q->h + y) * q->w + x) * q->c + first + c) *
               fv_get(weight, ((o * cg + c) * q->kh + ky) * q->kw + kx);
    }
  }
  return sum;
}

double fv_conv_image_at(const fv_conv_geometry *q, const fv_tensor *maps, const fv_tensor *weight, int64_t i) {
  int64_t c = i % q->c, x = i / q->c % q->w, y = i / q->c / q->w % q->h, n = i / q->c / q->w / q->h;
  int64_t cg = q->c / q->groups, og = q->o / q->groups, first = c / cg * og;
  double sum = 0;
  for (int64_t ky = 0; ky < q->kh; ky++) {
    for (int64_t kx = 0; kx < q->kw; kx++) {
      int64_t ty = y + q->ph - ky * q->dh, tx = x + q->pw - kx * q->dw;
      if (ty < 0 || ty % q->sh || ty / q->sh >= q->oh || tx < 0 || tx % q->sw || tx / q->sw >= q->ow) continue;
      for (int64_t o = first; o < first + og; o++)
        sum += fv_get(maps, ((n * q->oh + ty / q->sh) * q->ow + tx / q->sw) * q->o + o) *
               fv_get(weight, ((o * cg + c % cg) * q->kh + ky) * q->kw + kx);
    }
  }
  return sum;
}

double fv_conv_weight_at(const fv_conv_geometry *q, const fv_tensor *image, const fv_tensor *maps, int64_t i) {
  int64_t cg = q->c / q->groups, kx = i % q->kw, ky = i / q->kw % q->kh, o = i / q->kw / q->kh / cg;
  int64_t c = o / (q->o / q->groups) * cg + i / q->kw / q->kh % cg;
  double sum = 0;
  for (int64_t n = 0; n < q->n; n++) {
    for (int64_t oy = 0; oy < q->oh; oy++) {
      for (int64_t ox = 0; ox < q->ow; ox++) {
        int64_t y = oy * q->sh - q->ph + ky * q->dh, x = ox * q->sw - q->pw + kx * q->dw;
        if (y < 0 || y >= q->h || x < 0 || x >= q->w) continue;
        sum += fv_get(image, ((n * q->h + y) * q->w + x) * q->c + c) *
               fv_get(maps, ((n * q->oh + oy) * q->ow + ox) * q->o + o);
      }
    }
  }
  return sum;
}
