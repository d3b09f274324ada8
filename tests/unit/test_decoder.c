/* SPDX-License-Identifier: Apache-2.0 */
/* test_decoder.c: Transformer layers and recurrent decoders against numbers that PyTorch 2 made of the same weights and
 * inputs (nn.TransformerEncoderLayer and nn.TransformerDecoderLayer with norm_first; nn.GRUCell and nn.LSTMCell with
 * the attention written out). */
#include "test_net.h"

#include "attention/decoder.h"
#include "attention/transformer.h"

static void test_layers(void **state) {
  (void)state;
  net t;
  begin(&t);
  fv_value *x = input(&t, 1, FV_SHAPE(2, 3, 8)), *mask = fv_input(t.g, "mask", FV_U8, FV_SHAPE(2, 3));
  const fv_transformer_args a = {.heads = 2, .hidden = 12, .mask = mask};
  fv_output(t.g, "y", fv_encoder_layer(t.g, x, &a));
  run(&t);
  expect(&t, "y", (const double[]){0.640812, 1.3947, 0.900682, 0.78146, 10.386, -17.716});
  end(&t);
  begin(&t);
  x = input(&t, 1, FV_SHAPE(2, 3, 8)), mask = fv_input(t.g, "mask", FV_U8, FV_SHAPE(2, 3));
  const fv_transformer_args b = {.heads = 2, .hidden = 12, .mask = mask};
  fv_value *target = input(&t, 2, FV_SHAPE(2, 4, 8));
  const fv_memory m = fv_decoder_memory(t.g, x);
  fv_output(t.g, "y", fv_decoder_layer(t.g, target, &m, &b));
  run(&t);
  expect(&t, "y", (const double[]){0.994684, 0.0956828, -0.57402, 0.539867, 17.8111, -27.7395});
  end(&t);
}

static void check_decoder(bool gru, const double h_want[6], const double alpha_want[6]) {
  net t;
  fv_value *h, *found, *alpha;
  begin(&t);
  fv_value *memory = input(&t, 1, FV_SHAPE(2, 3, 8)), *mask = fv_input(t.g, "mask", FV_U8, FV_SHAPE(2, 3));
  const fv_decoder d = fv_decoder_new(t.g, gru, 5, 6, 4, memory, mask, NULL);
  fv_decoder_run(&d, fv_decoder_first(&d, input(&t, 4, FV_SHAPE(2, 8))), input(&t, 3, FV_SHAPE(2, 3, 5)), &h, &found,
                 &alpha);
  fv_output(t.g, "h", h);
  fv_output(t.g, "alpha", alpha);
  run(&t);
  expect(&t, "h", h_want);
  expect(&t, "alpha", alpha_want);
  end(&t);
}

static void test_decoders(void **state) {
  (void)state;
  check_decoder(true, (const double[]){-0.924963, -0.0345423, 0.577871, 0.51322, 4.56804, 5.24739},
                (const double[]){0.483309, 0.300926, 0.215766, 0.489879, 6, -0.132544});
  check_decoder(false, (const double[]){-0.755198, 0.296348, 0.788893, -0.0133051, 0.143298, 2.01108},
                (const double[]){0.258872, 0.33828, 0.402847, 0.324597, 6, -0.00513491});
}

/* ---- the loop written out ---------------------------------------------------------------------------------------- */
/* Whatever the number of steps, each weight's gradient is one product. */
static int products_of(int64_t steps) {
  net t;
  int n = 0;
  fv_value *h, *found, *alpha;
  begin(&t);
  fv_value *memory = input(&t, 1, FV_SHAPE(2, 3, 8)), *mask = fv_input(t.g, "mask", FV_U8, FV_SHAPE(2, 3));
  const fv_decoder d = fv_decoder_new(t.g, false, 2, 6, 4, memory, mask, NULL);
  fv_decoder_run(&d, fv_decoder_first(&d, input(&t, 4, FV_SHAPE(2, 8))), input(&t, 3, FV_SHAPE(2, steps, 2)), &h,
                 &found, &alpha);
  fv_value *loss = fv_reduce(t.g, "sum", fv_mul(t.g, h, h), FV_SHAPE(0, 1, 2), false);
  assert_int_equal(fv_params_layout(t.params), FV_OK);
  assert_int_equal(fv_graph_differentiate(t.g, loss, true, 0, NULL, NULL), FV_OK);
  assert_int_equal(fv_program_new(t.g, &t.p), FV_OK);
  const fv_graph *g = fv_program_graph(t.p);
  for (int i = 0; i < g->n_nodes; i++) {
    const fv_shape s = g->nodes[i]->out[0]->shape;
    n += !strcmp(g->nodes[i]->op->name, "matmul") && s.ndim == 2 && s.dim[0] == 24; /* 4 H rows: of the cell */
  }
  end(&t);
  return n;
}

static void test_gradients_are_joined(void **state) {
  (void)state;
  assert_true(products_of(2) > 0);
  assert_int_equal(products_of(9), products_of(2));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers), cmocka_unit_test(test_decoders),
                                     cmocka_unit_test(test_gradients_are_joined)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
