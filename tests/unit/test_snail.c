/* SPDX-License-Identifier: Apache-2.0 */
/* test_snail.c: SNAIL's blocks against numbers of PyTorch 2, where each query is a sequence of its own behind a copy of
 * the support, through torch.nn.Conv1d of zeros-padded sequences and attention under a triangular mask. A support
 * shorter than the convolutions reach finds zeros. */
#include "test_net.h"

#include "models/snail.h"

static void check(int64_t support, const double steps[6], const double weights[6]) {
  net t;
  begin(&t);
  fv_snail_steps s = {input(&t, 1, FV_SHAPE(2, support + 2, 4)), support, 1};
  fv_snail_attention(t.g, &s, "attention", 3, 2);
  fv_snail_temporal(t.g, &s, "temporal", 4, 3);
  fv_snail_attention(t.g, &s, "again", 3, 2);
  fv_output(t.g, "steps", s.x);
  assert_int_equal(t.g->taps.n, 2);
  assert_string_equal(t.g->taps.v[1].kind, FV_TAP_SUPPORT);
  fv_output(t.g, "weights", t.g->taps.v[1].value);
  run(&t);
  expect(&t, "steps", steps);
  expect(&t, "weights", weights);
  end(&t);
}

static void test_blocks(void **state) {
  (void)state;
  check(3, (const double[]){0.841471, 0.9463, 0.334988, -0.529836, 1.14417, 2.55747},
        (const double[]){0.250047, 0.259064, 0.307787, 0.380554, 3.416, 0.36081});
  check(1, (const double[]){0.841471, 0.9463, 0.334988, -0.529836, 5.12313, -0.791311},
        (const double[]){0.546603, 0.77198, 0.814914, 0.564224, 2.69772, 0.147432});
}

/* Figure 2 and section 5.1: the channels that each block adds, from 69 for five ways. */
static void test_network(void **state) {
  (void)state;
  net t;
  begin(&t);
  fv_value *y = fv_snail(t.g, (fv_snail_steps){fv_input(t.g, "x", FV_F32, FV_SHAPE(2, 8, 69)), 5, 1}, 6, 5);
  assert_int_equal(fv_graph_check(t.g), FV_OK);
  assert_true(fv_shape_equal(fv_value_shape(y), FV_SHAPE(2, 3, 5)));
  const fv_param_info *last = &t.params->v[t.params->n - 2];
  assert_string_equal(last->name, "output.weight");
  assert_int_equal(last->shape.dim[1], 69 + 32 + 3 * 128 + 128 + 3 * 128 + 256);
  end(&t);
}

/* Probabilities and weights, [2,2,3] each, of an episode whose support set begins with example `first` and whose classes
 * are counted from `least`; told in the order of the first example and of class 0. */
static void ask(int64_t turns, int first, int least, float out[2][12]) {
  enum { N = 2, WAYS = 3, WIDTH = 4 };
  float shown[N * WAYS * WIDTH], class[N * WAYS * WAYS] = {0};
  net t;
  begin(&t);
  for (int i = 0; i < N * WAYS; i++) {
    const int from = i / WAYS * WAYS + (i + first) % WAYS;
    memcpy(shown + i * WIDTH, input_of(1) + from * WIDTH, WIDTH * sizeof *shown);
    class[i * WAYS + (from + WAYS - least) % WAYS] = 1;
  }
  const fv_snail_episode e = {.shown = fv_const_data(t.g, FV_F32, FV_SHAPE(N, WAYS, WIDTH), shown),
                              .class = fv_const_data(t.g, FV_F32, FV_SHAPE(N, WAYS, WAYS), class),
                              .asked = input(&t, 2, FV_SHAPE(N, 2, WIDTH))};
  fv_output(t.g, "answers", fv_op_text(t.g, "exp", "", 1, (fv_value *[]){fv_snail_classify(t.g, &e, WAYS + 1, turns)}));
  fv_output(t.g, "weights", t.g->taps.v[0].value);
  run(&t);
  const float *answers = fv_exec_output(t.e, "answers")->data, *weights = fv_exec_output(t.e, "weights")->data;
  for (int i = 0; i < 12; i++) {
    out[0][i / WAYS * WAYS + (i + least) % WAYS] = answers[i];
    out[1][i / WAYS * WAYS + (i + first) % WAYS] = weights[i];
  }
  end(&t);
}

static float furthest(float a[2][12], float b[2][12], int which) {
  float most = 0;
  for (int i = 0; i < 12; i++) most = fmaxf(most, fabsf(a[which][i] - b[which][i]));
  return most;
}

/* Without turns the order of an episode has a say; with all of them it has none. */
static void test_turns(void **state) {
  (void)state;
  float a[2][12], b[2][12];
  ask(1, 0, 0, a), ask(1, 1, 1, b);
  assert_true(furthest(a, b, 0) > 1e-3f && furthest(a, b, 1) > 1e-3f);
  ask(3, 0, 0, a), ask(3, 1, 1, b);
  assert_true(furthest(a, b, 0) < 2e-6f && furthest(a, b, 1) < 2e-6f);
  float sum = a[0][0] + a[0][1] + a[0][2];
  assert_float_equal(sum, 1, 1e-5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_network),
                                     cmocka_unit_test(test_turns)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
