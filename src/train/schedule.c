/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c: the learning rate of a step. One-cycle: cosine up to the peak, cosine down to (almost) nothing (Smith &
 * Topin 2019); cosine: linear warm-up, then half a cosine (Loshchilov & Hutter 2017). */
#include "train/schedule.h"

#include <math.h>

static double cosine(double from, double to, double at) {
  return to + (from - to) * 0.5 * (1 + cos(3.14159265358979323846 * at));
}

double fv_schedule_rate(const fv_train_settings *s, int64_t step, int64_t steps, int64_t steps_an_epoch) {
  double total = (double)FV_MAX(steps, 1), up = floor(s->warmup * total), at = (double)step;
  bool climbing = at < up;
  double rest = (at - up) / FV_MAX(total - up, 1);
  switch (s->schedule) {
    case FV_SCHEDULE_ONECYCLE:
      return climbing ? cosine(s->lr / 25, s->lr, (at + 1) / up) : cosine(s->lr, s->lr * s->lr_final, rest);
    case FV_SCHEDULE_COSINE: return climbing ? s->lr * (at + 1) / up : cosine(s->lr, s->lr * s->lr_final, rest);
    case FV_SCHEDULE_STEP: {
      double drops = floor((double)(step / FV_MAX(steps_an_epoch, 1)) / (double)s->step_size);
      return climbing ? s->lr * (at + 1) / up : s->lr * pow(s->gamma, drops);
    }
    default: return climbing ? s->lr * (at + 1) / up : s->lr;
  }
}
