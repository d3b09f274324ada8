/* SPDX-License-Identifier: Apache-2.0 */
/* series.c: what a model of series says of one window, in the data's own units; and rows in these units. */
#include "train/train.h"

#include <math.h>

typedef struct window {
  fv_model *m;
  const char *input;
  fv_dataset *data;
  int64_t index;
  bool known;                     /* its future is there */
  float *past, *future, *forecast; /* [L,C], [H,C], [H,C], standardised */
} window;

/* ---- a window ---------------------------------------------------------------------------------------------------- */
static fv_status open_input(window *w, const char *input) {
  fv_model *m = w->m;
  w->known = fv_is_test_sample(input);
  if (!w->known) return fv_dataset_of_series(input, &m->reading, &w->data);
  FV_TRY(fv_model_open_data(m, NULL, &w->data));
  return fv_test_sample(input, w->data, &w->index);
}

static fv_status open_window(fv_model *m, const char *input, window *w) {
  const int64_t past = m->task.past * m->task.channels, future = m->task.horizon * m->task.channels;
  *w = (window){.m = m, .input = input};
  FV_TRY(open_input(w, input));
  FV_TRY(FV_NEW(&w->past, past));
  FV_TRY(FV_NEW(&w->future, future));
  FV_TRY(FV_NEW(&w->forecast, future));
  w->data->read(w->data, FV_SPLIT_TEST, w->index, 0,
                (void *[FV_MAX_FIELDS]){[0] = w->past, [1] = w->future, [FV_MAX_FIELDS - 1] = NULL});
  return fv_model_classify(m, w->data, FV_SPLIT_TEST, &w->index, 1, w->forecast, NULL);
}

static void close_window(window *w) {
  fv_dataset_close(w->data);
  fv_free(w->past);
  fv_free(w->future);
  fv_free(w->forecast);
}

/* ---- rows in their own units ------------------------------------------------------------------------------------- */
double fv_series_value(const fv_channels *c, const float *rows, int64_t t, int64_t k) {
  return (double)rows[t * c->n + k] * c->deviation[k] + c->mean[k];
}

void fv_series_json(fv_json *j, const char *key, const fv_channels *c, const float *rows, int64_t n, int64_t k) {
  fv_json_begin(j, key, '[');
  for (int64_t t = 0; t < n; t++) fv_json_float(j, NULL, (float)fv_series_value(c, rows, t, k));
  fv_json_end(j, ']');
}

double fv_series_error(const fv_problem *task, const float *forecast, const float *future) {
  const int64_t n = task->horizon * task->channels;
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += pow((double)forecast[i] - (double)future[i], 2);
  return sum / (double)n;
}

/* ---- predict ----------------------------------------------------------------------------------------------------- */
static void put_forecast(fv_json *j, const window *w) {
  const fv_problem *task = &w->m->task;
  const fv_channels *c = w->m->reading.channels;
  fv_json_begin(j, NULL, '{');
  fv_json_int(j, "horizon", task->horizon);
  if (w->known) fv_json_real(j, "mse", fv_series_error(task, w->forecast, w->future));
  fv_json_begin(j, "forecast", '[');
  for (int64_t k = 0; k < task->channels; k++) {
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "channel", c->name[k]);
    fv_series_json(j, "values", c, w->forecast, task->horizon, k);
    if (w->known) fv_series_json(j, "truth", c, w->future, task->horizon, k);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

fv_status fv_series_predict(fv_model *m, const char *input, char **json) {
  window w;
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(open_window(m, input, &w));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "input", input);
  fv_json_begin(&j, "predictions", '[');
  put_forecast(&j, &w);
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
done:
  close_window(&w);
  return fv_json_give(&j, status, "predict", json);
}
