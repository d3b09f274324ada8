/* SPDX-License-Identifier: Apache-2.0 */
/* conv_planes: convolutions to few channels (the spatial map of CBAM: 2 to 1, 7 x 7; ECA: 1 to 1; an image from
 * features) and their gradients, where the general method would fill a sixteenth of each vector. Here vectors run along
 * pixels: each channel becomes a plane with its padding in place, P pixels a row, and then a tap is one shift for the
 * whole image:
 *   out[f] = sum over channels and taps of weight * plane[f + ky dilation P + kx dilation],   f = y P + x.
 * What lands beyond a row's last pixel is computed and dropped. Stride 1 alone. The image's gradient is the same sum
 * over padded maps with the taps turned round; the weight's is a dot product of shifted planes, one a tap. */
#include "cpu/finish.h"
#include "cpu/planes.h"
#include "ops/conv1d.h"
#include "ops/conv2d.h"
#include "ops/conv2d_grad_input.h"
#include "ops/conv2d_grad_weight.h"

enum { STRIP = 8 * FV_W, TAPS_AT_ONCE = 8 };
enum { FEW = 4, SOME = 64, ROOM = 1 << 18 }; /* where this is faster than oneDNN: channels, floats in planes */

typedef struct stencil {
  int64_t images, in, out;       /* planes */
  int64_t in_h, in_w, out_h, out_w, pad_h, pad_w;
  int64_t kh, kw, step_y, step_x; /* between taps: floats in a plane */
  int64_t pitch, flat, plane;    /* floats: of a row, of the results, of a padded plane */
} stencil;

static stencil complete(stencil s, int64_t dh, int64_t dw) {
  s.pitch = s.out_w + (s.kw - 1) * dw;
  s.step_y = dh * s.pitch;
  s.step_x = dw;
  s.flat = fv_round_up(s.out_h * s.pitch, STRIP);
  s.plane = fv_round_up(s.flat + (s.kh - 1) * s.step_y + (s.kw - 1) * s.step_x, FV_W);
  return s;
}

static stencil forward(const fv_conv_geometry *q) {
  stencil s = {.images = q->n, .in = q->c, .out = q->o, .in_h = q->h, .in_w = q->w, .out_h = q->oh, .out_w = q->ow,
               .pad_h = q->ph, .pad_w = q->pw, .kh = q->kh, .kw = q->kw};
  return complete(s, q->dh, q->dw);
}

static stencil backward(const fv_conv_geometry *q) {
  stencil s = {.images = q->n, .in = q->o, .out = q->c, .in_h = q->oh, .in_w = q->ow, .out_h = q->h, .out_w = q->w,
               .pad_h = (q->kh - 1) * q->dh - q->ph, .pad_w = (q->kw - 1) * q->dw - q->pw, .kh = q->kh, .kw = q->kw};
  return complete(s, q->dh, q->dw);
}

/* One plane of results: `weight` is [in,kh,kw]. */
static void correlate(const stencil *s, const float *planes, const float *weight, float *out) {
  for (int64_t f = 0; f < s->flat; f += STRIP) {
    fv_f32v sum[STRIP / FV_W] = {0};
    const float *w = weight;
    for (int64_t c = 0; c < s->in; c++)
      for (int64_t ky = 0; ky < s->kh; ky++)
        for (int64_t kx = 0; kx < s->kw; kx++, w++) {
          const float *from = planes + c * s->plane + f + ky * s->step_y + kx * s->step_x;
          fv_f32v v = fv_vsplat(*w);
          for (int j = 0; j < STRIP / FV_W; j++) sum[j] = fv_vfma(v, fv_vload(from + j * FV_W), sum[j]);
        }
    for (int j = 0; j < STRIP / FV_W; j++) fv_vstore(out + f + j * FV_W, sum[j]);
  }
}

static void store_plane(const stencil *s, const float *flat, float bias, int64_t channel, float *image) {
  for (int64_t y = 0; y < s->out_h; y++)
    for (int64_t x = 0; x < s->out_w; x++)
      image[(y * s->out_w + x) * s->out + channel] = flat[y * s->pitch + x] + bias;
}

/* `weight` is [out,in,kh,kw]; scratch: the input's planes, then one of results. */
static void run_stencil(const stencil *s, const float *in, const float *weight, const float *bias, float *out,
                        float *scratch) {
  float *flat = scratch + s->in * s->plane;
  for (int64_t n = 0; n < s->images; n++) {
    for (int64_t c = 0; c < s->in; c++)
      fv_to_plane(in + n * s->in_h * s->in_w * s->in, s->in_h, s->in_w, s->in, c, s->pad_h, s->pad_w, s->pitch,
                  s->plane, scratch + c * s->plane);
    for (int64_t o = 0; o < s->out; o++) {
      correlate(s, scratch, weight + o * s->in * s->kh * s->kw, flat);
      store_plane(s, flat, bias ? bias[o] : 0, o, out + n * s->out_h * s->out_w * s->out);
    }
  }
}

static int64_t stencil_bytes(const stencil *s) { return (s->in * s->plane + s->flat) * (int64_t)sizeof(float); }

static bool fits(stencil s) { return s.plane <= ROOM && (s.in + s.out) * s.plane <= ROOM; }

static bool plain(const fv_node *n, const fv_conv_geometry *q) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]->kind != FV_VALUE_ABSENT && (n->in[i]->dtype != FV_F32 || fv_shape_count(n->in[i]->shape) == 0))
      return false;
  return q->groups == 1 && q->sh == 1 && q->sw == 1 && q->kh * q->kw > 1 && fv_shape_count(n->out[0]->shape) > 0;
}

/* ---- the convolution --------------------------------------------------------------------------------------------- */
static fv_conv_geometry conv_geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->out[0]->shape, n->in[1]->shape);
}

static bool conv_can(const fv_node *n) {
  fv_conv_geometry q = conv_geometry(n);
  return plain(n, &q) && q.o <= FEW && q.c <= SOME && fits(forward(&q));
}

static int64_t conv_scratch(const fv_node *n) {
  fv_conv_geometry q = conv_geometry(n);
  stencil s = forward(&q);
  return stencil_bytes(&s);
}

static void conv_run(const fv_call *c) {
  fv_conv_geometry q = conv_geometry(c->node);
  stencil s = forward(&q);
  const float *bias = c->n_in > 2 ? c->in[2].data : NULL, *residual = c->n_in > 3 ? c->in[3].data : NULL;
  run_stencil(&s, c->in[0].data, c->in[1].data, bias, c->out[0].data, c->scratch);
  fv_finish(((const fv_conv2d_attrs *)c->attrs)->act, residual, c->out[0].data, fv_shape_count(c->out[0].shape));
}

/* ---- the image's gradient ---------------------------------------------------------------------------------------- */
static fv_conv_geometry input_geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->out[0]->shape, n->in[0]->shape, n->in[1]->shape);
}

static bool input_can(const fv_node *n) {
  fv_conv_geometry q = input_geometry(n);
  return plain(n, &q) && q.c <= FEW && q.o <= SOME && q.ph <= (q.kh - 1) * q.dh && q.pw <= (q.kw - 1) * q.dw &&
         fits(backward(&q));
}

static int64_t input_scratch(const fv_node *n) {
  fv_conv_geometry q = input_geometry(n);
  stencil s = backward(&q);
  return stencil_bytes(&s) + q.o * q.c * q.kh * q.kw * (int64_t)sizeof(float);
}

static void input_run(const fv_call *c) {
  fv_conv_geometry q = input_geometry(c->node);
  stencil s = backward(&q);
  const float *w = c->in[1].data;
  float *turned = (float *)c->scratch + s.in * s.plane + s.flat;
  int64_t taps = q.kh * q.kw;
  for (int64_t o = 0; o < q.o; o++)
    for (int64_t ch = 0; ch < q.c; ch++)
      for (int64_t t = 0; t < taps; t++) turned[(ch * q.o + o) * taps + t] = w[(o * q.c + ch) * taps + taps - 1 - t];
  run_stencil(&s, c->in[0].data, turned, NULL, c->out[0].data, c->scratch);
}

/* ---- the weight's gradient --------------------------------------------------------------------------------------- */
static fv_conv_geometry weight_geometry(const fv_node *n) {
  return fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->in[1]->shape, n->out[0]->shape);
}

static bool weight_can(const fv_node *n) {
  fv_conv_geometry q = weight_geometry(n);
  return plain(n, &q) && (q.c * q.o <= 2 * FEW || (q.o == 1 && q.c <= SOME)) && fits(forward(&q));
}

/* Planes of the image and of the maps, then a vector of partial sums for each weight and each bias. */
static int64_t weight_scratch(const fv_node *n) {
  fv_conv_geometry q = weight_geometry(n);
  stencil s = forward(&q);
  return (s.in * s.plane + s.out * s.flat + (s.out * s.in * s.kh * s.kw + s.out) * FV_W) * (int64_t)sizeof(float);
}

/* sum[j] += maps . plane shifted by j taps; n is a constant where this is called. */
static inline __attribute__((always_inline)) void dot_taps(const stencil *s, const float *maps, const float *plane,
                                                           float *sum, int n) {
  fv_f32v t[TAPS_AT_ONCE];
  for (int j = 0; j < n; j++) t[j] = fv_vload(sum + j * FV_W);
  for (int64_t f = 0; f < s->flat; f += FV_W) {
    fv_f32v m = fv_vload(maps + f);
    for (int j = 0; j < n; j++) t[j] = fv_vfma(m, fv_vload(plane + f + j * s->step_x), t[j]);
  }
  for (int j = 0; j < n; j++) fv_vstore(sum + j * FV_W, t[j]);
}

static void dot_row(const stencil *s, const float *maps, const float *plane, float *sum) {
  int64_t kx = 0;
  for (; kx + TAPS_AT_ONCE <= s->kw; kx += TAPS_AT_ONCE)
    dot_taps(s, maps, plane + kx * s->step_x, sum + kx * FV_W, TAPS_AT_ONCE);
  plane += kx * s->step_x;
  sum += kx * FV_W;
  switch (s->kw - kx) {
    case 7: dot_taps(s, maps, plane, sum, 7); break;
    case 6: dot_taps(s, maps, plane, sum, 6); break;
    case 5: dot_taps(s, maps, plane, sum, 5); break;
    case 4: dot_taps(s, maps, plane, sum, 4); break;
    case 3: dot_taps(s, maps, plane, sum, 3); break;
    case 2: dot_taps(s, maps, plane, sum, 2); break;
    case 1: dot_taps(s, maps, plane, sum, 1); break;
    default: break;
  }
}

static void add_plane(const float *maps, int64_t flat, float *sum) {
  fv_f32v t = fv_vload(sum);
  for (int64_t f = 0; f < flat; f += FV_W) t = fv_vadd(t, fv_vload(maps + f));
  fv_vstore(sum, t);
}

static void weight_run(const fv_call *c) {
  fv_conv_geometry q = weight_geometry(c->node);
  stencil s = forward(&q);
  int64_t taps = s.kh * s.kw, weights = s.out * s.in * taps;
  float *planes = c->scratch, *maps = planes + s.in * s.plane, *sum = maps + s.out * s.flat,
        *bias = sum + weights * FV_W;
  memset(sum, 0, (size_t)(weights + s.out) * FV_W * sizeof *sum);
  for (int64_t n = 0; n < s.images; n++) {
    for (int64_t i = 0; i < s.in; i++)
      fv_to_plane((const float *)c->in[0].data + n * s.in_h * s.in_w * s.in, s.in_h, s.in_w, s.in, i, s.pad_h, s.pad_w,
                  s.pitch, s.plane, planes + i * s.plane);
    for (int64_t o = 0; o < s.out; o++) {
      float *m = maps + o * s.flat;
      fv_to_plane((const float *)c->in[1].data + n * s.out_h * s.out_w * s.out, s.out_h, s.out_w, s.out, o, 0, 0,
                  s.pitch, s.flat, m);
      for (int64_t i = 0; i < s.in; i++)
        for (int64_t ky = 0; ky < s.kh; ky++)
          dot_row(&s, m, planes + i * s.plane + ky * s.step_y, sum + ((o * s.in + i) * taps + ky * s.kw) * FV_W);
      if (c->n_out > 1) add_plane(m, s.flat, bias + o * FV_W);
    }
  }
  for (int64_t i = 0; i < weights; i++) ((float *)c->out[0].data)[i] = fv_vsum(fv_vload(sum + i * FV_W));
  for (int64_t o = 0; c->n_out > 1 && o < s.out; o++) ((float *)c->out[1].data)[o] = fv_vsum(fv_vload(bias + o * FV_W));
}

#define ROW(op_, what)                                                                                          \
  {.op = op_, .name = "planes", .isa = FV_ISA_LEVEL, .priority = 20, .can = what##_can, .scratch = what##_scratch, \
   .run = what##_run}
const fv_kernel FV_KERNELS(conv_planes)[] = {ROW("conv2d", conv),
                                             ROW("conv1d", conv),
                                             ROW("conv2d_grad_input", input),
                                             ROW("conv2d_grad_weight", weight),
                                             {0}};
