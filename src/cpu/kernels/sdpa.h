/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa.h: what the kernels of sdpa and its gradient share: the call, scratch memory, how scores are written down.
 * Scores are kept in units of log 2: log2(e) goes into the queries' scale. */
#ifndef FV_CPU_KERNELS_SDPA_H
#define FV_CPU_KERNELS_SDPA_H

#include "cpu/panel.h"
#include "cpu/transpose.h"
#include "cpu/vmath.h"
#include "ops/dropout.h"
#include "ops/sdpa.h"

#define LOG2_E 1.44269504088896341
#define LN_2 0.69314718055994531
#define HIDDEN -1e30f /* a score that is none */
#define LOWEST -1e29f /* below all that are */

/* ---- the call ---------------------------------------------------------------------------------------------------- */
typedef struct view {
  const fv_sdpa_attrs *a;
  fv_sdpa_size z;
  const float *q, *k, *v, *bias, *slopes;
  const uint8_t *mask;
  const int32_t *rows;
  uint64_t seed, stream, threshold; /* dropout */
  float keep_scale;                 /* what dropout makes of a weight of 1 */
} view;

static inline const void *given(const fv_call *c, int i) { return c->n_in > i ? c->in[i].data : NULL; }

static inline view view_of(const fv_call *c) {
  view w = {.a = c->attrs,
            .z = fv_sdpa_size_of(c->node),
            .q = c->in[FV_SDPA_Q].data,
            .k = c->in[FV_SDPA_K].data,
            .v = c->in[FV_SDPA_V].data,
            .bias = given(c, FV_SDPA_BIAS),
            .slopes = given(c, FV_SDPA_SLOPES),
            .mask = given(c, FV_SDPA_MASK),
            .rows = given(c, FV_SDPA_ROWS),
            .keep_scale = 1};
  if (w.a->p > 0) {
    int32_t rng[4];
    memcpy(rng, c->in[FV_SDPA_RNG].data, sizeof rng);
    w.seed = fv_dropout_seed(rng);
    w.stream = fv_dropout_stream(w.a->stream, rng);
    w.threshold = fv_dropout_threshold(w.a->p);
    w.keep_scale = w.a->p < 1 ? (float)(1 / (1 - w.a->p)) : 0;
  }
  return w;
}

/* Scratch memory is dealt out in order; with base NULL that only counts. */
typedef struct deal {
  char *base;
  int64_t used;
} deal;
static inline void *take(deal *d, int64_t count, size_t size) {
  void *p = d->base ? d->base + d->used : NULL;
  d->used += fv_round_up(count * (int64_t)size, FV_ALIGN);
  return p;
}
static inline float *take_floats(deal *d, int64_t count) { return take(d, count, sizeof(float)); }

static inline bool sdpa_can(const fv_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]->dtype == FV_F64) return false;
  return true;
}

/* Rows that were asked of queries that there are not: NaN, since a run cannot refuse. */
static inline void give_missing(const view *w, const fv_call *c, int64_t b) {
  for (int64_t i = 0; i < w->z.rows; i++)
    if (w->rows[2 * i] < 0 || w->rows[2 * i] >= w->z.h || w->rows[2 * i + 1] < 0 || w->rows[2 * i + 1] >= w->z.t)
      for (int64_t s = 0; s < w->z.s; s++)
        ((float *)c->out[FV_SDPA_ROWS_OUT].data)[(b * w->z.rows + i) * w->z.s + s] = NAN;
}

#endif
