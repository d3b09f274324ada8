/* SPDX-License-Identifier: Apache-2.0 */
/* gru: gated recurrent unit over a whole sequence (Cho et al. 2014, in the form of cuDNN and PyTorch: the reset gate
 * acts after the product): r, z = sigmoid(W x + b + U h + d), n = tanh(W_n x + b_n + r (U_n h + d_n)),
 * h = (1 - z) n + z h. */
#include "ops/recurrent.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  fv_recurrent r;
  FV_TRY(fv_recurrent_infer(c, 3, -1, FV_GRU_LENGTHS, FV_GRU_REVERSE, &r));
  c->n_out = 3;
  c->shape[0] = FV_SHAPE(r.b, r.t, r.d * r.h);
  c->shape[1] = FV_SHAPE(r.d, r.b, r.h);
  c->shape[2] = FV_SHAPE(r.d, r.b, r.t, 4 * r.h);
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in, *const *out = c->node->out, *none = fv_absent(c->g);
  const int n = c->node->n_in;
  const bool both = ((const fv_recurrent_attrs *)c->node->attrs)->bidirectional;
  fv_value *give[FV_GRU_GRAD_INPUTS] = {out[0], out[2], in[2]}, *got[7];
  for (int i = 0; i < 2; i++) give[FV_GRU_GRAD_DY + i] = c->dout[i] ? c->dout[i] : none;
  for (int i = 0; i < 2; i++) give[FV_GRU_GRAD_H0 + i] = n > FV_GRU_H0 + i ? in[FV_GRU_H0 + i] : none;
  give[FV_GRU_GRAD_W_HH_REVERSE] = both ? in[FV_GRU_REVERSE + 1] : none;
  if (!fv_op_n(c->g, "gru_grad", NULL, FV_GRU_GRAD_INPUTS, give, both ? 7 : 4, got)) return fv_graph_check(c->g);
  fv_recurrent_grad_weights(c, 1, got[1], got[2], got[3]);
  if (both) fv_recurrent_grad_weights(c, FV_GRU_REVERSE, got[4], got[5], got[6]);
  if (n > FV_GRU_H0 && c->need[FV_GRU_H0]) c->din[FV_GRU_H0] = got[0];
  return FV_OK;
}

static double get(const fv_tensor *t, int64_t i) { return t ? fv_get(t, i) : 0; }

static double input_sum(const fv_call *c, const fv_recurrent *r, int first, int64_t j, int64_t row) {
  double sum = get(fv_recurrent_in(c, first + 2), j);
  for (int64_t k = 0; k < r->i; k++) sum += fv_get(&c->in[0], row * r->i + k) * fv_get(&c->in[first], j * r->i + k);
  return sum;
}
static double state_sum(const fv_call *c, const fv_recurrent *r, int first, int64_t j, int64_t row) {
  double sum = get(fv_recurrent_in(c, first + 3), j);
  for (int64_t k = 0; k < r->h; k++)
    sum += fv_get(&c->out[1], row * r->h + k) * fv_get(&c->in[first + 1], j * r->h + k);
  return sum;
}

static void step(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t t) {
  const int first = d ? FV_GRU_REVERSE : 1;
  const int64_t state = d * r->b + b, at = (state * r->t + t) * 4 * r->h, H = r->h, place = b * r->t + t;
  for (int64_t j = 0; j < H; j++) {
    double gate[2];
    for (int64_t k = 0; k < 2; k++) {
      const double v = input_sum(c, r, first, k * H + j, place) + state_sum(c, r, first, k * H + j, state);
      gate[k] = 1 / (1 + exp(-v));
      fv_set(&c->out[2], at + k * H + j, gate[k]);
    }
    const double m = state_sum(c, r, first, 2 * H + j, state);
    fv_set(&c->out[2], at + 2 * H + j, tanh(input_sum(c, r, first, 2 * H + j, place) + gate[0] * m));
    fv_set(&c->out[2], at + 3 * H + j, m);
  }
  for (int64_t j = 0; j < H; j++) {
    const double z = fv_get(&c->out[2], at + H + j), n = fv_get(&c->out[2], at + 2 * H + j);
    const double h = (1 - z) * n + z * fv_get(&c->out[1], state * H + j);
    fv_set(&c->out[1], state * H + j, h);
    fv_set(&c->out[0], (place * r->d + d) * H + j, h);
  }
}

static void ref(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of(c->node);
  for (int64_t d = 0; d < r.d; d++)
    for (int64_t b = 0; b < r.b; b++) {
      const int64_t length = fv_recurrent_length(fv_recurrent_in(c, FV_GRU_LENGTHS), b, r.t), state = d * r.b + b;
      for (int64_t j = 0; j < r.h; j++)
        fv_set(&c->out[1], state * r.h + j, get(fv_recurrent_in(c, FV_GRU_H0), state * r.h + j));
      for (int64_t s = 0; s < length; s++) step(c, &r, d, b, fv_recurrent_at(d, s, length));
      for (int64_t t = length; t < r.t; t++) {
        for (int64_t j = 0; j < 4 * r.h; j++) fv_set(&c->out[2], (state * r.t + t) * 4 * r.h + j, 0);
        for (int64_t j = 0; j < r.h; j++) fv_set(&c->out[0], ((b * r.t + t) * r.d + d) * r.h + j, 0);
      }
    }
}

static fv_cost cost(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of(n);
  const double steps = (double)(r.d * r.b * r.t), h = (double)r.h;
  return (fv_cost){.flops = steps * h * (6 * (double)(r.i + r.h) + 14), .bytes = fv_cost_io(n)};
}

#define TOLERANCE 1e-5 /* rounding grows with the steps */
static const fv_case cases[] = {
    {.in = "2,3,4; 15,4; 15,5; 15; 15", .tolerance = TOLERANCE},
    {.in = "3,4,5; 48,5; 48,16; 48; 48; 1,3,16; 3:i32@0..4", .tolerance = TOLERANCE},
    {.in = "7,5,3; 51,3; 51,17; -; -; 1,7,17", .tolerance = TOLERANCE},
    {.in = "2,6,3; 21,3; 21,7; -; -; -; 2:i32@-1..8", .tolerance = TOLERANCE},
    {.in = "3,5,4; 9,4; 9,3; 9; 9; 2,3,3; 3:i32@0..5; 9,4; 9,3; 9; 9",
     .attrs = "bidirectional=true",
     .tolerance = TOLERANCE},
    {.in = "1,2,1; 99,1; 99,33; -; -; -; -; 99,1; 99,33", .attrs = "bidirectional=true", .tolerance = TOLERANCE},
    {.in = "13,2,3; 3,3; 3,1; 3; 3", .tolerance = TOLERANCE},
    {.in = "1,1,2; 45,2; 45,15; 45; 45; 1,1,15", .tolerance = TOLERANCE},
    {.in = "2,0,3; 12,3; 12,4; 12; 12; 1,2,4"},
    {.in = "0,3,2; 12,2; 12,4"},
    {0}};

const fv_op_def fv_op_gru = {
    .name = "gru",
    .doc = "r, z = sigmoid(W x + b + U h + d); n = tanh(W x + b + r (U h + d)); h = (1 - z) n + z h, step by step\n"
           "(Cho et al. 2014); inputs x, w_ih, w_hh, b_ih, b_hh, h0, lengths, reverse weights",
    .n_in = 3,
    .n_in_max = FV_GRU_INPUTS,
    .n_saved = 1,
    .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_recurrent_attrs),
    .attrs = fv_recurrent_options,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
