/* SPDX-License-Identifier: Apache-2.0 */
/* lstm_grad: back through the steps of lstm. What goes to the weights and to x is left to products over all steps. */
#include "ops/recurrent.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  const fv_shape y = c->in[0]->shape, gates = c->in[1]->shape;
  const fv_dtype real = c->in[0]->dtype;
  FV_INFER_REQUIRE(c, y.ndim == 3 && gates.ndim == 4, "y, gates: expected [B,T,DH] and [D,B,T,4H], got %s and %s",
                   fv_shape_text(y), fv_shape_text(gates));
  const int64_t d = gates.dim[0], b = y.dim[0], t = y.dim[1], h = gates.dim[3] / 4;
  FV_INFER_REQUIRE(c, d == 1 || d == 2, "gates: expected one or two directions, got %s", fv_shape_text(gates));
  FV_TRY(fv_recurrent_check(c, 0, real, FV_SHAPE(b, t, d * h)));
  FV_TRY(fv_recurrent_check(c, 1, real, FV_SHAPE(d, b, t, 4 * h)));
  FV_TRY(fv_recurrent_check(c, 2, real, FV_SHAPE(d, b, t, h)));
  FV_TRY(fv_recurrent_check(c, 3, real, FV_SHAPE(4 * h, h)));
  FV_TRY(fv_recurrent_check(c, FV_LSTM_GRAD_DY, real, y));
  for (int i = FV_LSTM_GRAD_DH_N; i <= FV_LSTM_GRAD_C0; i++) FV_TRY(fv_recurrent_check(c, i, real, FV_SHAPE(d, b, h)));
  FV_TRY(fv_recurrent_check(c, FV_LSTM_GRAD_LENGTHS, FV_I32, FV_SHAPE(b)));
  FV_TRY(fv_recurrent_check(c, FV_LSTM_GRAD_W_HH_REVERSE, real, FV_SHAPE(4 * h, h)));
  FV_INFER_REQUIRE(c, fv_has_in(c, FV_LSTM_GRAD_W_HH_REVERSE) == (d == 2),
                   "w_hh of the reverse direction: expected it with two directions alone, got %lld", (long long)d);
  c->n_out = d == 2 ? 6 : 4;
  c->shape[0] = c->shape[1] = FV_SHAPE(d, b, h);
  c->shape[2] = c->shape[4] = FV_SHAPE(b, t, 4 * h);
  c->shape[3] = c->shape[5] = FV_SHAPE(b, t, h);
  return FV_OK;
}

static double get(const fv_tensor *t, int64_t i) { return t ? fv_get(t, i) : 0; }

/* Step s of direction d: element t comes after element `before` (-1: the first). */
static void step(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t t, int64_t before) {
  const int64_t state = d * r->b + b, row = state * r->t + t, last = state * r->t + before, H = r->h,
                place = b * r->t + t;
  const fv_tensor *dsum = &c->out[2 + 2 * d], *w = &c->in[d ? FV_LSTM_GRAD_W_HH_REVERSE : 3];
  for (int64_t j = 0; j < H; j++) {
    const int64_t at = row * 4 * H + j;
    const double i = fv_get(&c->in[1], at), f = fv_get(&c->in[1], at + H), g = fv_get(&c->in[1], at + 2 * H);
    const double o = fv_get(&c->in[1], at + 3 * H), tc = tanh(fv_get(&c->in[2], row * H + j));
    const double was =
        before >= 0 ? fv_get(&c->in[2], last * H + j) : get(fv_recurrent_in(c, FV_LSTM_GRAD_C0), state * H + j);
    const double h = before >= 0 ? fv_get(&c->in[0], ((b * r->t + before) * r->d + d) * H + j)
                                 : get(fv_recurrent_in(c, FV_LSTM_GRAD_H0), state * H + j);
    const double dh =
        fv_get(&c->out[0], state * H + j) + get(fv_recurrent_in(c, FV_LSTM_GRAD_DY), (place * r->d + d) * H + j);
    const double dc = fv_get(&c->out[1], state * H + j) + dh * o * (1 - tc * tc);
    fv_set(dsum, place * 4 * H + j, dc * g * i * (1 - i));
    fv_set(dsum, place * 4 * H + H + j, dc * was * f * (1 - f));
    fv_set(dsum, place * 4 * H + 2 * H + j, dc * i * (1 - g * g));
    fv_set(dsum, place * 4 * H + 3 * H + j, dh * tc * o * (1 - o));
    fv_set(&c->out[1], state * H + j, dc * f);
    fv_set(&c->out[3 + 2 * d], place * H + j, h);
  }
  for (int64_t k = 0; k < H; k++) {
    double sum = 0;
    for (int64_t j = 0; j < 4 * H; j++) sum += fv_get(dsum, place * 4 * H + j) * fv_get(w, j * H + k);
    fv_set(&c->out[0], state * H + k, sum);
  }
}

static void ref(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of_grad(c->node);
  for (int64_t d = 0; d < r.d; d++)
    for (int64_t b = 0; b < r.b; b++) {
      const int64_t length = fv_recurrent_length(fv_recurrent_in(c, FV_LSTM_GRAD_LENGTHS), b, r.t);
      const int64_t state = (d * r.b + b) * r.h;
      for (int64_t j = 0; j < r.h; j++) {
        fv_set(&c->out[0], state + j, get(fv_recurrent_in(c, FV_LSTM_GRAD_DH_N), state + j));
        fv_set(&c->out[1], state + j, get(fv_recurrent_in(c, FV_LSTM_GRAD_DC_N), state + j));
      }
      for (int64_t s = length - 1; s >= 0; s--)
        step(c, &r, d, b, fv_recurrent_at(d, s, length), s ? fv_recurrent_at(d, s - 1, length) : -1);
      for (int64_t t = length; t < r.t; t++) {
        for (int64_t j = 0; j < 4 * r.h; j++) fv_set(&c->out[2 + 2 * d], (b * r.t + t) * 4 * r.h + j, 0);
        for (int64_t j = 0; j < r.h; j++) fv_set(&c->out[3 + 2 * d], (b * r.t + t) * r.h + j, 0);
      }
    }
}

static fv_cost cost(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of_grad(n);
  return (fv_cost){.flops = (double)(r.d * r.b * r.t) * (double)r.h * (8 * (double)r.h + 24), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,3,5; 1,2,3,20@0..1; 1,2,3,5; 20,5; 2,3,5", .tolerance = 1e-5},
    {.in = "3,4,16; 1,3,4,64@0..1; 1,3,4,16; 64,16; 3,4,16; 1,3,16; 1,3,16; 1,3,16; 1,3,16; 3:i32@0..4",
     .tolerance = 1e-5},
    {.in = "7,5,17; 1,7,5,68@0..1; 1,7,5,17; 68,17; -; 1,7,17; -; 1,7,17", .tolerance = 1e-5},
    {.in = "3,4,6; 2,3,4,12@0..1; 2,3,4,3; 12,3; 3,4,6; 2,3,3; 2,3,3; 2,3,3; 2,3,3; 3:i32@0..4; 12,3",
     .tolerance = 1e-5},
    {.in = "1,2,66; 2,1,2,132@0..1; 2,1,2,33; 132,33; 1,2,66; -; 2,1,33; -; -; -; 132,33", .tolerance = 1e-5},
    {.in = "13,2,1; 1,13,2,4@0..1; 1,13,2,1; 4,1; 13,2,1", .tolerance = 1e-5},
    {.in = "2,0,4; 1,2,0,16; 1,2,0,4; 16,4; 2,0,4; 1,2,4"},
    {.in = "0,3,4; 1,0,3,16; 1,0,3,4; 16,4"},
    {0}};

const fv_op_def fv_op_lstm_grad = {
    .name = "lstm_grad",
    .doc =
        "dh0, dc0 and, of each direction, the gradient of the gates' sums and the states before each step; inputs y,\n"
        "gates, cells, w_hh, dy, dh_n, dc_n, h0, c0, lengths, w_hh of the reverse direction",
    .n_in = 4,
    .n_in_max = FV_LSTM_GRAD_INPUTS,
    .flags = FV_OP_PRODUCT,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = cost,
    .cases = cases};
