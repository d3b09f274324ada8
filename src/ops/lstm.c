/* SPDX-License-Identifier: Apache-2.0 */
/* lstm: long short-term memory over a whole sequence (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et
 * al. 2000): i, f, o = sigmoid(.), g = tanh(.) of W_ih x + b_ih + W_hh h + b_hh; c = f c + i g; h = o tanh(c). */
#include "ops/recurrent.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  fv_recurrent r;
  FV_TRY(fv_recurrent_infer(c, 4, FV_LSTM_C0, FV_LSTM_LENGTHS, FV_LSTM_REVERSE, &r));
  c->n_out = 5;
  c->shape[0] = FV_SHAPE(r.b, r.t, r.d * r.h);
  c->shape[1] = c->shape[2] = FV_SHAPE(r.d, r.b, r.h);
  c->shape[3] = FV_SHAPE(r.d, r.b, r.t, 4 * r.h);
  c->shape[4] = FV_SHAPE(r.d, r.b, r.t, r.h);
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in, *const *out = c->node->out, *none = fv_absent(c->g);
  const int n = c->node->n_in;
  const bool both = ((const fv_recurrent_attrs *)c->node->attrs)->bidirectional;
  fv_value *give[FV_LSTM_GRAD_INPUTS] = {out[0], out[3], out[4], in[2]}, *got[6];
  for (int i = 0; i < 3; i++) give[FV_LSTM_GRAD_DY + i] = c->dout[i] ? c->dout[i] : none;
  for (int i = 0; i < 3; i++) give[FV_LSTM_GRAD_H0 + i] = n > FV_LSTM_H0 + i ? in[FV_LSTM_H0 + i] : none;
  give[FV_LSTM_GRAD_W_HH_REVERSE] = both ? in[FV_LSTM_REVERSE + 1] : none;
  if (!fv_op_n(c->g, "lstm_grad", NULL, FV_LSTM_GRAD_INPUTS, give, both ? 6 : 4, got)) return fv_graph_check(c->g);
  fv_recurrent_grad_weights(c, 1, got[2], got[2], got[3]);
  if (both) fv_recurrent_grad_weights(c, FV_LSTM_REVERSE, got[4], got[4], got[5]);
  for (int i = 0; i < 2; i++)
    if (n > FV_LSTM_H0 + i && c->need[FV_LSTM_H0 + i]) c->din[FV_LSTM_H0 + i] = got[i];
  return FV_OK;
}

static double get(const fv_tensor *t, int64_t i) { return t ? fv_get(t, i) : 0; }

/* Row `j` of the four gates' sums for the element x_row, from state row h_row. */
static double gate_sum(const fv_call *c, const fv_recurrent *r, int first, int64_t j, int64_t x_row, int64_t h_row) {
  double sum = get(fv_recurrent_in(c, first + 2), j) + get(fv_recurrent_in(c, first + 3), j);
  for (int64_t k = 0; k < r->i; k++) sum += fv_get(&c->in[0], x_row * r->i + k) * fv_get(&c->in[first], j * r->i + k);
  for (int64_t k = 0; k < r->h; k++)
    sum += fv_get(&c->out[1], h_row * r->h + k) * fv_get(&c->in[first + 1], j * r->h + k);
  return sum;
}

static void step(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t t) {
  const int first = d ? FV_LSTM_REVERSE : 1;
  const int64_t state = d * r->b + b, row = state * r->t + t, H = r->h;
  for (int64_t j = 0; j < 4 * H; j++) {
    const double v = gate_sum(c, r, first, j, b * r->t + t, state);
    fv_set(&c->out[3], row * 4 * H + j, j / H == 2 ? tanh(v) : 1 / (1 + exp(-v)));
  }
  for (int64_t j = 0; j < H; j++) {
    const int64_t at = row * 4 * H + j;
    const double i = fv_get(&c->out[3], at), f = fv_get(&c->out[3], at + H), g = fv_get(&c->out[3], at + 2 * H);
    const double cell = f * fv_get(&c->out[2], state * H + j) + i * g;
    const double h = fv_get(&c->out[3], at + 3 * H) * tanh(cell);
    fv_set(&c->out[2], state * H + j, cell);
    fv_set(&c->out[4], row * H + j, cell);
    fv_set(&c->out[1], state * H + j, h);
    fv_set(&c->out[0], ((b * r->t + t) * r->d + d) * H + j, h);
  }
}

static void blank(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t t) {
  const int64_t row = (d * r->b + b) * r->t + t;
  for (int64_t j = 0; j < 4 * r->h; j++) fv_set(&c->out[3], row * 4 * r->h + j, 0);
  for (int64_t j = 0; j < r->h; j++) fv_set(&c->out[4], row * r->h + j, 0);
  for (int64_t j = 0; j < r->h; j++) fv_set(&c->out[0], ((b * r->t + t) * r->d + d) * r->h + j, 0);
}

static void ref(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of(c->node);
  for (int64_t d = 0; d < r.d; d++)
    for (int64_t b = 0; b < r.b; b++) {
      const int64_t length = fv_recurrent_length(fv_recurrent_in(c, FV_LSTM_LENGTHS), b, r.t),
                    state = (d * r.b + b) * r.h;
      for (int64_t j = 0; j < r.h; j++) {
        fv_set(&c->out[1], state + j, get(fv_recurrent_in(c, FV_LSTM_H0), state + j));
        fv_set(&c->out[2], state + j, get(fv_recurrent_in(c, FV_LSTM_C0), state + j));
      }
      for (int64_t s = 0; s < length; s++) step(c, &r, d, b, fv_recurrent_at(d, s, length));
      for (int64_t t = length; t < r.t; t++) blank(c, &r, d, b, t);
    }
}

static fv_cost cost(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of(n);
  const double steps = (double)(r.d * r.b * r.t), h = (double)r.h;
  return (fv_cost){.flops = steps * h * (8 * (double)(r.i + r.h) + 17), .bytes = fv_cost_io(n)};
}

#define TOLERANCE 1e-5 /* rounding grows with the steps */
static const fv_case cases[] = {
    {.in = "2,3,4; 20,4; 20,5; 20; 20", .tolerance = TOLERANCE},
    {.in = "3,4,5; 64,5; 64,16; 64; 64; 1,3,16; 1,3,16; 3:i32@0..4", .tolerance = TOLERANCE},
    {.in = "7,5,3; 68,3; 68,17; -; -; 1,7,17; 1,7,17", .tolerance = TOLERANCE},
    {.in = "2,6,3; 28,3; 28,7; -; -; -; -; 2:i32@-1..8", .tolerance = TOLERANCE},
    {.in = "3,5,4; 12,4; 12,3; 12; 12; 2,3,3; 2,3,3; 3:i32@0..5; 12,4; 12,3; 12; 12", .attrs = "bidirectional=true",
     .tolerance = TOLERANCE},
    {.in = "1,2,1; 132,1; 132,33; -; -; -; -; -; 132,1; 132,33", .attrs = "bidirectional=true", .tolerance = TOLERANCE},
    {.in = "13,2,3; 4,3; 4,1; 4; 4", .tolerance = TOLERANCE},
    {.in = "1,1,2; 60,2; 60,15; 60; 60; 1,1,15; 1,1,15", .tolerance = TOLERANCE},
    {.in = "2,0,3; 16,3; 16,4; 16; 16; 1,2,4; 1,2,4"},
    {.in = "0,3,2; 16,2; 16,4"},
    {0}};

const fv_op_def fv_op_lstm = {
    .name = "lstm",
    .doc = "i, f, o = sigmoid(W x + b + U h + d), g = tanh(the like); c = f c + i g; h = o tanh(c), step by step\n"
           "(Hochreiter & Schmidhuber 1997); inputs x, w_ih, w_hh, b_ih, b_hh, h0, c0, lengths, reverse weights",
    .n_in = 3,
    .n_in_max = FV_LSTM_INPUTS,
    .n_saved = 2,
    .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_recurrent_attrs),
    .attrs = fv_recurrent_options,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
