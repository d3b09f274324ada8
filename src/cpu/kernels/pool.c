/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: pooling and its gradients, a vector of channels at a time. A unit is one row of the output: of y forward; of
 * dx backward, where each input pixel collects from the windows that hold it, so that nothing is added to twice and the
 * order of a sum is that of the windows. */
#include "cpu/simd.h"
#include "ops/pool.h"

/* A whole vector, known when compiled, or the last n lanes. */
#define INLINE static inline __attribute__((always_inline))
INLINE fv_f32v load(bool whole, const float *p, int64_t n) { return whole ? fv_vload(p) : fv_vload_n(p, n); }
INLINE void store(bool whole, float *p, fv_f32v v, int64_t n) {
  if (whole) fv_vstore(p, v);
  else fv_vstore_n(p, v, n);
}
/* f(whole, k, lanes, ...) for the channels k, k + 1, ... */
#define EACH_VECTOR(channels, f, ...)                                                   \
  do {                                                                                  \
    int64_t k_ = 0;                                                                     \
    for (; k_ + FV_W <= (channels); k_ += FV_W) f(true, k_, FV_W, __VA_ARGS__);         \
    if (k_ < (channels)) f(false, k_, (channels) - k_, __VA_ARGS__);                    \
  } while (0)

static int64_t rows_of(const fv_node *n) { return n->out[0]->shape.dim[0] * n->out[0]->shape.dim[1]; }

/* A window's part inside the image. */
typedef struct box {
  int64_t h0, h1, w0, w1;
} box;
static inline box box_of(const fv_pool_plan *p, int64_t oh, int64_t ow) {
  return (box){fv_window_begin(&p->h, oh), fv_window_end(&p->h, oh), fv_window_begin(&p->w, ow),
               fv_window_end(&p->w, ow)};
}

/* One output pixel: `x` the image, `at` the output's place; `code` of the window's first element inside, `stride` from
 * one row's codes to the next. */
typedef struct max_pixel {
  const float *x;
  int64_t at, stride;
  int32_t code;
  box b;
} max_pixel;

INLINE void max_lanes(bool whole, int64_t k, int64_t n, const fv_call *c, const fv_pool_plan *p, const max_pixel *o) {
  const box b = o->b;
  fv_f32v best = load(whole, o->x + (b.h0 * p->w.in + b.w0) * p->c + k, n);
  fv_i32v where = fv_isplat(o->code);
  for (int64_t h = b.h0; h < b.h1; h++) {
    const float *row = o->x + (h * p->w.in + b.w0) * p->c + k;
    for (int64_t w = 0; w < b.w1 - b.w0; w++) {
      const fv_f32v v = load(whole, row + w * p->c, n);
      /* not v <= best, and best is no NaN: larger, or the first NaN */
      const fv_mask m = fv_mand(fv_mnot(fv_vle(v, best)), fv_veq(best, best));
      best = fv_vselect(m, v, best);
      where = fv_iselect(m, fv_isplat(o->code + (int32_t)((h - b.h0) * o->stride + w)), where);
    }
  }
  store(whole, (float *)c->out[0].data + o->at + k, best, n);
  if (c->out[1].dtype == FV_I32) fv_istore_n((int32_t *)c->out[1].data + o->at + k, where, n);
  else if (whole) fv_istore_u8((uint8_t *)c->out[1].data + o->at + k, where);
  else fv_istore_u8_n((uint8_t *)c->out[1].data + o->at + k, where, n);
}

static void max_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of(c->node);
  for (int64_t r = c->begin; r < c->end; r++)
    for (int64_t ow = 0; ow < p.w.out; ow++) {
      const int64_t oh = r % p.h.out;
      max_pixel o = {
          .at = (r * p.w.out + ow) * p.c, .stride = p.h.kernel ? p.w.kernel : p.w.in, .b = box_of(&p, oh, ow)};
      o.x = (const float *)c->in[0].data + r / p.h.out * p.h.in * p.w.in * p.c;
      o.code = (int32_t)fv_pool_code(&p, oh, ow, o.b.h0, o.b.w0);
      EACH_VECTOR(p.c, max_lanes, c, &p, &o);
    }
}

INLINE void avg_lanes(bool whole, int64_t k, int64_t n, const fv_pool_plan *p, const box *b, const float *x, float *y,
                      fv_f32v scale) {
  fv_f32v sum = fv_vzero();
  for (int64_t h = b->h0; h < b->h1; h++)
    for (int64_t w = b->w0; w < b->w1; w++) sum = sum + load(whole, x + (h * p->w.in + w) * p->c + k, n);
  store(whole, y + k, sum * scale, n);
}

static void avg_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of(c->node);
  for (int64_t r = c->begin; r < c->end; r++)
    for (int64_t ow = 0; ow < p.w.out; ow++) {
      const int64_t oh = r % p.h.out;
      const box b = box_of(&p, oh, ow);
      const fv_f32v scale = fv_vsplat((float)fv_pool_scale(&p, oh, ow));
      const float *x = (const float *)c->in[0].data + r / p.h.out * p.h.in * p.w.in * p.c;
      EACH_VECTOR(p.c, avg_lanes, &p, &b, x, (float *)c->out[0].data + (r * p.w.out + ow) * p.c, scale);
    }
}

/* ---- gradients --------------------------------------------------------------------------------------------------- */
/* The outputs [*first, *last) whose windows hold input i, from those of input i - 1: no division. */
static inline void advance(const fv_window *w, int64_t i, int64_t *first, int64_t *last) {
  while (*last < w->out && fv_window_begin(w, *last) <= i) ++*last;
  while (*first < *last && fv_window_end(w, *first) <= i) ++*first;
}

/* Where a window begins as the last one ends, each input has one window: dy is read once and dealt out. */
static bool tiled(const fv_pool_plan *p) {
  return p->h.kernel && p->h.kernel == p->h.stride && p->w.kernel == p->w.stride && p->h.pad == 0 && p->w.pad == 0;
}

INLINE fv_i32v load_code(bool whole, const fv_tensor *t, int64_t at, int64_t n) {
  if (t->dtype == FV_I32) return fv_iload_n((const int32_t *)t->data + at, n);
  return whole ? fv_iload_u8((const uint8_t *)t->data + at) : fv_iload_u8_n((const uint8_t *)t->data + at, n);
}

/* The window's part in one input row: `dx` its first pixel, `code` that pixel's; at: the output's place. */
INLINE void deal_lanes(bool whole, int64_t k, int64_t n, bool max, const fv_call *c, const fv_pool_plan *p, int64_t at,
                       int32_t code, fv_f32v scale, float *dx) {
  const fv_f32v dy = load(whole, (const float *)c->in[0].data + at + k, n);
  const fv_i32v codes = max ? load_code(whole, &c->in[1], at + k, n) : fv_izero();
  for (int32_t j = 0; j < (int32_t)p->w.kernel; j++)
    store(whole, dx + j * p->c + k, max ? fv_vmasked(fv_ieq(codes, fv_isplat(code + j)), dy) : dy * scale, n);
}

INLINE void deal_row(bool max, const fv_call *c, const fv_pool_plan *p, int64_t r) {
  const int64_t h = r % p->h.in, oh = h / p->h.kernel, begin = (r / p->h.in * p->h.out + oh) * p->w.out;
  const int64_t reached = oh < p->h.out ? p->w.out * p->w.kernel : 0;
  const int32_t code = (int32_t)((h - oh * p->h.kernel) * p->w.kernel);
  const fv_f32v scale = fv_vsplat((float)(1.0 / (double)(p->h.kernel * p->w.kernel)));
  float *dx = (float *)c->out[0].data + r * p->w.in * p->c;
  for (int64_t ow = 0; ow < (reached ? p->w.out : 0); ow++)
    EACH_VECTOR(p->c, deal_lanes, max, c, p, (begin + ow) * p->c, code, scale, dx + ow * p->w.kernel * p->c);
  memset(dx + reached * p->c, 0, (size_t)((p->w.in - reached) * p->c) * sizeof *dx);
}

/* One input pixel: the outputs [oh0, oh1) x [ow0, ow1) of an image whose rows begin at `plane` are added up. */
INLINE void max_back(bool whole, int64_t k, int64_t n, const fv_call *c, const fv_pool_plan *p, const box *o,
                     int64_t plane, int64_t h, int64_t w, float *dx) {
  fv_f32v sum = fv_vzero();
  for (int64_t oh = o->h0; oh < o->h1; oh++)
    for (int64_t ow = o->w0; ow < o->w1; ow++) {
      const int64_t at = ((plane + oh) * p->w.out + ow) * p->c + k;
      const fv_i32v code = load_code(whole, &c->in[1], at, n);
      const fv_mask mine = fv_ieq(code, fv_isplat((int32_t)fv_pool_code(p, oh, ow, h, w)));
      sum = sum + fv_vmasked(mine, load(whole, (const float *)c->in[0].data + at, n));
    }
  store(whole, dx + k, sum, n);
}

static void max_grad_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of_grad(c->node);
  if (tiled(&p)) {
    for (int64_t r = c->begin; r < c->end; r++) deal_row(true, c, &p, r);
    return;
  }
  for (int64_t r = c->begin; r < c->end; r++) {
    const int64_t h = r % p.h.in, plane = r / p.h.in * p.h.out;
    box o = {.h0 = fv_window_first(&p.h, h), .h1 = fv_window_last(&p.h, h)};
    for (int64_t w = 0; w < p.w.in; w++) {
      advance(&p.w, w, &o.w0, &o.w1);
      EACH_VECTOR(p.c, max_back, c, &p, &o, plane, h, w, (float *)c->out[0].data + (r * p.w.in + w) * p.c);
    }
  }
}

INLINE void avg_back(bool whole, int64_t k, int64_t n, const fv_call *c, const fv_pool_plan *p, const box *o,
                     int64_t plane, float *dx) {
  fv_f32v sum = fv_vzero();
  for (int64_t oh = o->h0; oh < o->h1; oh++)
    for (int64_t ow = o->w0; ow < o->w1; ow++) {
      const fv_f32v v = load(whole, (const float *)c->in[0].data + ((plane + oh) * p->w.out + ow) * p->c + k, n);
      sum = sum + v * fv_vsplat((float)fv_pool_scale(p, oh, ow));
    }
  store(whole, dx + k, sum, n);
}

static void avg_grad_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of_grad(c->node);
  if (tiled(&p)) {
    for (int64_t r = c->begin; r < c->end; r++) deal_row(false, c, &p, r);
    return;
  }
  for (int64_t r = c->begin; r < c->end; r++) {
    const int64_t h = r % p.h.in, plane = r / p.h.in * p.h.out;
    box o = {.h0 = fv_window_first(&p.h, h), .h1 = fv_window_last(&p.h, h)};
    for (int64_t w = 0; w < p.w.in; w++) {
      advance(&p.w, w, &o.w0, &o.w1);
      EACH_VECTOR(p.c, avg_back, c, &p, &o, plane, (float *)c->out[0].data + (r * p.w.in + w) * p.c);
    }
  }
}

#define ROW(OP, RUN) {.op = OP, .name = "simd", .isa = FV_ISA_LEVEL, .units = rows_of, .run = RUN}
extern const fv_kernel FV_KERNELS(pool)[];
const fv_kernel FV_KERNELS(pool)[] = {ROW("max_pool2d", max_run),
                                      ROW("max_pool2d_grad", max_grad_run),
                                      ROW("avg_pool2d", avg_run),
                                      ROW("avg_pool2d_grad", avg_grad_run),
                                      ROW("adaptive_max_pool2d", max_run),
                                      ROW("adaptive_max_pool2d_grad", max_grad_run),
                                      ROW("adaptive_avg_pool2d", avg_run),
                                      ROW("adaptive_avg_pool2d_grad", avg_grad_run),
                                      {0}};
