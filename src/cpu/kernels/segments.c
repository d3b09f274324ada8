/* SPDX-License-Identifier: Apache-2.0 */
/* segments.c: segment_softmax and its gradient: lanes are neighbouring columns of a row's places, which are looked at
 * one after the other, twice. A unit is a vector of columns: rows are of any length, columns all alike. */
#include "cpu/vmath.h"
#include "ops/segments.h"
#include "rows.h"

typedef struct segments {
  const int32_t *ptr;
  const float *x, *y; /* gradients: x = dy */
  float *out;
  int64_t rows, places, width, at, lanes;
} segments;

INLINE fv_f32v load(const segments *s, const float *x, int64_t k) {
  return row_load(x + k * s->width + s->at, s->lanes);
}
INLINE void store(const segments *s, int64_t k, fv_f32v v) { row_store(s->out + k * s->width + s->at, v, s->lanes); }
INLINE void clear(const segments *s, int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end; k++) store(s, k, fv_vzero());
}

/* In short chains, so that long rows keep their digits. */
INLINE void softmax(const segments *s, int64_t begin, int64_t end) {
  fv_f32v max = fv_vsplat(-INFINITY), sum = fv_vzero();
  for (int64_t k = begin; k < end; k++) max = fv_vmax(max, load(s, s->x, k));
  for (int64_t from = begin; from < end; from += 64) {
    fv_f32v part = fv_vzero();
    for (int64_t k = from; k < FV_MIN(from + 64, end); k++) {
      fv_f32v e = fv_vexp(load(s, s->x, k) - max);
      store(s, k, e);
      part += e;
    }
    sum += part;
  }
  fv_f32v scale = fv_vsplat(1) / sum;
  for (int64_t k = begin; k < end; k++) store(s, k, load(s, s->out, k) * scale);
}

INLINE void softmax_grad(const segments *s, int64_t begin, int64_t end) {
  fv_f32v dot = fv_vzero();
  for (int64_t from = begin; from < end; from += 64) {
    fv_f32v part = fv_vzero();
    for (int64_t k = from; k < FV_MIN(from + 64, end); k++) part = fv_vfma(load(s, s->x, k), load(s, s->y, k), part);
    dot += part;
  }
  for (int64_t k = begin; k < end; k++) store(s, k, load(s, s->y, k) * (load(s, s->x, k) - dot));
}

INLINE void run(const fv_call *c, bool grad) {
  const fv_shape x = c->in[0].shape;
  const fv_tensor *ptr = &c->in[grad ? 2 : 1];
  segments s = {.ptr = ptr->data, .x = c->in[0].data, .y = grad ? c->in[1].data : NULL, .out = c->out[0].data,
                .rows = ptr->shape.dim[0] - 1, .places = x.dim[0], .width = fv_shape_after(x, 0)};
  for (int64_t u = c->begin; u < c->end; u++) {
    s.at = u * FV_W;
    s.lanes = FV_MIN(FV_W, s.width - s.at);
    int64_t end = FV_MIN(FV_MAX(s.ptr[0], 0), s.places);
    clear(&s, 0, end);
    for (int64_t i = 0; i < s.rows; i++) {
      const int64_t begin = end;
      end = FV_MIN(FV_MAX(s.ptr[i + 1], begin), s.places);
      if (grad) softmax_grad(&s, begin, end);
      else softmax(&s, begin, end);
    }
    clear(&s, end, s.places);
  }
}
static void run_softmax(const fv_call *c) { run(c, false); }
static void run_softmax_grad(const fv_call *c) { run(c, true); }

static int64_t units(const fv_node *n) { return fv_ceil_div(fv_shape_after(n->in[0]->shape, 0), FV_W); }

#define ROW(op_, run_) \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_}
const fv_kernel FV_KERNELS(segments)[] = {ROW(segment_softmax, run_softmax),
                                          ROW(segment_softmax_grad, run_softmax_grad),
                                          {0}};
