/* SPDX-License-Identifier: Apache-2.0 */
/* lstm_cell_grad: back through one step of lstm. */
#include "ops/cell.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_cell_check(c, FV_CELL_GRAD_GATES, "gates", 4, FV_CELL_GRAD_C));
  FV_TRY(fv_cell_check(c, FV_CELL_GRAD_NEW_C, "new c", 1, FV_CELL_GRAD_C));
  FV_TRY(fv_cell_check(c, FV_CELL_GRAD_DH, "dh", 1, FV_CELL_GRAD_C));
  FV_TRY(fv_cell_check(c, FV_CELL_GRAD_DC, "dc", 1, FV_CELL_GRAD_C));
  c->n_out = 2;
  c->shape[0] = c->in[FV_CELL_GRAD_GATES]->shape;
  c->shape[1] = c->in[FV_CELL_GRAD_C]->shape;
  return FV_OK;
}

static double get(const fv_call *c, int i, int64_t at) {
  return i < c->n_in && c->in[i].data ? fv_get(&c->in[i], at) : 0;
}

static void ref(const fv_call *c) {
  const int64_t B = c->in[1].shape.dim[0], H = c->in[1].shape.dim[1];
  for (int64_t b = 0; b < B; b++)
    for (int64_t j = 0; j < H; j++) {
      const int64_t at = b * H + j, gates = b * 4 * H + j;
      const double i = get(c, 0, gates), f = get(c, 0, gates + H), g = get(c, 0, gates + 2 * H),
                   o = get(c, 0, gates + 3 * H), t = tanh(get(c, FV_CELL_GRAD_NEW_C, at)),
                   dh = get(c, FV_CELL_GRAD_DH, at), dc = get(c, FV_CELL_GRAD_DC, at) + dh * o * (1 - t * t);
      fv_set(&c->out[0], gates, dc * g * i * (1 - i));
      fv_set(&c->out[0], gates + H, dc * get(c, FV_CELL_GRAD_C, at) * f * (1 - f));
      fv_set(&c->out[0], gates + 2 * H, dc * i * (1 - g * g));
      fv_set(&c->out[0], gates + 3 * H, dh * t * o * (1 - o));
      fv_set(&c->out[1], at, dc * f);
    }
}

static const fv_case cases[] = {{.in = "2,20@0..1; 2,5; 2,5; 2,5; 2,5"}, {.in = "3,64@0..1; 3,16; 3,16; 3,16"},
                                {.in = "7,68@0..1; 7,17; 7,17; -; 7,17"}, {.in = "5,132@0..1; 5,33; 5,33; 5,33; 5,33"},
                                {.in = "1,4@0..1; 1,1; 1,1; 1,1"}, {.in = "0,8; 0,2; 0,2; 0,2"}, {0}};

const fv_op_def fv_op_lstm_cell_grad = {
    .name = "lstm_cell_grad",
    .doc = "gradients of the sums and of c; inputs gates, c, new c, dh, dc",
    .n_in = 3,
    .n_in_max = 5,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = fv_cell_cost,
    .cases = cases};
