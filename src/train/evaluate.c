/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c: the loss and the metric over a whole split, a batch at a time, its shards side by side. Sums run in the
 * order of samples, so they are the same however many threads there are. A recipe that ranks is judged by all scores of
 * the split together. */
#include "train/train.h"

#include <math.h>

enum { LOSS, METRIC, MORE, OUTPUTS = MORE + FV_MORE_METRICS };
typedef struct job {
  fv_runner *r; /* for the batch's length */
  const fv_dataset *data;
  const fv_batch *batch;
  const char *output[OUTPUTS]; /* loss, metric, more; of a ranking loss, score, positive */
  float *each[OUTPUTS];        /* one number a sample of the batch */
  int n;
  fv_ranked_sample *ranked;    /* of all samples */
} job;

void fv_runner_bind(fv_runner *r, int worker, const fv_dataset *data, const fv_batch *batch, int64_t shard) {
  for (int f = 0; f < data->n_fields; f++) {
    int input = fv_exec_input(r->exec[worker], data->field[f].name);
    if (input < 0) continue;
    bool image = !strcmp(data->field[f].name, "image"); /* standardised to f32 by the loader */
    size_t size = image ? sizeof(float) : fv_dtype_size(data->field[f].dtype);
    fv_shape shape = data->field[f].shape;
    if (data->field[f].varies && batch->length > 0) shape.dim[0] = batch->length;
    int64_t sample = data->field[f].shared ? 0 : fv_shape_count(shape) * (int64_t)size;
    fv_exec_bind_input(r->exec[worker], input, (const uint8_t *)batch->field[f] + shard * r->n * sample);
  }
}

static void run_shard(void *arg, int64_t shard, int worker) {
  job *j = arg;
  fv_exec *exec = j->r->exec[worker];
  fv_runner_bind(j->r, worker, j->data, j->batch, shard);
  fv_runner_run(j->r, worker);
  size_t bytes = (size_t)j->r->n * sizeof(float);
  for (int k = 0; k < j->n; k++)
    memcpy(j->each[k] + shard * j->r->n, fv_exec_output(exec, j->output[k])->data, bytes);
}

static fv_status name_outputs(const fv_model *m, job *j) {
  j->output[LOSS] = "each.loss";
  j->n = METRIC + fv_model_metric_outputs(m, j->output + METRIC);
  for (int k = 0; !m->recipe->ranks && k < fv_model_more_metrics(m); k++)
    j->output[j->n++] = fv_arena_printf(m->arena, "each.%s", m->recipe->more_metrics[k]);
  for (int k = 0; k < j->n; k++) {
    FV_REQUIRE(j->output[k], FV_ERR_MEMORY, "evaluate: out of memory");
    FV_TRY(FV_NEW(&j->each[k], m->train.batch));
  }
  return FV_OK;
}

static void means_of(const job *j, const double sum[OUTPUTS], fv_scores *s) {
  double *const mean[OUTPUTS] = {&s->loss, &s->metric, &s->more[0], &s->more[1], &s->more[2]};
  for (int k = 0; k < j->n; k++) *mean[k] = sum[k] / (double)FV_MAX(s->samples, 1);
}

static double interval_of(const fv_scores *s, double squares) {
  const double n = (double)s->samples, variance = n > 1 ? (squares - n * s->metric * s->metric) / (n - 1) : 0;
  return 1.96 * sqrt(FV_MAX(variance, 0) / FV_MAX(n, 1));
}

static void keep_ranked(job *j, fv_split split, int64_t at) {
  for (int64_t i = 0; i < j->batch->n; i++) {
    const int64_t group = j->data->group ? j->data->group(j->data, split, j->batch->index[i]) : 0;
    j->ranked[at + i] = (fv_ranked_sample){group, j->each[METRIC][i], j->each[METRIC + 1][i] > 0};
  }
}

fv_status fv_evaluate(fv_model *m, fv_runners *r, const float *params, fv_loader *loader, const fv_dataset *data,
                      bool stoppable, fv_scores *scores, fv_train_report *report, void *arg) {
  fv_status status = FV_OK;
  int64_t batches = fv_loader_batches(loader);
  job j = {.data = data};
  double sum[OUTPUTS] = {0}, squares = 0;
  *scores = (fv_scores){0};
  FV_TRY_DONE(name_outputs(m, &j));
  if (m->recipe->ranks) FV_TRY_DONE(FV_NEW(&j.ranked, batches * m->train.batch));
  r->fresh = -1;
  for (int64_t b = 0; b < batches; b++) {
    j.batch = fv_loader_next(loader);
    j.r = &r->of[j.batch->bucket];
    FV_TRY_DONE(fv_runners_refresh(r, j.batch->bucket, params, m->pool));
    fv_pool_run(m->pool, m->train.batch / j.r->n, run_shard, &j);
    for (int k = 0; k < j.n; k++)
      for (int64_t i = 0; i < j.batch->n; i++) sum[k] += (double)j.each[k][i];
    for (int64_t i = 0; i < j.batch->n; i++) squares += pow((double)j.each[METRIC][i], 2);
    if (j.ranked) keep_ranked(&j, fv_loader_split(loader), scores->samples);
    scores->samples += j.batch->n;
    if (report) report(arg, &(fv_train_event){.phase = "evaluate", .step = b + 1, .steps = batches});
    FV_REQUIRE_DONE(!stoppable || !fv_stop_requested(), FV_ERR_STOPPED, "stopped while evaluating");
  }
  means_of(&j, sum, scores);
  scores->interval = interval_of(scores, squares);
  if (j.ranked) scores->more[0] = fv_group_auc(j.ranked, scores->samples);
  if (j.ranked) scores->metric = fv_auc(j.ranked, scores->samples);
done:
  fv_free(j.ranked);
  for (int k = 0; k < OUTPUTS; k++) fv_free(j.each[k]);
  return status;
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */
int fv_model_more_metrics(const fv_model *m) {
  int n = 0;
  while (m->recipe->more_metrics && m->recipe->more_metrics[n]) n++;
  return FV_MIN(n, FV_MORE_METRICS);
}

void fv_scores_json(const fv_model *m, const fv_scores *s, fv_json *j) {
  if (m->recipe->writes) fv_json_real(j, "bleu", s->bleu);
  char interval[96];
  snprintf(interval, sizeof interval, "%s_interval", m->recipe->metric);
  fv_json_real(j, m->recipe->metric, s->metric);
  if (m->recipe->interval) fv_json_real(j, interval, s->interval);
  for (int k = 0; k < fv_model_more_metrics(m); k++) fv_json_real(j, m->recipe->more_metrics[k], s->more[k]);
  fv_json_real(j, "loss", s->loss);
  if (m->recipe->writes) fv_json_real(j, "perplexity", exp(s->loss));
}

bool fv_scores_better(const fv_model *m, const fv_scores *a, double metric, double loss) {
  if (a->metric == metric) return a->loss < loss;
  return m->recipe->lower_is_better ? a->metric < metric : a->metric > metric;
}
