/* SPDX-License-Identifier: Apache-2.0 */
/* test_attention.c: what a mechanism does at its edges: requests that make no sense are refused in words, a malformed
 * graph that only the run knows is bounded, ties go to the first, and a query that sees no key gets nothing. The
 * numbers in between are `check golden`'s and `check attention`'s. */
#include "attention/attention.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MOST FV_ATTENTION_MOST

typedef struct run {
  const fv_attention_def *def;
  fv_graph *g;
  fv_program *p;
  fv_exec *e;
  void *packed;
  unsigned char attrs[256];
  fv_value *in[MOST], *par[MOST], *out[MOST];
} run;

static void begin(run *r, const char *mechanism, const char *attr, const char *value) {
  *r = (run){.def = fv_attention_find(mechanism)};
  assert_non_null(r->def);
  assert_true(r->def->attrs_size <= sizeof r->attrs);
  assert_int_equal(fv_graph_new(NULL, FV_F32, &r->g), FV_OK);
  if (r->def->attrs_size) assert_int_equal(fv_options_defaults(r->def->attrs, r->attrs), FV_OK);
  if (attr) assert_int_equal(fv_options_set(r->def->attrs, r->attrs, mechanism, attr, value, r->g->arena), FV_OK);
  for (int i = 0; i < MOST; i++) r->in[i] = r->par[i] = fv_absent(r->g);
}

static void apply(run *r) { fv_attention_apply(r->g, r->def, r->attrs, r->in, r->par, r->out); }

static fv_value *real(run *r, fv_shape shape, const float *x) { return fv_const_data(r->g, FV_F32, shape, x); }
static fv_value *whole(run *r, int64_t n, const int32_t *x) { return fv_const_data(r->g, FV_I32, FV_SHAPE(n), x); }

static void compute(run *r) {
  assert_int_equal(fv_graph_check(r->g), FV_OK);
  for (int i = 0; r->def->outputs[i]; i++) fv_output(r->g, r->def->outputs[i], fv_op(r->g, "copy", NULL, r->out[i]));
  assert_int_equal(fv_program_new(r->g, &r->p), FV_OK);
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(r->p).packed_bytes, &r->packed), FV_OK);
  assert_int_equal(fv_exec_new(r->p, NULL, NULL, r->packed, &r->e), FV_OK);
  assert_int_equal(fv_program_prologue(r->p, NULL, r->packed, NULL), FV_OK);
}

static void expect(const run *r, const char *output, const float *want, int64_t n) {
  const fv_tensor *t = fv_exec_output(r->e, output);
  assert_non_null(t);
  assert_int_equal(fv_shape_count(t->shape), n);
  for (int64_t i = 0; i < n; i++) assert_float_equal(fv_get(t, i), want[i], 1e-6);
}

static void end(run *r) {
  fv_exec_free(r->e);
  fv_slab_free(r->packed);
  fv_program_free(r->p);
  fv_graph_free(r->g);
}

/* Built and refused, with words about it; nothing comes out. */
static void refused(run *r, const char *words) {
  apply(r);
  assert_null(r->out[0]);
  assert_int_equal(fv_graph_check(r->g), FV_ERR_REQUEST);
  if (!strstr(fv_error_message(), words)) fail_msg("expected \"%s\" in \"%s\"", words, fv_error_message());
  end(r);
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */
static void test_shapes(void **state) {
  (void)state;
  run r;
  begin(&r, "multihead", "heads", "3");
  fv_value *matrix = fv_input(r.g, "matrix", FV_F32, FV_SHAPE(8, 8)),
           *vector = fv_input(r.g, "vector", FV_F32, FV_SHAPE(8));
  for (int i = 0; i < 8; i++) r.par[i] = i < 3 || i == 6 ? matrix : vector;
  r.in[0] = fv_input(r.g, "x", FV_F32, FV_SHAPE(2, 5, 8));
  refused(&r, "heads: expected a divisor of the width 8, got 3");

  begin(&r, "bahdanau", NULL, NULL);
  r.in[0] = fv_input(r.g, "query", FV_F32, FV_SHAPE(2, 3));
  r.in[1] = fv_input(r.g, "keys", FV_F32, FV_SHAPE(3, 5, 4));
  r.par[0] = fv_input(r.g, "Wq", FV_F32, FV_SHAPE(2, 3));
  r.par[1] = fv_input(r.g, "Wk", FV_F32, FV_SHAPE(2, 4));
  r.par[2] = fv_input(r.g, "v", FV_F32, FV_SHAPE(2));
  refused(&r, "bahdanau: keys: expected [B,S,K] = [2,5,4], got [3,5,4]");

  begin(&r, "sdpa", NULL, NULL);
  r.in[0] = fv_input(r.g, "q", FV_F32, FV_SHAPE(1, 2, 4, 3));
  r.in[1] = fv_input(r.g, "k", FV_F32, FV_SHAPE(1, 2, 3, 3));
  r.in[2] = r.in[1];
  refused(&r, "k: expected groups that divide the 4 heads, got 3");

  begin(&r, "se", NULL, NULL);
  r.in[0] = fv_input(r.g, "x", FV_F32, FV_SHAPE(1, 2, 2, 3));
  refused(&r, "se: W1: expected a value, got none");

  begin(&r, "additive_pool", NULL, NULL);
  r.in[0] = fv_input(r.g, "x", FV_F32, FV_SHAPE(1, 2, 3));
  r.in[1] = fv_input(r.g, "mask", FV_F32, FV_SHAPE(1, 2));
  r.par[0] = fv_input(r.g, "W", FV_F32, FV_SHAPE(2, 3));
  r.par[1] = r.par[2] = fv_input(r.g, "b", FV_F32, FV_SHAPE(2));
  refused(&r, "additive_pool: mask: expected dtype u8, got f32");
}

/* A graph of three nodes, one feature, one head. */
static void begin_gat(run *r) {
  begin(r, "gat", NULL, NULL);
  r->in[0] = real(r, FV_SHAPE(3, 1), (const float[]){1, 2, 4});
  r->par[0] = real(r, FV_SHAPE(1, 1), (const float[]){1});
  r->par[1] = r->par[2] = real(r, FV_SHAPE(1, 1), (const float[]){0});
}

static void test_graphs(void **state) {
  (void)state;
  run r;
  begin_gat(&r);
  r.in[1] = whole(&r, 4, (const int32_t[]){0, 2, 1, 3});
  r.in[2] = whole(&r, 3, (const int32_t[]){0, 1, 2});
  refused(&r, "gat: row_ptr[2]: expected a number from 2 to 3, got 1");
  begin_gat(&r);
  r.in[1] = whole(&r, 4, (const int32_t[]){0, 1, 1, 2});
  r.in[2] = whole(&r, 3, (const int32_t[]){0, 1, 2});
  refused(&r, "gat: row_ptr[3]: expected a number from 3 to 3, got 2");
  begin_gat(&r);
  r.in[1] = whole(&r, 4, (const int32_t[]){0, 1, 1, 3});
  r.in[2] = whole(&r, 3, (const int32_t[]){0, 3, 2});
  refused(&r, "gat: col[1]: expected a number from 0 to 2, got 3");
}

static void test_labels(void **state) {
  (void)state;
  run r;
  begin(&r, "matching", "ways", "2");
  r.in[0] = r.in[1] = fv_input(r.g, "x", FV_F32, FV_SHAPE(1, 3, 4));
  r.in[2] = fv_const_data(r.g, FV_I32, FV_SHAPE(1, 3), (const int32_t[]){0, 1, 2});
  refused(&r, "matching: labels[2]: expected a number from 0 to 1, got 2");
}

/* ---- what only the run knows ------------------------------------------------------------------------------------ */
static void test_isolated_nodes(void **state) {
  (void)state;
  run r;
  begin_gat(&r);
  r.in[1] = whole(&r, 4, (const int32_t[]){0, 0, 2, 2});
  r.in[2] = whole(&r, 2, (const int32_t[]){0, 2});
  r.par[3] = real(&r, FV_SHAPE(1), (const float[]){0.5f});
  apply(&r);
  compute(&r);
  fv_exec_run(r.e);
  expect(&r, r.def->outputs[0], (const float[]){0.5f, 3, 0.5f}, 3);
  expect(&r, r.def->outputs[1], (const float[]){0.5f, 0.5f}, 2);
  end(&r);
}

/* Row pointers that fall or lie outside, and a neighbour that does not exist: told by the check of what is bound;
 * run all the same, nothing beyond the tensors is touched and edges from nowhere are left out. */
static void test_malformed_graph(void **state) {
  (void)state;
  static const int32_t row_ptr[] = {-5, 2, 1, 900}, col[] = {0, 77, -1, 2};
  run r;
  begin_gat(&r);
  r.in[1] = fv_input(r.g, "row_ptr", FV_I32, FV_SHAPE(4));
  r.in[2] = fv_input(r.g, "col", FV_I32, FV_SHAPE(4));
  apply(&r);
  compute(&r);
  assert_int_equal(fv_exec_check(r.e), FV_OK); /* nothing bound yet */
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "row_ptr"), row_ptr);
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "col"), col);
  assert_int_equal(fv_exec_check(r.e), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "gat: row_ptr[0]: expected a number from 0 to 0, got -5"));
  fv_exec_run(r.e);
  expect(&r, r.def->outputs[0], (const float[]){1, 0, 4}, 3);
  expect(&r, r.def->outputs[1], (const float[]){1, 0, 0, 1}, 4);
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "row_ptr"), (const int32_t[]){0, 2, 2, 4});
  assert_int_equal(fv_exec_check(r.e), FV_ERR_REQUEST);
  assert_non_null(strstr(fv_error_message(), "gat: col[1]: expected a number from 0 to 2, got 77"));
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "col"), (const int32_t[]){0, 2, 1, 2});
  assert_int_equal(fv_exec_check(r.e), FV_OK);
  end(&r);
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */
static void test_query_without_keys(void **state) {
  (void)state;
  static const float q[] = {1, 2, 3}, k[] = {1}, v[] = {7};
  run r;
  begin(&r, "sdpa", "causal", "true");
  r.in[0] = fv_input(r.g, "q", FV_F32, FV_SHAPE(1, 3, 1, 1));
  r.in[1] = fv_input(r.g, "k", FV_F32, FV_SHAPE(1, 1, 1, 1));
  r.in[2] = fv_input(r.g, "v", FV_F32, FV_SHAPE(1, 1, 1, 1));
  apply(&r);
  fv_value *grad[2], *loss = fv_op(r.g, "sum", NULL, r.out[0]);
  assert_int_equal(fv_graph_differentiate(r.g, loss, false, 2, (fv_value *[]){r.in[0], r.in[2]}, grad), FV_OK);
  fv_output(r.g, "dq", fv_op(r.g, "copy", NULL, grad[0]));
  fv_output(r.g, "dv", fv_op(r.g, "copy", NULL, grad[1]));
  compute(&r);
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "q"), q);
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "k"), k);
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "v"), v);
  fv_exec_run(r.e);
  expect(&r, r.def->outputs[0], (const float[]){0, 0, 7}, 3);
  expect(&r, r.def->outputs[1], (const float[]){0, 0, 1}, 3);
  expect(&r, "dq", (const float[]){0, 0, 0}, 3);
  expect(&r, "dv", (const float[]){1}, 1);
  end(&r);
}

/* All scores are equal: the first is chosen, the first that the mask leaves, and none where it leaves none. */
static void test_hard_ties(void **state) {
  (void)state;
  run r;
  begin(&r, "hard", NULL, NULL);
  r.in[0] = real(&r, FV_SHAPE(3, 3, 1), (const float[]){1, 2, 3, 1, 2, 3, 1, 2, 3});
  r.in[1] = real(&r, FV_SHAPE(3, 3), (const float[9]){0});
  r.in[2] = fv_const_data(r.g, FV_U8, FV_SHAPE(3, 3), (const uint8_t[]){1, 1, 1, 0, 1, 1, 0, 0, 0});
  r.par[0] = real(&r, FV_SHAPE(1, 1), (const float[]){0});
  r.par[1] = r.par[2] = real(&r, FV_SHAPE(1), (const float[]){1});
  apply(&r);
  compute(&r);
  fv_exec_run(r.e);
  expect(&r, r.def->outputs[0], (const float[]){1, 2, 0}, 3);
  expect(&r, r.def->outputs[1], (const float[]){1, 0, 0, 0, 1, 0, 0, 0, 0}, 9);
  end(&r);
}

/* Far below zero phi is small but not nothing: equal keys weigh equally, where elu(x) + 1 would round to 0 / 0. */
static void test_linear_far_below_zero(void **state) {
  (void)state;
  run r;
  begin(&r, "linear_attention", NULL, NULL);
  r.in[0] = r.in[1] = real(&r, FV_SHAPE(1, 2, 1, 1), (const float[]){-30, -30});
  r.in[2] = real(&r, FV_SHAPE(1, 2, 1, 1), (const float[]){2, 4});
  apply(&r);
  compute(&r);
  fv_exec_run(r.e);
  expect(&r, r.def->outputs[0], (const float[]){3, 3}, 2);
  end(&r);
}

/* A vector of zeros has cosine 0 with all, and a gradient that is a number. */
static void test_matching_zero_vector(void **state) {
  (void)state;
  static const float x[] = {0, 0, 3, 4};
  run r;
  begin(&r, "matching", "ways", "2");
  r.in[0] = fv_input(r.g, "x", FV_F32, FV_SHAPE(1, 2, 2));
  r.in[1] = real(&r, FV_SHAPE(1, 2, 2), (const float[]){1, 0, 0, 1});
  r.in[2] = fv_const_data(r.g, FV_I32, FV_SHAPE(1, 2), (const int32_t[]){1, 0});
  apply(&r);
  fv_value *grad, *loss = fv_op(r.g, "sum", NULL, fv_op(r.g, "square", NULL, r.out[0]));
  assert_int_equal(fv_graph_differentiate(r.g, loss, false, 1, &r.in[0], &grad), FV_OK);
  fv_output(r.g, "dx", fv_op(r.g, "copy", NULL, grad));
  compute(&r);
  fv_exec_bind_input(r.e, fv_exec_input(r.e, "x"), x);
  fv_exec_run(r.e);
  expect(&r, r.def->outputs[0], (const float[]){0.5f, 0.5f, 0.549833997f, 0.450166003f}, 4);
  const fv_tensor *dx = fv_exec_output(r.e, "dx");
  for (int i = 0; i < 4; i++) assert_true(fv_get(dx, i) > -1e9 && fv_get(dx, i) < 1e9);
  end(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shapes),          cmocka_unit_test(test_graphs),
      cmocka_unit_test(test_labels),          cmocka_unit_test(test_isolated_nodes),
      cmocka_unit_test(test_malformed_graph), cmocka_unit_test(test_query_without_keys),
      cmocka_unit_test(test_hard_ties),       cmocka_unit_test(test_linear_far_below_zero),
      cmocka_unit_test(test_matching_zero_vector),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
