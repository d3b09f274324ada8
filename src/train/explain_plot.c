/* SPDX-License-Identifier: Apache-2.0 */
/* explain_plot.c: a forecast and which rows of the past it followed from, in the data's own units: curves below each
 * other, numbers, a line of shades in the terminal. Rows are counted from the last one known, which is 0. */
#include "train/explain.h"

static const float *map_of(const fv_explained *e, int view) { return e->shown->map[view]; }

static const fv_channels *channels_of(const fv_explained *e) { return e->lens->m->reading.channels; }

/* Whether the network says anything of channels. */
static bool weighs_channels(const fv_lens *lens) {
  for (int k = 0; k < lens->n_taps; k++)
    if (!strcmp(lens->tap[k].kind, FV_TAP_CHANNELS)) return true;
  return false;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */
static void put_numbers(fv_json *j, const char *key, const float *v, int64_t n) {
  fv_json_begin(j, key, '[');
  for (int64_t i = 0; i < n; i++) fv_json_float(j, NULL, v[i]);
  fv_json_end(j, ']');
}

static void put_channels(const fv_explained *e, fv_json *j) {
  const fv_channels *c = channels_of(e);
  fv_json_begin(j, "channels", '[');
  for (int64_t k = 0; k < c->n; k++) fv_json_text(j, NULL, c->name[k]);
  fv_json_end(j, ']');
  fv_json_begin(j, "rows_channels", '[');
  for (int64_t t = 0; t < e->lens->m->task.past; t++) put_numbers(j, NULL, e->shown->channels + t * c->n, c->n);
  fv_json_end(j, ']');
}

void fv_explain_plot_json(const fv_explained *e, fv_json *j) {
  const fv_problem *task = &e->lens->m->task;
  const fv_channels *c = channels_of(e);
  const fv_sights *s = e->shown;
  fv_json_text(j, "input", e->input);
  fv_json_text(j, "channel", c->name[c->n - 1]);
  fv_json_int(j, "past_rows", task->past);
  fv_json_int(j, "horizon", task->horizon);
  fv_json_int(j, "peak", fv_map_peak(map_of(e, e->view), task->past) - task->past + 1);
  if (s->known) fv_json_real(j, "mse", fv_series_error(task, s->forecast, s->future));
  fv_series_json(j, "past", c, s->past, task->past, c->n - 1);
  fv_series_json(j, "forecast", c, s->forecast, task->horizon, c->n - 1);
  if (s->known) fv_series_json(j, "truth", c, s->future, task->horizon, c->n - 1);
  put_numbers(j, "rows", map_of(e, e->view), task->past);
  if (weighs_channels(e->lens)) put_channels(e, j);
}

/* ---- curves ------------------------------------------------------------------------------------------------------ */
typedef struct drawing {
  double *store;
  fv_series *line;
  int64_t at;
} drawing;

/* A line of n rows from `first` on; its heights are to be filled. */
static double *add_line(drawing *d, int i, const char *name, int64_t first, int64_t n, bool dashed) {
  double *x = d->store + d->at, *y = x + n;
  for (int64_t t = 0; t < n; t++) x[t] = (double)(first + t);
  d->line[i] = (fv_series){.name = name, .x = x, .y = y, .n = n, .dashed = dashed};
  d->at += 2 * n;
  return y;
}

static void add_values(const fv_explained *e, drawing *d, int i, const char *name, int64_t first, const float *rows,
                       int64_t n, bool dashed) {
  double *y = add_line(d, i, name, first, n, dashed);
  for (int64_t t = 0; t < n; t++) y[t] = fv_series_value(channels_of(e), rows, t, channels_of(e)->n - 1);
}

enum { VALUES = 3, MOST_CHANNELS = 8 };

static void add_lines(const fv_explained *e, drawing *d) {
  const fv_problem *task = &e->lens->m->task;
  const fv_sights *s = e->shown;
  const int64_t first = 1 - task->past;
  add_values(e, d, 0, "past", first, s->past, task->past, false);
  add_values(e, d, 1, "forecast", 1, s->forecast, task->horizon, false);
  if (s->known) add_values(e, d, 2, "what came", 1, s->future, task->horizon, true);
  double *y = add_line(d, VALUES, NULL, first, task->past, false);
  for (int64_t t = 0; t < task->past; t++) y[t] = (double)map_of(e, e->view)[t];
  for (int k = 0; k < FV_MIN(task->channels, MOST_CHANNELS); k++) {
    y = add_line(d, VALUES + 1 + k, channels_of(e)->name[k], first, task->past, false);
    for (int64_t t = 0; t < task->past; t++) y[t] = (double)s->channels[t * task->channels + k];
  }
}

static void title_of(const fv_explained *e, char *text, size_t size) {
  const fv_faith *f = e->faith;
  const char *name = e->lens->view[e->view].method->name;
  const int n = snprintf(text, size, "Rows that counted, by %s", name), random = FV_EXPLAIN_METHODS;
  if (!f) return;
  snprintf(text + n, size - (size_t)n, ": comprehensiveness %.3f (random %.3f), sufficiency %.3f (random %.3f)",
           f->comprehensiveness[e->view], f->comprehensiveness[random], f->sufficiency[e->view],
           f->sufficiency[random]);
}

static fv_status draw(const fv_explained *e, drawing *d, fv_image *out) {
  const fv_problem *task = &e->lens->m->task;
  const bool channels = weighs_channels(e->lens);
  const double low = (double)(1 - task->past), high = (double)task->horizon;
  char title[256], counted[256];
  add_lines(e, d);
  title_of(e, counted, sizeof counted);
  const fv_panel panels[] = {
      {.title = channels_of(e)->name[task->channels - 1], .series = d->line, .n_series = e->shown->known ? 3 : 2,
       .x_low = low, .x_high = high},
      {.title = counted, .series = d->line + VALUES, .n_series = 1,
       .x_label = channels ? NULL : "rows from the last one known", .x_low = low, .x_high = high},
      {.title = "Attention over channels while reading", .x_label = "rows from the last one known",
       .series = d->line + VALUES + 1, .n_series = (int)FV_MIN(task->channels, MOST_CHANNELS), .x_low = low,
       .x_high = high}};
  const int n = channels ? 3 : 2;
  snprintf(title, sizeof title, "%s: %s", e->lens->m->recipe->info.name, e->input);
  return fv_figure_draw(&(fv_figure){.title = title, .panels = panels, .n_panels = n, .stacked = true, .width = 860,
                                     .height = 40 + 230 * n}, out);
}

fv_status fv_explain_plot(const fv_explained *e, fv_image *out) {
  const fv_problem *task = &e->lens->m->task;
  drawing d = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&d.store, 2 * ((2 + MOST_CHANNELS) * task->past + 2 * task->horizon)));
  FV_TRY_DONE(FV_NEW(&d.line, VALUES + 1 + MOST_CHANNELS));
  FV_TRY_DONE(draw(e, &d, out));
done:
  fv_free(d.store);
  fv_free(d.line);
  return status;
}

/* By segments, as faithfulness takes them: a single row is narrower than a column. */
fv_status fv_explain_plot_terminal(const fv_explained *e, int columns, fv_text *out) {
  const int rows = (int)e->lens->m->task.past, n = FV_MIN(rows, FV_EXPLAIN_STEPS);
  fv_ranked rank[FV_EXPLAIN_STEPS];
  float segment[FV_EXPLAIN_STEPS];
  fv_faith_order(map_of(e, e->view), 1, rows, 1, n, rank);
  for (int k = 0; k < n; k++) segment[rank[k].cell] = (float)(rank[k].sum / rank[k].n);
  fv_text_printf(out, "%s, %s over the last %d rows\n", e->input, e->lens->view[e->view].method->name, rows);
  return fv_term_heatmap(segment, 1, n, FV_COLORMAP_IRIS, FV_MIN(columns > 0 ? columns : 80, rows), fv_term_detect(1),
                         out);
}
