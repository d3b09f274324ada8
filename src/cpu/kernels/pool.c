/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: pooling and its gradients, a vector of channels at a time. A unit is one row of the output: of y forward; of dx
 * backward, where each input pixel collects from the windows that hold it, so that nothing is added to twice and the
 * order of a sum is that of the windows. */
#include "cpu/simd.h"
#include "ops/pool.h"

static int64_t rows_of(const fv_node *n) { return n->out[0]->shape.dim[0] * n->out[0]->shape.dim[1]; }

/* A window's part inside the image. */
typedef struct box {
  int64_t h0, h1, w0, w1;
} box;
static inline box box_of(const fv_pool_plan *p, int64_t oh, int64_t ow) {
  return (box){fv_window_begin(&p->h, oh), fv_window_end(&p->h, oh), fv_window_begin(&p->w, ow), fv_window_end(&p->w, ow)};
}

/* `code`: of the window's first element inside; `stride`: codes from one row to the next. */
static inline void max_lanes(const fv_pool_plan *p, const box *b, const float *x, int32_t code, int64_t stride, int64_t n,
                             fv_f32v *best, fv_i32v *where) {
  *best = fv_vload_n(x + (b->h0 * p->w.in + b->w0) * p->c, n);
  *where = fv_isplat(code);
  for (int64_t h = b->h0; h < b->h1; h++)
    for (int64_t w = b->w0; w < b->w1; w++) {
      const float *from = x + (h * p->w.in + w) * p->c;
      const fv_f32v v = n == FV_W ? fv_vload(from) : fv_vload_n(from, n);
      /* not v <= best, and best is no NaN: larger, or the first NaN */
      const fv_mask m = fv_mand(fv_mnot(fv_vle(v, *best)), fv_veq(*best, *best));
      *best = fv_vselect(m, v, *best);
      *where = fv_iselect(m, fv_isplat(code + (int32_t)((h - b->h0) * stride + w - b->w0)), *where);
    }
}

static void max_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of(c->node);
  const bool bytes = c->out[1].dtype == FV_U8;
  const int64_t stride = p.h.kernel ? p.w.kernel : p.w.in;
  for (int64_t r = c->begin; r < c->end; r++)
    for (int64_t ow = 0; ow < p.w.out; ow++) {
      const int64_t oh = r % p.h.out, at = (r * p.w.out + ow) * p.c;
      const box b = box_of(&p, oh, ow);
      const int32_t code = (int32_t)fv_pool_code(&p, oh, ow, b.h0, b.w0);
      const float *x = (const float *)c->in[0].data + r / p.h.out * p.h.in * p.w.in * p.c;
      for (int64_t k = 0; k < p.c; k += FV_W) {
        const int64_t n = FV_MIN(FV_W, p.c - k);
        fv_f32v best;
        fv_i32v where;
        max_lanes(&p, &b, x + k, code, stride, n, &best, &where);
        fv_vstore_n((float *)c->out[0].data + at + k, best, n);
        if (bytes) fv_istore_u8_n((uint8_t *)c->out[1].data + at + k, where, n);
        else fv_istore_n((int32_t *)c->out[1].data + at + k, where, n);
      }
    }
}

static void avg_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of(c->node);
  for (int64_t r = c->begin; r < c->end; r++)
    for (int64_t ow = 0; ow < p.w.out; ow++) {
      const int64_t oh = r % p.h.out;
      const box b = box_of(&p, oh, ow);
      const fv_f32v scale = fv_vsplat((float)fv_pool_scale(&p, oh, ow));
      const float *x = (const float *)c->in[0].data + r / p.h.out * p.h.in * p.w.in * p.c;
      float *y = (float *)c->out[0].data + (r * p.w.out + ow) * p.c;
      for (int64_t k = 0; k < p.c; k += FV_W) {
        const int64_t n = FV_MIN(FV_W, p.c - k);
        fv_f32v sum = fv_vzero();
        for (int64_t h = b.h0; h < b.h1; h++)
          for (int64_t w = b.w0; w < b.w1; w++) sum = sum + fv_vload_n(x + (h * p.w.in + w) * p.c + k, n);
        fv_vstore_n(y + k, sum * scale, n);
      }
    }
}

/* ---- gradients ------------------------------------------------------------------------------------------------------ */
/* The outputs [*first, *last) whose windows hold input i, from those of input i - 1: no division. */
static inline void advance(const fv_window *w, int64_t i, int64_t *first, int64_t *last) {
  while (*last < w->out && fv_window_begin(w, *last) <= i) ++*last;
  while (*first < *last && fv_window_end(w, *first) <= i) ++*first;
}

/* One input pixel: the outputs [oh0, oh1) x [ow0, ow1) are added up. */
static inline fv_f32v max_back(const fv_call *c, const fv_pool_plan *p, const box *o, int64_t plane, int64_t h, int64_t w,
                               int64_t k, int64_t n) {
  const float *dy = c->in[0].data;
  fv_f32v sum = fv_vzero();
  for (int64_t oh = o->h0; oh < o->h1; oh++)
    for (int64_t ow = o->w0; ow < o->w1; ow++) {
      const int64_t at = ((plane + oh) * p->w.out + ow) * p->c + k;
      const fv_i32v code = c->in[1].dtype == FV_U8 ? fv_iload_u8_n((const uint8_t *)c->in[1].data + at, n)
                                                   : fv_iload_n((const int32_t *)c->in[1].data + at, n);
      const fv_mask mine = fv_ieq(code, fv_isplat((int32_t)fv_pool_code(p, oh, ow, h, w)));
      sum = sum + fv_vmasked(mine, fv_vload_n(dy + at, n));
    }
  return sum;
}

static void max_grad_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of_grad(c->node);
  for (int64_t r = c->begin; r < c->end; r++) {
    const int64_t h = r % p.h.in, plane = r / p.h.in * p.h.out;
    box o = {.h0 = fv_window_first(&p.h, h), .h1 = fv_window_last(&p.h, h)};
    for (int64_t w = 0; w < p.w.in; w++) {
      advance(&p.w, w, &o.w0, &o.w1);
      float *dx = (float *)c->out[0].data + (r * p.w.in + w) * p.c;
      for (int64_t k = 0; k < p.c; k += FV_W) {
        const int64_t n = FV_MIN(FV_W, p.c - k);
        fv_vstore_n(dx + k, max_back(c, &p, &o, plane, h, w, k, n), n);
      }
    }
  }
}

static void avg_grad_run(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of_grad(c->node);
  for (int64_t r = c->begin; r < c->end; r++) {
    const int64_t h = r % p.h.in, plane = r / p.h.in * p.h.out;
    box o = {.h0 = fv_window_first(&p.h, h), .h1 = fv_window_last(&p.h, h)};
    for (int64_t w = 0; w < p.w.in; w++) {
      advance(&p.w, w, &o.w0, &o.w1);
      float *dx = (float *)c->out[0].data + (r * p.w.in + w) * p.c;
      if (o.h0 >= o.h1 || o.w0 >= o.w1) memset(dx, 0, (size_t)p.c * sizeof *dx);
      for (int64_t oh = o.h0; oh < o.h1; oh++)
        for (int64_t ow = o.w0; ow < o.w1; ow++) {
          const float *dy = (const float *)c->in[0].data + ((plane + oh) * p.w.out + ow) * p.c;
          const fv_f32v scale = fv_vsplat((float)fv_pool_scale(&p, oh, ow));
          const bool first = oh == o.h0 && ow == o.w0;
          for (int64_t k = 0; k < p.c; k += FV_W) {
            const int64_t n = FV_MIN(FV_W, p.c - k);
            const fv_f32v v = fv_vload_n(dy + k, n) * scale;
            fv_vstore_n(dx + k, first ? v : fv_vload_n(dx + k, n) + v, n);
          }
        }
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
