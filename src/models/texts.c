/* SPDX-License-Identifier: Apache-2.0 */
/* texts.c: what recipes of texts share: word vectors, convolutions over words, and sentences found in the graph itself,
 * so that a model needs nothing but its tokens. */
#include "models/texts.h"
#include "ops/conv1d.h"
#include "ops/cumsum.h"
#include "ops/pad.h"
#include "ops/slice.h"

fv_status fv_text_check(const fv_problem *task, const char *setting, const fv_int_list *windows) {
  FV_REQUIRE(task->vocabulary[0] > 0, FV_ERR_REQUEST, "expected a dataset of texts, got one of another kind");
  FV_REQUIRE(task->n_classes >= 2, FV_ERR_REQUEST, "expected at least 2 classes, got %d", (int)task->n_classes);
  for (int64_t i = 0; i < windows->n; i++)
    FV_REQUIRE(windows->v[i] % 2, FV_ERR_REQUEST, "%s: expected odd numbers, got %d", setting, (int)windows->v[i]);
  return FV_OK;
}

fv_value *fv_text_vectors_of(fv_graph *g, fv_value *tokens, const fv_problem *task, const fv_word_vectors *how) {
  fv_value *read = fv_word_dropout(g, tokens, how->word_dropout, how->training);
  fv_value *x = fv_embedding(g, read, "embedding", task->vocabulary[0], how->width, 0.1);
  return fv_dropout(g, x, how->dropout, how->training);
}

fv_value *fv_text_convolution(fv_graph *g, fv_value *x, int64_t window, int64_t channels, const char *name) {
  const fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM}, zeros = {.kind = FV_INIT_ZEROS};
  const fv_conv1d_attrs a = {.window = {.pad = {1, {window / 2}}}};
  fv_scope_push(g, "%s", name);
  fv_value *w = fv_param(g, "weight", FV_SHAPE(channels, fv_dim(x, 2), window), kaiming, FV_GROUP_DECAY);
  fv_value *b = fv_param(g, "bias", FV_SHAPE(channels), zeros, FV_GROUP_NO_DECAY);
  fv_scope_pop(g);
  return fv_relu(g, fv_op(g, "conv1d", &a, x, w, b));
}

/* ---- sentences --------------------------------------------------------------------------------------------------- */
/* 1 where a mark stands: [N,T] */
static fv_value *marks_of(fv_graph *g, fv_value *tokens, const fv_problem *task) {
  fv_value *any = NULL;
  for (int i = 0; i < task->n_stops; i++) {
    fv_value *is = fv_op(g, "eq", NULL, tokens, fv_const_data(g, FV_I32, FV_SCALAR, &task->stop[i]));
    any = any ? fv_op(g, "logical_or", NULL, any, is) : is;
  }
  if (!any) any = fv_op(g, "ne", NULL, tokens, tokens); /* a vocabulary without marks: one sentence */
  return fv_real(g, any);
}

/* The number of each token's sentence, from 0: how many times, up to here, a token that is no mark followed one. */
static fv_value *numbers_of(fv_graph *g, fv_value *tokens, const fv_problem *task, int64_t most) {
  const fv_pad_attrs later = {.before = {2, {0, 1}}, .after = {2, {0, 0}}};
  fv_value *mark = marks_of(g, tokens, task);
  fv_value *before = fv_slice_of(g, fv_op(g, "pad", &later, mark), 1, 0, fv_dim(tokens, 1));
  fv_value *begins = fv_op(g, "gt", NULL, before, mark);
  fv_value *number = fv_op(g, "cumsum", &(fv_cumsum_attrs){.axis = 1}, fv_real(g, begins));
  return fv_whole(g, fv_op(g, "minimum", NULL, number, fv_const(g, (double)(most - 1))));
}

fv_sentences fv_text_sentences(fv_graph *g, fv_value *tokens, const fv_problem *task, int64_t most) {
  const int64_t n = fv_dim(tokens, 0), t = fv_dim(tokens, 1);
  int32_t which[FV_MAX_SENTENCES];
  for (int32_t i = 0; i < most; i++) which[i] = i;
  fv_value *each = fv_const_data(g, FV_I32, FV_SHAPE(most, 1), which);
  fv_value *number = fv_reshape(g, numbers_of(g, tokens, task, most), FV_SHAPE(n, 1, t));
  fv_value *there = fv_reshape(g, fv_token_mask(g, tokens), FV_SHAPE(n, 1, t));
  fv_sentences s = {.member = fv_op(g, "logical_and", NULL, fv_op(g, "eq", NULL, number, each), there)};
  fv_value *words = fv_reduce(g, "sum", fv_real(g, s.member), FV_SHAPE(2), false);
  s.some = fv_op(g, "gt", NULL, words, fv_const(g, 0));
  fv_value *sum = fv_reduce(g, "sum", fv_real(g, s.some), FV_SHAPE(1), false);
  s.count = fv_whole(g, sum);
  return s;
}
