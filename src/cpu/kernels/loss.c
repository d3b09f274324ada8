/* SPDX-License-Identifier: Apache-2.0 */
/* The element-wise losses: items in vectors, sums by the fixed order of rows.h. Their gradients are element-wise nodes,
 * which fusion joins. */
#include "ops/loss.h"

#include "cpu/vmath.h"
#include "rows.h"

typedef struct operands {
  const float *v[FV_LOSS_OPERANDS];
  int64_t step[FV_LOSS_OPERANDS]; /* 0: one number for all; v NULL: 1 */
  float k;                        /* delta or beta */
  float *out;                     /* NULL: items are only summed */
} operands;

INLINE fv_f32v operand(const operands *o, int j, int64_t i, int64_t lanes) {
  if (!o->v[j]) return fv_vsplat(1);
  return o->step[j] ? row_load(o->v[j] + i, lanes) : fv_vsplat(o->v[j][0]);
}
INLINE fv_f32v difference(const operands *o, int64_t i, int64_t lanes) {
  return operand(o, 0, i, lanes) - operand(o, 1, i, lanes);
}
INLINE row_pair finish(const operands *o, fv_f32v item, int64_t i, int64_t lanes) {
  if (o->out) row_store(o->out + i, item, lanes);
  return (row_pair){row_lanes(item, lanes), fv_vzero()};
}

INLINE row_pair term_mse(const void *arg, int64_t i, int64_t lanes) {
  fv_f32v d = difference(arg, i, lanes);
  return finish(arg, d * d, i, lanes);
}
/* A square of half d up to k, the line from there; over k for smooth L1. */
INLINE row_pair term_huber(const void *arg, int64_t i, int64_t lanes) {
  const operands *o = arg;
  fv_f32v d = fv_vabs(difference(o, i, lanes)), k = fv_vsplat(o->k), half = fv_vsplat(0.5f);
  return finish(o, fv_vselect(fv_vle(d, k), half * d * d, k * (d - half * k)), i, lanes);
}
INLINE row_pair term_smooth_l1(const void *arg, int64_t i, int64_t lanes) {
  const operands *o = arg;
  fv_f32v d = fv_vabs(difference(o, i, lanes)), k = fv_vsplat(o->k), half = fv_vsplat(0.5f);
  return finish(o, fv_vselect(fv_vlt(d, k), half * d * d / k, d - half * k), i, lanes);
}
INLINE row_pair term_bce(const void *arg, int64_t i, int64_t lanes) {
  const operands *o = arg;
  fv_f32v x = operand(o, 0, i, lanes), t = operand(o, 1, i, lanes), one = fv_vsplat(1);
  fv_f32v positive = fv_vfma(operand(o, 3, i, lanes) - one, t, one);
  fv_f32v item = fv_vfma(positive, fv_vsoftplus(-x), (one - t) * x) * operand(o, 2, i, lanes);
  return finish(o, item, i, lanes);
}

INLINE void run(const fv_call *c, int64_t reduction, double k, row_term *term) {
  int64_t n = fv_shape_count(c->in[0].shape);
  operands o = {.k = (float)k, .out = reduction == FV_REDUCE_NONE ? c->out[0].data : NULL};
  for (int j = 0; j < c->n_in; j++) {
    o.v[j] = c->in[j].data;
    o.step[j] = j < 2 || fv_shape_count(c->in[j].shape) == n ? 1 : 0;
  }
  double sum = row_reduce(n, term, &o).a;
  if (reduction == FV_REDUCE_MEAN) sum /= (double)n;
  if (reduction != FV_REDUCE_NONE) *(float *)c->out[0].data = (float)sum;
}
static void run_mse(const fv_call *c) { run(c, ((const fv_mse_loss_attrs *)c->attrs)->reduction, 0, term_mse); }
static void run_bce(const fv_call *c) { run(c, ((const fv_bce_attrs *)c->attrs)->reduction, 0, term_bce); }
static void run_huber(const fv_call *c) {
  const fv_huber_loss_attrs *a = c->attrs;
  run(c, a->reduction, a->delta, term_huber);
}
static void run_smooth_l1(const fv_call *c) {
  const fv_smooth_l1_loss_attrs *a = c->attrs;
  run(c, a->reduction, a->beta, term_smooth_l1);
}

/* Weights as many as items, or one. */
static bool can_bce(const fv_node *n) {
  int64_t count = fv_shape_count(n->in[0]->shape);
  for (int j = 2; j < n->n_in; j++) {
    int64_t own = fv_node_has_in(n, j) ? fv_shape_count(n->in[j]->shape) : 1;
    if (own != count && own != 1) return false;
  }
  return n->in[0]->dtype == FV_F32;
}

#define ROW(op_, can_, run_) \
  {.op = op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .can = can_, .run = run_}
const fv_kernel FV_KERNELS(loss)[] = {ROW("mse_loss", NULL, run_mse),
                                      ROW("huber_loss", NULL, run_huber),
                                      ROW("smooth_l1_loss", NULL, run_smooth_l1),
                                      ROW("binary_cross_entropy_with_logits", can_bce, run_bce),
                                      {0}};
