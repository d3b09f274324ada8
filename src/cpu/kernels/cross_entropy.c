/* SPDX-License-Identifier: Apache-2.0 */
/* cross_entropy: a row's maximum, log sum exp and loss while the row is in the cache; the losses are summed in f64,
 * rows in order. The gradient is one pass, since log sum exp was kept. */
#include "ops/cross_entropy.h"

#include "cpu/vmath.h"
#include "ops/lines.h"
#include "rows.h"

#include <math.h>

typedef struct row {
  const float *x, *w; /* logits; class weights or NULL */
  float shift;
} row;

INLINE float row_max(const float *x, int64_t n) {
  fv_f32v low = fv_vsplat(-INFINITY), m = low;
#define STEP(i, lanes) m = fv_vmax(m, fv_vselect(fv_mfirst(lanes), row_load(x + (i), lanes), low))
  ROW_VECTORS(n, STEP);
#undef STEP
  return fv_vhmax(m);
}

INLINE row_pair term_exp(const void *arg, int64_t i, int64_t lanes) {
  const row *r = arg;
  return (row_pair){row_lanes(fv_vexp(row_load(r->x + i, lanes) - fv_vsplat(r->shift)), lanes), fv_vzero()};
}
INLINE row_pair term_smooth(const void *arg, int64_t i, int64_t lanes) { /* shift = log sum exp here */
  const row *r = arg;
  fv_f32v nll = row_lanes(fv_vsplat(r->shift) - row_load(r->x + i, lanes), lanes);
  return (row_pair){r->w ? nll * row_load(r->w + i, lanes) : nll, fv_vzero()};
}
INLINE row_pair term_weight(const void *arg, int64_t i, int64_t lanes) {
  return (row_pair){row_load((const float *)arg + i, lanes), fv_vzero()};
}

static double log_sum_exp(row *r, int64_t n) {
  float max = row_max(r->x, n);
  r->shift = isfinite(max) ? max : 0;
  return r->shift + log(row_reduce(n, term_exp, r).a);
}

/* The loss of a row of class t; *weight: what it counts. */
static double row_loss(row *r, const fv_cross_entropy_attrs *a, int64_t t, int64_t n, double lse, double *weight) {
  double p = a->label_smoothing, smooth = 0;
  *weight = r->w ? r->w[t] : 1;
  r->shift = (float)lse;
  if (p > 0) smooth = row_reduce(n, term_smooth, r).a;
  return (1 - p) * *weight * (lse - r->x[t]) + p / (double)n * smooth;
}

static void forward(const fv_call *c) {
  const fv_cross_entropy_attrs *a = c->attrs;
  fv_lines l = fv_lines_last(c->in[0].shape);
  const int32_t *labels = c->in[1].data;
  float *loss = c->out[0].data, *lse = c->out[1].data;
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < l.outer; i++) {
    row r = {.x = (const float *)c->in[0].data + i * l.n, .w = c->n_in > 2 ? c->in[2].data : NULL};
    double log_sum = 0, item = 0, weight = 0;
    fv_label kind = fv_label_of(a, labels[i], l.n);
    if (kind == FV_LABEL_CLASS) {
      log_sum = log_sum_exp(&r, l.n);
      item = row_loss(&r, a, labels[i], l.n, log_sum, &weight);
    }
    if (kind == FV_LABEL_WRONG) item = NAN;
    lse[i] = (float)log_sum;
    sum += item;
    weights += weight;
    if (a->reduction == FV_REDUCE_NONE) loss[i] = (float)item;
  }
  if (a->reduction == FV_REDUCE_MEAN) loss[0] = (float)(sum / weights);
  if (a->reduction == FV_REDUCE_SUM) loss[0] = (float)sum;
}

/* dx = alpha q - beta w - gamma [c = t] */
static void grad_row(const row *r, float lse, float alpha, float beta, float gamma, int64_t t, float *dx, int64_t n) {
  fv_f32v l = fv_vsplat(lse), va = fv_vsplat(alpha), vb = fv_vsplat(beta);
#define STEP(i, lanes)                                                          \
  do {                                                                          \
    fv_f32v q = fv_vexp(row_load(r->x + (i), lanes) - l);                       \
    fv_f32v w = r->w ? vb * row_load(r->w + (i), lanes) : vb;                   \
    row_store(dx + (i), fv_vfma(va, q, -w), lanes);                             \
  } while (0)
  ROW_VECTORS(n, STEP);
#undef STEP
  dx[t] -= gamma;
}

static void fill(float *dx, int64_t n, float value) {
  for (int64_t k = 0; k < n; k++) dx[k] = value;
}

/* The sum of the weights of the rows that count: each piece of a split node sums it whole, labels are few. */
static double row_weights(const fv_cross_entropy_attrs *a, const int32_t *labels, const float *w, fv_lines l) {
  double sum = 0;
  for (int64_t i = 0; i < l.outer; i++)
    if (fv_label_of(a, labels[i], l.n) == FV_LABEL_CLASS) sum += w ? w[labels[i]] : 1;
  return sum;
}

static void backward(const fv_call *c) {
  const fv_cross_entropy_attrs *a = &((const fv_cross_entropy_grad_attrs *)c->attrs)->loss;
  fv_lines l = fv_lines_last(c->in[0].shape);
  const int32_t *labels = c->in[1].data;
  const float *lse = c->in[2].data, *dloss = c->in[3].data, *w = c->n_in > 4 ? c->in[4].data : NULL;
  double p = a->label_smoothing, all = w ? row_reduce(l.n, term_weight, w).a : (double)l.n;
  double count = a->reduction == FV_REDUCE_MEAN ? row_weights(a, labels, w, l) : 1;
  for (int64_t i = c->begin; i < c->end; i++) {
    row r = {.x = (const float *)c->in[0].data + i * l.n, .w = w};
    float *dx = (float *)c->out[0].data + i * l.n;
    fv_label kind = fv_label_of(a, labels[i], l.n);
    if (kind != FV_LABEL_CLASS) {
      fill(dx, l.n, kind == FV_LABEL_IGNORED ? 0 : NAN);
      continue;
    }
    double g = dloss[a->reduction == FV_REDUCE_NONE ? i : 0] / count, even = p / (double)l.n;
    double sharp = (1 - p) * (w ? w[labels[i]] : 1);
    grad_row(&r, lse[i], (float)(g * (sharp + even * all)), (float)(g * even), (float)(g * sharp), labels[i], dx, l.n);
  }
}

static bool can_grad(const fv_node *n) {
  return n->in[0]->dtype == FV_F32 && !((const fv_cross_entropy_grad_attrs *)n->attrs)->dweight;
}
static int64_t grad_units(const fv_node *n) { return fv_lines_last(n->in[0]->shape).outer; }

const fv_kernel FV_KERNELS(cross_entropy)[] = {
    {.op = "cross_entropy", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .run = forward},
    {.op = "cross_entropy_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .can = can_grad,
     .units = grad_units, .run = backward},
    {0}};
