/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa: attention a tile of queries at a time, with the running maximum and sum of Milakov & Gimelshein 2018 and the
 * blocks of Dao et al., NeurIPS 2022. What is asked of the weights is taken from each block while it is at hand:
 *
 *   largest k   a block's eight largest are sorted out with their keys in their last bits; else one key at a time
 *   entropy     log l - sum p x / l, with x the score less the maximum
 *   rows        the scores of chosen queries are kept and turned into weights at the end
 *   totals      a tile's unnormalised weights are kept, [S][lanes], until its sums are known
 *
 * The output is made of the same numbers in the same order whatever is asked. */
#define BLOCK (4096 / LANES) /* keys: 16 KiB of scores */
#include "cpu/kernels/sdpa_tile.h"

#define CHUNK 256 /* queries of a unit: whole groups of tiles */

/* Tiles that go over the keys side by side: a block of keys is in the second-level cache for all but the first. */
enum { TILES = 8 };

/* Where |q| |k| says that no score is further than this from 0 (in units of log 2), none has to be taken from the
 * others: floats hold sums of 2^-32 to 2^32 as exactly as sums of numbers up to 1. */
static const float BOUND = 32;

/* A tile and its running softmax. */
typedef struct query_tile {
  tile t;
  bool begun, bounded;               /* bounded: max stays 0 */
  fv_f32v max[2], sum[2], moment[2]; /* moment: sum of p x, for the entropy */
  float *turned, *sums;              /* [D][LANES]; of values */
  float *best;                       /* [topk][LANES], falling */
  int32_t *best_at;
  int32_t *chosen; /* pairs (place in rows, lane) */
  int64_t n_chosen;
  draws *draws;
} query_tile;

/* What a unit works in. */
typedef struct work {
  query_tile q[TILES];
  float *p, *kept, *dropped, *bias; /* of a block: weights, scores, weights that dropout left, bias */
  float *k, *v;     /* a group's rows */
  float *squares;   /* [S]: |k|^2, of the keys that the unit's queries may see */
  float *block_max; /* [blocks][LANES] */
  float *totals;    /* [S][FV_W] */
  fv_ahead ahead;
  bool ahead_blocks; /* not the next head, but the next block is fetched */
} work;

/* Lists of the largest k, up to this length, are kept in registers and as if they were so long. */
enum { FEW = 8 };
static int64_t best_rows(const fv_sdpa_attrs *a) { return a->topk > 0 ? FV_MAX(a->topk, FEW) : 0; }

/* Who is asked for totals keeps all of a tile's weights, and goes tile by tile. */
static int tiles_of(const fv_sdpa_attrs *a) { return a->totals ? 1 : TILES; }

/* Values whose rows are loaded as vectors are as fast where they lie, unless each is on a page of its own or gives but
 * one line at a time. */
static bool values_in_place(const fv_sdpa_size *z) {
  enum { LINE = 64, PAGE = 4096 };
  return sums_in_rows(z->dv) && z->g * z->dv * (int64_t)sizeof(float) <= PAGE && LANES * sizeof(float) > LINE;
}

static work work_of(const view *w, deal *d) {
  const fv_sdpa_size *z = &w->z;
  const bool all = w->a->totals;
  int64_t blocks = fv_ceil_div(z->s, BLOCK) + 1;
  work s = {.p = take_floats(d, (all ? blocks : 1) * BLOCK * LANES),
            .kept = take_floats(d, w->a->topk > 0 || z->rows > 0 ? BLOCK * LANES : 0),
            .dropped = take_floats(d, w->a->p > 0 ? BLOCK * LANES : 0),
            .bias = take_floats(d, z->bias_heads ? BLOCK * LANES : 0),
            .k = take_floats(d, z->g > 1 ? z->s * z->d : 0),
            .v = take_floats(d, z->g > 1 && !values_in_place(z) ? z->s * z->dv : 0),
            .squares = take_floats(d, z->s),
            .block_max = take_floats(d, all ? blocks * LANES : 0),
            .totals = take_floats(d, all ? z->s * FV_W : 0)};
  for (int i = 0; i < tiles_of(w->a); i++)
    s.q[i] = (query_tile){.turned = take_floats(d, z->d * LANES),
                          .sums = take_floats(d, z->dv * LANES),
                          .best = take_floats(d, best_rows(w->a) * LANES),
                          .best_at = take(d, best_rows(w->a) * LANES, sizeof(int32_t)),
                          .chosen = take(d, 2 * z->rows, sizeof(int32_t)),
                          .draws = take(d, w->a->p > 0, sizeof(draws))};
  return s;
}

/* ---- what is asked of the weights -------------------------------------------------------------------------------- */
/* Lists side by side, [k][LANES]; of equals the earlier key comes first. */
static void start_best(const view *w, query_tile *q) {
  for (int64_t i = 0; i < best_rows(w->a) * LANES; i++) q->best[i] = LOWEST, q->best_at[i] = -1;
}

/* Puts x where it belongs, in the lanes where it is larger than the last. */
static inline __attribute__((always_inline)) void insert(fv_f32v *best, fv_i32v *at, const int64_t k, fv_f32v x,
                                                         fv_i32v key) {
  fv_mask here = fv_vgt(x, best[k - 1]);
#pragma GCC unroll 8
  for (int64_t j = k - 1; j > 0; j--) {
    fv_mask above = fv_vgt(x, best[j - 1]);
    best[j] = fv_vselect(above, best[j - 1], fv_vselect(here, x, best[j]));
    at[j] = fv_iselect(above, at[j - 1], fv_iselect(here, key, at[j]));
    here = above;
  }
  best[0] = fv_vselect(here, x, best[0]);
  at[0] = fv_iselect(here, key, at[0]);
}

static inline __attribute__((always_inline)) void keep_best_of(const int64_t k, query_tile *q, int v, int64_t k0,
                                                               int64_t n, const float *score) {
  fv_f32v best[64];
  fv_i32v at[64];
#pragma GCC unroll 8
  for (int64_t j = 0; j < k; j++) {
    best[j] = fv_vload(q->best + j * LANES + v * FV_W);
    at[j] = fv_iload(q->best_at + j * LANES + v * FV_W);
  }
  for (int64_t i = 0; i < n; i++) { /* a key that gets into none of the lanes' lists costs a comparison */
    fv_f32v x = fv_vload(score + i * LANES + v * FV_W);
    if (fv_many(fv_vgt(x, best[k - 1]))) insert(best, at, k, x, fv_isplat((int32_t)(k0 + i)));
  }
#pragma GCC unroll 8
  for (int64_t j = 0; j < k; j++) {
    fv_vstore(q->best + j * LANES + v * FV_W, best[j]);
    fv_istore(q->best_at + j * LANES + v * FV_W, at[j]);
  }
}

/* The larger first. */
static inline __attribute__((always_inline)) void order(fv_f32v *x, int i, int j) {
  fv_f32v larger = fv_vmax_any(x[i], x[j]);
  x[j] = fv_vmin_any(x[i], x[j]);
  x[i] = larger;
}

/* Eight into falling order: a network of the fewest comparators (Knuth, volume 3, 5.3.4). */
static inline __attribute__((always_inline)) void sort_few(fv_f32v x[FEW]) {
  static const int8_t pairs[][2] = {{0, 2}, {1, 3}, {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6}, {3, 7}, {0, 1}, {2, 3},
                                    {4, 5}, {6, 7}, {2, 4}, {3, 5}, {1, 4}, {3, 6}, {1, 2}, {3, 4}, {5, 6}};
#pragma GCC unroll 19
  for (size_t i = 0; i < FV_COUNT(pairs); i++) order(x, pairs[i][0], pairs[i][1]);
}

/* The largest of two falling lists, falling (Batcher's bitonic merge); the largest of those that fall out. */
static inline __attribute__((always_inline)) void merge_few(fv_f32v best[FEW], const fv_f32v x[FEW], fv_f32v *out) {
#pragma GCC unroll 8
  for (int j = 0; j < FEW; j++) {
    *out = fv_vmax_any(fv_vmin_any(best[j], x[FEW - 1 - j]), *out);
    best[j] = fv_vmax_any(best[j], x[FEW - 1 - j]);
  }
#pragma GCC unroll 3
  for (int apart = FEW / 2; apart > 0; apart /= 2)
#pragma GCC unroll 8
    for (int j = 0; j < FEW; j++)
      if (!(j & apart)) order(best, j, j + apart);
}

static inline __attribute__((always_inline)) bool any_above(const fv_f32v x[FEW], fv_f32v least) {
  fv_f32v most = x[0];
#pragma GCC unroll 8
  for (int j = 1; j < FEW; j++) most = fv_vmax_any(x[j], most);
  return fv_many(fv_vgt(most, least));
}

/* A score whose last bits say which key of the block it is of; and one without. */
static inline fv_f32v marked(fv_f32v x, int32_t key) {
  return (fv_f32v)fv_ior(fv_iand((fv_i32v)x, fv_isplat(-BLOCK)), fv_isplat(key));
}
static inline fv_f32v unmarked(fv_f32v x) { return marked(x, 0); }

/* The block's largest marked scores, falling; false where marks may have decided, of those that they make equal. Keys
 * come eight at a time, and are passed over unless one is above `least`. */
static bool largest_few(const float *score, int64_t n, fv_f32v least, fv_mask used, fv_f32v best[FEW]) {
  const fv_f32v none = unmarked(fv_vsplat(HIDDEN));
  fv_f32v b[FEW], x[FEW], out = none;
#pragma GCC unroll 8
  for (int j = 0; j < FEW; j++) b[j] = none;
  for (int64_t i = 0; i < n; i += FEW) {
#pragma GCC unroll 8
    for (int j = 0; j < FEW; j++) x[j] = i + j < n ? fv_vload(score + (i + j) * LANES) : none;
    if (!any_above(x, least)) continue;
#pragma GCC unroll 8
    for (int j = 0; j < FEW; j++) x[j] = marked(x[j], i + j < n ? (int32_t)(i + j) : 0);
    sort_few(x);
    merge_few(b, x, &out);
  }
  fv_mask equal = fv_mfirst(0);
#pragma GCC unroll 8
  for (int j = 0; j < FEW; j++) {
    fv_mask same = fv_veq(unmarked(b[j]), unmarked(j + 1 < FEW ? b[j + 1] : out));
    equal = fv_mor(equal, fv_mand(same, fv_vgt(b[j], fv_vsplat(LOWEST))));
    best[j] = b[j];
  }
  return !fv_many(fv_mand(equal, used));
}

/* Up to eight of a block's keys, found by marked scores, and then their own. False, and nothing done, where that does
 * not tell keys apart. */
static bool keep_few(query_tile *q, int v, int64_t k0, int64_t n, const float *score) {
  float *values = q->best + v * FV_W;
  int32_t *places = q->best_at + v * FV_W;
  const fv_mask used = fv_mfirst(FV_MIN(FV_MAX(q->t.lanes - v * FV_W, 0), FV_W));
  fv_f32v best[FEW], x[FEW];
  fv_i32v at[FEW];
#pragma GCC unroll 8
  for (int j = 0; j < FEW; j++) {
    best[j] = fv_vload(values + j * LANES);
    at[j] = fv_iload(places + j * LANES);
  }
  if (!largest_few(score + v * FV_W, n, best[FEW - 1], used, x)) return false;
#pragma GCC unroll 8
  for (int j = 0; j < FEW; j++) {
    const fv_mask there = fv_vgt(x[j], fv_vsplat(LOWEST));
    const fv_i32v key = fv_iand((fv_i32v)x[j], fv_isplat(BLOCK - 1));
    const fv_f32v own = fv_vgather(score + v * FV_W, fv_iadd(fv_imul(key, fv_isplat(LANES)), fv_ilane()));
    const fv_f32v mine = fv_vselect(there, own, fv_vsplat(LOWEST));
    const fv_i32v where = fv_iselect(there, fv_iadd(key, fv_isplat((int32_t)k0)), fv_isplat(-1));
    if (!q->begun) best[j] = mine, at[j] = where;
    else if (fv_many(fv_vgt(mine, best[FEW - 1]))) insert(best, at, FEW, mine, where);
    else break;
  }
#pragma GCC unroll 8
  for (int j = 0; j < FEW; j++) {
    fv_vstore(values + j * LANES, best[j]);
    fv_istore(places + j * LANES, at[j]);
  }
  return true;
}

static void keep_best(const view *w, query_tile *q, int64_t k0, int64_t n, const float *score) {
  const int64_t k = best_rows(w->a);
  for (int v = 0; v < 2; v++)
    if (k > FEW) keep_best_of(k, q, v, k0, n, score);
    else if (!keep_few(q, v, k0, n, score)) keep_best_of(FEW, q, v, k0, n, score);
}

/* Scores of `n` places become weights: 2^(x - lse2). */
static void to_weights(float *x, int64_t n, float lse2) {
  for (int64_t i = 0; i < n; i += FV_W) {
    int64_t m = FV_MIN(n - i, FV_W);
    fv_vstore_n(x + i, fv_vexp2_fast(fv_vload_n(x + i, m) - fv_vsplat(lse2)), m);
  }
}

static void give_best(const view *w, const fv_call *c, query_tile *q, const float *lse2) {
  const int64_t k = w->a->topk, first = ((q->t.b * w->z.h + q->t.h) * w->z.t + q->t.t) * k;
  float *best = (float *)c->out[FV_SDPA_TOP].data + first;
  int32_t *at = (int32_t *)c->out[FV_SDPA_TOP_INDEX].data + first;
  for (int64_t j = 0; j < k; j++) {
    for (int v = 0; v < 2; v++) {
      float *x = q->best + j * LANES + v * FV_W;
      fv_mask there = fv_ige(fv_iload(q->best_at + j * LANES + v * FV_W), fv_izero());
      fv_vstore(x, fv_vmasked(there, fv_vexp2_fast(fv_vload(x) - fv_vload(lse2 + v * FV_W))));
    }
    for (int64_t l = 0; l < q->t.lanes; l++) {
      best[l * k + j] = q->best[j * LANES + l];
      at[l * k + j] = q->best_at[j * LANES + l];
    }
  }
}

static void find_chosen(const view *w, query_tile *q) {
  q->n_chosen = 0;
  for (int64_t i = 0; i < w->z.rows; i++) {
    int64_t lane = w->rows[2 * i + 1] - q->t.t;
    if (w->rows[2 * i] != q->t.h || lane < 0 || lane >= q->t.lanes) continue;
    q->chosen[2 * q->n_chosen] = (int32_t)i;
    q->chosen[2 * q->n_chosen++ + 1] = (int32_t)lane;
  }
}

static float *chosen_row(const view *w, const fv_call *c, int64_t b, int64_t i) {
  return (float *)c->out[FV_SDPA_ROWS_OUT].data + (b * w->z.rows + i) * w->z.s;
}

static void keep_chosen(const view *w, const fv_call *c, const query_tile *q, int64_t k0, int64_t n,
                        const float *score) {
  for (int64_t i = 0; i < q->n_chosen; i++) {
    float *to = chosen_row(w, c, q->t.b, q->chosen[2 * i]) + k0;
    for (int64_t j = 0; j < n; j++) to[j] = score[j * LANES + q->chosen[2 * i + 1]];
  }
}

static void give_chosen(const view *w, const fv_call *c, const query_tile *q, const float *lse2) {
  for (int64_t i = 0; i < q->n_chosen; i++) {
    float *row = chosen_row(w, c, q->t.b, q->chosen[2 * i]);
    memset(row, 0, (size_t)q->t.begin * sizeof *row);
    to_weights(row + q->t.begin, q->t.end - q->t.begin, lse2[q->chosen[2 * i + 1]]);
    memset(row + q->t.end, 0, (size_t)(w->z.s - q->t.end) * sizeof *row);
  }
}

/* Each block's weights were made with the maximum of its time. */
static void add_totals(const tile *t, work *s, const float *lse2) {
  const int64_t first = t->begin / BLOCK;
  fv_f32v factor[2] = {fv_vzero(), fv_vzero()};
  for (int64_t i = t->begin; i < t->end; i++) {
    for (int v = 0; v < 2 && (i == t->begin || i % BLOCK == 0); v++) {
      fv_f32v m = fv_vload(s->block_max + (i / BLOCK - first) * LANES + v * FV_W);
      fv_mask there = fv_mfirst(FV_MIN(FV_MAX(t->lanes - v * FV_W, 0), FV_W));
      factor[v] = fv_vmasked(there, fv_vexp2_fast(fv_vmax(m - fv_vload(lse2 + v * FV_W), fv_vsplat(HIDDEN))));
    }
    const float *p = s->p + (i - t->begin) * LANES;
    fv_f32v sum = fv_vfma(fv_vload(p), factor[0], fv_vload(s->totals + i * FV_W));
    fv_vstore(s->totals + i * FV_W, fv_vfma(fv_vload(p + FV_W), factor[1], sum));
  }
}

/* ---- a tile ------------------------------------------------------------------------------------------------------ */
static void block_max(const float *score, int64_t n, fv_f32v max[2]) {
  fv_f32v a = max[0], b = max[1], c = a, d = b;
  int64_t i = 0;
  for (; i + 2 <= n; i += 2, score += 2 * LANES) {
    a = fv_vmax_any(fv_vload(score), a);
    b = fv_vmax_any(fv_vload(score + FV_W), b);
    c = fv_vmax_any(fv_vload(score + LANES), c);
    d = fv_vmax_any(fv_vload(score + LANES + FV_W), d);
  }
  if (i < n) {
    a = fv_vmax_any(fv_vload(score), a);
    b = fv_vmax_any(fv_vload(score + FV_W), b);
  }
  max[0] = fv_vmax_any(c, a);
  max[1] = fv_vmax_any(d, b);
}

/* Scores become unnormalised weights and are summed. */
static inline __attribute__((always_inline)) void to_powers(query_tile *st, float *score, int64_t n,
                                                            const bool moments) {
  for (int v = 0; v < 2; v++) {
    fv_f32v max = st->max[v], sum = fv_vzero(), moment = fv_vzero();
    for (int64_t i = 0; i < n; i++) {
      float *at = score + i * LANES + v * FV_W;
      fv_f32v x = fv_vload(at) - max, p = fv_vexp2_fast(x);
      fv_vstore(at, p);
      sum = sum + p;
      if (moments) moment = fv_vfma(p, x, moment);
    }
    st->sum[v] = st->sum[v] + sum;
    if (moments) st->moment[v] = st->moment[v] + moment;
  }
}
static void to_powers_sums(query_tile *st, float *score, int64_t n) { to_powers(st, score, n, false); }
static void to_powers_moments(query_tile *st, float *score, int64_t n) { to_powers(st, score, n, true); }

/* Brings what was summed so far to the maximum with these scores; false when nothing changes. */
static bool rescale(query_tile *st, const float *score, int64_t n, float scale[LANES]) {
  const fv_f32v before[2] = {st->max[0], st->max[1]};
  bool changed = false;
  block_max(score, n, st->max);
  for (int v = 0; v < 2; v++) {
    fv_f32v down = before[v] - st->max[v], factor = fv_vexp2_fast(down);
    st->moment[v] = fv_vfma(st->sum[v], fv_vselect(fv_vgt(st->sum[v], fv_vzero()), down, fv_vzero()), st->moment[v]);
    st->moment[v] = st->moment[v] * factor;
    st->sum[v] = st->sum[v] * factor;
    fv_vstore(scale + v * FV_W, factor);
    changed |= !fv_mall(fv_veq(factor, fv_vsplat(1)));
  }
  return changed;
}

static void drop(const uint32_t keep[BLOCK], int64_t n, const float *from, float *to) {
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      int64_t at = i * LANES + v * FV_W;
      fv_vstore(to + at, fv_vmasked(fv_mof(keep[i] >> (v * FV_W)), fv_vload(from + at)));
    }
}

static void keep_asked(const view *w, const fv_call *c, query_tile *q, int64_t k0, int64_t n, const float *score) {
  if (w->a->topk > 0) keep_best(w, q, k0, n, score);
  if (q->n_chosen > 0) keep_chosen(w, c, q, k0, n, score);
}

/* A block's unnormalised weights; true where what was summed so far is to be multiplied by `scale`. */
static bool block_weights(const view *w, const fv_call *c, query_tile *q, work *s, const group_rows *k, int64_t k0,
                          int64_t n, float *p, float scale[LANES]) {
  const bool plain = is_plain(w, &q->t, k0, n), asked = w->a->topk > 0 || q->n_chosen > 0;
  if (q->bounded && !w->a->entropy && plain) {
    fv_f32v sum[2] = {fv_vzero(), fv_vzero()};
    power_scores(k, q->turned, k0, n, q->max, p, sum, asked ? s->kept : NULL, &s->ahead);
    for (int v = 0; v < 2; v++) q->sum[v] = q->sum[v] + sum[v];
    keep_asked(w, c, q, k0, n, s->kept);
    return false;
  }
  scores(k, q->turned, k0, n, p, &s->ahead);
  if (!plain) adjust(w, &q->t, k0, n, p, s->bias);
  keep_asked(w, c, q, k0, n, p);
  const bool changed = !q->bounded && rescale(q, p, n, scale);
  if (w->a->entropy) to_powers_moments(q, p, n);
  else to_powers_sums(q, p, n);
  return changed;
}

/* Keys k0 .. k0 + n - 1, of one block. */
static void add_block(const view *w, const fv_call *c, query_tile *q, work *s, const group_rows *k, const group_rows *v,
                      int64_t k0, int64_t n) {
  float *p = s->p + (w->a->totals ? (k0 - q->t.begin) * LANES : 0), scale[LANES];
  const float *weights = p;
  const bool changed = block_weights(w, c, q, s, k, k0, n, p, scale);
  for (int i = 0; i < 2 && w->a->totals; i++)
    fv_vstore(s->block_max + (k0 / BLOCK - q->t.begin / BLOCK) * LANES + i * FV_W, q->max[i]);
  if (w->a->p > 0) {
    uint32_t keep[BLOCK];
    draw_block(w, &q->t, k0, n, q->draws, keep);
    drop(keep, n, p, s->dropped);
    weights = s->dropped;
  }
  const fv_panel_start start = !q->begun ? FV_PANEL_ZERO : changed ? FV_PANEL_SCALE : FV_PANEL_ADD;
  add_rows(v, weights, &q->t, k0, n, start, scale, q->sums, &s->ahead);
  q->begun = true;
}

/* y = sums / sum, and what else is known now. */
static void finish_tile(const view *w, const fv_call *c, query_tile *q, work *s) {
  const fv_sdpa_size *z = &w->z;
  const tile *t = &q->t;
  const int64_t at = (t->b * z->h + t->h) * z->t + t->t;
  float lse2[LANES], factor[LANES];
  for (int v = 0; v < 2; v++) {
    int64_t n = FV_MIN(FV_MAX(t->lanes - v * FV_W, 0), FV_W);
    fv_f32v none = fv_vzero(), log_sum = fv_vlog(q->sum[v]);
    fv_mask empty = fv_veq(q->sum[v], none);
    fv_vstore(factor + v * FV_W, fv_vselect(empty, none, fv_vsplat(w->keep_scale) / q->sum[v]));
    fv_vstore(lse2 + v * FV_W,
              fv_vselect(empty, fv_vsplat(-HIDDEN), fv_vfma(log_sum, fv_vsplat((float)LOG2_E), q->max[v])));
    fv_vstore_n((float *)c->out[FV_SDPA_LSE].data + at + v * FV_W, fv_vfma(q->max[v], fv_vsplat((float)LN_2), log_sum),
                n);
    if (w->a->entropy) {
      fv_f32v entropy = log_sum - q->moment[v] / q->sum[v] * fv_vsplat((float)LN_2);
      fv_vstore_n((float *)c->out[FV_SDPA_ENTROPY].data + at + v * FV_W, fv_vselect(empty, none, entropy), n);
    }
  }
  if (!q->begun) memset(q->sums, 0, (size_t)(z->dv * LANES) * sizeof(float));
  give_sums((float *)c->out[FV_SDPA_Y].data + ((t->b * z->t + t->t) * z->h + t->h) * z->dv, z->h * z->dv, q->sums,
            t->lanes, z->dv, factor);
  if (w->a->topk > 0) give_best(w, c, q, lse2);
  give_chosen(w, c, q, lse2);
  if (w->a->totals) add_totals(t, s, lse2);
}

static void square_keys(const group_rows *k, int64_t begin, int64_t end, float *squares) {
  for (int64_t s = begin; s < end; s++) {
    const float *row = row_of(k, s);
    fv_f32v sum = fv_vzero();
    for (int64_t i = 0; i < k->width; i += FV_W) {
      fv_f32v x = fv_vload_n(row + i, FV_MIN(k->width - i, FV_W));
      sum = fv_vfma(x, x, sum);
    }
    squares[s] = fv_vsum(sum);
  }
}

/* Of a block of keys it would cost what it saves; and the log-sum-exp of a few may be next to 0, where the log of a sum
 * says less of it than a maximum does. */
static bool may_be_bounded(const view *w, int64_t begin, int64_t end) {
  return !w->bias && !w->slopes && end - begin > BLOCK;
}

/* Cauchy-Schwarz, over the keys that the tile may see: whatever other tiles are worked on with it. */
static bool is_bounded(const view *w, const query_tile *q, const float *squares) {
  fv_f32v of_keys = fv_vzero();
  if (!may_be_bounded(w, q->t.begin, q->t.end)) return false;
  for (int64_t s = q->t.begin; s < q->t.end; s += FV_W)
    of_keys = fv_vmax(of_keys, fv_vload_n(squares + s, FV_MIN(q->t.end - s, FV_W)));
  const fv_f32v most = fv_vsplat(fv_vhmax(of_keys));
  for (int v = 0; v < 2; v++) {
    fv_f32v sum = fv_vzero();
    for (int64_t i = 0; i < w->z.d; i++) {
      fv_f32v x = fv_vload(q->turned + i * LANES + v * FV_W);
      sum = fv_vfma(x, x, sum);
    }
    if (!fv_mall(fv_vlt(sum * most, fv_vsplat(BOUND * BOUND)))) return false;
  }
  return true;
}

static void begin_tile(const view *w, query_tile *q, const float *squares) {
  turn(q->turned, query_rows(w, &q->t), w->z.h * w->z.d, q->t.lanes, w->z.d, (float)(w->z.scale * LOG2_E));
  q->begun = false;
  q->bounded = is_bounded(w, q, squares);
  for (int v = 0; v < 2; v++) {
    q->max[v] = fv_vsplat(q->bounded ? 0 : LOWEST);
    q->sum[v] = q->moment[v] = fv_vzero();
  }
  start_best(w, q);
  find_chosen(w, q);
  if (w->a->p > 0) no_draws(q->draws);
}

/* What comes after keys k0 .. k0 + BLOCK - 1 is fetched beside them: the next block; after the last, where the results
 * go, the next queries and the first block. */
static void look_ahead_block(const view *w, const fv_call *c, const query_tile *q, int n, int64_t k0, int64_t begin,
                             int64_t end, const group_rows *k, const group_rows *v, fv_ahead *a) {
  const tile *t = &q->t;
  const bool last = k0 + BLOCK >= end;
  const int64_t next = last ? begin : k0 + BLOCK, rows = FV_MIN(BLOCK, end - next), after = t->t + n * LANES;
  *a = (fv_ahead){0};
  if (last) {
    ahead_queries(w, c->out[FV_SDPA_Y].data, w->z.dv, t->b, t->h, 1, t->t, FV_MIN(after, w->z.t), true, a);
    ahead_queries(w, w->q, w->z.d, t->b, t->h, 1, after, FV_MIN(after + n * LANES, w->z.t), false, a);
  }
  fv_ahead_add(a, row_of(k, next), k->step, rows, k->width, false);
  fv_ahead_add(a, row_of(v, next), v->step, rows, v->width, false);
  ahead_spread(a, n * (fv_ceil_div(BLOCK, FV_PANEL_ROWS) + fv_ceil_div(v->width, FV_PANEL_ROWS)));
}

/* Blocks begin at multiples of BLOCK, so that it is not seen in the bits which tiles come together. */
static void forward_tiles(const view *w, const fv_call *c, int64_t b, int64_t h, int64_t first, int n, work *s,
                          const group_rows *k, const group_rows *v) {
  int64_t begin = w->z.s, end = 0;
  for (int i = 0; i < n; i++) {
    s->q[i].t = tile_of(w, b, h, first + i * LANES);
    begin_tile(w, &s->q[i], s->squares);
    begin = FV_MIN(begin, s->q[i].t.begin), end = FV_MAX(end, s->q[i].t.end);
  }
  for (int64_t k0 = begin / BLOCK * BLOCK; k0 < end; k0 += BLOCK) {
    if (s->ahead_blocks) look_ahead_block(w, c, s->q, n, k0, begin, end, k, v, &s->ahead);
    for (int i = 0; i < n; i++) {
      int64_t from = FV_MAX(k0, s->q[i].t.begin), to = FV_MIN(k0 + BLOCK, s->q[i].t.end);
      if (from < to) add_block(w, c, &s->q[i], s, k, v, from, to - from);
    }
  }
  for (int i = 0; i < n; i++) finish_tile(w, c, &s->q[i], s);
}

/* ---- units ------------------------------------------------------------------------------------------------------- */
/* A head's sums over queries have one owner. */
static int64_t chunk_of(const fv_sdpa_attrs *a, const fv_sdpa_size *z) { return a->totals ? FV_MAX(z->t, 1) : CHUNK; }

static int64_t units(const fv_node *n) {
  fv_sdpa_size z = fv_sdpa_size_of(n);
  return z.b * z.h * FV_MAX(fv_ceil_div(z.t, chunk_of(n->attrs, &z)), 1);
}

static int64_t scratch(const fv_node *n) {
  view w = {.a = n->attrs, .z = fv_sdpa_size_of(n)};
  deal d = {0};
  (void)work_of(&w, &d);
  return d.used;
}

static void give_totals(const view *w, const fv_call *c, int64_t head, const work *s) {
  float *to = (float *)c->out[FV_SDPA_TOTALS].data + head * w->z.s;
  for (int64_t i = 0; i < w->z.s; i++) to[i] = fv_vsum(fv_vload(s->totals + i * FV_W));
}

static void run_queries(const view *w, const fv_call *c, int64_t b, int64_t h, int64_t begin, int64_t end, work *s) {
  tile first = tile_of(w, b, h, begin), last = tile_of(w, b, h, begin + (end - begin - 1) / LANES * LANES);
  int64_t from = FV_MIN(first.begin, last.begin), to = FV_MAX(first.end, last.end), group = h / (w->z.h / w->z.g);
  group_rows k = rows_of(w, w->k, w->z.d, b, group, from, FV_MAX(from, to), s->k);
  group_rows v = rows_of(w, w->v, w->z.dv, b, group, from, FV_MAX(from, to), values_in_place(&w->z) ? NULL : s->v);
  const int64_t together = tiles_of(w->a) * LANES;
  if (may_be_bounded(w, from, to)) square_keys(&k, from, to, s->squares);
  for (int64_t t = begin; t < end; t += together)
    forward_tiles(w, c, b, h, t, (int)fv_ceil_div(FV_MIN(end - t, together), LANES), s, &k, &v);
}

/* The head after this one. */
static void look_ahead(const view *w, const fv_call *c, int64_t head, int64_t begin, int64_t end, fv_ahead *a) {
  const fv_sdpa_size *z = &w->z;
  const int64_t b = head / z->h, h = head % z->h, group = h / (z->h / z->g);
  int64_t tiles = (fv_ceil_div(BLOCK, FV_PANEL_ROWS) + fv_ceil_div(z->dv, FV_PANEL_ROWS)) * fv_ceil_div(z->s, BLOCK);
  ahead_keys(w, w->k, z->d, b, group, false, a);
  ahead_keys(w, w->v, z->dv, b, group, false, a);
  ahead_queries(w, w->q, z->d, b, h, 1, begin, end, false, a);
  ahead_queries(w, c->out[FV_SDPA_Y].data, z->dv, b, h, 1, begin, end, true, a);
  ahead_spread(a, tiles * fv_ceil_div(end - begin, LANES));
}

static void run_head(const view *w, const fv_call *c, int64_t head, int64_t begin, int64_t end, work *s) {
  const int64_t b = head / w->z.h, h = head % w->z.h;
  if (w->a->totals) memset(s->totals, 0, (size_t)(w->z.s * FV_W) * sizeof(float));
  if (w->rows && h == 0 && begin == 0) give_missing(w, c, b);
  if (begin < end) run_queries(w, c, b, h, begin, end, s);
  if (w->a->totals) give_totals(w, c, head, s);
}

/* Units of one head that come together are worked on together: its keys are copied once. */
static void run(const fv_call *c) {
  view w = view_of(c);
  work s = work_of(&w, &(deal){.base = c->scratch});
  const int64_t size = chunk_of(w.a, &w.z), chunks = FV_MAX(fv_ceil_div(w.z.t, size), 1);
  for (int64_t u = c->begin; u < c->end;) {
    int64_t head = u / chunks, until = FV_MIN((head + 1) * chunks, c->end);
    int64_t begin = u % chunks * size, end = FV_MIN(begin + (until - u) * size, w.z.t);
    s.ahead = (fv_ahead){0};
    if (until < c->end) look_ahead(&w, c, head + 1, 0, FV_MIN((c->end - until) * size, w.z.t), &s.ahead);
    s.ahead_blocks = s.ahead.n == 0;
    run_head(&w, c, head, begin, end, &s);
    u = until;
  }
}

const fv_kernel FV_KERNELS(sdpa)[] = {{.op = "sdpa",
                                       .name = "simd",
                                       .isa = FV_ISA_LEVEL,
                                       .priority = 10,
                                       .can = sdpa_can,
                                       .scratch = scratch,
                                       .units = units,
                                       .run = run},
                                      {0}};
