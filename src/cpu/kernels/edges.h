/* SPDX-License-Identifier: Apache-2.0 */
/* edges.h: what kernels over the rows of a CSR graph share: sharing rows out evenly although some are a thousand times
 * as long as others, taking a row's edges in chunks, and arithmetic on a group of heads.
 *
 * A group is as many heads as a vector has lanes: numbers a head (scores, weights) are one vector, and the D features
 * of each head are found by permuting it. Rows and groups are independent; within a row edges go in their order, so
 * bits depend on the row alone. */
#ifndef FV_CPU_KERNELS_EDGES_H
#define FV_CPU_KERNELS_EDGES_H

#include "cpu/vmath.h"
#include "ops/attend.h"
#include "rows.h"

/* ---- rows ------------------------------------------------------------------------------------------------------- */
enum {
  SHARE = 256, /* rows and edges together in a unit */
  CHUNK = 32,  /* edges that are worked on at a time */
  AHEAD = 24,  /* how many places before they are needed features are fetched */
  NEAR = 8     /* vectors of features for which the heads are written down */
};

typedef struct graph {
  const int32_t *ptr, *other, *edge; /* other: the far end of a place; edge: its number (NULL: the place itself) */
  int64_t rows, places, others;
} graph;

static int64_t graph_units(int64_t rows, int64_t places) { return fv_ceil_div(rows + places, SHARE); }

INLINE int32_t largest(const int32_t *p, int64_t n) {
  fv_i32v v = fv_isplat(0);
  for (int64_t i = 0; i < n; i += FV_W) v = fv_imax(v, i + FV_W <= n ? fv_iload(p + i) : fv_iload_n(p + i, n - i));
  int32_t t[FV_W], m = 0;
  fv_istore(t, v);
  for (int i = 0; i < FV_W; i++) m = FV_MAX(m, t[i]);
  return m;
}

/* The first row of unit u: the first multiple of FV_ATTEND_ROWS before which there are at least u shares. `bound`:
 * where its edges begin. Bounds are drawn in as segments.h says. */
INLINE int64_t first_row(const graph *g, int64_t u, int64_t *bound) {
  int64_t most = 0;
  for (int64_t r = 0; r < g->rows; r += FV_ATTEND_ROWS) {
    *bound = FV_MIN(FV_MAX(most, g->ptr[r]), g->places);
    if (*bound + r >= u * SHARE) return r;
    most = FV_MAX(most, largest(g->ptr + r, FV_MIN(FV_ATTEND_ROWS, g->rows - r)));
  }
  *bound = FV_MIN(FV_MAX(most, g->ptr[g->rows]), g->places);
  return g->rows;
}
INLINE int64_t row_end(const graph *g, int64_t row, int64_t begin) {
  return FV_MIN(FV_MAX(begin, g->ptr[row + 1]), g->places);
}

/* ---- heads ------------------------------------------------------------------------------------------------------ */
typedef struct heads {
  int64_t first, n, all; /* of so many */
  int64_t stride;        /* the least power of two that holds n: so far apart are edges that share a vector */
  int64_t width, at;     /* features of each; where the group's begin in a row of all */
  const int32_t (*of)[FV_W]; /* the head within the group of each feature of the first vectors */
} heads;
INLINE fv_i32v head_find(int64_t width, int64_t f) {
  fv_i32v head = fv_isplat((int32_t)(f / width));
  for (int64_t next = width - f % width; next < FV_W; next += width)
    head = fv_iadd(head, fv_mtoi(fv_ige(fv_ilane(), fv_isplat((int32_t)next))));
  return head;
}
/* `of` has room for NEAR vectors. */
INLINE heads heads_of(int64_t group, int64_t all, int64_t width, int32_t (*of)[FV_W]) {
  const int64_t first = group * FV_W, n = FV_MIN(FV_W, all - first);
  const int64_t stride = n <= 1 ? 1 : n <= 2 ? 2 : n <= 4 ? 4 : n <= 8 ? 8 : 16;
  for (int64_t v = 0; v < NEAR && width > 0; v++) fv_istore(of[v], head_find(width, v * FV_W));
  return (heads){.first = first, .n = n, .all = all, .stride = stride, .width = width,
                 .at = first * width, .of = (const int32_t(*)[FV_W])of};
}
/* Of the features from f, a multiple of FV_W, on. */
INLINE fv_i32v head_of(const heads *h, int64_t f) {
  return f < NEAR * FV_W ? fv_iload(h->of[f / FV_W]) : head_find(h->width, f);
}
INLINE int64_t groups_of(int64_t all) { return fv_ceil_div(all, FV_W); }
INLINE fv_f32v heads_load(const heads *g, const float *x, int64_t row) {
  return row_load(x + row * g->all + g->first, g->n);
}
INLINE void heads_store(const heads *g, float *x, int64_t row, fv_f32v v) {
  row_store(x + row * g->all + g->first, v, g->n);
}
INLINE const float *features(const heads *g, const float *x, int64_t row) {
  return x + row * g->all * g->width + g->at;
}

/* sum + for each head the sum of its lanes among p, which holds features f .. f + FV_W (zero beyond the last). */
INLINE fv_f32v heads_add(const heads *g, fv_f32v sum, fv_f32v p, int64_t f, int64_t lanes) {
  const int64_t d = g->width;
  if (g->n == 1) return sum + fv_vmasked(fv_mfirst(1), fv_vsplat(fv_vsum(p)));
  if (FV_W % d == 0) {
    for (int32_t s = 1; s < d; s *= 2) p += fv_vpermute(p, fv_ixor(fv_ilane(), fv_isplat(s)));
    if (d == 1 && f == 0) return sum + p;
    fv_i32v head = fv_isub(fv_ilane(), fv_isplat((int32_t)(f / d)));
    fv_mask in = fv_mand(fv_ige(head, fv_izero()), fv_ilt(head, fv_isplat((int32_t)(FV_W / d))));
    return sum + fv_vmasked(in, fv_vpermute(p, fv_imul(head, fv_isplat((int32_t)d))));
  }
  if (d % FV_W == 0) return sum + fv_vmasked(fv_ieq(fv_ilane(), fv_isplat((int32_t)(f / d))), fv_vsplat(fv_vsum(p)));
  float from[FV_W], to[FV_W];
  fv_vstore(from, p);
  fv_vstore(to, sum);
  for (int64_t i = 0; i < lanes; i++) to[(f + i) / d] += from[i];
  return fv_vload(to);
}

/* RUN(all, width) with what many layers have as constants: 8 heads of 8 features, and one head. */
#define HEADS_SIZED(shape, RUN)                                  \
  do {                                                           \
    const int64_t all_ = (shape).dim[1], width_ = (shape).dim[2]; \
    if (all_ == 8 && width_ == 8) RUN(8, 8);                     \
    else if (all_ == 1) RUN(1, width_);                          \
    else RUN(all_, width_);                                      \
  } while (0)

/* For each head the sum over its features of term(f). */
typedef fv_f32v head_term(const void *arg, int64_t f, int64_t lanes); /* zero beyond lanes */
INLINE fv_f32v heads_sum(const heads *g, head_term *term, const void *arg) {
  fv_f32v sum = fv_vzero();
  int64_t f = 0, n = g->n * g->width;
  for (; f + FV_W <= n; f += FV_W) sum = heads_add(g, sum, term(arg, f, FV_W), f, FV_W);
  if (f < n) sum = heads_add(g, sum, term(arg, f, n - f), f, n - f);
  return sum;
}
typedef struct two_rows {
  const float *a, *b;
} two_rows;
INLINE fv_f32v term_product(const void *arg, int64_t f, int64_t lanes) {
  const two_rows *r = arg;
  return row_load(r->a + f, lanes) * row_load(r->b + f, lanes);
}
INLINE fv_f32v heads_dot(const heads *g, const float *a, const float *b) {
  return heads_sum(g, term_product, &(two_rows){a, b});
}

INLINE fv_f32v leaky(fv_f32v z, fv_f32v slope) { return fv_vselect(fv_vgt(z, fv_vzero()), z, z * slope); }
INLINE fv_f32v leaky_slope(fv_f32v z, fv_f32v slope) { return fv_vselect(fv_vgt(z, fv_vzero()), fv_vsplat(1), slope); }

/* Vectors of FV_W / stride edges, one behind the other: what all of them have in common, in the place of each. */
INLINE fv_f32v slots_same(const heads *h, fv_f32v v) {
  return h->stride == FV_W ? v : fv_vpermute(v, fv_iand(fv_ilane(), fv_isplat((int32_t)h->stride - 1)));
}
INLINE fv_f32v slots_swap(fv_f32v v, int64_t by) {
  return fv_vpermute(v, fv_ixor(fv_ilane(), fv_isplat((int32_t)by)));
}
INLINE fv_f32v slots_sum(const heads *h, fv_f32v v) {
  for (int64_t by = FV_W / 2; by >= h->stride; by /= 2) v += slots_swap(v, by);
  return v;
}
/* NaN need not come through here: its exponential is NaN and spoils the sum. */
INLINE fv_f32v larger(fv_f32v a, fv_f32v b) { return fv_vmax_any(a, b); }
INLINE fv_f32v slots_largest(const heads *h, fv_f32v v) {
  for (int64_t by = FV_W / 2; by >= h->stride; by /= 2) v = larger(v, slots_swap(v, by));
  return v;
}

/* ---- dropout ---------------------------------------------------------------------------------------------------- */
typedef struct drop {
  const int32_t *bits; /* NULL: all is kept */
  float scale;
} drop;
static drop drop_of(const fv_call *c, int kept) {
  const double p = ((const fv_attend_attrs *)c->attrs)->p;
  const fv_tensor *bits = p > 0 ? fv_attend_in(c, kept) : NULL;
  return (drop){.bits = bits ? bits->data : NULL, .scale = p < 1 ? (float)(1 / (1 - p)) : 0};
}

/* ---- edges, a chunk at a time ------------------------------------------------------------------------------------ */
/* Whole rows, or a piece of one that is too long: steps of many short rows overlap, where those of one wait for each
 * other. Where a row is cut does not depend on the rows beside it. */
typedef struct piece {
  int64_t row, begin, end; /* the row's places */
  int from, n;             /* its edges in the chunk */
  int64_t at;              /* their numbers: whole vectors, edges `stride` apart */
  bool first, last;        /* pieces of the row */
} piece;
enum { ENDS = 4, ROOM = 2 * CHUNK * FV_W }; /* a piece may leave a vector begun */
typedef struct chunk {
  int n, pieces;
  int64_t at; /* where the next piece's numbers go */
  piece piece[CHUNK];
  int64_t other[CHUNK], edge[CHUNK];
  uint32_t kept[CHUNK];   /* bits of the group's heads */
  _Alignas(64) float w[ROOM], v[ROOM]; /* two numbers an edge and head */
  float end[ENDS][ROOM];  /* what was asked of the other ends, likewise */
} chunk;
INLINE int64_t piece_at(const piece *r, const heads *h, int64_t k) { return r->at + (k - r->from) * h->stride; }
INLINE int64_t piece_end(const piece *r, const heads *h) { return r->at + r->n * h->stride; }
/* The lanes of the vector at p that are of its edges. */
INLINE fv_mask piece_lanes(const piece *r, const heads *h, int64_t p) {
  return fv_mfirst(FV_MIN(piece_end(r, h) - p, FV_W));
}
/* m of the vector at p. */
INLINE fv_f32v piece_kept(const chunk *c, const piece *r, const heads *h, const drop *d, int64_t p) {
  const int64_t k = (p - r->at) / h->stride, n = FV_MIN(r->n - k, FV_W / h->stride);
  uint32_t bits = 0;
  for (int64_t i = 0; i < n; i++) bits |= c->kept[r->from + k + i] << i * h->stride;
  return fv_vmasked(fv_mof(bits), fv_vsplat(d->scale));
}

/* What an edge reads of its other end: rows of features, rows of numbers a head; and numbers a head of its own; NULL:
 * nothing. */
typedef struct ends {
  const float *features[2], *heads[ENDS - 1], *own;
} ends;
/* What place `at` will read. */
INLINE void fetch(const graph *g, const ends *e, const heads *h, const drop *d, int64_t at) {
  if (at >= g->places) return;
  if (d->bits && g->edge) __builtin_prefetch(d->bits + (g->edge[at] * h->all + h->first) / 32, 0, 2);
  const int64_t row = g->other[at];
  if (row < 0 || row >= g->others) return;
  for (int i = 0; i < ENDS - 1; i++)
    if (e->heads[i]) __builtin_prefetch(e->heads[i] + row * h->all + h->first, 0, 2);
  for (int i = 0; i < 2; i++)
    for (int64_t f = 0; e->features[i] && f < h->n * h->width; f += 16)
      __builtin_prefetch(features(h, e->features[i], row) + f, 0, 2);
}

/* One more edge of the piece. */
INLINE void chunk_take(chunk *c, const piece *r, const heads *h, const ends *e, const drop *d, int64_t other,
                       int64_t edge) {
  const int64_t at = piece_at(r, h, c->n);
  c->other[c->n] = other;
  c->edge[c->n] = edge;
  for (int i = 0; i < ENDS - 1; i++)
    if (e->heads[i]) row_store(c->end[i] + at, heads_load(h, e->heads[i], other), h->n);
  if (e->own) row_store(c->end[ENDS - 1] + at, heads_load(h, e->own, edge), h->n);
  if (d->bits) c->kept[c->n] = fv_dropout_bits_at(d->bits, edge * h->all + h->first, h->n);
  c->n++;
}

typedef struct walk { /* over rows: where the next chunk begins */
  int64_t row, to, at, begin, end;
  bool within; /* the row has begun */
} walk;

/* Edges of the row that have ends; and fetches what those after them will read. */
INLINE void chunk_add(chunk *c, const graph *g, walk *w, const heads *h, const ends *e, const drop *d) {
  piece *r = &c->piece[c->pieces++];
  *r = (piece){.row = w->row, .begin = w->begin, .end = w->end, .from = c->n, .at = c->at,
               .first = !w->within};
  for (; w->at < w->end && c->n < CHUNK; w->at++) {
    fetch(g, e, h, d, w->at + AHEAD);
    const int64_t other = g->other[w->at], edge = g->edge ? g->edge[w->at] : w->at;
    if (other < 0 || other >= g->others || edge < 0 || edge >= g->places) continue;
    chunk_take(c, r, h, e, d, other, edge);
  }
  r->n = c->n - r->from;
  r->last = w->at >= w->end;
  c->at = fv_round_up(piece_end(r, h), FV_W);
}

/* false after the last one. */
INLINE bool chunk_next(chunk *c, const graph *g, walk *w, const heads *h, const ends *e, const drop *d) {
  c->n = c->pieces = 0;
  c->at = 0;
  while (w->row < w->to && c->pieces < CHUNK) {
    if (!w->within) w->begin = w->at, w->end = row_end(g, w->row, w->at);
    if (c->pieces > 0 && w->end - w->at > CHUNK - c->n) break;
    chunk_add(c, g, w, h, e, d);
    w->within = !c->piece[c->pieces - 1].last;
    if (w->within) break;
    w->row++;
  }
  return c->pieces > 0;
}

/* The number of edge k of a piece's w or v for each lane's head. */
INLINE fv_f32v piece_spread(const float *w, int64_t at, fv_i32v head) {
  /* Loads of whole vectors as they were stored: others would wait for the stores. */
  const int64_t within = at & (FV_W - 1);
  return fv_vpermute(fv_vload(w + at - within), fv_iadd(head, fv_isplat((int32_t)within)));
}

/* Of nv vectors of features from f on: y = sum over the piece of w x; z, when there is one, of v x. */
INLINE void piece_sum(const chunk *c, const piece *r, const heads *h, const float *x, int64_t f, int nv, int64_t lanes,
                     fv_f32v *y, fv_f32v *z) {
  fv_i32v head[4];
  for (int i = 0; i < nv; i++) {
    head[i] = head_of(h, f + i * FV_W);
    y[i] = fv_vzero();
    if (z) z[i] = fv_vzero();
  }
  for (int k = r->from; k < r->from + r->n; k++) {
    const float *row = features(h, x, c->other[k]) + f;
    const int64_t at = piece_at(r, h, k);
    for (int i = 0; i < nv; i++) {
      fv_f32v xi = row_load(row + i * FV_W, lanes);
      y[i] = fv_vfma(piece_spread(c->w, at, head[i]), xi, y[i]);
      if (z) z[i] = fv_vfma(piece_spread(c->v, at, head[i]), xi, z[i]);
    }
  }
}

/* BLOCK(f, nv, lanes) over a group's features: four vectors at a time, then one, then the short one. */
#define EACH_BLOCK(heads_, BLOCK)                                      \
  do {                                                                 \
    int64_t f_ = 0, n_ = (heads_)->n * (heads_)->width;                \
    for (; f_ + 4 * FV_W <= n_; f_ += 4 * FV_W) BLOCK(f_, 4, FV_W);    \
    for (; f_ + FV_W <= n_; f_ += FV_W) BLOCK(f_, 1, FV_W);            \
    if (f_ < n_) BLOCK(f_, 1, n_ - f_);                                \
  } while (0)

/* ---- softmax over a row, piece by piece (Milakov and Gimelshein 2018) ------------------------------------------- */
typedef struct soft {
  fv_f32v top, sum, rising; /* the largest score, the sums of exp(score - top): of all, of those that rise */
  fv_f32v factor, scale;    /* what earlier chunks' sums are worth now; 1 / sum */
} soft;
INLINE soft soft_begin(void) {
  return (soft){.top = fv_vsplat(-INFINITY), .sum = fv_vzero(), .rising = fv_vzero()};
}

INLINE fv_f32v piece_top(const chunk *c, const piece *r, const heads *h, fv_f32v top) {
  fv_f32v tops[2] = {top, top};
  int i = 0;
  for (int64_t p = r->at; p < piece_end(r, h); p += FV_W, i ^= 1)
    tops[i] = larger(tops[i], fv_vselect(piece_lanes(r, h, p), fv_vload(c->w + p), top));
  return slots_largest(h, larger(tops[0], tops[1]));
}

/* Takes a piece whose w are scores; they become weights, with dropout, and v, if `rises`, the weights of those above 0.
 * `alpha`, unless NULL, gets the scores. */
INLINE void soft_piece(soft *s, chunk *c, const piece *r, const heads *h, const drop *d, bool rises, float *alpha) {
  const fv_f32v top = piece_top(c, r, h, s->top);
  fv_f32v sum = fv_vzero(), rising = fv_vzero();
  for (int k = r->from; k < r->from + r->n && alpha; k++)
    heads_store(h, alpha, c->edge[k], row_load(c->w + piece_at(r, h, k), h->n));
  s->factor = r->first ? fv_vzero() : fv_vmasked(fv_vne(s->top, fv_vsplat(-INFINITY)), fv_vexp(s->top - top));
  for (int64_t p = r->at; p < piece_end(r, h); p += FV_W) {
    const fv_f32v e = fv_vload(c->w + p);
    const fv_mask up = fv_vgt(e, fv_vzero());
    fv_f32v x = fv_vmasked(piece_lanes(r, h, p), fv_vexp(e - top));
    sum += x;
    if (rises) rising += fv_vmasked(up, x);
    if (d->bits) x = x * piece_kept(c, r, h, d, p);
    fv_vstore(c->w + p, x);
    if (rises) fv_vstore(c->v + p, fv_vmasked(up, x));
  }
  s->top = top;
  s->sum = fv_vfma(s->sum, s->factor, slots_sum(h, sum));
  if (rises) s->rising = fv_vfma(s->rising, s->factor, slots_sum(h, rising));
}
/* After the last piece. */
INLINE void soft_end(soft *s) {
  s->scale = fv_vmasked(fv_vne(s->sum, fv_vzero()), fv_vsplat(1) / s->sum);
}
/* The log-sum-exp, 0 of no edges. */
INLINE fv_f32v soft_log(const soft *s) {
  return fv_vmasked(fv_vne(s->sum, fv_vzero()), s->top + fv_vlog(s->sum));
}

/* y <- sums of a piece beside what y holds of earlier ones. */
INLINE void soft_store(const soft *s, const piece *r, const heads *h, float *y, const fv_f32v *sums, int64_t f, int nv,
                       int64_t lanes) {
  for (int i = 0; i < nv; i++) {
    fv_i32v head = head_of(h, f + i * FV_W);
    float *to = y + f + i * FV_W;
    fv_f32v v = r->first ? sums[i] : fv_vfma(row_load(to, lanes), fv_vpermute(s->factor, head), sums[i]);
    row_store(to, r->last ? v * fv_vpermute(s->scale, head) : v, lanes);
  }
}

/* Scores to weights, for those who ask for them. */
INLINE void alpha_finish(const graph *g, const heads *h, const piece *r, const soft *s, float *alpha) {
  const fv_f32v lse = soft_log(s);
  for (int64_t k = r->begin; k < r->end; k++) {
    bool there = g->other[k] >= 0 && g->other[k] < g->others;
    heads_store(h, alpha, k, there ? fv_vexp(heads_load(h, alpha, k) - lse) : fv_vzero());
  }
}
/* Places before the first row and after the last have no weight: the unit at either end clears them. */
INLINE void alpha_clear(float *alpha, int64_t all, int64_t begin, int64_t end) {
  if (alpha && all * (end - begin) > 0) memset(alpha + begin * all, 0, (size_t)((end - begin) * all) * sizeof *alpha);
}

#endif
