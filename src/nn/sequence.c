/* SPDX-License-Identifier: Apache-2.0 */
/* sequence.c: the layers of nn.h that read sequences. */
#include "nn/nn.h"
#include "ops/lookup.h"
#include "ops/recurrent.h"

fv_value *fv_embedding(fv_graph *g, fv_value *tokens, const char *name, int64_t vocabulary, int64_t width,
                       double deviation) {
  fv_init normal = {.kind = FV_INIT_NORMAL, .a = deviation > 0 ? deviation : 1, .padding = true};
  fv_scope_push(g, "%s", name);
  fv_value *w = fv_param(g, "weight", FV_SHAPE(vocabulary, width), normal, FV_GROUP_ROWS);
  fv_value *x = fv_op(g, "embedding", &(fv_embedding_attrs){.padding_idx = 0}, w, tokens);
  x = fv_op(g, "where", NULL, fv_reshape(g, fv_token_mask(g, tokens), FV_SHAPE(fv_dim(tokens, 0), -1, 1)), x,
            fv_const(g, 0));
  fv_tap(g, "read", FV_TAP_INPUT, x);
  fv_scope_pop(g);
  return x;
}

fv_value *fv_token_mask(fv_graph *g, fv_value *tokens) {
  return fv_op(g, "ne", NULL, tokens, fv_const_data(g, FV_I32, FV_SCALAR, (int32_t[]){0}));
}

fv_value *fv_token_lengths(fv_graph *g, fv_value *tokens) {
  return fv_whole(g, fv_reduce(g, "sum", fv_real(g, fv_token_mask(g, tokens)), FV_SHAPE(1), false));
}

fv_value *fv_word_dropout(fv_graph *g, fv_value *tokens, double rate, bool training) {
  if (!training || rate <= 0) return tokens;
  fv_value *mask = fv_token_mask(g, tokens);
  fv_value *kept = fv_op(g, "gt", NULL, fv_dropout(g, fv_real(g, mask), rate, true), fv_const(g, 0));
  /* The mask as numbers is <unk> where there is a token and <pad> where there is none. */
  return fv_op(g, "where", NULL, kept, tokens, fv_whole(g, mask));
}

void fv_recurrent_params(fv_graph *g, const char *suffix, int64_t gates, int64_t inputs, int64_t hidden,
                         fv_value *par[4]) {
  const fv_init init = {.kind = FV_INIT_UNIFORM, .a = 1 / __builtin_sqrt((double)FV_MAX(hidden, 1))};
  static const char *const names[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  for (int i = 0; i < 4; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", names[i], suffix);
    fv_shape shape = i == 0   ? FV_SHAPE(gates * hidden, inputs)
                     : i == 1 ? FV_SHAPE(gates * hidden, hidden)
                              : FV_SHAPE(gates * hidden);
    par[i] = fv_param(g, name, shape, init, i < 2 ? FV_GROUP_DECAY : FV_GROUP_NO_DECAY);
  }
}

static void layer_params(fv_graph *g, int64_t layer, const char *direction, int64_t gates, int64_t inputs,
                         int64_t hidden, fv_value *par[4]) {
  char suffix[32];
  snprintf(suffix, sizeof suffix, "_l%lld%s", (long long)layer, direction);
  fv_recurrent_params(g, suffix, gates, inputs, hidden, par);
}

static fv_value *one_layer(fv_graph *g, fv_value *x, int64_t hidden, int64_t layer, const fv_recurrent_args *a) {
  fv_value *in[FV_LSTM_INPUTS], *none = fv_absent(g);
  const int64_t gates = a->gru ? 3 : 4;
  const int lengths = a->gru ? FV_GRU_LENGTHS : FV_LSTM_LENGTHS, reverse = a->gru ? FV_GRU_REVERSE : FV_LSTM_REVERSE;
  for (int i = 0; i < FV_LSTM_INPUTS; i++) in[i] = none;
  in[0] = x;
  layer_params(g, layer, "", gates, fv_dim(x, 2), hidden, in + 1);
  if (a->lengths) in[lengths] = a->lengths;
  if (a->bidirectional) layer_params(g, layer, "_reverse", gates, fv_dim(x, 2), hidden, in + reverse);
  const fv_recurrent_attrs attrs = {.bidirectional = a->bidirectional};
  return fv_op_apply(g, a->gru ? "gru" : "lstm", &attrs, reverse + (a->bidirectional ? 4 : 0), in);
}

fv_value *fv_recurrent_layers(fv_graph *g, fv_value *x, int64_t hidden, const fv_recurrent_args *a) {
  fv_scope_push(g, "%s", a->name ? a->name : a->gru ? "gru" : "lstm");
  for (int64_t i = 0; i < FV_MAX(a->layers, 1); i++) {
    if (i > 0) x = fv_dropout(g, x, a->dropout, a->training);
    x = one_layer(g, x, hidden, i, a);
  }
  fv_scope_pop(g);
  return x;
}
