/* SPDX-License-Identifier: Apache-2.0 */
/* test_options.c: option tables, with a table as a recipe would have it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/base.h"

typedef struct settings {
  int64_t epochs, preset;
  double lr, gain;
  bool flip;
  const char *labels;
  fv_int_list kernel, axes;
  int64_t seed;
} settings;

static const char *const presets[] = {"tiny", "small", "vit-tiny", NULL};
static const fv_option table[] = {
    {"epochs", FV_OPT_INT, offsetof(settings, epochs), "15", 1, 1000, NULL, "passes over the training set"},
    {"lr", FV_OPT_REAL, offsetof(settings, lr), "0.1", 0, 10, NULL, "learning rate"},
    {"gain", FV_OPT_REAL, offsetof(settings, gain), "1.5", 0.5, INFINITY, NULL, "scale of the first weights"},
    {"preset", FV_OPT_ENUM, offsetof(settings, preset), "small", 0, 0, presets, "size of the network"},
    {"flip", FV_OPT_BOOL, offsetof(settings, flip), "true", 0, 0, NULL, "mirror training images"},
    {"labels", FV_OPT_TEXT, offsetof(settings, labels), NULL, 0, 0, NULL, "file with class names"},
    {"kernel", FV_OPT_INTS, offsetof(settings, kernel), "3,3", 1, 31, NULL, "height and width"},
    {"axes", FV_OPT_INTS, offsetof(settings, axes), NULL, 0, 0, NULL, "axes to reduce"},
    {"seed", FV_OPT_INT, offsetof(settings, seed), NULL, 0, 0, NULL, "of all random numbers"},
    {0},
};
static const char what[] = "recipe image-classify";
static fv_arena *arena;

static settings defaults(void) {
  settings s;
  memset(&s, 0xa5, sizeof s);
  assert_int_equal(fv_options_defaults(table, &s), FV_OK);
  return s;
}

static fv_status set(settings *s, const char *name, const char *text) {
  return fv_options_set(table, s, what, name, text, arena);
}

static void test_defaults(void **state) {
  (void)state;
  settings s = defaults();
  assert_int_equal(fv_options_count(table), 9);
  assert_true(s.epochs == 15 && s.lr == 0.1 && s.preset == 1 && s.flip && !s.labels && s.seed == 0);
  assert_true(s.kernel.n == 2 && s.kernel.v[0] == 3 && s.kernel.v[1] == 3 && s.axes.n == 0);
  const fv_option bad[] = {{"n", FV_OPT_INT, 0, "0", 1, 9, NULL, ""}, {0}};
  int64_t n;
  assert_int_equal(fv_options_defaults(bad, &n), FV_ERR_INTERNAL); /* a mistake in the table itself */
}

static void test_set(void **state) {
  (void)state;
  settings s = defaults();
  char text[] = "labels of mine.txt";
  assert_int_equal(set(&s, "epochs", "1000"), FV_OK);
  assert_int_equal(set(&s, "lr", "3e-4"), FV_OK);
  assert_int_equal(set(&s, "preset", "vit-tiny"), FV_OK);
  assert_int_equal(set(&s, "flip", "no"), FV_OK);
  assert_int_equal(set(&s, "labels", text), FV_OK);
  assert_int_equal(set(&s, "kernel", "1,2,31"), FV_OK);
  assert_int_equal(set(&s, "axes", "-1,0,5,6,7,8,9,-9223372036854775808"), FV_OK);
  text[0] = 'X'; /* the field has a copy */
  assert_true(s.epochs == 1000 && s.lr == 3e-4 && s.preset == 2 && !s.flip);
  assert_string_equal(s.labels, "labels of mine.txt");
  assert_true(s.kernel.n == 3 && s.kernel.v[2] == 31 && s.axes.n == 8 && s.axes.v[7] == INT64_MIN);
  assert_int_equal(set(&s, "axes", ""), FV_OK);
  assert_int_equal(s.axes.n, 0);
}

static void test_complaints(void **state) {
  (void)state;
  const struct {
    const char *name, *text, *message;
  } cases[] = {
      {"epocs", "3", "recipe image-classify: unknown setting 'epocs' (did you mean 'epochs'?)"},
      {"zzzzzz", "3",
       "recipe image-classify: unknown setting 'zzzzzz': expected one of epochs, lr, gain, preset, flip, labels, kernel, "
       "axes, seed"},
      {"lr", "abc", "recipe image-classify: lr: expected a number from 0 to 10, got 'abc'"},
      {"lr", "10.5", "recipe image-classify: lr: expected a number from 0 to 10, got '10.5'"},
      {"lr", "nan", "recipe image-classify: lr: expected a number from 0 to 10, got 'nan'"},
      {"gain", "0", "recipe image-classify: gain: expected a number of at least 0.5, got '0'"},
      {"epochs", "0", "recipe image-classify: epochs: expected a whole number from 1 to 1000, got '0'"},
      {"epochs", "1.5", "recipe image-classify: epochs: expected a whole number from 1 to 1000, got '1.5'"},
      {"seed", "", "recipe image-classify: seed: expected a whole number, got ''"},
      {"flip", "maybe", "recipe image-classify: flip: expected true or false, got 'maybe'"},
      {"preset", "smal",
       "recipe image-classify: preset: expected one of tiny, small, vit-tiny, got 'smal' (did you mean 'small'?)"},
      {"kernel", "3,32",
       "recipe image-classify: kernel: expected up to 8 whole numbers with commas between, each from 1 to 31, got '3,32'"},
  };
  settings s = defaults(), before = s;
  for (size_t i = 0; i < FV_COUNT(cases); i++) {
    assert_int_equal(set(&s, cases[i].name, cases[i].text), FV_ERR_REQUEST);
    assert_string_equal(fv_error_message(), cases[i].message);
  }
  const char *const lists[] = {",", "1,", ",1", "1,,2", "1 2", "1,2,3,4,5,6,7,8,9", "99999999999999999999999999"};
  for (size_t i = 0; i < FV_COUNT(lists); i++) assert_int_equal(set(&s, "axes", lists[i]), FV_ERR_REQUEST);
  assert_true(fv_options_equal(table, &s, &before));
}

static void test_check_fills_in_what_was_not_given(void **state) {
  (void)state;
  settings s = {.lr = 0, .kernel = {1, {5}}};
  assert_int_equal(fv_options_check(table, &s, what), FV_OK);
  assert_true(s.epochs == 15 && s.gain == 1.5); /* zero cannot be meant */
  assert_true(s.lr == 0 && !s.flip && s.preset == 0 && s.kernel.v[0] == 5); /* here it can */
  settings empty = {0};
  assert_int_equal(fv_options_check(table, &empty, what), FV_OK);
  assert_true(empty.kernel.n == 2 && empty.kernel.v[1] == 3);

  s.epochs = 1001;
  assert_int_equal(fv_options_check(table, &s, what), FV_ERR_REQUEST);
  assert_string_equal(fv_error_message(),
                      "recipe image-classify: epochs: expected a whole number from 1 to 1000, got '1001'");
  s.epochs = 1;
  s.lr = NAN;
  assert_int_equal(fv_options_check(table, &s, what), FV_ERR_REQUEST);
  s.lr = 1;
  s.preset = 3;
  assert_int_equal(fv_options_check(table, &s, what), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "got '3'"));
  s.preset = 0;
  s.axes.n = 9;
  assert_int_equal(fv_options_check(table, &s, what), FV_ERR_REQUEST);
}

static void test_print_reads_back(void **state) {
  (void)state;
  settings s = defaults(), back = defaults();
  s.lr = 0.1 + 0.2;
  s.epochs = 77;
  s.preset = 0;
  s.labels = "names.txt";
  s.axes = (fv_int_list){3, {-1, 2, 0}};
  assert_false(fv_options_equal(table, &s, &back));
  for (const fv_option *o = table; o->name; o++) {
    fv_text t = {0};
    fv_options_print(o, &s, &t);
    assert_int_equal(set(&back, o->name, t.s), FV_OK);
    fv_text_free(&t);
  }
  assert_true(fv_options_equal(table, &s, &back));

  fv_text all = {0}, brief = {0};
  fv_options_print_all(table, &s, false, &all);
  fv_options_print_all(table, &s, true, &brief);
  assert_string_equal(all.s, "epochs=77 lr=0.30000000000000004 gain=1.5 preset=tiny flip=true labels=names.txt "
                             "kernel=3,3 axes=-1,2,0 seed=0");
  assert_string_equal(brief.s, "epochs=77 lr=0.30000000000000004 preset=tiny labels=names.txt axes=-1,2,0");
  fv_text_free(&all);
  fv_text_free(&brief);
}

static void test_help(void **state) {
  (void)state;
  fv_text t = {0};
  fv_options_help(table, &t);
  assert_non_null(strstr(t.s, "  epochs  integer   passes over the training set (default 15; 1 to 1000)\n"));
  assert_non_null(strstr(t.s, "  gain    number    scale of the first weights (default 1.5; at least 0.5)\n"));
  assert_non_null(strstr(t.s, "  preset  choice    size of the network (default small; one of tiny, small, vit-tiny)\n"));
  assert_non_null(strstr(t.s, "  labels  text      file with class names (default none)\n"));
  fv_text_free(&t);
}

/* Whatever allocation fails, a call says so or does its work, and keeps nothing. */
static void test_out_of_memory(void **state) {
  (void)state;
  const char *const names[] = {"labels", "preset", "nothing"};
  for (size_t k = 0; k < FV_COUNT(names); k++) {
    for (uint64_t n = 1; n < 6; n++) {
      fv_arena *small;
      settings s = defaults();
      int64_t live = fv_memory_get_stats().live_bytes;
      assert_int_equal(fv_arena_new(&small), FV_OK);
      fv_memory_fail_after(n);
      fv_status status = fv_options_set(table, &s, what, names[k], "value", small);
      fv_memory_fail_after(0);
      if (k == 0) assert_int_equal(status, n == 1 ? FV_ERR_MEMORY : FV_OK);
      else assert_true(status == FV_ERR_REQUEST || status == FV_ERR_MEMORY);
      fv_arena_free(small);
      assert_int_equal(fv_memory_get_stats().live_bytes, live);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults), cmocka_unit_test(test_set), cmocka_unit_test(test_complaints),
      cmocka_unit_test(test_check_fills_in_what_was_not_given), cmocka_unit_test(test_print_reads_back),
      cmocka_unit_test(test_help), cmocka_unit_test(test_out_of_memory),
  };
  if (fv_arena_new(&arena) != FV_OK) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  fv_arena_free(arena);
  return failed;
}
