/* SPDX-License-Identifier: Apache-2.0 */
/* tile.h: element-wise operations on tiles: runs of elements of 4 bytes, f32 or i32 (bytes are widened). Each is one
 * function y[i] = f(x0[i], x1[i], ...; k0, k1); y may be any of its operands. The table below says which function an
 * operation's name stands for. For src/cpu/kernels/elementwise.c. */
#ifndef FV_CPU_TILE_H
#define FV_CPU_TILE_H

#include "cpu/vmath.h"
#include "ops/cast.h"
#include "ops/clip.h"
#include "ops/elu.h"
#include "ops/gelu.h"
#include "ops/leaky_relu.h"
#include "ops/softplus.h"

#include <float.h>

#define TILE_OPERANDS 4
typedef void tile_fn(void *y, const void *const *x, const float *k, int64_t n);

/* TILE(operands, type of operands, type of result, name, expression of a, b, c, k0, k1); types: v = f32, i = i32. */
typedef fv_f32v tile_lanes_v;
typedef fv_i32v tile_lanes_i;
typedef float tile_item_v;
typedef int32_t tile_item_i;
#define TILE_GET1(t, get) tile_lanes_##t a = get(t, p0);
#define TILE_GET2(t, get) TILE_GET1(t, get) tile_lanes_##t b = get(t, p1);
#define TILE_GET3(t, get) TILE_GET2(t, get) tile_lanes_##t c = get(t, p2);
#define TILE_GET_WHOLE(t, p) fv_##t##load((const tile_item_##t *)p + i)
#define TILE_GET_PART(t, p) fv_##t##load_n((const tile_item_##t *)p + i, n - i)
#define TILE(n_in, t, r, name, expr)                                                            \
  static void tile_##name(void *y, const void *const *x, const float *k, int64_t n) {           \
    const void *const p0 = x[0], *const p1 = x[1], *const p2 = x[2];                            \
    const fv_f32v k0 = fv_vsplat(k[0]), k1 = fv_vsplat(k[1]);                                   \
    (void)p1, (void)p2, (void)k0, (void)k1;                                                     \
    int64_t i = 0;                                                                              \
    for (; i + FV_W <= n; i += FV_W) {                                                          \
      TILE_GET##n_in(t, TILE_GET_WHOLE) fv_##r##store((tile_item_##r *)y + i, expr);            \
    }                                                                                           \
    if (i < n) {                                                                                \
      TILE_GET##n_in(t, TILE_GET_PART) fv_##r##store_n((tile_item_##r *)y + i, expr, n - i);    \
    }                                                                                           \
  }

/* ---- what takes more than one expression ------------------------------------------------------------------------- */
static inline fv_f32v lanes_one(void) { return fv_vsplat(1); }
static inline fv_f32v lanes_sign(fv_f32v a) {
  return fv_vmasked(fv_vgt(a, fv_vzero()), lanes_one()) - fv_vmasked(fv_vlt(a, fv_vzero()), lanes_one());
}
static inline fv_f32v lanes_gelu_inner(fv_f32v a) { /* what the tanh form takes the tanh of */
  return fv_vsplat((float)FV_GELU_SCALE) * (a + fv_vsplat((float)FV_GELU_CUBIC) * a * a * a);
}
/* (1 + tanh t) / 2 is the sigmoid of 2 t. */
static inline fv_f32v lanes_gelu_tanh(fv_f32v a) {
  fv_f32v t = lanes_gelu_inner(a);
  return fv_vsigmoid_times(a, t + t, lanes_one());
}
static inline fv_f32v lanes_gelu(fv_f32v a) {
  fv_f32v bell;
  return a * fv_vnormal(a, &bell);
}
static inline fv_f32v lanes_gelu_grad(fv_f32v dy, fv_f32v x) {
  fv_f32v bell, below = fv_vnormal(x, &bell);
  return dy * (below + x * (bell * fv_vsplat((float)(M_2_SQRTPI * M_SQRT1_2 * 0.5))));
}
static inline fv_f32v lanes_gelu_tanh_grad(fv_f32v dy, fv_f32v x) { /* dy s (1 + x (1 - s) 2 t'), s = sigmoid(2 t) */
  fv_f32v t = lanes_gelu_inner(x), one = lanes_one(), far = fv_vsplat(-99);
  fv_f32v near = fv_vclamp(x, far, -far); /* beyond, s (1 - s) is 0 and a square might overflow */
  fv_f32v rise = fv_vsplat((float)(2 * FV_GELU_SCALE)) * (one + fv_vsplat((float)(3 * FV_GELU_CUBIC)) * near * near);
  fv_f32v slope = fv_vselect(fv_vlt(x, far), x, one + x * fv_vsigmoid(fv_vneg(t + t)) * rise);
  return fv_vsigmoid_times(slope, t + t, dy);
}
static inline fv_f32v lanes_silu(fv_f32v a) { return fv_vsigmoid_times(a, a, lanes_one()); }
static inline fv_f32v lanes_silu_grad(fv_f32v dy, fv_f32v x) { /* dy s (1 + x (1 - s)), s = sigmoid(x) */
  fv_f32v slope = lanes_one() + x * fv_vsigmoid(fv_vneg(x));
  return fv_vsigmoid_times(slope, x, dy);
}
static inline fv_f32v lanes_softplus(fv_f32v a, fv_f32v beta) {
  fv_f32v down = fv_vor(beta * a, fv_vsplat(-0.0f)); /* beta a itself might overflow */
  return fv_vmax(fv_vzero(), a) + fv_vlog1p(fv_vexp(down)) / beta;
}
static inline fv_f32v lanes_hardswish(fv_f32v a) {
  return a * (fv_vclamp(a + fv_vsplat(3), fv_vzero(), fv_vsplat(6)) / fv_vsplat(6));
}
static inline fv_f32v lanes_hardswish_grad(fv_f32v dy, fv_f32v x) {
  fv_f32v slope = (x + x + fv_vsplat(3)) / fv_vsplat(6);
  slope = fv_vselect(fv_vgt(x, fv_vsplat(3)), lanes_one(), slope);
  return dy * fv_vselect(fv_vlt(x, fv_vsplat(-3)), fv_vzero(), slope);
}
static inline fv_f32v lanes_clip_grad(fv_f32v dy, fv_f32v x, fv_f32v low, fv_f32v high) {
  return fv_vmasked(fv_mand(fv_vge(x, low), fv_vle(x, high)), dy);
}
static inline fv_i32v lanes_to_i32(fv_f32v a) { /* towards zero, held within the range, NaN to 0 */
  fv_i32v y = fv_vtoi_trunc(fv_vmasked(fv_vlt(fv_vabs(a), fv_vsplat(0x1p31f)), a));
  y = fv_iselect(fv_vge(a, fv_vsplat(0x1p31f)), fv_isplat(INT32_MAX), y);
  return fv_iselect(fv_vle(a, fv_vsplat(-0x1p31f)), fv_isplat(INT32_MIN), y);
}
static inline fv_i32v lanes_to_u8(fv_i32v a) { return fv_imin(fv_imax(a, fv_izero()), fv_isplat(255)); }
static inline fv_mask lanes_true(fv_i32v a) { return fv_ine(a, fv_izero()); }

/* ---- the functions ----------------------------------------------------------------------------------------------- */
TILE(2, v, v, add, a + b)
TILE(2, v, v, sub, a - b)
TILE(2, v, v, mul, a *b)
TILE(2, v, v, div, a / b)
TILE(2, v, v, pow, fv_vpow(a, b))
TILE(2, v, v, maximum, fv_vmax(a, b))
TILE(2, v, v, minimum, fv_vmin(a, b))
TILE(1, v, v, neg, fv_vneg(a))
TILE(1, v, v, abs, fv_vabs(a))
TILE(1, v, v, sign, lanes_sign(a))
TILE(1, v, v, exp, fv_vexp(a))
TILE(1, v, v, expm1, fv_vexpm1(a))
TILE(1, v, v, log, fv_vlog(a))
TILE(1, v, v, log1p, fv_vlog1p(a))
TILE(1, v, v, sqrt, fv_vsqrt(a))
TILE(1, v, v, rsqrt, lanes_one() / fv_vsqrt(a))
TILE(1, v, v, square, a *a)
TILE(1, v, v, reciprocal, lanes_one() / a)
TILE(1, v, v, sin, fv_vsin(a))
TILE(1, v, v, cos, fv_vcos(a))
TILE(1, v, v, erf, fv_verf(a))
TILE(1, v, v, floor, fv_vfloor(a))
TILE(1, v, v, ceil, fv_vceil(a))
TILE(1, v, v, round, fv_vround(a))
TILE(1, v, v, relu, fv_vselect(fv_vlt(a, fv_vzero()), fv_vzero(), a))
TILE(2, v, v, relu_grad, fv_vselect(fv_vle(b, fv_vzero()), fv_vzero(), a))
TILE(1, v, v, leaky_relu, fv_vselect(fv_vgt(a, fv_vzero()), a, k0 *a))
TILE(2, v, v, leaky_relu_grad, fv_vselect(fv_vgt(b, fv_vzero()), a, k0 *a))
TILE(1, v, v, elu, fv_vselect(fv_vgt(a, fv_vzero()), a, k0 *fv_vexpm1(a)))
TILE(2, v, v, elu_grad, fv_vselect(fv_vgt(b, fv_vzero()), a, a *(b + k0)))
TILE(1, v, v, sigmoid, fv_vsigmoid(a))
TILE(2, v, v, sigmoid_grad, a *b *(lanes_one() - b))
TILE(1, v, v, tanh, fv_vtanh(a))
TILE(2, v, v, tanh_grad, a *(lanes_one() - fv_vabs(b)) * (lanes_one() + fv_vabs(b))) /* b * b might overflow */
TILE(1, v, v, silu, lanes_silu(a))
TILE(2, v, v, silu_grad, lanes_silu_grad(a, b))
TILE(1, v, v, gelu, lanes_gelu(a))
TILE(1, v, v, gelu_tanh, lanes_gelu_tanh(a))
TILE(2, v, v, gelu_grad, lanes_gelu_grad(a, b))
TILE(2, v, v, gelu_tanh_grad, lanes_gelu_tanh_grad(a, b))
TILE(1, v, v, softplus, lanes_softplus(a, k0))
TILE(1, v, v, hardswish, lanes_hardswish(a))
TILE(2, v, v, hardswish_grad, lanes_hardswish_grad(a, b))
TILE(1, v, v, clip, fv_vclamp(a, k0, k1))
TILE(2, v, v, clip_grad, lanes_clip_grad(a, b, k0, k1))
TILE(2, v, i, eq, fv_mtoi(fv_veq(a, b)))
TILE(2, v, i, ne, fv_mtoi(fv_vne(a, b)))
TILE(2, v, i, lt, fv_mtoi(fv_vlt(a, b)))
TILE(2, v, i, le, fv_mtoi(fv_vle(a, b)))
TILE(2, v, i, gt, fv_mtoi(fv_vgt(a, b)))
TILE(2, v, i, ge, fv_mtoi(fv_vge(a, b)))
TILE(2, i, i, eq_i32, fv_mtoi(fv_ieq(a, b)))
TILE(2, i, i, ne_i32, fv_mtoi(fv_ine(a, b)))
TILE(2, i, i, lt_i32, fv_mtoi(fv_ilt(a, b)))
TILE(2, i, i, le_i32, fv_mtoi(fv_ile(a, b)))
TILE(2, i, i, gt_i32, fv_mtoi(fv_igt(a, b)))
TILE(2, i, i, ge_i32, fv_mtoi(fv_ige(a, b)))
TILE(2, i, i, logical_and, fv_mtoi(fv_mand(lanes_true(a), lanes_true(b))))
TILE(2, i, i, logical_or, fv_mtoi(fv_mor(lanes_true(a), lanes_true(b))))
TILE(1, i, i, logical_not, fv_mtoi(fv_ieq(a, fv_izero())))
TILE(3, i, i, where, fv_iselect(lanes_true(a), b, c)) /* of any type: only bits move */
TILE(1, i, i, copy, a)
TILE(1, i, v, real_of_i32, fv_itov(a))
TILE(1, v, i, i32_of_real, lanes_to_i32(a))
TILE(1, v, i, u8_of_real, lanes_to_u8(lanes_to_i32(a)))
TILE(1, i, i, u8_of_i32, lanes_to_u8(a))
/* Two steps as one, each rounded as when alone: fusing must not change bits. */
TILE(3, v, v, mul_add, a *b + c)
TILE(3, v, v, mul_mul, a *b *c)
TILE(2, v, v, add_relu, fv_vselect(fv_vlt(a + b, fv_vzero()), fv_vzero(), a + b))

/* ---- which function an operation is ------------------------------------------------------------------------------ */
typedef struct tile_op {
  const char *name;
  int n_in;
  tile_fn *real, *whole;                      /* of f32 operands; of i32 and u8 operands; NULL: not for those */
  void (*constants)(const void *attrs, float *k); /* NULL: none */
} tile_op;

static void leaky_constants(const void *attrs, float *k) {
  k[0] = (float)((const fv_leaky_relu_attrs *)attrs)->negative_slope;
}
static void elu_constants(const void *attrs, float *k) { k[0] = (float)((const fv_elu_attrs *)attrs)->alpha; }
static void softplus_constants(const void *attrs, float *k) { k[0] = (float)((const fv_softplus_attrs *)attrs)->beta; }
static void clip_constants(const void *attrs, float *k) {
  const fv_clip_attrs *a = attrs;
  k[0] = (float)a->min;
  k[1] = (float)a->max;
}

static void inside_constants(const void *attrs, float *k) { /* infinity lies outside even when nothing else does */
  const fv_clip_attrs *a = attrs;
  k[0] = (float)fmax(a->min, -(double)FLT_MAX);
  k[1] = (float)fmin(a->max, (double)FLT_MAX);
}

#define TILE_REAL(n, name) {#name, n, tile_##name, NULL, NULL}
#define TILE_REAL_K(n, name, constants) {#name, n, tile_##name, NULL, constants##_constants}
#define TILE_BOTH(name) {#name, 2, tile_##name, tile_##name##_i32, NULL}
static const tile_op tile_ops[] = {
    TILE_REAL(2, add), TILE_REAL(2, sub), TILE_REAL(2, mul), TILE_REAL(2, div), TILE_REAL(2, pow),
    TILE_REAL(2, maximum), TILE_REAL(2, minimum), TILE_REAL(1, neg), TILE_REAL(1, abs), TILE_REAL(1, sign),
    TILE_REAL(1, exp), TILE_REAL(1, expm1), TILE_REAL(1, log), TILE_REAL(1, log1p), TILE_REAL(1, sqrt),
    TILE_REAL(1, rsqrt), TILE_REAL(1, square), TILE_REAL(1, reciprocal), TILE_REAL(1, sin), TILE_REAL(1, cos),
    TILE_REAL(1, erf), TILE_REAL(1, floor), TILE_REAL(1, ceil), TILE_REAL(1, round), TILE_REAL(1, relu),
    TILE_REAL(2, relu_grad), TILE_REAL_K(1, leaky_relu, leaky), TILE_REAL_K(2, leaky_relu_grad, leaky),
    TILE_REAL_K(1, elu, elu), TILE_REAL_K(2, elu_grad, elu), TILE_REAL(1, sigmoid), TILE_REAL(2, sigmoid_grad),
    TILE_REAL(1, tanh), TILE_REAL(2, tanh_grad), TILE_REAL(1, silu), TILE_REAL(2, silu_grad),
    TILE_REAL_K(1, softplus, softplus), TILE_REAL(1, hardswish), TILE_REAL(2, hardswish_grad),
    TILE_REAL_K(1, clip, clip), TILE_REAL_K(2, clip_grad, inside),
    TILE_REAL(1, gelu), TILE_REAL(2, gelu_grad), /* the erf form; tile_find knows the other */
    TILE_BOTH(eq), TILE_BOTH(ne), TILE_BOTH(lt), TILE_BOTH(le), TILE_BOTH(gt), TILE_BOTH(ge),
    {"logical_and", 2, NULL, tile_logical_and, NULL}, {"logical_or", 2, NULL, tile_logical_or, NULL},
    {"logical_not", 1, NULL, tile_logical_not, NULL}, {"where", 3, NULL, tile_where, NULL},
    {"copy", 1, tile_copy, tile_copy, NULL}};

static tile_fn *tile_cast(const fv_cast_attrs *a, fv_dtype from) {
  switch (a->dtype) {
    case FV_CAST_REAL: return from == FV_F32 ? tile_copy : tile_real_of_i32;
    case FV_CAST_I32: return from == FV_F32 ? tile_i32_of_real : tile_copy;
    case FV_CAST_U8: return from == FV_F32 ? tile_u8_of_real : tile_u8_of_i32;
    default: return NULL;
  }
}

/* The function for `op` on a first operand of dtype `from`, its constants into k[2]; NULL when there is none. */
static tile_fn *tile_find(const fv_op_def *op, const void *attrs, fv_dtype from, float *k) {
  const fv_gelu_attrs *gelu = attrs;
  if (from == FV_F64) return NULL;
  if (!strcmp(op->name, "cast")) return tile_cast(attrs, from);
  if (!strcmp(op->name, "gelu") && gelu->approximate == FV_GELU_TANH) return tile_gelu_tanh;
  if (!strcmp(op->name, "gelu_grad") && gelu->approximate == FV_GELU_TANH) return tile_gelu_tanh_grad;
  for (size_t i = 0; i < FV_COUNT(tile_ops); i++) {
    const tile_op *t = &tile_ops[i];
    if (strcmp(t->name, op->name) || t->n_in != op->n_in) continue;
    if (t->constants) t->constants(attrs, k);
    return from == FV_F32 ? t->real : t->whole;
  }
  return NULL;
}

#endif
