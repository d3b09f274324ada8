/* SPDX-License-Identifier: Apache-2.0 */
/* additive_score.h: the score of additive attention and its gradient. Inputs of the one: x, v, weight?, bias?, query?;
 * of the other: x, v, de, weight?, bias?, query?, hidden?. */
#ifndef FV_OPS_ADDITIVE_SCORE_H
#define FV_OPS_ADDITIVE_SCORE_H

#include "ir/ir.h"

enum { FV_ADDITIVE_WEIGHT = 2, FV_ADDITIVE_BIAS, FV_ADDITIVE_QUERY, FV_ADDITIVE_INPUTS };
enum { FV_ADDITIVE_GRAD_DE = 2, FV_ADDITIVE_GRAD_WEIGHT, FV_ADDITIVE_GRAD_BIAS, FV_ADDITIVE_GRAD_QUERY,
       FV_ADDITIVE_GRAD_HIDDEN, FV_ADDITIVE_GRAD_INPUTS };
enum { FV_ADDITIVE_DX, FV_ADDITIVE_DV, FV_ADDITIVE_DW, FV_ADDITIVE_DQ, FV_ADDITIVE_GRADS };

typedef struct fv_additive_score_attrs {
  bool keep; /* output 1 is tanh(...) [B,T,A], for the gradient; otherwise it is empty */
} fv_additive_score_attrs;

typedef struct fv_additive_score_grad_attrs {
  bool dx, dw; /* which of the costly results are wanted; the others are empty */
} fv_additive_score_grad_attrs;

/* Whether the hidden layer of `rows` tokens is better kept than computed again. Small ones stay in the caches, and a
 * product over many inputs takes longer than the way through memory and back (measured: docs/decisions/0006). */
static inline bool fv_additive_keeps(int64_t rows, int64_t inputs, int64_t units) {
  return inputs > 48 || rows < (1 << 20) / (units > 0 ? units : 1);
}

/* Sizes of a node of either. e: width of x; a: of the hidden layer. */
typedef struct fv_additive_size {
  int64_t b, t, e, a;
  int weight, bias, query, hidden; /* which inputs those are; -1 where absent */
} fv_additive_size;
fv_additive_size fv_additive_size_of(const fv_node *n);
/* What both check: x [B,T,E], v [A], weight [A,E], bias [A], query [B,A]; the first of the three is input `first`. */
fv_status fv_additive_check(const fv_infer *c, int first);
/* Reference: tanh of unit k for token `row` (b T + t). */
double fv_additive_hidden(const fv_call *c, const fv_additive_size *s, int64_t row, int64_t k);

#endif
