/* SPDX-License-Identifier: Apache-2.0 */
/* trainer.h (private): all that a run consists of. `plan` makes one with a dry ledger; `train` makes one and runs it.
 * */
#ifndef FV_TRAIN_TRAINER_H
#define FV_TRAIN_TRAINER_H

#include "train/optimizer.h"
#include "train/train.h"

/* Where a run is. With the slabs it is everything a checkpoint holds. */
typedef struct fv_progress_point {
  int64_t step, epoch, position; /* epoch and the batch within it that come next */
  double loss_sum, metric_sum;   /* over the steps of this epoch so far */
  double best, best_loss;        /* validation metric; -1 before the first */
  int64_t best_epoch, stale;     /* epochs since the best */
} fv_progress_point;

typedef struct fv_trainer {
  const fv_train_request *rq;
  fv_model *m;
  fv_dataset *data;
  int64_t n_train, n_validation, steps, steps_an_epoch, shards;
  fv_loader *train, *validate, *test;
  fv_runners run;
  fv_optimizer optimizer;
  float *losses, *metrics[FV_METRIC_OUTPUTS]; /* one a shard, one a sample */
  fv_ranked_sample *ranked; /* of a recipe that ranks: a batch */
  int32_t (*rng)[4];       /* one a worker */
  const char *metric_output[FV_METRIC_OUTPUTS];
  fv_progress_point at;
  float *kept;             /* the weights that are evaluated and saved: the running mean when there is one */
  float *best;             /* those of the best epoch; NULL without validation */
  bool best_unsaved;
  double started, wall_before;
  uint64_t step_allocations; /* by training steps; stays 0 */
  char *history;           /* the lines of metrics.jsonl so far */
  size_t history_bytes;
  double flushed;          /* when they were last written */
  fv_events *events;
  char *out;               /* the run directory, without a slash at its end; NULL: leaves none */
  fv_lock *lock;
} fv_trainer;

/* Opens the data, builds the model, compiles, allocates. With dry nothing is allocated and no data need be there. */
fv_status fv_trainer_new(const fv_train_request *rq, bool dry, fv_trainer **t);
/* The loaders: after a checkpoint may have moved the starting point. */
fv_status fv_trainer_open_loaders(fv_trainer *t);
fv_status fv_trainer_count_rows(fv_trainer *t); /* for rows_decay; occurrences.c */
void fv_trainer_free(fv_trainer *t);
fv_status fv_trainer_step(fv_trainer *t);  /* one batch */
/* FV_ERR_NUMERIC when a weight became NaN or infinite: what is then in the slab must never be kept. */
fv_status fv_trainer_check_weights(const fv_trainer *t);
/* A file of the run directory: "config.json", "checkpoint/best.safetensors". */
enum { FV_RUN_PATH = 4096 };
fv_status fv_trainer_path(const fv_trainer *t, const char *name, char path[FV_RUN_PATH]);

/* checkpoint.c */
fv_status fv_checkpoint_save(const fv_trainer *t);
/* The newest that is whole; none at all is fine, none that is whole is not. */
fv_status fv_checkpoint_load(fv_trainer *t);
/* Where the newest is; empty when there is none. */
fv_status fv_checkpoint_last(const fv_trainer *t, char path[FV_RUN_PATH]);
fv_status fv_checkpoint_save_best(const fv_trainer *t, const float *slab); /* with the next checkpoint */
fv_status fv_checkpoint_load_best(const fv_trainer *t, float *slab);
/* The settings that the run in `out` was started with and these, compared: FV_ERR_REQUEST names the first difference.
 * */
fv_status fv_run_compare(const fv_trainer *t);

/* record.c: metrics.jsonl, the event log, curves.png */
fv_status fv_record_open(fv_trainer *t);  /* keeps what lies before t->at.step */
fv_status fv_record_epoch(fv_trainer *t, double rate, double loss, double metric, const fv_scores *validation);
fv_status fv_record_flush(fv_trainer *t); /* an epoch's line may wait a second */
fv_status fv_record_close(fv_trainer *t); /* draws the curves */

#endif
