/* SPDX-License-Identifier: Apache-2.0 */
/* simd.h lane by lane against plain C. Built once per instruction-set level. */
#include "cpu/simd.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const float table[] = {0, -0.0f, 1, -1, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 3.49f, -3.51f, 8388607.5f,
                              -8388607.5f, 8388609, 1e10f, -1e10f, 0x1p-149f, INFINITY, -INFINITY, NAN, 0.49999997f,
                              -0.99999994f, 7, -123.25f};
enum { N = FV_COUNT(table) };

static bool same(float a, float b) { return (isnan(a) && isnan(b)) || (a == b && !signbit(a) == !signbit(b)); }
static float at(int i) { return table[i % N]; }
static fv_f32v lanes(int from) {
  float t[FV_W];
  for (int i = 0; i < FV_W; i++) t[i] = at(from + i);
  return fv_vload(t);
}

static void memory(void **state) {
  (void)state;
  for (int n = 0; n <= FV_W; n++) {
    float from[FV_W + 2], to[FV_W + 2], also[FV_W + 2];
    uint8_t bytes[FV_W + 2], into[FV_W + 2];
    for (int i = 0; i < FV_W + 2; i++) {
      from[i] = (float)i + 1;
      to[i] = also[i] = -7;
      bytes[i] = (uint8_t)(250 + i);
      into[i] = 99;
    }
    fv_f32v v = fv_vload_n(from + 1, n), b = fv_vload_u8_n(bytes + 1, n);
    const fv_f32v brief = fv_vload_short(from + 1, n);
    fv_vstore_n(to + 1, v, n);
    fv_vstore_short(also + 1, brief, n);
    fv_istore_u8_n(into + 1, fv_iload_u8_n(bytes + 1, n), n);
    for (int i = 0; i < FV_W; i++) {
      assert_true(v[i] == (i < n ? from[i + 1] : 0));
      assert_true(brief[i] == v[i]);
      assert_true(b[i] == (i < n ? (float)bytes[i + 1] : 0));
    }
    for (int i = 0; i < FV_W + 2; i++) {
      bool inside = i >= 1 && i <= n;
      assert_true(to[i] == (inside ? from[i] : -7));
      assert_true(also[i] == to[i]);
      assert_int_equal(into[i], inside ? bytes[i] : 99);
    }
  }
}

static void permute(void **state) {
  (void)state;
  for (int s = -3; s < 2 * FV_W; s++) {
    fv_f32v v = fv_itov(fv_ilane()), r = fv_vpermute(v, fv_iadd(fv_ilane(), fv_isplat(s)));
    for (int i = 0; i < FV_W; i++) assert_true(r[i] == (float)((i + s + FV_W) % FV_W));
  }
}

static void arithmetic(void **state) {
  (void)state;
  for (int i = 0; i < N; i++)
    for (int k = 0; k < N; k++) {
      fv_f32v a = lanes(i), b = fv_vsplat(at(k)), high = fv_vmax(a, b), low = fv_vmin(a, b), sign = fv_vcopysign(a, b);
      uint32_t less = fv_mbits(fv_vlt(a, b)), unequal = fv_mbits(fv_vne(a, b)), some = fv_mbits(fv_vge(a, b));
      fv_f32v held = fv_vclamp(a, fv_vsplat(-2), fv_vsplat(3)), taken = fv_vselect(fv_vgt(a, b), a, b);
      for (int j = 0; j < FV_W; j++) {
        float x = at(i + j), y = at(k);
        bool nan = isnan(x) || isnan(y);
        assert_true(nan ? isnan(high[j]) && isnan(low[j]) : high[j] == fmaxf(x, y) && low[j] == fminf(x, y));
        assert_true(same(sign[j], copysignf(x, y)));
        assert_int_equal(less >> j & 1, x < y);
        assert_int_equal(unequal >> j & 1, x != y);
        assert_int_equal(some >> j & 1, x >= y);
        assert_true(same(held[j], x < -2 ? -2 : x > 3 ? 3 : x));
        assert_true(same(taken[j], x > y ? x : y));
      }
    }
}

static void rounding(void **state) {
  (void)state;
  for (int i = 0; i < N; i++) {
    fv_f32v a = lanes(i), r = fv_vround(a), f = fv_vfloor(a), c = fv_vceil(a), s = fv_vsqrt(a), m = fv_vabs(a);
    for (int j = 0; j < FV_W; j++) {
      float x = at(i + j);
      assert_true(same(r[j], rintf(x)) && same(f[j], floorf(x)) && same(c[j], ceilf(x)));
      assert_true(same(s[j], sqrtf(x)) && same(m[j], fabsf(x)));
      if (!(fabsf(x) < 2e9f)) continue;
      assert_int_equal(fv_vtoi(a)[j], (int32_t)rintf(x));
      assert_int_equal(fv_vtoi_trunc(a)[j], (int32_t)x);
    }
  }
}

static void integers(void **state) {
  (void)state;
  fv_rng r = fv_rng_new(3, 1);
  for (int n = 0; n < 500; n++) {
    int32_t a[FV_W], b[FV_W];
    for (int i = 0; i < FV_W; i++) {
      a[i] = (int32_t)fv_rng_u32(&r);
      b[i] = (int32_t)fv_rng_u32(&r);
    }
    fv_i32v x = fv_iload(a), y = fv_iload(b);
    for (int i = 0; i < FV_W; i++) {
      uint32_t u = (uint32_t)a[i], v = (uint32_t)b[i];
      assert_int_equal((uint32_t)fv_iadd(x, y)[i], u + v);
      assert_int_equal((uint32_t)fv_imul(x, y)[i], u * v);
      assert_int_equal((uint32_t)fv_imulhi_u(x, y)[i], (uint32_t)(((uint64_t)u * v) >> 32));
      assert_int_equal((uint32_t)fv_ishr(x, 7)[i], u >> 7);
      assert_int_equal(fv_isar(x, 7)[i], a[i] < 0 ? ~(~a[i] >> 7) : a[i] >> 7);
      assert_int_equal(fv_imax(x, y)[i], a[i] > b[i] ? a[i] : b[i]);
      assert_int_equal(fv_mtoi(fv_ilt(x, y))[i], a[i] < b[i]);
      assert_true(fv_itov(x)[i] == (float)a[i]);
    }
  }
}

static void across(void **state) {
  (void)state;
  float base[64];
  int32_t index[FV_W];
  for (int i = 0; i < 64; i++) base[i] = (float)(i * i);
  for (int i = 0; i < FV_W; i++) index[i] = i * 37 % 64;
  fv_f32v v = fv_vload(base + 1), g = fv_vgather(base, fv_iload(index));
  float sum = 0;
  for (int i = 0; i < FV_W; i++) {
    sum += base[i + 1];
    assert_true(g[i] == base[index[i]]);
    assert_int_equal(fv_ilane()[i], i);
  }
  assert_true(fv_vsum(v) == sum && fv_vhmax(v) == base[FV_W] && fv_vhmin(v) == 1);
  v[FV_W / 2] = NAN;
  assert_true(isnan(fv_vhmax(v)) && isnan(fv_vhmin(v)) && isnan(fv_vsum(v)));
  for (int n = 0; n <= FV_W; n++) {
    assert_int_equal(fv_mbits(fv_mfirst(n)), (1u << n) - 1);
    assert_int_equal(fv_mall(fv_mfirst(n)), n == FV_W);
    assert_int_equal(fv_many(fv_mfirst(n)), n > 0);
    assert_int_equal(fv_mbits(fv_mnot(fv_mfirst(n))) & FV_MALL, FV_MALL & ~((1u << n) - 1));
  }
}

int main(void) {
  if (!fv_cpu_has(FV_ISA_LEVEL)) return 77; /* skipped */
  const struct CMUnitTest tests[] = {cmocka_unit_test(memory), cmocka_unit_test(arithmetic), cmocka_unit_test(rounding),
                                     cmocka_unit_test(integers), cmocka_unit_test(across),
                                     cmocka_unit_test(permute)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
