/* SPDX-License-Identifier: Apache-2.0 */
/* Losses, masks, normalisation and dropout through compiled programs, against formulas written another way than the
 * references: cross-entropy as the entropy against a smoothed distribution, statistics far from zero, bits. */
#include "ir/ir.h"
#include "ops/cross_entropy.h"
#include "ops/dropout.h"
#include "ops/lines.h"
#include "ops/norm.h"
#include "test_io.h"

/* A graph, compiled and run on bound inputs. */
typedef struct machine {
  fv_params *params;
  fv_graph *g;
  fv_program *program;
  fv_exec *exec;
} machine;

static machine machine_new(void) {
  machine m = {0};
  OK(fv_params_new(&m.params));
  OK(fv_graph_new(m.params, FV_F32, &m.g));
  return m;
}

static void machine_compile(machine *m) {
  fv_ledger ledger = {0};
  assert_int_equal(fv_graph_check(m->g), FV_OK);
  assert_int_equal(fv_params_layout(m->params), FV_OK);
  assert_int_equal(fv_program_new(m->g, &m->program), FV_OK);
  assert_int_equal(fv_exec_new(m->program, &ledger, NULL, NULL, &m->exec), FV_OK);
}

static void machine_bind(machine *m, const char *name, const void *data) {
  int i = fv_exec_input(m->exec, name);
  assert_true(i >= 0);
  fv_exec_bind_input(m->exec, i, data);
}

static const float *machine_output(machine *m, const char *name) {
  const fv_tensor *t = fv_exec_output(m->exec, name);
  assert_non_null(t);
  return t->data;
}

static void machine_free(machine *m) {
  fv_exec_free(m->exec);
  fv_program_free(m->program);
  fv_graph_free(m->g);
  fv_params_free(m->params);
}

/* ---- cross-entropy ---------------------------------------------------------------------------------------------- */
#define ROWS 5
#define CLASSES 3
static const float logits[ROWS * CLASSES] = {1, 2, 0.5f, -1, 0, 3, 2, 2, 2, -0.5f, 0.25f, 0, 10, -10, 1};
static const float weights[CLASSES] = {0.5f, 2, 1};

/* Row i against the distribution (1 - p) one-hot + p / C, each class weighted. */
static double smoothed_entropy(int i, int label, double p) {
  double sum = 0, loss = 0;
  for (int c = 0; c < CLASSES; c++) sum += exp(logits[i * CLASSES + c]);
  for (int c = 0; c < CLASSES; c++)
    loss -= weights[c] * ((c == label ? 1 - p : 0) + p / CLASSES) * log(exp(logits[i * CLASSES + c]) / sum);
  return loss;
}

static void run_cross_entropy(const fv_cross_entropy_attrs *a, const int32_t *labels, double *loss, float *dx) {
  machine m = machine_new();
  fv_value *x = fv_input(m.g, "x", FV_F32, FV_SHAPE(ROWS, CLASSES)), *t = fv_input(m.g, "t", FV_I32, FV_SHAPE(ROWS));
  fv_value *w = fv_input(m.g, "w", FV_F32, FV_SHAPE(CLASSES)), *l = fv_op(m.g, "cross_entropy", a, x, t, w), *d;
  fv_output(m.g, "loss", l);
  assert_int_equal(fv_graph_differentiate(m.g, l, false, 1, &x, &d), FV_OK);
  fv_output(m.g, "dx", d);
  machine_compile(&m);
  machine_bind(&m, "x", logits);
  machine_bind(&m, "t", labels);
  machine_bind(&m, "w", weights);
  fv_exec_run(m.exec);
  *loss = machine_output(&m, "loss")[0];
  memcpy(dx, machine_output(&m, "dx"), ROWS * CLASSES * sizeof *dx);
  machine_free(&m);
}

static void test_cross_entropy(void **state) {
  (void)state;
  const int32_t labels[ROWS] = {0, 2, -100, 1, 0};
  fv_cross_entropy_attrs a = {.label_smoothing = 0.2};
  double loss, want = 0, count = 0;
  float dx[ROWS * CLASSES];
  for (int i = 0; i < ROWS; i++) {
    if (labels[i] < 0) continue;
    want += smoothed_entropy(i, labels[i], a.label_smoothing);
    count += weights[labels[i]];
  }
  run_cross_entropy(&a, labels, &loss, dx);
  assert_near(loss, want / count, 1e-6);
  for (int c = 0; c < CLASSES; c++) assert_true(dx[2 * CLASSES + c] == 0);
  a.reduction = FV_REDUCE_SUM;
  run_cross_entropy(&a, labels, &loss, dx);
  assert_near(loss, want, 1e-5);
}

static void test_cross_entropy_labels(void **state) {
  (void)state;
  const int32_t padded[ROWS] = {0, 1, 0, 2, 0}, wrong[ROWS] = {0, 1, 3, 2, 0};
  fv_cross_entropy_attrs a = {.ignore_zero = true};
  double loss, want = smoothed_entropy(1, 1, 0) + smoothed_entropy(3, 2, 0);
  float dx[ROWS * CLASSES];
  run_cross_entropy(&a, padded, &loss, dx);
  assert_near(loss, want / (weights[1] + weights[2]), 1e-6);
  run_cross_entropy(&a, wrong, &loss, dx);
  assert_true(isnan(loss));
}

/* ---- masks ------------------------------------------------------------------------------------------------------ */
/* loss = sum over what is kept of k y, y = log_softmax: d/dx[k] = k - p[k] sum of the weights; nothing for the rest. */
static void test_masked_log_softmax(void **state) {
  (void)state;
  const float x[4] = {0.5f, 100, -1, 2};
  const uint8_t mask[4] = {1, 0, 1, 1};
  const double sum = exp(0.5) + exp(-1) + exp(2), weight[4] = {0, 0, 2, 3};
  machine m = machine_new();
  fv_value *in = fv_input(m.g, "x", FV_F32, FV_SHAPE(4)), *keep = fv_input(m.g, "mask", FV_U8, FV_SHAPE(4)), *d;
  const float w[4] = {0, 0, 2, 3};
  fv_value *y = fv_op(m.g, "log_softmax", NULL, in, keep), *k = fv_const_data(m.g, FV_F32, FV_SHAPE(4), w);
  fv_value *kept = fv_op(m.g, "where", NULL, keep, y, fv_const(m.g, 0));
  fv_value *loss = fv_op(m.g, "sum", NULL, fv_op(m.g, "mul", NULL, kept, k));
  assert_int_equal(fv_graph_differentiate(m.g, loss, false, 1, &in, &d), FV_OK);
  fv_output(m.g, "d", d);
  fv_output(m.g, "y", y);
  machine_compile(&m);
  machine_bind(&m, "x", x);
  machine_bind(&m, "mask", mask);
  fv_exec_run(m.exec);
  for (int i = 0; i < 4; i++) {
    double want = mask[i] ? weight[i] - 5 * exp(x[i]) / sum : 0;
    assert_near(machine_output(&m, "d")[i], want, 1e-6);
  }
  assert_true(isinf(machine_output(&m, "y")[1]));
  machine_free(&m);
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */
/* Channels a thousand deviations from zero: sums of squares would keep no digit of the variance. */
static void test_batch_norm_far_from_zero(void **state) {
  (void)state;
  enum { M = 5003, C = 24 };
  static float x[M * C];
  float gamma[C], beta[C];
  fv_rng rng = fv_rng_new(1, 2);
  for (int i = 0; i < M * C; i++) x[i] = (float)(1000 * (i % C - 10) + fv_rng_normal(&rng));
  for (int c = 0; c < C; c++) gamma[c] = 1, beta[c] = 0;
  machine m = machine_new();
  fv_value *in[] = {fv_input(m.g, "x", FV_F32, FV_SHAPE(M, C)), fv_input(m.g, "gamma", FV_F32, FV_SHAPE(C)),
                    fv_input(m.g, "beta", FV_F32, FV_SHAPE(C))};
  fv_value *out[3];
  assert_true(fv_op_n(m.g, "batch_norm", NULL, 3, in, 3, out));
  fv_output(m.g, "mean", out[1]);
  fv_output(m.g, "var", out[2]);
  machine_compile(&m);
  machine_bind(&m, "x", x);
  machine_bind(&m, "gamma", gamma);
  machine_bind(&m, "beta", beta);
  fv_exec_run(m.exec);
  for (int c = 0; c < C; c++) {
    double mean = 0, var = 0;
    for (int r = 0; r < M; r++) mean += x[r * C + c] / (double)M;
    for (int r = 0; r < M; r++) var += (x[r * C + c] - mean) * (x[r * C + c] - mean) / M;
    assert_near(machine_output(&m, "mean")[c], mean, 1e-7 * fabs(mean) + 1e-6);
    assert_near(machine_output(&m, "var")[c], var, 1e-5);
  }
  machine_free(&m);
}

/* ---- dropout ---------------------------------------------------------------------------------------------------- */
enum { N = 20000 };
static void run_dropout(int64_t stream, const int32_t rng[4], float *y) {
  static float ones[N];
  for (int i = 0; i < N; i++) ones[i] = 1;
  fv_dropout_attrs a = {.p = 0.3, .stream = stream};
  machine m = machine_new();
  fv_value *x = fv_input(m.g, "x", FV_F32, FV_SHAPE(N)), *r = fv_input(m.g, "rng", FV_I32, FV_SHAPE(4));
  fv_output(m.g, "y", fv_op(m.g, "dropout", &a, x, r));
  machine_compile(&m);
  machine_bind(&m, "x", ones);
  machine_bind(&m, "rng", rng);
  fv_exec_run(m.exec);
  memcpy(y, machine_output(&m, "y"), N * sizeof *y);
  machine_free(&m);
}

static void test_dropout_bits(void **state) {
  (void)state;
  static float base[N], other[N];
  const int32_t rngs[][4] = {{1, 2, 3, 4}, {1, 2, 3, 5}, {1, 2, 4, 4}, {2, 2, 3, 4}, {1, 3, 3, 4}, {1, 2, 3, 4}};
  run_dropout(8, rngs[0], base);
  for (int k = 0; k < 6; k++) { /* the last: another stream */
    run_dropout(k == 5 ? 9 : 8, rngs[k], other);
    int dropped = 0, same = 0;
    for (int i = 0; i < N; i++) {
      dropped += other[i] == 0;
      same += (other[i] == 0) == (base[i] == 0);
      assert_true(other[i] == 0 || fabsf(other[i] - 1 / 0.7f) < 1e-6f);
    }
    assert_near(dropped / (double)N, 0.3, 0.015); /* deviation 0.0032 */
    /* Independent bits agree with probability 0.58. */
    if (k == 0) assert_int_equal(same, N);
    else assert_near(same / (double)N, 0.58, 0.016);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cross_entropy),          cmocka_unit_test(test_cross_entropy_labels),
      cmocka_unit_test(test_masked_log_softmax),     cmocka_unit_test(test_batch_norm_far_from_zero),
      cmocka_unit_test(test_dropout_bits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
