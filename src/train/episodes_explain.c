/* SPDX-License-Identifier: Apache-2.0 */
/* episodes_explain.c: which pictures of the support set a query's class rests on: by the attention's weights, mean of
 * its layers, or by effect: what the answer's probability loses when the network looks again without that picture. The
 * second says whether the first is so: the loss without the picture of the largest weight, beside that without any one
 * (the mean over all) and without the one that costs most. */
#include "train/explain.h"

#include <math.h>

enum { SAMPLES = 20, QUERIES = 5, SHOWN = 9, NAME = 160, SCALE = 4, MOST_TAPS = 16 };
enum { BY_WEIGHT, BY_EFFECT, BY_CHANCE, ORDERS };
static const char *const orders[ORDERS] = {"attention", "effect", "random"};

typedef struct view {
  fv_model *m;
  const fv_explain_request *rq;
  fv_dataset *data;
  fv_runner whole, less;     /* of all pictures; of all but one */
  const char *tap[MOST_TAPS];
  int n_taps;
  int64_t support, queries, classes, pixels, index;
  float *shown, *asked;      /* the episode: [support,H,W], [queries,H,W] */
  int32_t *label, *truth;    /* of these */
  float *rest;               /* what is left of what was shown */
  int32_t *rest_label;
  float *p, *weight, *effect; /* [queries,classes], [queries,support] twice */
  int32_t *answer;           /* [queries] */
  bool by_effect, effects;    /* they cost a look for each picture: worked out where they are asked for */
} view;

/* ---- looking ----------------------------------------------------------------------------------------------------- */
static fv_status make_runner(view *v, int64_t support, fv_runner *r) {
  fv_model *m = v->m;
  fv_graph *g;
  const int64_t all = m->task.support;
  m->task.support = support;
  const fv_status status = fv_model_graph(m, FV_MODE_PREDICT, 1, true, &g);
  m->task.support = all;
  FV_TRY(status);
  for (int i = v->n_taps = 0; i < g->taps.n && v->n_taps < MOST_TAPS; i++)
    if (!strcmp(g->taps.v[i].kind, FV_TAP_SUPPORT)) v->tap[v->n_taps++] = fv_arena_strdup(m->arena, g->taps.v[i].name);
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, 1, 1, r));
  return fv_runner_refresh(r, m->slab, m->pool);
}

static fv_status view_open(view *v) {
  fv_model *m = v->m;
  v->support = m->task.support;
  v->queries = m->task.asked;
  v->classes = m->task.n_classes;
  v->pixels = fv_shape_count(m->task.glyph);
  FV_TRY(FV_NEW(&v->shown, v->support * v->pixels));
  FV_TRY(FV_NEW(&v->asked, v->queries * v->pixels));
  FV_TRY(FV_NEW(&v->label, v->support));
  FV_TRY(FV_NEW(&v->truth, v->queries));
  FV_TRY(FV_NEW(&v->rest, v->support * v->pixels));
  FV_TRY(FV_NEW(&v->rest_label, v->support));
  FV_TRY(FV_NEW(&v->p, v->queries * v->classes));
  FV_TRY(FV_NEW(&v->weight, v->queries * v->support));
  FV_TRY(FV_NEW(&v->effect, v->queries * v->support));
  FV_TRY(FV_NEW(&v->answer, v->queries));
  if (v->effects) FV_TRY(make_runner(v, v->support - 1, &v->less));
  return make_runner(v, v->support, &v->whole);
}

static void view_close(view *v) {
  void *all[] = {v->shown, v->asked, v->label, v->truth, v->rest, v->rest_label, v->p, v->weight, v->effect, v->answer};
  for (size_t i = 0; i < FV_COUNT(all); i++) fv_free(all[i]);
  fv_runner_free(&v->whole);
  fv_runner_free(&v->less);
  fv_dataset_close(v->data);
}

static void read_episode(view *v, int64_t index) {
  const struct { const char *name; void *to; } part[] = {{"support", v->shown}, {"support_label", v->label},
                                                         {"query", v->asked}, {"label", v->truth}};
  void *out[FV_MAX_FIELDS] = {NULL};
  for (size_t i = 0; i < FV_COUNT(part); i++) {
    const int f = fv_dataset_field(v->data, part[i].name);
    if (f < 0) continue;
    const fv_field *field = &v->data->field[f];
    if (!field->shared) out[f] = part[i].to;
    else memcpy(part[i].to, field->all, (size_t)fv_shape_count(field->shape) * fv_dtype_size(field->dtype));
  }
  v->index = index;
  v->data->read(v->data, FV_SPLIT_TEST, index, 0, out);
}

static const float *ask(view *v, fv_runner *r, const float *shown, const int32_t *label) {
  fv_exec *e = r->exec[0];
  fv_exec_bind_input(e, fv_exec_input(e, "support"), shown);
  fv_exec_bind_input(e, fv_exec_input(e, "support_label"), label);
  fv_exec_bind_input(e, fv_exec_input(e, "query"), v->asked);
  fv_exec_run(e);
  return fv_exec_output(e, "probabilities")->data;
}

static void take_weights(view *v) {
  const int64_t n = v->queries * v->support;
  memset(v->weight, 0, (size_t)n * sizeof *v->weight);
  for (int t = 0; t < v->n_taps; t++) {
    const float *w = fv_exec_output(v->whole.exec[0], v->tap[t])->data;
    for (int64_t i = 0; i < n; i++) v->weight[i] += w[i] / (float)v->n_taps;
  }
}

static void take_effect(view *v, int64_t k) {
  const int64_t after = v->support - 1 - k;
  memcpy(v->rest, v->shown, (size_t)(k * v->pixels) * sizeof *v->rest);
  memcpy(v->rest + k * v->pixels, v->shown + (k + 1) * v->pixels, (size_t)(after * v->pixels) * sizeof *v->rest);
  memcpy(v->rest_label, v->label, (size_t)k * sizeof *v->label);
  memcpy(v->rest_label + k, v->label + k + 1, (size_t)after * sizeof *v->label);
  const float *p = ask(v, &v->less, v->rest, v->rest_label);
  for (int64_t q = 0; q < v->queries; q++) {
    const int64_t at = q * v->classes + v->answer[q];
    v->effect[q * v->support + k] = v->p[at] - p[at];
  }
}

static fv_status look_at(view *v, int64_t index) {
  read_episode(v, index);
  memcpy(v->p, ask(v, &v->whole, v->shown, v->label), (size_t)(v->queries * v->classes) * sizeof *v->p);
  take_weights(v);
  for (int64_t q = 0; q < v->queries; q++) v->answer[q] = (int32_t)fv_map_peak(v->p + q * v->classes, v->classes);
  for (int64_t k = 0; k < v->support && v->effects; k++) {
    take_effect(v, k);
    FV_REQUIRE(!fv_stop_requested(), FV_ERR_STOPPED, "stopped while explaining");
  }
  return FV_OK;
}

/* ---- faithfulness ------------------------------------------------------------------------------------------------ */
typedef struct faith {
  int64_t samples;
  double loss[ORDERS]; /* of the answer's probability without one picture: sums */
} faith;

static void measure_episode(const view *v, faith *f) {
  for (int64_t q = 0; q < v->queries; q++) {
    const float *effect = v->effect + q * v->support, *weight = v->weight + q * v->support;
    double sum = 0;
    for (int64_t k = 0; k < v->support; k++) sum += (double)effect[k];
    f->samples++;
    f->loss[BY_WEIGHT] += (double)effect[fv_map_peak(weight, v->support)];
    f->loss[BY_EFFECT] += (double)effect[fv_map_peak(effect, v->support)];
    f->loss[BY_CHANCE] += sum / (double)v->support;
  }
}

static fv_status measure(view *v, faith *f) {
  const int64_t count = v->data->count[FV_SPLIT_TEST], n = FV_MIN(v->rq->samples ? v->rq->samples : SAMPLES, count);
  for (int64_t i = 0; i < n; i++) {
    FV_TRY(look_at(v, i * count / n));
    measure_episode(v, f);
  }
  return FV_OK;
}

static void put_faith(fv_json *j, const faith *f) {
  fv_json_begin(j, "faithfulness", '{');
  fv_json_int(j, "samples", f->samples);
  for (int k = 0; k < ORDERS; k++) {
    char key[64];
    snprintf(key, sizeof key, "change_%s", orders[k]);
    fv_json_real(j, key, f->loss[k] / (double)FV_MAX(f->samples, 1));
  }
  fv_json_end(j, '}');
}

/* ---- what is said of a query ------------------------------------------------------------------------------------- */
static const float *value_of(const view *v, int64_t q) {
  return (v->by_effect ? v->effect : v->weight) + q * v->support;
}

/* The pictures of the support set, those that count most first. */
static fv_status order_of(const view *v, int64_t q, int32_t **order) {
  FV_TRY(FV_NEW(order, v->support));
  fv_order_falling(value_of(v, q), v->support, *order);
  return FV_OK;
}

static const char *class_of(const view *v, int32_t label) { return v->m->classes[label]; }

static void name_of(const view *v, int64_t k, char name[NAME]) {
  if (v->m->support) snprintf(name, NAME, "%s", v->m->support->picture[k]);
  else snprintf(name, NAME, "picture %lld, class %s", (long long)k, class_of(v, v->label[k]));
}

static bool truth_is_known(const view *v) { return !v->m->support; }

/* "query 3: 2 (97.1 %), is 4" */
static void title_of(const view *v, int64_t q, char title[NAME]) {
  const int32_t answer = v->answer[q];
  char what[NAME / 2] = "query";
  if (v->queries > 1) snprintf(what, sizeof what, "query %lld", (long long)q);
  snprintf(title, NAME, "%s: %.60s (%.1f %%)%s%.20s", what, class_of(v, answer),
           100 * (double)v->p[q * v->classes + answer], truth_is_known(v) ? ", is " : "",
           truth_is_known(v) ? class_of(v, v->truth[q]) : "");
}

static fv_status put_query(fv_json *j, const view *v, int64_t q) {
  char name[NAME];
  int32_t *order;
  FV_TRY(order_of(v, q, &order));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "label", class_of(v, v->answer[q]));
  fv_json_float(j, "probability", v->p[q * v->classes + v->answer[q]]);
  if (truth_is_known(v)) fv_json_text(j, "truth", class_of(v, v->truth[q]));
  fv_json_begin(j, "support", '[');
  for (int64_t i = 0; i < v->support; i++) {
    name_of(v, order[i], name);
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "picture", name);
    fv_json_text(j, "class", class_of(v, v->label[order[i]]));
    fv_json_float(j, "weight", v->weight[q * v->support + order[i]]);
    if (v->effects) fv_json_float(j, "effect", v->effect[q * v->support + order[i]]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
  fv_free(order);
  return FV_OK;
}

/* Of an episode some queries are drawn, from all its classes alike. */
static int64_t n_drawn(const view *v) { return FV_MIN(v->queries, QUERIES); }
static int64_t drawn_at(const view *v, int64_t i) { return i * v->queries / n_drawn(v); }

static fv_status put_bars(const view *v, int64_t q, fv_text *out) {
  char title[NAME], name[SHOWN][NAME];
  fv_bar bar[SHOWN];
  int32_t *order;
  const int64_t n = FV_MIN(v->support, SHOWN);
  FV_TRY(order_of(v, q, &order));
  title_of(v, q, title);
  for (int64_t i = 0; i < n; i++) {
    name_of(v, order[i], name[i]);
    bar[i] = (fv_bar){name[i], (double)value_of(v, q)[order[i]],
                      v->label[order[i]] == v->answer[q] ? FV_BAR_BLUE : FV_BAR_GREY};
  }
  fv_free(order);
  return fv_term_bars(&(fv_bars){title, bar, n}, v->rq->terminal_columns, out);
}

static fv_status put_terminal(const view *v, fv_json *j) {
  fv_text sketch = {0};
  fv_status status = FV_OK;
  if (!v->rq->terminal) return FV_OK;
  for (int64_t i = 0; i < n_drawn(v); i++) FV_TRY_DONE(put_bars(v, drawn_at(v, i), &sketch));
  fv_json_text(j, "terminal", sketch.s);
done:
  fv_text_free(&sketch);
  return status;
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */
/* A row a query: the query, then what counted most. */
typedef struct sheet {
  int columns, n;
  fv_tile *tile;
  fv_image *image;
  char (*caption)[NAME];
} sheet;

static fv_status add_tile(const view *v, const float *ink, const char *caption, double number, sheet *s) {
  const int h = (int)v->m->task.glyph.dim[0], w = (int)v->m->task.glyph.dim[1];
  fv_image small;
  FV_TRY(fv_image_new(w, h, 1, &small));
  for (int64_t i = 0; i < v->pixels; i++) small.pixels[i] = (uint8_t)lrintf(255 * (1 - ink[i]));
  const fv_status status = fv_image_resize(&small, SCALE * w, SCALE * h, &s->image[s->n]);
  fv_image_free(&small);
  FV_TRY(status);
  snprintf(s->caption[s->n], NAME, "%.60s %.2f", caption, number);
  s->tile[s->n] = (fv_tile){&s->image[s->n], s->caption[s->n]};
  s->n++;
  return FV_OK;
}

static fv_status add_row(const view *v, int64_t q, sheet *s) {
  fv_status status = FV_OK;
  int32_t *order;
  char caption[NAME];
  FV_TRY(order_of(v, q, &order));
  snprintf(caption, sizeof caption, "%s?", class_of(v, v->answer[q]));
  FV_TRY_DONE(add_tile(v, v->asked + q * v->pixels, caption, (double)v->p[q * v->classes + v->answer[q]], s));
  for (int i = 0; i + 1 < s->columns; i++)
    FV_TRY_DONE(add_tile(v, v->shown + order[i] * v->pixels, class_of(v, v->label[order[i]]),
                         (double)value_of(v, q)[order[i]], s));
done:
  fv_free(order);
  return status;
}

static fv_status sheet_make(const view *v, sheet *s) {
  s->columns = (int)FV_MIN(v->support, SHOWN) + 1;
  const int64_t most = n_drawn(v) * s->columns;
  FV_TRY(FV_NEW(&s->tile, most));
  FV_TRY(FV_NEW(&s->image, most));
  FV_TRY(FV_NEW(&s->caption, most));
  for (int64_t i = 0; i < n_drawn(v); i++) FV_TRY(add_row(v, drawn_at(v, i), s));
  return FV_OK;
}

static void sheet_free(sheet *s) {
  for (int i = 0; i < s->n; i++) fv_image_free(&s->image[i]);
  fv_free(s->image);
  fv_free(s->tile);
  fv_free(s->caption);
}

static fv_status write_sheet(const sheet *s, const char *title, const char *path) {
  fv_image image;
  FV_TRY(fv_contact_sheet(title, s->tile, s->n, s->columns, &image));
  const fv_status status = fv_image_write_png(path, &image);
  fv_image_free(&image);
  return status;
}

static fv_status write_page(const view *v, const sheet *s, const char *title, const faith *f, const char *path) {
  fv_page p = {0};
  fv_status status = FV_OK;
  char heading[NAME];
  fv_page_begin(&p, v->m->recipe->info.name, title);
  for (int i = 0; i < s->n; i++) {
    if (i % s->columns == 0) {
      title_of(v, drawn_at(v, i / s->columns), heading);
      fv_page_heading(&p, heading);
    }
    FV_TRY_DONE(fv_page_image(&p, &s->image[i], 0, s->caption[i]));
  }
  if (f->samples)
    fv_page_paragraph(&p, "Without the picture of the largest weight the answer's probability falls by %.4f; without "
                      "any one by %.4f; without the one that costs most by %.4f: means over %lld queries.",
                      f->loss[BY_WEIGHT] / (double)f->samples, f->loss[BY_CHANCE] / (double)f->samples,
                      f->loss[BY_EFFECT] / (double)f->samples, (long long)f->samples);
  FV_TRY_DONE(fv_page_write(&p, path));
done:
  fv_page_free(&p);
  return status;
}

static fv_status write_out(const view *v, const fv_json *j, const char *input, const faith *f) {
  const char *out = v->rq->out;
  sheet s = {0};
  char title[NAME];
  if (!out) return FV_OK;
  if (fv_ends_with(out, ".json")) return fv_json_write(j, "explain", out);
  snprintf(title, sizeof title, "%.100s: what counted, by %s", input, orders[v->by_effect ? BY_EFFECT : BY_WEIGHT]);
  fv_status status = sheet_make(v, &s);
  if (status == FV_OK)
    status = fv_ends_with(out, ".png") ? write_sheet(&s, title, out) : write_page(v, &s, title, f, out);
  sheet_free(&s);
  return status;
}

/* ---- the request ------------------------------------------------------------------------------------------------- */
static fv_status check_request(const fv_explain_request *rq) {
  FV_TRY(fv_explain_check_out(rq, ".png, .html or .json"));
  FV_REQUIRE(!rq->method || !strcmp(rq->method, orders[BY_WEIGHT]) || !strcmp(rq->method, orders[BY_EFFECT]),
             FV_ERR_REQUEST, "explain: method: expected attention or effect, got '%s'", rq->method);
  return FV_OK;
}

static fv_status explain(view *v, const char *input, fv_json *j) {
  faith f = {0};
  int64_t index = 0;
  FV_TRY(fv_episode_open(v->m, input, v->rq->data, &v->data, &index));
  FV_TRY(view_open(v));
  if (v->rq->faithfulness) FV_TRY(measure(v, &f));
  FV_TRY(look_at(v, index));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "method", orders[v->by_effect ? BY_EFFECT : BY_WEIGHT]);
  fv_json_text(j, "input", input);
  fv_json_begin(j, "queries", '[');
  for (int64_t q = 0; q < v->queries; q++) FV_TRY(put_query(j, v, q));
  fv_json_end(j, ']');
  if (f.samples) put_faith(j, &f);
  fv_explain_files(v->rq, j);
  FV_TRY(put_terminal(v, j));
  fv_json_end(j, '}');
  return write_out(v, j, input, &f);
}

fv_status fv_episodes_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  view v = {.m = m, .rq = rq, .by_effect = rq->method && !strcmp(rq->method, orders[BY_EFFECT])};
  v.effects = v.by_effect || rq->faithfulness;
  fv_json j = {0};
  fv_status status = check_request(rq);
  if (status == FV_OK) status = explain(&v, rq->input ? rq->input : "test:0", &j);
  view_close(&v);
  return fv_json_give(&j, status, "explain", json);
}
