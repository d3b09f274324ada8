/* SPDX-License-Identifier: Apache-2.0 */
/* Several steps of each optimiser through its operation, with the numbers of optimizer.h computed as a trainer does,
 * against the update rules as PyTorch's documentation writes them, in double. */
#include "ir/single.h"
#include "ops/optimizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { N = 5, STEPS = 6 };
static const double LR = 0.05, WD = 0.1, MU = 0.9, DAMP = 0.25, B1 = 0.9, B2 = 0.99, EPS = 1e-6, CLIP = 0.5;

typedef struct numbers {
  double p[N], a[N], b[N]; /* parameter, states */
} numbers;
static double gradient(double p, int i) { return 3 * p - (double)i + 0.5; }

/* One step of every parameter by the operation; states are those of the operation's order. */
static void step(fv_single *s, int n_states, float x[4][N], const float *hyper) {
  void *in[5] = {x[0], x[1], x[2], x[3]};
  in[2 + n_states] = (void *)(uintptr_t)hyper;
  void *out[3] = {x[0], x[2], x[3]};
  for (int i = 0; i < N; i++) x[1][i] = (float)(gradient((double)x[0][i], i) / CLIP);
  fv_single_run(s, in, out, NULL);
}
static fv_single *single(const char *op, const char *attrs, int n_states) {
  fv_tensor in[5];
  for (int i = 0; i < 2 + n_states; i++) in[i] = (fv_tensor){.dtype = FV_F32, .shape = FV_SHAPE(N)};
  in[2 + n_states] = (fv_tensor){.dtype = FV_F32, .shape = FV_SHAPE(FV_HYPERS)};
  fv_single *s = NULL;
  assert_int_equal(fv_single_new(op, attrs, 3 + n_states, in, &s), FV_OK);
  return s;
}
static void compare(float x[4][N], const numbers *want) {
  for (int i = 0; i < N; i++)
    if (fabs((double)x[0][i] - want->p[i]) > 2e-6 * fmax(1, fabs(want->p[i]))) {
      print_error("parameter %d: expected %.9g, got %.9g\n", i, want->p[i], (double)x[0][i]);
      fail();
    }
}
static void start(float x[4][N], numbers *want) {
  memset(x, 0, 4 * N * sizeof(float));
  memset(want, 0, sizeof *want);
  for (int i = 0; i < N; i++) want->p[i] = (double)(x[0][i] = (float)i * 0.5f - 1);
}

static void sgd_with(bool nesterov) {
  float x[4][N];
  numbers want;
  start(x, &want);
  fv_single *s = single("sgd_step", nesterov ? "nesterov=true" : "", 1);
  double damp = nesterov ? 0 : DAMP;
  for (int t = 1; t <= STEPS; t++) {
    float h[FV_HYPERS] = {[FV_HYPER_RATE] = (float)LR, [FV_HYPER_DECAY] = (float)WD, [FV_HYPER_SCALE] = (float)CLIP,
                          [FV_HYPER_MOMENTUM] = (float)MU, [FV_HYPER_FIRST] = t == 1 ? 1 : (float)(1 - damp)};
    step(s, 1, x, h);
    for (int i = 0; i < N; i++) {
      double g = gradient(want.p[i], i) + WD * want.p[i];
      want.a[i] = t == 1 ? g : MU * want.a[i] + (1 - damp) * g;
      want.p[i] -= LR * (nesterov ? g + MU * want.a[i] : want.a[i]);
    }
    compare(x, &want);
  }
  fv_single_free(s);
}
static void sgd(void **state) {
  (void)state;
  sgd_with(false);
  sgd_with(true);
}

static void adamw(void **state) {
  (void)state;
  float x[4][N];
  numbers want;
  start(x, &want);
  fv_single *s = single("adamw_step", "", 2);
  for (int t = 1; t <= STEPS; t++) {
    double c1 = 1 - pow(B1, t), c2 = 1 - pow(B2, t);
    float h[FV_HYPERS] = {[FV_HYPER_RATE] = (float)LR, [FV_HYPER_DECAY] = (float)WD, [FV_HYPER_SCALE] = (float)CLIP,
                          [FV_HYPER_STEP] = (float)(LR / c1), [FV_HYPER_FIRST] = (float)(1 - B1),
                          [FV_HYPER_SECOND] = (float)(1 - B2), [FV_HYPER_EPS] = (float)EPS,
                          [FV_HYPER_ROOT] = (float)sqrt(c2)};
    step(s, 2, x, h);
    for (int i = 0; i < N; i++) {
      double g = gradient(want.p[i], i);
      want.p[i] -= LR * WD * want.p[i];
      want.a[i] = B1 * want.a[i] + (1 - B1) * g;
      want.b[i] = B2 * want.b[i] + (1 - B2) * g * g;
      want.p[i] -= LR * (want.a[i] / c1) / (sqrt(want.b[i] / c2) + EPS);
    }
    compare(x, &want);
  }
  fv_single_free(s);
}

static void rmsprop(void **state) {
  (void)state;
  float x[4][N];
  numbers want;
  start(x, &want);
  fv_single *s = single("rmsprop_step", "", 2);
  for (int t = 1; t <= STEPS; t++) {
    float h[FV_HYPERS] = {[FV_HYPER_RATE] = (float)LR, [FV_HYPER_DECAY] = (float)WD, [FV_HYPER_SCALE] = (float)CLIP,
                          [FV_HYPER_MOMENTUM] = (float)MU, [FV_HYPER_SECOND] = (float)(1 - B2),
                          [FV_HYPER_EPS] = (float)EPS};
    step(s, 2, x, h);
    for (int i = 0; i < N; i++) {
      double g = gradient(want.p[i], i) + WD * want.p[i];
      want.a[i] = B2 * want.a[i] + (1 - B2) * g * g;
      want.b[i] = MU * want.b[i] + g / (sqrt(want.a[i]) + EPS);
      want.p[i] -= LR * want.b[i];
    }
    compare(x, &want);
  }
  fv_single_free(s);
}

static void ema(void **state) {
  (void)state;
  float x[4][N];
  numbers want;
  start(x, &want);
  fv_single *s = single("ema_step", "", 0);
  const float h[FV_HYPERS] = {[FV_HYPER_RATE] = 0.125f};
  for (int t = 1; t <= STEPS; t++) {
    step(s, 0, x, h);
    for (int i = 0; i < N; i++) want.p[i] = 0.875 * want.p[i] + 0.125 * (gradient(want.p[i], i) / CLIP);
    compare(x, &want);
  }
  fv_single_free(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(sgd), cmocka_unit_test(adamw), cmocka_unit_test(rmsprop),
                                     cmocka_unit_test(ema)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
