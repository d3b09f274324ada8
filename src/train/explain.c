/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c: the request: which images, texts or windows of a series, which method, what is written. It is checked
 * before any work is done. */
#include "train/explain.h"

enum { SHOWN = 12, SAMPLES = 200, KINDS = 3 };

typedef struct session {
  fv_model *m;
  const fv_explain_request *rq;
  const char *input; /* as asked; of a series, which shows one window, the first of the test split otherwise */
  fv_lens lens;
  int view, kind; /* kind: of rq->out */
  fv_dataset *data;
  fv_sights given, sampled; /* the input's; those of the test split */
  fv_explained e;
  fv_faith faith;
} session;

/* ---- checks ---------------------------------------------------------------------------------------------------- */
fv_status fv_explain_check_out(const fv_explain_request *rq, const char *endings) {
  const char *dot = rq->out ? strrchr(rq->out, '.') : NULL;
  for (const char *at = endings; dot && (at = strchr(at, '.')); at++)
    if (strlen(dot) == strcspn(at, ", ") && !strncmp(at, dot, strlen(dot))) return FV_OK;
  FV_REQUIRE(!rq->out, FV_ERR_REQUEST, "explain: out: expected a name that ends in %s, got '%s'", endings, rq->out);
  return FV_OK;
}

void fv_explain_files(const fv_explain_request *rq, fv_json *j) {
  fv_json_begin(j, "files", '[');
  if (rq->out) fv_json_text(j, NULL, rq->out);
  fv_json_end(j, ']');
}

static fv_status check_request(session *s) {
  static const char *const kinds[KINDS] = {".png", ".html", ".json"};
  FV_REQUIRE(s->rq->samples >= 0, FV_ERR_REQUEST,
             "explain: samples: expected 1 or more (0: the usual number), got %lld", (long long)s->rq->samples);
  s->kind = -1;
  for (int i = 0; s->rq->out && i < KINDS; i++)
    if (fv_ends_with(s->rq->out, kinds[i])) s->kind = i;
  return fv_explain_check_out(s->rq, ".png, .html or .json");
}

/* ---- samples --------------------------------------------------------------------------------------------------- */
static fv_status open_data(session *s) {
  if (s->input && !fv_is_test_sample(s->input) && !s->rq->faithfulness) return FV_OK;
  s->e.data = s->rq->data ? s->rq->data : s->m->data;
  FV_TRY(fv_model_open_data(s->m, s->e.data, &s->data));
  FV_REQUIRE(s->data->count[FV_SPLIT_TEST] > 0, FV_ERR_REQUEST,
             "dataset '%s': expected samples in split 'test', got none", s->e.data);
  return FV_OK;
}

static fv_status make_sights(const fv_model *m, int64_t n, fv_sights *s) {
  s->n = n;
  if (m->task.vocabulary[0]) FV_TRY(fv_arena_new(&s->arena));
  else if (m->task.image.ndim && !s->pixels) FV_TRY(FV_NEW(&s->pixels, n * fv_shape_count(m->task.image)));
  FV_TRY(FV_NEW(&s->v, n));
  for (int64_t i = 0; i < n; i++) s->v[i] = (fv_sight){.index = -1, .label = -1};
  return FV_OK;
}

static void read_sight(const fv_dataset *d, int64_t index, uint8_t *pixels, fv_sight *sight) {
  int32_t label = -1;
  int image = fv_dataset_field(d, "image"), named = fv_dataset_field(d, "label"), box = fv_dataset_field(d, "box");
  if (box >= 0 && (d->field[box].dtype != FV_F32 || fv_shape_count(d->field[box].shape) != 4))
    box = -1; /* several, or masks */
  void *out[FV_MAX_FIELDS] = {NULL};
  out[image] = pixels;
  if (named >= 0) out[named] = &label;
  if (box >= 0) out[box] = sight->box;
  d->read(d, FV_SPLIT_TEST, index, 0, out);
  sight->index = index;
  sight->label = label;
  sight->has_box = box >= 0;
}

static fv_status read_index(session *s, const int64_t *index, fv_sights *to) {
  const int64_t size = fv_shape_count(s->m->task.image);
  to->known = true;
  if (s->lens.texts) return fv_words_of_samples(s->m, s->data, index, to);
  if (s->lens.series) return fv_windows_of_samples(s->m, s->data, index, to);
  for (int64_t i = 0; i < to->n; i++) read_sight(s->data, index[i], to->pixels + i * size, &to->v[i]);
  return FV_OK;
}

/* The last rows of a file. */
static fv_status read_rows(session *s) {
  fv_dataset *rows;
  FV_TRY(fv_dataset_of_series(s->input, &s->m->reading, &rows));
  fv_status status = make_sights(s->m, 1, &s->given);
  if (status == FV_OK) status = fv_windows_of_samples(s->m, rows, &(int64_t){0}, &s->given);
  fv_dataset_close(rows);
  return status;
}

static fv_status read_lines(session *s) {
  fv_text_table *lines;
  FV_TRY(fv_lines_read(s->input, &lines));
  fv_status status = make_sights(s->m, fv_text_table_rows(lines), &s->given);
  if (status == FV_OK) status = fv_words_of_lines(s->m, lines, &s->given);
  fv_text_table_free(lines);
  return status;
}

static fv_status read_given(session *s) {
  const char *input = s->input;
  int64_t n = 1, index = 0;
  if (!input) return FV_OK;
  if (!fv_is_test_sample(input)) {
    if (s->lens.texts) return read_lines(s);
    if (s->lens.series) return read_rows(s);
    FV_TRY(fv_pictures_read(s->m, input, &s->given.pixels, &n));
    return make_sights(s->m, n, &s->given);
  }
  FV_TRY(fv_test_sample(input, s->data, &index));
  FV_TRY(make_sights(s->m, 1, &s->given));
  return read_index(s, &index, &s->given);
}

/* Evenly spaced over the split, so that one sorted by class gives some of each. */
static fv_status read_samples(session *s) {
  if (s->input && !s->rq->faithfulness) return FV_OK;
  int64_t count = s->data->count[FV_SPLIT_TEST], usual = s->rq->faithfulness ? SAMPLES : SHOWN;
  int64_t n = FV_MIN(s->rq->samples ? s->rq->samples : usual, count), *index;
  FV_TRY(make_sights(s->m, n, &s->sampled));
  FV_TRY(FV_NEW(&index, n));
  for (int64_t i = 0; i < n; i++) index[i] = i * count / n;
  fv_status status = read_index(s, index, &s->sampled);
  fv_free(index);
  return status;
}

/* ---- result ---------------------------------------------------------------------------------------------------- */
static void put_point(fv_json *j, const char *key, const int64_t xy[2]) {
  fv_json_begin(j, key, '[');
  fv_json_int(j, NULL, xy[0]);
  fv_json_int(j, NULL, xy[1]);
  fv_json_end(j, ']');
}

static void put_verdict(fv_json *j, const session *s, const fv_sight *v) {
  if (v->index >= 0) fv_json_int(j, "index", v->index);
  else fv_json_text(j, "input", s->input);
  if (v->label >= 0) fv_json_text(j, "label", s->m->classes[v->label]);
  fv_json_text(j, "prediction", s->m->classes[v->prediction]);
  fv_json_float(j, "probability", v->probability);
}

/* What a word was read as, where words are tokens. */
static void put_token(fv_json *j, const fv_model *m, const fv_words *w, int64_t word) {
  const fv_tokenizer *t = m->reading.tokenizer[0];
  if (fv_tokenizer_get_kind(t) != FV_TOKENIZER_WORDS) return;
  const fv_bytes token = fv_tokenizer_token(t, w->token[word]);
  fv_json_bytes(j, "token", token.s, token.n);
}

/* With the words and their weights by the method asked for. */
static void put_text(fv_json *j, const session *s, const fv_sights *from, int64_t i) {
  const fv_words *w = &from->v[i].words;
  const float *map = from->map[s->view] + i * s->lens.view[s->view].w;
  fv_json_begin(j, NULL, '{');
  put_verdict(j, s, &from->v[i]);
  fv_json_text(j, "text", w->s);
  fv_json_int(j, "peak", fv_map_peak(map, w->n));
  fv_json_begin(j, "words", '[');
  for (int64_t k = 0; k < w->n; k++) {
    fv_json_begin(j, NULL, '{');
    fv_json_bytes(j, "word", w->s + w->span[k].from, (size_t)(w->span[k].to - w->span[k].from));
    put_token(j, s->m, w, k);
    fv_json_float(j, "weight", map[k]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

static void put_image(fv_json *j, const session *s, const fv_sights *from, int64_t i, float *pixels) {
  const fv_sight *v = &from->v[i];
  int64_t peak[2];
  fv_sight_peak(&s->lens, from, s->view, i, pixels, peak);
  fv_json_begin(j, NULL, '{');
  put_verdict(j, s, v);
  put_point(j, "peak", peak);
  if (v->has_box) fv_json_bool(j, "in_box", fv_box_holds(v->box, peak[0], peak[1]));
  fv_json_end(j, '}');
}

/* The highest of each map, in pixels; of texts the word's number, of series the row's from the last, which is 0. */
static void put_peaks(fv_json *j, const session *s, int view, const fv_sights *from, int64_t n, float *pixels) {
  int64_t peak[2];
  fv_json_begin(j, "peaks", '[');
  for (int64_t i = 0; i < n; i++) {
    if (s->lens.texts) {
      fv_json_int(j, NULL, fv_map_peak(from->map[view] + i * s->lens.view[view].w, from->v[i].words.n));
      continue;
    }
    if (s->lens.series) {
      const int64_t rows = s->lens.view[view].w;
      fv_json_int(j, NULL, fv_map_peak(from->map[view] + i * rows, rows) - rows + 1);
      continue;
    }
    fv_sight_peak(&s->lens, from, view, i, pixels, peak);
    put_point(j, NULL, peak);
  }
  fv_json_end(j, ']');
}

/* Each method's map: its size, the peaks and, in a file, its numbers. */
static void put_map(fv_json *j, const session *s, int view, const fv_sights *from, int64_t n, bool values,
                    float *pixels) {
  const fv_explain_view *v = &s->lens.view[view];
  const int64_t room = (int64_t)v->h * v->w;
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "name", v->method->name);
  if (s->lens.images) fv_json_int(j, "height", v->h);
  if (s->lens.images) fv_json_int(j, "width", v->w);
  put_peaks(j, s, view, from, n, pixels);
  if (values) {
    fv_json_begin(j, "values", '[');
    for (int64_t i = 0; i < n; i++) {
      const int64_t cells = s->lens.texts ? from->v[i].words.n : room;
      fv_json_begin(j, NULL, '[');
      for (int64_t c = 0; c < cells; c++) fv_json_float(j, NULL, from->map[view][i * room + c]);
      fv_json_end(j, ']');
    }
    fv_json_end(j, ']');
  }
  fv_json_end(j, '}');
}

static void put_curve(fv_json *j, const char *key, const fv_faith_curve *c) {
  fv_json_begin(j, key, '[');
  for (int s = 0; s <= FV_EXPLAIN_STEPS; s++) fv_json_real(j, NULL, c->p[s]);
  fv_json_end(j, ']');
}

static void put_order(fv_json *j, const session *s, const char *name, int k) {
  const fv_faith *f = &s->faith;
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "name", name);
  fv_json_real(j, "deletion_auc", f->deletion[k].auc);
  fv_json_real(j, "insertion_auc", f->insertion[k].auc);
  if (!s->lens.images) fv_json_real(j, "comprehensiveness", f->comprehensiveness[k]);
  if (!s->lens.images) fv_json_real(j, "sufficiency", f->sufficiency[k]);
  if (s->lens.series) fv_json_real(j, "error_without", f->error_without[k]);
  if (s->lens.series) fv_json_real(j, "error_alone", f->error_alone[k]);
  if (f->has_boxes) fv_json_real(j, "pointing_game", k < FV_EXPLAIN_METHODS ? f->pointing[k] : f->pointing_chance);
  put_curve(j, "deletion", &f->deletion[k]);
  put_curve(j, "insertion", &f->insertion[k]);
  fv_json_end(j, '}');
}

static void put_erased(fv_json *j, const session *s, int random, int gradient) {
  const fv_faith *f = &s->faith;
  fv_json_real(j, "comprehensiveness", f->comprehensiveness[s->view]);
  fv_json_real(j, "comprehensiveness_random", f->comprehensiveness[random]);
  fv_json_real(j, "comprehensiveness_gradient", f->comprehensiveness[gradient]);
  fv_json_real(j, "sufficiency", f->sufficiency[s->view]);
  fv_json_real(j, "sufficiency_random", f->sufficiency[random]);
  fv_json_real(j, "sufficiency_gradient", f->sufficiency[gradient]);
}

static void put_errors(fv_json *j, const session *s, int random, int gradient) {
  const fv_faith *f = &s->faith;
  fv_json_real(j, "error", f->error);
  fv_json_real(j, "error_without", f->error_without[s->view]);
  fv_json_real(j, "error_without_random", f->error_without[random]);
  fv_json_real(j, "error_without_gradient", f->error_without[gradient]);
  fv_json_real(j, "error_alone", f->error_alone[s->view]);
  fv_json_real(j, "error_alone_random", f->error_alone[random]);
  fv_json_real(j, "error_alone_gradient", f->error_alone[gradient]);
}

static void put_faith(fv_json *j, const session *s, bool curves) {
  const fv_faith *f = &s->faith;
  int random = FV_EXPLAIN_METHODS, gradient = s->lens.n_views - 1; /* the row without attention is the last */
  fv_json_begin(j, "faithfulness", '{');
  fv_json_int(j, "samples", f->samples);
  fv_json_real(j, "deletion_auc", f->deletion[s->view].auc);
  fv_json_real(j, "deletion_auc_random", f->deletion[random].auc);
  fv_json_real(j, "deletion_auc_gradient", f->deletion[gradient].auc);
  fv_json_real(j, "insertion_auc", f->insertion[s->view].auc);
  fv_json_real(j, "insertion_auc_random", f->insertion[random].auc);
  fv_json_real(j, "insertion_auc_gradient", f->insertion[gradient].auc);
  if (!s->lens.images) put_erased(j, s, random, gradient);
  if (s->lens.series) put_errors(j, s, random, gradient);
  if (f->has_boxes) fv_json_real(j, "pointing_game", f->pointing[s->view]);
  if (f->has_boxes) fv_json_real(j, "pointing_game_chance", f->pointing_chance);
  if (curves) {
    fv_json_begin(j, "orders", '[');
    for (int v = 0; v < s->lens.n_views; v++)
      if (f->measured[v]) put_order(j, s, s->lens.view[v].method->name, v);
    put_order(j, s, "random", random);
    fv_json_end(j, ']');
  }
  fv_json_end(j, '}');
}

/* For a file: all samples, all numbers. */
static fv_status put_result(const session *s, bool file, fv_json *j) {
  float *pixels;
  const fv_sights *from = s->e.shown;
  int64_t n = file ? from->n : s->e.n_shown;
  FV_TRY(FV_NEW(&pixels, FV_MAX(fv_shape_count(s->m->task.image), 1)));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "method", s->lens.view[s->view].method->name);
  if (s->lens.series) fv_explain_plot_json(&s->e, j);
  else fv_json_begin(j, s->lens.texts ? "texts" : "images", '[');
  for (int64_t i = 0; i < n && !s->lens.series; i++)
    if (s->lens.texts) put_text(j, s, from, i);
    else put_image(j, s, from, i, pixels);
  if (!s->lens.series) fv_json_end(j, ']');
  fv_json_begin(j, "maps", '[');
  for (int v = 0; v < s->lens.n_views; v++) put_map(j, s, v, from, n, file, pixels);
  fv_json_end(j, ']');
  if (s->rq->faithfulness) put_faith(j, s, file);
  fv_free(pixels);
  return FV_OK;
}

static fv_status write_json(const session *s, const char *path) {
  fv_json j = {0};
  fv_status status = put_result(s, true, &j);
  if (status == FV_OK) {
    fv_json_end(&j, '}');
    fv_text_append(&j.text, "\n", 1);
    status = fv_json_write(&j, "explain", path);
  }
  fv_json_free(&j);
  return status;
}

static fv_status put_all(const session *s, fv_json *j) {
  fv_text sketch = {0};
  FV_TRY(put_result(s, false, j));
  fv_explain_files(s->rq, j);
  if (s->rq->terminal) {
    fv_status status = fv_explain_terminal(&s->e, s->rq->terminal_columns, &sketch);
    if (status == FV_OK) fv_json_text(j, "terminal", sketch.s);
    fv_text_free(&sketch);
    FV_TRY(status);
  }
  fv_json_end(j, '}');
  return FV_OK;
}

/* ---- the request ----------------------------------------------------------------------------------------------- */
static fv_status look(session *s) {
  if (s->given.n) FV_TRY(fv_lens_look(&s->lens, &s->given));
  if (s->sampled.n) FV_TRY(fv_lens_look(&s->lens, &s->sampled));
  s->e.lens = &s->lens;
  s->e.view = s->view;
  s->e.input = s->input;
  s->e.shown = s->given.n ? &s->given : &s->sampled;
  s->e.n_shown = FV_MIN(s->e.shown->n, s->given.n ? 4 * SHOWN : SHOWN);
  if (!s->rq->faithfulness) return FV_OK;
  bool views[FV_EXPLAIN_METHODS] = {false};
  /* A page compares them all; otherwise the one asked for and the plain gradient. */
  for (int v = 0; v < s->lens.n_views; v++) views[v] = s->kind >= 1 || v == s->view || v == s->lens.n_views - 1;
  FV_TRY(fv_faith_measure(&s->lens, &s->sampled, views, &s->faith));
  s->e.faith = &s->faith;
  return FV_OK;
}

static fv_status write_out(const session *s) {
  fv_status (*const write[KINDS])(const fv_explained *, const char *) = {fv_explain_sheet, fv_explain_page, NULL};
  if (s->kind < 0) return FV_OK;
  return write[s->kind] ? write[s->kind](&s->e, s->rq->out) : write_json(s, s->rq->out);
}

fv_status fv_model_explain(fv_model *m, const fv_explain_request *request, char **json) {
  session s = {.m = m, .rq = request, .input = request->input ? request->input : m->task.horizon ? "test:0" : NULL};
  fv_json j = {0};
  fv_status status = FV_OK;
  *json = NULL;
  if (m->recipe->writes) return fv_explain_writing(m, request, json);
  if (fv_model_of_nodes(m)) return fv_nodes_explain(m, request, json);
  if (m->task.features) return fv_graphs_explain(m, request, json);
  if (m->task.items) return fv_recommend_explain(m, request, json);
  if (m->task.ways) return fv_episodes_explain(m, request, json);
  FV_REQUIRE_DONE(m->task.n_classes || m->task.horizon, FV_ERR_REQUEST,
                  "explain: expected a model that classifies or forecasts, got one of recipe '%s'",
                  m->recipe->info.name);
  FV_TRY_DONE(check_request(&s));
  FV_TRY_DONE(fv_lens_new(m, &s.lens));
  FV_TRY_DONE(fv_lens_find(&s.lens, request->method, &s.view));
  FV_TRY_DONE(open_data(&s));
  FV_TRY_DONE(read_given(&s));
  FV_TRY_DONE(read_samples(&s));
  FV_TRY_DONE(look(&s));
  FV_TRY_DONE(write_out(&s));
  FV_TRY_DONE(put_all(&s, &j));
done:
  fv_sights_free(&s.given);
  fv_sights_free(&s.sampled);
  fv_dataset_close(s.data);
  fv_lens_free(&s.lens);
  return fv_json_give(&j, status, "explain", json);
}
