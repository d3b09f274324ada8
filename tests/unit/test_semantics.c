/* SPDX-License-Identifier: Apache-2.0 */
/* test_semantics.c: resizing, adaptive pooling and recurrent layers give PyTorch's numbers (computed with PyTorch 2.15
 * from inputs that a formula gives), whichever kernel runs them. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_IN 12

/* The inputs' formula: element i of an input with number s. */
static float value(int64_t i, int s) { return (float)((i * 7 + s * 3) % 11 - 5) / 10; }

typedef struct given {
  fv_shape shape;
  int s;              /* number of the formula; -1: `ids` */
  const int32_t *ids;
} given;

typedef struct run {
  fv_graph *g;
  fv_program *p;
  fv_exec *e;
  float *data[MAX_IN];
} run;

static void run_op(run *r, const char *op, const char *attrs, int n_in, const given *in) {
  fv_value *v[MAX_IN];
  char name[16];
  assert_int_equal(fv_graph_new(NULL, FV_F32, &r->g), FV_OK);
  for (int i = 0; i < n_in; i++) {
    snprintf(name, sizeof name, "x%d", i);
    v[i] = fv_input(r->g, name, in[i].s < 0 ? FV_I32 : FV_F32, in[i].shape);
  }
  fv_value *y = fv_op_text(r->g, op, attrs, n_in, v);
  assert_non_null(y);
  for (int i = 0; i < y->producer->n_out; i++) {
    snprintf(name, sizeof name, "y%d", i);
    fv_output(r->g, fv_arena_strdup(r->g->arena, name), y->producer->out[i]);
  }
  fv_ledger ledger = {0};
  assert_int_equal(fv_program_new(r->g, &r->p), FV_OK);
  assert_int_equal(fv_exec_new(r->p, &ledger, NULL, NULL, &r->e), FV_OK);
  for (int i = 0; i < n_in; i++) {
    const int64_t n = fv_shape_count(in[i].shape);
    assert_non_null(r->data[i] = fv_alloc((size_t)n * sizeof(float)));
    for (int64_t k = 0; in[i].s >= 0 && k < n; k++) r->data[i][k] = value(k, in[i].s);
    snprintf(name, sizeof name, "x%d", i);
    fv_exec_bind_input(r->e, fv_exec_input(r->e, name), in[i].s < 0 ? (const void *)in[i].ids : r->data[i]);
  }
  fv_exec_run(r->e);
}

static void expect(const run *r, const char *output, const float *want, size_t n) {
  const fv_tensor *t = fv_exec_output(r->e, output);
  assert_non_null(t);
  assert_int_equal(fv_shape_count(t->shape), n);
  for (size_t i = 0; i < n; i++) assert_float_equal(((const float *)t->data)[i], want[i], 1e-6);
}
#define EXPECT(r, output, want) expect((r), (output), (want), FV_COUNT(want))

static void end(run *r) {
  fv_exec_free(r->e);
  fv_program_free(r->p);
  fv_graph_free(r->g);
  for (int i = 0; i < MAX_IN; i++) fv_free(r->data[i]);
}

static void images(void **state) {
  (void)state;
  static const float nearest[] = {-0.5f, 0.2f,  -0.2f, -0.5f, 0.2f,  -0.2f, 0.1f, -0.3f,
                                  0.4f,  0.1f,  -0.3f, 0.4f,  -0.4f, 0.3f,  -0.1f};
  static const float bilinear[] = {-0.38333333f, 0,           0.38333344f,  -0.21666667f, 0.02f,
                                   0.25666669f,  0.03333332f, 0.05f,        0.0666666f,   -0.15666671f,
                                   0.08000001f,  -0.23333348f, -0.28333336f, 0.1f,        -0.4333334f};
  static const float aligned[] = {-0.5f, 0,      0.5f,   -0.2f,  0.025f, 0.25f, 0.1f, 0.05f,
                                  0,     -0.15f, 0.075f, -0.25f, -0.4f,  0.1f,  -0.5f};
  static const float adaptive[] = {-0.125f, 0.025f, 0.175f, -0.075f, 0.075f, -0.05f};
  static const struct {
    const char *op, *attrs;
    const float *want;
    size_t n;
  } rows[] = {{"resize", "size=5,3", nearest, FV_COUNT(nearest)},
              {"resize", "size=5,3 mode=bilinear", bilinear, FV_COUNT(bilinear)},
              {"resize", "size=5,3 mode=bilinear align_corners=true", aligned, FV_COUNT(aligned)},
              {"adaptive_avg_pool2d", "size=2,3", adaptive, FV_COUNT(adaptive)}};
  for (size_t i = 0; i < FV_COUNT(rows); i++) {
    run r = {0};
    run_op(&r, rows[i].op, rows[i].attrs, 1, (given[]){{.shape = FV_SHAPE(1, 3, 4, 1)}});
    expect(&r, "y0", rows[i].want, rows[i].n);
    end(&r);
  }
}

/* Two sequences of 3 and 2 steps, both directions, initial states given. */
static const int32_t lengths[] = {3, 2};

static void lstm(void **state) {
  (void)state;
  static const float y[] = {0.078265131f,   -0.27384594f,  0.014456606f,  0.14821094f,   0.0064835786f, -0.32140094f,
                            0.00043044638f, 0.16733363f,   0.093609855f,  -0.26415402f,  -0.10959082f,  0.1784026f,
                            0.17369358f,    -0.11585075f,  -0.040805168f, -0.031439699f, 0.066487022f,  -0.24962872f,
                            -0.0060255104f, -0.14258558f,  0,             0,             0,             0};
  static const float h_n[] = {0.093609855f, -0.26415402f, 0.066487022f,  -0.24962872f,
                              0.014456606f, 0.14821094f,  -0.040805168f, -0.031439699f};
  static const float c_n[] = {0.14656717f,  -0.63635987f, 0.11011327f,   -0.49328315f,
                              0.024648711f, 0.32712981f,  -0.062846713f, -0.077945076f};
  run r = {0};
  run_op(&r, "lstm", "bidirectional=true", 12,
         (given[]){{FV_SHAPE(2, 3, 2), 0, NULL}, {FV_SHAPE(8, 2), 1, NULL}, {FV_SHAPE(8, 2), 2, NULL},
                   {FV_SHAPE(8), 3, NULL}, {FV_SHAPE(8), 4, NULL}, {FV_SHAPE(2, 2, 2), 5, NULL},
                   {FV_SHAPE(2, 2, 2), 6, NULL}, {FV_SHAPE(2), -1, lengths}, {FV_SHAPE(8, 2), 8, NULL},
                   {FV_SHAPE(8, 2), 9, NULL}, {FV_SHAPE(8), 10, NULL}, {FV_SHAPE(8), 11, NULL}});
  EXPECT(&r, "y0", y);
  EXPECT(&r, "y1", h_n);
  EXPECT(&r, "y2", c_n);
  end(&r);
}

static void gru(void **state) {
  (void)state;
  static const float y[] = {-0.021395382f, -0.56929511f, 0.02536455f,  0.23093151f,  -0.10134734f,   -0.60491574f,
                            0.043492414f,  0.22689098f,  0.085654713f, -0.57185107f, -0.071486264f,  0.24499857f,
                            0.076450422f,  -0.34587985f, -0.20947018f, 0.34940177f,  -0.0062995888f, -0.47447014f,
                            -0.10070924f,  0.34847131f,  0,            0,            0,              0};
  static const float h_n[] = {0.085654713f, -0.57185107f, -0.0062995888f, -0.47447014f,
                              0.02536455f,  0.23093151f,  -0.20947018f,   0.34940177f};
  run r = {0};
  run_op(&r, "gru", "bidirectional=true", 11,
         (given[]){{FV_SHAPE(2, 3, 2), 0, NULL}, {FV_SHAPE(6, 2), 1, NULL}, {FV_SHAPE(6, 2), 2, NULL},
                   {FV_SHAPE(6), 3, NULL}, {FV_SHAPE(6), 4, NULL}, {FV_SHAPE(2, 2, 2), 5, NULL},
                   {FV_SHAPE(2), -1, lengths}, {FV_SHAPE(6, 2), 8, NULL}, {FV_SHAPE(6, 2), 9, NULL},
                   {FV_SHAPE(6), 10, NULL}, {FV_SHAPE(6), 11, NULL}});
  EXPECT(&r, "y0", y);
  EXPECT(&r, "y1", h_n);
  end(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(images), cmocka_unit_test(lstm), cmocka_unit_test(gru)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
