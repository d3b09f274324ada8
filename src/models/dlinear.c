/* SPDX-License-Identifier: Apache-2.0 */
/* dlinear: a moving average and what is left of the series beside it, each mapped to the future by one matrix that all
 * channels share. Zeng, Chen, Zhang, Xu: Are Transformers effective for time series forecasting? AAAI 2023. */
#include "models/forecast.h"

#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/pool.h"
#include "ops/slice.h"

/* The row `at`, `times` over. */
static fv_value *repeated(fv_graph *g, fv_value *x, int64_t at, int64_t times) {
  return fv_repeat(g, fv_slice_of(g, x, 1, at, 1), FV_SHAPE(fv_dim(x, 0), times, fv_dim(x, 2)));
}

/* Beyond its ends the series is as its first and last row. */
static fv_value *moving_average(fv_graph *g, fv_value *x, int64_t window) {
  const int64_t n = fv_dim(x, 0), rows = fv_dim(x, 1), c = fv_dim(x, 2), side = window / 2;
  if (side == 0) return x;
  const fv_avg_pool2d_attrs pool = {.kernel = {2, {1, window}}, .stride = {2, {1, 1}}};
  fv_value *longer = fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, repeated(g, x, 0, side), x,
                           repeated(g, x, rows - 1, side));
  longer = fv_reshape(g, longer, FV_SHAPE(n, 1, rows + 2 * side, c));
  return fv_reshape(g, fv_op(g, "avg_pool2d", &pool, longer), FV_SHAPE(n, rows, c));
}

fv_value *fv_dlinear(fv_graph *g, const fv_forecast_settings *s, const fv_problem *task, fv_value *past) {
  const fv_shape channels_first = FV_SHAPE(0, 2, 1);
  fv_value *trend = moving_average(g, past, s->window), *season = fv_op(g, "sub", NULL, past, trend);
  fv_value *y = fv_add(g, fv_linear(g, fv_permute(g, season, channels_first), task->horizon, .name = "seasonal"),
                       fv_linear(g, fv_permute(g, trend, channels_first), task->horizon, .name = "trend"));
  return fv_permute(g, y, channels_first);
}
