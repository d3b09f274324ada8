/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise operations, chains, reductions and selection at the points that random cases do not reach: ties, zeros,
 * NaN, numbers out of range, and what is refused. Graphs are run by the operations' references. */
#include "ir/ir.h"
#include "ops/cast.h"
#include "ops/chain.h"
#include "ops/clip.h"
#include "ops/elu.h"
#include "ops/reduce.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static fv_graph *g;

static int setup(void **state) {
  (void)state;
  return fv_graph_new(NULL, FV_F64, &g) == FV_OK ? 0 : -1;
}
static int teardown(void **state) {
  (void)state;
  fv_graph_free(g);
  return 0;
}

static fv_value *vector(int64_t n, const double *v) { return fv_const_data(g, FV_F64, FV_SHAPE(n), v); }
#define VECTOR(...) vector(sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})

/* The value's numbers, computed by references, constants read as they are. Owned by the graph. */
static const fv_tensor *numbers(const fv_value *v) {
  assert_non_null(v);
  fv_tensor *t = fv_arena_alloc(g->arena, sizeof *t);
  *t = (fv_tensor){.dtype = v->dtype, .shape = v->shape, .data = (void *)(uintptr_t)v->data};
  if (v->kind == FV_VALUE_CONST) return t;
  const fv_node *n = v->producer;
  fv_tensor in[8], out[FV_MAX_OUTS];
  for (int i = 0; i < n->n_in; i++) in[i] = *numbers(n->in[i]);
  for (int i = 0; i < n->n_out; i++) {
    out[i] = (fv_tensor){.dtype = n->out[i]->dtype, .shape = n->out[i]->shape};
    out[i].data = fv_arena_alloc(g->arena, (size_t)fv_shape_count(out[i].shape) * 8 + 8);
  }
  fv_call c = {.node = n, .attrs = n->attrs, .n_in = n->n_in, .n_out = n->n_out, .in = in, .out = out, .end = 1};
  n->op->ref(&c);
  *t = out[v->out_index];
  return t;
}

static void expect(const fv_value *v, int64_t n, const double *want) {
  const fv_tensor *t = numbers(v);
  assert_int_equal(fv_shape_count(t->shape), n);
  for (int64_t i = 0; i < n; i++) {
    double got = fv_get(t, i);
    if (!(fabs(got - want[i]) <= 1e-12 * (1 + fabs(want[i])) || got == want[i] || (isnan(got) && isnan(want[i]))))
      fail_msg("element %d: expected %.17g, got %.17g", (int)i, want[i], got);
  }
}
#define EXPECT(v, ...) expect(v, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})

/* d sum(y * weight) / dx */
static fv_value *gradient(fv_value *y, fv_value *weight, fv_value *x) {
  fv_value *dx = NULL, *loss = fv_op(g, "sum", NULL, fv_op(g, "mul", NULL, y, weight));
  assert_int_equal(fv_graph_differentiate(g, loss, false, 1, &x, &dx), FV_OK);
  return dx;
}

static void refused(const char *part) {
  assert_int_equal(fv_graph_check(g), FV_ERR_REQUEST);
  if (!strstr(fv_error_message(), part)) fail_msg("expected '%s' in: %s", part, fv_error_message());
}

static void ties_send_the_gradient_to_the_first(void **state) {
  (void)state;
  fv_value *x = VECTOR(1, 3, 3, 2), *w = VECTOR(5);
  EXPECT(gradient(fv_op(g, "amax", NULL, x), w, x), 0, 5, 0, 0);
  fv_value *lows = VECTOR(4, 1, 2, 1);
  EXPECT(gradient(fv_op(g, "amin", NULL, lows), w, lows), 0, 5, 0, 0);
  fv_value *a = VECTOR(1, 2, 3), *b = VECTOR(2, 2, 2), *each = VECTOR(7, 8, 9);
  EXPECT(gradient(fv_op(g, "maximum", NULL, a, b), each, a), 0, 8, 9);
  EXPECT(gradient(fv_op(g, "minimum", NULL, a, b), each, b), 0, 0, 9);
}

static void product_of_the_others_survives_zeros(void **state) {
  (void)state;
  fv_value *one = VECTOR(1), *x = VECTOR(2, 0, 5), *y = VECTOR(0, 3, 0), *z = VECTOR(2, -3, 5);
  EXPECT(gradient(fv_op(g, "prod", NULL, x), one, x), 0, 10, 0);
  EXPECT(gradient(fv_op(g, "prod", NULL, y), one, y), 0, 0, 0);
  EXPECT(gradient(fv_op(g, "prod", NULL, z), one, z), -15, 10, -6);
}

static void slopes_where_formulas_have_limits(void **state) {
  (void)state;
  fv_value *one = VECTOR(1, 1, 1), *a = VECTOR(0, 0, 2), *b = VECTOR(0, 2, 3);
  EXPECT(gradient(fv_op(g, "pow", NULL, a, b), one, a), 0, 0, 12);
  EXPECT(gradient(fv_op(g, "pow", NULL, a, b), one, b), 0, 0, 8 * log(2));
  fv_clip_attrs clip = {.min = -1, .max = 1};
  fv_value *x = VECTOR(-1, 1, 1.5);
  EXPECT(gradient(fv_op(g, "clip", &clip, x), one, x), 1, 1, 0);
  fv_value *bad = VECTOR(0, 4, 9), *safe = fv_op(g, "where", NULL, fv_op(g, "gt", NULL, bad, fv_const(g, 0)),
                                                 fv_op(g, "log", NULL, bad), fv_const(g, 0));
  EXPECT(safe, 0, log(4), log(9));
}

static void nan_is_not_hidden(void **state) {
  (void)state;
  fv_value *x = VECTOR(1, NAN, 2, NAN), *zero = fv_const(g, 0);
  EXPECT(fv_op(g, "amax", NULL, x), NAN);
  EXPECT(fv_op(g, "argmin", NULL, x), 1);
  EXPECT(fv_op(g, "maximum", NULL, x, zero), 1, NAN, 2, NAN);
  EXPECT(fv_op(g, "relu", NULL, x), 1, NAN, 2, NAN);
  fv_value *out[2], *top = fv_op_text(g, "topk", "k=3", 1, &x);
  out[0] = top;
  out[1] = top->producer->out[1];
  EXPECT(out[0], NAN, NAN, 2);
  EXPECT(out[1], 1, 3, 2);
}

static void casts_cut_to_the_range(void **state) {
  (void)state;
  fv_value *x = VECTOR(-1.9, 2.9, 300, -5, 3e10, NAN);
  fv_cast_attrs u8 = {.dtype = FV_CAST_U8}, i32 = {.dtype = FV_CAST_I32};
  EXPECT(fv_op(g, "cast", &u8, x), 0, 2, 255, 0, 255, 0);
  EXPECT(fv_op(g, "cast", &i32, x), -1, 2, 300, -5, INT32_MAX, 0);
}

static void left_out_attributes_take_defaults(void **state) {
  (void)state;
  fv_elu_attrs none = {0};
  EXPECT(fv_op(g, "elu", &none, VECTOR(-1, 2)), expm1(-1), 2);
  EXPECT(fv_op(g, "leaky_relu", NULL, VECTOR(-1, 2)), -0.01, 2);
}

static void a_chain_is_its_steps(void **state) {
  (void)state;
  fv_value *in[] = {VECTOR(1, -2, 3), VECTOR(0.5), VECTOR(-1, 5, 2)};
  fv_value *sum =
      fv_op_text(g, "chain", "steps=mul(0,1);leaky_relu(a,negative_slope=0.5);sub(2,b);gt(c,0)>d,c,a", 3, in);
  assert_non_null(sum);
  assert_int_equal(sum->dtype, FV_U8);
  EXPECT(sum, 0, 1, 0);
  EXPECT(sum->producer->out[1], -1.5, 5.5, 0.5);
  EXPECT(sum->producer->out[2], 0.5, -1, 1.5);
  assert_true(sum->producer->op->cost(sum->producer).flops == 4 * 3);
}

static void refuse_chain(const char *attrs, const char *part) {
  fv_value *in[] = {VECTOR(1, 2, 3), VECTOR(1)};
  assert_null(fv_op_text(g, "chain", attrs, 2, in));
  refused(part);
  fv_graph_free(g);
  assert_int_equal(fv_graph_new(NULL, FV_F64, &g), FV_OK);
}

static void bad_chains_are_refused(void **state) {
  (void)state;
  refuse_chain("", "expected 1 to 32 steps");
  refuse_chain("steps=nosuch(0)", "got 'nosuch'");
  refuse_chain("steps=sum(0)", "expected element-wise operations, got 'sum'");
  refuse_chain("steps=add(0)", "expected 2 operands, got 1");
  refuse_chain("steps=add(0,2)", "got '2'");
  refuse_chain("steps=neg(a)", "got 'a'");
  refuse_chain("steps=neg(0", "expected NAME(operands)");
  refuse_chain("steps=neg(0)>b", "got 'b'");
  refuse_chain("steps=neg(1)", "output 0: expected f64 [3], got f64 [1]");
  refuse_chain("steps=logical_not(0)", "expected u8, got f64");
  refuse_chain("steps=clip(0,mix=1)", "mix");
}

static void bad_operands_are_refused(void **state) {
  (void)state;
  assert_null(fv_op(g, "add", NULL, VECTOR(1, 2, 3), VECTOR(1, 2)));
  refused("add (add): operand 1: expected a shape that broadcasts with [3], got [2]");
}

static void bad_axes_are_refused(void **state) {
  (void)state;
  fv_value *x = VECTOR(1, 2);
  assert_null(fv_op_text(g, "sum", "axes=0,-1", 1, &x));
  refused("expected each once, got -1 again");
}

static void an_empty_maximum_is_refused(void **state) {
  (void)state;
  fv_value *none = fv_input(g, "x", FV_F64, FV_SHAPE(3, 0));
  assert_null(fv_op(g, "amax", NULL, none));
  refused("expected at least one element behind each result, got [3,0]");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(ties_send_the_gradient_to_the_first), TEST(product_of_the_others_survives_zeros),
    TEST(slopes_where_formulas_have_limits),   TEST(nan_is_not_hidden),
    TEST(casts_cut_to_the_range),              TEST(left_out_attributes_take_defaults),
    TEST(a_chain_is_its_steps),                TEST(bad_chains_are_refused),
    TEST(bad_operands_are_refused),            TEST(bad_axes_are_refused),
    TEST(an_empty_maximum_is_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
