/* SPDX-License-Identifier: Apache-2.0 */
/* test_sdpa.c: what the fused attention promises beyond its numbers (those are `check kernel`'s): asking for weights
 * changes no bit of the result, neither does the number of threads; dropout draws what the operation dropout draws; no
 * buffer grows with T x S; a bias of very large negative numbers hides keys. */
#include "nn/nn.h"
#include "ops/dropout.h"
#include "ops/matmul.h"
#include "ops/sdpa.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct size {
  int64_t b, t, s, h, g, d;
} size;
static const size sizes[] = {{2, 1, 70, 4, 2, 24},
                             {1, 100, 100, 3, 1, 40}, {2, 33, 129, 2, 2, 64}, {1, 600, 300, 2, 1, 8}};

typedef struct run {
  fv_graph *g;
  fv_program *p;
  fv_exec *e;
  void *packed;
  fv_pool *pool;
} run;

/* Numbers that look like chance; the same for the same seed. */
static fv_value *some(run *r, uint64_t seed, fv_shape shape, double spread) {
  int64_t n = fv_shape_count(shape);
  float *x = malloc((size_t)(n + 1) * sizeof *x);
  fv_rng rng = fv_rng_new(seed, 0);
  for (int64_t i = 0; i < n; i++) x[i] = (float)(spread * fv_rng_normal(&rng));
  fv_value *v = fv_const_data(r->g, FV_F32, shape, x);
  free(x);
  return v;
}

static void begin(run *r) {
  *r = (run){0};
  assert_int_equal(fv_graph_new(NULL, FV_F32, &r->g), FV_OK);
}

/* Constants are folded before a run; a sum with an input keeps the work in it. */
static fv_value *live(run *r, fv_value *v, fv_value *zero) { return fv_add(r->g, v, zero); }

static void compute(run *r, int threads) {
  static const float zero[1] = {0};
  assert_int_equal(fv_graph_check(r->g), FV_OK);
  assert_int_equal(fv_program_new(r->g, &r->p), FV_OK);
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(r->p).packed_bytes, &r->packed), FV_OK);
  assert_int_equal(fv_exec_new(r->p, NULL, NULL, r->packed, &r->e), FV_OK);
  assert_int_equal(fv_program_prologue(r->p, NULL, r->packed, NULL), FV_OK);
  fv_exec_bind_input(r->e, fv_exec_input(r->e, "zero"), zero);
  assert_int_equal(fv_pool_new(threads, &r->pool), FV_OK);
  assert_int_equal(fv_exec_split_over(r->e, NULL, threads), FV_OK);
  fv_exec_run_split(r->e, r->pool);
}

static void end(run *r) {
  fv_pool_free(r->pool);
  fv_exec_free(r->e);
  fv_slab_free(r->packed);
  fv_program_free(r->p);
  fv_graph_free(r->g);
}

/* Attention of random numbers with a mask, and its gradients; outputs y, dq, dk, dv. */
static void build(run *r, const size *s, const fv_sdpa_attrs *a, bool rows, bool gradients) {
  fv_graph *g = r->g;
  static const int32_t pairs[] = {1, 0, 0, 0};
  uint8_t mask[1024];
  for (int64_t i = 0; i < s->b * s->s; i++) mask[i] = i % 7 != 3;
  fv_value *zero = fv_input(g, "zero", FV_F32, FV_SHAPE(1)), *none = fv_absent(g), *grads[3];
  fv_value *q = live(r, some(r, 1, FV_SHAPE(s->b, s->t, s->h, s->d), 1), zero);
  fv_value *k = live(r, some(r, 2, FV_SHAPE(s->b, s->s, s->g, s->d), 1), zero);
  fv_value *v = live(r, some(r, 3, FV_SHAPE(s->b, s->s, s->g, s->d), 1), zero);
  fv_value *in[FV_SDPA_INPUTS] = {q, k, v, fv_const_data(g, FV_U8, FV_SHAPE(s->b, s->s), mask), none, none,
                                  rows ? fv_const_data(g, FV_I32, FV_SHAPE(2, 2), pairs) : none, none};
  fv_value *out[FV_SDPA_OUTPUTS];
  assert_true(fv_op_n(g, "sdpa", a, FV_SDPA_INPUTS, in, FV_SDPA_OUTPUTS, out));
  fv_output(g, "y", out[FV_SDPA_Y]);
  fv_output(g, "totals", out[FV_SDPA_TOTALS]);
  fv_output(g, "top", out[FV_SDPA_TOP]);
  fv_output(g, "rows", out[FV_SDPA_ROWS_OUT]);
  if (!gradients) return;
  fv_value *dy = some(r, 4, FV_SHAPE(s->b, s->t, s->h, s->d), 1);
  fv_value *loss = fv_reduce(g, "sum", fv_mul(g, out[FV_SDPA_Y], dy), FV_SHAPE(0, 1, 2, 3), false);
  assert_int_equal(fv_graph_differentiate(g, loss, false, 3, (fv_value *[]){q, k, v}, grads), FV_OK);
  fv_output(g, "dq", grads[0]);
  fv_output(g, "dk", grads[1]);
  fv_output(g, "dv", grads[2]);
}

static void same(const run *a, const run *b, const char *output) {
  const fv_tensor *x = fv_exec_output(a->e, output), *y = fv_exec_output(b->e, output);
  assert_non_null(x);
  assert_non_null(y);
  assert_true(fv_shape_equal(x->shape, y->shape));
  assert_memory_equal(x->data, y->data, (size_t)fv_shape_count(x->shape) * sizeof(float));
}

static void test_asking(void **state) {
  (void)state;
  for (size_t i = 0; i < FV_COUNT(sizes); i++)
    for (int causal = 0; causal < 2; causal++) {
      run plain, asked;
      begin(&plain);
      begin(&asked);
      build(&plain, &sizes[i], &(fv_sdpa_attrs){.causal = causal}, false, false);
      build(&asked, &sizes[i], &(fv_sdpa_attrs){.causal = causal, .topk = 5, .totals = true, .entropy = true}, true,
             false);
      compute(&plain, 1);
      compute(&asked, 1);
      same(&plain, &asked, "y");
      end(&plain);
      end(&asked);
    }
}

static void test_threads(void **state) {
  (void)state;
  static const char *const outputs[] = {"y", "totals", "top", "rows", "dq", "dk", "dv"};
  static const int threads[] = {2, 3, 7};
  const fv_sdpa_attrs a = {.causal = true, .topk = 3, .totals = true};
  for (size_t i = 0; i < FV_COUNT(sizes); i++) {
    run one;
    begin(&one);
    build(&one, &sizes[i], &a, true, true);
    compute(&one, 1);
    for (size_t n = 0; n < FV_COUNT(threads); n++) {
      run more;
      begin(&more);
      build(&more, &sizes[i], &a, true, true);
      compute(&more, threads[n]);
      for (size_t o = 0; o < FV_COUNT(outputs); o++) same(&one, &more, outputs[o]);
      end(&more);
    }
    end(&one);
  }
}

/* With the unit matrix for values, the result is the weights. */
static void test_dropout(void **state) {
  (void)state;
  enum { B = 2, T = 37, S = 75, H = 3 };
  static const int32_t seed[4] = {7, 11, 13, 17};
  static float unit[B * S * S];
  for (int i = 0; i < B * S; i++) unit[i * S + i % S] = 1;
  run r;
  begin(&r);
  fv_graph *g = r.g;
  fv_value *zero = fv_input(g, "zero", FV_F32, FV_SHAPE(1)), *none = fv_absent(g);
  fv_value *q = live(&r, some(&r, 1, FV_SHAPE(B, T, H, 16), 1), zero), *k = some(&r, 2, FV_SHAPE(B, S, 1, 16), 1);
  fv_value *v = fv_const_data(g, FV_F32, FV_SHAPE(B, S, 1, S), unit);
  fv_value *rng = fv_const_data(g, FV_I32, FV_SHAPE(4), seed);
  const fv_sdpa_attrs attend = {.p = 0.3, .stream = 5};
  const fv_dropout_attrs drop = {.p = 0.3, .stream = 5};
  fv_value *fused = fv_op(g, "sdpa", &attend, q, k, v, none, none, none, none, rng);
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, fv_permute(g, q, FV_SHAPE(0, 2, 1, 3)),
                          fv_permute(g, k, FV_SHAPE(0, 2, 1, 3)));
  fv_value *weights = fv_op(g, "softmax", NULL, fv_mul(g, score, fv_const(g, 0.25)));
  fv_value *dropped = fv_op(g, "dropout", &drop, weights, rng);
  fv_output(g, "fused", fused);
  fv_output(g, "apart", fv_permute(g, dropped, FV_SHAPE(0, 2, 1, 3)));
  compute(&r, 1);
  const float *x = fv_exec_output(r.e, "fused")->data, *y = fv_exec_output(r.e, "apart")->data;
  for (int i = 0; i < B * T * H * S; i++) {
    assert_int_equal(x[i] == 0, y[i] == 0);
    assert_float_equal(x[i], y[i], 1e-6);
  }
  end(&r);
}

static void test_memory(void **state) {
  (void)state;
  const size s = {1, 4096, 1024, 1, 1, 16};
  run r;
  begin(&r);
  build(&r, &s, &(fv_sdpa_attrs){.topk = 8, .totals = true, .entropy = true}, false, true);
  compute(&r, 1);
  assert_true(fv_program_get_info(r.p).slab_bytes < s.t * s.s * (int64_t)sizeof(float) / 4);
  end(&r);
}

/* What other libraries add to hide a key: the lowest float there is. */
static void test_lowest(void **state) {
  (void)state;
  float bias[2 * 3] = {-3.4028235e38f, 0, 0, -3.4028235e38f, -3.4028235e38f, -3.4028235e38f};
  float values[3] = {100, 1, 3};
  run r;
  begin(&r);
  fv_graph *g = r.g;
  fv_value *zero = fv_input(g, "zero", FV_F32, FV_SHAPE(1)), *none = fv_absent(g);
  fv_value *q = live(&r, fv_const_data(g, FV_F32, FV_SHAPE(1, 2, 1, 1), (float[]){0, 0}), zero);
  fv_value *k = fv_const_data(g, FV_F32, FV_SHAPE(1, 3, 1, 1), values), *v = k;
  fv_output(g, "y", fv_op(g, "sdpa", NULL, q, k, v, none, fv_const_data(g, FV_F32, FV_SHAPE(1, 2, 3), bias)));
  compute(&r, 1);
  const float *y = fv_exec_output(r.e, "y")->data;
  assert_float_equal(y[0], 2, 1e-6);
  assert_true(y[1] == 0);
  end(&r);
}

/* The key with the largest score that is not yet taken; of equals the first. */
static int largest(const float *key, int n, float query, const bool *taken) {
  int best = -1;
  for (int i = 0; i < n; i++)
    if (!taken[i] && (best < 0 || key[i] * query > key[best] * query)) best = i;
  return best;
}

/* Which keys are the largest, to the last bit: keys apart, keys that differ in their last bits, equal ones, few. */
static void test_largest(void **state) {
  (void)state;
  enum { S = 700, T = 37, K = 8 };
  const float log2_e = 1.44269504088896340736f;
  static const struct {
    int n, close, equal; /* keys; one of so many is close to others, equal to others */
  } all[] = {{S, 0, 0}, {S, 5, 0}, {S, 1, 0}, {S, 0, 3}, {S, 4, 9}, {128, 0, 0}, {131, 2, 2}, {9, 3, 0}, {5, 0, 2}};
  for (size_t c = 0; c < FV_COUNT(all); c++) {
    const int n = all[c].n;
    float key[S], query[T];
    fv_rng rng = fv_rng_new(c, 0);
    for (int i = 0; i < n; i++) {
      key[i] = (float)fv_rng_normal(&rng);
      if (all[c].close && i % all[c].close == 0) key[i] = 2.5f + (float)fv_rng_below(&rng, 4000) * 0x1p-22f;
      if (all[c].equal && i % all[c].equal == 0) key[i] = (float)fv_rng_below(&rng, 7) - 3;
    }
    for (int t = 0; t < T; t++) query[t] = t % 2 ? 1 : -1;
    run r;
    begin(&r);
    fv_graph *g = r.g;
    fv_value *zero = fv_input(g, "zero", FV_F32, FV_SHAPE(1)), *none = fv_absent(g), *out[FV_SDPA_OUTPUTS];
    fv_value *q = live(&r, fv_const_data(g, FV_F32, FV_SHAPE(1, T, 1, 1), query), zero);
    fv_value *k = fv_const_data(g, FV_F32, FV_SHAPE(1, n, 1, 1), key);
    fv_value *in[FV_SDPA_INPUTS] = {q, k, k, none, none, none, none, none};
    assert_true(fv_op_n(g, "sdpa", &(fv_sdpa_attrs){.topk = K}, FV_SDPA_INPUTS, in, FV_SDPA_OUTPUTS, out));
    fv_output(g, "top_index", out[FV_SDPA_TOP_INDEX]);
    compute(&r, 1);
    const int32_t *at = fv_exec_output(r.e, "top_index")->data;
    for (int t = 0; t < T; t++) {
      bool taken[S] = {false};
      for (int j = 0; j < K; j++) {
        const int expected = largest(key, n, query[t] * log2_e, taken);
        if (expected >= 0) taken[expected] = true;
        assert_int_equal(at[t * K + j], expected);
      }
    }
    end(&r);
  }
}

static void refused(fv_graph *g, const char *words) {
  assert_int_equal(fv_graph_check(g), FV_ERR_REQUEST);
  if (!strstr(fv_error_message(), words)) fail_msg("expected \"%s\" in \"%s\"", words, fv_error_message());
  fv_graph_free(g);
}

static void test_refusals(void **state) {
  (void)state;
  fv_graph *g;
  assert_int_equal(fv_graph_new(NULL, FV_F32, &g), FV_OK);
  fv_value *q = fv_input(g, "q", FV_F32, FV_SHAPE(1, 4, 6, 8)), *k = fv_input(g, "k", FV_F32, FV_SHAPE(1, 5, 4, 8));
  fv_op(g, "sdpa", NULL, q, k, k);
  refused(g, "expected groups that divide the 6 heads, got 4");
  assert_int_equal(fv_graph_new(NULL, FV_F32, &g), FV_OK);
  q = fv_input(g, "q", FV_F32, FV_SHAPE(1, 4, 6, 8)), k = fv_input(g, "k", FV_F32, FV_SHAPE(1, 5, 6, 8));
  fv_op(g, "sdpa", NULL, q, k, k, fv_input(g, "mask", FV_U8, FV_SHAPE(1, 4)));
  refused(g, "mask: expected u8 [1,5], got u8 [1,4]");
  assert_int_equal(fv_graph_new(NULL, FV_F32, &g), FV_OK);
  q = fv_input(g, "q", FV_F32, FV_SHAPE(1, 4, 6, 8)), k = fv_input(g, "k", FV_F32, FV_SHAPE(1, 5, 6, 8));
  fv_value *none = fv_absent(g), *rows = fv_const_data(g, FV_I32, FV_SHAPE(1, 2), (int32_t[]){6, 0});
  fv_op(g, "sdpa", NULL, q, k, k, none, none, none, rows);
  refused(g, "rows[0]: expected a head below 6");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_asking), cmocka_unit_test(test_threads),
                                     cmocka_unit_test(test_dropout), cmocka_unit_test(test_memory),
                                     cmocka_unit_test(test_lowest), cmocka_unit_test(test_largest),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
