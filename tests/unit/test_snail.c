/* SPDX-License-Identifier: Apache-2.0 */
/* test_snail.c: SNAIL's blocks against numbers of PyTorch 2, where each query is a sequence of its own behind a copy of
 * the support, through torch.nn.Conv1d of zeros-padded sequences and attention under a triangular mask. A support
 * shorter than the convolutions reach finds zeros. */
#include "test_net.h"

#include "models/snail.h"

static void check(int64_t support, const double steps[6], const double weights[6]) {
  net t;
  begin(&t);
  fv_snail_steps s = {input(&t, 1, FV_SHAPE(2, support + 2, 4)), support};
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
  fv_value *y = fv_snail(t.g, (fv_snail_steps){fv_input(t.g, "x", FV_F32, FV_SHAPE(2, 8, 69)), 5}, 6, 5);
  assert_int_equal(fv_graph_check(t.g), FV_OK);
  assert_true(fv_shape_equal(fv_value_shape(y), FV_SHAPE(2, 3, 5)));
  const fv_param_info *last = &t.params->v[t.params->n - 2];
  assert_string_equal(last->name, "output.weight");
  assert_int_equal(last->shape.dim[1], 69 + 32 + 3 * 128 + 128 + 3 * 128 + 256);
  end(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks), cmocka_unit_test(test_network)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
