/* SPDX-License-Identifier: Apache-2.0 */
/* Vector mathematics against libm in double: millions of floats over all exponents, special values, pairs for pow.
 * Built once per instruction-set level. FOVEA_TEST_PRINT=1 prints the errors found. */
#include "cpu/vmath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }

typedef struct function {
  const char *name;
  fv_f32v (*vector)(fv_f32v);
  double (*exact)(double);
  double limit; /* units in the last place */
} function;
static const function functions[] = {
    {"exp", fv_vexp, exp, 1.1},         {"expm1", fv_vexpm1, expm1, 2.0},          {"log", fv_vlog, log, 1.1},
    {"log1p", fv_vlog1p, log1p, 1.5},   {"tanh", fv_vtanh, tanh, 2.0},  {"sigmoid", fv_vsigmoid, sigmoid, 2.0},
    {"erf", fv_verf, erf, 1.5},         {"sin", fv_vsin, sin, 1.6},                {"cos", fv_vcos, cos, 1.6},
    {"softplus", fv_vsoftplus, softplus, 2.0}};

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

static double ulps(float got, double exact) {
  float want = (float)exact;
  if (isnan(exact)) return isnan(got) ? 0 : INFINITY;
  if (got == want) return isinf(want) ? 0 : fabs((double)got - exact) / ldexp(1, FV_MAX(ilogbf(want), -126) - 23);
  if (isnan(got) || isinf(want) || isinf(got)) {
    /* An overflow may come one float early or late. */
    return !isnan(got) && fabs((double)got - exact) < 0x1p105 ? fabs((double)got - exact) / 0x1p104
           : !isnan(got) && fabsf(got) >= 0x1.fffffep127f && fabsf(want) >= 0x1.fffffep127f ? 1 : INFINITY;
  }
  int e = want == 0 ? -126 : FV_MAX(ilogbf(want), -126);
  return fabs((double)got - exact) / ldexp(1, e - 23);
}

static void check_lane(const char *name, float x, float got, double exact, double limit, double *worst, float *where) {
  double e = ulps(got, exact);
  if (e > limit) print_error("%s(%a): expected %a, got %a: %.2f ulp\n", name, (double)x, exact, (double)got, e);
  assert_true(e <= limit);
  if (e > *worst) {
    *worst = e;
    *where = x;
  }
}

static bool runs_here(void) {
  bool yes = fv_cpu_has(FV_ISA_LEVEL);
  if (!yes) print_message("this processor lacks %s\n", fv_isa_names[FV_ISA_LEVEL]);
  return yes;
}

static void sweep(void **state) {
  const function *f = *state;
  if (!runs_here()) skip();
  double worst = 0;
  float where = 0, in[FV_W], out[FV_W];
  for (uint64_t bits = 0; bits < UINT64_C(1) << 32;) {
    for (int i = 0; i < FV_W; i++, bits += 1021) in[i] = float_of((uint32_t)bits);
    fv_vstore(out, f->vector(fv_vload(in)));
    for (int i = 0; i < FV_W; i++)
      check_lane(f->name, in[i], out[i], f->exact((double)in[i]), f->limit, &worst, &where);
  }
  if (getenv("FOVEA_TEST_PRINT"))
    print_message("%s %s: %.3f ulp at %a\n", fv_isa_names[FV_ISA_LEVEL], f->name, worst, (double)where);
}

static void special(void **state) {
  const function *f = *state;
  if (!runs_here()) skip();
  const float values[] = {0, -0.0f, 1, -1, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-149f, 0x1p-126f, 0x1.fffffep127f,
                          -0x1.fffffep127f, 88.72283f, 88.8f, -87.4f, -103.9f, -104.1f, 0.5f, -0.5f, 0x1p-25f, 0x1p24f};
  double worst = 0;
  float where = 0;
  for (size_t i = 0; i < FV_COUNT(values); i++) {
    float x = values[i];
    fv_f32v y = f->vector(fv_vsplat(x));
    double exact = f->exact((double)x);
    for (int k = 0; k < FV_W; k++) check_lane(f->name, x, y[k], exact, f->limit, &worst, &where);
    if (exact == 0) assert_int_equal(signbit(y[0]) != 0, signbit(exact) != 0);
  }
}

static void power(void **state) {
  (void)state;
  if (!runs_here()) skip();
  double worst = 0;
  float where = 0, x[FV_W], y[FV_W], out[FV_W];
  fv_rng r = fv_rng_new(7, 1);
  for (int n = 0; n < 1500000 / FV_W; n++) {
    for (int i = 0; i < FV_W; i++) {
      bool any = n & 1;
      x[i] = any ? float_of(fv_rng_u32(&r)) : (float)(fv_rng_uniform(&r) * 20 - 4);
      y[i] = n % 3 == 0 ? (float)(int)fv_rng_below(&r, 40) - 20 : (float)(fv_rng_uniform(&r) * 12 - 6);
    }
    fv_vstore(out, fv_vpow(fv_vload(x), fv_vload(y)));
    for (int i = 0; i < FV_W; i++)
      check_lane("pow", x[i], out[i], pow((double)x[i], (double)y[i]), 1.1, &worst, &where);
  }
  if (getenv("FOVEA_TEST_PRINT"))
    print_message("%s pow: %.3f ulp at %a\n", fv_isa_names[FV_ISA_LEVEL], worst, (double)where);
}

static void power_special(void **state) {
  (void)state;
  if (!runs_here()) skip();
  const float v[] = {0, -0.0f, 1, -1, 2, -2, 3, -3, 0.5f, -0.5f, 2.5f, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-149f,
                     0x1.fffffep127f, 1e10f, -1e10f, 16777215.0f, 0x1.fffffep-1f, 0x1.000002p+0f};
  double worst = 0;
  float where = 0;
  for (size_t i = 0; i < FV_COUNT(v); i++)
    for (size_t k = 0; k < FV_COUNT(v); k++) {
      double exact = pow((double)v[i], (double)v[k]);
      float got = fv_vpow(fv_vsplat(v[i]), fv_vsplat(v[k]))[FV_W - 1];
      check_lane("pow", v[i], got, exact, 1.1, &worst, &where);
      if (exact == 0) assert_int_equal(signbit(got) != 0, signbit(exact) != 0);
    }
}

int main(void) {
  struct CMUnitTest tests[2 * FV_COUNT(functions) + 2];
  size_t n = 0;
  for (size_t i = 0; i < FV_COUNT(functions); i++) {
    void *f = (void *)(uintptr_t)&functions[i];
    tests[n++] = (struct CMUnitTest){functions[i].name, sweep, NULL, NULL, f};
    tests[n++] = (struct CMUnitTest){functions[i].name, special, NULL, NULL, f};
  }
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(power);
  tests[n++] = (struct CMUnitTest)cmocka_unit_test(power_special);
  return _cmocka_run_group_tests("vmath", tests, n, NULL, NULL);
}
