/* SPDX-License-Identifier: Apache-2.0 */
/* repeat.c: the same training over all folds of its data, or over many seeds: what one number is worth. Each run has a
 * directory of its own below `out`; a finished one is not done again when resuming. */
#include "train/train.h"

#include <math.h>

typedef struct series {
  const fv_train_request *rq;
  bool folds;
  int n;
  int64_t first; /* seed */
  json_t **result;
} series;

static fv_status count_folds(const fv_train_request *rq, int *n) {
  const int recipe = fv_recipe_find(rq->recipe);
  FV_REQUIRE(recipe >= 0, FV_ERR_REQUEST, "recipe '%s': expected a known name", rq->recipe);
  const char *data = rq->data ? rq->data : fv_recipe_get_info(recipe).default_data;
  *n = fv_dataset_folds(data);
  FV_REQUIRE(*n > 0, FV_ERR_REQUEST, "folds (%s): expected data without a test part of their own; use seeds", data);
  return FV_OK;
}

static fv_status first_seed(series *s) {
  s->first = 0;
  for (int i = 0; i < s->rq->n_sets && !s->folds; i++)
    if (!strcmp(s->rq->sets[i].key, "seed"))
      FV_REQUIRE(fv_parse_int(s->rq->sets[i].value, &s->first), FV_ERR_REQUEST,
                 "seed: expected a whole number, got '%s'", s->rq->sets[i].value);
  return FV_OK;
}

static fv_status run_one(const series *s, int i, fv_setting *sets, json_t **result) {
  char out[4096], number[32], *json;
  fv_train_request rq = *s->rq;
  const int written = snprintf(out, sizeof out, "%s/%s-%d", rq.out, s->folds ? "fold" : "seed", (int)s->first + i);
  FV_REQUIRE(written > 0 && (size_t)written < sizeof out, FV_ERR_REQUEST, "%s: expected a shorter name", rq.out);
  snprintf(number, sizeof number, "%lld", (long long)s->first + i);
  for (int k = 0; k < rq.n_sets; k++) sets[k] = rq.sets[k];
  sets[rq.n_sets++] = (fv_setting){s->folds ? "fold" : "seed", number};
  rq.sets = sets;
  rq.out = out;
  FV_TRY(fv_train(&rq, &json));
  fv_status status = fv_json_parse(json, strlen(json), out, (size_t)1 << 20, result);
  fv_string_free(json);
  return status;
}

static double metric_of(const series *s, int i, const char *metric) {
  return json_number_value(json_object_get(json_object_get(s->result[i], "metrics"), metric));
}

/* Of a number of every result, with the standard deviation of a sample. */
static void statistics_json(const series *s, const char *metric, fv_json *j) {
  double sum = 0, square = 0, least = INFINITY, most = -INFINITY;
  for (int i = 0; i < s->n; i++) {
    const double v = metric_of(s, i, metric);
    sum += v;
    least = fmin(least, v);
    most = fmax(most, v);
  }
  const double mean = sum / s->n;
  for (int i = 0; i < s->n; i++) {
    const double off = metric_of(s, i, metric) - mean;
    square += off * off;
  }
  fv_json_begin(j, metric, '{');
  fv_json_real(j, "mean", mean);
  fv_json_real(j, "sd", s->n > 1 ? sqrt(square / (s->n - 1)) : 0);
  fv_json_real(j, "min", least);
  fv_json_real(j, "max", most);
  fv_json_end(j, '}');
}

static fv_status repeat_json(const series *s, char **json) {
  fv_json j = {0};
  const char *name;
  const json_t *value;
  double seconds = 0;
  fv_json_begin(&j, NULL, '{');
  fv_json_text(&j, "recipe", s->rq->recipe);
  fv_json_text(&j, "dataset", json_string_value(json_object_get(s->result[0], "dataset")));
  fv_json_text(&j, "over", s->folds ? "folds" : "seeds");
  fv_json_int(&j, "runs", s->n);
  fv_json_begin(&j, "metrics", '{');
  json_object_foreach(json_object_get(s->result[0], "metrics"), name, value) statistics_json(s, name, &j);
  fv_json_end(&j, '}');
  for (int i = 0; i < s->n; i++) seconds += json_number_value(json_object_get(s->result[i], "seconds"));
  fv_json_real(&j, "seconds", seconds);
  fv_json_text(&j, "out", s->rq->out);
  fv_json_end(&j, '}');
  return fv_json_give(&j, FV_OK, "repeat", json);
}

fv_status fv_train_repeat(const fv_train_request *rq, int seeds, char **json) {
  series s = {.rq = rq, .folds = seeds == 0, .n = seeds};
  fv_setting *sets = NULL;
  fv_status status = FV_OK;
  *json = NULL;
  FV_REQUIRE(rq->recipe && rq->out && *rq->out, FV_ERR_REQUEST,
             "repeat: expected a recipe and a directory for the runs");
  FV_REQUIRE(seeds >= 0 && seeds <= 100000, FV_ERR_REQUEST, "seeds: expected 1 to 100000, got %d", seeds);
  if (s.folds) FV_TRY(count_folds(rq, &s.n));
  FV_TRY(first_seed(&s));
  FV_TRY(fv_dir_make(rq->out));
  FV_TRY_DONE(FV_NEW(&sets, rq->n_sets + 1));
  FV_TRY_DONE(FV_NEW(&s.result, s.n));
  for (int i = 0; i < s.n; i++) FV_TRY_DONE(run_one(&s, i, sets, &s.result[i]));
  FV_TRY_DONE(repeat_json(&s, json));
done:
  for (int i = 0; s.result && i < s.n; i++) json_decref(s.result[i]);
  fv_free(s.result);
  fv_free(sets);
  return status;
}
