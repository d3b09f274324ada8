/* SPDX-License-Identifier: Apache-2.0 */
/* transformer.h (private): layers of a Transformer (Vaswani et al. 2017) with the norm before each part (Xiong et al.
 * 2020), and where in a sequence something stands. Parameters are named as those of torch.nn.TransformerEncoderLayer
 * and TransformerDecoderLayer. The same decoder layer runs over whole sequences and one place at a time. */
#ifndef FV_ATTENTION_TRANSFORMER_H
#define FV_ATTENTION_TRANSFORMER_H

#include "attention/attention.h"

/* ---- positions --------------------------------------------------------------------------------------------------- */
typedef enum fv_positions {
  FV_POSITIONS_SINUSOIDAL, /* Vaswani et al. 2017: sines and cosines, added */
  FV_POSITIONS_LEARNED,    /* a table of `most` rows, added */
  FV_POSITIONS_ROTARY      /* Su et al. 2021: queries and keys turned, half by half */
} fv_positions;
extern const char *const fv_position_names[]; /* "sinusoidal", "learned", "rotary", NULL */

/* Which places a value of [N,T,...] holds: the first T, or those of `at`. */
typedef struct fv_places {
  fv_positions kind;
  int64_t most;  /* places there may be */
  fv_value *at;  /* i32 [N,T]; NULL: 0 .. T-1 */
} fv_places;
/* x [N,T,E] with what says where it stands; rotary: x itself. Learned: parameter NAME.weight [most,E]. */
fv_value *fv_add_places(fv_graph *g, fv_value *x, const fv_places *places, const char *name);
/* heads [N,T,H,D], D even, turned by their places. */
fv_value *fv_turn_heads(fv_graph *g, fv_value *heads, const fv_places *places);

/* ---- layers ------------------------------------------------------------------------------------------------------ */
/* Earlier places of what is being written, one place at a time: keys and values [N,L,E]. */
typedef struct fv_cache {
  fv_value *k, *v;
  fv_value *seen;         /* u8 [N,L+1]: which of them there are; the last one, the place itself, is 1 */
  fv_value *new_k, *new_v; /* result: the place's own, [N,1,E] */
} fv_cache;

typedef struct fv_transformer_args {
  int64_t heads, hidden; /* of attention; of the two-layer net */
  double dropout;        /* of weights, hidden units and what is added to the residual */
  bool training;
  fv_value *mask;          /* u8 [N,T]: encoder: which of x there are; decoder: which of the memory; NULL: all */
  const fv_places *rotary; /* NULL: queries and keys are not turned */
  fv_cache *cache;         /* decoder: x is one place that follows these; NULL: x is all, and sees what is before */
} fv_transformer_args;

/* x [N,T,E] -> [N,T,E]; parameters self_attn.*, linear1, linear2, norm1, norm2 under the current scope. */
fv_value *fv_encoder_layer(fv_graph *g, fv_value *x, const fv_transformer_args *args);

/* A memory [N,S,E] as keys and values [N,S,E] of a decoder layer's second attention. */
typedef struct fv_memory {
  fv_value *k, *v;
} fv_memory;
fv_memory fv_decoder_memory(fv_graph *g, fv_value *memory);
/* Parameters self_attn.*, multihead_attn.*, linear1, linear2, norm1, norm2, norm3 under the current scope; the tap
 * "multihead_attn.weights" says which source a target looked at. */
fv_value *fv_decoder_layer(fv_graph *g, fv_value *x, const fv_memory *memory, const fv_transformer_args *args);

#endif
