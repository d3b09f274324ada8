/* SPDX-License-Identifier: Apache-2.0 */
/* test_series.c: windows of a series: where they begin and end, that what is standardised by comes from the training
 * rows alone, what is refused and how; and, where $FOVEA_DATA_MIRROR has them, the published splits of ETT. */
#include "test_io.h"

#include "data/data.h"

#include <math.h>
#include <unistd.h>

enum { ROWS = 100, PAST = 8, HORIZON = 3 };

/* A series of two channels in a file: row i has i and i squared, the last fifth being far off. */
static double value(int row, int channel) {
  const double shift = row >= 80 ? 1000 : 0;
  return shift + (channel ? (double)row * row : row);
}

static void write_series(const char *path, int rows) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "date,one,note,two\n");
  for (int i = 0; i < rows; i++)
    fprintf(f, "2020-01-%02d %02d:00:00,%g,n%d,%g\n", 1 + i / 24, i % 24, value(i, 0), i, value(i, 1));
  assert_int_equal(fclose(f), 0);
}

static void write_text(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
}

static fv_dataset *open_series(const char *path, fv_reading *reading) {
  fv_dataset *d;
  OK(fv_dataset_open(path, reading, 0, NULL, NULL, NULL, &d));
  return d;
}

/* Row t of a window is row `row` of the file. */
static void check_rows(const fv_reading *r, const float *rows, int64_t n, int64_t row) {
  for (int64_t i = 0; i < 2 * n; i++) {
    const int k = (int)(i % 2);
    const double wanted = (value((int)(row + i / 2), k) - r->channels->mean[k]) / r->channels->deviation[k];
    assert_true(fabs((double)rows[i] - wanted) <= 1e-6 * FV_MAX(1, fabs(wanted)));
  }
}

static void check_window(const fv_dataset *d, const fv_reading *r, fv_split split, int64_t index, int64_t row) {
  float past[2 * PAST], future[2 * HORIZON];
  void *out[FV_MAX_FIELDS] = {past, future};
  d->read(d, split, index, 0, out);
  check_rows(r, past, PAST, row);
  check_rows(r, future, HORIZON, row + PAST);
}

static void test_windows(void **state) {
  (void)state;
  fv_reading r = {.past = PAST, .horizon = HORIZON};
  write_series("series.csv", ROWS);
  fv_dataset *d = open_series("series.csv", &r);
  assert_int_equal(d->n_fields, 2);
  assert_true(fv_shape_equal(d->field[0].shape, FV_SHAPE(PAST, 2)));
  assert_true(fv_shape_equal(d->field[1].shape, FV_SHAPE(HORIZON, 2)));
  /* 70, 10, 20 rows; all windows whose future lies in the split */
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 70 - PAST - HORIZON + 1);
  assert_int_equal(d->count[FV_SPLIT_VALIDATION], 10 - HORIZON + 1);
  assert_int_equal(d->count[FV_SPLIT_TEST], 20 - HORIZON + 1);
  check_window(d, &r, FV_SPLIT_TRAIN, 0, 0);
  check_window(d, &r, FV_SPLIT_TRAIN, d->count[FV_SPLIT_TRAIN] - 1, 70 - PAST - HORIZON);
  check_window(d, &r, FV_SPLIT_VALIDATION, 0, 70 - PAST);
  check_window(d, &r, FV_SPLIT_TEST, 0, 80 - PAST);
  check_window(d, &r, FV_SPLIT_TEST, d->count[FV_SPLIT_TEST] - 1, ROWS - PAST - HORIZON);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

static void test_statistics(void **state) {
  (void)state;
  fv_reading r = {.past = PAST, .horizon = HORIZON};
  write_series("series.csv", ROWS);
  fv_dataset_close(open_series("series.csv", &r));
  assert_int_equal(r.channels->n, 2);
  assert_string_equal(r.channels->name[0], "one");
  assert_string_equal(r.channels->name[1], "two");
  for (int k = 0; k < 2; k++) {
    double mean = 0, square = 0;
    for (int i = 0; i < 70; i++) mean += value(i, k) / 70;
    for (int i = 0; i < 70; i++) square += pow(value(i, k) - mean, 2) / 70;
    assert_true(fabs(r.channels->mean[k] - mean) < 1e-9 * fabs(mean));
    assert_true(fabs(r.channels->deviation[k] - sqrt(square)) < 1e-9 * sqrt(square));
  }
  /* a reading that knows its channels keeps them, whatever the file */
  const double before = r.channels->mean[0];
  write_series("other.csv", 60);
  fv_dataset_close(open_series("other.csv", &r));
  assert_true(r.channels->mean[0] == before);
  fv_reading_free(&r);
}

/* The last rows of a file, with nothing behind them. */
static void test_last_rows(void **state) {
  (void)state;
  fv_reading r = {.past = PAST, .horizon = HORIZON};
  fv_dataset *d;
  float past[2 * PAST], future[2 * HORIZON] = {1};
  write_series("series.csv", ROWS);
  fv_dataset_close(open_series("series.csv", &r));
  OK(fv_dataset_of_series("series.csv", &r, &d));
  assert_int_equal(d->count[FV_SPLIT_TEST], 1);
  d->read(d, FV_SPLIT_TEST, 0, 0, (void *[FV_MAX_FIELDS]){[0] = past, [1] = future, [FV_MAX_FIELDS - 1] = NULL});
  check_rows(&r, past, PAST, ROWS - PAST);
  assert_true(future[0] == 0);
  fv_dataset_close(d);
  write_series("short.csv", PAST - 1);
  FAILS(FV_ERR_REQUEST, "short.csv): expected at least the 8 rows that the model looks at, got 7",
        fv_dataset_of_series("short.csv", &r, &d));
  write_text("named.csv", "date,one\n1,1\n2,2\n");
  FAILS(FV_ERR_REQUEST, "expected a column 'two'", fv_dataset_of_series("named.csv", &r, &d));
  fv_reading_free(&r);
}

static void refuse(fv_status code, const char *words, const char *text) {
  fv_reading r = {.past = 1, .horizon = 1};
  fv_dataset *d;
  write_text("bad.csv", text);
  FAILS(code, words, fv_dataset_open("bad.csv", &r, 0, NULL, NULL, NULL, &d));
  fv_reading_free(&r);
}

static void test_refused(void **state) {
  (void)state;
  refuse(FV_ERR_REQUEST, "bad.csv): expected a first row of names, got an empty file", "");
  refuse(FV_ERR_REQUEST, "bad.csv): expected a first row of names, got '1'", "1,2\n3,4\n");
  refuse(FV_ERR_REQUEST, "bad.csv): expected rows of numbers, got none", "date,a\n");
  refuse(FV_ERR_REQUEST, "bad.csv): expected a column of numbers, got none", "date,a\n2020-01-01,x\n");
  refuse(FV_ERR_CORRUPT, "bad.csv:3): column 'a': expected a number, got nothing",
         "date,a\n2020-01-01,1\n2020-01-02,\n");
  refuse(FV_ERR_CORRUPT, "bad.csv:2): column 'a': expected a number, got 'NaN'", "date,a\n2020-01-01,NaN\n");
  refuse(FV_ERR_CORRUPT, "bad.csv:3): expected 2 columns, got 3", "date,a\n2020-01-01,1\n2020-01-02,1,2\n");
  refuse(FV_ERR_CORRUPT, "bad.csv:3): column 'date': expected a time after that of the row before, got '2020-01-01'",
         "date,a\n2020-01-02,1\n2020-01-01,1\n");
  refuse(FV_ERR_CORRUPT, "bad.csv:3): column 'date': expected a time after", "date,a\n7,1\n7,1\n");
  refuse(FV_ERR_CORRUPT, "bad.csv:3): column 'date': expected a time as", "date,a\n2020-01-02,1\nsoon,1\n");
  refuse(FV_ERR_REQUEST, "expected at least past + horizon = 1 + 1 rows for training, got 1", "date,a\n1,1\n2,2\n");
}

/* Times are read in the ways people write them; columns of text beside are not looked at. */
static void test_times(void **state) {
  (void)state;
  static const char *const good[] = {
      "1949-01\n1949-02\n",   "1999/12/31\n2000/1/1\n", "2020-01-01T09:59:59\n2020-01-01T10:00:00Z\n",
      "20200131\n20200201\n", "0.5\n1\n",               "2020-01-01 00:00:00.5\n2020-01-01 00:00:00.75\n"};
  for (size_t i = 0; i < FV_COUNT(good); i++) {
    char text[256] = "date,a\n", line[64];
    const char *at = good[i];
    for (int row = 0; sscanf(at, "%63[^\n]", line) == 1; row++, at += strlen(line) + 1)
      snprintf(text + strlen(text), sizeof text - strlen(text), "%s,%d\n", line, row);
    fv_reading r = {.past = 1, .horizon = 1};
    fv_dataset *d;
    write_text("times.csv", text);
    FAILS(FV_ERR_REQUEST, "rows for training", fv_dataset_open("times.csv", &r, 0, NULL, NULL, NULL, &d));
    fv_reading_free(&r);
  }
}

static void test_waves(void **state) {
  (void)state;
  fv_reading a = {.past = 48, .horizon = 12}, b = {.past = 48, .horizon = 12};
  fv_dataset *one = open_series("waves", &a), *two = open_series("waves", &b);
  float past[2][48 * 4];
  assert_int_equal(one->count[FV_SPLIT_TEST], 400 - 12 + 1);
  one->read(one, FV_SPLIT_TEST, 7, 0, (void *[FV_MAX_FIELDS]){[0] = past[0], [FV_MAX_FIELDS - 1] = NULL});
  two->read(two, FV_SPLIT_TEST, 7, 0, (void *[FV_MAX_FIELDS]){[0] = past[1], [FV_MAX_FIELDS - 1] = NULL});
  assert_memory_equal(past[0], past[1], sizeof past[0]);
  fv_dataset_close(one);
  fv_dataset_close(two);
  fv_reading_free(&a);
  fv_reading_free(&b);
}

/* Numbers of windows as in the published programs; the mean of OT over the first 8640 rows. */
static void test_ett(void **state) {
  (void)state;
  fv_reading r = {.past = 336, .horizon = 96};
  if (!getenv("FOVEA_DATA_MIRROR")) skip();
  fv_dataset *d = open_series("etth1", &r);
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 8209);
  assert_int_equal(d->count[FV_SPLIT_VALIDATION], 2785);
  assert_int_equal(d->count[FV_SPLIT_TEST], 2785);
  assert_string_equal(r.channels->name[6], "OT");
  assert_true(fabs(r.channels->mean[6] - 17.1282617) < 1e-6);
  assert_true(fabs(r.channels->deviation[6] - 9.17649102) < 1e-6);
  fv_dataset_close(d);
  fv_reading_free(&r);
  fv_reading m = {.past = 336, .horizon = 336};
  d = open_series("ettm1", &m);
  assert_int_equal(d->count[FV_SPLIT_TRAIN], 33889);
  assert_int_equal(d->count[FV_SPLIT_TEST], 11185);
  fv_dataset_close(d);
  fv_reading_free(&m);
}

/* Planning needs no file of a known series. */
static void test_dry(void **state) {
  (void)state;
  fv_reading r = {.past = 336, .horizon = 96};
  fv_ledger dry = {.dry = true};
  fv_dataset *d;
  OK(fv_dataset_open("ettm1", &r, 0, &dry, NULL, NULL, &d));
  assert_int_equal(d->count[FV_SPLIT_VALIDATION], 11520 - 96 + 1);
  assert_int_equal(dry.bytes[FV_ACCOUNT_DATA], 57600 * 7 * 4);
  assert_null(r.channels);
  fv_dataset_close(d);
  fv_reading_free(&r);
}

static int enter(void **state) { return scratch_make(state) || chdir(scratch); }
static int leave(void **state) { return chdir("/") || scratch_remove(state); }

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_windows),   cmocka_unit_test(test_statistics),
                                     cmocka_unit_test(test_last_rows), cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_times),     cmocka_unit_test(test_waves),
                                     cmocka_unit_test(test_ett),       cmocka_unit_test(test_dry)};
  return cmocka_run_group_tests(tests, enter, leave);
}
