/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm and rms_norm with their gradients: a row at a time, several passes over it while it lies in the first-
 * level cache. rms_norm is layer_norm with the mean taken as zero, and shares the code. Statistics: the mean, then
 * the distances from it, which also correct it. A unit is a row; with weight gradients, sums over rows, there is one
 * unit. */
#include "ops/lines.h"
#include "ops/norm.h"
#include "rows.h"

#include <math.h>

#define CHAIN 32 /* rows summed in f32 before f64 takes over */

typedef struct row_in {
  const float *x, *dy, *w;
  float mean;
} row_in;

INLINE row_pair term_sum(const void *arg, int64_t i, int64_t lanes) {
  const row_in *in = arg;
  return (row_pair){row_load(in->x + i, lanes), fv_vzero()};
}
INLINE row_pair term_moments(const void *arg, int64_t i, int64_t lanes) {
  const row_in *in = arg;
  fv_f32v e = row_lanes(row_load(in->x + i, lanes) - fv_vsplat(in->mean), lanes);
  return (row_pair){e, e * e};
}
/* g = dy weight, and g (x - mean). */
INLINE fv_f32v load_g(const row_in *in, int64_t i, int64_t lanes) {
  fv_f32v g = row_load(in->dy + i, lanes);
  return in->w ? g * row_load(in->w + i, lanes) : g;
}
INLINE row_pair term_grad(const void *arg, int64_t i, int64_t lanes) {
  const row_in *in = arg;
  fv_f32v g = load_g(in, i, lanes);
  return (row_pair){g, g * (row_load(in->x + i, lanes) - fv_vsplat(in->mean))};
}

/* Sets in->mean (0 for rms) and returns 1 / sqrt(var + eps). */
INLINE double row_stats(row_in *in, int64_t n, bool rms, double eps) {
  double len = (double)n;
  in->mean = rms ? 0 : (float)(row_reduce(n, term_sum, in).a / len);
  row_sums s = row_reduce(n, term_moments, in);
  if (rms) return 1 / sqrt(s.b / len + eps);
  double off = s.a / len, var = s.b / len - off * off;
  in->mean = (float)(in->mean + off);
  return 1 / sqrt((var < 0 ? 0 : var) + eps);
}

INLINE void apply_row(const row_in *in, float scale, const float *bias, float *y, int64_t n) {
  fv_f32v m = fv_vsplat(in->mean), r = fv_vsplat(scale);
#define STEP(i, lanes)                                          \
  do {                                                          \
    fv_f32v h = (row_load(in->x + (i), lanes) - m) * r;         \
    if (in->w) h = h * row_load(in->w + (i), lanes);            \
    if (bias) h = h + row_load(bias + (i), lanes);              \
    row_store(y + (i), h, lanes);                               \
  } while (0)
  ROW_VECTORS(n, STEP);
#undef STEP
}

static int64_t row_length(fv_shape s) { return s.dim[s.ndim - 1]; }

INLINE void forward(const fv_call *c, bool rms, double eps) {
  int64_t n = row_length(c->in[0].shape);
  const float *bias = !rms && c->n_in > 2 ? c->in[2].data : NULL;
  for (int64_t i = c->begin; i < c->end; i++) {
    row_in in = {.x = (const float *)c->in[0].data + i * n, .w = c->n_in > 1 ? c->in[1].data : NULL};
    double rstd = row_stats(&in, n, rms, eps);
    apply_row(&in, (float)rstd, bias, (float *)c->out[0].data + i * n, n);
  }
}
static void layer_forward(const fv_call *c) { forward(c, false, ((const fv_layer_norm_attrs *)c->attrs)->eps); }
static void rms_forward(const fv_call *c) { forward(c, true, ((const fv_rms_norm_attrs *)c->attrs)->eps); }

/* ---- backward --------------------------------------------------------------------------------------------------- */
/* Sums over rows: short chains in f32, then f64. */
typedef struct affine_sums {
  double *dw, *db;
  float *w, *b;
} affine_sums;

static affine_sums sums_in(void *scratch, int64_t n) {
  double *d = scratch;
  float *f = (float *)(d + 2 * n);
  memset(scratch, 0, (size_t)n * 2 * (sizeof *d + sizeof *f));
  return (affine_sums){d, d + n, f, f + n};
}
static void sums_flush(const affine_sums *s, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    s->dw[j] += s->w[j];
    s->db[j] += s->b[j];
  }
  memset(s->w, 0, (size_t)n * 2 * sizeof *s->w);
}
INLINE void sums_add(const affine_sums *s, const row_in *in, float rstd, int64_t n) {
  fv_f32v m = fv_vsplat(in->mean), r = fv_vsplat(rstd);
#define STEP(i, lanes)                                                                    \
  do {                                                                                    \
    fv_f32v dy = row_load(in->dy + (i), lanes);                                           \
    fv_f32v h = (row_load(in->x + (i), lanes) - m) * r;                                   \
    row_store(s->w + (i), fv_vfma(dy, h, row_load(s->w + (i), lanes)), lanes);            \
    row_store(s->b + (i), dy + row_load(s->b + (i), lanes), lanes);                       \
  } while (0)
  ROW_VECTORS(n, STEP);
#undef STEP
}

/* dx = r ((g - a) - k (x - mean)): in this order it is exactly zero where it should be, in rows of one. */
INLINE void grad_row(const row_in *in, float r, float a, float k, float *dx, int64_t n) {
  fv_f32v m = fv_vsplat(in->mean), vr = fv_vsplat(r), va = fv_vsplat(a), vk = fv_vsplat(k);
#define STEP(i, lanes)                                                            \
  do {                                                                            \
    fv_f32v e = row_load(in->x + (i), lanes) - m;                                 \
    row_store(dx + (i), vr * fv_vfnma(vk, e, load_g(in, i, lanes) - va), lanes);  \
  } while (0)
  ROW_VECTORS(n, STEP);
#undef STEP
}

INLINE void backward(const fv_call *c, bool rms, bool affine, double eps) {
  int64_t n = row_length(c->in[0].shape), rows = fv_lines_last(c->in[0].shape).outer;
  affine_sums sums = {0};
  if (affine) sums = sums_in(c->scratch, n);
  for (int64_t i = affine ? 0 : c->begin, end = affine ? rows : c->end; i < end; i++) {
    row_in in = {.dy = (const float *)c->in[0].data + i * n, .x = (const float *)c->in[1].data + i * n,
                 .w = c->n_in > 2 ? c->in[2].data : NULL};
    double r = row_stats(&in, n, rms, eps), len = (double)n;
    row_sums s = row_reduce(n, term_grad, &in);
    if (affine) sums_add(&sums, &in, (float)r, n); /* before dx, which may take dy's place */
    if (affine && i % CHAIN == CHAIN - 1) sums_flush(&sums, n);
    grad_row(&in, (float)r, rms ? 0 : (float)(s.a / len), (float)(r * r * s.b / len),
             (float *)c->out[0].data + i * n, n);
  }
  if (!affine) return;
  sums_flush(&sums, n);
  for (int64_t j = 0; j < n; j++) {
    ((float *)c->out[1].data)[j] = (float)sums.dw[j];
    if (!rms) ((float *)c->out[2].data)[j] = (float)sums.db[j];
  }
}
static void layer_backward(const fv_call *c) {
  const fv_layer_norm_grad_attrs *a = c->attrs;
  backward(c, false, a->affine, a->eps);
}
static void rms_backward(const fv_call *c) {
  const fv_rms_norm_grad_attrs *a = c->attrs;
  backward(c, true, a->affine, a->eps);
}

static int64_t rows_of(const fv_node *n) { return fv_lines_last(n->in[0]->shape).outer; }
static int64_t grad_units(const fv_node *n) { return n->n_out > 1 ? 1 : rows_of(n); }
static int64_t grad_scratch(const fv_node *n) {
  return n->n_out > 1 ? 2 * row_length(n->in[0]->shape) * (int64_t)(sizeof(double) + sizeof(float)) : 0;
}

const fv_kernel FV_KERNELS(row_norm)[] = {
    {.op = "layer_norm", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = rows_of, .run = layer_forward},
    {.op = "layer_norm_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .scratch = grad_scratch,
     .units = grad_units, .run = layer_backward},
    {.op = "rms_norm", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = rows_of, .run = rms_forward},
    {.op = "rms_norm_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .scratch = grad_scratch,
     .units = grad_units, .run = rms_backward},
    {0}};
