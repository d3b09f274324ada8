/* SPDX-License-Identifier: Apache-2.0 */
/* explain_series.c: windows of a series as a lens sees them. The forecast is run three times: of a flat past, of the
 * past as it is, and once more with the way from the first to the second as the direction whose slope is wanted. */
#include "train/explain.h"

static int64_t past_size(const fv_model *m) { return m->task.past * m->task.channels; }
static int64_t future_size(const fv_model *m) { return m->task.horizon * m->task.channels; }

static fv_status make_room(const fv_model *m, fv_sights *s) {
  FV_TRY(FV_NEW(&s->past, s->n * past_size(m)));
  FV_TRY(FV_NEW(&s->future, s->n * future_size(m)));
  FV_TRY(FV_NEW(&s->forecast, s->n * future_size(m)));
  return FV_NEW(&s->channels, s->n * past_size(m));
}

fv_status fv_windows_of_samples(const fv_model *m, const fv_dataset *d, const int64_t *index, fv_sights *s) {
  FV_TRY(make_room(m, s));
  for (int64_t i = 0; i < s->n; i++) {
    void *out[FV_MAX_FIELDS] = {NULL};
    out[fv_dataset_field(d, "past")] = s->past + i * past_size(m);
    out[fv_dataset_field(d, "future")] = s->future + i * future_size(m);
    d->read(d, FV_SPLIT_TEST, index[i], 0, out);
    s->v[i].index = index[i];
  }
  return FV_OK;
}

void fv_window_means(const fv_model *m, const float *past, float *mean) {
  const int64_t channels = m->task.channels;
  for (int64_t c = 0; c < channels; c++) {
    double sum = 0;
    for (int64_t t = 0; t < m->task.past; t++) sum += (double)past[t * channels + c];
    mean[c] = (float)(sum / (double)m->task.past);
  }
}

double fv_window_distance(const fv_model *m, const float *a, const float *b) {
  const int64_t channels = m->task.channels;
  double sum = 0;
  for (int64_t i = channels - 1; i < future_size(m); i += channels) {
    const double apart = (double)a[i] - (double)b[i];
    sum += apart * apart;
  }
  return sum / (double)m->task.horizon;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
/* The past less its mean, a flat past, the direction. */
int64_t fv_window_room(const fv_model *m) { return 2 * past_size(m) + future_size(m); }

static const float *run(fv_exec *exec, const float *past, const float *toward) {
  fv_exec_bind_input(exec, fv_exec_input(exec, "past"), past);
  fv_exec_bind_input(exec, fv_exec_input(exec, "toward"), toward);
  fv_exec_run(exec);
  return fv_exec_output(exec, "forecast")->data;
}

static void flatten(const fv_model *m, const float *past, float *rest, float *flat) {
  const int64_t channels = m->task.channels;
  fv_window_means(m, past, flat);
  for (int64_t i = 0; i < past_size(m); i++) {
    flat[i] = flat[i % channels];
    rest[i] = past[i] - flat[i];
  }
}

static void read_channels(const fv_lens *lens, const fv_exec *exec, fv_sights *s, int64_t i) {
  const int64_t size = past_size(lens->m);
  for (int k = 0; k < lens->n_taps; k++)
    if (!strcmp(lens->tap[k].kind, FV_TAP_CHANNELS))
      memcpy(s->channels + i * size, fv_exec_output(exec, lens->tap[k].name)->data, (size_t)size * sizeof(float));
}

void fv_window_run(const fv_lens *lens, fv_exec *exec, fv_sights *s, int64_t i, float *room) {
  const fv_model *m = lens->m;
  const int64_t channels = m->task.channels, size = future_size(m);
  const float *past = s->past + i * past_size(m);
  float *flat = room + past_size(m), *toward = flat + past_size(m), *forecast = s->forecast + i * size;
  flatten(m, past, room, flat);
  memcpy(toward, run(exec, flat, toward), (size_t)size * sizeof *toward);
  memcpy(forecast, run(exec, past, toward), (size_t)size * sizeof *forecast);
  for (int64_t k = 0; k < size; k++) toward[k] = k % channels == channels - 1 ? forecast[k] - toward[k] : 0;
  run(exec, past, toward);
  read_channels(lens, exec, s, i);
}
