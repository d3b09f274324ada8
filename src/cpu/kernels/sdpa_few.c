/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_few: attention of a few queries to a long cache, as when one token after another is written. All rows of some
 * groups of heads go over the keys together, so that the cache is read once, in the order in which it lies; what
 * bounds it is memory. Scores are dot products with lanes along D; the softmax is one row at a time over [rows][S];
 * then the panel's product with lanes along Dv. */
#define BLOCK 32 /* keys */
#include "cpu/kernels/sdpa.h"

enum { MOST_QUERIES = 8 };

typedef struct work {
  int64_t groups;     /* worked on together */
  int64_t rows, step; /* heads of a group times queries; floats from row to row of p */
  float *q;           /* [rows][padded D], times the scale */
  float *p;           /* [rows][step] */
  float *sums;        /* [rows][padded Dv] */
  float *parts;       /* [FV_W][FV_W], twice */
} work;

/* So many that neighbouring memory of half a page is read at a time, but not all in one unit. */
static int64_t groups_together(const fv_sdpa_size *z) {
  const int64_t enough = fv_ceil_div(2048 / (int64_t)sizeof(float), FV_MAX(z->d, 1));
  return FV_MAX(FV_MIN(FV_MIN(enough, z->g), fv_ceil_div(z->b * z->g, 2)), 1);
}

static work work_of(const view *w, deal *d) {
  const fv_sdpa_size *z = &w->z;
  const int64_t groups = groups_together(z), rows = z->h / z->g * z->t, step = fv_round_up(z->s, FV_W);
  return (work){.groups = groups,
                .rows = rows,
                .step = step,
                .q = take_floats(d, groups * rows * fv_round_up(z->d, FV_W)),
                .p = take_floats(d, groups * rows * step),
                .sums = take_floats(d, groups * rows * fv_round_up(z->dv, FV_W)),
                .parts = take_floats(d, 2 * FV_W * FV_W)};
}

/* One row of the unit's: which query it is and what it may see. */
typedef struct row {
  int64_t b, h, t, begin, end;
  float max, sum, lse2;
} row;
static row row_at(const view *w, int64_t b, int64_t group, int64_t r) {
  row q = {.b = b, .h = group * (w->z.h / w->z.g) + r / w->z.t, .t = r % w->z.t};
  fv_sdpa_span(w->a, q.t, w->z.t, w->z.s, &q.begin, &q.end);
  return q;
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */
static void load_queries(const view *w, int64_t b, int64_t group, int64_t rows, work *s) {
  const int64_t width = w->z.d, padded = fv_round_up(width, FV_W);
  memset(s->q, 0, (size_t)(rows * padded) * sizeof(float));
  for (int64_t r = 0; r < rows; r++) {
    row q = row_at(w, b, group, r);
    const float *from = w->q + ((b * w->z.t + q.t) * w->z.h + q.h) * width;
    for (int64_t i = 0; i < width; i++) s->q[r * padded + i] = from[i] * (float)(w->z.scale * LOG2_E);
  }
}

static fv_f32v dot_lanes(const float *q, const float *k, int64_t width) {
  fv_f32v sum = fv_vzero();
  int64_t i = 0;
  for (; i + FV_W <= width; i += FV_W) sum = fv_vfma(fv_vload(q + i), fv_vload(k + i), sum);
  return i < width ? fv_vfma(fv_vload(q + i), fv_vload_n(k + i, width - i), sum) : sum;
}

/* Rows of one group lie far apart when there are many groups, and are then not foreseen by the processor. */
static void fetch(const float *rows, int64_t step, int64_t n, int64_t width) {
  for (int64_t r = 0; r < n; r++)
    for (int64_t i = 0; i < width; i += 16) __builtin_prefetch(rows + r * step + i);
}
enum { AHEAD = 32 }; /* keys */

/* FV_W keys (fewer at the end) against every row of a group, the unit's from row `first` on. */
static void score_keys(const view *w, int64_t b, int64_t group, int64_t first, int64_t key, work *s) {
  const int64_t width = w->z.d, padded = fv_round_up(width, FV_W), step = w->z.g * width;
  const int64_t n = FV_MIN(w->z.s - key, FV_W);
  const float *k = w->k + ((b * w->z.s + key) * w->z.g + group) * width;
  float *turned = s->parts + FV_W * FV_W;
  fetch(k + AHEAD * step, step, FV_MIN(w->z.s - key - AHEAD, FV_W), width);
  for (int64_t r = first; r < first + s->rows; r++) {
    for (int64_t i = 0; i < FV_W; i++)
      fv_vstore(s->parts + i * FV_W, i < n ? dot_lanes(s->q + r * padded, k + i * step, width) : fv_vzero());
    fv_transpose((int32_t *)(void *)turned, FV_W, (const int32_t *)(const void *)s->parts, FV_W, FV_W, FV_W);
    fv_f32v sum = fv_vload(turned);
    for (int64_t i = 1; i < FV_W; i++) sum = sum + fv_vload(turned + i * FV_W);
    fv_vstore(s->p + r * s->step + key, sum);
  }
}

/* Adds bias and slope to one row's scores and hides what is not to be seen. */
static void adjust_row(const view *w, const row *q, float *p) {
  const uint8_t *mask = w->mask ? w->mask + q->b * w->z.s : NULL;
  const float *bias = w->bias ? w->bias + ((w->z.bias_heads == 1 ? 0 : q->h) * w->z.t + q->t) * w->z.s : NULL;
  const fv_f32v slope = fv_vsplat(w->slopes ? w->slopes[q->h] * (float)LOG2_E : 0), hidden = fv_vsplat(HIDDEN);
  for (int64_t i = 0; i < w->z.s; i += FV_W) {
    int64_t n = FV_MIN(w->z.s - i, FV_W);
    fv_i32v key = fv_iadd(fv_isplat((int32_t)i), fv_ilane());
    fv_f32v x = fv_vload(p + i);
    if (bias) x = fv_vmax(fv_vfma(fv_vload_n(bias + i, n), fv_vsplat((float)LOG2_E), x), hidden);
    if (w->slopes) x = fv_vfnma(slope, fv_vabs(fv_itov(fv_isub(fv_isplat((int32_t)(q->t + w->z.s - w->z.t)), key))), x);
    fv_mask seen = fv_mand(fv_ige(key, fv_isplat((int32_t)q->begin)), fv_ilt(key, fv_isplat((int32_t)q->end)));
    if (mask) seen = fv_mand(seen, fv_ine(fv_iload_u8_n(mask + i, n), fv_izero()));
    fv_vstore(p + i, fv_vselect(seen, x, hidden));
  }
}

/* ---- one row's softmax and what is asked of it ------------------------------------------------------------------- */
static void keep_best(const view *w, const fv_call *c, const row *q, const float *p) { /* of scores; weights follow */
  const int64_t k = w->a->topk, first = ((q->b * w->z.h + q->h) * w->z.t + q->t) * k;
  float *best = (float *)c->out[FV_SDPA_TOP].data + first;
  int32_t *at = (int32_t *)c->out[FV_SDPA_TOP_INDEX].data + first;
  for (int64_t j = 0; j < k; j++) best[j] = LOWEST, at[j] = -1;
  for (int64_t i = 0; i < w->z.s; i += FV_W)
    for (uint32_t more = fv_mbits(fv_vgt(fv_vload(p + i), fv_vsplat(best[k - 1]))); more; more &= more - 1) {
      int64_t key = i + __builtin_ctz(more), j = k - 1;
      if (!(p[key] > best[j])) continue;
      for (; j > 0 && p[key] > best[j - 1]; j--) best[j] = best[j - 1], at[j] = at[j - 1];
      best[j] = p[key];
      at[j] = (int32_t)key;
    }
}

static void weigh_best(const view *w, const fv_call *c, const row *q) {
  const int64_t k = w->a->topk, first = ((q->b * w->z.h + q->h) * w->z.t + q->t) * k;
  float *best = (float *)c->out[FV_SDPA_TOP].data + first;
  const int32_t *at = (const int32_t *)c->out[FV_SDPA_TOP_INDEX].data + first;
  for (int64_t i = 0; i < k; i += FV_W) {
    int64_t n = FV_MIN(k - i, FV_W);
    fv_f32v x = fv_vexp2_fast(fv_vload_n(best + i, n) - fv_vsplat(q->lse2));
    fv_vstore_n(best + i, fv_vmasked(fv_ige(fv_iload_n(at + i, n), fv_izero()), x), n);
  }
}

static void normalise(const view *w, row *q, float *p, float *moment) {
  fv_f32v max = fv_vsplat(LOWEST), sum = fv_vzero(), sum_x = fv_vzero();
  for (int64_t i = 0; i < w->z.s; i += FV_W) max = fv_vmax_any(fv_vload(p + i), max);
  q->max = fv_vhmax(max);
  for (int64_t i = 0; i < w->z.s; i += FV_W) {
    fv_f32v x = fv_vload(p + i) - fv_vsplat(q->max), y = fv_vexp2_fast(x);
    fv_vstore(p + i, y);
    sum = sum + y;
    sum_x = fv_vfma(y, x, sum_x);
  }
  q->sum = fv_vsum(sum);
  *moment = fv_vsum(sum_x);
}

static void give_row(const view *w, const fv_call *c, row *q, float *p) {
  const fv_sdpa_size *z = &w->z;
  const int64_t at = (q->b * z->h + q->h) * z->t + q->t;
  float moment;
  adjust_row(w, q, p);
  if (w->a->topk > 0) keep_best(w, c, q, p);
  normalise(w, q, p, &moment);
  float log_sum = fv_vlog(fv_vsplat(q->sum))[0], factor = q->sum == 0 ? 0 : 1 / q->sum;
  ((float *)c->out[FV_SDPA_LSE].data)[at] = q->sum == 0 ? -INFINITY : q->max * (float)LN_2 + log_sum;
  q->lse2 = q->max + log_sum * (float)LOG2_E;
  if (w->a->entropy)
    ((float *)c->out[FV_SDPA_ENTROPY].data)[at] = q->sum == 0 ? 0 : log_sum - moment * factor * (float)LN_2;
  for (int64_t i = 0; i < z->s; i += FV_W) fv_vstore(p + i, fv_vload(p + i) * fv_vsplat(factor));
  if (w->a->topk > 0) weigh_best(w, c, q);
  float *totals = w->a->totals ? (float *)c->out[FV_SDPA_TOTALS].data + (q->b * z->h + q->h) * z->s : NULL;
  for (int64_t i = 0; totals && i < z->s; i++) totals[i] = q->t == 0 ? p[i] : totals[i] + p[i];
  for (int64_t i = 0; i < z->rows; i++)
    if (w->rows[2 * i] == q->h && w->rows[2 * i + 1] == q->t)
      memcpy((float *)c->out[FV_SDPA_ROWS_OUT].data + (q->b * z->rows + i) * z->s, p, (size_t)z->s * sizeof(float));
}

/* ---- the mean of the values -------------------------------------------------------------------------------------- */
static void add_values(const view *w, int64_t b, int64_t group, int64_t first, int64_t key, int64_t n, work *s) {
  const int64_t width = w->z.dv, padded = fv_round_up(width, FV_W), step = w->z.g * width;
  const float *v = w->v + ((b * w->z.s + key) * w->z.g + group) * width;
  float room[BLOCK * 2 * FV_W]; /* columns of less than a vector */
  fv_panel p = {
      .n = n, .a = s->p + first * s->step + key, .a_row = s->step, .a_step = 1, .c_row = padded, .start = FV_PANEL_ADD};
  fetch(v + n * step, step, FV_MIN(w->z.s - key - n, BLOCK), width);
  for (int64_t i = 0; i < width;) {
    int vecs = width - i >= 2 * FV_W ? 2 : 1;
    p.b = v + i, p.b_step = step;
    p.c = s->sums + first * padded + i;
    if (width - i < FV_W) {
      for (int64_t r = 0; r < n; r++) fv_vstore(room + r * FV_W, fv_vload_n(v + r * step + i, width - i));
      p.b = room, p.b_step = FV_W;
    }
    fv_panel_run(&p, vecs, s->rows);
    i += vecs * FV_W;
  }
}

/* ---- units ------------------------------------------------------------------------------------------------------- */
static void run_groups(const view *w, const fv_call *c, int64_t b, int64_t group, int64_t n, work *s) {
  const fv_sdpa_size *z = &w->z;
  const int64_t padded = fv_round_up(z->dv, FV_W), rows = n * s->rows;
  load_queries(w, b, group, rows, s);
  for (int64_t key = 0; key < z->s; key += FV_W)
    for (int64_t g = 0; g < n; g++) score_keys(w, b, group + g, g * s->rows, key, s);
  for (int64_t r = 0; r < rows; r++) {
    row q = row_at(w, b, group, r);
    give_row(w, c, &q, s->p + r * s->step);
  }
  memset(s->sums, 0, (size_t)(rows * padded) * sizeof(float));
  for (int64_t key = 0; key < z->s; key += BLOCK)
    for (int64_t g = 0; g < n; g++) add_values(w, b, group + g, g * s->rows, key, FV_MIN(z->s - key, BLOCK), s);
  for (int64_t r = 0; r < rows; r++) {
    row q = row_at(w, b, group, r);
    memcpy((float *)c->out[FV_SDPA_Y].data + ((b * z->t + q.t) * z->h + q.h) * z->dv, s->sums + r * padded,
           (size_t)z->dv * sizeof(float));
  }
}

static bool can(const fv_node *n) {
  fv_sdpa_size z = fv_sdpa_size_of(n);
  return sdpa_can(n) && z.t >= 1 && z.t <= MOST_QUERIES && z.s > 0 && ((const fv_sdpa_attrs *)n->attrs)->p == 0;
}

static int64_t units(const fv_node *n) {
  fv_sdpa_size z = fv_sdpa_size_of(n);
  return z.b * fv_ceil_div(z.g, groups_together(&z));
}

static int64_t scratch(const fv_node *n) {
  view w = {.a = n->attrs, .z = fv_sdpa_size_of(n)};
  deal d = {0};
  (void)work_of(&w, &d);
  return d.used;
}

static void run(const fv_call *c) {
  view w = view_of(c);
  work s = work_of(&w, &(deal){.base = c->scratch});
  const int64_t pieces = fv_ceil_div(w.z.g, s.groups);
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t b = u / pieces, group = u % pieces * s.groups;
    if (w.rows && group == 0) give_missing(&w, c, b);
    run_groups(&w, c, b, group, FV_MIN(s.groups, w.z.g - group), &s);
  }
}

const fv_kernel FV_KERNELS(sdpa_few)[] = {{.op = "sdpa",
                                           .name = "few",
                                           .isa = FV_ISA_LEVEL,
                                           .priority = 20,
                                           .can = can,
                                           .scratch = scratch,
                                           .units = units,
                                           .run = run},
                                          {0}};
