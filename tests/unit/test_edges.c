/* SPDX-License-Identifier: Apache-2.0 */
/* test_edges.c: graph attention as whole programs on an uneven graph (one node with a third of all edges, many with
 * none): the fused operations against the steps they stand for, dropout included; the same bits at any number of
 * threads; and no buffer as large as the edges' features. */
#include "ops/attend.h"
#include "ops/leaky_relu.h"
#include "ops/lookup.h"
#include "ops/csr_rows.h"
#include "nn/nn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { V = 700, M = 9000, H = 8, D = 8, MOST = 12 };

typedef struct run {
  fv_graph *g;
  fv_program *p;
  fv_exec *e;
  void *packed;
  fv_value *row_ptr, *col, *rng, *in[3];
  float *x[MOST];
} run;

static int32_t row_ptr[V + 1], col[M], rng_words[4] = {1, 2, 3, 4};

static void draw_graph(void) {
  fv_rng rng = fv_rng_new(3, 1);
  memset(row_ptr, 0, sizeof row_ptr);
  for (int k = 0; k < M; k++) {
    row_ptr[(k % 3 ? fv_rng_below(&rng, V / 2) * 2 : 77) + 1]++;
    col[k] = (int32_t)(k % 5 ? fv_rng_below(&rng, V) : 500);
  }
  for (int i = 0; i < V; i++) row_ptr[i + 1] += row_ptr[i];
}

static void begin(run *r, bool v2) {
  *r = (run){0};
  draw_graph();
  assert_int_equal(fv_graph_new(NULL, FV_F32, &r->g), FV_OK);
  r->row_ptr = fv_input(r->g, "row_ptr", FV_I32, FV_SHAPE(V + 1));
  r->col = fv_input(r->g, "col", FV_I32, FV_SHAPE(M));
  r->rng = fv_input(r->g, "rng", FV_I32, FV_SHAPE(4));
  r->in[0] = fv_input(r->g, "in0", FV_F32, FV_SHAPE(V, H, D));
  r->in[1] = fv_input(r->g, "in1", FV_F32, v2 ? FV_SHAPE(V, H, D) : FV_SHAPE(V, H));
  r->in[2] = fv_input(r->g, "in2", FV_F32, v2 ? FV_SHAPE(H, D) : FV_SHAPE(V, H));
}

static fv_value *fused(run *r, bool v2, double p, fv_value **alpha) {
  const fv_attend_attrs a = {.slope = 0.2, .p = p};
  const fv_dropout_bits_attrs draw = {.p = p, .stream = 11, .count = M * H};
  fv_value *kept = fv_op(r->g, "dropout_bits", &draw, r->rng);
  fv_value *in[] = {r->in[0], r->in[1], r->in[2], r->row_ptr, r->col, kept}, *out[2];
  assert_true(fv_op_n(r->g, v2 ? "gatv2_attend" : "gat_attend", &a, 6, in, 2, out));
  if (alpha) *alpha = out[1];
  return out[0];
}

/* The same by steps, each of which keeps something of every edge. */
static fv_value *stepwise(run *r, bool v2, double p) {
  fv_graph *g = r->g;
  const fv_leaky_relu_attrs leaky = {.negative_slope = 0.2};
  const fv_dropout_attrs dropout = {.p = p, .stream = 11};
  fv_value *row = fv_op(g, "csr_rows", &(fv_csr_rows_attrs){.edges = M}, r->row_ptr);
  fv_value *h = fv_op(g, "index_select", NULL, r->in[0], r->col), *score;
  if (v2) {
    score = fv_op(g, "leaky_relu", &leaky, fv_add(g, h, fv_op(g, "index_select", NULL, r->in[1], row)));
    score = fv_reduce(g, "sum", fv_mul(g, score, r->in[2]), FV_SHAPE(2), false);
  } else {
    score = fv_add(g, fv_op(g, "index_select", NULL, r->in[1], r->col), fv_op(g, "index_select", NULL, r->in[2], row));
    score = fv_op(g, "leaky_relu", &leaky, score);
  }
  fv_value *alpha = fv_op(g, "segment_softmax", NULL, score, r->row_ptr);
  alpha = fv_op(g, "dropout", &dropout, alpha, r->rng);
  h = fv_mul(g, h, fv_reshape(g, alpha, FV_SHAPE(M, H, 1)));
  return fv_op(g, "index_add", &(fv_index_add_attrs){.size = V}, row, h);
}

/* Outputs: y and the gradients of a weighted sum of it (and of alpha, if any). */
static void compile(run *r, fv_value *y, fv_value *alpha) {
  fv_value *grad[3];
  fv_output(r->g, "y", y);
  fv_value *loss = fv_op(r->g, "sum", NULL, fv_mul(r->g, y, fv_input(r->g, "weight", FV_F32, FV_SHAPE(V, H, D))));
  if (alpha) {
    fv_output(r->g, "alpha", alpha);
    loss = fv_add(r->g, loss, fv_op(r->g, "sum", NULL, fv_op(r->g, "square", NULL, alpha)));
  }
  assert_int_equal(fv_graph_check(r->g), FV_OK);
  assert_int_equal(fv_graph_differentiate(r->g, loss, false, 3, r->in, grad), FV_OK);
  for (int i = 0; i < 3; i++) {
    char name[8];
    snprintf(name, sizeof name, "d%d", i);
    fv_output(r->g, name, grad[i]);
  }
  assert_int_equal(fv_program_new(r->g, &r->p), FV_OK);
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(r->p).packed_bytes, &r->packed), FV_OK);
  assert_int_equal(fv_exec_new(r->p, NULL, NULL, r->packed, &r->e), FV_OK);
  assert_int_equal(fv_program_prologue(r->p, NULL, r->packed, NULL), FV_OK);
  fv_exec_bind_input(r->e, fv_exec_input(r->e, "row_ptr"), row_ptr);
  fv_exec_bind_input(r->e, fv_exec_input(r->e, "col"), col);
  fv_exec_bind_input(r->e, fv_exec_input(r->e, "rng"), rng_words);
  fv_rng rng = fv_rng_new(5, 1);
  static const char *const names[] = {"in0", "in1", "in2", "weight"};
  for (int i = 0; i < 4; i++) {
    r->x[i] = malloc(V * H * D * sizeof(float));
    for (int k = 0; k < V * H * D; k++) r->x[i][k] = (float)fv_rng_normal(&rng);
    fv_exec_bind_input(r->e, fv_exec_input(r->e, names[i]), r->x[i]);
  }
}

static void end(run *r) {
  fv_exec_free(r->e);
  fv_slab_free(r->packed);
  fv_program_free(r->p);
  fv_graph_free(r->g);
  for (int i = 0; i < MOST; i++) free(r->x[i]);
}

static const char *const outputs[] = {"y", "d0", "d1", "d2", "alpha"};

static void expect_near(const fv_tensor *a, const fv_tensor *b, const char *what) {
  double most = 0, worst = 0;
  for (int64_t i = 0; i < fv_shape_count(a->shape); i++) most = fmax(most, fabs(fv_get(a, i)));
  for (int64_t i = 0; i < fv_shape_count(a->shape); i++) worst = fmax(worst, fabs(fv_get(a, i) - fv_get(b, i)));
  if (!(worst <= 2e-5 * most)) fail_msg("%s: expected the steps' numbers, got %g off of %g", what, worst, most);
}

static void against_steps(bool v2, double p) {
  run a, b;
  begin(&a, v2);
  compile(&a, fused(&a, v2, p, NULL), NULL);
  fv_exec_run(a.e);
  begin(&b, v2);
  compile(&b, stepwise(&b, v2, p), NULL);
  fv_exec_run(b.e);
  for (int i = 0; i < 4; i++) expect_near(fv_exec_output(b.e, outputs[i]), fv_exec_output(a.e, outputs[i]), outputs[i]);
  end(&a);
  end(&b);
}
static void test_steps(void **state) {
  (void)state;
  for (int v2 = 0; v2 < 2; v2++) {
    against_steps(v2, 0);
    against_steps(v2, 0.6);
  }
}

/* Every output of a run by itself is that of the run split over threads. */
static void same_bits(bool v2, double p, bool weights) {
  run r;
  fv_value *alpha;
  uint8_t *want[5];
  const int n = weights ? 5 : 4;
  begin(&r, v2);
  fv_value *y = fused(&r, v2, p, &alpha);
  compile(&r, y, weights ? alpha : NULL);
  fv_exec_run(r.e);
  for (int i = 0; i < n; i++) {
    const fv_tensor *t = fv_exec_output(r.e, outputs[i]);
    want[i] = malloc((size_t)fv_shape_count(t->shape) * 4);
    memcpy(want[i], t->data, (size_t)fv_shape_count(t->shape) * 4);
  }
  for (int threads = 1; threads <= 7; threads++) {
    fv_pool *pool;
    assert_int_equal(fv_pool_new(threads, &pool), FV_OK);
    fv_exec_run_split(r.e, pool);
    for (int i = 0; i < n; i++) {
      const fv_tensor *t = fv_exec_output(r.e, outputs[i]);
      assert_memory_equal(want[i], t->data, (size_t)fv_shape_count(t->shape) * 4);
    }
    fv_pool_free(pool);
  }
  for (int i = 0; i < n; i++) free(want[i]);
  end(&r);
}
static void test_threads(void **state) {
  (void)state;
  for (int k = 0; k < 8; k++) same_bits(k & 1, k & 2 ? 0.6 : 0, k & 4);
}

/* Without alpha asked for, nothing of the size of edges but the transposed graph; nothing of edges times features at
 * all: less than a single such buffer for the whole program. */
static void test_memory(void **state) {
  (void)state;
  for (int v2 = 0; v2 < 2; v2++) {
    run r;
    begin(&r, v2);
    compile(&r, fused(&r, v2, 0.6, NULL), NULL);
    int64_t nodes = V * H * (D + 1) * 4;
    assert_true(fv_program_get_info(r.p).slab_bytes < 2 * M * 4 + 9 * nodes);
    assert_true(fv_program_get_info(r.p).slab_bytes < (int64_t)M * H * D * 4);
    end(&r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps), cmocka_unit_test(test_threads),
                                     cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
