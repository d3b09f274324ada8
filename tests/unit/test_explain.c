/* SPDX-License-Identifier: Apache-2.0 */
/* Explaining: the maps against numbers worked out by hand, gradients against identities and finite differences of a
 * small trained network, and the whole request with its files. */
#include "test_explain.h"

static int setup(void **state) {
  if (scratch_make(state) != 0) return -1;
  fv_setting cnn[] = {{"width", "8"}, {"steps", "60"}, {"batch", "64"}, {"validation", "0"}};
  fv_setting vit[] = {{"dim", "16"},  {"depth", "2"},  {"patch", "8"},
                      {"steps", "2"}, {"batch", "32"}, {"validation", "0"}};
  train("cnn", "image-classify", "cluttered-digits", "tiny", cnn, FV_COUNT(cnn));
  train("vit", "image-classify", "cluttered-digits", "vit-tiny", vit, FV_COUNT(vit));
  return 0;
}

static const fv_explain_method *method(const char *name, const char *kind) {
  for (const fv_explain_method *m = fv_explain_methods; m->name; m++)
    if (!strcmp(m->name, name) && (!kind || (m->kind && !strcmp(m->kind, kind)))) return m;
  return NULL;
}

/* Two layers, one head, class token and two patches. With A' = (A + I) / 2 the class row of A2' A1' is, by hand:
 * A2' row 0 = (0.6, 0.1, 0.3); A1' = ((0.75, 0.125, 0.125), (0.05, 0.7, 0.25), (0.2, 0.1, 0.7))
 * -> patches 0.6 * 0.125 + 0.1 * 0.7 + 0.3 * 0.1 = 0.175 and 0.6 * 0.125 + 0.1 * 0.25 + 0.3 * 0.7 = 0.31. */
static float first[9] = {0.5f, 0.25f, 0.25f, 0.1f, 0.4f, 0.5f, 0.4f, 0.2f, 0.4f};
static float second[9] = {0.2f, 0.2f, 0.6f, 0.3f, 0.3f, 0.4f, 0.1f, 0.8f, 0.1f};
static void layers_by_hand(void **state) {
  (void)state;
  double room[6];
  float map[2], ones[9], mixed[9] = {1, 1, 1, -1, -1, -1, 2, 2, 2};
  for (int i = 0; i < 9; i++) ones[i] = 1;
  fv_tensor a = {.dtype = FV_F32, .shape = FV_SHAPE(1, 1, 3, 3), .data = first}, b = a, da = a, db = a;
  b.data = second, da.data = mixed, db.data = ones;
  fv_explain_taps t = {.n = 2, .tap = {&a, &b}, .gradient = {&da, &db}, .scratch = room};
  method("rollout", NULL)->map(&t, 2, map);
  assert_near((double)map[0], 0.175, 1e-6);
  assert_near((double)map[1], 0.31, 1e-6);
  /* v = (1 + 0.2, 0.2, 0.6); rows of layer 1: as it is, nothing, doubled: v1 + 1.2 * 0.25 + 0.6 * 0.4, v2 + 1.2 * 0.25
   * + 0.6 * 0.8 */
  method("gradient", FV_TAP_WEIGHTS)->map(&t, 2, map);
  assert_near((double)map[0], 0.2 + 0.3 + 0.24, 1e-6);
  assert_near((double)map[1], 0.6 + 0.3 + 0.48, 1e-6);
}

static void grids_and_peaks(void **state) {
  (void)state;
  int h, w;
  assert_true(fv_map_grid(100, 40, 40, &h, &w) && h == 10 && w == 10);
  assert_true(fv_map_grid(80, 30, 40, &h, &w) && h == 8 && w == 10);
  assert_false(fv_map_grid(101, 40, 40, &h, &w));
  const float map[4] = {0, 0, 1, 0}, holes[3] = {NAN, 2, 2}, box[4] = {1, 2, 4, 5};
  float big[64];
  fv_map_enlarge(map, 2, 2, 8, 8, big);
  assert_int_equal(fv_map_peak(big, 64), 6 * 8); /* the first row past the centre of the lower left cell, at the edge */
  assert_near((double)big[7 * 8 + 7], 0, 0);
  assert_int_equal(fv_map_peak(holes, 3), 1);
  assert_true(fv_box_holds(box, 3, 4) && fv_box_holds(box, 1, 2));
  assert_false(fv_box_holds(box, 4, 4) || fv_box_holds(box, 0, 2));
}

static void order_of_cells(void **state) {
  (void)state;
  float pixels[16] = {0};
  fv_ranked r[4];
  pixels[2] = 3, pixels[13] = 1; /* cells 1 and 2 of 2x2; 0 and 3 are equal */
  fv_faith_order(pixels, 4, 4, 2, 2, r);
  assert_true(r[0].cell == 1 && r[1].cell == 2 && r[2].cell == 0 && r[3].cell == 3);
}

/* The pooled vector is a mean with weights alpha and all behind it is linear, so alpha times gradient adds up to score
 * - bias; and the image's gradient against differences of the score along itself. */
static void gradients(void **state) {
  (void)state;
  fv_model *m = open_model("cnn");
  fv_lens lens;
  OK(fv_lens_new(m, &lens));
  fv_dataset *d;
  OK(fv_dataset_open("cluttered-digits", NULL, 0, NULL, NULL, NULL, &d));
  uint8_t pixels[1600];
  float x[1600], y[1600];
  d->read(d, FV_SPLIT_TEST, 5, 0, (void *[FV_MAX_FIELDS]){pixels});
  fv_standardise(pixels, 1600, 1, m->mean, m->deviation, x);
  fv_exec *exec = lens.r[0].exec[0];
  fv_exec_bind_input(exec, fv_exec_input(exec, "image"), x);
  fv_exec_run(exec);
  const float *scores = fv_exec_output(exec, "scores")->data, *dx = fv_exec_output(exec, "d.image")->data;
  const float *alpha = fv_exec_output(exec, "pool.alpha")->data, *dalpha = fv_exec_output(exec, "d.pool.alpha")->data;
  int64_t top = fv_map_peak(scores, 10);
  double sum = 0, norm = 0, saved = (double)scores[top];
  for (int i = 0; i < 100; i++) sum += (double)alpha[i] * (double)dalpha[i];
  double bias = (double)m->slab[m->params->v[fv_params_find(m->params, "fc.bias")].offset + top];
  assert_near(sum, saved - bias, 1e-3 * fmax(1, fabs(saved)));
  static float g[1600];
  memcpy(g, dx, sizeof g);
  for (int i = 0; i < 1600; i++) norm += (double)g[i] * (double)g[i];
  norm = sqrt(norm);
  assert_true(norm > 0);
  double value[2];
  for (int side = 0; side < 2; side++) {
    for (int i = 0; i < 1600; i++) y[i] = x[i] + (side ? 0.01f : -0.01f) * g[i] / (float)norm;
    fv_exec_bind_input(exec, fv_exec_input(exec, "image"), y);
    fv_exec_run(exec);
    value[side] = (double)((const float *)fv_exec_output(exec, "scores")->data)[top];
  }
  assert_near((value[1] - value[0]) / 0.02, norm, 0.03 * norm);
  fv_dataset_close(d);
  fv_lens_free(&lens);
  fv_model_free(m);
}

static double area(const fv_faith *f, int view, bool insertion) {
  return insertion ? f->insertion[view].auc : f->deletion[view].auc;
}

/* Minus the squared distance of cell c (of 10x10 on 40x40) from the middle of the box. */
static float nearness(const float box[4], int c) {
  float x = (float)(c % 10 * 4 + 2) - (box[0] + box[2]) / 2, y = (float)(c / 10 * 4 + 2) - (box[1] + box[3]) / 2;
  return -(x * x + y * y);
}

/* Maps that point at the digit's box must beat their own reverse and the random order, in both directions. */
static void faithful_order(void **state) {
  (void)state;
  enum { N = 24 };
  fv_model *m = open_model("cnn");
  fv_lens lens;
  fv_dataset *d;
  fv_faith f, back;
  OK(fv_lens_new(m, &lens));
  OK(fv_dataset_open("cluttered-digits", NULL, 0, NULL, NULL, NULL, &d));
  fv_sights s = {.n = N};
  OK(FV_NEW(&s.pixels, N * 1600));
  OK(FV_NEW(&s.v, N));
  for (int i = 0; i < N; i++) {
    d->read(d, FV_SPLIT_TEST, i, 0, (void *[FV_MAX_FIELDS]){s.pixels + i * 1600, NULL, s.v[i].box});
    s.v[i].has_box = true;
  }
  OK(fv_lens_look(&lens, &s));
  for (int i = 0; i < N * 100; i++) s.map[0][i] = nearness(s.v[i / 100].box, i % 100);
  bool views[FV_EXPLAIN_METHODS] = {true};
  OK(fv_faith_measure(&lens, &s, views, &f));
  for (int i = 0; i < N * 100; i++) s.map[0][i] = -s.map[0][i];
  OK(fv_faith_measure(&lens, &s, views, &back));
  int random = FV_EXPLAIN_METHODS;
  assert_true(area(&f, 0, false) < area(&f, random, false) && area(&f, random, false) < area(&back, 0, false));
  assert_true(area(&f, 0, true) > area(&f, random, true) && area(&f, random, true) > area(&back, 0, true));
  assert_near(area(&f, random, false), area(&back, random, false), 0);
  assert_near(f.deletion[0].p[0], f.insertion[0].p[FV_EXPLAIN_STEPS], 1e-5);
  assert_true(f.pointing[0] > 0.99 && back.pointing[0] < 0.01 && f.pointing_chance > 0.05 && f.pointing_chance < 0.2);
  fv_sights_free(&s);
  fv_dataset_close(d);
  fv_lens_free(&lens);
  fv_model_free(m);
}

/* ---- whole requests -------------------------------------------------------------------------------------------- */
static void files_and_json(void **state) {
  (void)state;
  fv_model *m = open_model("cnn");
  fv_image sheet;
  json_t *file;
  json_t *r = explain(
      m, &(fv_explain_request){.out = in_scratch("a.png"), .samples = 5, .faithfulness = true, .terminal = true});
  const json_t *faith = json_object_get(r, "faithfulness"), *images = json_object_get(r, "images");
  assert_string_equal(json_string_value(json_object_get(r, "method")), "pooling");
  assert_int_equal(json_array_size(images), 5);
  assert_true(json_is_boolean(json_object_get(json_array_get(images, 4), "in_box")));
  assert_int_equal(json_array_size(json_object_get(r, "maps")), 4);
  const char *keys[] = {"deletion_auc",  "deletion_auc_random",  "deletion_auc_gradient",
                        "insertion_auc", "insertion_auc_random", "insertion_auc_gradient",
                        "pointing_game", "pointing_game_chance", "samples"};
  for (size_t i = 0; i < FV_COUNT(keys); i++) assert_true(json_is_number(json_object_get(faith, keys[i])));
  assert_non_null(json_string_value(json_object_get(r, "terminal")));
  json_decref(r);
  OK(fv_image_read(in_scratch("a.png"), 3, &sheet));
  assert_true(sheet.w > 900 && sheet.h > 300);
  fv_image_free(&sheet);
  json_decref(explain(
      m, &(fv_explain_request){.input = in_scratch("a.png"), .out = in_scratch("b.html"), .method = "gradient"}));
  assert_true(fv_file_size(in_scratch("b.html")) > 5000);
  json_decref(explain(m, &(fv_explain_request){.input = "test:7", .out = in_scratch("c.json")}));
  OK(fv_json_read(in_scratch("c.json"), 1 << 24, &file));
  const json_t *map = json_array_get(json_object_get(file, "maps"), 0);
  assert_int_equal(json_array_size(json_array_get(json_object_get(map, "values"), 0)), 100);
  json_decref(file);
  fv_model_free(m);
}

static void vision_transformer(void **state) {
  (void)state;
  fv_model *m = open_model("vit");
  json_t *r = explain(m, &(fv_explain_request){.samples = 2, .faithfulness = true});
  assert_string_equal(json_string_value(json_object_get(r, "method")), "rollout");
  assert_int_equal(json_array_size(json_object_get(r, "maps")), 3);
  assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(r, "maps"), 1), "height")), 5);
  json_decref(r);
  fv_model_free(m);
}

static void refuse(fv_model *m, fv_explain_request rq, const char *words) {
  char *json;
  FAILS(FV_ERR_REQUEST, words, fv_model_explain(m, &rq, &json));
  assert_null(json);
}

static void bad_requests(void **state) {
  (void)state;
  fv_model *m = open_model("cnn");
  refuse(m, (fv_explain_request){.method = "poolling"}, "did you mean 'pooling'");
  refuse(m, (fv_explain_request){.method = "rollout"}, "pooling, spatial, gradient, input-gradient");
  refuse(m, (fv_explain_request){.out = "map.jpg"}, ".png, .html or .json");
  refuse(m, (fv_explain_request){.input = "test:2000"}, "0 to 1999");
  refuse(m, (fv_explain_request){.input = "test:x"}, "0 to 1999");
  refuse(m, (fv_explain_request){.samples = -1}, "samples");
  refuse(m, (fv_explain_request){.data = "digits"}, "expected images");
  fv_model_free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layers_by_hand),     cmocka_unit_test(grids_and_peaks), cmocka_unit_test(order_of_cells),
      cmocka_unit_test(gradients),          cmocka_unit_test(faithful_order),  cmocka_unit_test(files_and_json),
      cmocka_unit_test(vision_transformer), cmocka_unit_test(bad_requests),
  };
  return cmocka_run_group_tests(tests, setup, scratch_remove);
}
