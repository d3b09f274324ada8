/* SPDX-License-Identifier: Apache-2.0 */
/* vmath.h: mathematics on whole vectors (simd.h). Argument reduction and a minimax polynomial each (Remez, coefficients
 * computed for these intervals; Muller, Elementary Functions, 2016); sin, cos and pow reduce in doubles. NaN stays NaN,
 * infinities, denormals and overflow are as in C. A lane's result depends on that lane alone.
 *
 * Largest errors found by tests/unit/test_vmath.c (against libm in double, at any level), in units of the last place:
 *   pow 0.50, log 0.79, exp 0.98, erf 1.20, tanh 1.29, log1p 1.43, expm1 1.46, sin and cos 1.54, softplus 1.61,
 *   sigmoid 1.93. */
#ifndef FV_CPU_VMATH_H
#define FV_CPU_VMATH_H

#include "cpu/simd.h"

#include <math.h>

#define FV_VM_LN2_HIGH 0x1.63p-1f /* 9 bits: times a small whole number it is exact */
#define FV_VM_LN2_LOW -0x1.bd0106p-13f
#define FV_VM_SQRT_HALF 0x3f3504f3 /* bits of sqrt(1/2) */

/* p * 2^n, rounded once; n whole, -160..160. */
static inline fv_f32v fv_vscale(fv_f32v p, fv_f32v n) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  fv_i32v i = fv_vtoi(n), half = fv_isar(i, 1), bias = fv_isplat(127);
  fv_f32v a = fv_ibits(fv_ishl(fv_iadd(half, bias), 23));
  fv_f32v b = fv_ibits(fv_ishl(fv_iadd(fv_isub(i, half), bias), 23));
  return p * a * b;
#endif
}

/* x = n ln 2 + r; the result is e^r - 1. */
static inline fv_f32v fv_vexp_remainder(fv_f32v x, fv_f32v *n) {
  *n = fv_vround(x * fv_vsplat(0x1.715476p+0f));
  fv_f32v r = fv_vfnma(*n, fv_vsplat(FV_VM_LN2_HIGH), x);
  return fv_vfnma(*n, fv_vsplat(FV_VM_LN2_LOW), r);
}
static inline fv_f32v fv_vexp_polynomial(fv_f32v r) {
  fv_f32v q = fv_vfma(fv_vsplat(0x1.6a2466p-10f), r, fv_vsplat(0x1.1239e2p-7f));
  q = fv_vfma(q, r, fv_vsplat(0x1.5558f2p-5f));
  q = fv_vfma(q, r, fv_vsplat(0x1.555492p-3f));
  q = fv_vfma(q, r, fv_vsplat(0x1.fffffcp-2f));
  return fv_vfma(q, r * r, r);
}
static inline fv_f32v fv_vexp_reduced(fv_f32v x, fv_f32v *n) { return fv_vexp_polynomial(fv_vexp_remainder(x, n)); }
static inline fv_f32v fv_vexp(fv_f32v x) {
  fv_f32v n, p = fv_vexp_reduced(fv_vclamp(x, fv_vsplat(-104.0f), fv_vsplat(89.0f)), &n);
  return fv_vscale(p + fv_vsplat(1), n);
}
/* 2^x for x < 127 to 2 units of the last place, 0 below -127, exact at 0: for softmax, which asks for no more. A large
 * negative x is fine, -infinity is not. */
static inline fv_f32v fv_vexp2_fast(fv_f32v x) {
#if !FV_SIMD_AVX512
  x = fv_vmax_any(fv_vsplat(-127), x);
#endif
  fv_f32v n = fv_vround(x), f = x - n;
  fv_f32v p = fv_vfma(fv_vsplat(0x1.5bba16p-10f), f, fv_vsplat(0x1.3cea88p-7f));
  p = fv_vfma(p, f, fv_vsplat(0x1.c6b752p-5f));
  p = fv_vfma(p, f, fv_vsplat(0x1.ebf9bcp-3f));
  p = fv_vfma(p, f, fv_vsplat(0x1.62e42ap-1f));
  p = fv_vfma(p, f, fv_vsplat(1));
#if FV_SIMD_AVX512
  return fv_vscale(p, n);
#else /* 2^-127 comes out as 0 */
  return p * fv_ibits(fv_ishl(fv_iadd(fv_vtoi(n), fv_isplat(127)), 23));
#endif
}
static inline fv_f32v fv_vexpm1(fv_f32v x) {
  fv_f32v n, p = fv_vexp_reduced(fv_vclamp(x, fv_vsplat(-20.0f), fv_vsplat(89.0f)), &n);
  fv_f32v half = fv_ibits(fv_ishl(fv_iadd(fv_vtoi(n), fv_isplat(126)), 23)); /* 2^n / 2: 2^128 would not fit */
  fv_f32v y = fv_vfma(half, p, half - fv_vsplat(0.5f));
  return fv_vselect(fv_vlt(fv_vabs(x), fv_vsplat(0x1p-25f)), x, y + y);
}

/* log(1 + f) + k ln 2 for 1 + f in [sqrt(1/2), sqrt(2)], where the polynomial is f - f^2/2 + f^3 P(f). */
static inline fv_f32v fv_vlog_reduced(fv_f32v f, fv_f32v k) {
  fv_f32v p = fv_vfma(fv_vsplat(0x1.145e08p-4f), f, fv_vsplat(-0x1.de3ec6p-4f));
  p = fv_vfma(p, f, fv_vsplat(0x1.e6ef12p-4f));
  p = fv_vfma(p, f, fv_vsplat(-0x1.fc2180p-4f));
  p = fv_vfma(p, f, fv_vsplat(0x1.233776p-3f));
  p = fv_vfma(p, f, fv_vsplat(-0x1.555c52p-3f));
  p = fv_vfma(p, f, fv_vsplat(0x1.99a4b4p-3f));
  p = fv_vfma(p, f, fv_vsplat(-0x1.000006p-2f));
  p = fv_vfma(p, f, fv_vsplat(0x1.555548p-2f));
  fv_f32v s = f * f;
  p = fv_vfma(p, s * f, fv_vfnma(fv_vsplat(0.5f), s, k * fv_vsplat(FV_VM_LN2_LOW)));
  return fv_vfma(k, fv_vsplat(FV_VM_LN2_HIGH), f + p);
}
/* What a logarithm of x gives where the formula does not hold: 0, below 0, infinite, NaN. */
static inline fv_f32v fv_vlog_special(fv_f32v x, fv_f32v y) {
  y = fv_vselect(fv_vlt(x, fv_vsplat(INFINITY)), y, x); /* also NaN */
  y = fv_vselect(fv_veq(x, fv_vzero()), fv_vsplat(-INFINITY), y);
  return fv_vselect(fv_vlt(x, fv_vzero()), fv_vsplat(NAN), y);
}
/* The k for which 2^-k x lies in [sqrt(1/2), sqrt(2)). */
static inline fv_i32v fv_vlog_exponent(fv_f32v x) {
  return fv_isar(fv_isub(fv_vbits(x), fv_isplat(FV_VM_SQRT_HALF)), 23);
}
static inline fv_f32v fv_vlog(fv_f32v x) {
  fv_mask tiny = fv_vlt(x, fv_vsplat(0x1p-126f));
  fv_f32v n = fv_vselect(tiny, x * fv_vsplat(0x1p23f), x);
  fv_i32v k = fv_vlog_exponent(n);
  fv_f32v f = fv_ibits(fv_isub(fv_vbits(n), fv_ishl(k, 23))) - fv_vsplat(1);
  fv_f32v y = fv_vlog_reduced(f, fv_itov(k) - fv_vmasked(tiny, fv_vsplat(23)));
  return fv_vlog_special(x, y);
}
static inline fv_f32v fv_vlog1p(fv_f32v x) {
  fv_f32v one = fv_vsplat(1), u = one + x;
  fv_i32v k = fv_vlog_exponent(u);
  /* What rounding 1 + x lost, at the scale of f; near zero f is x itself. */
  fv_f32v lost = fv_vselect(fv_vgt(x, one), one - (u - x), x - (u - one));
  fv_f32v f = fv_ibits(fv_isub(fv_vbits(u), fv_ishl(k, 23))) - one;
  f = f + lost * fv_ibits(fv_ishl(fv_isub(fv_isplat(127), fv_imin(k, fv_isplat(126))), 23));
  f = fv_vselect(fv_ieq(k, fv_izero()), x, f);
  fv_f32v y = fv_vlog_reduced(f, fv_itov(k));
  y = fv_vselect(fv_vlt(fv_vabs(x), fv_vsplat(0x1p-25f)), x, y);
  y = fv_vselect(fv_vlt(x, fv_vsplat(INFINITY)), y, x);
  y = fv_vselect(fv_veq(x, -one), fv_vsplat(-INFINITY), y);
  return fv_vselect(fv_vlt(x, -one), fv_vsplat(NAN), y);
}

static inline fv_f32v fv_vtanh(fv_f32v x) {
  fv_f32v a = fv_vabs(x), s = x * x, one = fv_vsplat(1), n;
  fv_f32v p = fv_vfma(fv_vsplat(-0x1.75e1d0p-8f), s, fv_vsplat(0x1.52269ap-6f));
  p = fv_vfma(p, s, fv_vsplat(-0x1.b83c5ap-5f));
  p = fv_vfma(p, s, fv_vsplat(0x1.110726p-3f));
  p = fv_vfma(p, s, fv_vsplat(-0x1.555532p-2f));
  fv_f32v near = fv_vfma(p * s, a, a);
  fv_f32v e = fv_vexp_reduced(fv_vclamp(a + a, fv_vzero(), fv_vsplat(40)), &n);
  e = fv_vscale(e + one, n);
  fv_f32v far = one - fv_vsplat(2) / (e + one);
  return fv_vcopysign(fv_vselect(fv_vlt(a, fv_vsplat(0.625f)), near, far), x);
}

static inline fv_f32v fv_vsigmoid(fv_f32v x) { /* 1 / (1 + e^-x), without overflow on either side */
  fv_f32v e = fv_vexp(fv_vor(x, fv_vsplat(-0.0f))), one = fv_vsplat(1), sum = one + e;
  fv_f32v y = fv_vselect(fv_vlt(x, fv_vzero()), e, one) / sum;
  /* What rounding the sum lost, divided by it: 3/4 is near enough to 1 / sum. */
  return fv_vfnma(y, (e - (sum - one)) * fv_vsplat(0.75f), y);
}
static inline fv_f32v fv_vsoftplus(fv_f32v x) { /* log(1 + e^x) */
  return fv_vmax(fv_vzero(), x) + fv_vlog1p(fv_vexp(fv_vor(x, fv_vsplat(-0.0f))));
}

/* log(1 - erf(a)) for a in [0.9, 4]. */
static inline fv_f32v fv_verfc_log(fv_f32v a) {
  fv_f32v q = fv_vfma(fv_vsplat(-0x1.5d723ap-16f), a, fv_vsplat(0x1.c45950p-12f));
  q = fv_vfma(q, a, fv_vsplat(-0x1.106262p-8f));
  q = fv_vfma(q, a, fv_vsplat(0x1.9aebbap-6f));
  q = fv_vfma(q, a, fv_vsplat(-0x1.bb454cp-4f));
  q = fv_vfma(q, a, fv_vsplat(-0x1.444d1ep-1f));
  q = fv_vfma(q, a, fv_vsplat(-0x1.212626p+0f));
  return fv_vfma(q, a, fv_vsplat(0x1.62d91ap-13f));
}
static inline fv_f32v fv_verf(fv_f32v x) {
  fv_f32v a = fv_vabs(x), s = x * x, n;
  fv_f32v p = fv_vfma(fv_vsplat(0x1.5f956ep-14f), s, fv_vsplat(-0x1.ab106ap-11f));
  p = fv_vfma(p, s, fv_vsplat(0x1.54df1cp-8f));
  p = fv_vfma(p, s, fv_vsplat(-0x1.b810e8p-6f));
  p = fv_vfma(p, s, fv_vsplat(0x1.ce2e24p-4f));
  p = fv_vfma(p, s, fv_vsplat(-0x1.812744p-2f));
  p = fv_vfma(p, s, fv_vsplat(0x1.06eba8p-3f));
  fv_f32v near = fv_vfma(p, x, x);
  fv_f32v t = fv_verfc_log(fv_vclamp(a, fv_vzero(), fv_vsplat(4)));
  t = fv_vexp_reduced(t, &n);
  fv_f32v far = fv_vcopysign(fv_vsplat(1) - fv_vscale(t + fv_vsplat(1), n), x);
  return fv_vselect(fv_vlt(a, fv_vsplat(0.92f)), near, far);
}

/* The standard normal distribution at x: its integral from -infinity; *bell = e^(-x^2/2). Exact in the tail too:
 * x^2 is kept in two parts, and the integral beyond |x| is e^(-x^2/2) u P(u) with u = 1 / (1 + 0.3 |x|). */
static inline fv_f32v fv_vnormal(fv_f32v x, fv_f32v *bell) {
  fv_f32v t = fv_vclamp(fv_vabs(x), fv_vzero(), fv_vsplat(14.6f)), one = fv_vsplat(1), half = fv_vsplat(0.5f), n;
  fv_f32v high = fv_ibits(fv_iand(fv_vbits(t), fv_isplat(-4096))); /* 12 bits: its square is exact */
  fv_f32v r = fv_vexp_remainder(high * high * -half, &n) - (t - high) * (t + high) * half;
  fv_f32v e = fv_vexp_polynomial(r) + one, u = one / fv_vfma(fv_vsplat(0.3f), t, one);
  fv_f32v p = fv_vfma(fv_vsplat(-0x1.51e512p-6f), u, fv_vsplat(0x1.cc893ep-4f));
  p = fv_vfma(p, u, fv_vsplat(-0x1.d3619ap-3f));
  p = fv_vfma(p, u, fv_vsplat(0x1.88c644p-3f));
  p = fv_vfma(p, u, fv_vsplat(-0x1.455172p-4f));
  p = fv_vfma(p, u, fv_vsplat(0x1.89dbacp-4f));
  p = fv_vfma(p, u, fv_vsplat(0x1.411588p-4f));
  p = fv_vfma(p, u, fv_vsplat(0x1.c38636p-4f));
  p = fv_vfma(p, u, fv_vsplat(0x1.e9c422p-4f));
  p = fv_vfma(p, u, fv_vsplat(0x1.ea3c98p-4f));
  *bell = fv_vscale(e, n);
  fv_f32v tail = fv_vscale(e * (u * p), n);
  return fv_vselect(fv_vlt(x, fv_vzero()), tail, one - tail);
}
/* a b / (1 + e^-x), where a and b may make good what the quotient alone would lose below the smallest float. */
static inline fv_f32v fv_vsigmoid_times(fv_f32v a, fv_f32v x, fv_f32v b) {
  fv_f32v n, one = fv_vsplat(1), down = fv_vclamp(fv_vor(x, fv_vsplat(-0.0f)), fv_vsplat(-112), fv_vzero());
  fv_f32v p = fv_vexp_reduced(down, &n) + one;
  fv_mask negative = fv_vlt(x, fv_vzero());
  fv_f32v y = fv_vselect(negative, p, one) / (one + fv_vscale(p, n));
  y = fv_vselect(fv_vlt(x, fv_vsplat(-112)), fv_vzero(), y);
  n = fv_vselect(negative, n, fv_vzero());
  fv_f32v near = fv_vround(n * fv_vsplat(0.5f));
  return fv_vscale(fv_vscale(y * a, near) * b, n - near);
}

/* ---- in doubles: half a vector's lanes at a time ----------------------------------------------------------------- */
#define FV_VM_HALF (FV_W / 2)
typedef float fv_f32h __attribute__((vector_size(2 * FV_W)));
typedef int32_t fv_i32h __attribute__((vector_size(2 * FV_W)));
typedef double fv_f64h __attribute__((vector_size(4 * FV_W)));
typedef uint64_t fv_u64h __attribute__((vector_size(4 * FV_W)));
typedef union fv_vm_halves {
  fv_f32v f;
  fv_i32v i;
  fv_f32h fh[2];
  fv_i32h ih[2];
} fv_vm_halves;
/* Added to a double and taken off again, it leaves the nearest whole number; until then the low bits hold it. */
#define FV_VM_WHOLE 0x1.8p52

/* x = q pi/2 + r, |r| <= pi/4, for |x| <= 2^20. */
static inline fv_f32v fv_vquarter(fv_f32v x, fv_i32v *q) {
  fv_vm_halves v = {.f = x}, n;
  for (int h = 0; h < 2; h++) {
    fv_f64h d = __builtin_convertvector(v.fh[h], fv_f64h), t = d * 0x1.45f306dc9c883p-1 + FV_VM_WHOLE;
    n.ih[h] = __builtin_convertvector((fv_u64h)t & 3, fv_i32h);
    t = t - FV_VM_WHOLE;
    d = (d - t * 0x1.921fb544p+0) - t * 0x1.0b4611a626331p-34;
    v.fh[h] = __builtin_convertvector(d, fv_f32h);
  }
  *q = n.i;
  return v.f;
}
static inline fv_f32v fv_vsin_quarter(fv_f32v r, fv_i32v q) { /* sin(r + q pi/2) */
  fv_f32v s = r * r;
  fv_f32v p = fv_vfma(fv_vsplat(0x1.6cd1b0p-19f), s, fv_vsplat(-0x1.a00f7ep-13f));
  p = fv_vfma(p, s, fv_vsplat(0x1.111108p-7f));
  p = fv_vfma(p, s, fv_vsplat(-0x1.555556p-3f));
  fv_f32v sine = fv_vfma(p * s, r, r);
  fv_f32v c = fv_vfma(fv_vsplat(0x1.99eb4cp-16f), s, fv_vsplat(-0x1.6c0c32p-10f));
  c = fv_vfma(c, s, fv_vsplat(0x1.55554ap-5f));
  fv_f32v cosine = fv_vfma(c, s * s, fv_vfnma(fv_vsplat(0.5f), s, fv_vsplat(1)));
  fv_f32v y = fv_vselect(fv_ieq(fv_iand(q, fv_isplat(1)), fv_izero()), sine, cosine);
  return fv_vxor(y, fv_ibits(fv_ishl(fv_iand(q, fv_isplat(2)), 30)));
}
/* Lanes too large for the reduction, one by one. */
static inline fv_f32v fv_vsin_far(fv_f32v x, fv_f32v y, double (*f)(double)) {
  uint32_t far = FV_MALL & ~fv_mbits(fv_vle(fv_vabs(x), fv_vsplat(0x1p20f)));
  for (int i = 0; far; i++, far >>= 1)
    if (far & 1) y[i] = (float)f((double)x[i]);
  return y;
}
static inline fv_f32v fv_vsin(fv_f32v x) {
  fv_i32v q;
  fv_f32v r = fv_vquarter(x, &q);
  fv_f32v y = fv_vselect(fv_veq(x, fv_vzero()), x, fv_vsin_quarter(r, q));
  return fv_vsin_far(x, y, sin);
}
static inline fv_f32v fv_vcos(fv_f32v x) {
  fv_i32v q;
  fv_f32v r = fv_vquarter(x, &q);
  return fv_vsin_far(x, fv_vsin_quarter(r, fv_iadd(q, fv_isplat(1))), cos);
}

/* 2^(y log2 x) for x > 0 and finite y. */
static inline fv_f64h fv_vpow_half(fv_f64h x, fv_f64h y) {
  fv_u64h u = (fv_u64h)x - 0x3fe6a09e667f3bcdu + (UINT64_C(1023) << 52), k = u >> 52;
  fv_f64h m = (fv_f64h)((fv_u64h)x - ((k - 1023) << 52));
  fv_f64h whole = (fv_f64h)(k | 0x4330000000000000u) - (0x1p52 + 1023);
  fv_f64h s = (m - 1) / (m + 1), z = s * s;
  fv_f64h p = ((((0x1.21b3cb32c6695p-2 * z + 0x1.4795210cbf988p-2) * z + 0x1.a61a3021512e7p-2) * z +
                0x1.2776c29179ac9p-1) * z + 0x1.ec709dc53e08dp-1) * z + 0x1.71547652b8250p+1;
  fv_f64h t = y * (whole + s * p);
  fv_f64h low = t - t - 160, high = t - t + 160;
  t = (fv_f64h)(((fv_u64h)t & (fv_u64h)(t > low)) | ((fv_u64h)low & ~(fv_u64h)(t > low)));
  t = (fv_f64h)(((fv_u64h)t & (fv_u64h)(t < high)) | ((fv_u64h)high & ~(fv_u64h)(t < high)));
  fv_f64h n = t + FV_VM_WHOLE, r = t - (n - FV_VM_WHOLE);
  p = (((0x1.61afebdb07e5cp-20 * r + 0x1.00daeadf88ff0p-16) * r + 0x1.430accc95dc07p-13) * r +
       0x1.5d874813f0bc2p-10) * r + 0x1.3b2ab5c4e6a49p-7;
  p = ((p * r + 0x1.c6b08dd48b17ep-5) * r + 0x1.ebfbdff931f44p-3) * r + 0x1.62e42fef860a3p-1;
  p = p * r + 0x1.ffffffffff7a0p-1;
  return (fv_f64h)((fv_u64h)p + ((fv_u64h)n << 52));
}
static inline fv_f32v fv_vpow(fv_f32v x, fv_f32v y) {
  fv_vm_halves base = {.f = fv_vabs(x)}, power = {.f = y};
  for (int h = 0; h < 2; h++)
    base.fh[h] = __builtin_convertvector(fv_vpow_half(__builtin_convertvector(base.fh[h], fv_f64h),
                                                      __builtin_convertvector(power.fh[h], fv_f64h)), fv_f32h);
  fv_f32v zero = fv_vzero(), r = base.f;
  r = fv_vselect(fv_veq(x, zero), fv_vselect(fv_vlt(y, zero), fv_vsplat(INFINITY), zero), r);
  /* A negative base: the power of its size, negative when the exponent is odd, NaN when it is not whole. */
  fv_f32v half = y * fv_vsplat(0.5f);
  fv_mask whole = fv_veq(fv_vround(y), y), odd = fv_mand(whole, fv_vne(fv_vround(half), half));
  r = fv_vselect(fv_mand(fv_vlt(x, zero), fv_mnot(whole)), fv_vsplat(NAN), r);
  r = fv_vselect(odd, fv_vcopysign(r, x), r);
  r = fv_vselect(fv_veq(y, zero), fv_vsplat(1), r);
  fv_f32v big = fv_vsplat(INFINITY);
  uint32_t plain = fv_mbits(fv_mand(fv_vlt(fv_vabs(x), big), fv_vlt(fv_vabs(y), big)));
  for (int i = 0; i < FV_W && plain != FV_MALL; i++)
    if (!(plain >> i & 1)) r[i] = (float)pow((double)x[i], (double)y[i]);
  return r;
}

#endif
