/* SPDX-License-Identifier: Apache-2.0 */
/* recommend_explain.c: which past items an answer came from, or of a factorisation machine which pairs of features; and
 * whether that is so: what the answer loses when the fifth of the history that is said to count most goes, beside a
 * fifth drawn at random, the last fifth, and the fifth that each by itself changed it most. */
#include "train/recommend.h"

#include <math.h>

enum { SHOWN = 20, SAMPLES = 200, LEAST = 5, SHARE = 5, MOST_FEATURES = 32, DRAWS = 3 };
enum { BY_WEIGHT, BY_EFFECT, BY_CHANCE, BY_TIME, ORDERS };
static const char *const order_names[ORDERS] = {"attention", "effect", "random", "recent"};

typedef struct gone {
  int64_t samples;
  double change[ORDERS]; /* mean size of what the logit loses */
} gone;

typedef struct session {
  fv_model *m;
  const fv_explain_request *rq;
  fv_dataset *d;
  fv_asker ask;
  fv_past *past;
  int64_t index;
  bool over_many, by_weight;
  double logit;
  int n_features, n_pairs;
  char feature[MOST_FEATURES][64];
  double *pair;   /* [n_pairs] */
  gone faith;
  fv_bar *bar;
  char (*name)[160]; /* of each bar */
  int64_t n_bars;
  char title[256];
} session;

/* ---- the request ------------------------------------------------------------------------------------------------- */
static fv_status check_request(const fv_explain_request *rq) {
  FV_TRY(fv_explain_check_out(rq, ".png, .html or .json"));
  FV_REQUIRE(!rq->input || fv_is_test_sample(rq->input), FV_ERR_REQUEST,
             "explain: expected test:N, a sample of the test split, got '%s'", rq->input);
  return FV_OK;
}

static fv_status choose_method(session *s) {
  const char *method = s->rq->method;
  const bool attention = s->ask.alpha || s->ask.pairs;
  FV_REQUIRE(!method || !strcmp(method, "attention") || !strcmp(method, "effect"), FV_ERR_REQUEST,
             "explain: method: expected attention or effect, got '%s'", method);
  FV_REQUIRE(!method || strcmp(method, "attention") || attention, FV_ERR_REQUEST,
             "explain: method: expected effect for a network without attention, got 'attention'");
  s->by_weight = attention && !(method && !strcmp(method, "effect"));
  return FV_OK;
}

static fv_status open_session(session *s) {
  fv_model *m = s->m;
  const int64_t longest = fv_model_longest(m);
  double logit;
  FV_TRY(fv_model_open_data(m, s->rq->data, &s->d));
  if (s->rq->input) FV_TRY(fv_test_sample(s->rq->input, s->d, &s->index));
  FV_TRY(FV_NEW(&s->past, longest));
  FV_TRY(FV_NEW(&s->bar, longest + MOST_FEATURES * MOST_FEATURES));
  FV_TRY(FV_NEW(&s->name, longest + MOST_FEATURES * MOST_FEATURES));
  FV_TRY(fv_asker_new(m, s->d, &s->ask));
  fv_asker_read(&s->ask, s->index);
  return fv_asker_ask(&s->ask, NULL, &logit, NULL); /* so that the taps are known */
}

static void close_session(session *s) {
  fv_asker_free(&s->ask);
  fv_dataset_close(s->d);
  fv_free(s->past);
  fv_free(s->pair);
  fv_free(s->bar);
  fv_free(s->name);
}

/* ---- pairs ------------------------------------------------------------------------------------------------------- */
/* In the order of src/models/recommend_afm.c. */
static void name_features(session *s) {
  const fv_catalogue *c = s->m->reading.catalogue;
  int n = 0;
  snprintf(s->feature[n++], 64, "user");
  snprintf(s->feature[n++], 64, "item");
  for (int i = 0; i < c->n_traits; i++) snprintf(s->feature[n++], 64, "%s", c->trait_name[i]);
  if (c->n_kinds) snprintf(s->feature[n++], 64, "kinds");
  snprintf(s->feature[n++], 64, "liked before");
  snprintf(s->feature[n++], 64, "not liked before");
  s->n_features = n;
  s->n_pairs = n * (n - 1) / 2;
}

static fv_status look_at_pairs(session *s) {
  const int64_t count = s->d->count[FV_SPLIT_TEST],
                n = s->rq->input ? 1 : FV_MIN(s->rq->samples ? s->rq->samples : SAMPLES, count);
  const fv_exec *exec;
  name_features(s);
  s->over_many = !s->rq->input;
  FV_TRY(FV_NEW(&s->pair, s->n_pairs));
  for (int64_t i = 0; i < n; i++) {
    fv_asker_read(&s->ask, s->rq->input ? s->index : i * count / n);
    FV_TRY(fv_asker_ask(&s->ask, NULL, &s->logit, &exec));
    const fv_tensor *pairs = fv_exec_output(exec, s->ask.pairs);
    FV_ASSERT(pairs && fv_shape_count(pairs->shape) == s->n_pairs);
    for (int p = 0; p < s->n_pairs; p++) s->pair[p] += (double)((const float *)pairs->data)[p] / (double)n;
  }
  return FV_OK;
}

/* The heaviest first. */
static void bars_of_pairs(session *s) {
  int p = 0;
  for (int i = 0; i < s->n_features; i++)
    for (int k = i + 1; k < s->n_features; k++, p++) {
      int64_t at = s->n_bars++;
      for (; at > 0 && s->bar[at - 1].value < s->pair[p]; at--) s->bar[at] = s->bar[at - 1];
      snprintf(s->name[p], sizeof s->name[p], "%s x %s", s->feature[i], s->feature[k]);
      s->bar[at] = (fv_bar){s->name[p], s->pair[p], FV_BAR_BLUE};
    }
  snprintf(s->title, sizeof s->title, "How much each pair of features counts%s%s", s->over_many ? "" : ": ",
           s->over_many ? "" : s->rq->input);
}

/* ---- the past ---------------------------------------------------------------------------------------------------- */
static double probability(double logit) { return 1 / (1 + exp(-logit)); }

static void bars_of_past(session *s) {
  static const fv_bar_colour colours[FV_LEVELS] = {FV_BAR_GREY, FV_BAR_GREY, FV_BAR_RED, FV_BAR_GREY, FV_BAR_BLUE};
  for (int64_t i = 0; i < FV_MIN(s->ask.n, SHOWN); i++) {
    const fv_past *p = &s->past[i];
    snprintf(s->name[i], sizeof s->name[i], "%s (%s)", fv_item_title(s->m, p->item), fv_level_names[p->level]);
    s->bar[s->n_bars++] = (fv_bar){s->name[i], s->by_weight ? p->weight : p->effect, colours[p->level]};
  }
  snprintf(s->title, sizeof s->title, "%.120s: %.1f %%, by %s",
           fv_item_title(s->m, fv_ratings_item(s->d, FV_SPLIT_TEST, s->index, -1)), 100 * probability(s->logit),
           s->by_weight ? "attention" : "effect");
}

/* ---- faithfulness ------------------------------------------------------------------------------------------------ */
static fv_status change_without(session *s, const int64_t *place, int64_t n, double *change) {
  double logit;
  memset(s->ask.kept, 1, (size_t)s->ask.n);
  for (int64_t i = 0; i < n; i++) s->ask.kept[place[i]] = 0;
  FV_TRY(fv_asker_ask(&s->ask, s->ask.kept, &logit, NULL));
  *change += fabs(s->logit - logit);
  return FV_OK;
}

static fv_status measure_one(session *s, int64_t index, fv_rng *rng, int64_t *place, int32_t *drawn) {
  FV_TRY(fv_asker_look(&s->ask, index, &s->logit, s->past));
  const int64_t all = s->ask.n, n = fv_ceil_div(all, SHARE);
  if (all < LEAST) return FV_OK;
  s->faith.samples++;
  for (int order = BY_WEIGHT; order <= BY_EFFECT; order++) {
    if (order == BY_WEIGHT && !s->ask.alpha) continue;
    fv_past_sort(s->past, all, order == BY_WEIGHT ? FV_PAST_WEIGHT : FV_PAST_EFFECT);
    for (int64_t i = 0; i < n; i++) place[i] = s->past[i].place;
    FV_TRY(change_without(s, place, n, &s->faith.change[order]));
  }
  for (int64_t i = 0; i < n; i++) place[i] = all - 1 - i;
  FV_TRY(change_without(s, place, n, &s->faith.change[BY_TIME]));
  double change = 0;
  for (int draw = 0; draw < DRAWS; draw++) {
    fv_rng_permutation(rng, drawn, all);
    for (int64_t i = 0; i < n; i++) place[i] = drawn[i];
    FV_TRY(change_without(s, place, n, &change));
  }
  s->faith.change[BY_CHANCE] += change / DRAWS;
  return FV_OK;
}

static fv_status measure(session *s) {
  const int64_t count = s->d->count[FV_SPLIT_TEST], n = FV_MIN(s->rq->samples ? s->rq->samples : SAMPLES, count);
  const int64_t longest = fv_model_longest(s->m);
  fv_rng rng = fv_rng_new((uint64_t)s->m->train.seed, fv_stream_of("explain.history"));
  int64_t *place = NULL;
  int32_t *drawn = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(FV_NEW(&place, longest));
  FV_TRY_DONE(FV_NEW(&drawn, longest));
  for (int64_t i = 0; i < n; i++) FV_TRY_DONE(measure_one(s, i * count / n, &rng, place, drawn));
  for (int k = 0; k < ORDERS; k++) s->faith.change[k] /= (double)FV_MAX(s->faith.samples, 1);
done:
  fv_free(place);
  fv_free(drawn);
  return status;
}

/* ---- what is written --------------------------------------------------------------------------------------------- */
static void put_item(fv_json *j, const session *s, int64_t item) {
  if (item >= 0) fv_json_text(j, "item", fv_wordmap_at(&s->m->reading.catalogue->item, item).s);
  fv_json_text(j, "label", fv_item_title(s->m, item));
}

static void put_past(fv_json *j, const session *s) {
  fv_json_text(j, "input", s->rq->input ? s->rq->input : "test:0");
  fv_json_text(j, "user", fv_ratings_user(s->d, FV_SPLIT_TEST, s->index));
  put_item(j, s, fv_ratings_item(s->d, FV_SPLIT_TEST, s->index, -1));
  fv_json_real(j, "probability", probability(s->logit));
  fv_json_real(j, "score", s->logit);
  fv_json_begin(j, "history", '[');
  for (int64_t i = 0; i < s->ask.n; i++) {
    fv_json_begin(j, NULL, '{');
    put_item(j, s, s->past[i].item);
    fv_json_text(j, "was", fv_level_names[s->past[i].level]);
    if (s->ask.alpha) fv_json_real(j, "weight", s->past[i].weight);
    fv_json_real(j, "effect", s->past[i].effect);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

static void put_pairs(fv_json *j, const session *s) {
  fv_json_begin(j, "pairs", '[');
  for (int64_t i = 0; i < s->n_bars; i++) {
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "pair", s->bar[i].name);
    fv_json_real(j, "weight", s->bar[i].value);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

static void put_faith(fv_json *j, const session *s) {
  fv_json_begin(j, "faithfulness", '{');
  fv_json_int(j, "samples", s->faith.samples);
  for (int k = s->ask.alpha ? BY_WEIGHT : BY_EFFECT; k < ORDERS; k++) {
    char key[64];
    snprintf(key, sizeof key, "change_%s", order_names[k]);
    fv_json_real(j, key, s->faith.change[k]);
  }
  fv_json_end(j, '}');
}

static void put_all(fv_json *j, const session *s) {
  fv_json_text(j, "method", s->by_weight ? "attention" : "effect");
  if (s->ask.pairs && s->by_weight) put_pairs(j, s);
  else put_past(j, s);
  if (s->faith.samples) put_faith(j, s);
}

static void put_page_table(fv_page *p, const session *s) {
  enum { COLUMNS = 4 };
  static const char *const head[COLUMNS] = {"past item", "was", "weight", "effect"};
  char number[2][SHOWN][32];
  const char *cell[(SHOWN + 1) * COLUMNS];
  const int64_t n = FV_MIN(s->ask.n, SHOWN);
  for (int k = 0; k < COLUMNS; k++) cell[k] = head[k];
  for (int64_t i = 0; i < n; i++) {
    const fv_past *past = &s->past[i];
    snprintf(number[0][i], 32, "%.4f", past->weight);
    snprintf(number[1][i], 32, "%+.4f", past->effect);
    const char *row[COLUMNS] = {fv_item_title(s->m, past->item), fv_level_names[past->level], number[0][i],
                                number[1][i]};
    memcpy(cell + (i + 1) * COLUMNS, row, sizeof row);
  }
  fv_page_table(p, cell, n + 1, COLUMNS);
}

static fv_status write_page(const session *s, const fv_image *image, const char *path) {
  fv_page p = {0};
  fv_page_begin(&p, s->m->recipe->info.name, s->title);
  fv_status status = fv_page_image(&p, image, image->w / 2, NULL);
  if (!(s->ask.pairs && s->by_weight)) put_page_table(&p, s);
  if (s->faith.samples)
    fv_page_paragraph(&p,
                      "Without a fifth of the history the answer (its logit) changes by %.4f when attention chooses "
                      "it, %.4f when chance does, %.4f when it is the last fifth, and %.4f when it is that of the "
                      "largest effects, over %lld samples.",
                      s->faith.change[BY_WEIGHT], s->faith.change[BY_CHANCE], s->faith.change[BY_TIME],
                      s->faith.change[BY_EFFECT], (long long)s->faith.samples);
  if (status == FV_OK) status = fv_page_write(&p, path);
  fv_page_free(&p);
  return status;
}

static fv_status write_out(const session *s, const fv_json *j) {
  const char *out = s->rq->out;
  fv_image image = {0};
  if (!out) return FV_OK;
  if (fv_ends_with(out, ".json")) return fv_json_write(j, "explain", out);
  FV_TRY(fv_bars_picture(&(fv_bars){s->title, s->bar, s->n_bars}, &image));
  fv_status status = fv_ends_with(out, ".png") ? fv_image_write_png(out, &image) : write_page(s, &image, out);
  fv_image_free(&image);
  return status;
}

static fv_status put_terminal(const session *s, fv_json *j) {
  fv_text sketch = {0};
  if (!s->rq->terminal) return FV_OK;
  fv_status status = fv_term_bars(&(fv_bars){s->title, s->bar, s->n_bars}, s->rq->terminal_columns, &sketch);
  if (status == FV_OK) fv_json_text(j, "terminal", sketch.s);
  fv_text_free(&sketch);
  return status;
}

static fv_status look(session *s) {
  if (s->rq->faithfulness) FV_TRY(measure(s));
  if (s->ask.pairs && s->by_weight) {
    FV_TRY(look_at_pairs(s));
    bars_of_pairs(s);
    return FV_OK;
  }
  FV_TRY(fv_asker_look(&s->ask, s->index, &s->logit, s->past));
  fv_past_sort(s->past, s->ask.n, s->by_weight ? FV_PAST_WEIGHT : FV_PAST_EFFECT);
  bars_of_past(s);
  return FV_OK;
}

fv_status fv_recommend_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  session s = {.m = m, .rq = rq};
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(check_request(rq));
  FV_TRY_DONE(open_session(&s));
  FV_TRY_DONE(choose_method(&s));
  FV_TRY_DONE(look(&s));
  fv_json_begin(&j, NULL, '{');
  put_all(&j, &s);
  fv_explain_files(rq, &j);
  FV_TRY_DONE(put_terminal(&s, &j));
  fv_json_end(&j, '}');
  FV_TRY_DONE(write_out(&s, &j));
done:
  close_session(&s);
  return fv_json_give(&j, status, "explain", json);
}
