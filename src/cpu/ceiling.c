/* SPDX-License-Identifier: Apache-2.0 */
/* ceiling.c: chains of multiply-adds, enough of them to fill both units and their latency, kept in registers; and one
 * pass that reads and writes memory. The best of several short runs counts. Levels are compiled by function attributes
 * here, since each is three lines. */
#include "cpu/ceiling.h"

#include <stdatomic.h>

#define CHAINS 12 /* 2 units x 4 to 5 cycles, rounded up; with their two factors they fit 16 registers */
#define ROUNDS 20000
#define RUNS 24
#define PIECE_ROUNDS 4000 /* about 10 us: how unevenly threads can end */
#define PIECES 128        /* a thread: the share of waking it is lost in them */
#define POOL_RUNS 6

/* One function a level: `rounds` times CHAINS multiply-adds of `lanes` floats. The asm keeps each a single instruction
 * on registers, and the returned sum keeps them all in the program. */
#define EACH(do) do(0) do(1) do(2) do(3) do(4) do(5) do(6) do(7) do(8) do(9) do(10) do(11)
#define START(i) vector x##i = a + (float)i;
#define ADD_UP(i) a += x##i;
#define FMA_LOOP(name, lanes, attribute, FMA)                     \
  attribute static float name(int rounds) {                       \
    typedef float vector __attribute__((vector_size(4 * lanes))); \
    vector a = {0}, b = {0};                                      \
    a += 0.999f, b += 0.001f;                                     \
    EACH(START)                                                   \
    for (int r = 0; r < rounds; r++) {                            \
      EACH(FMA)                                                   \
    }                                                             \
    EACH(ADD_UP)                                                  \
    return a[0];                                                  \
  }
#if defined(__x86_64__)
#define FMA_X86(i) __asm__ volatile("vfmadd213ps %2, %1, %0" : "+v"(x##i) : "v"(a), "v"(b));
FMA_LOOP(chains_avx2, 8, __attribute__((target("avx2,fma"))), FMA_X86)
FMA_LOOP(chains_avx512, 16, __attribute__((target("avx512f"))), FMA_X86)
#elif defined(__aarch64__)
#define FMA_ARM(i) __asm__ volatile("fmla %0.4s, %1.4s, %2.4s" : "+w"(x##i) : "w"(a), "w"(b));
FMA_LOOP(chains_neon, 4, , FMA_ARM)
#endif
#define MUL_ADD(i) x##i = x##i * a + b;
FMA_LOOP(chains_base, 4, , MUL_ADD)

typedef struct level {
  int lanes;
  float (*chains)(int rounds);
} level;
static const level levels[FV_ISAS] = {
    [FV_ISA_BASE] = {4, chains_base},
#if defined(__x86_64__)
    [FV_ISA_AVX2] = {8, chains_avx2},
    [FV_ISA_AVX512] = {16, chains_avx512},
#elif defined(__aarch64__)
    [FV_ISA_NEON] = {4, chains_neon},
#endif
};

static _Atomic double gflops[FV_ISAS], gbytes; /* 0: not measured yet */

/* The first measurement stays, should two threads have made one. */
static double settle(_Atomic double *slot, double measured) {
  double unset = 0;
  return atomic_compare_exchange_strong(slot, &unset, measured) ? measured : unset;
}

static double measure_gflops(const level *l) {
  double best = 0;
  volatile float sink = 0;
  for (int run = 0; run < RUNS; run++) {
    double before = fv_seconds();
    sink = sink + l->chains(ROUNDS);
    double rate = 2.0 * CHAINS * ROUNDS * l->lanes / (fv_seconds() - before) * 1e-9;
    best = FV_MAX(best, rate);
  }
  return best;
}

double fv_ceiling_gflops(fv_isa isa) {
  if (isa >= FV_ISAS || !levels[isa].chains || !fv_cpu_has(isa)) return 0;
  double known = atomic_load(&gflops[isa]);
  return known > 0 ? known : settle(&gflops[isa], measure_gflops(&levels[isa]));
}

static void run_piece(void *arg, int64_t i, int worker) {
  const level *l = arg;
  volatile float sink = l->chains(PIECE_ROUNDS);
  (void)sink, (void)i, (void)worker;
}

/* Pieces are shared out as a kernel's are. What the caller does alone is the least that all do: where threads wait for
 * a processor the shared job may say less. The first job wakes the threads and does not count. */
double fv_ceiling_gflops_pool(fv_isa isa, fv_pool *pool) {
  if (isa >= FV_ISAS || !levels[isa].chains || !fv_cpu_has(isa)) return 0;
  level l = levels[isa];
  int64_t pieces = (int64_t)PIECES * fv_pool_threads(pool);
  double work = 2.0 * CHAINS * PIECE_ROUNDS * l.lanes * 1e-9, before = fv_seconds();
  for (int i = 0; i < PIECES; i++) run_piece(&l, i, 0);
  double best = work * PIECES / (fv_seconds() - before);
  fv_pool_run(pool, 4 * (int64_t)fv_pool_threads(pool), run_piece, &l);
  for (int run = 0; run < POOL_RUNS; run++) {
    before = fv_seconds();
    fv_pool_run(pool, pieces, run_piece, &l);
    best = FV_MAX(best, work * (double)pieces / (fv_seconds() - before));
  }
  return best;
}

static double measure_gbytes(void) {
  const size_t half = 32u << 20;
  uint8_t *buffer = fv_alloc(2 * half);
  double best = 0;
  if (!buffer) return 0;
  for (int run = 0; run < 6; run++) {
    double before = fv_seconds();
    memcpy(buffer + (run & 1 ? 0 : half), buffer + (run & 1 ? half : 0), half);
    double rate = 2 * (double)half / (fv_seconds() - before) * 1e-9;
    best = FV_MAX(best, rate);
  }
  fv_free(buffer);
  return best;
}

double fv_ceiling_gbytes(void) {
  double known = atomic_load(&gbytes);
  return known > 0 ? known : settle(&gbytes, measure_gbytes());
}
