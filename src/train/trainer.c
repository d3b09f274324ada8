/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.c: making a run, and one step of it. */
#include "train/trainer.h"

#include "train/generate.h"
#include "train/schedule.h"

#include <math.h>

static fv_status count_steps(fv_trainer *t) {
  const fv_train_settings *s = &t->m->train;
  int64_t all = t->data->count[FV_SPLIT_TRAIN], own = t->data->count[FV_SPLIT_VALIDATION];
  int64_t kept = own ? 0 : FV_MAX((int64_t)floor(s->validation * (double)all), 1);
  t->n_validation = s->validation > 0 ? own + kept : 0;
  t->n_train = all - (s->validation > 0 ? kept : 0);
  FV_REQUIRE(t->n_train >= s->batch, FV_ERR_REQUEST,
             "batch: expected at most the %lld samples of the training set that are not kept for validation, got %lld",
             (long long)t->n_train, (long long)s->batch);
  FV_REQUIRE(t->data->count[FV_SPLIT_TEST] > 0, FV_ERR_REQUEST, "dataset '%s': expected test samples, got none",
             t->data->name);
  t->steps_an_epoch = t->n_train / s->batch;
  t->steps = s->steps ? s->steps : s->epochs * t->steps_an_epoch;
  t->shards = s->shards;
  return FV_OK;
}

static fv_status make_runners(fv_trainer *t) {
  fv_model *m = t->m;
  int workers = fv_model_workers(m);
  int64_t n = m->train.batch / t->shards;
  FV_TRY(fv_model_runners(m, FV_MODE_TRAIN, n, workers, m->slab, true, &t->run));
  fv_writer *writer;
  FV_TRY(fv_model_runners(m, FV_MODE_EVAL, n, workers, t->kept, false, &m->eval));
  return m->recipe->writes ? fv_model_writer(m, NULL, false, &writer) : FV_OK;
}

fv_status fv_trainer_open_loaders(fv_trainer *t) {
  const fv_train_settings *s = &t->m->train;
  fv_ledger *ledger = &t->m->ledger;
  FV_REQUIRE(!t->m->augments || fv_dataset_has_images(t->data), FV_ERR_REQUEST,
             "shift, flip, cutout, rotate, zoom: expected data of images, got '%s'", t->m->data);
  fv_loader_options o = fv_model_loader(t->m, t->data, FV_SPLIT_TRAIN);
  o.to = t->n_train;
  o.shuffle = o.drop_last = true;
  o.augment =
      (fv_augment){.shift = s->shift, .flip = s->flip, .cutout = s->cutout, .rotate = s->rotate, .scale = s->zoom};
  o.epoch = t->at.epoch;
  o.position = t->at.position;
  FV_TRY(fv_loader_new(&o, ledger, &t->train));
  if (t->n_validation) {
    bool own = t->data->count[FV_SPLIT_VALIDATION] > 0;
    o = fv_model_loader(t->m, t->data, own ? FV_SPLIT_VALIDATION : FV_SPLIT_TRAIN);
    o.from = own ? 0 : t->n_train;
    FV_TRY(fv_loader_new(&o, ledger, &t->validate));
  }
  o = fv_model_loader(t->m, t->data, FV_SPLIT_TEST);
  return fv_loader_new(&o, ledger, &t->test);
}

typedef struct data_progress {
  const fv_train_request *rq;
} data_progress;

static bool on_data(void *arg, const char *what, int64_t done, int64_t total) {
  const fv_train_request *rq = ((data_progress *)arg)->rq;
  if (rq->report) rq->report(rq->arg, &(fv_train_event){.phase = "data", .step = done, .steps = total, .text = what});
  return !fv_stop_requested();
}

static void tell_skipped(const fv_trainer *t) {
  const fv_dataset *d = t->data;
  if (!d->skipped || !t->rq->report) return;
  const char *text = fv_arena_printf(t->m->arena, "left out %lld rows with mistakes, the first: %s",
                                     (long long)d->skipped, d->first_bad ? d->first_bad : "");
  t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = text});
}

static void tell_cut(const fv_trainer *t) {
  char text[256];
  if (t->data->seconds_cut <= 0 || !t->rq->report) return;
  snprintf(text, sizeof text, "superpixels: images cut in %.1f s, kept for the next time", t->data->seconds_cut);
  t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = text});
}

static void tell_vectors(const fv_trainer *t) {
  const fv_model *m = t->m;
  char text[512];
  if (!m->train.vectors || m->ledger.dry || !t->rq->report) return;
  snprintf(text, sizeof text, "vectors: %lld of the vocabulary's %lld words found among the %lld of %s",
           (long long)m->vectors.found, (long long)m->task.vocabulary[0] - FV_SPECIALS, (long long)m->vectors.rows,
           m->train.vectors);
  t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = text});
}

static void tell_start(const fv_trainer *t) {
  const fv_model *m = t->m;
  if (!m->started || !t->rq->report) return;
  const char *text = fv_arena_printf(m->arena, "start: %d of %d weights and biases as in %s", m->started, m->params->n,
                                     m->train.start);
  t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = text});
}

static fv_status trainer_make(fv_trainer *t, bool dry) {
  const fv_train_request *rq = t->rq;
  FV_TRY(fv_model_new(rq->recipe, rq->data, rq->preset, rq->sets, rq->n_sets, rq->threads, &t->m));
  fv_model *m = t->m;
  m->ledger.dry = dry;
  m->ledger.limit = dry ? 0 : rq->memory_limit;
  FV_TRY(fv_dataset_open(m->data, &m->reading, (uint64_t)m->train.seed, &m->ledger, on_data, &(data_progress){rq},
                         &t->data));
  tell_skipped(t);
  tell_cut(t);
  FV_TRY(count_steps(t));
  FV_TRY(fv_model_meet(m, t->data, t->n_train));
  FV_TRY(fv_model_build(m));
  tell_vectors(t);
  tell_start(t);
  FV_TRY(fv_optimizer_new(&m->ledger, m->params, &m->train, t->shards, &t->optimizer));
  t->kept = t->optimizer.mean ? t->optimizer.mean : m->slab;
  if (t->optimizer.mean) memcpy(t->kept, m->slab, (size_t)m->params->size * sizeof(float));
  if (t->n_validation)
    FV_TRY(fv_slab_new(&m->ledger, FV_ACCOUNT_OPTIMIZER, m->params->size * (int64_t)sizeof(float), (void **)&t->best));
  FV_TRY(make_runners(t));
  FV_TRY(fv_optimizer_add_tables(&t->optimizer, &m->ledger, t->run.of[t->run.n - 1].g));
  FV_TRY(fv_trainer_count_rows(t));
  FV_TRY(FV_NEW(&t->losses, t->shards));
  for (int k = 0; k < FV_METRIC_OUTPUTS; k++) FV_TRY(FV_NEW(&t->metrics[k], m->train.batch));
  if (m->recipe->ranks) FV_TRY(FV_NEW(&t->ranked, m->train.batch));
  FV_TRY(FV_NEW(&t->rng, fv_pool_threads(m->pool)));
  fv_model_metric_outputs(m, t->metric_output);
  FV_REQUIRE(t->metric_output[0], FV_ERR_MEMORY, "train: out of memory");
  t->at.best = t->at.best_loss = -1;
  return FV_OK;
}

fv_status fv_trainer_new(const fv_train_request *rq, bool dry, fv_trainer **trainer) {
  *trainer = NULL;
  fv_trainer *t;
  FV_REQUIRE(rq->recipe, FV_ERR_REQUEST, "train: expected a recipe, got none");
  FV_TRY(FV_NEW(&t, 1));
  t->rq = rq;
  fv_status status = trainer_make(t, dry);
  if (status == FV_OK) *trainer = t;
  else fv_trainer_free(t);
  return status;
}

void fv_trainer_free(fv_trainer *t) {
  if (!t) return;
  fv_loader_free(t->train);
  fv_loader_free(t->validate);
  fv_loader_free(t->test);
  fv_runners_free(&t->run);
  fv_optimizer_free(&t->optimizer);
  fv_slab_free(t->best);
  fv_dataset_close(t->data);
  fv_free(t->losses);
  for (int k = 0; k < FV_METRIC_OUTPUTS; k++) fv_free(t->metrics[k]);
  fv_free(t->ranked);
  fv_free(t->rng);
  fv_free(t->history);
  if (t->events && fv_events_close(t->events) != FV_OK) t->events = NULL; /* a second failure has nobody to tell */
  fv_lock_release(t->lock);
  fv_model_free(t->m);
  fv_free(t);
}

fv_status fv_trainer_path(const fv_trainer *t, const char *name, char path[FV_RUN_PATH]) {
  int n = snprintf(path, FV_RUN_PATH, "%s/%s", t->out, name);
  FV_REQUIRE(n > 0 && n < FV_RUN_PATH, FV_ERR_REQUEST, "%s: expected a shorter name for the run directory", t->out);
  return FV_OK;
}

/* ---- one step ---------------------------------------------------------------------------------------------------- */
typedef struct shard_job {
  fv_trainer *t;
  const fv_batch *batch;
} shard_job;

static void run_shard(void *arg, int64_t shard, int worker) {
  const shard_job *job = arg;
  fv_trainer *t = job->t;
  fv_runner *run = &t->run.of[job->batch->bucket];
  fv_exec *exec = run->exec[worker];
  uint64_t seed = (uint64_t)t->m->train.seed;
  int32_t rng[4] = {(int32_t)(uint32_t)seed, (int32_t)(uint32_t)(seed >> 32), (int32_t)t->at.step, (int32_t)shard};
  memcpy(t->rng[worker], rng, sizeof rng);
  int input = fv_exec_input(exec, "rng");
  if (input >= 0) fv_exec_bind_input(exec, input, t->rng[worker]);
  fv_runner_bind(run, worker, t->data, job->batch, shard);
  fv_exec_bind_gradients(exec, t->optimizer.gradients + shard * t->optimizer.dense);
  fv_runner_run(run, worker);
  fv_optimizer_take_rows(&t->optimizer, exec, shard);
  t->losses[shard] = *(const float *)fv_exec_output(exec, "loss")->data;
  for (int k = 0; k < FV_METRIC_OUTPUTS && t->metric_output[k]; k++) {
    const fv_tensor *each = fv_exec_output(exec, t->metric_output[k]);
    if (each) memcpy(t->metrics[k] + shard * run->n, each->data, (size_t)run->n * sizeof(float));
  }
}

/* Of one batch: a mean, or how well it is ranked. */
static double batch_metric(const fv_trainer *t) {
  const int64_t n = t->m->train.batch;
  double sum = 0;
  for (int64_t i = 0; i < n; i++) {
    if (t->ranked) t->ranked[i] = (fv_ranked_sample){0, t->metrics[0][i], t->metrics[1][i] > 0};
    else sum += (double)t->metrics[0][i] / (double)n;
  }
  if (!t->ranked) return sum;
  const double auc = fv_auc(t->ranked, n);
  return isnan(auc) ? 0.5 : auc;
}

fv_status fv_trainer_step(fv_trainer *t) {
  fv_model *m = t->m;
  const fv_batch *batch = fv_loader_next(t->train);
  t->run.fresh = -1;
  FV_TRY(fv_runners_refresh(&t->run, batch->bucket, m->slab, m->pool));
  fv_pool_run(m->pool, t->shards, run_shard, &(shard_job){t, batch});
  double loss = 0, norm;
  for (int64_t i = 0; i < t->shards; i++) loss += (double)t->losses[i] / (double)t->shards;
  FV_REQUIRE(isfinite(loss), FV_ERR_NUMERIC,
             "training (epoch %lld, step %lld): expected a finite loss, got %g: try a lower lr or clip=1",
             (long long)t->at.epoch + 1, (long long)t->at.step, loss);
  double rate = fv_schedule_rate(&m->train, t->at.step, t->steps, t->steps_an_epoch);
  fv_status status = fv_optimizer_step(&t->optimizer, m->slab, t->at.step, rate, m->pool, &norm);
  if (status != FV_OK)
    return fv_error_prefix(status, "training (epoch %lld, step %lld)", (long long)t->at.epoch + 1,
                           (long long)t->at.step);
  t->at.loss_sum += loss;
  t->at.metric_sum += batch_metric(t);
  t->at.step++;
  if (++t->at.position == t->steps_an_epoch) {
    t->at.position = 0;
    t->at.epoch++;
  }
  return FV_OK;
}

fv_status fv_trainer_check_weights(const fv_trainer *t) {
  const float *w = t->m->slab;
  for (int64_t i = 0; i < t->m->params->size; i++)
    FV_REQUIRE(isfinite(w[i]), FV_ERR_NUMERIC,
               "training (epoch %lld, step %lld): expected finite weights, got %g: try a lower lr or clip=1",
               (long long)t->at.epoch + (t->at.position > 0), (long long)t->at.step - 1, (double)w[i]);
  return FV_OK;
}
