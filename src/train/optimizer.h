/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.h (private): from the shards' gradients to new parameters. All of it over flat slabs, split by fixed
 * blocks. */
#ifndef FV_TRAIN_OPTIMIZER_H
#define FV_TRAIN_OPTIMIZER_H

#include "ir/single.h"
#include "train/train.h"

enum { FV_OPTIMIZER_STATES = 2 };

typedef struct fv_optimizer {
  const fv_params *params;
  const fv_train_settings *settings;
  int64_t shards;
  float *gradients, *gradient;        /* [shards, size]: each shard's own; [size]: their mean */
  float *state[FV_OPTIMIZER_STATES];  /* [size]: momentum, squares; NULL where the rule has none */
  float *mean;                        /* [size]: exponential mean of the weights; NULL when there is none */
  float *squares;                     /* partial sums of the gradient's norm */
  fv_single *average, *norm, *update[2], *follow, *ema; /* update: with decay, without */
} fv_optimizer;

fv_status fv_optimizer_new(fv_ledger *ledger, const fv_params *params, const fv_train_settings *settings,
                           int64_t shards, fv_optimizer *o);
void fv_optimizer_free(fv_optimizer *o);
/* One step (from 0) with learning rate `rate`. *norm: of the mean gradient, before clipping (0 when clipping is off). A
 * gradient that is not finite with clipping on leaves the parameters alone and fails with FV_ERR_NUMERIC. */
fv_status fv_optimizer_step(fv_optimizer *o, float *slab, int64_t step, double rate, fv_pool *pool, double *norm);

#endif
