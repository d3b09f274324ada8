/* SPDX-License-Identifier: Apache-2.0 */
/* few_shot.h (private): what the networks of few-shot share. */
#ifndef FV_MODELS_FEW_SHOT_H
#define FV_MODELS_FEW_SHOT_H

#include "models/recipe.h"

typedef struct fv_few_shot_settings {
  int64_t net, channels, reads;
  bool fce, turns;
  double scale;
} fv_few_shot_settings;

/* Episodes, n of them, as vectors. */
typedef struct fv_episode {
  int64_t n, support, query; /* pictures of each in an episode */
  fv_value *shown, *asked;   /* [n,support,E], [n,query,E] */
  fv_value *label;           /* i32 [n,support]: of what is shown */
} fv_episode;
/* A picture becomes a vector by four blocks of convolution, normalisation, relu and pooling, which all networks of the
 * literature have. Parameters encoder.0.conv, encoder.0.norm, ... */
fv_episode fv_few_shot_episode(fv_graph *g, const fv_few_shot_settings *s, const fv_problem *task, int64_t n,
                               bool training);

#endif
