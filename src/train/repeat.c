/* SPDX-License-Identifier: Apache-2.0 */
/* repeat.c: the same training over all folds of its data, or over many seeds: what one number is worth. Each run has a
 * directory of its own below `out`; a finished one is not done again when resuming.
 *
 * Runs have nothing to do with each other, so that threads are better spent on several at once than within one: as many
 * as there are threads and as memory allows. A run's bits do not depend on its threads, so nor on this. */
#include "train/train.h"

#include <math.h>
#include <stdatomic.h>

struct series;
typedef struct one_run {
  struct series *of;
  int i;
  char name[32]; /* "seed-3" */
  json_t *result;
  bool over;
  fv_status status;
  char message[1024]; /* of its failure: texts of failures belong to threads */
} one_run;

typedef struct series {
  const fv_train_request *rq;
  bool folds;
  int n, together, threads; /* runs in all and at a time; threads of each */
  int64_t first;            /* seed */
  int64_t bytes;            /* of a run */
  one_run *run;
  fv_gate *ready;           /* at 1 when the first run has its data: the others find them there */
  fv_mutex *mutex;          /* of what follows, and of the caller's report */
  int done, shown;          /* whose steps are reported: the first that is not over */
  double spent;             /* seconds, by those that are done */
  atomic_bool failed;       /* no more are begun */
} series;

static fv_status count_folds(const fv_train_request *rq, int *n) {
  const int recipe = fv_recipe_find(rq->recipe);
  FV_REQUIRE(recipe >= 0, FV_ERR_REQUEST, "recipe '%s': expected a known name", rq->recipe);
  const char *data = rq->data ? rq->data : fv_recipe_get_info(recipe).default_data;
  *n = fv_dataset_folds(data);
  FV_REQUIRE(*n > 0, FV_ERR_REQUEST, "folds (%s): expected data without a test part of their own; use seeds", data);
  return FV_OK;
}

static fv_status first_seed(series *s) {
  s->first = 0;
  for (int i = 0; i < s->rq->n_sets && !s->folds; i++)
    if (!strcmp(s->rq->sets[i].key, "seed"))
      FV_REQUIRE(fv_parse_int(s->rq->sets[i].value, &s->first), FV_ERR_REQUEST,
                 "seed: expected a whole number, got '%s'", s->rq->sets[i].value);
  return FV_OK;
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */
static void on_event(void *arg, const fv_train_event *event) {
  one_run *r = arg;
  series *s = r->of;
  if (r->i == 0 && strcmp(event->phase, "data") != 0 && fv_gate_value(s->ready) == 0) fv_gate_add(s->ready, 1);
  if (!s->rq->report) return;
  fv_mutex_lock(s->mutex);
  fv_train_event e = *event;
  e.run = r->name;
  e.runs = s->n;
  e.runs_done = s->done;
  e.seconds_left = s->done ? s->spent / s->done * (s->n - s->done) / s->together : 0;
  if (!strcmp(e.phase, "epoch")) e.phase = "train"; /* of a series what lasts is a run */
  if (r->i == s->shown || e.text) s->rq->report(s->rq->arg, &e);
  fv_mutex_unlock(s->mutex);
}

static void tell_done(one_run *r) {
  series *s = r->of;
  const json_t *metrics = json_object_get(r->result, "metrics");
  const char *name = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)metrics));
  fv_mutex_lock(s->mutex);
  const double seconds = json_number_value(json_object_get(r->result, "seconds"));
  r->over = true;
  s->done++;
  s->spent += seconds;
  while (s->shown < s->n && s->run[s->shown].over) s->shown++;
  if (s->rq->report)
    s->rq->report(s->rq->arg, &(fv_train_event){.phase = "run",
                                                .run = r->name,
                                                .runs = s->n,
                                                .runs_done = s->done,
                                                .epoch = json_integer_value(json_object_get(r->result, "epochs")),
                                                .metric_name = name,
                                                .metric = json_number_value(json_object_get(metrics, name)),
                                                .seconds = seconds});
  fv_mutex_unlock(s->mutex);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */
static fv_status train_one(const series *s, one_run *r, fv_setting *sets) {
  char out[4096], number[32], *json;
  fv_train_request rq = *s->rq;
  const int written = snprintf(out, sizeof out, "%s/%s", rq.out, r->name);
  FV_REQUIRE(written > 0 && (size_t)written < sizeof out, FV_ERR_REQUEST, "%s: expected a shorter name", rq.out);
  snprintf(number, sizeof number, "%lld", (long long)s->first + r->i);
  for (int k = 0; k < rq.n_sets; k++) sets[k] = rq.sets[k];
  sets[rq.n_sets++] = (fv_setting){s->folds ? "fold" : "seed", number};
  rq.sets = sets;
  rq.out = out;
  rq.threads = s->threads;
  rq.memory_limit /= s->together;
  rq.report = on_event;
  rq.arg = r;
  FV_TRY(fv_train(&rq, &json));
  fv_status status = fv_json_parse(json, strlen(json), out, (size_t)1 << 20, &r->result);
  fv_string_free(json);
  return status;
}

static fv_status run_one(const series *s, one_run *r) {
  fv_setting *sets;
  if (r->i > 0) fv_gate_wait(s->ready, 1);
  FV_REQUIRE(!fv_stop_requested(), FV_ERR_STOPPED, "stopped before %s: --resume goes on", r->name);
  FV_TRY(FV_NEW(&sets, s->rq->n_sets + 1));
  fv_status status = train_one(s, r, sets);
  fv_free(sets);
  return status;
}

static void run_task(void *arg, int64_t i, int worker) {
  series *s = arg;
  one_run *r = &s->run[i];
  (void)worker;
  if (s->failed) return; /* what has begun comes to its end: it is not lost */
  r->status = run_one(s, r);
  if (r->status == FV_OK) tell_done(r);
  else snprintf(r->message, sizeof r->message, "%s", fv_error_message());
  if (r->status != FV_OK) s->failed = true;
  if (i == 0) fv_gate_add(s->ready, 1);
}

static fv_status plan_bytes(const fv_train_request *rq, int threads, int64_t *bytes) {
  fv_train_request one = *rq;
  char *json;
  json_t *plan;
  one.threads = threads;
  FV_TRY(fv_plan(&one, &json));
  fv_status status = fv_json_parse(json, strlen(json), "plan", (size_t)1 << 20, &plan);
  fv_string_free(json);
  FV_TRY(status);
  *bytes = json_integer_value(json_object_get(plan, "bytes_total"));
  json_decref(plan);
  return FV_OK;
}

/* As many at a time as there are threads, unless asked otherwise, and as memory has room for. */
static fv_status share_out(series *s) {
  const fv_train_request *rq = s->rq;
  const int threads = rq->threads > 0 ? rq->threads : fv_cpu_count();
  const int64_t limit = rq->memory_limit > 0 ? rq->memory_limit : fv_machine_bytes();
  FV_REQUIRE(rq->together >= 0, FV_ERR_REQUEST, "together: expected a number of runs, got %d", rq->together);
  s->together = FV_MIN(rq->together > 0 ? rq->together : threads, s->n);
  for (;;) {
    s->threads = FV_MAX(threads / s->together, 1);
    if (s->together == 1) return FV_OK;
    FV_TRY(plan_bytes(rq, s->threads, &s->bytes));
    if (limit == 0 || s->bytes <= limit / s->together) return FV_OK;
    s->together = (int)FV_MAX(FV_MIN(s->together - 1, limit / s->bytes), 1);
  }
}

static void tell_plan(const series *s) {
  char text[160];
  if (!s->rq->report || s->together == 1) return;
  snprintf(text, sizeof text, "%d runs, %d at a time with %d thread%s each: %.1f MiB in all", s->n, s->together,
           s->threads, s->threads == 1 ? "" : "s", (double)(s->bytes * s->together) / 1048576.0);
  s->rq->report(s->rq->arg, &(fv_train_event){.phase = "note", .text = text});
}

static fv_status run_all(series *s) {
  fv_pool *pool;
  FV_TRY(fv_pool_new(s->together, &pool));
  fv_pool_run(pool, s->n, run_task, s);
  fv_pool_free(pool);
  for (int i = 0; i < s->n; i++)
    if (s->run[i].status != FV_OK) return FV_FAIL(s->run[i].status, "%s", s->run[i].message);
  return FV_OK;
}

/* ---- result ------------------------------------------------------------------------------------------------------ */
static double metric_of(const series *s, int i, const char *metric) {
  return json_number_value(json_object_get(json_object_get(s->run[i].result, "metrics"), metric));
}

/* Of a number of every result, with the standard deviation of a sample. */
static void statistics_json(const series *s, const char *metric, fv_json *j) {
  double sum = 0, square = 0, least = INFINITY, most = -INFINITY;
  for (int i = 0; i < s->n; i++) {
    const double v = metric_of(s, i, metric);
    sum += v;
    least = fmin(least, v);
    most = fmax(most, v);
  }
  const double mean = sum / s->n;
  for (int i = 0; i < s->n; i++) {
    const double off = metric_of(s, i, metric) - mean;
    square += off * off;
  }
  fv_json_begin(j, metric, '{');
  fv_json_real(j, "mean", mean);
  fv_json_real(j, "sd", s->n > 1 ? sqrt(square / (s->n - 1)) : 0);
  fv_json_real(j, "min", least);
  fv_json_real(j, "max", most);
  fv_json_end(j, '}');
}

static fv_status repeat_json(const series *s, double seconds, char **json) {
  fv_json j = {0};
  const char *name;
  const json_t *value, *first = s->run[0].result;
  int64_t bytes = 0;
  for (int i = 0; i < s->n; i++)
    bytes = FV_MAX(bytes, json_integer_value(json_object_get(s->run[i].result, "peak_bytes")));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "recipe", s->rq->recipe);
  fv_json_text(&j, "dataset", json_string_value(json_object_get(first, "dataset")));
  fv_json_text(&j, "over", s->folds ? "folds" : "seeds");
  fv_json_int(&j, "runs", s->n);
  fv_json_int(&j, "together", s->together);
  fv_json_begin(&j, "metrics", '{');
  json_object_foreach(json_object_get(first, "metrics"), name, value) statistics_json(s, name, &j);
  fv_json_end(&j, '}');
  fv_json_real(&j, "seconds", seconds);
  fv_json_real(&j, "run_seconds", s->spent / s->n);
  fv_json_int(&j, "peak_bytes", bytes * s->together);
  fv_json_text(&j, "out", s->rq->out);
  fv_json_end(&j, '}');
  return fv_json_give(&j, FV_OK, "repeat", json);
}

static fv_status make_runs(series *s) {
  FV_TRY(FV_NEW(&s->run, s->n));
  for (int i = 0; i < s->n; i++) {
    s->run[i] = (one_run){.of = s, .i = i};
    snprintf(s->run[i].name, sizeof s->run[i].name, "%s-%lld", s->folds ? "fold" : "seed", (long long)s->first + i);
  }
  FV_TRY(fv_gate_new(&s->ready));
  return fv_mutex_new(&s->mutex);
}

fv_status fv_train_repeat(const fv_train_request *rq, int seeds, char **json) {
  series s = {.rq = rq, .folds = seeds == 0, .n = seeds};
  fv_status status = FV_OK;
  const double began = fv_seconds();
  *json = NULL;
  FV_REQUIRE(rq->recipe && rq->out && *rq->out, FV_ERR_REQUEST,
             "repeat: expected a recipe and a directory for the runs");
  FV_REQUIRE(seeds >= 0 && seeds <= 100000, FV_ERR_REQUEST, "seeds: expected 1 to 100000, got %d", seeds);
  if (s.folds) FV_TRY(count_folds(rq, &s.n));
  FV_TRY(first_seed(&s));
  FV_TRY(share_out(&s));
  FV_TRY(fv_dir_make(rq->out));
  FV_TRY_DONE(make_runs(&s));
  tell_plan(&s);
  FV_TRY_DONE(run_all(&s));
  FV_TRY_DONE(repeat_json(&s, fv_seconds() - began, json));
done:
  for (int i = 0; s.run && i < s.n; i++) json_decref(s.run[i].result);
  fv_free(s.run);
  fv_gate_free(s.ready);
  fv_mutex_free(s.mutex);
  return status;
}
