/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_tile.h: what the forward and the backward kernel of many queries share: tiles of queries, their scores, what
 * hides keys, dropout.
 *
 * * Lanes are queries: FV_PANEL of them side by side make a tile, and everything about their scores (maximum, sum,
 * causality) is vertical. Queries are turned once a tile, keys are read as they lie and broadcast; where vectors fit
 * their rows, values are read as they lie, too, and the weights broadcast. A block of BLOCK keys (which the kernel
 * defines) by one tile stays in the first-level cache between the product that makes it and the one that uses it. */
#ifndef FV_CPU_KERNELS_SDPA_TILE_H
#define FV_CPU_KERNELS_SDPA_TILE_H

#include "cpu/kernels/sdpa.h"
#include "cpu/philox.h"

#define LANES FV_PANEL

/* ---- tiles of queries ------------------------------------------------------------------------------------------ */
typedef struct tile {
  int64_t b, h, t;                /* the first query */
  int64_t lanes;                  /* how many there are */
  int64_t begin, end;             /* keys that any of them may see */
  int64_t whole_begin, whole_end; /* keys that all of them may see */
  int32_t low[LANES], high[LANES]; /* lane by lane: keys low .. high - 1; neither ever falls */
} tile;

/* Keys before the first and after the last that the mask shows are left out: what padding costs. */
static inline void trim(const view *w, tile *t) {
  const uint8_t *mask = w->mask ? w->mask + t->b * w->z.s : NULL;
  while (mask && t->begin < t->end && !mask[t->begin]) t->begin++;
  while (mask && t->begin < t->end && !mask[t->end - 1]) t->end--;
}

static inline tile tile_of(const view *w, int64_t b, int64_t h, int64_t at) {
  tile t = {.b = b, .h = h, .t = at, .lanes = FV_MIN(w->z.t - at, LANES)};
  int64_t begin, end;
  for (int64_t i = 0; i < LANES; i++) { /* lanes without a query are like the last */
    fv_sdpa_span(w->a, at + FV_MIN(i, t.lanes - 1), w->z.t, w->z.s, &begin, &end);
    t.low[i] = (int32_t)begin;
    t.high[i] = (int32_t)end;
  }
  t.begin = t.low[0], t.whole_end = t.high[0];
  t.end = t.high[LANES - 1], t.whole_begin = t.low[LANES - 1];
  trim(w, &t);
  return t;
}

static inline const float *query_rows(const view *w, const tile *t) {
  return w->q + ((t->b * w->z.t + t->t) * w->z.h + t->h) * w->z.d;
}

/* `n` rows of `width` numbers, `step` apart, become `width` rows of LANES, times `scale`; lanes beyond n are 0. */
static inline void turn(float *to, const float *from, int64_t step, int64_t n, int64_t width, float scale) {
  if (n < LANES) memset(to, 0, (size_t)(width * LANES) * sizeof *to);
  fv_transpose((int32_t *)(void *)to, LANES, (const int32_t *)(const void *)from, step, width, n);
  for (int64_t i = 0; i < width * LANES; i += FV_W) fv_vstore(to + i, fv_vload(to + i) * fv_vsplat(scale));
}
static inline void turn_back(float *to, int64_t step, const float *from, int64_t n, int64_t width) {
  fv_transpose((int32_t *)(void *)to, step, (const int32_t *)(const void *)from, LANES, n, width);
}

/* ---- keys and values --------------------------------------------------------------------------------------------- */
/* Rows of one group. */
typedef struct group_rows {
  const float *p; /* the row of key `first` */
  int64_t first, width, step;
} group_rows;
static inline const float *row_of(const group_rows *g, int64_t s) { return g->p + (s - g->first) * g->step; }

static inline void copy_rows(float *to, int64_t to_step, const float *from, int64_t step, int64_t n, int64_t width) {
  enum { AHEAD = 12 }; /* rows: far apart, they are not foreseen by the processor */
  for (int64_t r = 0; r < n; r++, to += to_step, from += step) {
    for (int64_t i = 0; r + AHEAD < n && i < width; i += 16) __builtin_prefetch(from + AHEAD * step + i);
    int64_t i = 0;
    for (; i + FV_W <= width; i += FV_W) fv_vstore(to + i, fv_vload(from + i));
    if (i < width) fv_vstore_n(to + i, fv_vload_n(from + i, width - i), width - i);
  }
}

/* As they lie when there is one group or no room; else copied together, or rows whose distance is a power of two would
 * fall upon each other in the cache. */
static inline group_rows rows_of(const view *w, const float *all, int64_t width, int64_t b, int64_t group,
                                 int64_t begin, int64_t end, float *room) {
  const group_rows there = {all + ((b * w->z.s + begin) * w->z.g + group) * width, begin, width, w->z.g * width};
  if (w->z.g == 1 || !room) return there;
  copy_rows(room, width, there.p, there.step, end - begin, width);
  return (group_rows){room, begin, width, width};
}

/* Heads h .. h + heads - 1 of q, y and their like are to be fetched before their turn comes. */
static inline void ahead_queries(const view *w, const float *all, int64_t width, int64_t b, int64_t h, int64_t heads,
                                 int64_t begin, int64_t end, bool write, fv_ahead *a) {
  if (!all) return;
  const float *p = all + ((b * w->z.t + begin) * w->z.h + h) * width;
  fv_ahead_add(a, p, w->z.h * width, end - begin, heads * width, write);
}
static inline void ahead_keys(const view *w, const float *all, int64_t width, int64_t b, int64_t group, bool write,
                              fv_ahead *a) {
  fv_ahead_add(a, all + (b * w->z.s * w->z.g + group) * width, w->z.g * width, w->z.s, width, write);
}
/* Spread over `tiles` of a panel; nothing when it is so much that it would drive out what is worked on. */
static inline void ahead_spread(fv_ahead *a, int64_t tiles) {
  enum { MOST_LINES = 8192 };
  int64_t lines = fv_ahead_lines(a);
  if (lines > MOST_LINES) a->n = 0;
  a->quota = fv_ceil_div(lines, FV_MAX(tiles, 1));
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */
static inline fv_panel score_panel(const group_rows *k, const float *turned, int64_t k0, float *to, fv_ahead *ahead) {
  return (fv_panel){.n = k->width,
                    .a = row_of(k, k0),
                    .a_row = k->step,
                    .a_step = 1,
                    .b = turned,
                    .b_step = LANES,
                    .c = to,
                    .c_row = LANES,
                    .ahead = ahead};
}

/* The queries of a tile against keys k0 .. k0 + n - 1: [n][LANES]. */
static inline void scores(const group_rows *k, const float *turned, int64_t k0, int64_t n, float *to, fv_ahead *ahead) {
  const fv_panel p = score_panel(k, turned, k0, to, ahead);
  fv_panel_run(&p, 2, n);
}

/* The same made into 2^(score - less) before they leave the registers, beside the next product; and their sums. `kept`:
 * the scores themselves, too. */
typedef struct power_panel {
  fv_panel p; /* first: a tile is given this */
  fv_f32v less[2], *sum;
  float *kept; /* or NULL */
} power_panel;
static inline __attribute__((always_inline)) void make_powers(const int rows, const bool keep, const fv_panel *p,
                                                              int64_t row) {
  const power_panel *all = (const power_panel *)(const void *)p;
  fv_f32v x[FV_PANEL_ROWS][2];
  float *c = p->c + row * LANES;
  fv_panel_sums(rows, 2, FV_PANEL_ZERO, p, row, x);
#pragma GCC unroll 2
  for (int v = 0; v < 2; v++) {
    fv_f32v sum = all->sum[v];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const int64_t at = r * LANES + v * FV_W;
      fv_f32v power = fv_vexp2_fast(x[r][v] - all->less[v]);
      if (keep) fv_vstore(all->kept + row * LANES + at, x[r][v]);
      fv_vstore(c + at, power);
      sum = sum + power;
    }
    all->sum[v] = sum;
  }
}
static inline __attribute__((always_inline)) void power_tile(const int rows, const fv_panel *p, int64_t row) {
  make_powers(rows, false, p, row);
}
static inline __attribute__((always_inline)) void kept_power_tile(const int rows, const fv_panel *p, int64_t row) {
  make_powers(rows, true, p, row);
}
FV_PANEL_TILES(power_tile)
FV_PANEL_TILES(kept_power_tile)

/* to = 2^(score - less), sum[lane] += to; kept (or NULL) = score */
static inline void power_scores(const group_rows *k, const float *turned, int64_t k0, int64_t n, const fv_f32v less[2],
                                float *to, fv_f32v sum[2], float *kept, fv_ahead *ahead) {
  const power_panel all = {score_panel(k, turned, k0, to, ahead), {less[0], less[1]}, sum, kept};
  fv_panel_walk(&all.p, n, kept ? kept_power_tiles : power_tiles);
}

/* The bias of a tile's queries and a block's keys: [n][LANES]. */
static inline void turn_bias(const view *w, const tile *t, int64_t k0, int64_t n, float *to) {
  const float *from = w->bias + ((w->z.bias_heads == 1 ? 0 : t->h) * w->z.t + t->t) * w->z.s + k0;
  turn(to, from, w->z.s, t->lanes, n, (float)LOG2_E);
}

static inline bool any_padding(const uint8_t *mask, int64_t n) {
  for (int64_t i = 0; mask && i < n; i++)
    if (!mask[i]) return true;
  return false;
}

/* Whether none of the tile's queries comes before or after these keys. */
static inline bool is_inside(const tile *t, int64_t k0, int64_t n) {
  return k0 >= t->whole_begin && k0 + n <= t->whole_end;
}

/* Whether every query of the tile sees these keys, as their product alone says. */
static inline bool is_plain(const view *w, const tile *t, int64_t k0, int64_t n) {
  return is_inside(t, k0, n) && !w->bias && !w->slopes &&
         !any_padding(w->mask ? w->mask + t->b * w->z.s + k0 : NULL, n);
}

/* Adds bias and slopes to the scores of a block that is not plain and hides what is not to be seen. `room`:
 * [BLOCK][LANES]. */
static inline void adjust(const view *w, const tile *t, int64_t k0, int64_t n, float *score, float *room) {
  const uint8_t *mask = w->mask ? w->mask + t->b * w->z.s + k0 : NULL;
  const bool inside = is_inside(t, k0, n);
  if (w->bias) turn_bias(w, t, k0, n, room);
  fv_f32v slope = fv_vsplat(w->slopes ? w->slopes[t->h] * (float)LOG2_E : 0), hidden = fv_vsplat(HIDDEN);
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      float *at = score + i * LANES + v * FV_W;
      fv_f32v x = fv_vload(at);
      if (w->bias) x = fv_vmax(x + fv_vload(room + i * LANES + v * FV_W), hidden);
      if (w->slopes) {
        int32_t ahead = (int32_t)(t->t + v * FV_W + w->z.s - w->z.t - k0 - i);
        x = fv_vfnma(slope, fv_vabs(fv_itov(fv_iadd(fv_isplat(ahead), fv_ilane()))), x);
      }
      if (!inside) {
        fv_i32v s = fv_isplat((int32_t)(k0 + i));
        fv_mask seen = fv_mand(fv_ige(s, fv_iload(t->low + v * FV_W)), fv_ilt(s, fv_iload(t->high + v * FV_W)));
        x = fv_vselect(seen, x, hidden);
      }
      fv_vstore(at, mask && !mask[i] ? hidden : x);
    }
}

/* ---- sums of rows ------------------------------------------------------------------------------------------------ */
/* A panel whose vectors are neighbours in the rows of b and c, over all `width` columns. */
static inline void run_columns(fv_panel *p, int64_t width, int64_t rows) {
  for (int64_t i = 0; i < width; i += LANES, p->b += LANES, p->c += LANES)
    fv_panel_run(p, width - i < LANES ? 1 : 2, rows);
}

/* A tile's sums of keys or values, weighted: query after query as they are wanted, and only the queries that there are,
 * where vectors fit the rows and a tile makes whole panels; else as the scores lie, [width][LANES]. */
static inline bool sums_in_rows(int64_t width) { return width % FV_W == 0 && LANES % FV_PANEL_ROWS == 0; }

static inline void add_rows(const group_rows *g, const float *weights, const tile *t, int64_t k0, int64_t n,
                            fv_panel_start start, const float *scale, float *sums, fv_ahead *ahead) {
  fv_panel p = {.n = n, .c = sums, .start = start, .scale = scale, .ahead = ahead};
  if (!sums_in_rows(g->width)) {
    p.a = row_of(g, k0), p.a_row = 1, p.a_step = g->step;
    p.b = weights, p.b_step = LANES;
    p.c_row = LANES;
    fv_panel_run(&p, 2, g->width);
    return;
  }
  p.a_row = 1, p.a_step = LANES;
  p.b_step = g->step;
  p.c_row = g->width;
  if (start == FV_PANEL_SCALE) p.start = FV_PANEL_SCALE_ROWS;
  const int64_t together = is_inside(t, k0, n) ? t->lanes : FV_PANEL_ROWS;
  for (int64_t l = 0, lanes; l < t->lanes; l += lanes) {
    lanes = FV_MIN(t->lanes - l, together);
    const int64_t from = FV_MAX(t->low[l], k0), to = FV_MAX(FV_MIN(t->high[l + lanes - 1], k0 + n), from);
    p.n = to - from;
    p.a = weights + (from - k0) * LANES + l;
    if (scale) p.scale = scale + l;
    p.b = row_of(g, from);
    p.c = sums + l * g->width;
    run_columns(&p, g->width, lanes);
  }
}

/* Rows `step` apart: the sums times their query's factor. */
static inline void give_sums(float *to, int64_t step, float *sums, int64_t lanes, int64_t width,
                             const float factor[LANES]) {
  if (!sums_in_rows(width)) {
    for (int64_t i = 0; i < width * LANES; i += FV_W)
      fv_vstore(sums + i, fv_vload(sums + i) * fv_vload(factor + i % LANES));
    turn_back(to, step, sums, lanes, width);
    return;
  }
  for (int64_t l = 0; l < lanes; l++)
    for (int64_t i = 0; i < width; i += FV_W)
      fv_vstore(to + l * step + i, fv_vload(sums + l * width + i) * fv_vsplat(factor[l]));
}

/* ---- dropout ----------------------------------------------------------------------------------------------------- */
/* The bits that `dropout` would draw for the weights [B,H,T,S]. A row's draws come 64 at a time and are kept until they
 * are used up: rows begin anywhere in the 64. */
typedef struct draws {
  int64_t at[LANES];    /* which 64 are there; -1: none */
  uint64_t bits[LANES]; /* bit i: element 64 at + i is kept */
} draws;

static inline uint64_t draw_64(const view *w, int64_t at) {
  fv_i32v words[64 / FV_W], flip = fv_isplat(INT32_MIN), least;
  uint64_t bits = 0;
  if (w->threshold >> 32) return 0;
  least =
      fv_isplat((int32_t)((uint32_t)w->threshold ^ 0x80000000u)); /* an unsigned compare: the sign bit turned over */
  fv_vphilox_64(w->seed, w->stream, at, words);
  for (int v = 0; v < 64 / FV_W; v++) bits |= (uint64_t)fv_mbits(fv_ige(fv_ixor(words[v], flip), least)) << (v * FV_W);
  return bits;
}

static inline uint64_t draw(const view *w, draws *d, int64_t lane, int64_t element) { /* 64 bits from `element` on */
  int64_t at = element / 64, shift = element % 64;
  if (d->at[lane] != at) d->bits[lane] = draw_64(w, at);
  uint64_t bits = d->bits[lane] >> shift;
  d->at[lane] = at;
  if (shift == 0) return bits;
  d->at[lane] = at + 1;
  d->bits[lane] = draw_64(w, at + 1);
  return bits | d->bits[lane] << (64 - shift);
}

/* keep[i]: bit l says whether lane l keeps its weight of key k0 + i. */
static inline void draw_block(const view *w, const tile *t, int64_t k0, int64_t n, draws *d, uint32_t keep[BLOCK]) {
  int64_t row = ((t->b * w->z.h + t->h) * w->z.t + t->t) * w->z.s + k0;
  memset(keep, 0, BLOCK * sizeof *keep);
  for (int64_t l = 0; l < t->lanes; l++)
    for (int64_t i = 0; i < n; i += 64) {
      uint64_t bits = draw(w, d, l, row + l * w->z.s + i);
      for (int64_t j = i; j < FV_MIN(i + 64, n); j++, bits >>= 1) keep[j] |= (uint32_t)(bits & 1) << l;
    }
}

static inline void no_draws(draws *d) {
  for (int l = 0; l < LANES; l++) d->at[l] = -1;
}

#endif
