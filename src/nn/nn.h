/* SPDX-License-Identifier: Apache-2.0 */
/* nn.h (private): layers. Each only builds graph nodes and declares parameters under the current scope, with PyTorch's
 * names and shapes. Optional arguments follow by name:
 *   x = fv_conv2d(g, x, 64, 3, .stride = 2, .pad = 1, .name = "conv1");
 * All return NULL after a mistake (fv_graph_check tells). */
#ifndef FV_NN_NN_H
#define FV_NN_NN_H

#include "ir/ir.h"

typedef struct fv_conv_args {
  const char *name; /* NULL: "conv" */
  int64_t stride, pad, dilation, groups; /* 0: 1, 0, 1, 1 */
  bool no_bias;
} fv_conv_args;
/* x [N,H,W,C] -> [N,H',W',channels]; weight [channels, C/groups, kernel, kernel]. */
#define fv_conv2d(g, x, channels, kernel, ...) \
  fv_conv2d_layer((g), (x), (channels), (kernel), &(fv_conv_args){__VA_ARGS__})
fv_value *fv_conv2d_layer(fv_graph *g, fv_value *x, int64_t channels, int64_t kernel, const fv_conv_args *args);

typedef struct fv_linear_args {
  const char *name; /* NULL: "linear" */
  bool no_bias;
  fv_init init;     /* default: PyTorch's (kaiming uniform) */
} fv_linear_args;
/* x [..., I] -> [..., out]; weight [out, I], bias [out]. */
#define fv_linear(g, x, out, ...) fv_linear_layer((g), (x), (out), &(fv_linear_args){__VA_ARGS__})
fv_value *fv_linear_layer(fv_graph *g, fv_value *x, int64_t out, const fv_linear_args *args);

#define FV_TRACK_MOMENTUM 0.1 /* how fast running statistics follow: PyTorch's default */
/* Ioffe & Szegedy 2015 over all but the last axis. Training: statistics of the shard, running averages tracked.
 * Otherwise the running averages as a scale and a shift, which fusion folds into the product before. Names weight,
 * bias, running_mean, running_var. */
fv_value *fv_batch_norm(fv_graph *g, fv_value *x, const char *name, bool training);
/* Zhou et al. 2018, eq. 6: x (p + (1 - p) alpha), p the sigmoid of x normalised as in fv_batch_norm, but without weight
 * and bias. Names alpha, running_mean, running_var. */
fv_value *fv_dice(fv_graph *g, fv_value *x, const char *name, bool training);
fv_value *fv_layer_norm(fv_graph *g, fv_value *x, const char *name);
/* Srivastava et al. 2014; `rate` 0 or not training: x itself. Uses the graph's input "rng". */
fv_value *fv_dropout(fv_graph *g, fv_value *x, double rate, bool training);
/* The input "rng" i32 [4]: seed low, seed high, step, shard; made when first asked for. */
fv_value *fv_rng_input(fv_graph *g);

/* ---- sequences --------------------------------------------------------------------------------------------------- */
/* Row 0 of tables of tokens is padding: zeros that are not trained. tokens i32 [N,T] -> [N,T,width]; weight
 * [vocabulary, width], standard deviation 1 as in PyTorch, or `deviation` when it is not 0. */
#define FV_TAP_INPUT "input" /* kind of the tap on that: what the network reads of each token */
fv_value *fv_embedding(fv_graph *g, fv_value *tokens, const char *name, int64_t vocabulary, int64_t width,
                       double deviation);
fv_value *fv_token_mask(fv_graph *g, fv_value *tokens);   /* u8 [N,T]: 1 where there is a token, 0 where padding */
fv_value *fv_token_lengths(fv_graph *g, fv_value *tokens); /* i32 [N]: how many are no padding */

/* In training, tokens are <unk> with probability `rate`: the network learns to do without a word, and what <unk> is
 * (Iyyer et al. 2015). */
fv_value *fv_word_dropout(fv_graph *g, fv_value *tokens, double rate, bool training);

typedef struct fv_recurrent_args {
  const char *name; /* NULL: "lstm" or "gru" */
  bool gru, bidirectional;
  int64_t layers;   /* 0: 1 */
  double dropout;   /* between layers */
  bool training;
  fv_value *lengths; /* i32 [N]; NULL: all of T */
} fv_recurrent_args;
/* x [N,T,I] -> [N,T,H or 2H]; parameters weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ..., with _reverse. */
#define fv_recurrent_net(g, x, hidden, ...) \
  fv_recurrent_layers((g), (x), (hidden), &(fv_recurrent_args){__VA_ARGS__})
fv_value *fv_recurrent_layers(fv_graph *g, fv_value *x, int64_t hidden, const fv_recurrent_args *args);
/* Of one layer in one direction: weight_ih [G H,inputs], weight_hh [G H,H], bias_ih, bias_hh [G H], each name followed
 * by `suffix` ("_l0"). gates G: 4 of lstm, 3 of gru. */
void fv_recurrent_params(fv_graph *g, const char *suffix, int64_t gates, int64_t inputs, int64_t hidden,
                         fv_value *par[4]);

/* ---- choices that are sampled (REINFORCE) ---- */
typedef struct fv_choice {
  fv_value *index;   /* [B] i32: drawn from softmax(score); -1 where the mask leaves nothing */
  fv_value *log_p;   /* [B]: log of its probability, 0 where there is none */
  fv_value *entropy; /* [B]: of the distribution */
} fv_choice;
/* score [B,T]; noise [B,T] (Gumbel) or [B] (uniform on [0,1)), an input, so that the choice is a function of inputs;
 * mask u8 [B,T] may be NULL or absent. */
fv_choice fv_choose(fv_graph *g, fv_value *score, fv_value *noise, fv_value *mask);

typedef struct fv_reinforce_args {
  fv_value *baseline;  /* [B] or [1], of anything but the choice; NULL: none */
  bool moving_average; /* instead: that of the rewards of earlier steps, a buffer of the model */
  const char *name;    /* of the buffer; NULL: "baseline" */
  double scale;        /* of the whole term; 0: 1 */
  double entropy;      /* weight of a bonus for undecided choices; 0: none */
} fv_reinforce_args;
/* A scalar to be minimised together with the task's own loss. Its gradient is an unbiased estimate of that of
 * -scale E[reward] - entropy H (Williams 1992; Xu et al. 2015, eq. 11-13); its value means nothing. reward [B] counts
 * as a constant. */
#define fv_reinforce(g, choice, reward, ...) \
  fv_reinforce_loss((g), (choice), (reward), &(fv_reinforce_args){__VA_ARGS__})
fv_value *fv_reinforce_loss(fv_graph *g, const fv_choice *choice, fv_value *reward, const fv_reinforce_args *args);

fv_value *fv_reshape(fv_graph *g, fv_value *x, fv_shape shape); /* one dimension may be -1 */
fv_value *fv_permute(fv_graph *g, fv_value *x, fv_shape perm);
fv_value *fv_reduce(fv_graph *g, const char *op, fv_value *x, fv_shape axes, bool keepdim); /* "mean", "amax", ... */
fv_value *fv_real(fv_graph *g, fv_value *x);  /* the same numbers as the graph's real dtype */
fv_value *fv_whole(fv_graph *g, fv_value *x); /* as i32, towards 0 */
fv_value *fv_concat(fv_graph *g, int axis, int64_t n, fv_value *const *x); /* side by side; of one: itself */
/* n values [N,W] or [1,N,W], which become [N,1,W], along that axis: [N,n,W]. */
fv_value *fv_stack(fv_graph *g, int64_t n, fv_value **x);
#define fv_add(g, a, b) fv_op((g), "add", NULL, (a), (b))
#define fv_mul(g, a, b) fv_op((g), "mul", NULL, (a), (b))
#define fv_relu(g, x) fv_op((g), "relu", NULL, (x))

#endif
