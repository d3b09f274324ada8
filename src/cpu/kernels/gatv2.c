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
INLINE void forward_weights(const net *a, chunk *c, const piece *r, const heads *h, soft *s) {
  if (r->first) *s = soft_begin();
  for (int k = r->from; k < r->from + r->n; k++)
    row_store(c->w + piece_at(r, h, k), score(a, h, c->other[k], r->row), h->n);
  soft_piece(s, c, r, h, &a->d, false, a->alpha);
  if (!r->last) return;
  soft_end(s);
  if (a->lse_out) heads_store(h, a->lse_out, r->row, soft_log(s));
  if (a->alpha) alpha_finish(&a->g, h, r, s, a->alpha);
}

INLINE void forward_chunk(const net *a, chunk *c, const heads *h, soft *s) {
  for (int i = 0; i < c->pieces; i++) forward_weights(a, c, &c->piece[i], h, &s[i]);
  for (int i = 0; i < c->pieces; i++) {
    const piece *r = &c->piece[i];
    float *y = row_of(h, a->y, r->row);
#define BLOCK(f, nv, lanes)                                   \
  do {                                                        \
    fv_f32v sums[4];                                          \
    piece_sum(c, r, h, a->l, f, nv, lanes, sums, NULL);        \
    soft_store(&s[i], r, h, y, sums, f, nv, lanes);           \
  } while (0)
    EACH_BLOCK(h, BLOCK);
#undef BLOCK
  }
}

/* ---- gradients -------------------------------------------------------------------------------------------------- */
/* w = m alpha and v = the gradient of the score, of the edges from (to, when `by_source`) the chunk's other ends. */
INLINE void backward_weights(const net *a, chunk *c, const piece *r, const heads *h, bool by_source) {
  for (int k = r->from; k < r->from + r->n; k++) {
    const int64_t source = by_source ? r->row : c->other[k], target = by_source ? c->other[k] : r->row;
    fv_f32v alpha = fv_vexp(score(a, h, source, target) - heads_load(h, a->lse, target)), w = alpha;
    fv_f32v less = heads_load(h, a->delta, target);
    if (a->dalpha) less = less - heads_load(h, a->dalpha, c->edge[k]);
    if (a->d.bits) w = w * fv_vmasked(fv_mof(c->kept[k]), fv_vsplat(a->d.scale));
    fv_f32v dot = heads_dot(h, features(h, a->dy, target), features(h, a->l, source));
    row_store(c->w + piece_at(r, h, k), w, h->n);
    row_store(c->v + piece_at(r, h, k), fv_vfnma(alpha, less, w * dot), h->n);
  }
}

/* Of nv vectors of features: sums over the part of v leaky'(z), and of v leaky(z) (up: not NULL) or of w dy (NULL). */
INLINE void backward_sum(const net *a, const chunk *c, const piece *r, const heads *h, const float *own, int64_t f,
                         int nv, int64_t lanes, fv_f32v *sloped, fv_f32v *other, bool by_source) {
  fv_i32v head[4];
  fv_f32v mine[4];
  for (int i = 0; i < nv; i++) {
    head[i] = head_of(h, f + i * FV_W);
    mine[i] = row_load(own + f + i * FV_W, lanes);
    sloped[i] = other[i] = fv_vzero();
  }
  for (int k = r->from; k < r->from + r->n; k++) {
    const float *far = features(h, by_source ? a->r : a->l, c->other[k]) + f;
    const float *dy = by_source ? features(h, a->dy, c->other[k]) + f : NULL;
    const int64_t at = piece_at(r, h, k);
    for (int i = 0; i < nv; i++) {
      fv_f32v z = mine[i] + row_load(far + i * FV_W, lanes), de = piece_spread(c->v, at, head[i]);
      sloped[i] = fv_vfma(de, leaky_slope(z, a->slope), sloped[i]);
      if (by_source)
        other[i] = fv_vfma(piece_spread(c->w, at, head[i]), row_load(dy + i * FV_W, lanes), other[i]);
      else other[i] = fv_vfma(de, leaky(z, a->slope), other[i]);
    }
  }
}

INLINE void target_piece(const net *a, chunk *c, const piece *r, const heads *h) {
  float *dr = row_of(h, a->out, r->row), *datt = row_of(h, a->datt, r->row / FV_ATTEND_ROWS);
  const float *att = a->att + h->at, *own = features(h, a->r, r->row);
  const bool fresh = r->first && r->row % FV_ATTEND_ROWS == 0;
  backward_weights(a, c, r, h, false);
#define BLOCK(f, nv, lanes)                                                                                    \
  do {                                                                                                         \
    fv_f32v sloped[4], up[4];                                                                                  \
    backward_sum(a, c, r, h, own, f, nv, lanes, sloped, up, false);                                            \
    for (int i = 0; i < nv; i++) {                                                                             \
      const int64_t at = f + i * FV_W;                                                                         \
      fv_f32v mine = sloped[i] * row_load(att + at, lanes);                                                    \
      row_store(dr + at, r->first ? mine : row_load(dr + at, lanes) + mine, lanes);                            \
      row_store(datt + at, fresh ? up[i] : row_load(datt + at, lanes) + up[i], lanes);                         \
    }                                                                                                          \
  } while (0)
  EACH_BLOCK(h, BLOCK);
#undef BLOCK
}
INLINE void target_chunk(const net *a, chunk *c, const heads *h, soft *s) {
  (void)s;
  for (int i = 0; i < c->pieces; i++) target_piece(a, c, &c->piece[i], h);
}

INLINE void source_piece(const net *a, chunk *c, const piece *r, const heads *h) {
  float *dl = row_of(h, a->out, r->row);
  const float *att = a->att + h->at, *own = features(h, a->l, r->row);
  backward_weights(a, c, r, h, true);
#define BLOCK(f, nv, lanes)                                                                                    \
  do {                                                                                                         \
    fv_f32v sloped[4], passed[4];                                                                              \
    backward_sum(a, c, r, h, own, f, nv, lanes, sloped, passed, true);                                         \
    for (int i = 0; i < nv; i++) {                                                                             \
      const int64_t at = f + i * FV_W;                                                                         \
      fv_f32v mine = r->n ? fv_vfma(sloped[i], row_load(att + at, lanes), passed[i]) : fv_vzero();             \
      row_store(dl + at, r->first ? mine : row_load(dl + at, lanes) + mine, lanes);                            \
    }                                                                                                          \
  } while (0)
  EACH_BLOCK(h, BLOCK);
#undef BLOCK
}
INLINE void source_chunk(const net *a, chunk *c, const heads *h, soft *s) {
  (void)s;
  for (int i = 0; i < c->pieces; i++) source_piece(a, c, &c->piece[i], h);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------ */
typedef void chunk_run(const net *a, chunk *c, const heads *h, soft *s);
INLINE void run_rows(const net *a, const ends *e, int64_t from, int64_t to, int64_t begin, int64_t all, int64_t width,
                     chunk_run *run) {
  for (int64_t i = 0; i < groups_of(all); i++) {
    int32_t of[NEAR][FV_W];
    const heads h = heads_of(i, all, width, of);
    walk w = {.row = from, .to = to, .at = begin};
    chunk c;
    soft s[CHUNK]; /* the first goes on where the last chunk ended within a row */
    while (chunk_next(&c, &a->g, &w, &h, e, &a->d)) run(a, &c, &h, s);
  }
}
INLINE void run_sized(const net *a, const ends *e, int64_t from, int64_t to, int64_t begin, fv_shape s,
                      chunk_run *run) {
#define RUN(all, width) run_rows(a, e, from, to, begin, all, width, run)
  HEADS_SIZED(s, RUN);
#undef RUN
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
  run_sized(&a, &(ends){.features = {a.l}}, from, to, begin, s, forward_chunk);
}

static int64_t target_units(const fv_node *n) {
  return graph_units(n->in[T_ROW_PTR]->shape.dim[0] - 1, n->in[T_COL]->shape.dim[0]);
}
static void run_target(const fv_call *c) {
  net a = gradient_of(c, T_ROW_PTR, T_DALPHA, T_KEPT);
  a.g.others = c->in[L].shape.dim[0];
  a.datt = c->out[1].data;
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
  run_sized(&a, &(ends){.features = {a.l}}, from, to, begin, c->in[L].shape, target_chunk);
}

static int64_t source_units(const fv_node *n) {
  return graph_units(n->in[L]->shape.dim[0], n->in[FV_ATTEND_T_ROW]->shape.dim[0]);
}
static void run_source(const fv_call *c) {
  net a = gradient_of(c, FV_ATTEND_T_PTR, FV_ATTEND_DALPHA, FV_ATTEND_T_KEPT);
  a.g.edge = c->in[FV_ATTEND_T_EDGE].data;
  a.g.others = c->in[DY].shape.dim[0];
  int64_t begin, after, from = first_row(&a.g, c->begin, &begin), to = first_row(&a.g, c->end, &after);
  const ends e = {.features = {a.r, a.dy}, .heads = {a.lse, a.delta}};
  run_sized(&a, &e, from, to, begin, c->in[L].shape, source_chunk);
}

#define ROW(op_, units_, run_) \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units_, .run = run_}
const fv_kernel FV_KERNELS(gatv2)[] = {ROW(gatv2_attend, forward_units, run_forward),
                                       ROW(gatv2_attend_target_grad, target_units, run_target),
                                       ROW(gatv2_attend_source_grad, source_units, run_source),
                                       {0}};
