/* SPDX-License-Identifier: Apache-2.0 */
/* group_norm and its gradient on channels-last data: per-column sums of a sample (columns.h), columns joined into
 * their groups in f64, then one linear pass. Columns go in bundles of whole groups: several narrow groups, or one
 * wide group in chunks. A unit is a sample; with weight gradients, which are sums over samples, there is one unit. */
#include "columns.h"
#include "ops/norm.h"

#include <math.h>

typedef struct layout {
  int64_t samples, places, channels, width; /* width: channels of a group */
  double eps;
} layout;

static layout layout_of(fv_shape s, int64_t groups, double eps) {
  layout l = {.channels = s.dim[s.ndim - 1], .samples = s.dim[0], .places = 1, .eps = eps};
  for (int i = 1; i < s.ndim - 1; i++) l.places *= s.dim[i];
  l.width = l.channels / groups;
  if (l.places == 0 || l.channels == 0) l.samples = 0; /* nothing, however often */
  return l;
}

/* Columns [first, first + n) and their groups' moments. */
typedef struct bundle {
  int64_t first, n;
  double count[COLS], mean[COLS], m2[COLS], rstd[COLS]; /* by group */
} bundle;

static int64_t bundle_columns(const layout *l, int64_t first) {
  int64_t n = l->width > COLS ? l->width : COLS / l->width * l->width;
  return FV_MIN(n, l->channels - first);
}
static int64_t group_of(const layout *l, const bundle *u, int64_t column) { return (column - u->first) / l->width; }
static block chunk_of(const layout *l, const bundle *u, int64_t at) {
  return block_of(l->places, l->channels, at, FV_MIN(u->first + u->n - at, COLS));
}

/* A column of equal weight joins its group (Chan et al. 1979). */
static void join(bundle *u, int64_t g, double n, double mean, double m2) {
  if (n == 0) return;
  double seen = u->count[g], delta = mean - u->mean[g];
  u->count[g] += n;
  u->mean[g] += delta * n / u->count[g];
  u->m2[g] += m2 + delta * delta * n * seen / u->count[g];
}

static void measure(const layout *l, const float *x, int64_t first, bundle *u) {
  *u = (bundle){.first = first, .n = bundle_columns(l, first)};
  for (int64_t at = first; at < first + u->n; at += COLS) {
    block b = chunk_of(l, u, at);
    col_stats stats;
    column_stats(x, &b, &stats);
    for (int64_t j = 0; j < b.n; j++) join(u, group_of(l, u, at + j), (double)b.rows, stats.mean[j], stats.m2[j]);
  }
  for (int64_t g = 0; g < COLS; g++) u->rstd[g] = 1 / sqrt(u->m2[g] / FV_MAX(u->count[g], 1) + l->eps);
}

static void forward_sample(const layout *l, const float *x, const float *weight, const float *bias, float *y) {
  bundle u;
  for (int64_t first = 0; first < l->channels; first += u.n) {
    measure(l, x, first, &u);
    for (int64_t at = first; at < first + u.n; at += COLS) {
      block b = chunk_of(l, &u, at);
      col_affine p = {0};
      for (int64_t j = 0; j < b.n; j++) {
        int64_t g = group_of(l, &u, at + j);
        p.mean[j] = (float)u.mean[g];
        p.scale[j] = (float)(u.rstd[g] * (weight ? weight[at + j] : 1));
        p.shift[j] = bias ? bias[at + j] : 0;
      }
      fold_out(&b, p.mean);
      fold_out(&b, p.scale);
      fold_out(&b, p.shift);
      column_apply(x, NULL, y, &b, &p, false);
    }
  }
}

static void forward(const fv_call *c) {
  const fv_group_norm_attrs *a = c->attrs;
  layout l = layout_of(c->in[0].shape, a->groups, a->eps);
  int64_t size = l.places * l.channels;
  for (int64_t s = c->begin; s < c->end; s++)
    forward_sample(&l, (const float *)c->in[0].data + s * size, c->n_in > 1 ? c->in[1].data : NULL,
                   c->n_in > 2 ? c->in[2].data : NULL, (float *)c->out[0].data + s * size);
}

/* ---- backward --------------------------------------------------------------------------------------------------- */
typedef struct group_sums {
  double g[COLS], gx[COLS]; /* by group: sums of dy weight, and of that times (x - mean) */
} group_sums;

/* `dweight`, `dbias`: running sums by channel, or NULL. */
static void bundle_sums(const layout *l, const bundle *u, const col_grad *io, const float *weight, double *dweight,
                        double *dbias, group_sums *out) {
  *out = (group_sums){0};
  for (int64_t at = u->first; at < u->first + u->n; at += COLS) {
    block b = chunk_of(l, u, at);
    float mean[COLS] = {0};
    col_sums sums;
    for (int64_t j = 0; j < b.n; j++) mean[j] = (float)u->mean[group_of(l, u, at + j)];
    fold_out(&b, mean);
    column_grad_sums(io, &b, mean, &sums);
    for (int64_t j = 0; j < b.n; j++) {
      int64_t g = group_of(l, u, at + j);
      double w = weight ? weight[at + j] : 1;
      out->g[g] += w * sums.s[j];
      out->gx[g] += w * sums.t[j];
      if (!dweight) continue;
      dweight[at + j] += sums.t[j] * u->rstd[g];
      dbias[at + j] += sums.s[j];
    }
  }
}

static void bundle_apply(const layout *l, const bundle *u, const col_grad *io, const float *weight,
                         const group_sums *sums) {
  for (int64_t at = u->first; at < u->first + u->n; at += COLS) {
    block b = chunk_of(l, u, at);
    col_slopes k = {0};
    for (int64_t j = 0; j < b.n; j++) {
      int64_t g = group_of(l, u, at + j);
      double r = u->rstd[g], n = u->count[g];
      k.mean[j] = (float)u->mean[g];
      k.p[j] = (float)(r * (weight ? weight[at + j] : 1));
      k.q[j] = (float)(-r * r * r * sums->gx[g] / n);
      k.r[j] = (float)(-r * sums->g[g] / n);
    }
    fold_out(&b, k.mean);
    fold_out(&b, k.p);
    fold_out(&b, k.q);
    fold_out(&b, k.r);
    column_grad_apply(io, &b, &k);
  }
}

static void backward(const fv_call *c) {
  const fv_group_norm_grad_attrs *a = c->attrs;
  layout l = layout_of(c->in[0].shape, a->groups, a->eps);
  int64_t size = l.places * l.channels;
  const float *weight = c->n_in > 2 ? c->in[2].data : NULL;
  double *dweight = a->affine ? c->scratch : NULL, *dbias = a->affine ? dweight + l.channels : NULL;
  for (int64_t j = 0; a->affine && j < 2 * l.channels; j++) dweight[j] = 0;
  for (int64_t s = a->affine ? 0 : c->begin, end = a->affine ? l.samples : c->end; s < end; s++) {
    col_grad io = {.dy = (const float *)c->in[0].data + s * size, .x = (const float *)c->in[1].data + s * size,
                   .dx = (float *)c->out[0].data + s * size};
    bundle u;
    group_sums sums;
    for (int64_t first = 0; first < l.channels; first += u.n) {
      measure(&l, io.x, first, &u);
      bundle_sums(&l, &u, &io, weight, dweight, dbias, &sums);
      bundle_apply(&l, &u, &io, weight, &sums);
    }
  }
  for (int64_t j = 0; a->affine && j < l.channels; j++) {
    ((float *)c->out[1].data)[j] = (float)dweight[j];
    ((float *)c->out[2].data)[j] = (float)dbias[j];
  }
}

static int64_t samples(const fv_node *n) { return layout_of(n->in[0]->shape, 1, 0).samples; }
static bool affine(const fv_node *n) { return ((const fv_group_norm_grad_attrs *)n->attrs)->affine; }
static int64_t backward_units(const fv_node *n) { return affine(n) ? 1 : samples(n); }
static int64_t backward_scratch(const fv_node *n) {
  fv_shape s = n->in[0]->shape;
  return affine(n) ? 2 * s.dim[s.ndim - 1] * (int64_t)sizeof(double) : 0;
}

const fv_kernel FV_KERNELS(group_norm)[] = {
    {.op = "group_norm", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = samples, .run = forward},
    {.op = "group_norm_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .scratch = backward_scratch,
     .units = backward_units, .run = backward},
    {0}};
