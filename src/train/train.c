/* SPDX-License-Identifier: Apache-2.0 */
/* train.c: the course of a run, from the request to the result; and its plan. */
#include "train/train.h"

#include "train/generate.h"
#include "train/schedule.h"
#include "train/trainer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- plan -------------------------------------------------------------------------------------------------------- */
/* Of samples of the greatest length, where they vary. */
static double flops_of(const fv_runners *r, double samples) {
  const fv_runner *longest = &r->of[r->n - 1];
  return fv_program_get_info(longest->program).flops / (double)longest->n * samples;
}

static void plan_json(const fv_trainer *t, int64_t limit, fv_json *j) {
  const fv_ledger *l = &t->m->ledger;
  double batch = (double)t->m->train.batch;
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "recipe", t->m->recipe->info.name);
  fv_json_text(j, "dataset", t->data->name);
  fv_json_int(j, "batch", t->m->train.batch);
  fv_json_int(j, "shards", t->shards);
  fv_json_int(j, "threads", fv_pool_threads(t->m->pool));
  fv_json_int(j, "steps", t->steps);
  fv_json_int(j, "parameters", t->m->params->count);
  fv_json_real(j, "flops_forward", flops_of(&t->m->eval, 1));
  fv_json_real(j, "flops_step", flops_of(&t->run, batch));
  for (fv_account a = 0; a < FV_ACCOUNTS; a++) {
    char key[64];
    snprintf(key, sizeof key, "bytes_%s", fv_account_names[a]);
    fv_json_int(j, key, l->bytes[a]);
  }
  fv_json_int(j, "bytes_total", fv_ledger_total(l));
  if (limit > 0) fv_json_int(j, "limit", limit);
  fv_json_bool(j, "fits", limit <= 0 || fv_ledger_total(l) <= limit);
  fv_json_end(j, '}');
}

fv_status fv_plan(const fv_train_request *rq, char **json) {
  fv_trainer *t;
  fv_json j = {0};
  *json = NULL;
  FV_TRY(fv_trainer_new(rq, true, &t));
  fv_status status = fv_trainer_open_loaders(t);
  if (status == FV_OK) plan_json(t, rq->memory_limit, &j);
  fv_trainer_free(t);
  return fv_json_give(&j, status, "plan", json);
}

/* ---- the run directory ------------------------------------------------------------------------------------------- */
/* The slashes at the end go, so that "OUT.1" is a name beside it. */
static fv_status name_out(fv_trainer *t, const char *given) {
  size_t n = strlen(given);
  t->out = fv_arena_strdup(t->m->arena, given);
  FV_REQUIRE(t->out, FV_ERR_MEMORY, "train: out of memory");
  while (n > 1 && t->out[n - 1] == '/') t->out[--n] = 0;
  return FV_OK;
}

static bool run_is_there(const fv_trainer *t) {
  char config[FV_RUN_PATH];
  return fv_trainer_path(t, "config.json", config) == FV_OK && fv_path_exists(config);
}

/* Moves the run to a free name beside it. */
static fv_status move_aside(const fv_trainer *t) {
  char old[FV_RUN_PATH], text[2 * FV_RUN_PATH];
  for (int i = 1; i < 10000; i++) {
    int n = snprintf(old, sizeof old, "%s.%d", t->out, i);
    FV_REQUIRE(n > 0 && (size_t)n < sizeof old, FV_ERR_REQUEST, "%s: expected a shorter name for the run directory",
               t->out);
    if (fv_path_exists(old)) continue;
    FV_REQUIRE(rename(t->out, old) == 0, FV_ERR_IO, "%s: expected to move the earlier run to %s, got %s", t->out, old,
               strerror(errno));
    snprintf(text, sizeof text, "the earlier run in %s is now in %s", t->out, old);
    if (t->rq->report) t->rq->report(t->rq->arg, &(fv_train_event){.phase = "note", .text = text});
    return FV_OK;
  }
  return FV_FAIL(FV_ERR_REQUEST, "%s: expected fewer earlier runs beside it", t->out);
}

/* A run that is already there is moved aside, never written over; the lock goes with the name. */
static fv_status set_aside(fv_trainer *t) {
  if (!run_is_there(t)) return FV_OK;
  FV_TRY(move_aside(t));
  fv_lock_release(t->lock);
  t->lock = NULL;
  FV_TRY(fv_dir_make(t->out));
  return fv_lock_take(t->out, &t->lock);
}

static fv_status write_config(const fv_trainer *t) {
  char path[FV_RUN_PATH];
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(fv_trainer_path(t, "config.json", path));
  fv_json_begin(&j, NULL, '{');
  FV_TRY_DONE(fv_model_describe(t->m, &j));
  fv_json_end(&j, '}');
  fv_text_printf(&j.text, "\n");
  FV_TRY_DONE(fv_json_write(&j, "train", path));
done:
  fv_json_free(&j);
  return status;
}

/* Resuming where there is a run: its settings must be these. *finished is its result when it has come to its end. */
static fv_status prepare_out(fv_trainer *t, char **finished) {
  char result[FV_RUN_PATH];
  size_t n;
  *finished = NULL;
  if (!t->rq->resume || !run_is_there(t)) {
    FV_TRY(set_aside(t));
    return write_config(t);
  }
  FV_TRY(fv_run_compare(t));
  FV_TRY(fv_trainer_path(t, "result.json", result));
  if (fv_path_exists(result)) return fv_file_read(result, (size_t)1 << 20, (uint8_t **)finished, &n);
  FV_TRY(fv_checkpoint_load(t));
  return t->best && t->at.best_epoch ? fv_checkpoint_load_best(t, t->best) : FV_OK;
}

/* ---- epochs ------------------------------------------------------------------------------------------------------ */
static void report(const fv_trainer *t, const char *phase, double loss, double metric) {
  if (!t->rq->report) return;
  double spent = fv_seconds() - t->started;
  int64_t done = t->at.step - (int64_t)t->wall_before;
  double rate = done > 0 ? (double)done / spent : 0;
  fv_train_event e = {.phase = phase,
                      .epoch = t->at.epoch + (t->at.position > 0),
                      .epochs = fv_ceil_div(t->steps, t->steps_an_epoch),
                      .step = t->at.step,
                      .steps = t->steps,
                      .loss = loss,
                      .metric = metric,
                      .metric_name = t->m->recipe->metric,
                      .rate = fv_schedule_rate(&t->m->train, FV_MAX(t->at.step - 1, 0), t->steps, t->steps_an_epoch),
                      .samples_per_second = rate * (double)t->m->train.batch,
                      .seconds_left = rate > 0 ? (double)(t->steps - t->at.step) / rate : 0};
  t->rq->report(t->rq->arg, &e);
}

static fv_status scores_of(fv_trainer *t, fv_loader *loader, bool stoppable, fv_scores *scores) {
  return fv_evaluate(t->m, &t->m->eval, t->kept, loader, t->data, stoppable, scores, NULL, NULL);
}

static bool run_ended(const fv_trainer *t) {
  bool stale = t->m->train.patience && t->n_validation && t->at.stale >= t->m->train.patience;
  return t->at.step >= t->steps || stale;
}

/* What the epoch's end was worth: `keep` its weights, and whether it is `progress`, by which patience counts. */
typedef struct verdict {
  bool keep, progress;
} verdict;

static verdict judge(const fv_trainer *t, const fv_scores *v) {
  const fv_progress_point *at = &t->at;
  if (at->best_epoch == 0) return (verdict){isfinite(v->metric), isfinite(v->metric)};
  if (t->m->train.choose == FV_CHOOSE_BOTH) {
    const bool metric = t->m->recipe->lower_is_better ? v->metric <= at->best : v->metric >= at->best;
    return (verdict){metric && v->loss <= at->best_loss, metric || v->loss <= at->best_loss};
  }
  const bool better = t->m->train.choose == FV_CHOOSE_LOSS ? v->loss < at->best_loss
                                                           : fv_scores_better(t->m, v, at->best, at->best_loss);
  return (verdict){better, better};
}

/* What later epochs are measured by: the kept weights' scores; choose=both: the best of each there was. */
static void set_best(fv_trainer *t, const fv_scores *v, verdict it) {
  fv_progress_point *at = &t->at;
  const bool first = at->best_epoch == 0, both = t->m->train.choose == FV_CHOOSE_BOTH;
  at->stale = it.progress ? 0 : at->stale + 1;
  if (it.keep) at->best_epoch = fv_ceil_div(at->step, t->steps_an_epoch);
  if (it.keep && (first || !both)) at->best = v->metric, at->best_loss = v->loss;
  if (!both || at->best_epoch == 0) return;
  at->best = t->m->recipe->lower_is_better ? fmin(at->best, v->metric) : fmax(at->best, v->metric);
  at->best_loss = fmin(at->best_loss, v->loss);
}

/* The checkpoint last: what it speaks of is there. */
static fv_status save(fv_trainer *t) {
  FV_TRY(fv_record_flush(t));
  if (t->best_unsaved) FV_TRY(fv_checkpoint_save_best(t, t->best));
  t->best_unsaved = false;
  return fv_checkpoint_save(t);
}

/* Goes through also when asked to stop: a checkpoint lies between steps, never within the end of an epoch. */
static fv_status end_epoch(fv_trainer *t) {
  int64_t steps = t->at.position ? t->at.position : t->steps_an_epoch;
  double loss = t->at.loss_sum / (double)steps, metric = t->at.metric_sum / (double)steps;
  double rate = fv_schedule_rate(&t->m->train, t->at.step - 1, t->steps, t->steps_an_epoch);
  t->at.loss_sum = t->at.metric_sum = 0;
  fv_scores v;
  FV_TRY(fv_trainer_check_weights(t));
  if (t->n_validation) {
    FV_TRY(scores_of(t, t->validate, false, &v));
    const verdict it = judge(t, &v);
    set_best(t, &v, it);
    t->best_unsaved |= it.keep;
    if (it.keep) memcpy(t->best, t->kept, (size_t)t->m->params->size * sizeof(float));
  }
  FV_TRY(fv_record_epoch(t, rate, loss, metric, t->n_validation ? &v : NULL));
  report(t, "epoch", t->n_validation ? v.loss : loss, t->n_validation ? v.metric : metric);
  return t->m->train.save_every && !run_ended(t) ? FV_OK : save(t);
}

static fv_status run_epochs(fv_trainer *t) {
  const fv_train_settings *s = &t->m->train;
  t->started = fv_seconds();
  t->wall_before = (double)t->at.step;
  while (!run_ended(t)) {
    uint64_t before = *fv_memory_get_tally();
    FV_TRY(fv_trainer_step(t));
    t->step_allocations += *fv_memory_get_tally() - before;
    int64_t in_epoch = t->at.position ? t->at.position : t->steps_an_epoch;
    report(t, "train", t->at.loss_sum / (double)in_epoch, t->at.metric_sum / (double)in_epoch);
    if (t->at.position == 0 || t->at.step == t->steps) FV_TRY(end_epoch(t));
    if (s->save_every && t->at.step % s->save_every == 0 && !run_ended(t)) FV_TRY(save(t));
    if (fv_stop_requested() && !run_ended(t)) {
      FV_TRY(save(t));
      return FV_FAIL(FV_ERR_STOPPED, "stopped at step %lld of %lld: saved in %s; --resume goes on",
                     (long long)t->at.step, (long long)t->steps, t->out);
    }
  }
  return FV_OK;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */
/* What a model that writes has written for the test split, against what should be there. */
static fv_status test_bleu(fv_trainer *t, fv_scores *test) {
  fv_writer *writer;
  if (!t->m->recipe->writes) return FV_OK;
  FV_TRY(fv_model_writer(t->m, NULL, false, &writer));
  return fv_writer_bleu(writer, t->kept, t->data, FV_SPLIT_TEST, true, &test->bleu, NULL, NULL);
}

static fv_status result_json(fv_trainer *t, const fv_scores *test, double kept, double seconds, int64_t steps,
                             fv_json *j) {
  char sha[65], key[96];
  FV_TRY(fv_model_weights_sha256(t->m, t->kept, sha));
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "recipe", t->m->recipe->info.name);
  fv_json_text(j, "dataset", t->data->name);
  fv_json_begin(j, "metrics", '{');
  fv_scores_json(t->m, test, j);
  snprintf(key, sizeof key, "validation_%s", t->m->recipe->metric);
  if (t->n_validation) fv_json_real(j, key, kept);
  fv_json_end(j, '}');
  fv_json_int(j, "epochs", fv_ceil_div(t->at.step, t->steps_an_epoch));
  fv_json_int(j, "steps", t->at.step);
  if (t->n_validation) fv_json_int(j, "best_epoch", t->at.best_epoch);
  fv_json_int(j, "test_samples", test->samples);
  if (t->data->skipped) fv_json_int(j, "skipped_rows", t->data->skipped);
  fv_json_real(j, "seconds", seconds);
  fv_json_real(j, "samples_per_second", seconds > 0 ? (double)(steps * t->m->train.batch) / seconds : 0);
  fv_json_int(j, "parameters", t->m->params->count);
  if (t->m->train.vectors) fv_json_int(j, "vectors_found", t->m->vectors.found);
  fv_json_int(j, "threads", fv_pool_threads(t->m->pool));
  fv_json_int(j, "peak_bytes", fv_ledger_total(&t->m->ledger));
  fv_json_int(j, "resident_bytes", fv_peak_rss_bytes());
  fv_json_int(j, "step_allocations", (int64_t)t->step_allocations);
  fv_json_text(j, "weights_sha256", sha);
  fv_json_text(j, "out", t->out);
  fv_json_end(j, '}');
  return j->text.failed ? FV_FAIL(FV_ERR_MEMORY, "train: out of memory") : FV_OK;
}

/* The best weights so far are the result; the test split is looked at here, once. */
static fv_status finish(fv_trainer *t, double seconds, int64_t steps, char **json) {
  char model[FV_RUN_PATH], result[FV_RUN_PATH];
  fv_json j = {0};
  fv_scores test, kept = {.metric = t->at.best};
  fv_status status = FV_OK;
  FV_TRY_DONE(fv_trainer_path(t, "model.safetensors", model));
  FV_TRY_DONE(fv_trainer_path(t, "result.json", result));
  if (t->best && t->at.best_epoch) memcpy(t->kept, t->best, (size_t)t->m->params->size * sizeof(float));
  report(t, "evaluate", 0, 0);
  if (t->n_validation && t->m->train.choose == FV_CHOOSE_BOTH) FV_TRY_DONE(scores_of(t, t->validate, true, &kept));
  FV_TRY_DONE(scores_of(t, t->test, true, &test));
  FV_TRY_DONE(test_bleu(t, &test));
  FV_TRY_DONE(result_json(t, &test, kept.metric, seconds, steps, &j));
  FV_TRY_DONE(fv_record_close(t));
  FV_TRY_DONE(fv_model_save(t->m, t->kept, j.text.s, model));
  FV_TRY_DONE(fv_file_write(result, j.text.s, j.text.n));
  report(t, "done", test.loss, test.metric);
done:
  return fv_json_give(&j, status, "train", json);
}

static fv_status run(fv_trainer *t, char **json) {
  FV_TRY(prepare_out(t, json));
  if (*json) return FV_OK;
  FV_TRY(fv_trainer_open_loaders(t));
  FV_TRY(fv_record_open(t));
  int64_t from = t->at.step;
  double began = fv_seconds();
  FV_TRY(run_epochs(t));
  return finish(t, fv_seconds() - began, t->at.step - from, json);
}

/* A run that fails on its numbers names the checkpoint from before; one that is stopped at its very end says what is
 * left. */
static fv_status explain_failure(const fv_trainer *t, fv_status status) {
  char last[FV_RUN_PATH], text[1024];
  snprintf(text, sizeof text, "%s", fv_error_message());
  if (status == FV_ERR_STOPPED && run_ended(t))
    return FV_FAIL(status, "%s: training is done and saved in %s; --resume goes on", text, t->out);
  if (status != FV_ERR_NUMERIC) return status;
  if (fv_checkpoint_last(t, last) != FV_OK || !*last)
    return FV_FAIL(status, "%s; there is no checkpoint from before", text);
  return FV_FAIL(status, "%s; the last good checkpoint is %s", text, last);
}

fv_status fv_train(const fv_train_request *rq, char **json) {
  fv_trainer *t = NULL;
  fv_status status = FV_OK;
  fv_tally made = 0, *before = fv_memory_tally(&made); /* other runs may be under way beside it */
  *json = NULL;
  FV_REQUIRE_DONE(rq->out && *rq->out, FV_ERR_REQUEST, "train: expected a directory for the run (out), got none");
  FV_TRY_DONE(fv_trainer_new(rq, false, &t));
  FV_TRY_DONE(name_out(t, rq->out));
  FV_TRY_DONE(fv_dir_make(t->out));
  FV_TRY_DONE(fv_lock_take(t->out, &t->lock));
  FV_TRY_DONE(run(t, json));
done:
  if (status != FV_OK && t) status = explain_failure(t, status);
  fv_trainer_free(t);
  fv_memory_tally(before);
  return status;
}
