/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.h (private): from the shards' gradients to new parameters. All of it over flat slabs, split by fixed
 * blocks. */
#ifndef FV_TRAIN_OPTIMIZER_H
#define FV_TRAIN_OPTIMIZER_H

#include "ir/single.h"
#include "train/train.h"

enum { FV_OPTIMIZER_STATES = 2 };

/* A table of which only the rows that a step looks up are trained (FV_GROUP_ROWS). Shards leave what they looked up and
 * the gradients of it; the step chains the entries of each row in the order of shards and positions and sums them. */
typedef struct fv_row_table {
  const char *ids, *dy;    /* names of a shard's outputs */
  int64_t offset, rows, width, most; /* in the slab; most: entries of a shard */
  int32_t padding;
  int32_t *id, *next;      /* [shards, most]: the row, and the next entry of the same row (-1: none) */
  float *gradient;         /* [shards, most, width] */
  int64_t *n;              /* [shards]: entries of this step */
  int32_t *head, *tail;    /* [rows]: its first and last entry; -1 where a step has none */
  int32_t *touched;        /* rows of this step, in the order they came up */
  double *square;          /* of each, the sum of its gradient's squares */
  int64_t n_touched;
  float *decay;            /* [rows]: the share of it that goes when a step looks it up; NULL: none */
  fv_single *update;       /* of one row */
} fv_row_table;

typedef struct fv_optimizer {
  const fv_params *params;
  const fv_train_settings *settings;
  int64_t shards;
  float *gradients, *gradient;        /* [shards, dense]: each shard's own; [dense]: their mean */
  int64_t dense;                      /* floats before the tables of rows */
  float *state[FV_OPTIMIZER_STATES];  /* [size]: momentum, squares; NULL where the rule has none */
  float *mean;                        /* [size]: exponential mean of the weights; NULL when there is none */
  float *squares;                     /* partial sums of the gradient's norm */
  fv_row_table *table;
  int n_tables;
  void *table_slab;
  fv_single *average, *norm, *update[2], *follow, *ema; /* update: with decay, without */
} fv_optimizer;

fv_status fv_optimizer_new(fv_ledger *ledger, const fv_params *params, const fv_train_settings *settings,
                           int64_t shards, fv_optimizer *o);
void fv_optimizer_free(fv_optimizer *o);
/* One step (from 0) with learning rate `rate`. *norm: of the mean gradient, before clipping (0 when clipping is off). A
 * gradient that is not finite with clipping on leaves the parameters alone and fails with FV_ERR_NUMERIC. */
fv_status fv_optimizer_step(fv_optimizer *o, float *slab, int64_t step, double rate, fv_pool *pool, double *norm);

/* The rule for `size` numbers, and one use of it: those of the slab from `at` on. */
fv_status fv_optimizer_new_update(const fv_optimizer *o, int64_t size, fv_single **update);
void fv_optimizer_update(const fv_optimizer *o, fv_single *update, float *slab, int64_t at, float *gradient,
                         float *hyper, fv_pool *pool);

/* ---- tables of rows (optimizer_rows.c) --------------------------------------------------------------------------- */
/* Those of a differentiated graph, the largest of those that will run. */
fv_status fv_optimizer_add_tables(fv_optimizer *o, fv_ledger *ledger, const fv_graph *g);
void fv_optimizer_free_tables(fv_optimizer *o);
/* After a shard ran: keeps the rows' gradients. */
void fv_optimizer_take_rows(fv_optimizer *o, const fv_exec *exec, int64_t shard);
/* The parts of a step: each row's mean gradient and its squares; the rows' update. */
void fv_optimizer_gather_rows(fv_optimizer *o, fv_pool *pool);
void fv_optimizer_update_rows(fv_optimizer *o, float *slab, float *hyper, fv_pool *pool);

#endif
