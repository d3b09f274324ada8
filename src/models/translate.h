/* SPDX-License-Identifier: Apache-2.0 */
/* translate.h (private to the recipe translate): its settings, and what its kinds of network have in common. */
#ifndef FV_MODELS_TRANSLATE_H
#define FV_MODELS_TRANSLATE_H

#include "attention/transformer.h"
#include "models/recipe.h"

enum { FV_CELL_GRU, FV_CELL_LSTM, FV_CELL_TRANSFORMER };

typedef struct fv_translate {
  int64_t cell, width, hidden, layers, heads, positions;
  double dropout;
  bool tie;
} fv_translate;

/* What is being built. */
typedef struct fv_translation {
  fv_graph *g;
  const fv_translate *s;
  const fv_problem *task;
  fv_mode mode;
  int64_t n;        /* sentences */
  fv_value *source; /* i32 [n,S] */
  fv_value *mask;   /* u8 [n,S] */
} fv_translation;

/* tokens [n,T] of the source or of what is written, as vectors [n,T,width]. */
fv_value *fv_translate_embed(const fv_translation *t, fv_value *tokens, bool written);
/* x [n,T,E] -> logits [n,T,V]. */
fv_value *fv_translate_logits(const fv_translation *t, fv_value *x);
/* Input or output "NAME.i", as recipe.h says of what goes from step to step. */
fv_value *fv_translate_input(const fv_translation *t, const char *name, int64_t i, fv_shape shape);
void fv_translate_output(const fv_translation *t, const char *name, int64_t i, fv_value *v);

/* The parts of a network: over a whole target [n,T] (logits), what the steps need of the source (outputs), one step
 * (logits [n,V] of the input "token"). */
typedef struct fv_translate_net {
  fv_value *(*whole)(const fv_translation *t, fv_value *target);
  void (*encode)(const fv_translation *t);
  fv_value *(*step)(const fv_translation *t, fv_value *token);
} fv_translate_net;
extern const fv_translate_net fv_translate_transformer, fv_translate_recurrent;

#endif
