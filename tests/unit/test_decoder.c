/* SPDX-License-Identifier: Apache-2.0 */
/* test_decoder.c: Transformer layers and recurrent decoders against numbers that PyTorch 2 made of the same weights and
 * inputs (nn.TransformerEncoderLayer and nn.TransformerDecoderLayer with norm_first; nn.GRUCell and nn.LSTMCell with the
 * attention written out). Weight j of the parameter NAME is 0.4 sin(j + strlen(NAME)); number j of input k is
 * sin(0.9 j + k). Of each result: the first four numbers, their sum, their product with input 5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "attention/decoder.h"
#include "attention/transformer.h"

enum { MOST = 128 };

static const float *input_of(int k) {
  static float v[6][MOST];
  for (int j = 0; j < MOST; j++) v[k][j] = (float)sin(0.9 * j + k);
  return v[k];
}

typedef struct net {
  fv_params *params;
  fv_graph *g;
  fv_program *p;
  fv_exec *e;
  float *slab;
  void *packed;
} net;

static void begin(net *t) {
  *t = (net){0};
  assert_int_equal(fv_params_new(&t->params), FV_OK);
  assert_int_equal(fv_graph_new(t->params, FV_F32, &t->g), FV_OK);
}

static fv_value *input(net *t, int k, fv_shape s) {
  char name[8];
  snprintf(name, sizeof name, "in%d", k);
  return fv_input(t->g, name, FV_F32, s);
}

static void fill(net *t) {
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PARAMETERS, t->params->size * 4, (void **)&t->slab), FV_OK);
  for (int i = 0; i < t->params->n; i++) {
    const fv_param_info *p = &t->params->v[i];
    for (int64_t j = 0; j < fv_shape_count(p->shape); j++)
      t->slab[p->offset + j] = (float)(0.4 * sin((double)j + (double)strlen(p->name)));
  }
}

static void run(net *t) {
  static const uint8_t mask[] = {1, 1, 1, 1, 1, 0};
  if (fv_graph_check(t->g) != FV_OK) fail_msg("%s", fv_error_message());
  assert_int_equal(fv_params_layout(t->params), FV_OK);
  fill(t);
  assert_int_equal(fv_program_new(t->g, &t->p), FV_OK);
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(t->p).packed_bytes, &t->packed), FV_OK);
  assert_int_equal(fv_exec_new(t->p, NULL, t->slab, t->packed, &t->e), FV_OK);
  assert_int_equal(fv_program_prologue(t->p, t->slab, t->packed, NULL), FV_OK);
  for (int k = 1; k < 6; k++) {
    char name[8];
    snprintf(name, sizeof name, "in%d", k);
    if (fv_exec_input(t->e, name) >= 0) fv_exec_bind_input(t->e, fv_exec_input(t->e, name), input_of(k));
  }
  fv_exec_bind_input(t->e, fv_exec_input(t->e, "mask"), mask);
  fv_exec_run(t->e);
}

static void expect(net *t, const char *output, const double want[6]) {
  const fv_tensor *y = fv_exec_output(t->e, output);
  const float *v = y->data, *by = input_of(5);
  double sum = 0, product = 0;
  for (int i = 0; i < 4; i++) assert_float_equal(v[i], want[i], 2e-6);
  for (int64_t i = 0; i < fv_shape_count(y->shape); i++) sum += (double)v[i], product += (double)v[i] * (double)by[i];
  assert_float_equal(sum, want[4], 1e-4);
  assert_float_equal(product, want[5], 1e-4);
}

static void end(net *t) {
  fv_exec_free(t->e);
  fv_program_free(t->p);
  fv_slab_free(t->packed);
  fv_slab_free(t->slab);
  fv_graph_free(t->g);
  fv_params_free(t->params);
}

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
