/* SPDX-License-Identifier: Apache-2.0 */
/* recommend_afm.c: attentional factorisation machine (Xiao et al., IJCAI 2017, eq. 7): every feature is a vector, every
 * pair of features their element-wise product, and a small net says how much each pair counts. Features are user, item,
 * each trait, the item's kinds, and of the history the means of what was liked and of what was not. A table's last
 * column is the weight that a value has by itself. */
#include "models/recommend.h"

#include "ops/lookup.h"
#include "ops/slice.h"
#include "ops/softmax.h"

enum { MOST = 32 };
static const double APART = 0.2; /* of vectors at first */
typedef struct features {
  int n;
  fv_value *v[MOST]; /* [n,1 or more,width + 1] */
} features;

/* Of past items that were thought of like this, over all of the history: how many there are of them shows, too. */
static fv_value *past(fv_graph *g, const fv_tastes *in, fv_value *items, int32_t level) {
  fv_value *levels = fv_slice_of(g, in->levels, 1, 1, in->t);
  fv_value *is = fv_op(g, "eq", NULL, levels, fv_const_data(g, FV_I32, FV_SCALAR, &level));
  fv_value *sum = fv_taste_sum(g, fv_slice_of(g, items, 1, 1, in->t), is);
  return fv_reshape(g, fv_op(g, "div", NULL, sum, fv_taste_count(g, in->mask)), FV_SHAPE(in->n, 1, fv_dim(items, 2)));
}

static fv_value *features_of(fv_graph *g, const fv_recommend_settings *s, const fv_problem *task, const fv_tastes *in) {
  const int64_t width = s->width + 1;
  features f = {0};
  fv_value *items = fv_embedding(g, in->items, "item", task->items, width, APART);
  f.v[f.n++] = fv_embedding(g, in->user, "user", task->users, width, APART);
  f.v[f.n++] = fv_slice_of(g, items, 1, 0, 1);
  if (in->traits) f.v[f.n++] = fv_embedding(g, in->traits, "trait", task->trait_values, width, APART);
  if (in->kinds) f.v[f.n++] = fv_slice_of(g, fv_taste_kinds(g, in, task, width, APART), 1, 0, 1);
  f.v[f.n++] = past(g, in, items, FV_LEVEL_GOOD);
  f.v[f.n++] = past(g, in, items, FV_LEVEL_BAD);
  return fv_concat(g, 1, f.n, f.v);
}

/* [n,F,E] -> [n,F(F-1)/2,E]: pairs 0-1, 0-2, ..., 1-2, ... */
static fv_value *pairs_of(fv_graph *g, fv_value *x) {
  const fv_index_select_attrs along = {.axis = 1};
  int32_t first[MOST * MOST / 2], second[MOST * MOST / 2];
  const int32_t all = (int32_t)fv_dim(x, 1);
  int n = 0;
  for (int32_t i = 0; i < all; i++)
    for (int32_t k = i + 1; k < all; k++, n++) first[n] = i, second[n] = k;
  return fv_mul(g, fv_op(g, "index_select", &along, x, fv_const_data(g, FV_I32, FV_SHAPE(n), first)),
                fv_op(g, "index_select", &along, x, fv_const_data(g, FV_I32, FV_SHAPE(n), second)));
}

fv_value *fv_recommend_afm(fv_graph *g, const fv_recommend_settings *s, const fv_problem *task, const fv_tastes *in,
                           bool training) {
  const int64_t n = in->n;
  fv_value *x = features_of(g, s, task, in);
  fv_value *alone = fv_reduce(g, "sum", fv_slice_of(g, x, 2, s->width, 1), FV_SHAPE(1, 2), false);
  fv_value *pairs = pairs_of(g, fv_slice_of(g, x, 2, 0, s->width));
  const int64_t p = fv_dim(pairs, 1);
  fv_value *score = fv_relu(g, fv_linear(g, pairs, s->attention, .name = "attention"));
  score = fv_reshape(g, fv_linear(g, score, 1, .name = "context", .no_bias = true), FV_SHAPE(n, p));
  fv_value *alpha = fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, score);
  fv_tap(g, "pairs", FV_TAP_PAIRS, alpha);
  fv_value *y = fv_op(g, "matmul", NULL, fv_reshape(g, alpha, FV_SHAPE(n, 1, p)), pairs);
  y = fv_linear(g, fv_dropout(g, fv_reshape(g, y, FV_SHAPE(n, s->width)), s->dropout, training), 1, .name = "answer");
  return fv_add(g, fv_reshape(g, y, FV_SHAPE(n)), alone);
}
