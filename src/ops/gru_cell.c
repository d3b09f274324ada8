/* SPDX-License-Identifier: Apache-2.0 */
/* gru_cell: one step of gru from its sums: r, z = sigmoid of both sides together; n = tanh(x_n + r m_n);
 * h = (1 - z) n + z h. */
#include "ops/cell.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_cell_check(c, FV_CELL_X, "the input's sums", 3, FV_CELL_H));
  FV_TRY(fv_cell_check(c, FV_CELL_M, "the state's sums", 3, FV_CELL_H));
  c->n_out = 2;
  c->shape[0] = c->in[FV_CELL_H]->shape;
  c->shape[1] = c->in[FV_CELL_X]->shape;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in, *d[3];
  fv_value *give[] = {c->node->out[1], in[FV_CELL_M], in[FV_CELL_H], c->dout[0]};
  if (!fv_op_n(c->g, "gru_cell_grad", NULL, 4, give, 3, d)) return fv_graph_check(c->g);
  for (int i = 0; i < 3; i++) c->din[i] = d[i];
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t B = c->in[FV_CELL_H].shape.dim[0], H = c->in[FV_CELL_H].shape.dim[1];
  for (int64_t b = 0; b < B; b++)
    for (int64_t j = 0; j < H; j++) {
      const int64_t at = b * H + j, gates = b * 3 * H + j;
      const double r = fv_cell_sigmoid(fv_get(&c->in[0], gates) + fv_get(&c->in[1], gates)),
                   z = fv_cell_sigmoid(fv_get(&c->in[0], gates + H) + fv_get(&c->in[1], gates + H)),
                   n = tanh(fv_get(&c->in[0], gates + 2 * H) + r * fv_get(&c->in[1], gates + 2 * H));
      fv_set(&c->out[0], at, (1 - z) * n + z * fv_get(&c->in[2], at));
      fv_set(&c->out[1], gates, r);
      fv_set(&c->out[1], gates + H, z);
      fv_set(&c->out[1], gates + 2 * H, n);
    }
}

static const fv_case cases[] = {{.in = "2,15; 2,15; 2,5"}, {.in = "1,3; 1,3; 1,1"}, {.in = "3,48@-4..4; 3,48; 3,16"},
                                {.in = "7,51; 7,51@-3..3; 7,17"}, {.in = "5,99; 5,99; 5,33"}, {.in = "0,6; 0,6; 0,2"},
                                {.in = "3,0; 3,0; 3,0"}, {0}};

const fv_op_def fv_op_gru_cell = {
    .name = "gru_cell",
    .doc = "r, z = sigmoid(x + m), n = tanh(x + r m) of sums [B,3H]; h = (1 - z) n + z h",
    .n_in = 3,
    .n_saved = 1,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = fv_cell_cost,
    .cases = cases};
