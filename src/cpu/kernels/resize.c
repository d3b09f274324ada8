/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c: resize and its gradient, a vector of channels at a time. Where each row and column looks is worked out
 * once, in prepare. A unit is one row of the output: of y forward; of dx backward, which collects from the rows of dy
 * that looked at it. */
#include "cpu/simd.h"
#include "ops/resize.h"

typedef struct taps {
  fv_resize_tap *h, *w; /* where each row and each column of y looks */
} taps;

static void release(void *state) {
  taps *t = state;
  if (!t) return;
  fv_free(t->h);
  fv_free(t->w);
  fv_free(t);
}

static fv_status tabulate(const fv_node *n, fv_shape x, fv_shape y, void **state) {
  fv_status status;
  taps *t = NULL;
  FV_TRY_DONE(FV_NEW(&t, 1));
  FV_TRY_DONE(FV_NEW(&t->h, y.dim[1]));
  FV_TRY_DONE(FV_NEW(&t->w, y.dim[2]));
  for (int64_t i = 0; i < y.dim[1]; i++) t->h[i] = fv_resize_tap_of(n->attrs, x.dim[1], y.dim[1], i);
  for (int64_t i = 0; i < y.dim[2]; i++) t->w[i] = fv_resize_tap_of(n->attrs, x.dim[2], y.dim[2], i);
  *state = t;
  return FV_OK;
done:
  release(t);
  return status;
}
static fv_status prepare(const fv_node *n, void **state) {
  return tabulate(n, n->in[0]->shape, n->out[0]->shape, state);
}
static fv_status prepare_grad(const fv_node *n, void **state) {
  return tabulate(n, n->out[0]->shape, n->in[0]->shape, state);
}
static int64_t units(const fv_node *n) { return n->out[0]->shape.dim[0] * n->out[0]->shape.dim[1]; }

/* ---- forward ----------------------------------------------------------------------------------------------------- */
static inline fv_f32v across(const float *row, const fv_resize_tap *u, int64_t ch, int64_t n) {
  fv_f32v v = fv_vload_n(row + u->i0 * ch, n) * fv_vsplat(u->w0);
  if (u->w1 != 0) v = fv_vfma(fv_vload_n(row + u->i1 * ch, n), fv_vsplat(u->w1), v);
  return v;
}

static inline void pixel(float *y, const float *top, const float *low, const fv_resize_tap *v, const fv_resize_tap *u,
                         int64_t ch) {
  for (int64_t k = 0; k < ch; k += FV_W) {
    const int64_t n = FV_MIN(FV_W, ch - k);
    fv_f32v sum = across(top + k, u, ch, n) * fv_vsplat(v->w0);
    if (v->w1 != 0) sum = fv_vfma(across(low + k, u, ch, n), fv_vsplat(v->w1), sum);
    fv_vstore_n(y + k, sum, n);
  }
}

static void run(const fv_call *c) {
  const fv_shape x = c->in[0].shape, y = c->out[0].shape;
  const taps *t = c->state;
  const int64_t ch = y.dim[3], row = x.dim[2] * ch;
  for (int64_t r = c->begin; r < c->end; r++) {
    const fv_resize_tap *v = &t->h[r % y.dim[1]];
    const float *plane = (const float *)c->in[0].data + r / y.dim[1] * x.dim[1] * row;
    float *to = (float *)c->out[0].data + r * y.dim[2] * ch;
    for (int64_t ow = 0; ow < y.dim[2]; ow++)
      pixel(to + ow * ch, plane + v->i0 * row, plane + v->i1 * row, v, &t->w[ow], ch);
  }
}

/* ---- gradient ---------------------------------------------------------------------------------------------------- */
static inline void add(float *to, const float *from, float weight, int64_t ch) {
  for (int64_t k = 0; k < ch; k += FV_W) {
    const int64_t n = FV_MIN(FV_W, ch - k);
    fv_vstore_n(to + k, fv_vfma(fv_vload_n(from + k, n), fv_vsplat(weight), fv_vload_n(to + k, n)), n);
  }
}

static void add_row(float *dx, const float *dy, const fv_resize_tap *w, int64_t width, float weight, int64_t ch) {
  for (int64_t ow = 0; ow < width; ow++) {
    add(dx + w[ow].i0 * ch, dy + ow * ch, weight * w[ow].w0, ch);
    if (w[ow].w1 != 0) add(dx + w[ow].i1 * ch, dy + ow * ch, weight * w[ow].w1, ch);
  }
}

static void run_grad(const fv_call *c) {
  const fv_shape y = c->in[0].shape, x = c->out[0].shape;
  const taps *t = c->state;
  const int64_t ch = x.dim[3], row = y.dim[2] * ch;
  for (int64_t r = c->begin; r < c->end; r++) {
    const int64_t h = r % x.dim[1];
    const float *plane = (const float *)c->in[0].data + r / x.dim[1] * y.dim[1] * row;
    float *dx = (float *)c->out[0].data + r * x.dim[2] * ch;
    memset(dx, 0, (size_t)(x.dim[2] * ch) * sizeof *dx);
    for (int64_t oh = 0; oh < y.dim[1] && t->h[oh].i0 <= h; oh++) {
      if (t->h[oh].i0 == h) add_row(dx, plane + oh * row, t->w, y.dim[2], t->h[oh].w0, ch);
      if (t->h[oh].i1 == h && t->h[oh].w1 != 0) add_row(dx, plane + oh * row, t->w, y.dim[2], t->h[oh].w1, ch);
    }
  }
}

extern const fv_kernel FV_KERNELS(resize)[];
const fv_kernel FV_KERNELS(resize)[] = {{.op = "resize",
                                         .name = "simd",
                                         .isa = FV_ISA_LEVEL,
                                         .prepare = prepare,
                                         .release = release,
                                         .units = units,
                                         .run = run},
                                        {.op = "resize_grad",
                                         .name = "simd",
                                         .isa = FV_ISA_LEVEL,
                                         .prepare = prepare_grad,
                                         .release = release,
                                         .units = units,
                                         .run = run_grad},
                                        {0}};
