/* SPDX-License-Identifier: Apache-2.0 */
/* decoder.h (private): recurrent decoders that look at a memory in every step.
 *   gru   Bahdanau et al. 2015: additive attention by the state before the step; what it finds is an input of the step
 *   lstm  Luong et al. 2015: the step, then multiplicative attention ("general") by the state after it; an output made
 *         of both, tanh(W [found; h]), is an input of the next step (input feeding)
 * A loop over the steps is written out in the graph: what does not depend on the step before (products of the inputs,
 * of the memory) is done for all of them before it, and the gradients of the weights are joined behind it
 * (ir/pass_join.c).
 *
 * Parameters: cell.weight_ih [G H, E+F], cell.weight_hh, cell.bias_ih, cell.bias_hh (torch.nn.GRUCell, LSTMCell of
 * [input; found or fed]); gru: attention.query.weight [A,H], attention.key.weight [A,K], attention.v [A]; lstm:
 * attention.weight [K,H], attention.combine.weight [F,K+H]; first.h (and first.c).weight, bias: the first state. */
#ifndef FV_ATTENTION_DECODER_H
#define FV_ATTENTION_DECODER_H

#include "attention/attention.h"

typedef struct fv_decoder_state {
  fv_value *h, *c, *feed; /* [N,H]; lstm: [N,H], [N,F] */
} fv_decoder_state;

typedef struct fv_decoder {
  fv_graph *g;
  bool gru;
  int64_t hidden, feed;    /* H; lstm: F */
  fv_value *memory, *mask; /* [N,S,K], u8 [N,S] */
  fv_value *projected;     /* [N,S,A] (gru) or [N,S,H] */
  fv_value *w_input, *w_state, *w_found, *b_input, *b_state, *w_query, *v, *combine;
} fv_decoder;
/* Declares the parameters for inputs of width E under the current scope. projected NULL: it is made of the memory. */
fv_decoder fv_decoder_new(fv_graph *g, bool gru, int64_t inputs, int64_t hidden, int64_t feed, fv_value *memory,
                          fv_value *mask, fv_value *projected);
/* The state before the first step, from a summary [N,K] of the source. */
fv_decoder_state fv_decoder_first(const fv_decoder *d, fv_value *summary);
/* What the inputs x [N,T,E] add to the sums of the gates: [N,T,G H]. */
fv_value *fv_decoder_inputs(const fv_decoder *d, fv_value *x);
/* One step. sums: [N,G H] of the above. `found` [N,K] and alpha [N,S]: what it looked at; may be NULL. */
fv_decoder_state fv_decoder_step(const fv_decoder *d, const fv_decoder_state *s, fv_value *sums, fv_value **found,
                                 fv_value **alpha);
/* All steps of x [N,T,E]: h [N,T,H] and found [N,T,K] (gru), or feed [N,T,F] in h's place and none (lstm); alpha
 * [N,T,S] for whom it may concern. */
void fv_decoder_run(const fv_decoder *d, fv_decoder_state s, fv_value *x, fv_value **h, fv_value **found,
                    fv_value **alpha);

#endif
