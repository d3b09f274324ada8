/* SPDX-License-Identifier: Apache-2.0 */
/* gru_cell_grad: back through one step of gru. */
#include "ops/cell.h"

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_cell_check(c, 0, "gates", 3, 2));
  FV_TRY(fv_cell_check(c, 1, "the state's sums", 3, 2));
  FV_TRY(fv_cell_check(c, 3, "dh", 1, 2));
  c->n_out = 3;
  c->shape[0] = c->shape[1] = c->in[0]->shape;
  c->shape[2] = c->in[2]->shape;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t B = c->in[2].shape.dim[0], H = c->in[2].shape.dim[1];
  for (int64_t b = 0; b < B; b++)
    for (int64_t j = 0; j < H; j++) {
      const int64_t at = b * H + j, gates = b * 3 * H + j;
      const double r = fv_get(&c->in[0], gates), z = fv_get(&c->in[0], gates + H), n = fv_get(&c->in[0], gates + 2 * H);
      const double dh = fv_get(&c->in[3], at), dn = dh * (1 - z) * (1 - n * n);
      const double dr = dn * fv_get(&c->in[1], gates + 2 * H) * r * (1 - r),
                   dz = dh * (fv_get(&c->in[2], at) - n) * z * (1 - z);
      const double x[] = {dr, dz, dn}, m[] = {dr, dz, dn * r};
      for (int64_t k = 0; k < 3; k++) {
        fv_set(&c->out[0], gates + k * H, x[k]);
        fv_set(&c->out[1], gates + k * H, m[k]);
      }
      fv_set(&c->out[2], at, dh * z);
    }
}

static const fv_case cases[] = {{.in = "2,15@0..1; 2,15; 2,5; 2,5"},
                                {.in = "1,3@0..1; 1,3; 1,1; 1,1"},
                                {.in = "3,48@0..1; 3,48; 3,16; 3,16"},
                                {.in = "7,51@0..1; 7,51; 7,17; 7,17"},
                                {.in = "5,99@0..1; 5,99; 5,33; 5,33"},
                                {.in = "0,6; 0,6; 0,2; 0,2"},
                                {0}};

const fv_op_def fv_op_gru_cell_grad = {
    .name = "gru_cell_grad",
    .doc = "gradients of the sums of the input's side, of the state's, and of h; inputs gates, the state's sums, h, dh",
    .n_in = 4,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = fv_cell_cost,
    .cases = cases};
