/* SPDX-License-Identifier: Apache-2.0 */
/* series.c: what a model of series says of one window, in the data's own units, and which rows of the past it looked
 * at:
 *   attention  weights of the last layer over patches, spread over the rows they cover (patchtst); of the last step
 *              over times, and of each time over channels (darnn)
 *   gradient   how much the mean forecast of the channel shown moves with each row: any network
 * The channel shown is the last one, where tables of series have what is to be forecast. */
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
static fv_status open_input(window *w, const char *input, const char *data) {
  fv_model *m = w->m;
  w->known = !strncmp(input, "test:", 5);
  if (!w->known) return fv_dataset_of_series(input, &m->reading, &w->data);
  const char *name = data ? data : m->data;
  FV_TRY(fv_dataset_open(name, &m->reading, (uint64_t)m->train.seed, &m->ledger, NULL, NULL, &w->data));
  FV_TRY(fv_model_check_data(m, w->data));
  FV_REQUIRE(fv_parse_int(input + 5, &w->index) && w->index >= 0 && w->index < w->data->count[FV_SPLIT_TEST],
             FV_ERR_REQUEST, "%s: expected a number from 0 to %lld", input,
             (long long)w->data->count[FV_SPLIT_TEST] - 1);
  return FV_OK;
}

static fv_status open_window(fv_model *m, const char *input, const char *data, window *w) {
  const int64_t past = m->task.past * m->task.channels, future = m->task.horizon * m->task.channels;
  *w = (window){.m = m, .input = input};
  FV_TRY(open_input(w, input, data));
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

/* Row t of channel k in its own units. */
static double value_of(const window *w, const float *rows, int64_t t, int64_t k) {
  const fv_channels *c = w->m->reading.channels;
  return (double)rows[t * c->n + k] * c->deviation[k] + c->mean[k];
}

static void put_values(fv_json *j, const char *key, const window *w, const float *rows, int64_t n, int64_t k) {
  fv_json_begin(j, key, '[');
  for (int64_t t = 0; t < n; t++) fv_json_float(j, NULL, (float)value_of(w, rows, t, k));
  fv_json_end(j, ']');
}

/* The error of the standardised values, as the metric has it. */
static void put_error(fv_json *j, const window *w) {
  const int64_t n = w->m->task.horizon * w->m->task.channels;
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += pow((double)w->forecast[i] - (double)w->future[i], 2);
  if (w->known) fv_json_real(j, "mse", sum / (double)n);
}

/* ---- predict ----------------------------------------------------------------------------------------------------- */
static void put_forecast(fv_json *j, const window *w) {
  const fv_problem *task = &w->m->task;
  fv_json_begin(j, NULL, '{');
  fv_json_int(j, "horizon", task->horizon);
  put_error(j, w);
  fv_json_begin(j, "forecast", '[');
  for (int64_t k = 0; k < task->channels; k++) {
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "channel", w->m->reading.channels->name[k]);
    put_values(j, "values", w, w->forecast, task->horizon, k);
    if (w->known) put_values(j, "truth", w, w->future, task->horizon, k);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

fv_status fv_series_predict(fv_model *m, const char *input, char **json) {
  window w;
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(open_window(m, input, NULL, &w));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "input", input);
  fv_json_begin(&j, "predictions", '[');
  put_forecast(&j, &w);
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "predict: out of memory");
done:
  close_window(&w);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}

/* ---- where it looked --------------------------------------------------------------------------------------------- */
typedef struct gaze {
  const char *method;
  double *row;     /* [L]: how much a row of the past counts, summing to 1 */
  double *channel; /* [L,C]: of each row its channels; NULL: the network does not say */
} gaze;

static fv_value *named(const fv_named_list *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (!strcmp(list->v[i].name, name)) return list->v[i].value;
  return NULL;
}

/* The last tap of a kind; NULL: there is none. */
static const char *tap_of(const fv_graph *g, const char *kind) {
  const char *name = NULL;
  for (int i = 0; i < g->taps.n; i++)
    if (!strcmp(g->taps.v[i].kind, kind)) name = g->taps.v[i].name;
  return name;
}

static fv_status choose_method(const fv_graph *g, const char *method, gaze *z) {
  const bool attention = tap_of(g, FV_TAP_ROWS);
  const bool known = method && (!strcmp(method, "attention") || !strcmp(method, "gradient"));
  FV_REQUIRE(!method || known, FV_ERR_REQUEST, "explain: method: expected attention or gradient, got '%s'", method);
  FV_REQUIRE(!method || strcmp(method, "attention") || attention, FV_ERR_REQUEST,
             "explain: method: expected gradient for a network without attention, got 'attention'");
  z->method = method ? method : attention ? "attention" : "gradient";
  return FV_OK;
}

static fv_status add_gradient(fv_graph *g) {
  fv_value *past = named(&g->inputs, "past"), *forecast = named(&g->outputs, "forecast"), *slope;
  FV_ASSERT(past && forecast);
  fv_value *last = fv_op_text(g, "slice", "axis=2 start=-1", 1, &forecast);
  FV_TRY(fv_graph_differentiate(g, fv_reduce(g, "mean", last, FV_SHAPE(0, 1, 2), false), false, 1, &past, &slope));
  fv_output(g, "slope", slope);
  return fv_graph_check(g);
}

static void read_attention(const fv_model *m, const fv_graph *g, const fv_exec *exec, gaze *z) {
  const fv_tensor *rows = fv_exec_output(exec, tap_of(g, FV_TAP_ROWS));
  const char *channels = tap_of(g, FV_TAP_CHANNELS);
  const int64_t n = m->task.past;
  for (int64_t t = 0; t < n; t++) z->row[t] = (double)((const float *)rows->data)[(rows->shape.dim[1] - 1) * n + t];
  if (!channels) fv_free(z->channel), z->channel = NULL;
  for (int64_t i = 0; channels && i < n * m->task.channels; i++)
    z->channel[i] = (double)((const float *)fv_exec_output(exec, channels)->data)[i];
}

static void read_gradient(const fv_model *m, const fv_exec *exec, gaze *z) {
  const float *slope = fv_exec_output(exec, "slope")->data;
  const int64_t c = m->task.channels;
  for (int64_t t = 0; t < m->task.past; t++)
    for (int64_t k = 0; k < c; k++) z->row[t] += fabs((double)slope[t * c + k]);
  fv_free(z->channel);
  z->channel = NULL;
}

static fv_status look(window *w, const char *method, gaze *z) {
  fv_model *m = w->m;
  fv_runner r = {0};
  fv_graph *g;
  fv_status status = FV_OK;
  double sum = 0;
  FV_TRY(FV_NEW(&z->row, m->task.past));
  FV_TRY(FV_NEW(&z->channel, m->task.past * m->task.channels));
  FV_TRY(fv_model_graph(m, FV_MODE_PREDICT, 1, true, &g));
  status = choose_method(g, method, z);
  const bool gradient = status == FV_OK && !strcmp(z->method, "gradient");
  if (gradient) status = add_gradient(g);
  if (status != FV_OK) fv_graph_free(g);
  FV_TRY(status);
  FV_TRY_DONE(fv_runner_new(&m->ledger, g, m->slab, 1, 1, &r));
  FV_TRY_DONE(fv_runner_refresh(&r, m->slab, m->pool));
  fv_exec_bind_input(r.exec[0], fv_exec_input(r.exec[0], "past"), w->past);
  fv_exec_run(r.exec[0]);
  if (gradient) read_gradient(m, r.exec[0], z);
  else read_attention(m, g, r.exec[0], z);
  for (int64_t t = 0; t < m->task.past; t++) sum += z->row[t];
  for (int64_t t = 0; t < m->task.past && sum > 0; t++) z->row[t] /= sum;
done:
  fv_runner_free(&r);
  return status;
}

static void free_gaze(gaze *z) {
  fv_free(z->row);
  fv_free(z->channel);
}

/* ---- what is written --------------------------------------------------------------------------------------------- */
static void put_numbers(fv_json *j, const char *key, const double *v, int64_t n) {
  fv_json_begin(j, key, '[');
  for (int64_t i = 0; i < n; i++) fv_json_float(j, NULL, (float)v[i]);
  fv_json_end(j, ']');
}

static void put_gaze(fv_json *j, const window *w, const gaze *z) {
  const fv_problem *task = &w->m->task;
  const int64_t shown = task->channels - 1;
  int64_t peak = 0;
  for (int64_t t = 1; t < task->past; t++)
    if (z->row[t] > z->row[peak]) peak = t;
  fv_json_text(j, "method", z->method);
  fv_json_text(j, "input", w->input);
  fv_json_text(j, "channel", w->m->reading.channels->name[shown]);
  fv_json_int(j, "past_rows", task->past);
  fv_json_int(j, "horizon", task->horizon);
  fv_json_int(j, "peak", peak - task->past + 1);
  put_error(j, w);
  put_values(j, "past", w, w->past, task->past, shown);
  put_values(j, "forecast", w, w->forecast, task->horizon, shown);
  if (w->known) put_values(j, "truth", w, w->future, task->horizon, shown);
  put_numbers(j, "rows", z->row, task->past);
  if (!z->channel) return;
  fv_json_begin(j, "channels", '[');
  for (int64_t k = 0; k < task->channels; k++) fv_json_text(j, NULL, w->m->reading.channels->name[k]);
  fv_json_end(j, ']');
  fv_json_begin(j, "rows_channels", '[');
  for (int64_t t = 0; t < task->past; t++) put_numbers(j, NULL, z->channel + t * task->channels, task->channels);
  fv_json_end(j, ']');
}

/* Lines of a picture: x is the row, 0 the last one known. */
typedef struct drawing {
  double *store;
  fv_series *line;
  int64_t at;
} drawing;

static void add_line(drawing *d, int i, const char *name, int64_t first, int64_t n, bool dashed) {
  double *x = d->store + d->at, *y = x + n;
  for (int64_t t = 0; t < n; t++) x[t] = (double)(first + t);
  d->line[i] = (fv_series){.name = name, .x = x, .y = y, .n = n, .dashed = dashed};
  d->at += 2 * n;
}

static double *points_of(const drawing *d, int i) { return (double *)(uintptr_t)d->line[i].y; }

static void draw_values(const window *w, drawing *d) {
  const fv_problem *task = &w->m->task;
  const int64_t shown = task->channels - 1, first = 1 - task->past;
  add_line(d, 0, "past", first, task->past, false);
  add_line(d, 1, "forecast", 1, task->horizon, false);
  if (w->known) add_line(d, 2, "what came", 1, task->horizon, true);
  for (int64_t t = 0; t < task->past; t++) points_of(d, 0)[t] = value_of(w, w->past, t, shown);
  for (int64_t t = 0; t < task->horizon; t++) {
    points_of(d, 1)[t] = value_of(w, w->forecast, t, shown);
    if (w->known) points_of(d, 2)[t] = value_of(w, w->future, t, shown);
  }
}

static void draw_gaze(const window *w, const gaze *z, drawing *d) {
  const fv_problem *task = &w->m->task;
  add_line(d, 3, NULL, 1 - task->past, task->past, false);
  memcpy(points_of(d, 3), z->row, (size_t)task->past * sizeof(double));
  for (int64_t k = 0; z->channel && k < task->channels; k++) {
    add_line(d, (int)(4 + k), w->m->reading.channels->name[k], 1 - task->past, task->past, false);
    for (int64_t t = 0; t < task->past; t++) points_of(d, (int)(4 + k))[t] = z->channel[t * task->channels + k];
  }
}

static fv_status draw_figure(const window *w, const gaze *z, drawing *d, fv_image *image) {
  const fv_problem *task = &w->m->task;
  const char *channel = w->m->reading.channels->name[task->channels - 1];
  const bool attention = !strcmp(z->method, "attention");
  const double low = (double)(1 - task->past), high = (double)task->horizon;
  draw_values(w, d);
  draw_gaze(w, z, d);
  fv_panel panels[] = {
      {.title = channel, .series = d->line, .n_series = w->known ? 3 : 2, .x_low = low, .x_high = high},
      {.title = attention ? "Attention over the past" : "Gradient over the past", .series = d->line + 3, .n_series = 1,
       .x_label = z->channel ? NULL : "rows from the last one known", .x_low = low, .x_high = high},
      {.title = "Attention over channels while reading", .x_label = "rows from the last one known",
       .series = d->line + 4, .n_series = (int)FV_MIN(task->channels, 8), .x_low = low, .x_high = high}};
  const int n = z->channel ? 3 : 2;
  char title[256];
  snprintf(title, sizeof title, "%s: %s", w->m->recipe->info.name, w->input);
  return fv_figure_draw(&(fv_figure){.title = title, .panels = panels, .n_panels = n, .stacked = true, .width = 860,
                                     .height = 40 + 230 * n}, image);
}

static fv_status draw(const window *w, const gaze *z, fv_image *image) {
  const fv_problem *task = &w->m->task;
  drawing d = {0};
  fv_status status = FV_OK;
  const int64_t lines = 4 + task->channels;
  FV_TRY_DONE(FV_NEW(&d.store, 2 * (task->past + 2 * task->horizon + (1 + task->channels) * task->past)));
  FV_TRY_DONE(FV_NEW(&d.line, lines));
  FV_TRY_DONE(draw_figure(w, z, &d, image));
done:
  fv_free(d.store);
  fv_free(d.line);
  return status;
}

static fv_status write_page(const window *w, const gaze *z, const fv_image *image, const char *path) {
  fv_page p = {0};
  char lead[256];
  snprintf(lead, sizeof lead, "%s: the next %lld rows of %s from the last %lld, by the %s", w->input,
           (long long)w->m->task.horizon, w->m->reading.channels->name[w->m->task.channels - 1],
           (long long)w->m->task.past, z->method);
  fv_page_begin(&p, w->m->recipe->info.name, lead);
  fv_status status = fv_page_image(&p, image, image->w / 2, NULL);
  if (status == FV_OK) status = fv_page_write(&p, path);
  fv_page_free(&p);
  return status;
}

static bool ends(const char *path, const char *end) {
  const size_t n = strlen(path), k = strlen(end);
  return n >= k && !strcmp(path + n - k, end);
}

static fv_status write_out(const window *w, const gaze *z, const fv_json *j, const char *out) {
  fv_image image = {0};
  if (!out) return FV_OK;
  if (ends(out, ".json")) return fv_file_write(out, j->text.s, j->text.n);
  FV_TRY(draw(w, z, &image));
  fv_status status = ends(out, ".png") ? fv_image_write_png(out, &image) : write_page(w, z, &image, out);
  fv_image_free(&image);
  return status;
}

static fv_status check_request(const fv_explain_request *rq) {
  FV_REQUIRE(!rq->faithfulness, FV_ERR_REQUEST, "explain: faithfulness: expected a model of images, got one of series");
  FV_REQUIRE(!rq->out || ends(rq->out, ".png") || ends(rq->out, ".html") || ends(rq->out, ".json"), FV_ERR_REQUEST,
             "explain: out: expected a name that ends in .png, .html or .json, got '%s'", rq->out);
  return FV_OK;
}

fv_status fv_series_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  window w = {0};
  gaze z = {0};
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY(check_request(rq));
  FV_TRY_DONE(open_window(m, rq->input ? rq->input : "test:0", rq->data, &w));
  FV_TRY_DONE(look(&w, rq->method, &z));
  fv_json_begin(&j, NULL, '{');
  put_gaze(&j, &w, &z);
  fv_json_begin(&j, "files", '[');
  if (rq->out) fv_json_text(&j, NULL, rq->out);
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "explain: out of memory");
  FV_TRY_DONE(write_out(&w, &z, &j, rq->out));
done:
  close_window(&w);
  free_gaze(&z);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}
