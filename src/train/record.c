/* SPDX-License-Identifier: Apache-2.0 */
/* record.c: what a run leaves to look at. metrics.jsonl, a line an epoch; the same numbers for TensorBoard; curves.png.
 * A resumed run drops the lines past its checkpoint, so that nothing is there twice. */
#include "train/trainer.h"

static const char EVENTS[] = "events.out.tfevents.fovea";

/* The lines whose step is at most `step`. */
static size_t kept_bytes(const char *text, size_t n, int64_t step) {
  size_t kept = 0;
  for (size_t at = 0; at < n;) {
    const char *end = memchr(text + at, '\n', n - at);
    json_t *line = NULL;
    if (!end || fv_json_parse(text + at, (size_t)(end - text) - at, "metrics.jsonl", 1 << 20, &line) != FV_OK) break;
    bool keep = json_integer_value(json_object_get(line, "step")) <= step;
    json_decref(line);
    if (!keep) break;
    at = kept = (size_t)(end - text) + 1;
  }
  return kept;
}

fv_status fv_record_open(fv_trainer *t) {
  char path[FV_RUN_PATH], events[FV_RUN_PATH];
  uint8_t *old = NULL;
  size_t n = 0;
  FV_TRY(fv_trainer_path(t, "metrics.jsonl", path));
  FV_TRY(fv_trainer_path(t, EVENTS, events));
  if (fv_path_exists(path)) FV_TRY(fv_file_read(path, (size_t)1 << 30, &old, &n));
  t->history = (char *)old;
  t->history_bytes = old ? kept_bytes((char *)old, n, t->at.step) : 0;
  FV_TRY(fv_file_write(path, old ? (char *)old : "", t->history_bytes));
  return fv_events_open(events, t->at.step, fv_wall_seconds(), &t->events);
}

fv_status fv_record_flush(fv_trainer *t) {
  char path[FV_RUN_PATH];
  FV_TRY(fv_trainer_path(t, "metrics.jsonl", path));
  FV_TRY(fv_file_write(path, t->history ? t->history : "", t->history_bytes));
  t->flushed = fv_seconds();
  return FV_OK;
}

/* The file is written whole each time: epochs that take a moment share one writing. */
static fv_status append_line(fv_trainer *t, const fv_text *line) {
  char *more = fv_realloc(t->history, t->history_bytes + line->n + 1);
  FV_REQUIRE(more && !line->failed, FV_ERR_MEMORY, "metrics: out of memory");
  memcpy(more + t->history_bytes, line->s, line->n);
  t->history = more;
  t->history_bytes += line->n;
  more[t->history_bytes++] = '\n';
  return fv_seconds() - t->flushed > 1 ? fv_record_flush(t) : FV_OK;
}

fv_status fv_record_epoch(fv_trainer *t, double rate, double loss, double metric, const fv_scores *validation) {
  const char *name = t->m->recipe->metric;
  char tag[96];
  fv_json j = {0};
  fv_json_begin(&j, NULL, '{');
  fv_json_int(&j, "epoch", fv_ceil_div(t->at.step, t->steps_an_epoch));
  fv_json_int(&j, "step", t->at.step);
  fv_json_real(&j, "rate", rate);
  fv_json_real(&j, "loss", loss);
  fv_json_real(&j, name, metric);
  if (validation) {
    fv_json_real(&j, "validation_loss", validation->loss);
    snprintf(tag, sizeof tag, "validation_%s", name);
    fv_json_real(&j, tag, validation->metric);
  }
  fv_json_end(&j, '}');
  fv_status status = append_line(t, &j.text);
  fv_json_free(&j);
  FV_TRY(status);
  double now = fv_wall_seconds();
  FV_TRY(fv_events_scalar(t->events, "train/loss", t->at.step, now, (float)loss));
  snprintf(tag, sizeof tag, "train/%s", name);
  FV_TRY(fv_events_scalar(t->events, tag, t->at.step, now, (float)metric));
  FV_TRY(fv_events_scalar(t->events, "train/rate", t->at.step, now, (float)rate));
  if (!validation) return FV_OK;
  FV_TRY(fv_events_scalar(t->events, "validation/loss", t->at.step, now, (float)validation->loss));
  snprintf(tag, sizeof tag, "validation/%s", name);
  return fv_events_scalar(t->events, tag, t->at.step, now, (float)validation->metric);
}

/* ---- curves ------------------------------------------------------------------------------------------------------ */
enum { CURVES = 4 };

static int64_t read_curves(const fv_trainer *t, double *epoch, double *y[CURVES], int64_t most) {
  char last[96];
  snprintf(last, sizeof last, "validation_%s", t->m->recipe->metric);
  const char *keys[CURVES] = {"loss", "validation_loss", t->m->recipe->metric, last};
  int64_t n = 0;
  for (size_t at = 0; at < t->history_bytes && n < most; n++) {
    const char *end = memchr(t->history + at, '\n', t->history_bytes - at);
    json_t *line = NULL;
    if (!end ||
        fv_json_parse(t->history + at, (size_t)(end - t->history) - at, "metrics.jsonl", 1 << 20, &line) != FV_OK)
      break;
    epoch[n] = json_number_value(json_object_get(line, "epoch"));
    for (int c = 0; c < CURVES; c++) {
      const json_t *v = json_object_get(line, keys[c]);
      y[c][n] = json_is_number(v) ? json_number_value(v) : __builtin_nan("");
    }
    json_decref(line);
    at = (size_t)(end - t->history) + 1;
  }
  return n;
}

static fv_status draw_curves(const fv_trainer *t, double *store, int64_t most) {
  char path[FV_RUN_PATH];
  FV_TRY(fv_trainer_path(t, "curves.png", path));
  double *y[CURVES];
  for (int c = 0; c < CURVES; c++) y[c] = store + (c + 1) * most;
  int64_t n = read_curves(t, store, y, most);
  bool validated = t->n_validation > 0, markers = n < 40;
  fv_series series[CURVES];
  for (int c = 0; c < CURVES; c++)
    series[c] = (fv_series){
        .name = c % 2 ? "validation" : "training", .x = store, .y = y[c], .n = n, .dashed = c % 2, .markers = markers};
  int shown = validated ? 2 : 1;
  fv_panel panels[] = {{.title = "Loss", .x_label = "epoch", .series = series, .n_series = shown},
                       {.title = t->m->recipe->metric, .x_label = "epoch", .series = series + 2, .n_series = shown}};
  char title[256];
  snprintf(title, sizeof title, "%s on %s", t->m->recipe->info.name, t->data->name);
  fv_figure figure = {.title = title, .panels = panels, .n_panels = 2};
  return fv_figure_write_png(path, &figure);
}

fv_status fv_record_close(fv_trainer *t) {
  fv_events *events = t->events;
  FV_TRY(fv_record_flush(t));
  t->events = NULL;
  FV_TRY(fv_events_close(events));
  int64_t lines = 1;
  for (size_t i = 0; i < t->history_bytes; i++) lines += t->history[i] == '\n';
  double *store;
  FV_TRY(FV_NEW(&store, lines * (CURVES + 1)));
  fv_status status = draw_curves(t, store, lines);
  fv_free(store);
  if (status == FV_ERR_NOTFOUND && t->rq->report) { /* no cairo here: the numbers are all in metrics.jsonl */
    t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = fv_error_message()});
    return FV_OK;
  }
  return status;
}
