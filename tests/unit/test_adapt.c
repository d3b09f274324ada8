/* SPDX-License-Identifier: Apache-2.0 */
/* Adapting: folders of pictures as support sets and what is wrong with them, the model's file with such a set in it,
 * also a damaged one, and what its answers rest on. */
#include "test_explain.h"

enum { SIDE = 28, MOST = 8 };

/* A few steps on made-up characters: of three classes, an example of each. */
static void train_few(const char *preset) {
  const fv_setting sets[] = {{"channels", "8"}, {"steps", "4"}, {"batch", "2"}, {"ways", "3"}, {"queries", "2"}};
  train(preset, "few-shot", "strokes", preset, sets, FV_COUNT(sets));
}

/* Picture k: a bar of ink, each its own. */
static void draw(const char *path, int k) {
  fv_image image;
  OK(fv_image_new(SIDE, SIDE, 1, &image));
  for (int i = 0; i < SIDE * SIDE; i++) {
    const int across = k % 2 ? i % SIDE : i / SIDE;
    image.pixels[i] = across >= 2 + 3 * k && across < 5 + 3 * k ? 0 : 255;
  }
  OK(fv_image_write_png(path, &image));
  fv_image_free(&image);
}

/* `classes` folders with as many pictures each as `each` says. */
static void make_folder(const char *name, int classes, const int *each) {
  char dir[256], path[512];
  int k = 0;
  for (int c = 0; c < classes; c++) {
    snprintf(dir, sizeof dir, "%s/%s/class %c", scratch, name, 'a' + c);
    OK(fv_dir_make(dir));
    for (int i = 0; i < each[c]; i++) {
      snprintf(path, sizeof path, "%s/%d.png", dir, i);
      draw(path, k++);
    }
  }
}

static int setup(void **state) {
  if (scratch_make(state) != 0) return -1;
  train_few("matching");
  train_few("snail");
  train_few("simple");
  make_folder("two", 2, (const int[]){2, 3});
  make_folder("three", 3, (const int[]){1, 1, 1});
  return 0;
}

static void adapt(const char *model, const char *dir, const char *out) {
  char *json;
  fv_model *m = open_model(model);
  OK(fv_model_adapt(m, in_scratch(dir), in_scratch(out), &json));
  fv_string_free(json);
  fv_model_free(m);
}

static char *predict(fv_model *m, const char *picture) {
  char *json;
  OK(fv_model_predict(m, in_scratch(picture), 9, &json));
  return json;
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */
static void test_folders(void **state) {
  (void)state;
  fv_support *s;
  OK(fv_support_read(in_scratch("two"), SIDE, SIDE, &s));
  assert_int_equal(s->n, 5);
  assert_int_equal(s->n_classes, 2);
  assert_string_equal(s->classes[1], "class b");
  assert_string_equal(s->picture[4], "class b/2.png");
  assert_int_equal(s->label[1], 0);
  assert_int_equal(s->label[2], 1);
  assert_int_equal(s->ink[2 * SIDE], 255); /* the bar of the first is at row 2 */
  assert_int_equal(s->ink[0], 0);
  fv_support_free(s);
  FAILS(FV_ERR_NOTFOUND, "nothere", fv_support_read(in_scratch("nothere"), SIDE, SIDE, &s));
  make_folder("one", 1, (const int[]){2});
  FAILS(FV_ERR_REQUEST, "at least 2 class folders", fv_support_read(in_scratch("one"), SIDE, SIDE, &s));
  make_folder("empty", 3, (const int[]){1, 1, 0});
  FAILS(FV_ERR_REQUEST, "class c", fv_support_read(in_scratch("empty"), SIDE, SIDE, &s));
  make_folder("noise", 2, (const int[]){1, 1});
  OK(fv_file_write(in_scratch("noise/class b/x.png"), "no picture", 10));
  FAILS(FV_ERR_CORRUPT, "x.png", fv_support_read(in_scratch("noise"), SIDE, SIDE, &s));
}

/* ---- the model's file -------------------------------------------------------------------------------------------- */
static void test_answers(void **state) {
  (void)state;
  static const char *const models[] = {"matching", "snail"}, *const folders[] = {"two", "three"};
  for (int i = 0; i < 2; i++) {
    char *json;
    fv_model *m = open_model(models[i]);
    OK(fv_model_adapt(m, in_scratch(folders[i]), in_scratch("new.safetensors"), &json));
    fv_string_free(json);
    char *before = predict(m, "three/class a/0.png");
    fv_model *again = open_model("new.safetensors");
    assert_int_equal(again->task.n_classes, i ? 3 : 2);
    char *after = predict(again, "three/class a/0.png");
    assert_string_equal(after, before);
    assert_non_null(strstr(after, "\"class a\""));
    FAILS(FV_ERR_REQUEST, "adapted", fv_model_predict(again, "test:0", 1, &json));
    FAILS(FV_ERR_REQUEST, "adapted", fv_model_eval(again, NULL, FV_SPLIT_TEST, NULL, NULL, &json));
    fv_string_free(before);
    fv_string_free(after);
    fv_model_free(again);
    fv_model_free(m);
  }
}

static void test_sizes(void **state) {
  (void)state;
  char *json;
  fv_model *m = open_model("snail");
  FAILS(FV_ERR_REQUEST, "expected 3 classes and 1 of each",
        fv_model_adapt(m, in_scratch("two"), in_scratch("x.safetensors"), &json));
  assert_false(fv_path_exists(in_scratch("x.safetensors")));
  FAILS(FV_ERR_REQUEST, "adapt", fv_model_predict(m, in_scratch("three/class a/0.png"), 1, &json));
  OK(fv_model_predict(m, "test:0", 1, &json)); /* as it was */
  fv_string_free(json);
  fv_model_free(m);
}

/* The adapted file with other tensors, or with `from` as `to` in its metadata. */
static void damage(const char *from, const char *to, int32_t label, bool fewer, const char *words) {
  fv_safetensors *file;
  fv_array arrays[64];
  int32_t labels[MOST];
  fv_model *m;
  adapt("matching", "two", "good.safetensors");
  OK(fv_safetensors_open(in_scratch("good.safetensors"), &file));
  const int64_t n = fv_safetensors_count(file);
  for (int64_t i = 0; i < n; i++) arrays[i] = *fv_safetensors_at(file, i);
  for (int64_t i = 0; i < n; i++) {
    if (!strcmp(arrays[i].name, "support.label")) {
      OK(fv_array_to_i32(&arrays[i], labels));
      labels[0] = label;
      arrays[i].data = labels;
    }
    if (fewer && !strcmp(arrays[i].name, "support.ink")) {
      arrays[i].dim[0]--;
      OK(fv_array_measure(&arrays[i], "ink"));
    }
  }
  const char *meta = fv_safetensors_meta(file, "fovea"), *at = strstr(meta, from);
  assert_non_null(at);
  char *other = malloc(strlen(meta) + strlen(to) + 1);
  assert_non_null(other);
  sprintf(other, "%.*s%s%s", (int)(at - meta), meta, to, at + strlen(from));
  const fv_pair pair = {"fovea", other};
  OK(fv_safetensors_write(in_scratch("bad.safetensors"), arrays, n, &pair, 1));
  free(other);
  fv_safetensors_close(file);
  FAILS(FV_ERR_CORRUPT, words, fv_model_open(in_scratch("bad.safetensors"), 1, &m));
}

static void test_damage(void **state) {
  (void)state;
  damage("\"recipe\"", "\"recipe\"", 2, false, "below 2");
  damage("\"recipe\"", "\"recipe\"", -1, false, "below 2");
  damage("\"recipe\"", "\"recipe\"", 0, true, "[5,28,28]");
  damage("\"support\"", "\"supports\"", 0, false, "label for each way");
  damage("\"class a/0.png\"", "7", 0, false, "expected a text");
  damage("\"class a/0.png\", ", "", 0, false, "[4,28,28]");
  damage("\"class a\", ", "\"x\", \"y\", ", 0, false, "picture of class 2");
  damage("\"episodes\"", "\"episode\"", 0, false, "episodes");
}

/* ---- explaining -------------------------------------------------------------------------------------------------- */
static double number(const json_t *j, const char *key) { return json_number_value(json_object_get(j, key)); }

/* Matching without context: weights sum to 1, and without a picture the others share its weight. */
static void test_effects(void **state) {
  (void)state;
  static const char *const method[] = {"attention", "effect"};
  fv_model *m = open_model("simple");
  for (int k = 0; k < 2; k++) {
    size_t q, i;
    json_t *query, *picture, *all;
    all = explain(m, &(fv_explain_request){.input = "test:1", .method = method[k], .faithfulness = true, .samples = 2});
    json_array_foreach(json_object_get(all, "queries"), q, query) {
      const char *answer = json_string_value(json_object_get(query, "label"));
      const double p = number(query, "probability");
      double sum = 0, last = 2;
      json_array_foreach(json_object_get(query, "support"), i, picture) {
        const double w = number(picture, "weight"), effect = number(picture, "effect"), by = k ? effect : w;
        const bool own = !strcmp(json_string_value(json_object_get(picture, "class")), answer);
        sum += w;
        assert_near(effect, p - (p - (own ? w : 0)) / (1 - w), 2e-5);
        assert_true(by <= last);
        last = by;
      }
      assert_near(sum, 1, 1e-5);
    }
    const json_t *faith = json_object_get(all, "faithfulness");
    assert_true(number(faith, "samples") > 0);
    assert_true(number(faith, "change_effect") >= number(faith, "change_attention"));
    assert_true(number(faith, "change_effect") >= number(faith, "change_random"));
    json_decref(all);
  }
  fv_model_free(m);
}

static void test_requests(void **state) {
  (void)state;
  char *json;
  adapt("matching", "two", "own.safetensors");
  fv_model *m = open_model("own.safetensors");
  const fv_explain_request rollout = {.input = "x.png", .method = "rollout"}, dot = {.input = "x.png", .out = "x.dot"};
  FAILS(FV_ERR_REQUEST, "method", fv_model_explain(m, &rollout, &json));
  FAILS(FV_ERR_REQUEST, ".png, .html", fv_model_explain(m, &dot, &json));
  FAILS(FV_ERR_REQUEST, "expected a picture", fv_model_explain(m, &(fv_explain_request){0}, &json));
  FAILS(FV_ERR_NOTFOUND, "nothere.png", fv_model_explain(m, &(fv_explain_request){.input = "nothere.png"}, &json));
  OK(fv_model_explain(m, &(fv_explain_request){.input = in_scratch("two/class a/1.png"), .terminal = true,
                                               .terminal_columns = 80, .out = in_scratch("why.json")}, &json));
  assert_non_null(strstr(json, "class b/2.png"));
  assert_non_null(strstr(json, "\"terminal\""));
  assert_true(fv_path_exists(in_scratch("why.json")));
  fv_string_free(json);
  fv_model_free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_folders), cmocka_unit_test(test_answers),
                                     cmocka_unit_test(test_sizes),   cmocka_unit_test(test_damage),
                                     cmocka_unit_test(test_effects), cmocka_unit_test(test_requests)};
  return cmocka_run_group_tests(tests, setup, scratch_remove);
}
