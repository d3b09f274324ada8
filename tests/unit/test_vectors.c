/* SPDX-License-Identifier: Apache-2.0 */
/* Word vectors from text files: where each lands, what a file may look like, and how a model starts from them. */
#include "test_io.h"
#include "train/trainer.h"

static fv_tokenizer *tokenizer_of(const char *text) {
  fv_tokenizer_trainer *trainer;
  fv_tokenizer *t;
  OK(fv_tokenizer_trainer_new(&(fv_tokenizer_options){.min_count = 1}, &trainer));
  OK(fv_tokenizer_trainer_add(trainer, text, strlen(text)));
  OK(fv_tokenizer_trainer_finish(trainer, &t));
  return t;
}

static void rows_in_their_places(void **state) {
  (void)state;
  static const char *const files[] = {
      "good 1 2 3\n<unk> 9 9 9\nplot -0.5 1e-2 4\nnever 7 7 7\n. . 8 8 8\ngood 6 6 6\n",
      "6 3\r\ngood 1 2 3 \r\n<unk> 9 9 9 \r\nplot -0.5 1e-2 4 \r\nnever 7 7 7 \r\n. . 8 8 8\r\ngood 6 6 6"};
  fv_tokenizer *t = tokenizer_of("the plot was good .");
  const int32_t good = fv_tokenizer_find(t, "good", 4), plot = fv_tokenizer_find(t, "plot", 4);
  for (size_t f = 0; f < FV_COUNT(files); f++) {
    float table[16 * 3];
    uint8_t seen[16] = {0};
    fv_vectors_found found;
    for (size_t i = 0; i < FV_COUNT(table); i++) table[i] = 100;
    OK(fv_vectors_parse(files[f], strlen(files[f]), "v", t, 3, table, seen, &found));
    assert_int_equal(found.rows, 6);
    assert_int_equal(found.found, 2);
    const float want[2][3] = {{1, 2, 3}, {-0.5f, 0.01f, 4}};
    assert_memory_equal(table + good * 3, want[0], sizeof want[0]);
    assert_memory_equal(table + plot * 3, want[1], sizeof want[1]);
    for (int64_t i = 0; i < fv_tokenizer_size(t); i++) {
      assert_int_equal(seen[i], i == good || i == plot);
      if (!seen[i]) assert_true(table[i * 3] == 100 && table[i * 3 + 2] == 100);
    }
  }
  fv_tokenizer_free(t);
}

static void refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *words;
    fv_status code;
  } bad[] = {{"good 1 2 3\nplot 1 2\n", "(v:2): expected a word and 3 numbers, got 3 fields", FV_ERR_CORRUPT},
             {"good 1 2 3\nplot 1 2 3 4\n", "(v:2): expected a word and 3 numbers, got 5 fields", FV_ERR_CORRUPT},
             {"good 1 2 3\n\nplot 1 2 3\n", "(v:2)", FV_ERR_CORRUPT},
             {"good 1 two 3\n", "(v:1): expected a finite number, got 'two'", FV_ERR_CORRUPT},
             {"good 1 2 inf\n", "(v:1): expected a finite number", FV_ERR_CORRUPT},
             {"3 3\ngood 1 2 3\n", "expected 3 words as its first line says, got 1", FV_ERR_CORRUPT},
             {"1 50\ngood 1 2 3\n", "expected vectors of 3 numbers as the setting width says, got 50", FV_ERR_REQUEST},
             {"good 1 2\n", "expected vectors of 3 numbers as the setting width says, got 2", FV_ERR_REQUEST},
             {"good\n", "(v:1): expected a word and its numbers, got 1 fields", FV_ERR_CORRUPT},
             {"", "got nothing", FV_ERR_CORRUPT}};
  fv_tokenizer *t = tokenizer_of("the plot was good .");
  for (size_t i = 0; i < FV_COUNT(bad); i++) {
    float table[16 * 3];
    uint8_t seen[16] = {0};
    fv_vectors_found found;
    FAILS(bad[i].code, bad[i].words,
          fv_vectors_parse(bad[i].text, strlen(bad[i].text), "v", t, 3, table, seen, &found));
  }
  fv_tokenizer_free(t);
}

/* The file's first words enter the vocabulary behind those of the texts, if a text can be cut into them. */
static void words_of_a_file(void **state) {
  (void)state;
  const char *path = in_scratch("words");
  static const char text[] = "plot 1 2\nquokka 1 2\nQuokka 1 2\nNew York 1 2\ndon't 1 2\n<unk> 1 2\nwombat 1 2\nemu 1 2\n";
  static const struct {
    int64_t most, size;
  } cases[] = {{0, 0}, {1, 0}, {2, 1}, {6, 1}, {7, 2}, {100, 3}};
  OK(fv_file_write(path, text, sizeof text - 1));
  for (size_t i = 0; i < FV_COUNT(cases); i++) {
    fv_tokenizer_trainer *trainer;
    fv_tokenizer *t;
    OK(fv_tokenizer_trainer_new(&(fv_tokenizer_options){.lower = true, .size = FV_SPECIALS + 2}, &trainer));
    OK(fv_tokenizer_trainer_add(trainer, "the plot the plot was", 21));
    OK(fv_vectors_words(path, cases[i].most, trainer));
    OK(fv_tokenizer_trainer_finish(trainer, &t));
    assert_int_equal(fv_tokenizer_size(t), FV_SPECIALS + 2 + cases[i].size); /* "was" is one too many */
    const int32_t quokka = fv_tokenizer_find(t, "quokka", 6);
    assert_int_equal(quokka, cases[i].size > 0 ? FV_SPECIALS + 2 : -1);
    fv_tokenizer_free(t);
  }
  fv_tokenizer_trainer *trainer;
  OK(fv_file_write(path, "plot 1 2\nquokka 1\n", 18));
  OK(fv_tokenizer_trainer_new(&(fv_tokenizer_options){.lower = true}, &trainer));
  FAILS(FV_ERR_CORRUPT, "2): expected a word and 2 numbers", fv_vectors_words(path, 5, trainer));
  static const char huge[] = "1 9007199254740990\nplot 1 2\n";
  FAILS(FV_ERR_CORRUPT, "2): expected a word and 9007199254740990 numbers, got 3 fields",
        fv_vectors_parse_words(huge, sizeof huge - 1, "v", 5, trainer));
  FAILS(FV_ERR_NOTFOUND, "nothere", fv_vectors_words("/nothere", 5, trainer));
  fv_tokenizer_trainer_free(trainer);
}

/* A model's embedding: the file's numbers; what it lacks is random, as large as those; padding stays nothing. */
static void start_of_a_model(void **state) {
  (void)state;
  const char *path = in_scratch("vectors");
  static const char text[] = "food 2 -2 2 -2\n<pad> 9 9 9 9\nfilm -2 2 2 -2\nquokka 2 2 -2 -2\n";
  OK(fv_file_write(path, text, sizeof text - 1));
  fv_setting sets[] = {{"width", "4"}, {"hidden", "4"}, {"vectors", path}};
  fv_train_request rq = {
      .recipe = "sentiment", .data = "verdicts", .sets = sets, .n_sets = FV_COUNT(sets), .threads = 1};
  fv_trainer *t;
  OK(fv_trainer_new(&rq, false, &t));
  const fv_model *m = t->m;
  assert_int_equal(m->vectors.found, 3);
  const float *table = m->slab + m->params->v[fv_params_find(m->params, "embedding.weight")].offset;
  const float want[4] = {-2, 2, 2, -2}, new[4] = {2, 2, -2, -2}, nothing[4] = {0};
  assert_memory_equal(table, nothing, sizeof nothing);
  assert_memory_equal(table + 4 * fv_tokenizer_find(m->reading.tokenizer[0], "film", 4), want, sizeof want);
  assert_memory_equal(table + 4 * fv_tokenizer_find(m->reading.tokenizer[0], "quokka", 6), new, sizeof new);
  double sum = 0;
  for (int64_t i = 4; i < 4 * m->task.vocabulary[0]; i++) sum += (double)table[i] * (double)table[i];
  assert_true(fabs(sqrt(sum / (4.0 * (double)(m->task.vocabulary[0] - 1))) - 2) < 1e-3);
  fv_trainer_free(t);
  sets[2].value = "/nothere";
  assert_int_equal(fv_trainer_new(&rq, false, &t), FV_ERR_NOTFOUND);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_in_their_places),
      cmocka_unit_test(refused),
      cmocka_unit_test(words_of_a_file),
      cmocka_unit_test(start_of_a_model),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
