/* SPDX-License-Identifier: Apache-2.0 */
/* test_generate.c: beam search against all sentences there are; drawing; that a step with its caches is the whole
 * network; that what is written depends neither on threads nor on which sentences are written together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "train/generate.h"

/* ---- search ------------------------------------------------------------------------------------------------------ */
/* A made-up model: the log probability of a token depends on the two before it. */
enum { V = 5, EOS = 3, LIMIT = 4, NONE = -1 };
static float table[V][V][V];

static void make_table(uint64_t seed) {
  fv_rng rng = fv_rng_new(seed, 1);
  for (int a = 0; a < V; a++)
    for (int b = 0; b < V; b++) {
      double sum = 0;
      for (int c = 0; c < V; c++) sum += exp((double)(table[a][b][c] = (float)(2 * fv_rng_normal(&rng))));
      for (int c = 0; c < V; c++) table[a][b][c] -= (float)log(sum);
    }
}

static double penalised(double score, int n, double penalty) { return score / pow((5 + n) / 6.0, penalty); }

typedef struct found {
  double score;
  int n, token[LIMIT];
} found;

/* Every sentence of at most LIMIT tokens that ends. 0 and 2 are never written. */
static void try_all(int *token, int n, double score, double penalty, found *best) {
  const int a = n > 1 ? token[n - 2] : 0, b = n > 0 ? token[n - 1] : 2;
  const double ended = penalised(score + (double)table[a][b][EOS], n + 1, penalty);
  if (ended > best->score) {
    *best = (found){.score = ended, .n = n};
    for (int i = 0; i < n; i++) best->token[i] = token[i];
  }
  for (int c = 0; c < V && n + 1 < LIMIT; c++) {
    if (c == EOS || c == 0 || c == 2) continue;
    token[n] = c;
    try_all(token, n + 1, score + (double)table[a][b][c], penalty, best);
  }
}

/* The tokens of hypothesis b after the search's steps so far. */
static void history(const fv_search *s, int64_t b, int *a1, int *b1) {
  int32_t last[2] = {2, 0};
  const int64_t beam = s->rules->beam;
  for (int64_t t = s->t - 1, k = 0; t >= 0 && k < 2; t--, k++) {
    last[k] = s->token[t * beam + b];
    b = s->from[t * beam + b];
  }
  *a1 = last[1], *b1 = last[0];
}

static void search_with(int64_t beam, double penalty, found *f) {
  const fv_search_rules rules = {.beam = beam, .limit = LIMIT, .penalty = penalty, .eos = EOS, .never = {0, 2}};
  void *memory;
  fv_search s;
  float log_p[64 * V];
  int32_t token[64 * V], out[LIMIT], hypothesis[LIMIT];
  assert_true(beam <= 64);
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_DATA, fv_search_bytes(&rules), &memory), FV_OK);
  fv_search_begin(&s, &rules, memory);
  while (!s.done) {
    for (int64_t h = 0; h < beam; h++) {
      int a, b;
      history(&s, h, &a, &b);
      bool taken[V] = {false};
      for (int k = 0; k < V; k++) {
        int best = -1;
        for (int c = 0; c < V; c++)
          if (!taken[c] && (best < 0 || table[a][b][c] > table[a][b][best])) best = c;
        taken[best] = true;
        log_p[h * V + k] = table[a][b][best];
        token[h * V + k] = best;
      }
    }
    fv_search_step(&s, V, log_p, token);
  }
  f->n = (int)fv_search_result(&s, out, hypothesis, &f->score);
  for (int i = 0; i < f->n; i++) f->token[i] = out[i];
  fv_slab_free(memory);
}

static void test_wide_beam_is_exhaustive(void **state) {
  (void)state;
  int different = 0;
  for (uint64_t seed = 0; seed < 50; seed++)
    for (int p = 0; p < 3; p++) {
      const double penalty = 0.6 * p;
      int token[LIMIT];
      found all = {.score = -INFINITY}, got, greedy;
      make_table(seed);
      try_all(token, 0, 0, penalty, &all);
      search_with(64, penalty, &got);
      assert_int_equal(got.n, all.n);
      assert_float_equal(got.score, all.score, 1e-5);
      for (int i = 0; i < got.n; i++) assert_int_equal(got.token[i], all.token[i]);
      search_with(1, penalty, &greedy);
      different += greedy.n != all.n;
    }
  assert_true(different > 0); /* otherwise the made-up models were too easy */
}

/* ---- drawing ----------------------------------------------------------------------------------------------------- */
static void test_drawing(void **state) {
  (void)state;
  const float logit[] = {9, 1, 2, 0, 3};
  fv_ranked_token room[5];
  double log_p, sum = 0;
  fv_draw_rules rules = {.temperature = 1, .top_p = 1, .never = {0, NONE}};
  int count[5] = {0};
  for (int i = 0; i < 10000; i++) count[fv_draw_token(&rules, logit, 5, (i + 0.5) / 10000, room, &log_p)]++;
  for (int i = 1; i < 5; i++) sum += exp((double)logit[i]);
  assert_int_equal(count[0], 0);
  for (int i = 1; i < 5; i++) assert_in_range(count[i], (int)(1e4 * exp((double)logit[i]) / sum) - 2,
                                              (int)(1e4 * exp((double)logit[i]) / sum) + 3);
  rules.top_k = 2;
  for (int i = 0; i < 100; i++) {
    const int32_t t = fv_draw_token(&rules, logit, 5, (i + 0.5) / 100, room, &log_p);
    assert_true(t == 4 || t == 2);
  }
  rules = (fv_draw_rules){.temperature = 1, .top_p = 0.5, .never = {0, NONE}}; /* p(4) = 0.64 */
  assert_int_equal(fv_draw_token(&rules, logit, 5, 0.999, room, &log_p), 4);
  rules = (fv_draw_rules){.temperature = 0.01, .top_p = 1, .never = {0, NONE}};
  assert_int_equal(fv_draw_token(&rules, logit, 5, 0.999, room, &log_p), 4);
}

/* ---- a model ----------------------------------------------------------------------------------------------------- */
static fv_model *model_of(const char *cell, const char *more, int threads, fv_dataset **d) {
  const fv_setting sets[] = {{"cell", cell}, {"width", "16"}, {"hidden", "24"}, {"layers", "2"}, {"heads", "2"},
                             {more, strchr(more, '=') + 1}};
  char key[32];
  fv_setting own[FV_COUNT(sets)];
  fv_model *m;
  memcpy(own, sets, sizeof sets);
  snprintf(key, sizeof key, "%.*s", (int)(strchr(more, '=') - more), more);
  own[FV_COUNT(sets) - 1].key = key;
  if (fv_model_new("translate", "number-words", NULL, own, FV_COUNT(sets), threads, &m) != FV_OK ||
      fv_dataset_open(m->data, &m->reading, 0, &m->ledger, NULL, NULL, d) != FV_OK ||
      fv_model_meet(m, *d, (*d)->count[0]) != FV_OK || fv_model_build(m) != FV_OK)
    fail_msg("%s", fv_error_message());
  for (int64_t i = 0; i < m->params->size; i++) m->slab[i] *= 2; /* less even than at the beginning */
  return m;
}

enum { SENTENCES = 40 };

static void free_model(fv_model *m, fv_dataset *d) {
  fv_dataset_close(d);
  fv_model_free(m);
}

/* What the whole network, which has no caches, says to sample i and a target, which NULL leaves as the sample has
 * it. */
static const float *whole_of(fv_model *m, const fv_dataset *d, int64_t i, const int32_t *target, fv_runner *r) {
  static int32_t source[64], own[64];
  memset(source, 0, sizeof source);
  memset(own, 0, sizeof own);
  assert_true(m->length[m->n_lengths - 1] <= 64);
  void *out[FV_MAX_FIELDS] = {source, own};
  d->read(d, FV_SPLIT_TEST, i, 0, out);
  assert_int_equal(fv_model_runner(m, FV_MODE_PREDICT, m->n_lengths - 1, 1, 1, r), FV_OK);
  fv_exec_bind_input(r->exec[0], fv_exec_input(r->exec[0], "source"), source);
  fv_exec_bind_input(r->exec[0], fv_exec_input(r->exec[0], "target"), target ? target : own);
  fv_exec_run(r->exec[0]);
  return fv_exec_output(r->exec[0], "scores")->data;
}

/* The greedy sentence, read again as a target by the whole network: at every place the token written is the likeliest,
 * and the sum of log probabilities is the score. */
static void check_against_whole(fv_model *m, const fv_dataset *d, const fv_written *w, int64_t i) {
  const int64_t longest = m->length[m->n_lengths - 1], v = m->task.vocabulary[1];
  int32_t target[64] = {0};
  fv_runner r = {0};
  double sum = 0;
  target[0] = fv_tokenizer_special(m->reading.tokenizer[1], FV_SPECIAL_BOS);
  for (int64_t t = 0; t < w->length[i]; t++) target[t + 1] = w->token[i * w->most + t];
  const float *logits = whole_of(m, d, i, target, &r);
  const int32_t eos = fv_tokenizer_special(m->reading.tokenizer[1], FV_SPECIAL_EOS);
  for (int64_t t = 0; t <= w->length[i] && t < longest - 1; t++) {
    const float *row = logits + t * v;
    double all = 0, most = -INFINITY;
    for (int64_t c = 0; c < v; c++) most = fmax(most, (double)row[c]);
    for (int64_t c = 0; c < v; c++) all += exp((double)row[c] - most);
    const int32_t token = t < w->length[i] ? w->token[i * w->most + t] : eos;
    if (t == w->length[i] && w->length[i] == w->most) break; /* cut at the limit */
    sum += (double)row[token] - most - log(all);
    for (int32_t c = 0; c < v; c++) {
      if (c == 0 || c == target[0]) continue; /* <pad> and <bos> are never written */
      assert_true(row[c] <= row[token] + 1e-5f);
    }
  }
  if (w->length[i] < w->most) assert_float_equal(sum, w->score[i], 1e-4);
  fv_runner_free(&r);
}

/* Every logit of a step, to 1e-5 of the largest. */
static void same_logits(const fv_scored_token *c, int64_t choices, const float *logits) {
  float most = 1;
  for (int64_t k = 0; k < choices; k++) most = fmaxf(most, fabsf(c[k].score));
  for (int64_t k = 0; k < choices; k++) assert_float_equal(c[k].score, logits[c[k].id], 1e-5f * most);
  for (int64_t k = 2; k < choices; k++) assert_true(c[k].score < c[k - 1].score || c[k].id > c[k - 1].id);
}

/* Targets of the samples, given. */
static void check_logits(fv_model *m, const fv_dataset *d) {
  const int64_t v = m->task.vocabulary[1];
  const fv_writing given = {.given = true, .top = v};
  fv_writer *w;
  fv_written out;
  fv_runner r = {0};
  if (fv_writer_new(m, NULL, 4, &given, &w) != FV_OK) fail_msg("%s", fv_error_message());
  assert_int_equal(fv_written_new(w, SENTENCES, false, &out), FV_OK);
  assert_int_equal(fv_writer_run(w, m->slab, d, FV_SPLIT_TEST, NULL, false, &out, NULL, NULL), FV_OK);
  assert_int_equal(out.choices, 1 + v);
  for (int64_t i = 0; i < SENTENCES; i++) {
    const float *logits = whole_of(m, d, i, NULL, &r);
    assert_true(out.ended[i] && out.length[i] > 0);
    for (int64_t t = 0; t <= out.length[i]; t++)
      same_logits(out.choice + (i * out.most + t) * out.choices, out.choices, logits + t * v);
    fv_runner_free(&r);
  }
  fv_written_free(&out);
  fv_writer_free(w);
}

static void steps_are_the_whole(const char *cell, const char *more) {
  fv_dataset *d;
  fv_model *m = model_of(cell, more, 1, &d);
  const fv_writing greedy = {.beam = 1, .temperature = 1, .top_p = 1};
  fv_writer *w;
  fv_written out;
  if (fv_writer_new(m, NULL, 4, &greedy, &w) != FV_OK) fail_msg("%s", fv_error_message());
  assert_int_equal(fv_written_new(w, SENTENCES, false, &out), FV_OK);
  assert_int_equal(fv_writer_run(w, m->slab, d, FV_SPLIT_TEST, NULL, false, &out, NULL, NULL), FV_OK);
  for (int64_t i = 0; i < SENTENCES; i++) check_against_whole(m, d, &out, i);
  check_logits(m, d);
  fv_written_free(&out);
  fv_writer_free(w);
  free_model(m, d);
}

static void test_transformer_steps(void **state) {
  (void)state;
  steps_are_the_whole("transformer", "positions=sinusoidal");
  steps_are_the_whole("transformer", "positions=learned");
  steps_are_the_whole("transformer", "positions=rotary");
}

static void test_recurrent_steps(void **state) {
  (void)state;
  steps_are_the_whole("gru", "tie=true");
  steps_are_the_whole("lstm", "tie=false");
}

static void same_written(const fv_written *a, const fv_written *b) {
  assert_int_equal(a->n, b->n);
  assert_memory_equal(a->length, b->length, (size_t)a->n * sizeof *a->length);
  assert_memory_equal(a->score, b->score, (size_t)a->n * sizeof *a->score);
  for (int64_t i = 0; i < a->n; i++)
    assert_memory_equal(a->token + i * a->most, b->token + i * b->most, (size_t)a->length[i] * sizeof *a->token);
}

static void write_with(int threads, int64_t together, const fv_writing *how, fv_written *out) {
  fv_dataset *d;
  fv_model *m = model_of("transformer", "positions=sinusoidal", threads, &d);
  fv_writer *w;
  assert_int_equal(fv_writer_new(m, NULL, together, how, &w), FV_OK);
  assert_int_equal(fv_written_new(w, SENTENCES, false, out), FV_OK);
  assert_int_equal(fv_writer_run(w, m->slab, d, FV_SPLIT_TEST, NULL, false, out, NULL, NULL), FV_OK);
  fv_writer_free(w);
  free_model(m, d);
}

static void test_threads_and_groups(void **state) {
  (void)state;
  const fv_writing how[] = {{.beam = 3, .penalty = 1, .temperature = 1, .top_p = 1},
                            {.beam = 1, .sample = true, .temperature = 0.8, .top_p = 0.9, .seed = 7}};
  for (size_t k = 0; k < FV_COUNT(how); k++) {
    fv_written one, other;
    write_with(1, 4, &how[k], &one);
    write_with(3, 4, &how[k], &other);
    same_written(&one, &other);
    fv_written_free(&other);
    write_with(1, 7, &how[k], &other);
    for (int64_t i = 0; i < SENTENCES; i++) assert_int_equal(one.length[i], other.length[i]);
    fv_written_free(&other);
    fv_written_free(&one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wide_beam_is_exhaustive), cmocka_unit_test(test_drawing),
      cmocka_unit_test(test_transformer_steps), cmocka_unit_test(test_recurrent_steps),
      cmocka_unit_test(test_threads_and_groups)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
