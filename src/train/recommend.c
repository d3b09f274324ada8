/* SPDX-License-Identifier: Apache-2.0 */
/* recommend.c: what a model of ratings says: for a user the items that will be liked most, each with the past items
 * that drove it. "user:ID" is one of the data's; a file of ratings brings its own. */
#include "train/recommend.h"

#include <stdlib.h>

enum { BECAUSE = 3 };

typedef struct wish {
  int64_t index;
  float probability, score;
} wish;

typedef struct session {
  fv_model *m;
  fv_dataset *d;
  fv_asker ask;
  fv_past *past;
  int64_t only; /* of test:N; -1: all */
} session;

static fv_status open_data(fv_model *m, const char *input, session *s) {
  const char *user = !strncmp(input, "user:", 5) ? input + 5 : NULL;
  const bool test = fv_is_test_sample(input);
  *s = (session){.m = m, .only = -1};
  m->reading.ask = test ? NULL : user ? user : "*";
  const fv_status status = fv_model_open_data(m, test || user ? NULL : input, &s->d);
  m->reading.ask = NULL;
  FV_TRY(status);
  return test ? fv_test_sample(input, s->d, &s->only) : FV_OK;
}

static void close_session(session *s) {
  fv_asker_free(&s->ask);
  fv_dataset_close(s->d);
  fv_free(s->past);
}

/* ---- one item ---------------------------------------------------------------------------------------------------- */
static void item_json(const session *s, int64_t item, fv_json *j) {
  const fv_catalogue *c = s->m->reading.catalogue;
  if (item >= 0) fv_json_text(j, "item", fv_wordmap_at(&c->item, item).s);
  fv_json_text(j, "label", fv_item_title(s->m, item));
}

static fv_status wish_json(session *s, const wish *w, fv_json *j) {
  double logit;
  FV_TRY(fv_asker_look(&s->ask, w->index, &logit, s->past));
  fv_past_sort(s->past, s->ask.n, FV_PAST_FOR);
  fv_json_begin(j, NULL, '{');
  item_json(s, fv_ratings_item(s->d, FV_SPLIT_TEST, w->index, -1), j);
  fv_json_float(j, "probability", w->probability);
  fv_json_float(j, "score", w->score);
  fv_json_begin(j, "because", '[');
  for (int64_t i = 0; i < FV_MIN(s->ask.n, BECAUSE); i++) {
    fv_json_begin(j, NULL, '{');
    item_json(s, s->past[i].item, j);
    fv_json_text(j, "was", fv_level_names[s->past[i].level]);
    if (s->ask.alpha) fv_json_real(j, "weight", s->past[i].weight);
    fv_json_real(j, "effect", s->past[i].effect);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
  return FV_OK;
}

/* ---- one user ---------------------------------------------------------------------------------------------------- */
static int by_score(const void *a, const void *b) {
  const wish *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

static fv_status user_json(session *s, wish *wishes, int64_t n, int k, fv_json *j) {
  qsort(wishes, (size_t)n, sizeof *wishes, by_score);
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "user", fv_ratings_user(s->d, FV_SPLIT_TEST, wishes->index));
  fv_asker_read(&s->ask, wishes->index);
  fv_json_int(j, "history", s->ask.n);
  fv_json_int(j, "items", n);
  fv_json_begin(j, "top", '[');
  for (int64_t i = 0; i < FV_MIN(k, n); i++) FV_TRY(wish_json(s, &wishes[i], j));
  fv_json_end(j, ']');
  fv_json_end(j, '}');
  return FV_OK;
}

/* Samples of a user follow each other. */
static fv_status users_json(session *s, wish *wishes, int64_t n, int k, fv_json *j) {
  for (int64_t from = 0, to; from < n; from = to) {
    const int64_t user = s->d->group(s->d, FV_SPLIT_TEST, wishes[from].index);
    for (to = from; to < n && s->d->group(s->d, FV_SPLIT_TEST, wishes[to].index) == user; to++) continue;
    FV_TRY(user_json(s, wishes + from, to - from, k, j));
  }
  return FV_OK;
}

static fv_status answer(session *s, int k, fv_json *j) {
  const int64_t n = s->only >= 0 ? 1 : s->d->count[FV_SPLIT_TEST];
  float *p = NULL;
  wish *wishes = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&p, 4 * n));
  FV_TRY_DONE(FV_NEW(&wishes, n));
  FV_TRY_DONE(FV_NEW(&s->past, fv_model_longest(s->m)));
  FV_TRY_DONE(fv_asker_new(s->m, s->d, &s->ask));
  FV_TRY_DONE(fv_model_classify(s->m, s->d, FV_SPLIT_TEST, s->only >= 0 ? &s->only : NULL, n, p, p + 2 * n));
  for (int64_t i = 0; i < n; i++) wishes[i] = (wish){s->only >= 0 ? s->only : i, p[2 * i + 1], p[2 * n + 2 * i + 1]};
  FV_TRY_DONE(users_json(s, wishes, n, k, j));
done:
  fv_free(p);
  fv_free(wishes);
  return status;
}

fv_status fv_recommend_predict(fv_model *m, const char *input, int k, char **json) {
  session s = {0};
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(open_data(m, input, &s));
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "input", input);
  fv_json_begin(&j, "predictions", '[');
  FV_TRY_DONE(answer(&s, k, &j));
  fv_json_end(&j, ']');
  fv_json_end(&j, '}');
done:
  close_session(&s);
  return fv_json_give(&j, status, "predict", json);
}
