/* SPDX-License-Identifier: Apache-2.0 */
/* snail.h (private to src/models): the blocks of SNAIL (Mishra et al. 2018, fig. 2) for sequences that begin alike. All
 * of them are causal, so the steps of a support set are the same whatever follows: it is worked out once, and each
 * query is the step after it. A sequence is x [n,S+Q,C]: S steps of the support, then Q queries that do not see each
 * other. */
#ifndef FV_MODELS_SNAIL_H
#define FV_MODELS_SNAIL_H

#include "attention/attention.h"

typedef struct fv_snail_steps {
  fv_value *x;     /* [n,S+Q,C] */
  int64_t support; /* S */
  int64_t turns;   /* n is so many times the episodes, turn after turn */
} fv_snail_steps;

/* Dilated causal convolutions of two steps, 1, 2, 4, ... apart, until the last step of `length` sees the first; each
 * adds `filters` channels, gated by tanh and sigmoid. Parameters I.weight [2 filters,C,2], I.bias. */
void fv_snail_temporal(fv_graph *g, fv_snail_steps *s, const char *name, int64_t length, int64_t filters);
/* Each step looks at itself and the support before it: adds `values` channels. Parameters query, key, value, weights
 * and biases. The tap "weights": what each query looked at, the mean over turns in the order of the first. */
void fv_snail_attention(fv_graph *g, fv_snail_steps *s, const char *name, int64_t keys, int64_t values);
/* The network of section 5.1 for sequences of `length`: logits [n,Q,classes]. */
fv_value *fv_snail(fv_graph *g, fv_snail_steps s, int64_t length, int64_t classes);

/* Pictures as vectors: examples [n,S,E] with their classes, one-hot [n,S,K], and queries [n,Q,E]. */
typedef struct fv_snail_episode {
  fv_value *shown, *class, *asked;
} fv_snail_episode;
/* Each query's class, logits [n,Q,K], from steps that are a picture's vector with its class beside it, zeros where that
 * is asked for. The network tells steps by their order and classes by their numbers, and neither means anything: with
 * several `turns` the probabilities are the mean over so many turns of both. As many as S and as K leave no say to
 * where an order or a numbering begins. */
fv_value *fv_snail_classify(fv_graph *g, const fv_snail_episode *e, int64_t length, int64_t turns);

#endif
