/* SPDX-License-Identifier: Apache-2.0 */
/* gatv2.c: graph attention whose score is a net on both ends (ops/gatv2_attend.c), and its gradients: an edge's hidden
 * values are made in registers, as often as they are needed, from the two rows of features that they come from. A unit
 * is a share of the graph: rows and edges together. */
#include "edges.h"

enum { DY, L, R, ATT, T_ROW_PTR = FV_ATTEND_DELTA + 1, T_COL, T_DALPHA, T_KEPT };

typedef struct net {
  graph g;
  drop d;
  fv_f32v slope;
  const float *l, *r, *att;
  const float *dy, *lse, *delta, *dalpha; /* gradients */
  float *y, *alpha, *lse_out;             /* forward */
  float *out, *datt;                      /* gradients */
} net;

typedef struct pair {
  const float *l, *r, *att;
  fv_f32v slope;
} pair;
INLINE fv_f32v term_score(const void *arg, int64_t f, int64_t lanes) {
  const pair *p = arg;
  return row_load(p->att + f, lanes) * leaky(row_load(p->l + f, lanes) + row_load(p->r + f, lanes), p->slope);
}
INLINE fv_f32v score(const net *a, const heads *h, int64_t source, int64_t target) {
  return heads_sum(h, term_score,
                   &(pair){features(h, a->l, source), features(h, a->r, target), a->att + h->at, a->slope});
}
INLINE float *row_of(const heads *h, float *x, int64_t row) { return x + row * h->all * h->width + h->at; }

/* ---- gatv2_attend ----------------------------------------------------------------------------------------------- */
INLINE void forward_row(const net *a, const heads *h, int64_t row, int64_t begin, int64_t end) {
  float *y = row_of(h, a->y, row);
  soft s = soft_begin();
  chunk c;
  c.next = begin;
  fv_f32v lse = fv_vzero();
  bool first = true, last;
  do {
    chunk_fill(&c, &a->g, c.next, end, h, &(ends){{a->l}, {NULL}, NULL}, &a->d);
    for (int k = 0; k < c.n; k++) fv_vstore(c.w + k * h->stride, score(a, h, c.other[k], row));
    soft_chunk(&s, &c, h, &a->d, false, a->alpha);
    last = c.next >= end;
    if (last) lse = soft_end(&s);
#define BLOCK(f, nv, lanes)                                   \
  do {                                                        \
    fv_f32v sums[4];                                          \
    chunk_sum(&c, h, a->l, f, nv, lanes, sums, NULL);         \
    soft_store(&s, h, y, sums, f, nv, lanes, first, last);    \
  } while (0)
    EACH_BLOCK(h, BLOCK);
#undef BLOCK
    first = false;
  } while (!last);
  if (a->lse_out) heads_store(h, a->lse_out, row, lse);
  if (a->alpha) alpha_finish(&a->g, h, begin, end, lse, a->alpha);
}

/* ---- gradients -------------------------------------------------------------------------------------------------- */
/* w = m alpha and v = the gradient of the score, of the edges from (to, when `by_source`) the chunk's other ends. */
INLINE void backward_weights(const net *a, chunk *c, const heads *h, int64_t row, bool by_source) {
  for (int k = 0; k < c->n; k++) {
    const int64_t source = by_source ? row : c->other[k], target = by_source ? c->other[k] : row;
    fv_f32v alpha = fv_vexp(score(a, h, source, target) - heads_load(h, a->lse, target)), w = alpha;
    fv_f32v less = heads_load(h, a->delta, target);
    if (a->dalpha) less = less - heads_load(h, a->dalpha, c->edge[k]);
    if (a->d.bits) w = w * fv_vmasked(fv_mof(c->kept[k]), fv_vsplat(a->d.scale));
    fv_f32v dot = heads_dot(h, features(h, a->dy, target), features(h, a->l, source));
    fv_vstore(c->w + k * h->stride, w);
    fv_vstore(c->v + k * h->stride, fv_vfnma(alpha, less, w * dot));
  }
}

/* Of nv vectors of features: sums over the chunk of v leaky'(z), and of v leaky(z) (up: not NULL) or of w dy (NULL). */
INLINE void backward_sum(const net *a, const chunk *c, const heads *h, const float *own, int64_t f, int nv,
                         int64_t lanes, fv_f32v *sloped, fv_f32v *other, bool by_source) {
  fv_i32v head[4];
  fv_f32v mine[4];
  for (int i = 0; i < nv; i++) {
    head[i] = head_of(h, f + i * FV_W);
    mine[i] = row_load(own + f + i * FV_W, lanes);
    sloped[i] = other[i] = fv_vzero();
  }
  for (int k = 0; k < c->n; k++) {
    const float *far = features(h, by_source ? a->r : a->l, c->other[k]) + f;
    const float *dy = by_source ? features(h, a->dy, c->other[k]) + f : NULL;
    fv_f32v v = fv_vload(c->v + k * h->stride), w = by_source ? fv_vload(c->w + k * h->stride) : fv_vzero();
    for (int i = 0; i < nv; i++) {
      fv_f32v z = mine[i] + row_load(far + i * FV_W, lanes), de = fv_vpermute(v, head[i]);
      sloped[i] = fv_vfma(de, leaky_slope(z, a->slope), sloped[i]);
      if (by_source) other[i] = fv_vfma(fv_vpermute(w, head[i]), row_load(dy + i * FV_W, lanes), other[i]);
      else other[i] = fv_vfma(de, leaky(z, a->slope), other[i]);
    }
  }
}

INLINE void target_row(const net *a, const heads *h, int64_t row, int64_t begin, int64_t end) {
  float *dr = row_of(h, a->out, row), *datt = row_of(h, a->datt, row / FV_ATTEND_ROWS);
  const float *att = a->att + h->at, *own = features(h, a->r, row);
  chunk c;
  c.next = begin;
  bool first = true, fresh = row % FV_ATTEND_ROWS == 0;
  do {
    chunk_fill(&c, &a->g, c.next, end, h, &(ends){{a->l}, {NULL}, NULL}, &a->d);
    backward_weights(a, &c, h, row, false);
#define BLOCK(f, nv, lanes)                                                                                    \
  do {                                                                                                         \
    fv_f32v sloped[4], up[4];                                                                                  \
    backward_sum(a, &c, h, own, f, nv, lanes, sloped, up, false);                                              \
    for (int i = 0; i < nv; i++) {                                                                             \
      const int64_t at = f + i * FV_W;                                                                         \
      fv_f32v part = sloped[i] * row_load(att + at, lanes);                                                    \
      row_store(dr + at, first ? part : row_load(dr + at, lanes) + part, lanes);                               \
      row_store(datt + at, fresh ? up[i] : row_load(datt + at, lanes) + up[i], lanes);                         \
    }                                                                                                          \
  } while (0)
    EACH_BLOCK(h, BLOCK);
#undef BLOCK
    first = fresh = false;
  } while (c.next < end);
}

INLINE void source_row(const net *a, const heads *h, int64_t row, int64_t begin, int64_t end) {
  float *dl = row_of(h, a->out, row);
  const float *att = a->att + h->at, *own = features(h, a->l, row);
  chunk c;
  c.next = begin;
  bool first = true;
  do {
    chunk_fill(&c, &a->g, c.next, end, h, &(ends){{a->r, a->dy}, {a->lse, a->delta}, NULL}, &a->d);
    backward_weights(a, &c, h, row, true);
#define BLOCK(f, nv, lanes)                                                                                    \
  do {                                                                                                         \
    fv_f32v sloped[4], passed[4];                                                                              \
    backward_sum(a, &c, h, own, f, nv, lanes, sloped, passed, true);                                           \
    for (int i = 0; i < nv; i++) {                                                                             \
      const int64_t at = f + i * FV_W;                                                                         \
      fv_f32v part = c.n ? fv_vfma(sloped[i], row_load(att + at, lanes), passed[i]) : fv_vzero();              \
      row_store(dl + at, first ? part : row_load(dl + at, lanes) + part, lanes);                               \
    }                                                                                                          \
  } while (0)
    EACH_BLOCK(h, BLOCK);
#undef BLOCK
    first = false;
  } while (c.next < end);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */
typedef void row_run(const net *a, const heads *h, int64_t row, int64_t begin, int64_t end);
INLINE void run_rows(const net *a, int64_t from, int64_t to, int64_t begin, int64_t all, int64_t width, row_run *run) {
  for (int64_t i = 0; i < groups_of(all); i++) {
    int32_t of[NEAR][FV_W];
    const heads h = heads_of(i, all, width, of);
    for (int64_t row = from, at = begin, end; row < to; row++, at = end) {
      end = row_end(&a->g, row, at);
      run(a, &h, row, at, end);
    }
  }
}
INLINE void run_sized(const net *a, int64_t from, int64_t to, int64_t begin, fv_shape s, row_run *run) {
  if (s.dim[2] == 8) run_rows(a, from, to, begin, s.dim[1], 8, run);
  else run_rows(a, from, to, begin, s.dim[1], s.dim[2], run);
}

static net net_of(const fv_call *c, int l, int ptr, int other, int kept) {
  net a = {.l = c->in[l].data, .r = c->in[l + 1].data, .att = c->in[l + 2].data, .d = drop_of(c, kept)};
  a.slope = fv_vsplat((float)((const fv_attend_attrs *)c->attrs)->slope);
  a.g = (graph){.ptr = c->in[ptr].data, .other = c->in[other].data, .rows = c->in[ptr].shape.dim[0] - 1,
                .places = c->in[other].shape.dim[0]};
  return a;
}
static net gradient_of(const fv_call *c, int ptr, int dalpha, int kept) {
  net a = net_of(c, L, ptr, ptr + 1, kept);
  a.dy = c->in[DY].data;
  a.lse = c->in[FV_ATTEND_LSE].data;
  a.delta = c->in[FV_ATTEND_DELTA].data;
  a.dalpha = c->n_in > dalpha ? c->in[dalpha].data : NULL;
  a.out = c->out[0].data;
  return a;
}

static int64_t forward_units(const fv_node *n) {
  return graph_units(n->in[FV_ATTEND_ROW_PTR]->shape.dim[0] - 1, n->in[FV_ATTEND_COL]->shape.dim[0]);
}
static void run_forward(const fv_call *c) {
  net a = net_of(c, 0, FV_ATTEND_ROW_PTR, FV_ATTEND_COL, FV_ATTEND_KEPT);
  const fv_shape s = c->in[0].shape;
  a.g.others = s.dim[0];
  a.y = c->out[0].data;
  a.alpha = c->out[1].data;
  a.lse_out = c->out[2].data;
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
  if (c->begin == 0) alpha_clear(a.alpha, s.dim[1], 0, begin);
  if (c->end == forward_units(c->node)) alpha_clear(a.alpha, s.dim[1], after, a.g.places);
  run_sized(&a, from, to, begin, s, forward_row);
}

static int64_t target_units(const fv_node *n) {
  return graph_units(n->in[T_ROW_PTR]->shape.dim[0] - 1, n->in[T_COL]->shape.dim[0]);
}
static void run_target(const fv_call *c) {
  net a = gradient_of(c, T_ROW_PTR, T_DALPHA, T_KEPT);
  a.g.others = c->in[L].shape.dim[0];
  a.datt = c->out[1].data;
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
  run_sized(&a, from, to, begin, c->in[L].shape, target_row);
}

static int64_t source_units(const fv_node *n) {
  return graph_units(n->in[L]->shape.dim[0], n->in[FV_ATTEND_T_ROW]->shape.dim[0]);
}
static void run_source(const fv_call *c) {
  net a = gradient_of(c, FV_ATTEND_T_PTR, FV_ATTEND_DALPHA, FV_ATTEND_T_KEPT);
  a.g.edge = c->in[FV_ATTEND_T_EDGE].data;
  a.g.others = c->in[DY].shape.dim[0];
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
  run_sized(&a, from, to, begin, c->in[L].shape, source_row);
}

#define ROW(op_, units_, run_) \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units_, .run = run_}
const fv_kernel FV_KERNELS(gatv2)[] = {ROW(gatv2_attend, forward_units, run_forward),
                                       ROW(gatv2_attend_target_grad, target_units, run_target),
                                       ROW(gatv2_attend_source_grad, source_units, run_source),
                                       {0}};
