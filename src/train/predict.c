/* SPDX-License-Identifier: Apache-2.0 */
/* predict.c: evaluating and predicting with a finished model. */
#include "train/train.h"

#include <stdlib.h>

fv_status fv_model_runner(fv_model *m, fv_mode mode, int64_t n, int workers, fv_runner *r) {
  if (r->program && r->n == n && r->n_exec >= workers) return FV_OK;
  fv_graph *g;
  fv_runner_free(r);
  FV_TRY(fv_model_graph(m, mode, n, false, &g));
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, workers, n, r));
  fv_status status = fv_runner_refresh(r, m->slab, m->pool);
  if (status != FV_OK) fv_runner_free(r);
  return status;
}

/* ---- eval -------------------------------------------------------------------------------------------------------- */
fv_status fv_model_check_data(const fv_model *m, const fv_dataset *d) {
  int image = fv_dataset_field(d, "image");
  FV_REQUIRE(image >= 0 && fv_shape_equal(d->field[image].shape, m->task.image), FV_ERR_REQUEST,
             "dataset '%s': expected images %s as the model was trained on, got %s", d->name,
             fv_shape_text(m->task.image), image < 0 ? "none" : fv_shape_text(d->field[image].shape));
  FV_REQUIRE(d->n_classes == m->task.n_classes, FV_ERR_REQUEST,
             "dataset '%s': expected %d classes as the model knows, got %d", d->name, (int)m->task.n_classes,
             d->n_classes);
  return FV_OK;
}

static fv_status eval_json(const fv_model *m, const fv_dataset *d, fv_split split, const fv_scores *s, char **json) {
  fv_json j = {0};
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "recipe", m->recipe->info.name);
  fv_json_text(&j, "dataset", d->name);
  fv_json_text(&j, "split", fv_split_names[split]);
  fv_json_begin(&j, "metrics", '{');
  fv_json_real(&j, m->recipe->metric, s->metric);
  fv_json_real(&j, "loss", s->loss);
  fv_json_end(&j, '}');
  fv_json_int(&j, "samples", s->samples);
  fv_json_end(&j, '}');
  FV_REQUIRE(!j.text.failed, FV_ERR_MEMORY, "eval: out of memory");
  *json = j.text.s;
  return FV_OK;
}

fv_status fv_model_eval(fv_model *m, const char *data, fv_split split, fv_train_report *report, void *arg,
                        char **json) {
  fv_dataset *d = NULL;
  fv_loader *loader = NULL;
  fv_scores scores;
  fv_status status = FV_OK;
  *json = NULL;
  FV_TRY_DONE(fv_dataset_open(data ? data : m->data, (uint64_t)m->train.seed, &m->ledger, NULL, NULL, &d));
  FV_TRY_DONE(fv_model_check_data(m, d));
  FV_REQUIRE_DONE(d->count[split] > 0, FV_ERR_REQUEST, "dataset '%s': expected samples in split '%s', got none",
                  d->name, fv_split_names[split]);
  fv_loader_options o = {.data = d, .split = split, .to = d->count[split], .batch = m->train.batch, .ahead = true,
                         .seed = (uint64_t)m->train.seed, .n_channels = (int)m->task.image.dim[2]};
  memcpy(o.mean, m->mean, sizeof o.mean);
  memcpy(o.deviation, m->deviation, sizeof o.deviation);
  FV_TRY_DONE(fv_loader_new(&o, &m->ledger, &loader));
  if (m->eval.n == 0)
    FV_TRY_DONE(fv_model_runners(m, FV_MODE_EVAL, m->train.batch / m->train.shards, fv_pool_threads(m->pool), m->slab,
                                 false, &m->eval));
  FV_TRY_DONE(fv_evaluate(m, &m->eval, m->slab, loader, d, true, &scores, report, arg));
  FV_TRY_DONE(eval_json(m, d, split, &scores, json));
done:
  fv_loader_free(loader);
  fv_dataset_close(d);
  return status;
}

/* ---- predict ----------------------------------------------------------------------------------------------------- */
typedef struct predict_job {
  fv_model *m;
  const uint8_t *pixels;
  float *probabilities, *scores;
} predict_job;

static void predict_one(void *arg, int64_t i, int worker) {
  const predict_job *j = arg;
  fv_model *m = j->m;
  int64_t size = fv_shape_count(m->task.image), channels = m->task.image.dim[2], k = m->task.n_classes;
  float *image = m->image + worker * size;
  fv_exec *exec = m->predict.exec[worker];
  fv_standardise(j->pixels + i * size, size / channels, (int)channels, m->mean, m->deviation, image);
  fv_exec_bind_input(exec, fv_exec_input(exec, "image"), image);
  fv_exec_run(exec);
  memcpy(j->probabilities + i * k, fv_exec_output(exec, "probabilities")->data, (size_t)k * sizeof(float));
  if (j->scores) memcpy(j->scores + i * k, fv_exec_output(exec, "scores")->data, (size_t)k * sizeof(float));
}

/* One image alone is run here: waking threads would take longer. */
fv_status fv_model_probabilities(fv_model *m, const uint8_t *pixels, int64_t n, float *probabilities, float *scores) {
  int workers = n > 1 ? fv_pool_threads(m->pool) : 1, before = m->predict.n_exec;
  FV_TRY(fv_model_runner(m, FV_MODE_PREDICT, 1, workers, &m->predict));
  if (m->predict.n_exec != before || !m->image) {
    fv_free(m->image);
    m->image = NULL;
    FV_TRY(FV_NEW(&m->image, m->predict.n_exec * fv_shape_count(m->task.image)));
  }
  predict_job j = {m, pixels, probabilities, scores};
  if (n == 1) predict_one(&j, 0, 0);
  else fv_pool_run(m->pool, n, predict_one, &j);
  return FV_OK;
}

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

static void one_json(fv_json *j, const fv_model *m, const float *p, const float *score, int k, int64_t *best) {
  best_of(p, m->task.n_classes, k, best);
  fv_json_begin(j, NULL, '{');
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

fv_status fv_model_predict(fv_model *m, const char *input, int k, char **json) {
  uint8_t *pixels = NULL;
  float *p = NULL;
  int64_t n, *best = NULL;
  fv_json j = {0};
  fv_status status = FV_OK;
  *json = NULL;
  FV_REQUIRE(k >= 1, FV_ERR_REQUEST, "top: expected at least 1, got %d", k);
  k = (int)FV_MIN((int64_t)k, m->task.n_classes);
  FV_TRY_DONE(fv_pictures_read(m, input, &pixels, &n));
  FV_TRY_DONE(FV_NEW(&p, 2 * n * m->task.n_classes));
  float *scores = p + n * m->task.n_classes;
  FV_TRY_DONE(FV_NEW(&best, k));
  FV_TRY_DONE(fv_model_probabilities(m, pixels, n, p, scores));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "input", input);
  fv_json_begin(&j, "predictions", '[');
  for (int64_t i = 0; i < n; i++) {
    int64_t at = i * m->task.n_classes;
    one_json(&j, m, p + at, scores + at, k, best);
  }
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "predict: out of memory");
done:
  fv_free(pixels);
  fv_free(p);
  fv_free(best);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}
