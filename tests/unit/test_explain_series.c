/* SPDX-License-Identifier: Apache-2.0 */
/* Explaining forecasts: shares of a linear network that add up to the whole, attention that sums to one, rows
 * flattened against doing it by hand, orders that the figures must tell apart, and whole requests at several numbers
 * of threads. */
#include "test_explain.h"

enum { PAST = 40, HORIZON = 6, CHANNELS = 4 };

static int setup(void **state) {
  if (scratch_make(state) != 0) return -1;
  const struct {
    const char *out, *net, *past;
  } models[] = {{"dlinear", "dlinear", "40"}, {"patchtst", "patchtst", "40"}, {"darnn", "darnn", "40"},
                {"short", "dlinear", "7"}};
  for (size_t i = 0; i < FV_COUNT(models); i++) {
    const fv_setting sets[] = {{"past", models[i].past}, {"horizon", "6"}, {"steps", "80"}, {"hidden", "8"}};
    train(models[i].out, "forecast", "waves", models[i].net, sets, FV_COUNT(sets));
  }
  return 0;
}

typedef struct seen {
  fv_model *m;
  fv_dataset *d;
  fv_lens lens;
  fv_sights s;
} seen;

static void look(const char *model, int64_t n, seen *v) {
  int64_t index[8];
  v->s = (fv_sights){.n = n, .known = true};
  v->m = open_model(model);
  OK(fv_dataset_open("waves", &v->m->reading, 0, NULL, NULL, NULL, &v->d));
  OK(fv_lens_new(v->m, &v->lens));
  OK(FV_NEW(&v->s.v, n));
  for (int64_t i = 0; i < n; i++) index[i] = 11 + 37 * i;
  OK(fv_windows_of_samples(v->m, v->d, index, &v->s));
  OK(fv_lens_look(&v->lens, &v->s));
}

static void look_away(seen *v) {
  fv_sights_free(&v->s);
  fv_lens_free(&v->lens);
  fv_dataset_close(v->d);
  fv_model_free(v->m);
}

/* What the model says of a past, all channels. */
static void forecast(const seen *v, const float *past, float *out) {
  fv_runner r = {0};
  OK(fv_model_runner(v->m, FV_MODE_PREDICT, 0, 1, 1, &r));
  fv_exec_bind_input(r.exec[0], fv_exec_input(r.exec[0], "past"), past);
  fv_exec_run(r.exec[0]);
  memcpy(out, fv_exec_output(r.exec[0], "forecast")->data, HORIZON * CHANNELS * sizeof *out);
  fv_runner_free(&r);
}

/* The past with the rows of some segments as the mean of their channel. */
static void flatten(const float *past, int64_t rows, const uint8_t *flat, float *out) {
  double mean[CHANNELS] = {0};
  const int64_t n = FV_MIN(rows, FV_EXPLAIN_STEPS);
  for (int64_t i = 0; i < rows * CHANNELS; i++) mean[i % CHANNELS] += (double)past[i] / (double)rows;
  for (int64_t i = 0; i < rows * CHANNELS; i++)
    out[i] = flat[i / CHANNELS * n / rows] ? (float)mean[i % CHANNELS] : past[i];
}

static double apart(const float *a, const float *b) {
  double sum = 0;
  for (int h = 0; h < HORIZON; h++) sum += pow((double)a[h * CHANNELS + 3] - (double)b[h * CHANNELS + 3], 2);
  return sum / HORIZON;
}

/* ---- maps -------------------------------------------------------------------------------------------------------- */
/* Of a linear network the shares add up to the whole way from the flat past's forecast. */
static void shares(void **state) {
  (void)state;
  seen v;
  uint8_t all[FV_EXPLAIN_STEPS];
  float flat[PAST * CHANNELS], level[HORIZON * CHANNELS], own[HORIZON * CHANNELS];
  look("dlinear", 1, &v);
  assert_int_equal(v.lens.n_views, 1);
  assert_string_equal(v.lens.view[0].method->name, "input-gradient");
  memset(all, 1, sizeof all);
  flatten(v.s.past, PAST, all, flat);
  forecast(&v, flat, level);
  forecast(&v, v.s.past, own);
  assert_near(apart(own, v.s.forecast), 0, 1e-10);
  const float *slope = fv_exec_output(v.lens.r[0].exec[0], "d.past")->data;
  double sum = 0, positive = 0;
  for (int t = 0; t < PAST; t++) {
    double row = 0;
    for (int c = 0; c < CHANNELS; c++)
      row += (double)slope[t * CHANNELS + c] * ((double)v.s.past[t * CHANNELS + c] - (double)flat[c]);
    sum += row;
    positive += fmax(row, 0);
  }
  assert_near(sum / HORIZON, apart(own, level), 1e-4 * apart(own, level));
  double map = 0;
  for (int t = 0; t < PAST; t++) map += (double)v.s.map[0][t];
  assert_near(map, 1, 1e-5);
  assert_true(positive >= sum);
  look_away(&v);
}

static void attention(void **state) {
  (void)state;
  const char *models[] = {"patchtst", "darnn"};
  for (size_t k = 0; k < FV_COUNT(models); k++) {
    seen v;
    look(models[k], 3, &v);
    assert_int_equal(v.lens.n_views, 2);
    assert_string_equal(v.lens.view[0].method->name, "attention");
    for (int64_t i = 0; i < 3; i++)
      for (int view = 0; view < 2; view++) {
        double sum = 0;
        for (int t = 0; t < PAST; t++) sum += (double)v.s.map[view][i * PAST + t];
        assert_near(sum, 1, 1e-5);
      }
    double channels = 0;
    for (int c = 0; c < CHANNELS; c++) channels += (double)v.s.channels[2 * PAST * CHANNELS + c];
    assert_near(channels, k ? 1 : 0, 1e-5);
    look_away(&v);
  }
}

/* ---- faithfulness ------------------------------------------------------------------------------------------------ */
/* The share of the way left when the segments whose place in the order of view 0 is before `first` are flattened, or
 * the others; and the error. */
static double by_hand(const seen *v, int64_t rows, int64_t first, bool others, double *error) {
  const int n = (int)FV_MIN(rows, FV_EXPLAIN_STEPS);
  fv_ranked rank[FV_EXPLAIN_STEPS];
  double all = 0, change = 0;
  *error = 0;
  for (int64_t i = 0; i < v->s.n; i++) {
    const float *past = v->s.past + i * rows * CHANNELS, *whole = v->s.forecast + i * HORIZON * CHANNELS;
    float x[PAST * CHANNELS], y[HORIZON * CHANNELS];
    uint8_t flat[FV_EXPLAIN_STEPS];
    fv_faith_order(v->s.map[0] + i * rows, 1, (int)rows, 1, n, rank);
    for (int k = 0; k < n; k++) flat[rank[k].cell] = (k < first) != others;
    flatten(past, rows, flat, x);
    forecast(v, x, y);
    change += apart(y, whole);
    *error += apart(y, v->s.future + i * HORIZON * CHANNELS) / (double)v->s.n;
    memset(flat, 1, sizeof flat);
    flatten(past, rows, flat, x);
    forecast(v, x, y);
    all += apart(y, whole);
  }
  return 1 - change / all;
}

static void check_by_hand(const char *model, int64_t rows) {
  seen v;
  fv_faith f;
  const bool views[FV_EXPLAIN_METHODS] = {true};
  const int64_t n = FV_MIN(rows, FV_EXPLAIN_STEPS);
  double comprehensiveness = 0, sufficiency = 0, without = 0, alone = 0, error[2];
  look(model, 3, &v);
  OK(fv_faith_measure(&v.lens, &v.s, views, &f));
  assert_int_equal(f.cells_w, n);
  for (int s = 0; s <= FV_EXPLAIN_STEPS; s++) {
    const int64_t gone = (s * n + FV_EXPLAIN_STEPS / 2) / FV_EXPLAIN_STEPS;
    const double less = by_hand(&v, rows, gone, false, &error[0]), only = by_hand(&v, rows, gone, true, &error[1]);
    assert_near(f.deletion[0].p[s], less, 1e-4);
    assert_near(f.insertion[0].p[s], only, 1e-4);
    if (s == 0) assert_near(f.error, error[0], 1e-5);
    if (s != 1 && s != 2 && s != 4 && s != 10) continue;
    comprehensiveness += (1 - less) / 4;
    sufficiency += (1 - only) / 4;
    without += error[0] / 4;
    alone += error[1] / 4;
  }
  assert_near(f.comprehensiveness[0], comprehensiveness, 1e-4);
  assert_near(f.sufficiency[0], sufficiency, 1e-4);
  assert_near(f.error_without[0], without, 1e-4);
  assert_near(f.error_alone[0], alone, 1e-4);
  look_away(&v);
}

static void flattening(void **state) {
  (void)state;
  check_by_hand("dlinear", PAST);
  check_by_hand("darnn", PAST);
  check_by_hand("short", 7); /* fewer rows than steps */
}

/* What the slopes of a linear network say is right, so its order must be better than chance, and backwards worse. */
static void orders(void **state) {
  (void)state;
  seen v;
  fv_faith f, back;
  const bool views[FV_EXPLAIN_METHODS] = {true};
  const int random = FV_EXPLAIN_METHODS;
  look("dlinear", 8, &v);
  OK(fv_faith_measure(&v.lens, &v.s, views, &f));
  for (int64_t i = 0; i < v.s.n * PAST; i++) v.s.map[0][i] = -v.s.map[0][i];
  OK(fv_faith_measure(&v.lens, &v.s, views, &back));
  assert_true(f.comprehensiveness[0] > f.comprehensiveness[random] + 0.1);
  assert_true(f.comprehensiveness[random] > back.comprehensiveness[0]);
  assert_true(f.sufficiency[0] + 0.1 < f.sufficiency[random] && f.sufficiency[random] < back.sufficiency[0]);
  assert_true(f.deletion[0].auc < f.deletion[random].auc && f.deletion[random].auc < back.deletion[0].auc);
  assert_true(f.insertion[0].auc > f.insertion[random].auc && f.insertion[random].auc > back.insertion[0].auc);
  assert_near(f.comprehensiveness[random], back.comprehensiveness[random], 0);
  look_away(&v);
}

/* ---- whole requests ---------------------------------------------------------------------------------------------- */
static void threads(void **state) {
  (void)state;
  static const int counts[] = {1, 2, 3, 7};
  char *first = NULL;
  for (size_t k = 0; k < FV_COUNT(counts); k++) {
    fv_model *m;
    char *json;
    OK(fv_model_open(in_scratch("patchtst"), counts[k], &m));
    OK(fv_model_explain(m, &(fv_explain_request){.input = "test:3", .samples = 9, .faithfulness = true}, &json));
    if (first) assert_string_equal(json, first);
    else first = json;
    if (json != first) fv_string_free(json);
    fv_model_free(m);
  }
  fv_string_free(first);
}

static void result(void **state) {
  (void)state;
  fv_model *m = open_model("darnn");
  char *text;
  const fv_explain_request rq = {.samples = 9, .faithfulness = true, .terminal = true, .terminal_columns = 60,
                                 .out = in_scratch("why.json")};
  json_t *r = explain(m, &rq);
  const char *const figures[] = {"deletion_auc",       "insertion_auc_random",     "comprehensiveness",
                                 "sufficiency",        "comprehensiveness_random", "comprehensiveness_gradient",
                                 "sufficiency_random", "sufficiency_gradient",     "error",
                                 "error_without",      "error_alone_random"};
  const json_t *faith = json_object_get(r, "faithfulness");
  for (size_t i = 0; i < FV_COUNT(figures); i++) assert_true(json_is_number(json_object_get(faith, figures[i])));
  assert_int_equal(json_integer_value(json_object_get(faith, "samples")), 9);
  assert_int_equal(json_array_size(json_object_get(r, "rows")), PAST);
  assert_int_equal(json_array_size(json_object_get(r, "maps")), 2);
  assert_string_equal(json_string_value(json_object_get(r, "input")), "test:0");
  assert_non_null(strstr(json_string_value(json_object_get(r, "terminal")), "attention over the last 40 rows\n"));
  json_decref(r);
  OK(fv_json_read(in_scratch("why.json"), 1 << 24, &r));
  const json_t *orders = json_object_get(json_object_get(r, "faithfulness"), "orders");
  assert_int_equal(json_array_size(orders), 3);
  assert_int_equal(json_array_size(json_object_get(json_array_get(orders, 2), "deletion")), FV_EXPLAIN_STEPS + 1);
  json_decref(r);
  const fv_explain_request far = {.input = "test:395"}, other = {.method = "pooling"};
  FAILS(FV_ERR_REQUEST, "expected a number from 0 to 394", fv_model_explain(m, &far, &text));
  FAILS(FV_ERR_REQUEST, "(attention, input-gradient)", fv_model_explain(m, &other, &text));
  fv_model_free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(shares), cmocka_unit_test(attention),
                                     cmocka_unit_test(flattening), cmocka_unit_test(orders),
                                     cmocka_unit_test(threads), cmocka_unit_test(result)};
  return cmocka_run_group_tests(tests, setup, scratch_remove);
}
