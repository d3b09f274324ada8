/* SPDX-License-Identifier: Apache-2.0 */
/* texts.h (private to src/models): what recipes that read texts share. */
#ifndef FV_MODELS_TEXTS_H
#define FV_MODELS_TEXTS_H

#include "models/recipe.h"

/* The settings, the graph and the check of text-classify, of which other recipes are special cases. */
typedef struct fv_text_settings {
  int64_t encoder, width, hidden, layers, pool;
  fv_int_list windows;
  double dropout, word_dropout;
} fv_text_settings;
extern const fv_option fv_text_classify_options[];
fv_status fv_text_classify_check(const void *settings, const fv_problem *task);
void fv_text_classify_build(fv_graph *g, const void *settings, const fv_problem *task, fv_mode mode, int64_t n);

/* That the data are texts of classes, and that each of `windows`, a setting of that name, has a word in its middle. */
fv_status fv_text_check(const fv_problem *task, const char *setting, const fv_int_list *windows);
/* Vectors [N,T,width] of tokens [N,T], some of which training makes unknown, or parts of which it drops. Padding is
 * zero. */
typedef struct fv_word_vectors {
  int64_t width;
  double dropout, word_dropout;
  bool training;
} fv_word_vectors;
#define fv_text_vectors(g, tokens, task, ...) fv_text_vectors_of((g), (tokens), (task), &(fv_word_vectors){__VA_ARGS__})
fv_value *fv_text_vectors_of(fv_graph *g, fv_value *tokens, const fv_problem *task, const fv_word_vectors *how);
/* relu of a convolution over an odd window of words: x [N,T,E] -> [N,T,channels], parameters weight and bias of scope
 * `name`. Padding must be zero in x; what it becomes is to be hidden later. */
fv_value *fv_text_convolution(fv_graph *g, fv_value *x, int64_t window, int64_t channels, const char *name);

/* Which words belong to which sentence. A sentence ends behind its marks (task->stop), several in a row count as one;
 * the last of `most` sentences takes all that is left. */
enum { FV_MAX_SENTENCES = 64 };
typedef struct fv_sentences {
  fv_value *member; /* u8 [N,S,T] */
  fv_value *some;   /* u8 [N,S]: there is such a sentence; these are the first ones */
  fv_value *count;  /* i32 [N]: of sentences */
} fv_sentences;
fv_sentences fv_text_sentences(fv_graph *g, fv_value *tokens, const fv_problem *task, int64_t most);

#endif
