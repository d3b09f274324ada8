/* SPDX-License-Identifier: Apache-2.0 */
/* lstm_cell: one step of lstm from the sums of its gates: i, f, o = sigmoid(.), g = tanh(.); c = f c + i g;
 * h = o tanh(c). */
#include "ops/cell.h"

#include <math.h>

fv_status fv_cell_check(const fv_infer *c, int i, const char *what, int64_t gates, int state) {
  const fv_shape s = c->in[state]->shape;
  FV_INFER_REQUIRE(c, s.ndim == 2, "state: expected [B,H], got %s", fv_shape_text(s));
  if (!fv_has_in(c, i)) return FV_OK;
  const fv_shape want = FV_SHAPE(s.dim[0], gates * s.dim[1]);
  FV_INFER_REQUIRE(c, c->in[i]->dtype == c->in[0]->dtype && fv_shape_equal(c->in[i]->shape, want),
                   "%s: expected %s, got %s", what, fv_shape_text(want), fv_shape_text(c->in[i]->shape));
  return FV_OK;
}

fv_cost fv_cell_cost(const fv_node *n) {
  return (fv_cost){.flops = 6 * (double)fv_shape_count(n->in[0]->shape), .bytes = fv_cost_io(n)};
}

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_cell_check(c, FV_CELL_SUMS, "sums", 4, FV_CELL_C));
  c->n_out = 3;
  c->shape[0] = c->shape[1] = c->in[FV_CELL_C]->shape;
  c->shape[2] = c->in[FV_CELL_SUMS]->shape;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in, *const *out = c->node->out, *none = fv_absent(c->g), *d[2];
  fv_value *give[] = {out[2], in[FV_CELL_C], out[1], c->dout[0] ? c->dout[0] : none, c->dout[1] ? c->dout[1] : none};
  if (!fv_op_n(c->g, "lstm_cell_grad", NULL, 5, give, 2, d)) return fv_graph_check(c->g);
  c->din[FV_CELL_SUMS] = d[0];
  c->din[FV_CELL_C] = d[1];
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t B = c->in[1].shape.dim[0], H = c->in[1].shape.dim[1];
  for (int64_t b = 0; b < B; b++)
    for (int64_t j = 0; j < H; j++) {
      double v[4];
      for (int64_t g = 0; g < 4; g++) {
        const double x = fv_get(&c->in[0], (b * 4 + g) * H + j);
        fv_set(&c->out[2], (b * 4 + g) * H + j, v[g] = g == 2 ? tanh(x) : fv_cell_sigmoid(x));
      }
      const double cell = v[1] * fv_get(&c->in[1], b * H + j) + v[0] * v[2];
      fv_set(&c->out[1], b * H + j, cell);
      fv_set(&c->out[0], b * H + j, v[3] * tanh(cell));
    }
}

static const fv_case cases[] = {
    {.in = "2,20; 2,5"},   {.in = "1,4; 1,1"}, {.in = "3,64@-4..4; 3,16"}, {.in = "7,68; 7,17@-3..3"},
    {.in = "5,132; 5,33"}, {.in = "0,8; 0,2"}, {.in = "3,0; 3,0"},         {0}};

const fv_op_def fv_op_lstm_cell = {
    .name = "lstm_cell",
    .doc = "i, f, o = sigmoid, g = tanh of the sums [B,4H]; c = f c + i g; h = o tanh(c): outputs h, c",
    .n_in = 2,
    .n_saved = 1,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = fv_cell_cost,
    .cases = cases};
