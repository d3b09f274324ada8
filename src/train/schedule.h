/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_TRAIN_SCHEDULE_H
#define FV_TRAIN_SCHEDULE_H

#include "train/train.h"

/* The rate of step (from 0) of a run of `steps`. */
double fv_schedule_rate(const fv_train_settings *s, int64_t step, int64_t steps, int64_t steps_an_epoch);

#endif
