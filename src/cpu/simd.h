/* SPDX-License-Identifier: Apache-2.0 */
/* simd.h: the vectors kernels are written over. A kernel file is compiled once per level with -DFV_ISA=base|avx2|
 * avx512|neon; everything here is static inline and means the same at every level; FV_W, a vector's floats, differs.
 *
 * Names: fv_v... works on floats, fv_i... on 32-bit integers, fv_m... on masks. Operators + - * / and v[i] work on
 * fv_f32v too (they are GCC vectors); a product and a sum are one rounding only when written fv_vfma.
 *
 * What may differ in bits between levels: fv_vfma (two roundings at base), reductions across lanes (the tree follows
 * FV_W), the sign of fv_vmin/fv_vmax of +0 and -0. Nothing depends on alignment. `n` of the ..._n forms is 0..FV_W;
 * they touch no memory beyond n elements, and lanes beyond n are zero after a load. */
#ifndef FV_CPU_SIMD_H
#define FV_CPU_SIMD_H

#include "ir/ir.h"

#ifndef FV_ISA
#define FV_ISA base
#endif
#define FV_SIMD_CAT_(a, b) a##b
#define FV_SIMD_CAT(a, b) FV_SIMD_CAT_(a, b)
#define FV_SIMD_ID_base 0
#define FV_SIMD_ID_neon 1
#define FV_SIMD_ID_avx2 2
#define FV_SIMD_ID_avx512 3
#define FV_SIMD_LEVEL_base FV_ISA_BASE
#define FV_SIMD_LEVEL_neon FV_ISA_NEON
#define FV_SIMD_LEVEL_avx2 FV_ISA_AVX2
#define FV_SIMD_LEVEL_avx512 FV_ISA_AVX512
#define FV_SIMD_ID FV_SIMD_CAT(FV_SIMD_ID_, FV_ISA)

#define FV_ISA_LEVEL FV_SIMD_CAT(FV_SIMD_LEVEL_, FV_ISA)
/* NAME_base, NAME_avx2, ...: for what a kernel file exports; FV_KERNELS(softmax) is its table of rows. */
#define FV_ISA_NAME(name) FV_SIMD_CAT(FV_SIMD_CAT(name, _), FV_ISA)
#define FV_KERNELS(file) FV_ISA_NAME(FV_SIMD_CAT(fv_kernels_, file))

#define FV_SIMD_AVX512 (FV_SIMD_ID == 3)
#define FV_SIMD_AVX2 (FV_SIMD_ID == 2)
#define FV_SIMD_NEON (FV_SIMD_ID == 1)
#if defined(__SSE2__)
#include <immintrin.h>
#elif FV_SIMD_NEON
#include <arm_neon.h>
#endif
#if defined(__SSE2__) && FV_SIMD_ID == 0
#define FV_SIMD_SSE2 1
#else
#define FV_SIMD_SSE2 0
#endif

#if FV_SIMD_AVX512
#define FV_W 16
#elif FV_SIMD_AVX2
#define FV_W 8
#else
#define FV_W 4
#endif

typedef float fv_f32v __attribute__((vector_size(4 * FV_W)));
typedef int32_t fv_i32v __attribute__((vector_size(4 * FV_W)));
typedef uint32_t fv_u32v __attribute__((vector_size(4 * FV_W)));
typedef uint8_t fv_u8v __attribute__((vector_size(FV_W)));
typedef float fv_f32v_any __attribute__((vector_size(4 * FV_W), aligned(4), may_alias)); /* in memory, unaligned */
typedef int32_t fv_i32v_any __attribute__((vector_size(4 * FV_W), aligned(4), may_alias));
#if FV_SIMD_AVX512
typedef __mmask16 fv_mask; /* opaque: use fv_m... */
#else
typedef fv_i32v fv_mask; /* opaque: 0 or -1 a lane */
#endif

/* ---- masks ------------------------------------------------------------------------------------------------------- */
#if FV_SIMD_AVX512
static inline fv_mask fv_mand(fv_mask a, fv_mask b) { return (fv_mask)(a & b); }
static inline fv_mask fv_mor(fv_mask a, fv_mask b) { return (fv_mask)(a | b); }
static inline fv_mask fv_mnot(fv_mask a) { return (fv_mask)~a; }
static inline uint32_t fv_mbits(fv_mask m) { return m; } /* bit i: lane i */
static inline fv_mask fv_mfirst(int64_t n) { return (fv_mask)((1u << n) - 1u); } /* the first n lanes */
static inline fv_i32v fv_mtoi(fv_mask m) { return (fv_i32v)_mm512_maskz_set1_epi32(m, 1); } /* 0 or 1 a lane */
#else
static inline fv_mask fv_mand(fv_mask a, fv_mask b) { return a & b; }
static inline fv_mask fv_mor(fv_mask a, fv_mask b) { return a | b; }
static inline fv_mask fv_mnot(fv_mask a) { return ~a; }
static inline uint32_t fv_mbits(fv_mask m) {
#if FV_SIMD_AVX2
  return (uint32_t)_mm256_movemask_ps((__m256)m);
#elif FV_SIMD_SSE2
  return (uint32_t)_mm_movemask_ps((__m128)m);
#else
  return (uint32_t)((m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8));
#endif
}
static inline fv_mask fv_mfirst(int64_t n) {
#if FV_SIMD_AVX2
  const fv_i32v lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
  const fv_i32v lane = {0, 1, 2, 3};
#endif
  return lane < (int32_t)n;
}
static inline fv_i32v fv_mtoi(fv_mask m) { return m & 1; }
#endif
/* Lane i from bit i. */
static inline fv_mask fv_mof(uint32_t bits) {
#if FV_SIMD_AVX512
  return (fv_mask)bits;
#elif FV_SIMD_AVX2
  const fv_i32v bit = {1, 2, 4, 8, 16, 32, 64, 128};
  return ((int32_t)bits & bit) != 0;
#else
  const fv_i32v bit = {1, 2, 4, 8};
  return ((int32_t)bits & bit) != 0;
#endif
}
#define FV_MALL ((1u << FV_W) - 1u)
static inline bool fv_many(fv_mask m) { return fv_mbits(m) != 0; }        /* any lane */
static inline bool fv_mall(fv_mask m) { return fv_mbits(m) == FV_MALL; }  /* every lane */

/* ---- splat, load, store ------------------------------------------------------------------------------------------ */
static inline fv_f32v fv_vsplat(float x) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_set1_ps(x);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_set1_ps(x);
#else
  return (fv_f32v){x, x, x, x};
#endif
}
static inline fv_i32v fv_isplat(int32_t x) {
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_set1_epi32(x);
#elif FV_SIMD_AVX2
  return (fv_i32v)_mm256_set1_epi32(x);
#else
  return (fv_i32v){x, x, x, x};
#endif
}
static inline fv_f32v fv_vzero(void) { return (fv_f32v){0}; }
static inline fv_i32v fv_izero(void) { return (fv_i32v){0}; }
static inline fv_i32v fv_ilane(void) { /* 0, 1, 2, ... */
#if FV_SIMD_AVX512
  return (fv_i32v){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif FV_SIMD_AVX2
  return (fv_i32v){0, 1, 2, 3, 4, 5, 6, 7};
#else
  return (fv_i32v){0, 1, 2, 3};
#endif
}
/* The same bits seen as the other type. */
static inline fv_i32v fv_vbits(fv_f32v v) { return (fv_i32v)v; }
static inline fv_f32v fv_ibits(fv_i32v v) { return (fv_f32v)v; }

static inline fv_f32v fv_vload(const float *p) { return (fv_f32v) * (const fv_f32v_any *)(const void *)p; }
static inline fv_i32v fv_iload(const int32_t *p) { return (fv_i32v) * (const fv_i32v_any *)(const void *)p; }
static inline void fv_vstore(float *p, fv_f32v v) { *(fv_f32v_any *)(void *)p = v; }
static inline void fv_istore(int32_t *p, fv_i32v v) { *(fv_i32v_any *)(void *)p = v; }

static inline fv_i32v fv_iload_n(const int32_t *p, int64_t n) {
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_maskz_loadu_epi32(fv_mfirst(n), p);
#elif FV_SIMD_AVX2
  return (fv_i32v)_mm256_maskload_epi32(p, (__m256i)fv_mfirst(n));
#else
  fv_i32v v = {0, 0, 0, 0};
  for (int64_t i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}
static inline fv_f32v fv_vload_n(const float *p, int64_t n) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_maskz_loadu_ps(fv_mfirst(n), p);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_maskload_ps(p, (__m256i)fv_mfirst(n));
#else
  fv_f32v v = {0, 0, 0, 0};
  for (int64_t i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}
static inline void fv_istore_n(int32_t *p, fv_i32v v, int64_t n) {
#if FV_SIMD_AVX512
  _mm512_mask_storeu_epi32(p, fv_mfirst(n), (__m512i)v);
#elif FV_SIMD_AVX2
  _mm256_maskstore_epi32(p, (__m256i)fv_mfirst(n), (__m256i)v);
#else
  for (int64_t i = 0; i < n; i++) p[i] = v[i];
#endif
}
static inline void fv_vstore_n(float *p, fv_f32v v, int64_t n) {
#if FV_SIMD_AVX512
  _mm512_mask_storeu_ps(p, fv_mfirst(n), (__m512)v);
#elif FV_SIMD_AVX2
  _mm256_maskstore_ps(p, (__m256i)fv_mfirst(n), (__m256)v);
#else
  for (int64_t i = 0; i < n; i++) p[i] = v[i];
#endif
}
/* The same, touching no line of the cache beyond: a masked load or store of a whole vector waits for all that it spans.
 * Worth a test of n where short rows lie anywhere. */
static inline fv_f32v fv_vload_short(const float *p, int64_t n) {
#if FV_SIMD_AVX512
  if (n == 1) return (fv_f32v)_mm512_zextps128_ps512(_mm_load_ss(p));
  if (n <= 4) return (fv_f32v)_mm512_zextps128_ps512(_mm_maskz_loadu_ps((__mmask8)fv_mfirst(n), p));
  if (n == 8) return (fv_f32v)_mm512_zextps256_ps512(_mm256_loadu_ps(p));
  if (n < 8) return (fv_f32v)_mm512_zextps256_ps512(_mm256_maskz_loadu_ps((__mmask8)fv_mfirst(n), p));
#endif
  return fv_vload_n(p, n);
}
static inline void fv_vstore_short(float *p, fv_f32v v, int64_t n) {
#if FV_SIMD_AVX512
  const __m256 low = _mm512_castps512_ps256((__m512)v);
  if (n == 8) _mm256_storeu_ps(p, low);
  else if (n < 8) _mm256_mask_storeu_ps(p, (__mmask8)fv_mfirst(n), low);
  else
#endif
    fv_vstore_n(p, v, n);
}

/* Past the caches: `p` aligned to 4 * FV_W bytes; fv_stream_end() after the last, before anyone else reads. */
static inline void fv_vstream(float *p, fv_f32v v) {
#if FV_SIMD_AVX512
  _mm512_stream_ps(p, (__m512)v);
#elif FV_SIMD_AVX2
  _mm256_stream_ps(p, (__m256)v);
#elif FV_SIMD_SSE2
  _mm_stream_ps(p, (__m128)v);
#else
  fv_vstore(p, v);
#endif
}
static inline void fv_stream_end(void) {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

/* ---- select ------------------------------------------------------------------------------------------------------ */
/* Lane by lane: m ? a : b. */
static inline fv_i32v fv_iselect(fv_mask m, fv_i32v a, fv_i32v b) {
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_mask_mov_epi32((__m512i)b, m, (__m512i)a);
#elif FV_SIMD_AVX2
  return (fv_i32v)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m);
#else
  return (a & m) | (b & ~m);
#endif
}
static inline fv_f32v fv_vselect(fv_mask m, fv_f32v a, fv_f32v b) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_mask_mov_ps((__m512)b, m, (__m512)a);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
#else
  return (fv_f32v)fv_iselect(m, (fv_i32v)a, (fv_i32v)b);
#endif
}
/* m ? a : 0. */
static inline fv_f32v fv_vmasked(fv_mask m, fv_f32v a) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_maskz_mov_ps(m, (__m512)a);
#else
  return (fv_f32v)((fv_i32v)a & m);
#endif
}

/* ---- comparisons: false for NaN, but fv_vne ---------------------------------------------------------------------- */
#if FV_SIMD_AVX512
#define FV_SIMD_CMP(name, op, pred) \
  static inline fv_mask fv_v##name(fv_f32v a, fv_f32v b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, pred); }
#define FV_SIMD_ICMP(name, op, pred) \
  static inline fv_mask fv_i##name(fv_i32v a, fv_i32v b) { return _mm512_cmp_epi32_mask((__m512i)a, (__m512i)b, pred); }
#else
#define FV_SIMD_CMP(name, op, pred) \
  static inline fv_mask fv_v##name(fv_f32v a, fv_f32v b) { return (fv_mask)(a op b); }
#define FV_SIMD_ICMP(name, op, pred) \
  static inline fv_mask fv_i##name(fv_i32v a, fv_i32v b) { return (fv_mask)(a op b); }
#endif
FV_SIMD_CMP(eq, ==, _CMP_EQ_OQ)
FV_SIMD_CMP(ne, !=, _CMP_NEQ_UQ)
FV_SIMD_CMP(lt, <, _CMP_LT_OQ)
FV_SIMD_CMP(le, <=, _CMP_LE_OQ)
FV_SIMD_CMP(gt, >, _CMP_GT_OQ)
FV_SIMD_CMP(ge, >=, _CMP_GE_OQ)
FV_SIMD_ICMP(eq, ==, _MM_CMPINT_EQ)
FV_SIMD_ICMP(ne, !=, _MM_CMPINT_NE)
FV_SIMD_ICMP(lt, <, _MM_CMPINT_LT)
FV_SIMD_ICMP(le, <=, _MM_CMPINT_LE)
FV_SIMD_ICMP(gt, >, _MM_CMPINT_NLE)
FV_SIMD_ICMP(ge, >=, _MM_CMPINT_NLT)
#undef FV_SIMD_CMP
#undef FV_SIMD_ICMP
static inline fv_mask fv_visnan(fv_f32v a) { return fv_vne(a, a); }

/* ---- float arithmetic -------------------------------------------------------------------------------------------- */
static inline fv_f32v fv_vadd(fv_f32v a, fv_f32v b) { return a + b; }
static inline fv_f32v fv_vsub(fv_f32v a, fv_f32v b) { return a - b; }
static inline fv_f32v fv_vmul(fv_f32v a, fv_f32v b) { return a * b; }
static inline fv_f32v fv_vdiv(fv_f32v a, fv_f32v b) { return a / b; }
static inline fv_f32v fv_vfma(fv_f32v a, fv_f32v b, fv_f32v c) { /* a * b + c */
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif FV_SIMD_NEON
  return (fv_f32v)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}
static inline fv_f32v fv_vfnma(fv_f32v a, fv_f32v b, fv_f32v c) { /* c - a * b */
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif FV_SIMD_NEON
  return (fv_f32v)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return c - a * b;
#endif
}

static inline fv_f32v fv_vand(fv_f32v a, fv_f32v b) { return (fv_f32v)((fv_i32v)a & (fv_i32v)b); }
static inline fv_f32v fv_vor(fv_f32v a, fv_f32v b) { return (fv_f32v)((fv_i32v)a | (fv_i32v)b); }
static inline fv_f32v fv_vxor(fv_f32v a, fv_f32v b) { return (fv_f32v)((fv_i32v)a ^ (fv_i32v)b); }
static inline fv_f32v fv_vandnot(fv_f32v a, fv_f32v b) { return (fv_f32v)(~(fv_i32v)a & (fv_i32v)b); } /* ~a & b */
static inline fv_f32v fv_vneg(fv_f32v a) { return fv_vxor(a, fv_vsplat(-0.0f)); }
static inline fv_f32v fv_vabs(fv_f32v a) { return fv_vandnot(fv_vsplat(-0.0f), a); }
static inline fv_f32v fv_vcopysign(fv_f32v size, fv_f32v sign) {
  return fv_vor(fv_vabs(size), fv_vand(sign, fv_vsplat(-0.0f)));
}

/* NaN when either is NaN, so that a NaN is never hidden. */
static inline fv_f32v fv_vmax(fv_f32v a, fv_f32v b) {
#if FV_SIMD_AVX512 /* the instruction gives b when either is NaN: only a NaN in a is left to mend */
  return fv_vselect(fv_visnan(a), a, (fv_f32v)_mm512_max_ps((__m512)a, (__m512)b));
#elif FV_SIMD_AVX2
  return fv_vselect(fv_visnan(a), a, (fv_f32v)_mm256_max_ps((__m256)a, (__m256)b));
#elif FV_SIMD_SSE2
  return fv_vselect(fv_visnan(a), a, (fv_f32v)_mm_max_ps((__m128)a, (__m128)b));
#elif FV_SIMD_NEON
  return (fv_f32v)vmaxq_f32((float32x4_t)a, (float32x4_t)b);
#else
  return fv_vselect(fv_mor(fv_vgt(a, b), fv_visnan(a)), a, b);
#endif
}
static inline fv_f32v fv_vmin(fv_f32v a, fv_f32v b) {
#if FV_SIMD_AVX512
  return fv_vselect(fv_visnan(a), a, (fv_f32v)_mm512_min_ps((__m512)a, (__m512)b));
#elif FV_SIMD_AVX2
  return fv_vselect(fv_visnan(a), a, (fv_f32v)_mm256_min_ps((__m256)a, (__m256)b));
#elif FV_SIMD_SSE2
  return fv_vselect(fv_visnan(a), a, (fv_f32v)_mm_min_ps((__m128)a, (__m128)b));
#elif FV_SIMD_NEON
  return (fv_f32v)vminq_f32((float32x4_t)a, (float32x4_t)b);
#else
  return fv_vselect(fv_mor(fv_vlt(a, b), fv_visnan(a)), a, b);
#endif
}

/* The larger; a NaN in b stays, one in a may not. */
static inline fv_f32v fv_vmax_any(fv_f32v a, fv_f32v b) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_max_ps((__m512)a, (__m512)b);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_max_ps((__m256)a, (__m256)b);
#elif FV_SIMD_SSE2
  return (fv_f32v)_mm_max_ps((__m128)a, (__m128)b);
#else
  return fv_vmax(a, b);
#endif
}

/* The smaller; a NaN in b stays, one in a may not. */
static inline fv_f32v fv_vmin_any(fv_f32v a, fv_f32v b) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_min_ps((__m512)a, (__m512)b);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_min_ps((__m256)a, (__m256)b);
#elif FV_SIMD_SSE2
  return (fv_f32v)_mm_min_ps((__m128)a, (__m128)b);
#else
  return fv_vmin(a, b);
#endif
}

/* v held between lo and hi, which are not NaN; a NaN in v stays. Cheaper than min and max. */
static inline fv_f32v fv_vclamp(fv_f32v v, fv_f32v lo, fv_f32v hi) {
#if FV_SIMD_AVX512 /* of equals and NaN the instructions give the second */
  return (fv_f32v)_mm512_min_ps((__m512)hi, _mm512_max_ps((__m512)lo, (__m512)v));
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_min_ps((__m256)hi, _mm256_max_ps((__m256)lo, (__m256)v));
#elif FV_SIMD_SSE2
  return (fv_f32v)_mm_min_ps((__m128)hi, _mm_max_ps((__m128)lo, (__m128)v));
#else
  v = fv_vselect(fv_vlt(v, lo), lo, v);
  return fv_vselect(fv_vgt(v, hi), hi, v);
#endif
}

static inline fv_f32v fv_vsqrt(fv_f32v a) { /* correctly rounded everywhere */
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_sqrt_ps((__m512)a);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_sqrt_ps((__m256)a);
#elif FV_SIMD_SSE2
  return (fv_f32v)_mm_sqrt_ps((__m128)a);
#elif FV_SIMD_NEON
  return (fv_f32v)vsqrtq_f32((float32x4_t)a);
#else
  return (fv_f32v){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
#endif
}

/* Rounding to whole numbers; the sign of zero is kept. fv_vround: to nearest, ties to even. */
#if FV_SIMD_AVX512
static inline fv_f32v fv_vround(fv_f32v a) { return (fv_f32v)_mm512_roundscale_ps((__m512)a, 0x08); }
static inline fv_f32v fv_vfloor(fv_f32v a) { return (fv_f32v)_mm512_roundscale_ps((__m512)a, 0x09); }
static inline fv_f32v fv_vceil(fv_f32v a) { return (fv_f32v)_mm512_roundscale_ps((__m512)a, 0x0a); }
#elif FV_SIMD_AVX2
static inline fv_f32v fv_vround(fv_f32v a) { return (fv_f32v)_mm256_round_ps((__m256)a, 0x08); }
static inline fv_f32v fv_vfloor(fv_f32v a) { return (fv_f32v)_mm256_round_ps((__m256)a, 0x09); }
static inline fv_f32v fv_vceil(fv_f32v a) { return (fv_f32v)_mm256_round_ps((__m256)a, 0x0a); }
#elif FV_SIMD_NEON
static inline fv_f32v fv_vround(fv_f32v a) { return (fv_f32v)vrndnq_f32((float32x4_t)a); }
static inline fv_f32v fv_vfloor(fv_f32v a) { return (fv_f32v)vrndmq_f32((float32x4_t)a); }
static inline fv_f32v fv_vceil(fv_f32v a) { return (fv_f32v)vrndpq_f32((float32x4_t)a); }
#else
static inline fv_f32v fv_vround(fv_f32v a) { /* from 2^23 on floats are whole; below, adding it rounds */
  fv_f32v big = fv_vsplat(8388608.0f), r = (fv_vabs(a) + big) - big;
  return fv_vselect(fv_vlt(fv_vabs(a), big), fv_vcopysign(r, a), a);
}
static inline fv_f32v fv_vfloor(fv_f32v a) {
  fv_f32v r = fv_vround(a);
  return fv_vcopysign(r - fv_vmasked(fv_vgt(r, a), fv_vsplat(1)), a);
}
static inline fv_f32v fv_vceil(fv_f32v a) {
  fv_f32v r = fv_vround(a);
  return fv_vcopysign(r + fv_vmasked(fv_vlt(r, a), fv_vsplat(1)), a);
}
#endif

/* ---- integers: wrap around, never trap --------------------------------------------------------------------------- */
static inline fv_i32v fv_iadd(fv_i32v a, fv_i32v b) { return (fv_i32v)((fv_u32v)a + (fv_u32v)b); }
static inline fv_i32v fv_isub(fv_i32v a, fv_i32v b) { return (fv_i32v)((fv_u32v)a - (fv_u32v)b); }
static inline fv_i32v fv_imul(fv_i32v a, fv_i32v b) { return (fv_i32v)((fv_u32v)a * (fv_u32v)b); }
static inline fv_i32v fv_iand(fv_i32v a, fv_i32v b) { return a & b; }
static inline fv_i32v fv_ior(fv_i32v a, fv_i32v b) { return a | b; }
static inline fv_i32v fv_ixor(fv_i32v a, fv_i32v b) { return a ^ b; }
static inline fv_i32v fv_iandnot(fv_i32v a, fv_i32v b) { return ~a & b; } /* ~a & b */
static inline fv_i32v fv_ishl(fv_i32v a, int n) { return (fv_i32v)((fv_u32v)a << n); }
static inline fv_i32v fv_ishr(fv_i32v a, int n) { return (fv_i32v)((fv_u32v)a >> n); } /* zeros come in */
static inline fv_i32v fv_isar(fv_i32v a, int n) { return a >> n; }                     /* the sign comes in */
static inline fv_i32v fv_imax(fv_i32v a, fv_i32v b) { return fv_iselect(fv_igt(a, b), a, b); }
static inline fv_i32v fv_imin(fv_i32v a, fv_i32v b) { return fv_iselect(fv_ilt(a, b), a, b); }
/* The upper 32 bits of the unsigned 64-bit product (Philox). */
static inline fv_i32v fv_imulhi_u(fv_i32v a, fv_i32v b) {
#if FV_SIMD_AVX512
  __m512i even = _mm512_srli_epi64(_mm512_mul_epu32((__m512i)a, (__m512i)b), 32);
  __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)a, 32), _mm512_srli_epi64((__m512i)b, 32));
  return (fv_i32v)_mm512_mask_mov_epi32(even, 0xaaaa, odd);
#elif FV_SIMD_AVX2
  __m256i even = _mm256_srli_epi64(_mm256_mul_epu32((__m256i)a, (__m256i)b), 32);
  __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)a, 32), _mm256_srli_epi64((__m256i)b, 32));
  return (fv_i32v)_mm256_blend_epi32(even, odd, 0xaa);
#else
  fv_i32v r;
  for (int i = 0; i < FV_W; i++) r[i] = (int32_t)(uint32_t)(((uint64_t)(uint32_t)a[i] * (uint32_t)b[i]) >> 32);
  return r;
#endif
}

/* ---- conversions. To integer: a value out of range or NaN gives an unspecified integer, never a trap. ------------ */
static inline fv_f32v fv_itov(fv_i32v a) { return __builtin_convertvector(a, fv_f32v); }
static inline fv_i32v fv_vtoi_trunc(fv_f32v a) {
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_cvttps_epi32((__m512)a);
#elif FV_SIMD_AVX2
  return (fv_i32v)_mm256_cvttps_epi32((__m256)a);
#elif FV_SIMD_SSE2
  return (fv_i32v)_mm_cvttps_epi32((__m128)a);
#else
  return __builtin_convertvector(a, fv_i32v);
#endif
}
static inline fv_i32v fv_vtoi(fv_f32v a) { /* to nearest, ties to even */
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_cvtps_epi32((__m512)a);
#elif FV_SIMD_AVX2
  return (fv_i32v)_mm256_cvtps_epi32((__m256)a);
#elif FV_SIMD_SSE2
  return (fv_i32v)_mm_cvtps_epi32((__m128)a);
#elif FV_SIMD_NEON
  return (fv_i32v)vcvtnq_s32_f32((float32x4_t)a);
#else
  return fv_vtoi_trunc(fv_vround(a));
#endif
}

/* Bytes: FV_W of them to integers 0..255 and back (the low byte of each lane). */
static inline fv_i32v fv_iload_u8(const uint8_t *p) {
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
#elif FV_SIMD_AVX2
  return (fv_i32v)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
#else
  fv_u8v b;
  memcpy(&b, p, FV_W);
  return __builtin_convertvector(b, fv_i32v);
#endif
}
static inline void fv_istore_u8(uint8_t *p, fv_i32v v) {
#if FV_SIMD_AVX512
  _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8((__m512i)v));
#else
  fv_u8v b = __builtin_convertvector(v & 255, fv_u8v);
  memcpy(p, &b, FV_W);
#endif
}
static inline fv_i32v fv_iload_u8_n(const uint8_t *p, int64_t n) {
#if FV_SIMD_AVX512
  return (fv_i32v)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(fv_mfirst(n), p));
#else
  uint8_t b[FV_W] = {0};
  for (int64_t i = 0; i < n; i++) b[i] = p[i];
  return fv_iload_u8(b);
#endif
}
static inline void fv_istore_u8_n(uint8_t *p, fv_i32v v, int64_t n) {
#if FV_SIMD_AVX512
  _mm512_mask_cvtepi32_storeu_epi8(p, fv_mfirst(n), (__m512i)v);
#else
  uint8_t b[FV_W];
  fv_istore_u8(b, v);
  for (int64_t i = 0; i < n; i++) p[i] = b[i];
#endif
}
static inline fv_f32v fv_vload_u8(const uint8_t *p) { return fv_itov(fv_iload_u8(p)); }
static inline fv_f32v fv_vload_u8_n(const uint8_t *p, int64_t n) { return fv_itov(fv_iload_u8_n(p, n)); }

/* ---- across lanes: lane i with lane i + FV_W/2, then halves again ------------------------------------------------ */
#if defined(__SSE2__)
static inline float fv_simd_sum4(__m128 v) {
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}
#endif
static inline float fv_vsum(fv_f32v v) {
#if FV_SIMD_AVX512
  __m256 h = _mm256_add_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1));
  return fv_simd_sum4(_mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1)));
#elif FV_SIMD_AVX2
  return fv_simd_sum4(_mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1)));
#elif FV_SIMD_SSE2
  return fv_simd_sum4((__m128)v);
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}
#define FV_SIMD_ACROSS(name, better)                                              \
  static inline float fv_v##name(fv_f32v v) {                                     \
    float t[FV_W];                                                                \
    fv_vstore(t, v);                                                              \
    for (int h = FV_W / 2; h > 0; h /= 2)                                         \
      for (int i = 0; i < h; i++)                                                 \
        t[i] = (t[i] better t[i + h] || t[i] != t[i]) ? t[i] : t[i + h];          \
    return t[0];                                                                  \
  }
FV_SIMD_ACROSS(hmax, >) /* the largest lane, NaN if any is */
FV_SIMD_ACROSS(hmin, <)
#undef FV_SIMD_ACROSS
static inline int32_t fv_isum(fv_i32v v) {
  uint32_t s = 0;
  for (int i = 0; i < FV_W; i++) s += (uint32_t)v[i];
  return (int32_t)s;
}

/* ---- permute: lane i of the result is lane index[i] % FV_W of v -------------------------------------------------- */
static inline fv_f32v fv_vpermute(fv_f32v v, fv_i32v index) {
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_permutexvar_ps((__m512i)index, (__m512)v);
#elif FV_SIMD_AVX2
  return (fv_f32v)_mm256_permutevar8x32_ps((__m256)v, (__m256i)index);
#else
  return (fv_f32v){v[index[0] & 3], v[index[1] & 3], v[index[2] & 3], v[index[3] & 3]};
#endif
}

/* ---- gather: base[index], indices not negative ------------------------------------------------------------------- */
static inline fv_f32v fv_vgather_n(const float *base, fv_i32v index, int64_t n) { /* the first n lanes, zeros after */
#if FV_SIMD_AVX512
  return (fv_f32v)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), fv_mfirst(n), (__m512i)index, base, 4);
#else /* AVX2's is slower than loads (Zen 4: 2.9 ns, 1.9 ns), and qemu 7.2 gets it wrong where the index is in ymm4 */
  fv_f32v v = fv_vzero();
#pragma GCC unroll 8
  for (int i = 0; i < FV_W; i++)
    if (i < n) v[i] = base[index[i]];
  return v;
#endif
}
static inline fv_f32v fv_vgather(const float *base, fv_i32v index) { return fv_vgather_n(base, index, FV_W); }

#endif
