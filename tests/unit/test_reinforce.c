/* SPDX-License-Identifier: Apache-2.0 */
/* The score-function estimator on a choice among five, small enough to sum over: the mean of many draws' gradients is
 * the gradient of the expected reward, with every baseline; a baseline lowers their variance. */
#include "nn/nn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { T = 5, DRAWS = 20000, PLACES = 64 };
static const float score[T] = {0.3f, -1.1f, 0.8f, 0.1f, -0.4f}, reward[T] = {1.0f, 4.0f, 2.5f, 3.0f, -0.5f};
static const uint8_t mask[T] = {1, 1, 1, 0, 1};

/* DRAWS choices at once: rows of scores that are all the same, each with noise of its own. */
typedef struct machine {
  fv_params *params;
  fv_graph *g;
  fv_program *program;
  fv_exec *exec;
  bool uniform;
  float slab[PLACES], statistics[PLACES]; /* of the moving average */
  void *packed;
  float *noise, *rewards;
} machine;

static fv_value *rows(fv_graph *g, fv_dtype dtype, const void *row) {
  size_t bytes = T * fv_dtype_size(dtype);
  uint8_t *all = fv_arena_alloc(g->arena, DRAWS * bytes);
  assert_non_null(all);
  for (size_t i = 0; i < DRAWS; i++) memcpy(all + i * bytes, row, bytes);
  return fv_const_data(g, dtype, FV_SHAPE(DRAWS, T), all);
}

typedef enum { NONE, GIVEN, AVERAGE } baseline_kind;
typedef struct setting {
  bool uniform, masked;
  baseline_kind baseline;
  double entropy; /* its weight; the reward's is then next to nothing */
} setting;

static void distribution(bool masked, double p[T]) {
  double sum = 0;
  for (int k = 0; k < T; k++) sum += p[k] = masked && !mask[k] ? 0 : exp((double)score[k]);
  for (int k = 0; k < T; k++) p[k] /= sum;
}

static double expected(const double p[T]) {
  double sum = 0;
  for (int k = 0; k < T; k++) sum += p[k] * (double)reward[k];
  return sum;
}

static void start(machine *m, const setting *s) {
  double p[T];
  *m = (machine){.uniform = s->uniform};
  distribution(s->masked, p);
  assert_int_equal(fv_params_new(&m->params), FV_OK);
  assert_int_equal(fv_graph_new(m->params, FV_F32, &m->g), FV_OK);
  fv_graph *g = m->g;
  fv_value *e = rows(g, FV_F32, score), *got = fv_input(g, "reward", FV_F32, FV_SHAPE(DRAWS)), *slope;
  fv_value *noise = fv_input(g, "noise", FV_F32, s->uniform ? FV_SHAPE(DRAWS) : FV_SHAPE(DRAWS, T));
  fv_choice c = fv_choose(g, e, noise, s->masked ? rows(g, FV_U8, mask) : NULL);
  fv_value *loss = fv_reinforce(g, &c, got, .baseline = s->baseline == GIVEN ? fv_const(g, expected(p)) : NULL,
                                .moving_average = s->baseline == AVERAGE, .entropy = s->entropy,
                                .scale = s->entropy > 0 ? 1e-30 : 0);
  assert_int_equal(fv_graph_check(g), FV_OK);
  assert_int_equal(fv_graph_differentiate(g, loss, false, 1, &e, &slope), FV_OK);
  fv_output(g, "slope", slope);
  fv_output(g, "index", c.index);
  fv_output(g, "log_p", c.log_p);
  fv_output(g, "entropy", c.entropy);
  assert_int_equal(fv_params_layout(m->params), FV_OK);
  assert_true(m->params->size <= PLACES);
}

static void compile(machine *m) {
  fv_ledger ledger = {0};
  assert_int_equal(fv_program_new(m->g, &m->program), FV_OK);
  int64_t bytes = fv_program_get_info(m->program).packed_bytes;
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PACKED, bytes, &m->packed), FV_OK);
  assert_int_equal(fv_program_prologue(m->program, m->slab, m->packed, NULL), FV_OK);
  assert_int_equal(fv_exec_new(m->program, &ledger, m->slab, m->packed, &m->exec), FV_OK);
  fv_exec_bind_gradients(m->exec, m->statistics);
  m->noise = fv_alloc(DRAWS * T * sizeof(float));
  m->rewards = fv_alloc(DRAWS * sizeof(float));
  assert_non_null(m->noise);
  assert_non_null(m->rewards);
  memset(m->rewards, 0, DRAWS * sizeof(float));
  fv_exec_bind_input(m->exec, fv_exec_input(m->exec, "noise"), m->noise);
  fv_exec_bind_input(m->exec, fv_exec_input(m->exec, "reward"), m->rewards);
}

static void end(machine *m) {
  fv_free(m->noise);
  fv_free(m->rewards);
  fv_exec_free(m->exec);
  fv_slab_free(m->packed);
  fv_program_free(m->program);
  fv_graph_free(m->g);
  fv_params_free(m->params);
}

/* Draws, and runs again with what the choices earn. */
static void draw(machine *m, uint64_t seed) {
  fv_rng rng = fv_rng_new(seed, 7);
  for (int i = 0; i < (m->uniform ? DRAWS : DRAWS * T); i++) {
    double u = fv_rng_uniform(&rng);
    m->noise[i] = (float)(m->uniform ? u : -log(-log(u + 1e-10)));
  }
  fv_exec_run(m->exec);
  const int32_t *index = fv_exec_output(m->exec, "index")->data;
  for (int i = 0; i < DRAWS; i++) {
    assert_in_range(index[i], 0, T - 1);
    m->rewards[i] = reward[index[i]];
  }
  fv_exec_run(m->exec);
}

/* The draws' gradients: their mean against `want`, within four standard errors; their variance, over all elements. */
static double estimate(const machine *m, const double want[T]) {
  const float *slope = fv_exec_output(m->exec, "slope")->data;
  double variance = 0;
  for (int k = 0; k < T; k++) {
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
      double x = (double)slope[i * T + k] * DRAWS; /* the loss is a mean */
      sum += x;
      squares += x * x;
    }
    double mean = sum / DRAWS, spread = squares / DRAWS - mean * mean, error = sqrt(fmax(spread, 0) / DRAWS);
    if (!(fabs(mean - want[k]) <= 4 * error + 1e-5))
      fail_msg("element %d: expected %.5f within four times %.5f, got %.5f", k, want[k], error, mean);
    variance += spread;
  }
  return variance;
}

/* Of -E[reward]: -p_k (r_k - E r). */
static void exact(bool masked, double slope[T]) {
  double p[T];
  distribution(masked, p);
  for (int k = 0; k < T; k++) slope[k] = -p[k] * ((double)reward[k] - expected(p));
}

static void test_frequencies(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    setting s = {.uniform = i & 1, .masked = i & 2};
    machine m;
    double p[T], count[T] = {0}, entropy = 0;
    start(&m, &s);
    compile(&m);
    draw(&m, 11);
    distribution(s.masked, p);
    const int32_t *index = fv_exec_output(m.exec, "index")->data;
    const float *log_p = fv_exec_output(m.exec, "log_p")->data;
    for (int n = 0; n < DRAWS; n++) {
      count[index[n]]++;
      assert_float_equal(log_p[n], log(p[index[n]]), 1e-5);
    }
    for (int k = 0; k < T; k++) {
      if (p[k] > 0) entropy -= p[k] * log(p[k]);
      assert_true(fabs(count[k] / DRAWS - p[k]) <= 4 * sqrt(p[k] * (1 - p[k]) / DRAWS) + 1e-9);
    }
    assert_float_equal(fv_get(fv_exec_output(m.exec, "entropy"), 3), entropy, 1e-5);
    end(&m);
  }
}

static double variance_with(const setting *s) {
  machine m;
  double want[T];
  exact(s->masked, want);
  start(&m, s);
  compile(&m);
  draw(&m, 5);
  double variance = estimate(&m, want);
  end(&m);
  return variance;
}

static void test_estimator(void **state) {
  (void)state;
  for (int i = 0; i < 4; i++) {
    setting s = {.uniform = i & 1, .masked = i & 2};
    double without = variance_with(&s);
    s.baseline = GIVEN;
    double with = variance_with(&s);
    if (!(with < 0.8 * without)) fail_msg("variance: expected less than %.3f with a baseline, got %.3f", without, with);
  }
}

/* It begins at 0 and comes to the mean reward, b <- 0.9 b + 0.1 mean; the estimate is right all the way. */
static void test_moving_average(void **state) {
  (void)state;
  machine m;
  setting s = {.baseline = AVERAGE};
  double want[T], p[T], first = 0, last = 0;
  exact(false, want);
  distribution(false, p);
  start(&m, &s);
  compile(&m);
  int at = fv_params_find(m.params, "baseline");
  assert_true(at >= 0);
  int64_t place = m.params->v[at].offset;
  for (int step = 0; step < 40; step++) {
    draw(&m, 100 + (uint64_t)step);
    double variance = step == 0 || step == 39 ? estimate(&m, want) : 0;
    if (step == 0) first = variance;
    last = variance;
    assert_float_equal(m.statistics[place], expected(p), 0.05);
    m.slab[place] += (float)FV_TRACK_MOMENTUM * (m.statistics[place] - m.slab[place]);
    assert_int_equal(fv_program_prologue(m.program, m.slab, m.packed, NULL), FV_OK);
  }
  assert_float_equal(m.slab[place], expected(p), 0.06);
  assert_true(last < 0.8 * first);
  end(&m);
}

/* d(-H)/d score_k = p_k (log p_k + H), of every row alike; what the mask leaves out gets none. */
static void test_entropy(void **state) {
  (void)state;
  for (int masked = 0; masked < 2; masked++) {
    machine m;
    setting s = {.masked = masked, .entropy = 0.5};
    double p[T], entropy = 0;
    start(&m, &s);
    compile(&m);
    draw(&m, 3);
    distribution(masked, p);
    for (int k = 0; k < T; k++) entropy -= p[k] > 0 ? p[k] * log(p[k]) : 0;
    const float *slope = fv_exec_output(m.exec, "slope")->data;
    for (int k = 0; k < T; k++)
      assert_float_equal(slope[k] * DRAWS, (float)(p[k] > 0 ? 0.5 * p[k] * (log(p[k]) + entropy) : 0), 1e-4);
    end(&m);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_frequencies), cmocka_unit_test(test_estimator),
                                     cmocka_unit_test(test_moving_average), cmocka_unit_test(test_entropy)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
