/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_grad: the gradient of attention a tile of queries at a time, with five products a block (Dao et al., NeurIPS
 * 2022):
 *
 * *   P = 2^(S - lse)   from   S = K Q'         dP = V dO'      dS = P (dP - delta), delta = rowsum(dO o O)
 *   dV += P dO        dK += dS Q              dQ' += K' dS
 *
 * * A group of keys has one owner, who goes through the group's heads and their queries in order. What is asked of
 * the weights besides the output adds to dP; delta then takes a pass of its own over the scores. */
#define BLOCK (2048 / LANES) /* keys: 8 KiB of scores, and as much of their gradients */
#include "cpu/kernels/sdpa_tile.h"

/* Tiles go over the keys side by side, as many as the second-level cache has room for: a block of keys and of their
 * gradients stays near meanwhile. */
enum { TILES = 8, TILES_BYTES = 384 << 10 };

typedef struct query_tile {
  tile t;
  fv_f32v lse2[2], delta[2]; /* lanes without a query, or whose query sees nothing: lse2 so large that weights are 0 */
  fv_f32v slope[2];          /* gradient of the slope so far */
  float *turned, *rows;      /* queries: [D][LANES], scaled for the scores; [LANES][Dp], scaled for dK */
  float *dturned, *drows;    /* dy: [Dv][LANES]; [LANES][Dvp] */
  float *dq;                 /* of keys */
  draws *draws;
} query_tile;

typedef struct work {
  query_tile q[TILES];
  float *p, *dp, *kept;   /* [BLOCK][LANES]: weights, then what is asked of them; weights after dropout */
  float *bias, *dbias;    /* [BLOCK][LANES]; [LANES][BLOCK] */
  float *more;            /* [BLOCK][LANES]: what is asked besides the output */
  float *k, *v, *dk, *dv; /* a group's rows; [S][Dp], [S][Dvp] */
  fv_ahead ahead;
  bool ahead_blocks; /* not the next group, but the next block is fetched */
} work;

/* The further arrays of the call. */
typedef struct asked {
  const float *y, *lse, *dy, *dtotals, *dentropy, *dtop, *drows;
  const int32_t *index;
  int64_t topk;
  bool any; /* besides dy */
} asked;

static asked asked_of(const fv_call *c) {
  asked a = {.y = given(c, FV_SDPA_GRAD_Y),
             .lse = given(c, FV_SDPA_GRAD_LSE),
             .dy = given(c, FV_SDPA_GRAD_DY),
             .dtotals = given(c, FV_SDPA_GRAD_DTOTALS),
             .dentropy = given(c, FV_SDPA_GRAD_DENTROPY),
             .dtop = given(c, FV_SDPA_GRAD_DTOP),
             .drows = given(c, FV_SDPA_GRAD_DROWS),
             .index = given(c, FV_SDPA_GRAD_INDEX)};
  if (a.dtop) a.topk = c->in[FV_SDPA_GRAD_DTOP].shape.dim[3];
  a.any = a.dtotals || a.dentropy || a.dtop || a.drows;
  return a;
}

static int64_t padded(int64_t width) { return fv_round_up(width, FV_W); }

static int tiles_of(const fv_sdpa_size *z) {
  int64_t bytes = (3 * padded(z->d) + 2 * padded(z->dv)) * LANES * (int64_t)sizeof(float);
  return (int)FV_MAX(FV_MIN(TILES_BYTES / FV_MAX(bytes, 1), TILES), 1);
}

static work work_of(const view *w, bool more, deal *d) {
  const fv_sdpa_size *z = &w->z;
  const int64_t block = BLOCK * LANES;
  work s = {.p = take_floats(d, block),
            .dp = take_floats(d, block),
            .kept = take_floats(d, w->a->p > 0 ? block : 0),
            .bias = take_floats(d, z->bias_heads ? block : 0),
            .dbias = take_floats(d, w->a->dbias ? block : 0),
            .more = take_floats(d, more ? block : 0),
            .k = take_floats(d, z->g > 1 ? z->s * z->d : 0),
            .v = take_floats(d, z->g > 1 ? z->s * z->dv : 0),
            .dk = take_floats(d, z->s * padded(z->d)),
            .dv = take_floats(d, z->s * padded(z->dv))};
  for (int i = 0; i < tiles_of(z); i++)
    s.q[i] = (query_tile){.turned = take_floats(d, z->d * LANES),
                          .rows = take_floats(d, padded(z->d) * LANES),
                          .dturned = take_floats(d, z->dv * LANES),
                          .drows = take_floats(d, padded(z->dv) * LANES),
                          .dq = take_floats(d, z->d * LANES),
                          .draws = take(d, w->a->p > 0, sizeof(draws))};
  return s;
}

/* ---- what a tile needs to know ----------------------------------------------------------------------------------- */
static void load_rows(float *to, int64_t to_step, const float *from, int64_t step, int64_t n, int64_t width,
                      float scale) {
  memset(to, 0, (size_t)(to_step * LANES) * sizeof *to);
  copy_rows(to, to_step, from, step, n, width);
  for (int64_t i = 0; i < to_step * LANES; i += FV_W) fv_vstore(to + i, fv_vload(to + i) * fv_vsplat(scale));
}

static float dot(const float *a, const float *b, int64_t n) {
  fv_f32v sum = fv_vzero();
  for (int64_t i = 0; i < n; i += FV_W)
    sum = fv_vfma(fv_vload_n(a + i, FV_MIN(n - i, FV_W)), fv_vload_n(b + i, FV_MIN(n - i, FV_W)), sum);
  return fv_vsum(sum);
}

static void load_tile(const view *w, const asked *a, query_tile *q) {
  const fv_sdpa_size *z = &w->z;
  const tile *t = &q->t;
  const int64_t y = ((t->b * z->t + t->t) * z->h + t->h) * z->dv, step = z->h * z->dv;
  float lse2[LANES], delta[LANES];
  turn(q->turned, query_rows(w, t), z->h * z->d, t->lanes, z->d, (float)(z->scale * LOG2_E));
  load_rows(q->rows, padded(z->d), query_rows(w, t), z->h * z->d, t->lanes, z->d, (float)z->scale);
  if (a->dy) {
    turn(q->dturned, a->dy + y, step, t->lanes, z->dv, 1);
    load_rows(q->drows, padded(z->dv), a->dy + y, step, t->lanes, z->dv, 1);
  }
  for (int64_t l = 0; l < LANES; l++) {
    float lse = l < t->lanes ? a->lse[(t->b * z->h + t->h) * z->t + t->t + l] : -INFINITY;
    lse2[l] = lse == -INFINITY ? -HIDDEN : lse * (float)LOG2_E;
    delta[l] = l < t->lanes && a->dy ? dot(a->dy + y + l * step, a->y + y + l * step, z->dv) : 0;
  }
  for (int v = 0; v < 2; v++) {
    q->lse2[v] = fv_vload(lse2 + v * FV_W);
    q->delta[v] = fv_vload(delta + v * FV_W);
  }
  memset(q->dq, 0, (size_t)(z->d * LANES) * sizeof(float));
}

/* The weights of a block: [n][LANES]. */
static void weights(const view *w, work *s, const query_tile *q, const group_rows *k, int64_t k0, int64_t n) {
  if (is_plain(w, &q->t, k0, n)) {
    fv_f32v sum[2] = {fv_vzero(), fv_vzero()};
    power_scores(k, q->turned, k0, n, q->lse2, s->p, sum, NULL, &s->ahead);
    return;
  }
  scores(k, q->turned, k0, n, s->p, &s->ahead);
  adjust(w, &q->t, k0, n, s->p, s->bias);
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      float *at = s->p + i * LANES + v * FV_W;
      fv_vstore(at, fv_vexp2_fast(fv_vload(at) - q->lse2[v]));
    }
}

/* ---- what is asked besides the output ---------------------------------------------------------------------------- */
static void ask_rows(const view *w, const asked *a, const tile *t, int64_t k0, int64_t n, float *more) {
  for (int64_t i = 0; a->drows && i < w->z.rows; i++) {
    int64_t lane = w->rows[2 * i + 1] - t->t;
    if (w->rows[2 * i] != t->h || lane < 0 || lane >= t->lanes) continue;
    const float *row = a->drows + (t->b * w->z.rows + i) * w->z.s + k0;
    for (int64_t j = 0; j < n; j++) more[j * LANES + lane] += row[j];
  }
}

static void ask_best(const view *w, const asked *a, const tile *t, int64_t k0, int64_t n, float *more) {
  const int64_t at = ((t->b * w->z.h + t->h) * w->z.t + t->t) * a->topk;
  for (int64_t l = 0; l < t->lanes; l++)
    for (int64_t i = 0; i < a->topk; i++) {
      int64_t key = a->index[at + l * a->topk + i] - k0;
      if (key >= 0 && key < n) more[key * LANES + l] += a->dtop[at + l * a->topk + i];
    }
}

static void ask(const view *w, const asked *a, const tile *t, int64_t k0, int64_t n, work *s) {
  const fv_sdpa_size *z = &w->z;
  const float *totals = a->dtotals ? a->dtotals + (t->b * z->h + t->h) * z->s + k0 : NULL;
  const float *entropy = a->dentropy ? a->dentropy + (t->b * z->h + t->h) * z->t + t->t : NULL;
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      fv_f32v more = fv_vsplat(totals ? totals[i] : 0);
      if (entropy) { /* -sum p log p */
        fv_f32v p = fv_vload(s->p + i * LANES + v * FV_W), one = fv_vsplat(1), none = fv_vzero();
        fv_f32v slope = fv_vload_n(entropy + v * FV_W, FV_MIN(FV_MAX(t->lanes - v * FV_W, 0), FV_W));
        fv_f32v log_p = fv_vlog(fv_vselect(fv_vgt(p, none), p, one));
        more = fv_vselect(fv_vgt(p, none), more - slope * (log_p + one), more);
      }
      fv_vstore(s->more + i * LANES + v * FV_W, more);
    }
  ask_rows(w, a, t, k0, n, s->more);
  ask_best(w, a, t, k0, n, s->more);
}

/* delta's share of it: a pass over the scores. */
static void add_delta(const view *w, const asked *a, work *s, query_tile *q, const group_rows *k) {
  for (int64_t k0 = q->t.begin; k0 < q->t.end; k0 += BLOCK) {
    const int64_t n = FV_MIN(q->t.end - k0, BLOCK);
    weights(w, s, q, k, k0, n);
    ask(w, a, &q->t, k0, n, s);
    for (int64_t i = 0; i < n; i++)
      for (int v = 0; v < 2; v++) {
        int64_t at = i * LANES + v * FV_W;
        q->delta[v] = fv_vfma(fv_vload(s->p + at), fv_vload(s->more + at), q->delta[v]);
      }
  }
}

/* ---- a block ----------------------------------------------------------------------------------------------------- */
/* Dropout of what the values see; the factor 1 / (1 - p) goes along. */
static void drop_block(const view *w, work *s, const query_tile *q, int64_t k0, int64_t n) {
  uint32_t keep[BLOCK];
  fv_f32v scale = fv_vsplat(w->keep_scale);
  draw_block(w, &q->t, k0, n, q->draws, keep);
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      int64_t at = i * LANES + v * FV_W;
      fv_mask kept = fv_mof(keep[i] >> (v * FV_W));
      fv_vstore(s->kept + at, fv_vmasked(kept, fv_vload(s->p + at) * scale));
      fv_vstore(s->dp + at, fv_vmasked(kept, fv_vload(s->dp + at) * scale));
    }
}

/* dS in the place of dP. */
static void to_score_gradient(work *s, const query_tile *q, const float *more, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      int64_t at = i * LANES + v * FV_W;
      fv_f32v dp = fv_vload(s->dp + at);
      if (more) dp = dp + fv_vload(more + at);
      fv_vstore(s->dp + at, fv_vload(s->p + at) * (dp - q->delta[v]));
    }
}

/* dS of what the panel makes dP, before it leaves the registers. */
typedef struct gradient_panel {
  fv_panel p; /* first: a tile is given this */
  const query_tile *q;
  const float *weights;
} gradient_panel;
static inline __attribute__((always_inline)) void gradient_tile(const int rows, const fv_panel *p, int64_t row) {
  const gradient_panel *all = (const gradient_panel *)(const void *)p;
  fv_f32v dp[FV_PANEL_ROWS][2];
  fv_panel_sums(rows, 2, FV_PANEL_ZERO, p, row, dp);
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
      int64_t at = (row + r) * LANES + v * FV_W;
      fv_vstore(p->c + at, fv_vload(all->weights + at) * (dp[r][v] - all->q->delta[v]));
    }
}
FV_PANEL_TILES(gradient_tile)

static void plain_score_gradient(work *s, const query_tile *q, const group_rows *v, int64_t k0, int64_t n) {
  const gradient_panel all = {score_panel(v, q->dturned, k0, s->dp, &s->ahead), q, s->p};
  fv_panel_walk(&all.p, n, gradient_tiles);
}

/* dP and then dS of a block whose weights are known. */
static void score_gradient(const view *w, const asked *a, work *s, query_tile *q, const group_rows *v, int64_t k0,
                           int64_t n) {
  if (a->dy && !a->any && w->a->p <= 0) {
    plain_score_gradient(s, q, v, k0, n);
    return;
  }
  if (a->dy) scores(v, q->dturned, k0, n, s->dp, &s->ahead);
  else memset(s->dp, 0, (size_t)(n * LANES) * sizeof(float));
  if (a->any) ask(w, a, &q->t, k0, n, s);
  if (w->a->p > 0) drop_block(w, s, q, k0, n);
  to_score_gradient(s, q, a->any ? s->more : NULL, n);
}

static void add_bias_gradient(const view *w, const fv_call *c, work *s, const tile *t, int64_t k0, int64_t n) {
  float *to = (float *)c->out[FV_SDPA_DBIAS].data + ((w->z.bias_heads == 1 ? 0 : t->h) * w->z.t + t->t) * w->z.s + k0;
  turn_back(s->dbias, BLOCK, s->dp, t->lanes, n);
  for (int64_t l = 0; l < t->lanes; l++, to += w->z.s)
    for (int64_t i = 0; i < n; i += FV_W) {
      int64_t m = FV_MIN(n - i, FV_W);
      fv_vstore_n(to + i, fv_vload_n(to + i, m) + fv_vload_n(s->dbias + l * BLOCK + i, m), m);
    }
}

static void add_slope_gradient(const view *w, work *s, query_tile *q, int64_t k0, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    for (int v = 0; v < 2; v++) {
      int32_t ahead = (int32_t)(q->t.t + v * FV_W + w->z.s - w->z.t - k0 - i);
      fv_f32v distance = fv_vabs(fv_itov(fv_iadd(fv_isplat(ahead), fv_ilane())));
      q->slope[v] = fv_vfnma(fv_vload(s->dp + i * LANES + v * FV_W), distance, q->slope[v]);
    }
}

/* to[key][column] += sum over the lanes that see it of of[key][lane] rows[lane][column], of keys k0 .. k0 + n - 1 */
static void add_to_keys(const tile *t, float *to, const float *of, const float *rows, int64_t width, int64_t k0,
                        int64_t n) {
  fv_panel p = {.a_row = LANES, .a_step = 1, .b_step = width, .c_row = width, .start = FV_PANEL_ADD};
  const int64_t together = is_inside(t, k0, n) ? n : FV_PANEL_ROWS;
  for (int64_t k = 0, keys; k < n; k += keys) {
    keys = FV_MIN(n - k, together);
    int64_t from = 0, end = LANES;
    while (from < end && t->high[from] <= k0 + k) from++;
    while (from < end && t->low[end - 1] >= k0 + k + keys) end--;
    p.n = end - from;
    p.a = of + k * LANES + from;
    p.b = rows + from * width;
    p.c = to + (k0 + k) * width;
    run_columns(&p, width, keys);
  }
}

/* Keys k0 .. k0 + n - 1, of one block. */
static void back_block(const view *w, const asked *a, const fv_call *c, work *s, query_tile *q, const group_rows *k,
                       const group_rows *v, int64_t k0, int64_t n) {
  const int64_t dp = padded(w->z.d), dvp = padded(w->z.dv);
  weights(w, s, q, k, k0, n);
  score_gradient(w, a, s, q, v, k0, n);
  if (a->dy) add_to_keys(&q->t, s->dv, w->a->p > 0 ? s->kept : s->p, q->drows, dvp, k0, n);
  add_to_keys(&q->t, s->dk, s->dp, q->rows, dp, k0, n);
  add_rows(k, s->dp, &q->t, k0, n, FV_PANEL_ADD, NULL, q->dq, NULL);
  if (w->a->dbias) add_bias_gradient(w, c, s, &q->t, k0, n);
  if (w->a->dslopes) add_slope_gradient(w, s, q, k0, n);
}

static void finish_tile(const view *w, const fv_call *c, query_tile *q) {
  const fv_sdpa_size *z = &w->z;
  float factor[LANES];
  for (int l = 0; l < LANES; l++) factor[l] = (float)z->scale;
  give_sums((float *)c->out[FV_SDPA_DQ].data + ((q->t.b * z->t + q->t.t) * z->h + q->t.h) * z->d, z->h * z->d, q->dq,
            q->t.lanes, z->d, factor);
}

/* What comes after keys k0 .. k0 + BLOCK - 1 is fetched beside them: the next block; after the last, where the results
 * go, the next queries and the first block. */
static void look_ahead_block(const view *w, const asked *a, const fv_call *c, work *s, int n, int64_t k0, int64_t begin,
                             int64_t end, const group_rows *k, const group_rows *v) {
  const tile *t = &s->q[0].t;
  const int64_t dp = padded(w->z.d), dvp = padded(w->z.dv), after = t->t + n * LANES;
  const int64_t next = k0 + BLOCK < end ? k0 + BLOCK : begin, rows = FV_MIN(BLOCK, end - next);
  fv_ahead *to = &s->ahead;
  *to = (fv_ahead){0};
  if (k0 + BLOCK >= end) {
    const int64_t until = FV_MIN(after + n * LANES, w->z.t);
    ahead_queries(w, c->out[FV_SDPA_DQ].data, w->z.d, t->b, t->h, 1, t->t, FV_MIN(after, w->z.t), true, to);
    ahead_queries(w, w->q, w->z.d, t->b, t->h, 1, after, until, false, to);
    ahead_queries(w, a->dy, w->z.dv, t->b, t->h, 1, after, until, false, to);
    ahead_queries(w, a->y, w->z.dv, t->b, t->h, 1, after, until, false, to);
  }
  fv_ahead_add(to, row_of(k, next), k->step, rows, k->width, false);
  fv_ahead_add(to, row_of(v, next), v->step, rows, v->width, false);
  fv_ahead_add(to, s->dk + next * dp, dp, rows, dp, true);
  fv_ahead_add(to, s->dv + next * dvp, dvp, rows, dvp, true);
  ahead_spread(to, n * 2 * fv_ceil_div(BLOCK, FV_PANEL_ROWS));
}

static void back_tiles(const view *w, const asked *a, const fv_call *c, work *s, int64_t b, int64_t h, int64_t first,
                       int n, const group_rows *k, const group_rows *v) {
  int64_t begin = w->z.s, end = 0;
  for (int i = 0; i < n; i++) {
    query_tile *q = &s->q[i];
    q->t = tile_of(w, b, h, first + i * LANES);
    load_tile(w, a, q);
    if (a->any) add_delta(w, a, s, q, k);
    if (w->a->p > 0) no_draws(q->draws);
    begin = FV_MIN(begin, q->t.begin), end = FV_MAX(end, q->t.end);
  }
  for (int64_t k0 = begin / BLOCK * BLOCK; k0 < end; k0 += BLOCK) {
    if (s->ahead_blocks) look_ahead_block(w, a, c, s, n, k0, begin, end, k, v);
    for (int i = 0; i < n; i++) {
      int64_t from = FV_MAX(k0, s->q[i].t.begin), to = FV_MIN(k0 + BLOCK, s->q[i].t.end);
      if (from < to) back_block(w, a, c, s, &s->q[i], k, v, from, to - from);
    }
  }
  for (int i = 0; i < n; i++) finish_tile(w, c, &s->q[i]);
}

/* ---- units ------------------------------------------------------------------------------------------------------- */
static void back_head(const view *w, const asked *a, const fv_call *c, work *s, int64_t b, int64_t h,
                      const group_rows *k, const group_rows *v) {
  const int64_t together = tiles_of(&w->z) * LANES;
  for (int i = 0; i < TILES; i++) s->q[i].slope[0] = s->q[i].slope[1] = fv_vzero();
  for (int64_t t = 0; t < w->z.t; t += together)
    back_tiles(w, a, c, s, b, h, t, (int)fv_ceil_div(FV_MIN(w->z.t - t, together), LANES), k, v);
  fv_f32v slope = fv_vzero();
  for (int i = 0; i < TILES; i++) slope = slope + s->q[i].slope[0] + s->q[i].slope[1];
  if (w->a->dslopes) ((float *)c->out[FV_SDPA_DSLOPES].data)[b * w->z.h + h] = fv_vsum(slope);
}

static void give_rows(const view *w, float *to, int64_t width, int64_t b, int64_t group, const float *from) {
  copy_rows(to + (b * w->z.s * w->z.g + group) * width, w->z.g * width, from, padded(width), w->z.s, width);
}

static void back_group(const view *w, const asked *a, const fv_call *c, work *s, int64_t b, int64_t group) {
  const fv_sdpa_size *z = &w->z;
  const int64_t heads = z->h / z->g;
  group_rows k = rows_of(w, w->k, z->d, b, group, 0, z->s, s->k), v = rows_of(w, w->v, z->dv, b, group, 0, z->s, s->v);
  memset(s->dk, 0, (size_t)(z->s * padded(z->d)) * sizeof(float));
  memset(s->dv, 0, (size_t)(z->s * padded(z->dv)) * sizeof(float));
  for (int64_t h = group * heads; h < (group + 1) * heads; h++) back_head(w, a, c, s, b, h, &k, &v);
  give_rows(w, c->out[FV_SDPA_DK].data, z->d, b, group, s->dk);
  give_rows(w, c->out[FV_SDPA_DV].data, z->dv, b, group, s->dv);
}

/* Each number has one owner: the gradient of a bias is a sum over the batch, and over the heads when they share it. */
typedef struct owners {
  int64_t units, batches, groups; /* a unit's */
} owners;
static owners owners_of(const fv_sdpa_attrs *a, const fv_sdpa_size *z) {
  if (!a->dbias) return (owners){z->b * z->g, 1, 1};
  return z->bias_heads == 1 && z->h > 1 ? (owners){1, z->b, z->g} : (owners){z->g, z->b, 1};
}

static int64_t units(const fv_node *n) {
  fv_sdpa_size z = fv_sdpa_size_of(n);
  return owners_of(n->attrs, &z).units;
}

static bool has(const fv_node *n, int i) { return n->n_in > i && n->in[i]->kind != FV_VALUE_ABSENT; }

static int64_t scratch(const fv_node *n) {
  view w = {.a = n->attrs, .z = fv_sdpa_size_of(n)};
  deal d = {0};
  (void)work_of(&w,
                has(n, FV_SDPA_GRAD_DTOTALS) || has(n, FV_SDPA_GRAD_DENTROPY) || has(n, FV_SDPA_GRAD_DTOP) ||
                    has(n, FV_SDPA_GRAD_DROWS),
                &d);
  return d.used;
}

/* The group after this one. */
static void look_ahead(const view *w, const asked *a, const fv_call *c, int64_t unit, fv_ahead *to) {
  const fv_sdpa_size *z = &w->z;
  const int64_t b = unit / z->g, group = unit % z->g, heads = z->h / z->g, h = group * heads;
  ahead_keys(w, w->k, z->d, b, group, false, to);
  ahead_keys(w, w->v, z->dv, b, group, false, to);
  ahead_queries(w, w->q, z->d, b, h, heads, 0, z->t, false, to);
  ahead_queries(w, a->dy, z->dv, b, h, heads, 0, z->t, false, to);
  ahead_queries(w, a->y, z->dv, b, h, heads, 0, z->t, false, to);
  ahead_queries(w, c->out[FV_SDPA_DQ].data, z->d, b, h, heads, 0, z->t, true, to);
  ahead_keys(w, c->out[FV_SDPA_DK].data, z->d, b, group, true, to);
  ahead_keys(w, c->out[FV_SDPA_DV].data, z->dv, b, group, true, to);
  ahead_spread(to, 2 * fv_ceil_div(BLOCK, FV_PANEL_ROWS) * fv_ceil_div(z->s, BLOCK) * fv_ceil_div(z->t, LANES) * heads);
}

static void run(const fv_call *c) {
  view w = view_of(c);
  asked a = asked_of(c);
  work s = work_of(&w, a.any, &(deal){.base = c->scratch});
  const fv_sdpa_size *z = &w.z;
  const owners o = owners_of(w.a, z);
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t first = o.batches > 1 || w.a->dbias ? 0 : u / z->g, group = o.groups > 1 ? 0 : u % z->g;
    int64_t rows = z->bias_heads == 1 || o.groups > 1 ? z->bias_heads : z->h / z->g, size = z->t * z->s;
    s.ahead = (fv_ahead){0};
    if (o.batches == 1 && u + 1 < c->end) look_ahead(&w, &a, c, u + 1, &s.ahead);
    s.ahead_blocks = s.ahead.n == 0;
    if (w.a->dbias)
      memset((float *)c->out[FV_SDPA_DBIAS].data + (z->bias_heads == 1 ? 0 : group * rows) * size, 0,
             (size_t)(rows * size) * sizeof(float));
    for (int64_t b = first; b < first + o.batches; b++)
      for (int64_t g = group; g < group + o.groups; g++) back_group(&w, &a, c, &s, b, g);
  }
}

const fv_kernel FV_KERNELS(sdpa_grad)[] = {{.op = "sdpa_grad",
                                            .name = "simd",
                                            .isa = FV_ISA_LEVEL,
                                            .priority = 10,
                                            .can = sdpa_can,
                                            .scratch = scratch,
                                            .units = units,
                                            .run = run},
                                           {0}};
