/* SPDX-License-Identifier: Apache-2.0 */
/* explain_map.c: the methods, each a row: from attention weights and gradients to one number a place.
 * Yang et al. 2016 (pooling), Woo et al. 2018 (spatial), Abnar & Zuidema 2020 (rollout), Chefer et al. 2021 (gradient
 * times attention), Simonyan et al. 2014 (input gradient; of texts and series times the input: Denil et al. 2014). */
#include "train/explain.h"

#include <math.h>
#include <stdlib.h>

/* ---- maps ------------------------------------------------------------------------------------------------------ */
bool fv_map_grid(int64_t cells, int64_t image_h, int64_t image_w, int *h, int *w) {
  double best = log(1.5), shape = log((double)image_h / (double)image_w); /* maps of odd sizes are rounded up or down */
  bool found = false;
  for (int64_t y = 1; y <= cells; y++) {
    double off = cells % y ? INFINITY : fabs(log((double)y / (double)(cells / y)) - shape);
    if (!(off < best)) continue;
    best = off;
    found = true;
    *h = (int)y, *w = (int)(cells / y);
  }
  return found;
}

static double cell(const float *map, int h, int w, int y, int x) {
  return (double)map[(int64_t)FV_MIN(FV_MAX(y, 0), h - 1) * w + FV_MIN(FV_MAX(x, 0), w - 1)];
}

void fv_map_enlarge(const float *map, int h, int w, int out_h, int out_w, float *out) {
  for (int r = 0; r < out_h; r++)
    for (int c = 0; c < out_w; c++) {
      double y = (r + 0.5) / out_h * h - 0.5, x = (c + 0.5) / out_w * w - 0.5;
      int iy = (int)floor(y), ix = (int)floor(x);
      double ty = y - iy, tx = x - ix;
      double top = cell(map, h, w, iy, ix) * (1 - tx) + cell(map, h, w, iy, ix + 1) * tx;
      double low = cell(map, h, w, iy + 1, ix) * (1 - tx) + cell(map, h, w, iy + 1, ix + 1) * tx;
      out[(int64_t)r * out_w + c] = (float)(top * (1 - ty) + low * ty);
    }
}

int64_t fv_map_peak(const float *v, int64_t n) {
  int64_t best = -1;
  for (int64_t i = 0; i < n; i++)
    if (isfinite(v[i]) && (best < 0 || v[i] > v[best])) best = i;
  return FV_MAX(best, 0);
}

static _Thread_local const float *ordered; /* of the call of qsort */
static int falling(const void *a, const void *b) {
  const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  if (ordered[x] != ordered[y]) return ordered[x] < ordered[y] ? 1 : -1;
  return x < y ? -1 : 1;
}

void fv_order_falling(const float *v, int64_t n, int32_t *order) {
  for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
  ordered = v;
  qsort(order, (size_t)n, sizeof *order, falling);
}

bool fv_box_holds(const float box[4], int64_t x, int64_t y) {
  double px = (double)x + 0.5, py = (double)y + 0.5;
  return px >= (double)box[0] && px < (double)box[2] && py >= (double)box[1] && py < (double)box[3];
}

/* ---- one number a place in the last layer's attention ---------------------------------------------------------- */
static void last_tap(const fv_explain_taps *t, int64_t cells, float *map) {
  memcpy(map, t->tap[t->n - 1]->data, (size_t)cells * sizeof *map);
}

/* What each place added to the score, where it added: relu(d score / d a * a). */
static void last_tap_gradient(const fv_explain_taps *t, int64_t cells, float *map) {
  const float *a = t->tap[t->n - 1]->data, *d = t->gradient[t->n - 1]->data;
  for (int64_t i = 0; i < cells; i++) map[i] = FV_MAX(a[i] * d[i], 0);
}

/* ---- layers of self-attention -------------------------------------------------------------------------------------
 * Both follow the class token's row v from the last layer down to the first: v <- keep v + share v A, where A is the
 * mean over heads of the weights, or of relu(gradient * weights). Rollout's keep = share = 1/2 stands for the residual
 * path, so that v stays a distribution; Chefer's update R <- R + A R has both 1. */
static void through_layer(const fv_tensor *weights, const fv_tensor *gradient, double keep, double share, double *v,
                          double *next) {
  int64_t heads = weights->shape.dim[1], t = weights->shape.dim[2];
  const float *a = weights->data, *d = gradient ? gradient->data : NULL;
  for (int64_t s = 0; s < t; s++) next[s] = keep * v[s];
  for (int64_t h = 0; h < heads; h++)
    for (int64_t r = 0; r < t; r++) {
      double part = share * v[r] / (double)heads;
      for (int64_t s = 0; s < t; s++) {
        int64_t i = (h * t + r) * t + s;
        next[s] += part * (d ? fmax((double)a[i] * (double)d[i], 0) : (double)a[i]);
      }
    }
  memcpy(v, next, (size_t)t * sizeof *v);
}

static void through_layers(const fv_explain_taps *t, bool gradient, double keep, double share, int64_t cells,
                           float *map) {
  int64_t tokens = t->tap[0]->shape.dim[2];
  double *v = t->scratch, *next = v + tokens;
  memset(v, 0, (size_t)tokens * sizeof *v);
  v[0] = 1;
  for (int l = t->n - 1; l >= 0; l--) through_layer(t->tap[l], gradient ? t->gradient[l] : NULL, keep, share, v, next);
  for (int64_t i = 0; i < cells; i++) map[i] = (float)v[i + 1]; /* behind the class token */
}

/* What the channel explained, the last, or all of them together gave each row. */
static void last_rows(const fv_explain_taps *t, int64_t cells, float *map) {
  const fv_tensor *rows = t->tap[t->n - 1];
  memcpy(map, (const float *)rows->data + (rows->shape.dim[1] - 1) * cells, (size_t)cells * sizeof *map);
}

static void rollout(const fv_explain_taps *t, int64_t cells, float *map) {
  through_layers(t, false, 0.5, 0.5, cells, map);
}
static void relevance(const fv_explain_taps *t, int64_t cells, float *map) {
  through_layers(t, true, 1, 1, cells, map);
}

static void input_gradient(const fv_explain_taps *t, int64_t cells, float *map) {
  const float *d = t->image->data;
  int64_t channels = t->image->shape.dim[3];
  for (int64_t i = 0; i < cells; i++) {
    map[i] = 0;
    for (int64_t c = 0; c < channels; c++) map[i] += fabsf(d[i * channels + c]);
  }
}

/* Of each token |d score / d x * x|, x its vector: how much of the score hangs on what was read there. */
static void token_gradient(const fv_explain_taps *t, int64_t cells, float *map) {
  const float *x = t->tap[0]->data, *d = t->gradient[0]->data;
  const int64_t width = t->tap[0]->shape.dim[2];
  for (int64_t i = 0; i < cells; i++) {
    double sum = 0;
    for (int64_t e = i * width; e < (i + 1) * width; e++) {
      const double part = (double)x[e] * (double)d[e];
      sum += part * part;
    }
    map[i] = (float)sqrt(sum);
  }
}

/* Each row's share of how far the forecast is from that of a flat past; none where the row draws it back. */
static void past_gradient(const fv_explain_taps *t, int64_t cells, float *map) {
  const float *d = t->past->data;
  const int64_t channels = t->past->shape.dim[2];
  double all = 0;
  for (int64_t i = 0; i < cells; i++) {
    double sum = 0;
    for (int64_t c = i * channels; c < (i + 1) * channels; c++) sum += (double)d[c] * (double)t->rows[c];
    map[i] = (float)FV_MAX(sum, 0);
    all += (double)map[i];
  }
  for (int64_t i = 0; i < cells && all > 0; i++) map[i] = (float)((double)map[i] / all);
}

const fv_explain_method fv_explain_methods[] = {
    {"pooling", "how much each word weighed in what was pooled, over all scales or levels", FV_TAP_TOKENS, last_tap},
    {"pooling", "how much each place weighed when the last map was pooled", FV_TAP_POOLING, last_tap},
    {"rollout", "attention followed through all layers from the class token to the patches", FV_TAP_WEIGHTS, rollout},
    {"attention", "how much of the last layer's attention each row of the past got", FV_TAP_ROWS, last_rows},
    {"spatial", "the last spatial gate: which places it let through", FV_TAP_SPATIAL, last_tap},
    {"gradient", "attention of all layers, weighted by what it added to the score", FV_TAP_WEIGHTS, relevance},
    {"gradient", "pooling weights times their effect on the score", FV_TAP_POOLING, last_tap_gradient},
    {"input-gradient", "how strongly the score reacts to each pixel; knows nothing of attention", NULL, input_gradient},
    {"input-gradient", "how strongly the score hangs on each word's vector; knows nothing of attention", FV_TAP_INPUT,
     token_gradient},
    {"input-gradient", "what each row adds to the forecast, by its slope; knows nothing of attention", FV_EXPLAIN_PAST,
     past_gradient},
    {0}};
