/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.h: what the operations of an optimiser's step share. They work over flat slabs: inputs p [n], g [n], the
 * states [n] each, then `hyper` [8]; outputs the new p, then the new states. Every output may be the memory of the
 * input it replaces. Numbers that change from step to step are an input, not attributes: a step is built once. */
#ifndef FV_OPS_OPTIMIZER_H
#define FV_OPS_OPTIMIZER_H

#include "ir/ir.h"

enum { FV_HYPERS = 8 };
typedef enum fv_hyper {
  FV_HYPER_RATE,     /* learning rate; ema_step: the weight of the new value */
  FV_HYPER_DECAY,    /* weight decay */
  FV_HYPER_SCALE,    /* the gradient is multiplied by it first (clipping) */
  FV_HYPER_MOMENTUM, /* sgd, rmsprop: momentum */
  FV_HYPER_FIRST,    /* weight of the gradient in its mean: sgd 1 - dampening (1 in the first step), adamw 1 - beta1 */
  FV_HYPER_SECOND,   /* weight of the square in its mean: adamw 1 - beta2, rmsprop 1 - alpha */
  FV_HYPER_EPS,
  FV_HYPER_ROOT,     /* adamw: sqrt(1 - beta2^t) */
  FV_HYPER_STEP = FV_HYPER_MOMENTUM /* adamw: rate / (1 - beta1^t) */
} fv_hyper;

typedef struct fv_sgd_step_attrs {
  bool nesterov;
} fv_sgd_step_attrs;
typedef struct fv_adamw_step_attrs {
  bool coupled; /* decay is part of the gradient */
} fv_adamw_step_attrs;

/* p, g, n_states states: equal [n]; hyper [8]. */
fv_status fv_optimizer_infer(fv_infer *c, int n_states);
/* Hyper h as a double. */
static inline double fv_hyper_get(const fv_call *c, fv_hyper h) { return fv_get(&c->in[c->n_in - 1], h); }

#endif
