/* SPDX-License-Identifier: Apache-2.0 */
/* search.h (private): choosing the tokens of one sentence from their probabilities: beam search, or drawing. Knows
 * nothing of networks; the memory is the caller's. */
#ifndef FV_TRAIN_SEARCH_H
#define FV_TRAIN_SEARCH_H

#include "base/base.h"

typedef struct fv_search_rules {
  int64_t beam;     /* hypotheses kept */
  int64_t limit;    /* most tokens, the last one included */
  double penalty;   /* a of the length penalty ((5 + n) / 6)^a (Wu et al. 2016, eq. 14) */
  int32_t eos;      /* ends a sentence */
  int32_t never[2]; /* are never written: <pad>, <bos>; -1: none */
} fv_search_rules;

/* One sentence's. Arrays of beam, and [limit, beam]. */
typedef struct fv_search {
  const fv_search_rules *rules;
  int64_t t;                 /* tokens of each hypothesis so far */
  double *score;             /* [beam]: log of its probability; -inf: there is none */
  double *next;              /* [beam]: room for those to come */
  int32_t *token, *from;     /* [limit,beam]: the token written, and by which hypothesis of the step before */
  int32_t *head;             /* [beam]: where in its list of continuations each is */
  int64_t finished;          /* how many have ended */
  double best;               /* of those, by score over penalty; -inf: none */
  int64_t best_t, best_from; /* it is hypothesis best_from after best_t tokens, then <eos> */
  bool done;
} fv_search;
/* Bytes that one needs, and laying it out there. */
int64_t fv_search_bytes(const fv_search_rules *rules);
void fv_search_begin(fv_search *s, const fv_search_rules *rules, void *memory);
/* The k likeliest tokens after each hypothesis with the logs of their probabilities, [beam,k] in falling order: at
 * least beam + 3 of them, or all there are. Afterwards s->token and s->from of step t-1 say how hypotheses go on;
 * s->done: no more. */
void fv_search_step(fv_search *s, int64_t k, const float *log_p, const int32_t *token);
/* The best sentence without <eos>: its tokens, and of each, and of <eos>, which hypothesis had it in its step. When
 * none has ended within the limit, the likeliest beginning. At most limit of them; *score: log probability over
 * penalty. */
int64_t fv_search_result(const fv_search *s, int32_t *token, int32_t *hypothesis, double *score);

typedef struct fv_draw_rules {
  double temperature; /* logits are divided by it */
  int64_t top_k;      /* of the likeliest so many; 0: all (Fan et al. 2018) */
  double top_p;       /* of the likeliest that have this probability together; 1: all (Holtzman et al. 2020) */
  int32_t never[2];
} fv_draw_rules;
typedef struct fv_ranked_token {
  float p;
  int32_t id;
} fv_ranked_token;
/* A token from n logits, by u in [0,1); room for n. *log_p: of it under the model, untempered. */
int32_t fv_draw_token(const fv_draw_rules *rules, const float *logit, int64_t n, double u, fv_ranked_token *room,
                      double *log_p);

#endif
