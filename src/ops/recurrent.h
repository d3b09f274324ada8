/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.h: what lstm and gru share. PyTorch's weights and order of gates; sequences are [B,T,...].
 *
 * Inputs of lstm: x [B,T,I], w_ih [4H,I], w_hh [4H,H], b_ih [4H], b_hh [4H], h0 [D,B,H], c0 [D,B,H], lengths i32 [B],
 * and with `bidirectional` (D = 2) w_ih, w_hh, b_ih, b_hh of the reverse direction. gru: 3H for 4H, and no c0. Biases,
 * h0, c0 and lengths may be absent. Beyond a sequence's length (clamped to 0..T) x is not looked at and y is 0; the
 * reverse direction begins at its last element; h_n and c_n are the states after its last step.
 * Outputs of lstm: y [B,T,D*H], h_n [D,B,H], c_n [D,B,H], and for the gradient gates [D,B,T,4H], cells [D,B,T,H].
 * Outputs of gru: y, h_n, gates [D,B,T,4H] (r, z, n and W_hn h + b_hn). */
#ifndef FV_OPS_RECURRENT_H
#define FV_OPS_RECURRENT_H

#include "ir/ir.h"

typedef struct fv_recurrent_attrs {
  bool bidirectional;
} fv_recurrent_attrs;
typedef fv_recurrent_attrs fv_lstm_attrs, fv_gru_attrs;
extern const fv_option fv_recurrent_options[];

/* Positions of inputs; those of the reverse direction's weights follow each other as 1..4 do. */
enum { FV_LSTM_H0 = 5, FV_LSTM_C0 = 6, FV_LSTM_LENGTHS = 7, FV_LSTM_REVERSE = 8, FV_LSTM_INPUTS = 12 };
enum { FV_GRU_H0 = 5, FV_GRU_LENGTHS = 6, FV_GRU_REVERSE = 7, FV_GRU_INPUTS = 11 };
/* lstm_grad: y, gates, cells, w_hh, then as may be given; its outputs: dh0, dc0, and for each direction the gradient of
 * the sums before the gates' functions [B,T,4H] and the states before each step [B,T,H]: what the weights' gradients
 * are products of, left to matmul. */
enum {
  FV_LSTM_GRAD_DY = 4,
  FV_LSTM_GRAD_DH_N,
  FV_LSTM_GRAD_DC_N,
  FV_LSTM_GRAD_H0,
  FV_LSTM_GRAD_C0,
  FV_LSTM_GRAD_LENGTHS,
  FV_LSTM_GRAD_W_HH_REVERSE,
  FV_LSTM_GRAD_INPUTS
};
/* gru_grad: y, gates, w_hh, ...; outputs: dh0, and for each direction the gradients of the sums of the input's side and
 * of the state's side [B,T,3H] (they differ in n), and the states before each step. */
enum { FV_GRU_GRAD_DY = 3, FV_GRU_GRAD_DH_N, FV_GRU_GRAD_H0, FV_GRU_GRAD_LENGTHS, FV_GRU_GRAD_W_HH_REVERSE,
       FV_GRU_GRAD_INPUTS };

typedef struct fv_recurrent {
  int64_t b, t, i, h, d; /* batch, steps, input width, hidden width, directions */
} fv_recurrent;
fv_recurrent fv_recurrent_of(const fv_node *n);      /* of lstm and gru */
fv_recurrent fv_recurrent_of_grad(const fv_node *n); /* of their gradients; i is 0 */

/* Steps of sequence b. */
static inline int64_t fv_recurrent_length(const fv_tensor *lengths, int64_t b, int64_t t) {
  if (!lengths || !lengths->data) return t;
  const int64_t n = ((const int32_t *)lengths->data)[b];
  return FV_MIN(FV_MAX(n, 0), t);
}
/* Which element of the sequence direction d visits in step s. */
static inline int64_t fv_recurrent_at(int64_t d, int64_t s, int64_t length) { return d ? length - 1 - s : s; }
static inline const fv_tensor *fv_recurrent_in(const fv_call *c, int i) {
  return i < c->n_in && c->in[i].data ? &c->in[i] : NULL;
}

/* Checks the inputs of lstm (gates 4) or gru (3); `c0` -1: none. */
fv_status fv_recurrent_infer(const fv_infer *c, int gates, int c0, int lengths, int reverse, fv_recurrent *r);
/* Refuses input i (absent is fine) that is not of shape s. */
fv_status fv_recurrent_check(const fv_infer *c, int i, fv_dtype dtype, fv_shape s);
/* Gradients of x, w_ih, w_hh and the biases of one direction, whose weights are inputs first..first+3, from the
 * gradients of the sums (dx_sum: of the input's side, dh_sum: of the state's) and the states before each step. */
void fv_recurrent_grad_weights(fv_grad *c, int first, fv_value *dx_sum, fv_value *dh_sum, fv_value *before);

#endif
