/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate.c: the loss and the metric over a whole split, a batch at a time, its shards side by side. Sums run in the
 * order of samples, so they are the same however many threads there are. */
#include "train/train.h"

typedef struct job {
  fv_runner *r; /* for the batch's length */
  const fv_dataset *data;
  const fv_batch *batch;
  const char *metric;
  float *loss, *hit; /* one a sample of the batch */
} job;

void fv_runner_bind(fv_runner *r, int worker, const fv_dataset *data, const fv_batch *batch, int64_t shard) {
  for (int f = 0; f < data->n_fields; f++) {
    int input = fv_exec_input(r->exec[worker], data->field[f].name);
    if (input < 0) continue;
    bool image = !strcmp(data->field[f].name, "image"); /* standardised to f32 by the loader */
    size_t size = image ? sizeof(float) : fv_dtype_size(data->field[f].dtype);
    fv_shape shape = data->field[f].shape;
    if (data->field[f].varies && batch->length > 0) shape.dim[0] = batch->length;
    int64_t sample = fv_shape_count(shape) * (int64_t)size;
    fv_exec_bind_input(r->exec[worker], input, (const uint8_t *)batch->field[f] + shard * r->n * sample);
  }
}

static void run_shard(void *arg, int64_t shard, int worker) {
  job *j = arg;
  fv_exec *exec = j->r->exec[worker];
  fv_runner_bind(j->r, worker, j->data, j->batch, shard);
  fv_exec_run(exec);
  size_t bytes = (size_t)j->r->n * sizeof(float);
  memcpy(j->loss + shard * j->r->n, fv_exec_output(exec, "each.loss")->data, bytes);
  memcpy(j->hit + shard * j->r->n, fv_exec_output(exec, j->metric)->data, bytes);
}

fv_status fv_evaluate(fv_model *m, fv_runners *r, const float *params, fv_loader *loader, const fv_dataset *data,
                      bool stoppable, fv_scores *scores, fv_train_report *report, void *arg) {
  fv_status status = FV_OK;
  int64_t batches = fv_loader_batches(loader);
  job j = {.data = data, .metric = fv_model_metric_output(m)};
  double loss = 0, hits = 0;
  *scores = (fv_scores){0};
  FV_TRY_DONE(FV_NEW(&j.loss, m->train.batch));
  FV_TRY_DONE(FV_NEW(&j.hit, m->train.batch));
  FV_REQUIRE_DONE(j.metric, FV_ERR_MEMORY, "evaluate: out of memory");
  r->fresh = -1;
  for (int64_t b = 0; b < batches; b++) {
    j.batch = fv_loader_next(loader);
    j.r = &r->of[j.batch->bucket];
    FV_TRY_DONE(fv_runners_refresh(r, j.batch->bucket, params, m->pool));
    fv_pool_run(m->pool, m->train.batch / j.r->n, run_shard, &j);
    for (int64_t i = 0; i < j.batch->n; i++) {
      loss += (double)j.loss[i];
      hits += (double)j.hit[i];
    }
    scores->samples += j.batch->n;
    if (report) report(arg, &(fv_train_event){.phase = "evaluate", .step = b + 1, .steps = batches});
    FV_REQUIRE_DONE(!stoppable || !fv_stop_requested(), FV_ERR_STOPPED, "stopped while evaluating");
  }
  scores->loss = loss / (double)FV_MAX(scores->samples, 1);
  scores->metric = hits / (double)FV_MAX(scores->samples, 1);
done:
  fv_free(j.loss);
  fv_free(j.hit);
  return status;
}
