/* SPDX-License-Identifier: Apache-2.0 */
/* recommend.h (private to src/models): what the networks of the recipe `recommend` share. */
#ifndef FV_MODELS_RECOMMEND_H
#define FV_MODELS_RECOMMEND_H

#include "models/recipe.h"

typedef struct fv_recommend_settings {
  int64_t model, pool, width, small, attention, activation, spare;
  fv_int_list hidden;
  double dropout, forget_user, forget_item;
} fv_recommend_settings;

/* The samples, as rows of tables. What is asked about and the history lie one behind the other, 1 + T of them. */
typedef struct fv_tastes {
  int64_t n, t;
  fv_value *user;                   /* [n,1] */
  fv_value *items, *levels, *kinds; /* [n,1+T], [n,1+T] of fv_level, [n,(1+T)*K]; kinds NULL: there are none */
  fv_value *traits;                 /* [n,P]; NULL: there are none */
  fv_value *mask;                   /* u8 [n,T]: where there is a history */
} fv_tastes;
/* Of each kind the mean of its vectors: [n,1+T,width]. */
fv_value *fv_taste_kinds(fv_graph *g, const fv_tastes *in, const fv_problem *task, int64_t width, double deviation);
/* where u8 [n,T]: the sum of x [n,T,E] there, [n,E]; how many there are, at least 1, [n,1]. */
fv_value *fv_taste_sum(fv_graph *g, fv_value *x, fv_value *where);
fv_value *fv_taste_count(fv_graph *g, fv_value *where);

/* Xiao et al. 2017: the logit [n]. */
fv_value *fv_recommend_afm(fv_graph *g, const fv_recommend_settings *s, const fv_problem *task, const fv_tastes *in,
                           bool training);

#endif
