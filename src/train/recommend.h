/* SPDX-License-Identifier: Apache-2.0 */
/* recommend.h (private): one question to a model of ratings: will this user like that item; and what of the past said
 * so. */
#ifndef FV_TRAIN_RECOMMEND_H
#define FV_TRAIN_RECOMMEND_H

#include "train/train.h"

/* Asks about samples of split test, with any part of their history. */
typedef struct fv_asker {
  fv_model *m;
  const fv_dataset *d;
  fv_runner r[FV_MAX_LENGTHS];            /* one a length, made when needed */
  const char *alpha, *pairs;              /* taps; NULL: the network has none */
  int32_t *read[FV_MAX_FIELDS], *fed[FV_MAX_FIELDS]; /* the sample, and what of it is asked with */
  int32_t *slab;
  uint8_t *kept;                          /* [longest] */
  int64_t index, n;                       /* the sample; things in its history */
} fv_asker;
fv_status fv_asker_new(fv_model *m, const fv_dataset *d, fv_asker *a);
void fv_asker_free(fv_asker *a);
void fv_asker_read(fv_asker *a, int64_t index);
/* The logit with the past items that `kept` names (NULL: all). *exec, whose outputs hold until the next call. */
fv_status fv_asker_ask(fv_asker *a, const uint8_t *kept, double *logit, const fv_exec **exec);

/* A past item and what it did to the answer. */
typedef struct fv_past {
  int64_t place, item; /* in the history; in the catalogue, -1: not there */
  int32_t level;       /* an fv_level */
  double weight;       /* of the attention; 0 where there is none */
  double effect;       /* the logit less that without it */
} fv_past;
/* Of a sample: its logit and the history [a->n], most recent last. */
fv_status fv_asker_look(fv_asker *a, int64_t index, double *logit, fv_past *past);
/* The largest weight or effect first, whatever its sign; or what spoke for the answer most first. */
typedef enum fv_past_order { FV_PAST_WEIGHT, FV_PAST_EFFECT, FV_PAST_FOR } fv_past_order;
void fv_past_sort(fv_past *past, int64_t n, fv_past_order order);
const char *fv_item_title(const fv_model *m, int64_t item);

#endif
