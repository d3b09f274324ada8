/* SPDX-License-Identifier: Apache-2.0 */
/* test_net.h: what tests of layers share: a network whose weights and inputs PyTorch can make too. Weight j of the
 * parameter NAME is 0.4 sin(j + strlen(NAME)); number j of input k is sin(0.9 j + k). Of each result are told the first
 * four numbers, their sum, and their product with input 5. */
#ifndef FV_TEST_NET_H
#define FV_TEST_NET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "nn/nn.h"

enum { MOST = 256 };

static inline const float *input_of(int k) {
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

static inline void begin(net *t) {
  *t = (net){0};
  assert_int_equal(fv_params_new(&t->params), FV_OK);
  assert_int_equal(fv_graph_new(t->params, FV_F32, &t->g), FV_OK);
}

static inline fv_value *input(net *t, int k, fv_shape s) {
  char name[8];
  snprintf(name, sizeof name, "in%d", k);
  return fv_input(t->g, name, FV_F32, s);
}

static inline void fill(net *t) {
  assert_int_equal(fv_slab_new(NULL, FV_ACCOUNT_PARAMETERS, t->params->size * 4, (void **)&t->slab), FV_OK);
  for (int i = 0; i < t->params->n; i++) {
    const fv_param_info *p = &t->params->v[i];
    for (int64_t j = 0; j < fv_shape_count(p->shape); j++)
      t->slab[p->offset + j] = (float)(0.4 * sin((double)j + (double)strlen(p->name)));
  }
}

static inline void run(net *t) {
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
  if (fv_exec_input(t->e, "mask") >= 0) fv_exec_bind_input(t->e, fv_exec_input(t->e, "mask"), mask);
  fv_exec_run(t->e);
}

static inline void expect(net *t, const char *output, const double want[6]) {
  const fv_tensor *y = fv_exec_output(t->e, output);
  const float *v = y->data, *by = input_of(5);
  double sum = 0, product = 0;
  for (int i = 0; i < 4; i++) assert_float_equal(v[i], want[i], 2e-6);
  for (int64_t i = 0; i < fv_shape_count(y->shape); i++) sum += (double)v[i], product += (double)v[i] * (double)by[i];
  assert_float_equal(sum, want[4], 1e-4);
  assert_float_equal(product, want[5], 1e-4);
}

static inline void end(net *t) {
  fv_exec_free(t->e);
  fv_program_free(t->p);
  fv_slab_free(t->packed);
  fv_slab_free(t->slab);
  fv_graph_free(t->g);
  fv_params_free(t->params);
}

#endif
