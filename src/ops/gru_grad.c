/* SPDX-License-Identifier: Apache-2.0 */
/* gru_grad: back through the steps of gru. What goes to the weights and to x is left to products over all steps. */
#include "ops/recurrent.h"

static fv_status infer(fv_infer *c) {
  const fv_shape y = c->in[0]->shape, gates = c->in[1]->shape;
  const fv_dtype real = c->in[0]->dtype;
  FV_INFER_REQUIRE(c, y.ndim == 3 && gates.ndim == 4, "y, gates: expected [B,T,DH] and [D,B,T,4H], got %s and %s",
                   fv_shape_text(y), fv_shape_text(gates));
  const int64_t d = gates.dim[0], b = y.dim[0], t = y.dim[1], h = gates.dim[3] / 4;
  FV_INFER_REQUIRE(c, d == 1 || d == 2, "gates: expected one or two directions, got %s", fv_shape_text(gates));
  FV_TRY(fv_recurrent_check(c, 0, real, FV_SHAPE(b, t, d * h)));
  FV_TRY(fv_recurrent_check(c, 1, real, FV_SHAPE(d, b, t, 4 * h)));
  FV_TRY(fv_recurrent_check(c, 2, real, FV_SHAPE(3 * h, h)));
  FV_TRY(fv_recurrent_check(c, FV_GRU_GRAD_DY, real, y));
  FV_TRY(fv_recurrent_check(c, FV_GRU_GRAD_DH_N, real, FV_SHAPE(d, b, h)));
  FV_TRY(fv_recurrent_check(c, FV_GRU_GRAD_H0, real, FV_SHAPE(d, b, h)));
  FV_TRY(fv_recurrent_check(c, FV_GRU_GRAD_LENGTHS, FV_I32, FV_SHAPE(b)));
  FV_TRY(fv_recurrent_check(c, FV_GRU_GRAD_W_HH_REVERSE, real, FV_SHAPE(3 * h, h)));
  FV_INFER_REQUIRE(c, fv_has_in(c, FV_GRU_GRAD_W_HH_REVERSE) == (d == 2),
                   "w_hh of the reverse direction: expected it with two directions alone, got %lld", (long long)d);
  c->n_out = d == 2 ? 7 : 4;
  c->shape[0] = FV_SHAPE(d, b, h);
  for (int i = 1; i < c->n_out; i++) c->shape[i] = FV_SHAPE(b, t, i % 3 ? 3 * h : h);
  return FV_OK;
}

static double get(const fv_tensor *t, int64_t i) { return t ? fv_get(t, i) : 0; }

/* Element t comes after element `before` (-1: the first). */
static void step(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t t, int64_t before) {
  const int64_t state = d * r->b + b, H = r->h, place = b * r->t + t, at = (state * r->t + t) * 4 * H;
  const fv_tensor *dx = &c->out[1 + 3 * d], *dm = &c->out[2 + 3 * d], *w = &c->in[d ? FV_GRU_GRAD_W_HH_REVERSE : 2];
  for (int64_t j = 0; j < H; j++) {
    const double gr = fv_get(&c->in[1], at + j), z = fv_get(&c->in[1], at + H + j),
                 n = fv_get(&c->in[1], at + 2 * H + j);
    const double m = fv_get(&c->in[1], at + 3 * H + j);
    const double h = before >= 0 ? fv_get(&c->in[0], ((b * r->t + before) * r->d + d) * H + j)
                                 : get(fv_recurrent_in(c, FV_GRU_GRAD_H0), state * H + j);
    const double dh =
        fv_get(&c->out[0], state * H + j) + get(fv_recurrent_in(c, FV_GRU_GRAD_DY), (place * r->d + d) * H + j);
    const double dn = dh * (1 - z) * (1 - n * n), dr = dn * m * gr * (1 - gr), dz = dh * (h - n) * z * (1 - z);
    const double left[3] = {dr, dz, dn}, right[3] = {dr, dz, dn * gr};
    for (int64_t k = 0; k < 3; k++) {
      fv_set(dx, (place * 3 + k) * H + j, left[k]);
      fv_set(dm, (place * 3 + k) * H + j, right[k]);
    }
    fv_set(&c->out[0], state * H + j, dh * z);
    fv_set(&c->out[3 + 3 * d], place * H + j, h);
  }
  for (int64_t k = 0; k < H; k++) {
    double sum = fv_get(&c->out[0], state * H + k);
    for (int64_t j = 0; j < 3 * H; j++) sum += fv_get(dm, place * 3 * H + j) * fv_get(w, j * H + k);
    fv_set(&c->out[0], state * H + k, sum);
  }
}

static void ref(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of_grad(c->node);
  for (int64_t d = 0; d < r.d; d++)
    for (int64_t b = 0; b < r.b; b++) {
      const int64_t length = fv_recurrent_length(fv_recurrent_in(c, FV_GRU_GRAD_LENGTHS), b, r.t),
                    state = (d * r.b + b) * r.h;
      for (int64_t j = 0; j < r.h; j++)
        fv_set(&c->out[0], state + j, get(fv_recurrent_in(c, FV_GRU_GRAD_DH_N), state + j));
      for (int64_t s = length - 1; s >= 0; s--)
        step(c, &r, d, b, fv_recurrent_at(d, s, length), s ? fv_recurrent_at(d, s - 1, length) : -1);
      for (int64_t j = length * 3 * r.h; j < r.t * 3 * r.h; j++) {
        fv_set(&c->out[1 + 3 * d], b * r.t * 3 * r.h + j, 0);
        fv_set(&c->out[2 + 3 * d], b * r.t * 3 * r.h + j, 0);
      }
      for (int64_t j = length * r.h; j < r.t * r.h; j++) fv_set(&c->out[3 + 3 * d], b * r.t * r.h + j, 0);
    }
}

static fv_cost cost(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of_grad(n);
  return (fv_cost){.flops = (double)(r.d * r.b * r.t) * (double)r.h * (6 * (double)r.h + 18), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,3,5; 1,2,3,20@0..1; 15,5; 2,3,5", .tolerance = 1e-5},
    {.in = "3,4,16; 1,3,4,64@0..1; 48,16; 3,4,16; 1,3,16; 1,3,16; 3:i32@0..4", .tolerance = 1e-5},
    {.in = "7,5,17; 1,7,5,68@0..1; 51,17; -; 1,7,17; 1,7,17", .tolerance = 1e-5},
    {.in = "3,4,6; 2,3,4,12@0..1; 9,3; 3,4,6; 2,3,3; 2,3,3; 3:i32@0..4; 9,3", .tolerance = 1e-5},
    {.in = "1,2,66; 2,1,2,132@0..1; 99,33; 1,2,66; -; -; -; 99,33", .tolerance = 1e-5},
    {.in = "13,2,1; 1,13,2,4@0..1; 3,1; 13,2,1", .tolerance = 1e-5},
    {.in = "2,0,4; 1,2,0,16; 12,4; 2,0,4; 1,2,4"},
    {.in = "0,3,4; 1,0,3,16; 12,4"},
    {0}};

const fv_op_def fv_op_gru_grad = {
    .name = "gru_grad",
    .doc = "dh0 and, of each direction, the gradients of the sums on the input's and the state's side and the states\n"
           "before each step; inputs y, gates, w_hh, dy, dh_n, h0, lengths, w_hh of the reverse direction",
    .n_in = 3,
    .n_in_max = FV_GRU_GRAD_INPUTS,
    .flags = FV_OP_PRODUCT,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = cost,
    .cases = cases};
