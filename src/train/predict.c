/* SPDX-License-Identifier: Apache-2.0 */
/* predict.c: evaluating and predicting with a finished model. */
#include "train/generate.h"

#include <math.h>
#include <stdlib.h>

fv_status fv_model_runner(fv_model *m, fv_mode mode, int bucket, int64_t n, int workers, fv_runner *r) {
  if (r->program && r->n == n && r->n_exec >= workers) return FV_OK;
  fv_graph *g;
  fv_runner_free(r);
  m->task.length = m->length[bucket];
  FV_TRY(fv_model_graph(m, mode, n, false, &g));
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, workers, n, r));
  fv_status status = fv_runner_refresh(r, m->slab, m->pool);
  if (status != FV_OK) fv_runner_free(r);
  return status;
}

/* ---- eval -------------------------------------------------------------------------------------------------------- */
static fv_status eval_json(const fv_model *m, const fv_dataset *d, fv_split split, const fv_scores *s, char **json) {
  fv_json j = {0};
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "recipe", m->recipe->info.name);
  fv_json_text(&j, "dataset", d->name);
  fv_json_text(&j, "split", fv_split_names[split]);
  fv_json_begin(&j, "metrics", '{');
  fv_scores_json(m, s, &j);
  fv_json_end(&j, '}');
  fv_json_int(&j, "samples", s->samples);
  fv_json_int(&j, "parameters", m->params->count);
  fv_json_end(&j, '}');
  return fv_json_give(&j, FV_OK, "eval", json);
}

fv_status fv_model_eval(fv_model *m, const char *data, fv_split split, fv_train_report *report, void *arg,
                        char **json) {
  fv_dataset *d = NULL;
  fv_loader *loader = NULL;
  fv_scores scores;
  fv_status status = FV_OK;
  *json = NULL;
  FV_TRY_DONE(fv_model_open_data(m, data, &d));
  FV_REQUIRE_DONE(d->count[split] > 0, FV_ERR_REQUEST, "dataset '%s': expected samples in split '%s', got none",
                  d->name, fv_split_names[split]);
  const fv_loader_options o = fv_model_loader(m, d, split);
  FV_TRY_DONE(fv_loader_new(&o, &m->ledger, &loader));
  if (m->eval.n == 0)
    FV_TRY_DONE(fv_model_runners(m, FV_MODE_EVAL, m->train.batch / m->train.shards, fv_model_workers(m), m->slab, false,
                                 &m->eval));
  FV_TRY_DONE(fv_evaluate(m, &m->eval, m->slab, loader, d, true, &scores, report, arg));
  if (m->recipe->writes) {
    fv_writer *writer;
    FV_TRY_DONE(fv_model_writer(m, NULL, false, &writer));
    FV_TRY_DONE(fv_writer_bleu(writer, m->slab, d, split, true, &scores.bleu, report, arg));
  }
  FV_TRY_DONE(eval_json(m, d, split, &scores, json));
done:
  fv_loader_free(loader);
  fv_dataset_close(d);
  return status;
}

/* ---- probabilities ----------------------------------------------------------------------------------------------- */
typedef struct predict_job {
  fv_model *m;
  const uint8_t *pixels;  /* images as they are, or: */
  const fv_dataset *data; /* samples of it */
  fv_split split;
  const int64_t *index;   /* NULL: in order */
  float *probabilities, *scores;
  bool alone; /* one sample */
} predict_job;

static int64_t index_of(const predict_job *j, int64_t i) { return j->index ? j->index[i] : i; }

static int bucket_of(const predict_job *j, int64_t i) {
  int64_t length = j->m->n_lengths ? j->data->length(j->data, j->split, index_of(j, i)) : 0;
  return fv_length_bucket(j->m->length, j->m->n_lengths, length);
}

int64_t fv_model_answers(const fv_model *m) {
  if (m->task.nodes) return m->task.nodes * m->task.n_classes;
  if (m->task.ways) return m->task.asked * m->task.n_classes;
  return m->task.horizon ? m->task.horizon * m->task.channels : m->task.n_classes;
}

static bool is_image(const fv_field *f) { return !strcmp(f->name, "image"); }

/* A worker's room for one sample: the image and its pixels, or all fields of the greatest length. What is shared is
 * read in place. */
static int64_t room_for(const predict_job *j) {
  const int64_t pixels = fv_shape_count(j->m->task.image);
  int64_t bytes = j->m->task.image.ndim ? fv_round_up(5 * pixels, FV_ALIGN) : 0;
  for (int f = 0; j->data && f < j->data->n_fields; f++) {
    const fv_field *field = &j->data->field[f];
    if (!is_image(field)) bytes += fv_round_up(fv_field_bytes(field, fv_model_longest(j->m)), FV_ALIGN);
  }
  return bytes;
}

/* The pixels lie behind the image that is made of them. */
static void read_image(const predict_job *j, int64_t i, float *room) {
  const fv_model *m = j->m;
  const int64_t size = fv_shape_count(m->task.image), channels = m->task.image.dim[2];
  const uint8_t *pixels = j->data ? (const uint8_t *)(room + size) : j->pixels + i * size;
  if (j->data) fv_dataset_read_field(j->data, j->split, index_of(j, i), "image", room + size);
  fv_standardise(pixels, size / channels, (int)channels, m->mean, m->deviation, room);
}

/* The fields that are inputs, one behind the other. */
static void read_fields(const predict_job *j, int64_t i, int bucket, fv_exec *exec, char *room) {
  void *out[FV_MAX_FIELDS] = {NULL};
  for (int f = 0; f < j->data->n_fields; f++) {
    const fv_field *field = &j->data->field[f];
    const int input = fv_exec_input(exec, field->name);
    const int64_t bytes = fv_field_bytes(field, j->m->length[bucket]);
    if (input < 0) continue;
    fv_exec_bind_input(exec, input, field->shared ? field->all : room);
    if (field->shared) continue;
    memset(room, 0, (size_t)bytes);
    out[f] = room;
    room += fv_round_up(bytes, FV_ALIGN);
  }
  j->data->read(j->data, j->split, index_of(j, i), 0, out);
}

static void bind_sample(const predict_job *j, int64_t i, int bucket, fv_exec *exec, char *room) {
  if (!j->m->task.image.ndim) read_fields(j, i, bucket, exec, room);
  else {
    read_image(j, i, (float *)(void *)room);
    fv_exec_bind_input(exec, fv_exec_input(exec, "image"), room);
  }
}

static void take_answer(const fv_exec *exec, const char *name, float *to, int64_t i, int64_t k) {
  memcpy(to + i * k, fv_exec_output(exec, name)->data, (size_t)k * sizeof *to);
}

static void predict_one(void *arg, int64_t i, int worker) {
  const predict_job *j = arg;
  const int bucket = bucket_of(j, i);
  fv_exec *exec = j->m->predict[bucket].exec[worker];
  const bool series = j->m->task.horizon > 0;
  const int64_t k = fv_model_answers(j->m);
  bind_sample(j, i, bucket, exec, j->m->sample + worker * room_for(j));
  if (j->alone) fv_runner_run(&j->m->predict[bucket], worker);
  else fv_exec_run(exec);
  take_answer(exec, series ? "forecast" : "probabilities", j->probabilities, i, k);
  if (j->scores && !series) take_answer(exec, "scores", j->scores, i, k);
}

/* Whether one sample alone is worth waking threads for. */
static bool is_long(const fv_model *m, const fv_runner *r) {
  static const double flops = 1e8; /* about a millisecond */
  return m->task.nodes || fv_program_get_info(r->program).flops >= flops;
}

/* What was made for the last call serves the next. */
static fv_status predict_all(predict_job *j, int64_t n) {
  fv_model *m = j->m;
  j->alone = n == 1;
  int workers = n > 1 ? fv_pool_threads(m->pool) : 1;
  bool needed[FV_MAX_LENGTHS] = {false};
  for (int64_t i = 0; i < n; i++) needed[bucket_of(j, i)] = true;
  for (int b = 0; b < FV_MAX_LENGTHS; b++)
    if (needed[b]) FV_TRY(fv_model_runner(m, FV_MODE_PREDICT, b, 1, workers, &m->predict[b]));
  for (int b = 0; b < FV_MAX_LENGTHS && j->alone; b++)
    if (needed[b] && is_long(m, &m->predict[b])) FV_TRY(fv_runner_split(&m->predict[b], &m->ledger, m->pool));
  if (m->sample_bytes < workers * room_for(j)) {
    fv_free(m->sample);
    m->sample = NULL;
    m->sample_bytes = 0;
    FV_TRY(FV_NEW(&m->sample, workers * room_for(j)));
    m->sample_bytes = workers * room_for(j);
  }
  if (j->alone) predict_one(j, 0, 0);
  else fv_pool_run(m->pool, n, predict_one, j);
  return FV_OK;
}

fv_status fv_model_probabilities(fv_model *m, const uint8_t *pixels, int64_t n, float *probabilities, float *scores) {
  return predict_all(&(predict_job){.m = m, .pixels = pixels, .probabilities = probabilities, .scores = scores}, n);
}

fv_status fv_model_classify(fv_model *m, const fv_dataset *d, fv_split split, const int64_t *index, int64_t n,
                            float *probabilities, float *scores) {
  return predict_all(&(predict_job){.m = m, .data = d, .split = split, .index = index, .probabilities = probabilities,
                                    .scores = scores}, n);
}

/* ---- predict ----------------------------------------------------------------------------------------------------- */
/* The k best of n, best first, ties to the lower class. */
static void best_of(const float *p, int64_t n, int k, int64_t *best) {
  for (int i = 0; i < k; i++) {
    best[i] = -1;
    for (int64_t c = 0; c < n; c++) {
      bool taken = false;
      for (int j = 0; j < i; j++) taken |= best[j] == c;
      if (!taken && (best[i] < 0 || p[c] > p[best[i]])) best[i] = c;
    }
  }
}

void fv_prediction_json(fv_json *j, const fv_model *m, const char *key, fv_bytes text, const float *p,
                        const float *score, int k, int64_t *best) {
  best_of(p, m->task.n_classes, k, best);
  fv_json_begin(j, NULL, '{');
  if (text.s) fv_json_bytes(j, key, text.s, text.n);
  fv_json_text(j, "label", m->classes[best[0]]);
  fv_json_float(j, "probability", p[best[0]]);
  fv_json_begin(j, "top", '[');
  for (int i = 0; i < k; i++) {
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "label", m->classes[best[i]]);
    fv_json_float(j, "probability", p[best[i]]);
    fv_json_float(j, "score", score[best[i]]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

fv_status fv_lines_read(const char *input, fv_text_table **lines) {
  const fv_text_options options = {.format = FV_TEXT_LINES, .allow_empty = true};
  const char *own = !strncmp(input, "text:", 5) ? input + 5 : NULL;
  if (own && !*own) own = "\n"; /* a line without a text */
  if (own) return fv_text_table_parse(own, strlen(own), "text", &options, lines);
  return fv_text_table_open(input, &options, lines);
}

static fv_status read_targets(const char *target, fv_question *q) {
  FV_TRY(fv_lines_read(target, &q->targets));
  FV_REQUIRE(fv_text_table_rows(q->targets) == q->n, FV_ERR_REQUEST,
             "target '%s': expected as many lines as texts, %lld, got %lld", target, (long long)q->n,
             (long long)fv_text_table_rows(q->targets));
  return FV_OK;
}

/* As they are, or as graphs. */
static fv_status read_pictures(fv_model *m, const char *input, fv_question *q) {
  FV_TRY(fv_pictures_read(m, input, &q->pixels, &q->n));
  return m->task.features ? fv_dataset_of_pictures(q->pixels, q->n, &m->reading, &q->data) : FV_OK;
}

fv_status fv_question_read(fv_model *m, const char *input, const char *target, fv_question *q) {
  if (m->task.ways) {
    q->n = 1;
    FV_TRY(FV_NEW(&q->index, 1));
    return fv_episode_open(m, input, NULL, &q->data, q->index);
  }
  if (fv_is_test_sample(input)) {
    FV_REQUIRE(!target, FV_ERR_REQUEST, "target '%s': expected texts it belongs to, got %s", target, input);
    q->n = 1;
    FV_TRY(fv_model_open_data(m, NULL, &q->data));
    FV_TRY(FV_NEW(&q->index, 1));
    return fv_test_sample(input, q->data, q->index);
  }
  FV_REQUIRE(!m->task.features || m->reading.picture.ndim, FV_ERR_REQUEST,
             "%s: expected test:N, a graph of the test split", input);
  if (!m->task.vocabulary[0]) return read_pictures(m, input, q);
  FV_TRY(fv_lines_read(input, &q->lines));
  q->n = fv_text_table_rows(q->lines);
  if (target) FV_TRY(read_targets(target, q));
  return fv_dataset_of_texts(q->lines, q->targets, &m->reading, &q->data);
}

void fv_question_free(fv_question *q) {
  fv_dataset_close(q->data);
  fv_free(q->pixels);
  fv_free(q->index);
  fv_text_table_free(q->lines);
  fv_text_table_free(q->targets);
}

static fv_status classify(fv_model *m, const char *input, int k, char **json) {
  fv_question q = {0};
  float *p = NULL;
  int64_t *best = NULL;
  fv_json j = {0};
  fv_status status = FV_OK;
  *json = NULL;
  FV_TRY_DONE(fv_question_read(m, input, NULL, &q));
  k = (int)FV_MIN((int64_t)k, m->task.n_classes);
  const int64_t answers = q.n * fv_model_answers(m);
  FV_TRY_DONE(FV_NEW(&p, 2 * answers));
  float *scores = p + answers;
  FV_TRY_DONE(FV_NEW(&best, k));
  if (q.data) FV_TRY_DONE(fv_model_classify(m, q.data, FV_SPLIT_TEST, q.index, q.n, p, scores));
  else FV_TRY_DONE(fv_model_probabilities(m, q.pixels, q.n, p, scores));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "input", input);
  fv_json_begin(&j, "predictions", '[');
  for (int64_t i = 0; i * m->task.n_classes < answers; i++) {
    int64_t at = i * m->task.n_classes;
    fv_bytes text = q.lines ? fv_text_table_get(q.lines, i, 0) : (fv_bytes){0};
    fv_prediction_json(&j, m, "text", text, p + at, scores + at, k, best);
  }
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
done:
  fv_question_free(&q);
  fv_free(p);
  fv_free(best);
  return fv_json_give(&j, status, "predict", json);
}

fv_status fv_model_answer(fv_model *m, const fv_predict_request *rq, char **json) {
  *json = NULL;
  FV_REQUIRE(rq->top >= 1, FV_ERR_REQUEST, "top: expected at least 1, got %d", rq->top);
  if (m->recipe->writes) return fv_model_write(m, rq, json);
  FV_REQUIRE(!rq->target, FV_ERR_REQUEST, "target '%s': expected a model that writes, got one of %s", rq->target,
             m->recipe->info.name);
  FV_REQUIRE(rq->n_sets == 0, FV_ERR_REQUEST, "setting '%s' (predict): expected a model that writes, got one of %s",
             rq->sets[0].key, m->recipe->info.name);
  if (m->task.horizon) return fv_series_predict(m, rq->input, json);
  if (fv_model_of_nodes(m)) return fv_nodes_predict(m, rq->input, rq->top, json);
  if (m->task.items) return fv_recommend_predict(m, rq->input, rq->top, json);
  return classify(m, rq->input, rq->top, json);
}

fv_status fv_model_predict(fv_model *m, const char *input, int k, char **json) {
  return fv_model_answer(m, &(fv_predict_request){.input = input, .top = k}, json);
}

bool fv_model_reads_texts(const fv_model *m) { return m->task.vocabulary[0] > 0; }
