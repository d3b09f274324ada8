/* SPDX-License-Identifier: Apache-2.0 */
/* gat.c: graph attention with scores of a part of each end (ops/gat_attend.c), and the gradients. Scores are computed
 * where they are needed; what moves through memory is one row of features an edge and direction, fetched ahead. A unit
 * is a share of the graph: rows and edges together. */
#include "edges.h"

enum { X, SOURCE, TARGET };

/* ---- gat_attend ------------------------------------------------------------------------------------------------- */
typedef struct forward {
  graph g;
  drop d;
  fv_f32v slope;
  const float *x, *source, *target;
  float *y, *alpha, *lse, *rise, *rising;
} forward;

INLINE void forward_scores(const forward *a, chunk *c, const piece *r, const heads *h) {
  const fv_f32v target = slots_same(h, heads_load(h, a->target, r->row));
  for (int64_t p = r->at; p < piece_end(r, h); p += FV_W)
    fv_vstore(c->w + p, leaky(target + fv_vload(c->end[0] + p), a->slope));
}

/* keep: something of what the gradient needs is wanted. */
INLINE void forward_weights(const forward *a, chunk *c, const piece *r, const heads *h, soft *s, bool keep) {
  if (r->first) *s = soft_begin();
  forward_scores(a, c, r, h);
  soft_piece(s, c, r, h, &a->d, keep, a->alpha);
  if (!r->last) return;
  soft_end(s);
  if (a->lse) heads_store(h, a->lse, r->row, soft_log(s));
  if (keep && a->rising) heads_store(h, a->rising, r->row, s->rising * s->scale);
  if (a->alpha) alpha_finish(&a->g, h, r, s, a->alpha);
}

INLINE void forward_sums(const forward *a, const chunk *c, const piece *r, const heads *h, const soft *s, bool keep) {
  const int64_t at = r->row * h->all * h->width + h->at;
#define BLOCK(f, nv, lanes)                                                        \
  do {                                                                             \
    fv_f32v sums[4], up[4];                                                        \
    piece_sum(c, r, h, a->x, f, nv, lanes, sums, keep ? up : NULL);                 \
    soft_store(s, r, h, a->y + at, sums, f, nv, lanes);                            \
    if (keep && a->rise) soft_store(s, r, h, a->rise + at, up, f, nv, lanes);      \
  } while (0)
  EACH_BLOCK(h, BLOCK);
#undef BLOCK
}

INLINE void forward_rows(const forward *a, int64_t from, int64_t to, int64_t begin, int64_t all, int64_t width,
                         bool keep) {
  for (int64_t i = 0; i < groups_of(all); i++) {
    int32_t of[NEAR][FV_W];
    const heads h = heads_of(i, all, width, of);
    const ends e = {{a->x}, {a->source}, NULL};
    walk w = {.row = from, .to = to, .at = begin};
    chunk c;
    soft s[CHUNK]; /* the first goes on where the last chunk ended within a row */
    while (chunk_next(&c, &a->g, &w, &h, &e, &a->d)) {
      for (int r = 0; r < c.pieces; r++) forward_weights(a, &c, &c.piece[r], &h, &s[r], keep);
      for (int r = 0; r < c.pieces; r++) forward_sums(a, &c, &c.piece[r], &h, &s[r], keep);
    }
  }
}

static int64_t forward_units(const fv_node *n) {
  return graph_units(n->in[FV_ATTEND_ROW_PTR]->shape.dim[0] - 1, n->in[FV_ATTEND_COL]->shape.dim[0]);
}

static void run_forward(const fv_call *c) {
  const fv_shape x = c->in[X].shape;
  forward a = {.x = c->in[X].data, .source = c->in[SOURCE].data, .target = c->in[TARGET].data, .y = c->out[0].data,
               .alpha = c->out[1].data, .lse = c->out[2].data, .rise = c->out[3].data, .rising = c->out[4].data,
               .d = drop_of(c, FV_ATTEND_KEPT), .slope = fv_vsplat((float)((const fv_attend_attrs *)c->attrs)->slope)};
  a.g = (graph){.ptr = c->in[FV_ATTEND_ROW_PTR].data, .other = c->in[FV_ATTEND_COL].data, .others = x.dim[0],
                .rows = c->in[FV_ATTEND_ROW_PTR].shape.dim[0] - 1, .places = c->in[FV_ATTEND_COL].shape.dim[0]};
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
  if (c->begin == 0) alpha_clear(a.alpha, x.dim[1], 0, begin);
  if (c->end == forward_units(c->node)) alpha_clear(a.alpha, x.dim[1], after, a.g.places);
#define KEEP(all, width) forward_rows(&a, from, to, begin, all, width, true)
#define FORGET(all, width) forward_rows(&a, from, to, begin, all, width, false)
  if (a.rise || a.rising) HEADS_SIZED(x, KEEP);
  else HEADS_SIZED(x, FORGET);
#undef KEEP
#undef FORGET
}

/* ---- gat_attend_source_grad ------------------------------------------------------------------------------------- */
typedef struct backward {
  graph g;
  drop d;
  fv_f32v slope;
  const float *dy, *x, *source, *target, *lse, *delta, *dalpha;
  float *dx, *dsource;
} backward;

/* w = m alpha, v = w slope; returns the part of dsource that does not come through dy. */
INLINE fv_f32v backward_weights(const backward *a, chunk *c, const piece *r, const heads *h) {
  const fv_f32v source = slots_same(h, heads_load(h, a->source, r->row));
  fv_f32v sum = fv_vzero();
  for (int64_t p = r->at; p < piece_end(r, h); p += FV_W) {
    const fv_mask in = piece_lanes(r, h, p);
    fv_f32v z = source + fv_vload(c->end[0] + p), slope = leaky_slope(z, a->slope);
    fv_f32v w = fv_vmasked(in, fv_vexp(leaky(z, a->slope) - fv_vload(c->end[1] + p)));
    fv_f32v less = fv_vmasked(in, fv_vload(c->end[2] + p));
    if (a->dalpha) less = less - fv_vmasked(in, fv_vload(c->end[3] + p));
    sum = fv_vfnma(w * slope, less, sum);
    if (a->d.bits) w = w * piece_kept(c, r, h, &a->d, p);
    fv_vstore(c->w + p, w);
    fv_vstore(c->v + p, w * slope);
  }
  return slots_sum(h, sum);
}

INLINE void backward_sums(const backward *a, const chunk *c, const piece *r, const heads *h, fv_f32v dsource) {
  const float *x = features(h, a->x, r->row);
  float *dx = a->dx + r->row * h->all * h->width + h->at;
#define BLOCK(f, nv, lanes)                                                                       \
  do {                                                                                            \
    fv_f32v sums[4], sloped[4];                                                                   \
    piece_sum(c, r, h, a->dy, f, nv, lanes, sums, sloped);                                         \
    for (int i = 0; i < nv; i++) {                                                                \
      const int64_t at = f + i * FV_W;                                                            \
      row_store(dx + at, r->first ? sums[i] : row_load(dx + at, lanes) + sums[i], lanes);         \
      if (r->n) dsource = heads_add(h, dsource, sloped[i] * row_load(x + at, lanes), at, lanes);  \
    }                                                                                             \
  } while (0)
  EACH_BLOCK(h, BLOCK);
#undef BLOCK
  heads_store(h, a->dsource, r->row, r->first ? dsource : heads_load(h, a->dsource, r->row) + dsource);
}

INLINE void backward_rows(const backward *a, int64_t from, int64_t to, int64_t begin, int64_t all, int64_t width) {
  for (int64_t i = 0; i < groups_of(all); i++) {
    int32_t of[NEAR][FV_W];
    const heads h = heads_of(i, all, width, of);
    const ends e = {{a->dy}, {a->target, a->lse, a->delta}, a->dalpha};
    walk w = {.row = from, .to = to, .at = begin};
    chunk c;
    fv_f32v dsource[CHUNK];
    while (chunk_next(&c, &a->g, &w, &h, &e, &a->d)) {
      for (int r = 0; r < c.pieces; r++) dsource[r] = backward_weights(a, &c, &c.piece[r], &h);
      for (int r = 0; r < c.pieces; r++) backward_sums(a, &c, &c.piece[r], &h, dsource[r]);
    }
  }
}

static int64_t backward_units(const fv_node *n) {
  return graph_units(n->in[X + 1]->shape.dim[0], n->in[FV_ATTEND_T_ROW]->shape.dim[0]);
}

static void run_backward(const fv_call *c) {
  const fv_shape x = c->in[1].shape;
  backward a = {.dy = c->in[0].data, .x = c->in[1].data, .source = c->in[2].data, .target = c->in[3].data,
                .lse = c->in[FV_ATTEND_LSE].data, .delta = c->in[FV_ATTEND_DELTA].data, .dx = c->out[0].data,
                .dalpha = c->n_in > FV_ATTEND_DALPHA ? c->in[FV_ATTEND_DALPHA].data : NULL, .dsource = c->out[1].data,
                .d = drop_of(c, FV_ATTEND_T_KEPT)};
  a.slope = fv_vsplat((float)((const fv_attend_attrs *)c->attrs)->slope);
  a.g = (graph){.ptr = c->in[FV_ATTEND_T_PTR].data, .other = c->in[FV_ATTEND_T_ROW].data,
                .edge = c->in[FV_ATTEND_T_EDGE].data, .rows = x.dim[0], .places = c->in[FV_ATTEND_T_ROW].shape.dim[0],
                .others = c->in[0].shape.dim[0]};
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
#define RUN(all, width) backward_rows(&a, from, to, begin, all, width)
  HEADS_SIZED(x, RUN);
#undef RUN
}

/* ---- gat_attend_target_grad: inputs dy, rise, rising, delta, [row_ptr, col, alpha, dalpha, source, target] ------- */
INLINE fv_f32v weights_sum(const fv_call *c, const graph *g, const heads *h, int64_t row, int64_t begin, int64_t end) {
  const float *alpha = c->in[6].data, *dalpha = c->in[7].data, *source = c->in[8].data;
  const fv_f32v target = heads_load(h, c->in[9].data, row);
  fv_f32v sum = fv_vzero();
  for (int64_t k = begin; k < end; k++) {
    if (g->other[k] < 0 || g->other[k] >= g->others) continue;
    fv_mask rises = fv_vgt(target + heads_load(h, source, g->other[k]), fv_vzero());
    fv_f32v part = heads_load(h, alpha, k) * heads_load(h, dalpha, k);
    sum += fv_vmasked(rises, fv_vsplat(1)) * part;
  }
  return sum;
}

static int64_t target_units(const fv_node *n) { return graph_units(n->in[0]->shape.dim[0], 0); }

static void run_target(const fv_call *c) {
  const fv_shape s = c->in[0].shape;
  const bool more = c->n_in > 4 && c->in[7].data;
  const fv_f32v part = fv_vsplat((float)(1 - ((const fv_attend_attrs *)c->attrs)->slope));
  graph g = {.rows = s.dim[0]};
  const int64_t from = c->begin * SHARE, to = FV_MIN(c->end * SHARE, g.rows);
  int64_t first = 0;
  if (more) {
    g = (graph){.ptr = c->in[4].data, .other = c->in[5].data, .rows = g.rows, .places = c->in[5].shape.dim[0],
                .others = c->in[8].shape.dim[0]};
    first = FV_MIN(largest(g.ptr, from + 1), g.places);
  }
  for (int64_t i = 0; i < groups_of(s.dim[1]); i++) {
    int32_t of[NEAR][FV_W];
    const heads h = heads_of(i, s.dim[1], s.dim[2], of);
    for (int64_t row = from, begin = first, end = first; row < to; row++, begin = end) {
      fv_f32v sum = heads_dot(&h, features(&h, c->in[0].data, row), features(&h, c->in[1].data, row));
      if (more) {
        end = row_end(&g, row, begin);
        sum += weights_sum(c, &g, &h, row, begin, end);
      }
      sum = fv_vfnma(heads_load(&h, c->in[3].data, row), heads_load(&h, c->in[2].data, row), sum);
      heads_store(&h, c->out[0].data, row, part * sum);
    }
  }
}

/* ---- attend_delta: inputs dy, y, row_ptr, [alpha, dalpha] -------------------------------------------------------- */
static void run_delta(const fv_call *c) {
  const fv_shape s = c->in[0].shape;
  const float *alpha = c->n_in > 4 ? c->in[3].data : NULL, *dalpha = c->n_in > 4 ? c->in[4].data : NULL;
  const graph g = {.ptr = c->in[2].data, .rows = s.dim[0], .places = alpha ? c->in[3].shape.dim[0] : 0};
  const int64_t from = c->begin * SHARE, to = FV_MIN(c->end * SHARE, g.rows);
  const int64_t first = FV_MIN(largest(g.ptr, from + 1), g.places);
  for (int64_t i = 0; i < groups_of(s.dim[1]); i++) {
    int32_t of[NEAR][FV_W];
    const heads h = heads_of(i, s.dim[1], s.dim[2], of);
    for (int64_t row = from, begin = first, end; row < to; row++, begin = end) {
      end = row_end(&g, row, begin);
      fv_f32v sum = heads_dot(&h, features(&h, c->in[0].data, row), features(&h, c->in[1].data, row));
      for (int64_t k = begin; k < end; k++) sum = fv_vfma(heads_load(&h, alpha, k), heads_load(&h, dalpha, k), sum);
      heads_store(&h, c->out[0].data, row, sum);
    }
  }
}

#define ROW(op_, units_, run_) \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units_, .run = run_}
const fv_kernel FV_KERNELS(gat)[] = {ROW(gat_attend, forward_units, run_forward),
                                     ROW(gat_attend_source_grad, backward_units, run_backward),
                                     ROW(gat_attend_target_grad, target_units, run_target),
                                     ROW(attend_delta, target_units, run_delta),
                                     {0}};
