/* SPDX-License-Identifier: Apache-2.0 */
/* test_padding.c: what stands behind a text changes nothing: the same texts through batches of their own length and
 * through much longer ones, for every encoder, give the same probabilities. */
#include "test_io.h"
#include "train/train.h"

enum { TEXTS = 40 };

/* Probabilities of the first test texts by an untrained model whose batches are `longer` than the data need. */
static void classify(const char *encoder, int64_t longer, float *p) {
  fv_model *m;
  fv_dataset *d;
  const fv_setting sets[] = {{"encoder", encoder}, {"width", "12"}, {"hidden", "9"}, {"pool", "5"}};
  OK(fv_model_new("text-classify", "verdicts", NULL, sets, 4, 2, &m));
  OK(fv_dataset_open(m->data, &m->reading, 0, &m->ledger, NULL, NULL, &d));
  OK(fv_model_meet(m, d, d->count[FV_SPLIT_TRAIN]));
  for (int i = 0; i < m->n_lengths; i++) m->length[i] += longer;
  OK(fv_model_build(m));
  for (int64_t i = 0; i < m->params->size; i++) m->slab[i] *= 4; /* far from what gives every class the same */
  OK(fv_model_classify(m, d, FV_SPLIT_TEST, NULL, TEXTS, p, NULL));
  fv_dataset_close(d);
  fv_model_free(m);
}

static void compare(const char *encoder) {
  float snug[TEXTS * 2], loose[TEXTS * 2];
  double least = 1, most = 0;
  classify(encoder, 0, snug);
  classify(encoder, 23, loose);
  for (int i = 0; i < 2 * TEXTS; i++) {
    if (!(fabs((double)snug[i] - (double)loose[i]) <= 1e-6))
      fail_msg("%s, text %d: expected %.9g, got %.9g among padding", encoder, i / 2, (double)snug[i], (double)loose[i]);
    least = fmin(least, (double)snug[i]);
    most = fmax(most, (double)snug[i]);
  }
  assert_true(most - least > 0.01); /* the texts are not all the same to it */
}

static void test_lstm(void **state) {
  (void)state;
  compare("lstm");
}
static void test_gru(void **state) {
  (void)state;
  compare("gru");
}
static void test_cnn(void **state) {
  (void)state;
  compare("cnn");
}
static void test_both(void **state) {
  (void)state;
  compare("both");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lstm), cmocka_unit_test(test_gru),
                                     cmocka_unit_test(test_cnn), cmocka_unit_test(test_both)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
