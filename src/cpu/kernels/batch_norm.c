/* SPDX-License-Identifier: Apache-2.0 */
/* batch_norm and its gradient by blocks of channels: one pass for the sums, one for the result, each tile of rows once
 * through memory (columns.h). A unit is a block of channels. */
#include "columns.h"
#include "ops/norm.h"

#include <math.h>

static int64_t units(const fv_node *n) {
  fv_shape s = n->in[0]->shape;
  return fv_ceil_div(s.dim[s.ndim - 1], COLS);
}

static block unit_block(const fv_call *c, int64_t unit) {
  fv_shape s = c->in[0].shape;
  int64_t channels = s.dim[s.ndim - 1], first = unit * COLS;
  return block_of(fv_shape_before(s, s.ndim - 1), channels, first, FV_MIN(channels - first, COLS));
}

static void forward_block(const fv_call *c, const block *b) {
  const fv_batch_norm_attrs *a = c->attrs;
  const float *gamma = (const float *)c->in[1].data + b->first, *beta = (const float *)c->in[2].data + b->first;
  float *mean = (float *)c->out[1].data + b->first, *var = (float *)c->out[2].data + b->first;
  col_stats stats;
  col_affine p = {0};
  column_stats(c->in[0].data, b, &stats);
  for (int64_t j = 0; j < b->n; j++) {
    double v = stats.m2[j] / (double)b->rows;
    p.mean[j] = mean[j] = (float)stats.mean[j];
    p.scale[j] = (float)(gamma[j] / sqrt(v + a->eps));
    p.shift[j] = beta[j];
    var[j] = (float)v;
  }
  fold_out(b, p.mean);
  fold_out(b, p.scale);
  fold_out(b, p.shift);
  const float *residual = c->n_in > 3 ? c->in[3].data : NULL;
  column_apply(c->in[0].data, residual, c->out[0].data, b, &p, a->act == FV_BATCH_NORM_RELU);
}

static void forward(const fv_call *c) {
  for (int64_t u = c->begin; u < c->end; u++) {
    block b = unit_block(c, u);
    forward_block(c, &b);
  }
}

static void backward_block(const fv_call *c, const block *b) {
  const fv_batch_norm_grad_attrs *a = c->attrs;
  const float *mean = (const float *)c->in[2].data + b->first, *var = (const float *)c->in[3].data + b->first;
  const float *gamma = (const float *)c->in[4].data + b->first;
  float *dgamma = (float *)c->out[1].data + b->first, *dbeta = (float *)c->out[2].data + b->first;
  col_grad g = {.x = c->in[0].data, .dy = c->in[1].data, .y = a->act == FV_BATCH_NORM_RELU ? c->in[5].data : NULL,
                .dx = c->out[0].data, .dz = a->dz ? c->out[3].data : NULL};
  col_sums sums;
  col_slopes k = {0};
  memcpy(k.mean, mean, (size_t)b->n * sizeof *mean);
  fold_out(b, k.mean);
  column_grad_sums(&g, b, k.mean, &sums);
  for (int64_t j = 0; j < b->n; j++) {
    double rstd = 1 / sqrt(var[j] + a->eps), scale = gamma[j] * rstd, m = (double)b->rows;
    k.p[j] = (float)scale;
    k.q[j] = (float)(-scale * rstd * rstd * sums.t[j] / m);
    k.r[j] = (float)(-scale * sums.s[j] / m);
    dgamma[j] = (float)(sums.t[j] * rstd);
    dbeta[j] = (float)sums.s[j];
  }
  fold_out(b, k.p);
  fold_out(b, k.q);
  fold_out(b, k.r);
  column_grad_apply(&g, b, &k);
}

static void backward(const fv_call *c) {
  for (int64_t u = c->begin; u < c->end; u++) {
    block b = unit_block(c, u);
    backward_block(c, &b);
  }
}

const fv_kernel FV_KERNELS(batch_norm)[] = {
    {.op = "batch_norm", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = forward},
    {.op = "batch_norm_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = backward},
    {0}};
