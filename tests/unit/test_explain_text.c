/* SPDX-License-Identifier: Apache-2.0 */
/* Explaining texts: weights that sum to one over what was read and to nothing behind it, gradients against an identity,
 * words put together from pieces, erasing words against doing it by hand, sentences, and whole requests. */
#include "models/texts.h"
#include "test_explain.h"

static int setup(void **state) {
  if (scratch_make(state) != 0) return -1;
  fv_setting words[] = {{"epochs", "2"}, {"ema", "0"}, {"word_dropout", "0"}, {"lr", "0.01"}, {"validation", "0"}};
  fv_setting pieces[] = {{"steps", "2"}, {"tokenizer", "bpe"}, {"vocabulary", "280"}, {"validation", "0"}};
  fv_setting few[] = {{"steps", "2"}, {"vocabulary", "24"}, {"longest", "9"}, {"validation", "0"}};
  fv_setting scales[] = {{"steps", "2"}, {"validation", "0"}, {"sentences", "3"}};
  fv_setting han[] = {{"steps", "2"}, {"validation", "0"}, {"hidden", "8"}, {"width", "16"}};
  train("words", "sentiment", "verdicts", "tiny", words, FV_COUNT(words));
  train("pieces", "sentiment", "verdicts", "tiny", pieces, FV_COUNT(pieces));
  train("scales", "text-classify-multiscale", "verdicts", "tiny", scales, FV_COUNT(scales));
  train("few", "sentiment", "verdicts", "tiny", few, FV_COUNT(few));
  train("han", "text-classify-multiscale", "verdicts", "han", han, FV_COUNT(han));
  return 0;
}

/* ---- looking at texts -------------------------------------------------------------------------------------------- */
typedef struct seen {
  fv_model *m;
  fv_lens lens;
  fv_sights s;
} seen;

/* Lines of text through the lens of a model. */
static void look(const char *model, const char *lines, seen *v) {
  fv_text_table *table;
  v->s = (fv_sights){0};
  v->m = open_model(model);
  OK(fv_lens_new(v->m, &v->lens));
  OK(fv_text_table_parse(lines, strlen(lines), "lines", &(fv_text_options){.format = FV_TEXT_LINES}, &table));
  v->s.n = fv_text_table_rows(table);
  OK(fv_arena_new(&v->s.arena));
  OK(FV_NEW(&v->s.v, v->s.n));
  OK(fv_words_of_lines(v->m, table, &v->s));
  fv_text_table_free(table);
  OK(fv_lens_look(&v->lens, &v->s));
}

static void look_away(seen *v) {
  fv_sights_free(&v->s);
  fv_lens_free(&v->lens);
  fv_model_free(v->m);
}

static void assert_word(const fv_words *w, int64_t k, const char *want) {
  char got[64];
  snprintf(got, sizeof got, "%.*s", w->span[k].to - w->span[k].from, w->s + w->span[k].from);
  assert_string_equal(got, want);
}

static const char lines[] = "the food was not bad\nthe room was lovely , and the staff was friendly .\ngood\n"
                            "the film was good . the story was dull ! . the cast was rude . no more\n";

/* Every model's pooling: one over the words of a text, nothing behind them. */
static void weights(void **state) {
  (void)state;
  const char *models[] = {"words", "pieces", "scales", "han"};
  for (size_t i = 0; i < FV_COUNT(models); i++) {
    seen v;
    look(models[i], lines, &v);
    assert_string_equal(v.lens.view[0].method->name, "pooling");
    assert_string_equal(v.lens.view[v.lens.n_views - 1].method->name, "input-gradient");
    for (int64_t k = 0; k < v.s.n; k++) {
      const float *map = v.s.map[0] + k * v.lens.view[0].w;
      double sum = 0;
      for (int64_t w = 0; w < v.s.v[k].words.n; w++) {
        assert_true(map[w] > 0);
        sum += (double)map[w];
      }
      assert_near(sum, 1, 1e-5);
      for (int64_t w = v.s.v[k].words.n; w < v.lens.view[0].w; w++) assert_true(map[w] == 0);
    }
    look_away(&v);
  }
}

/* The pooled vector is a mean with weights alpha and all behind it is linear: alpha times gradient adds up to score -
 * bias. And the tap on what was read has the sum over words of its gradient in the input-gradient map. */
static void gradients(void **state) {
  (void)state;
  seen v;
  look("words", lines, &v);
  const fv_words *w = &v.s.v[1].words;
  const int bucket = fv_words_bucket(v.m, w);
  int32_t tokens[64];
  fv_words_tokens(v.m, w, NULL, bucket, tokens);
  fv_exec *exec = v.lens.r[bucket].exec[0];
  fv_exec_bind_input(exec, fv_exec_input(exec, "tokens"), tokens);
  fv_exec_run(exec);
  const float *scores = fv_exec_output(exec, "scores")->data, *alpha = fv_exec_output(exec, "pool.alpha")->data;
  const float *slope = fv_exec_output(exec, "d.pool.alpha")->data;
  const int64_t top = fv_map_peak(scores, 2), t = v.m->length[bucket];
  double sum = 0;
  for (int64_t i = 0; i < t; i++) sum += (double)alpha[i] * (double)slope[i];
  const double bias =
      (double)v.m->slab[v.m->params->v[fv_params_find(v.m->params, "classifier.bias")].offset + top];
  assert_near(sum, (double)scores[top] - bias, 1e-4 * fmax(1, fabs((double)scores[top])));
  const fv_tensor *x = fv_exec_output(exec, "embedding.read"), *d = fv_exec_output(exec, "d.embedding.read");
  const int64_t width = x->shape.dim[2];
  const float *map = v.s.map[v.lens.n_views - 1] + v.lens.view[0].w;
  for (int64_t i = 0; i < w->n; i++) {
    double square = 0;
    for (int64_t e = i * width; e < (i + 1) * width; e++)
      square += pow((double)((const float *)x->data)[e] * (double)((const float *)d->data)[e], 2);
    assert_near((double)map[i], sqrt(square), 1e-5 * fmax(1, sqrt(square)));
  }
  look_away(&v);
}

static void words_of_pieces(void **state) {
  (void)state;
  seen v;
  look("pieces", "Isn't it un\xc3\xbc" "bertrefflich, so to say?\n", &v);
  const char *want[] = {"Is", "n't", "it", ("un\xc3\xbc" "bertrefflich"), ",", "so", "to", "say", "?"};
  const fv_words *w = &v.s.v[0].words;
  assert_int_equal(w->n, FV_COUNT(want));
  for (size_t k = 0; k < FV_COUNT(want); k++) assert_word(w, (int64_t)k, want[k]);
  assert_true(w->n_tokens > w->n);
  for (int64_t k = 1; k < w->n_tokens; k++) assert_in_range(w->word[k] - w->word[k - 1], 0, 1);
  int32_t tokens[64];
  uint8_t kept[9] = {0, 0, 1};
  fv_words_tokens(v.m, w, kept, fv_words_bucket(v.m, w), tokens);
  int64_t n = 0;
  while (tokens[n]) n++;
  char *text;
  size_t size;
  OK(fv_tokenizer_decode(v.m->reading.tokenizer[0], tokens, n, false, &text, &size));
  assert_string_equal(text, " it");
  fv_string_free(text);
  fv_words_tokens(v.m, w, (const uint8_t[9]){0}, 0, tokens);
  assert_true(tokens[0] == FV_SPECIAL_UNK && tokens[1] == 0);
  look_away(&v);
}

/* Texts of the test split are read as they were written, to the tokens that the dataset has. */
static void words_of_samples(void **state) {
  (void)state;
  enum { N = 40 };
  fv_model *m = open_model("few");
  fv_dataset *d;
  fv_sights s = {.n = N};
  int64_t index[N], unknown = 0;
  OK(fv_dataset_open("verdicts", &m->reading, 0, NULL, NULL, NULL, &d));
  OK(fv_arena_new(&s.arena));
  OK(FV_NEW(&s.v, N));
  for (int64_t i = 0; i < N; i++) index[i] = 3 * i;
  OK(fv_words_of_samples(m, d, index, &s));
  for (int64_t i = 0; i < N; i++) {
    const fv_words *w = &s.v[i].words;
    const fv_bytes text = d->text(d, FV_SPLIT_TEST, index[i], 0);
    int32_t tokens[9], label;
    d->read(d, FV_SPLIT_TEST, index[i], 0, (void *[FV_MAX_FIELDS]){tokens, &label});
    assert_int_equal(w->n_tokens, d->length(d, FV_SPLIT_TEST, index[i]));
    assert_memory_equal(w->token, tokens, (size_t)w->n_tokens * sizeof *tokens);
    assert_int_equal(s.v[i].label, label);
    assert_int_equal(strlen(w->s), text.n);
    assert_memory_equal(w->s, text.s, text.n);
    for (int64_t k = 0; k < w->n; k++) {
      assert_int_equal(fv_word_is_unknown(m, w, k), w->token[k] == FV_SPECIAL_UNK);
      unknown += fv_word_is_unknown(m, w, k);
    }
  }
  assert_in_range(unknown, 1, 9 * N - 1);
  fv_sights_free(&s);
  fv_dataset_close(d);
  json_t *r = explain(m, &(fv_explain_request){.input = "text:The zebra was awful", .terminal = true});
  const json_t *word = json_array_get(json_object_get(json_array_get(json_object_get(r, "texts"), 0), "words"), 1);
  assert_string_equal(json_string_value(json_object_get(word, "word")), "zebra");
  assert_string_equal(json_string_value(json_object_get(word, "token")), "<unk>");
  assert_non_null(strstr(json_string_value(json_object_get(r, "terminal")), "The(0."));
  assert_non_null(strstr(json_string_value(json_object_get(r, "terminal")), " <zebra>(0."));
  json_decref(r);
  fv_model_free(m);
}

/* ---- faithfulness ------------------------------------------------------------------------------------------------ */
/* The probability of class c of a text, by way of prediction. */
static double probability_of(fv_model *m, const char *text, int64_t c) {
  fv_text_table *table;
  fv_dataset *d;
  float p[2];
  OK(fv_text_table_parse(text, strlen(text), "text", &(fv_text_options){.format = FV_TEXT_LINES, .allow_empty = true},
                         &table));
  OK(fv_dataset_of_texts(table, NULL, &m->reading, &d));
  OK(fv_model_classify(m, d, FV_SPLIT_TEST, NULL, 1, p, NULL));
  fv_dataset_close(d);
  fv_text_table_free(table);
  return (double)p[c];
}

/* Of the words, those whose place in the order is before `first` are left out, or alone are left in. */
static double without(const seen *v, int64_t first, bool left) {
  const fv_words *w = &v->s.v[0].words;
  const float *map = v->s.map[0];
  char text[256] = "";
  for (int64_t k = 0; k < w->n; k++) {
    int64_t place = 0;
    for (int64_t o = 0; o < w->n; o++) place += map[o] > map[k] || (map[o] == map[k] && o < k);
    if ((place < first) != left) continue;
    const size_t n = strlen(text);
    snprintf(text + n, sizeof text - n, "%.*s ", w->span[k].to - w->span[k].from, w->s + w->span[k].from);
  }
  snprintf(text + strlen(text), 2, "\n");
  return probability_of(v->m, text, v->s.v[0].prediction);
}

static void erasing(void **state) {
  (void)state;
  seen v;
  look("words", "the food was not bad but the room was really awful .\n", &v);
  fv_faith f;
  bool views[FV_EXPLAIN_METHODS] = {true};
  OK(fv_faith_measure(&v.lens, &v.s, views, &f));
  const int64_t n = v.s.v[0].words.n;
  assert_int_equal(n, 12);
  const double whole = (double)v.s.v[0].probability;
  double comprehensiveness = 0, sufficiency = 0;
  for (int s = 0; s <= FV_EXPLAIN_STEPS; s++) {
    const int64_t gone = (s * n + FV_EXPLAIN_STEPS - 1) / FV_EXPLAIN_STEPS;
    const double less = without(&v, gone, false), only = without(&v, gone, true);
    assert_near(f.deletion[0].p[s], less, 1e-5);
    assert_near(f.insertion[0].p[s], only, 1e-5);
    if (s != 1 && s != 2 && s != 4 && s != 10) continue;
    comprehensiveness += (whole - less) / 4;
    sufficiency += (whole - only) / 4;
  }
  assert_near(f.comprehensiveness[0], comprehensiveness, 1e-5);
  assert_near(f.sufficiency[0], sufficiency, 1e-5);
  assert_near(f.deletion[0].p[0], f.insertion[0].p[FV_EXPLAIN_STEPS], 1e-5);
  look_away(&v);
}

/* The word that settles it first, or last: the figures must tell the two orders and chance apart. */
static void faithful_order(void **state) {
  (void)state;
  seen v;
  look("words", "honestly , the food was awful .\nto my mind the film was dreadful .\nthe bed was lovely .\n"
                "we found that the price was superb .\ni think the view was boring .\n", &v);
  fv_faith f, back;
  bool views[FV_EXPLAIN_METHODS] = {true};
  const int room = v.lens.view[0].w;
  for (int64_t i = 0; i < v.s.n; i++)
    for (int64_t k = 0; k < v.s.v[i].words.n; k++) v.s.map[0][i * room + k] = k == v.s.v[i].words.n - 2;
  OK(fv_faith_measure(&v.lens, &v.s, views, &f));
  for (int64_t i = 0; i < v.s.n * room; i++) v.s.map[0][i] = -v.s.map[0][i];
  OK(fv_faith_measure(&v.lens, &v.s, views, &back));
  const int random = FV_EXPLAIN_METHODS;
  assert_true(f.comprehensiveness[0] > f.comprehensiveness[random]);
  assert_true(f.comprehensiveness[random] > back.comprehensiveness[0]);
  assert_true(f.sufficiency[0] < f.sufficiency[random] && f.sufficiency[random] < back.sufficiency[0]);
  assert_true(f.deletion[0].auc < back.deletion[0].auc && f.insertion[0].auc > back.insertion[0].auc);
  assert_near(f.comprehensiveness[random], back.comprehensiveness[random], 0);
  look_away(&v);
}

/* ---- sentences --------------------------------------------------------------------------------------------------- */
/* Tokens 2 and 3 are marks; rows of T = 8, at most three sentences. */
static void sentences(void **state) {
  (void)state;
  enum { N = 4, T = 8, S = 3 };
  int32_t tokens[N][T] = {{5, 6, 2, 7, 8, 9}, {5, 2, 3, 2, 6, 3, 7}, {4, 2, 5, 2, 6, 2, 7, 2}, {9}};
  const int want[N][T] = {{0, 0, 0, 1, 1, 1, -1, -1}, {0, 0, 0, 0, 1, 1, 2, -1}, {0, 0, 1, 1, 2, 2, 2, 2},
                          {0, -1, -1, -1, -1, -1, -1, -1}};
  const int32_t counts[N] = {2, 3, 3, 1};
  const fv_problem task = {.length = T, .stop = {2, 3}, .n_stops = 2};
  fv_params *params;
  fv_graph *g;
  fv_runner r;
  OK(fv_params_new(&params));
  OK(fv_graph_new(params, FV_F32, &g));
  fv_sentences s = fv_text_sentences(g, fv_input(g, "tokens", FV_I32, FV_SHAPE(N, T)), &task, S);
  fv_output(g, "member", s.member);
  fv_output(g, "some", s.some);
  fv_output(g, "count", s.count);
  OK(fv_graph_check(g));
  OK(fv_params_layout(params));
  OK(fv_runner_new(NULL, g, NULL, 1, N, &r));
  fv_exec_bind_input(r.exec[0], fv_exec_input(r.exec[0], "tokens"), tokens[0]);
  fv_exec_run(r.exec[0]);
  const uint8_t *member = fv_exec_output(r.exec[0], "member")->data, *some = fv_exec_output(r.exec[0], "some")->data;
  const int32_t *count = fv_exec_output(r.exec[0], "count")->data;
  for (int i = 0; i < N; i++) {
    assert_int_equal(count[i], counts[i]);
    for (int k = 0; k < S; k++) {
      assert_int_equal(some[i * S + k], k < counts[i]);
      for (int t = 0; t < T; t++) assert_int_equal(member[(i * S + k) * T + t], want[i][t] == k);
    }
  }
  fv_runner_free(&r);
  fv_params_free(params);
}

/* What a text is padded to changes nothing: the same tokens at every length. */
static void padding(void **state) {
  (void)state;
  const char *models[] = {"words", "scales", "han"};
  for (size_t i = 0; i < FV_COUNT(models); i++) {
    seen v;
    look(models[i], "the film was good . the cast was rude .\n", &v);
    const fv_words *w = &v.s.v[0].words;
    const int first = fv_words_bucket(v.m, w), last = v.m->n_lengths - 1;
    float p[2];
    int32_t tokens[64];
    assert_true(v.m->length[first] < v.m->length[last]);
    for (int b = first; b <= last; b += last - first) {
      fv_runner r = {0};
      OK(fv_model_runner(v.m, FV_MODE_PREDICT, b, 1, 1, &r));
      fv_words_tokens(v.m, w, NULL, b, tokens);
      fv_exec_bind_input(r.exec[0], fv_exec_input(r.exec[0], "tokens"), tokens);
      fv_exec_run(r.exec[0]);
      p[b == last] = *(const float *)fv_exec_output(r.exec[0], "probabilities")->data;
      fv_runner_free(&r);
    }
    assert_near((double)p[1], (double)p[0], 1e-6);
    look_away(&v);
  }
}

/* ---- whole requests ---------------------------------------------------------------------------------------------- */
static void files_and_json(void **state) {
  (void)state;
  fv_model *m = open_model("words");
  fv_image sheet;
  json_t *file;
  json_t *r = explain(m, &(fv_explain_request){.out = in_scratch("a.png"), .samples = 5, .faithfulness = true,
                                               .terminal = true});
  const json_t *faith = json_object_get(r, "faithfulness"), *texts = json_object_get(r, "texts");
  assert_int_equal(json_array_size(texts), 5);
  const char *keys[] = {"deletion_auc", "insertion_auc_random", "comprehensiveness", "comprehensiveness_random",
                        "comprehensiveness_gradient", "sufficiency", "sufficiency_random", "sufficiency_gradient",
                        "samples"};
  for (size_t i = 0; i < FV_COUNT(keys); i++) assert_true(json_is_number(json_object_get(faith, keys[i])));
  assert_null(json_object_get(faith, "pointing_game"));
  assert_non_null(strstr(json_string_value(json_object_get(r, "terminal")), "(0."));
  json_decref(r);
  OK(fv_image_read(in_scratch("a.png"), 3, &sheet));
  assert_true(sheet.w == 1440 && sheet.h > 400);
  fv_image_free(&sheet);
  r = explain(m, &(fv_explain_request){.input = "text:The food & the room: <b>awful</b>", .out = in_scratch("b.html")});
  const json_t *one = json_array_get(json_object_get(r, "texts"), 0), *words = json_object_get(one, "words");
  assert_string_equal(json_string_value(json_object_get(json_array_get(words, 0), "word")), "The");
  assert_string_equal(json_string_value(json_object_get(one, "text")), "The food & the room: <b>awful</b>");
  json_decref(r);
  uint8_t *page;
  size_t n;
  OK(fv_file_read(in_scratch("b.html"), 1 << 24, &page, &n));
  assert_non_null(strstr((const char *)page, ">&amp;</span>"));
  assert_null(strstr((const char *)page, "<b>"));
  fv_free(page);
  json_decref(explain(m, &(fv_explain_request){.input = "test:7", .out = in_scratch("c.json")}));
  OK(fv_json_read(in_scratch("c.json"), 1 << 24, &file));
  words = json_object_get(json_array_get(json_object_get(file, "texts"), 0), "words");
  const json_t *map = json_array_get(json_object_get(file, "maps"), 0);
  assert_int_equal(json_array_size(json_array_get(json_object_get(map, "values"), 0)), json_array_size(words));
  json_decref(file);
  fv_model_free(m);
}

static void refuse(fv_model *m, fv_explain_request rq, fv_status code, const char *words) {
  char *json;
  FAILS(code, words, fv_model_explain(m, &rq, &json));
  assert_null(json);
}

static void bad_requests(void **state) {
  (void)state;
  fv_model *m = open_model("words");
  refuse(m, (fv_explain_request){.method = "rollout"}, FV_ERR_REQUEST, "pooling, gradient, input-gradient");
  refuse(m, (fv_explain_request){.input = "test:500"}, FV_ERR_REQUEST, "0 to 499");
  refuse(m, (fv_explain_request){.input = "text:\xff\xfe"}, FV_ERR_CORRUPT, "UTF-8");
  refuse(m, (fv_explain_request){.data = "digits"}, FV_ERR_REQUEST, "expected texts");
  fv_model_free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights), cmocka_unit_test(gradients), cmocka_unit_test(words_of_pieces),
      cmocka_unit_test(words_of_samples), cmocka_unit_test(erasing), cmocka_unit_test(faithful_order),
      cmocka_unit_test(sentences), cmocka_unit_test(padding), cmocka_unit_test(files_and_json),
      cmocka_unit_test(bad_requests),
  };
  return cmocka_run_group_tests(tests, setup, scratch_remove);
}
