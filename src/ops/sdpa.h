/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa.h: scaled dot-product attention without its T x S weights, its gradient, and what both agree on. */
#ifndef FV_OPS_SDPA_H
#define FV_OPS_SDPA_H

#include "ir/ir.h"

typedef struct fv_sdpa_attrs {
  double scale;   /* of the products; 0: 1/sqrt(D) */
  bool causal;    /* query t sees keys s <= t + S - T */
  int64_t window; /* query t sees keys s > t + S - T - window; 0: all */
  double p;       /* dropout of the weights; then rng is given */
  int64_t stream; /* of dropout */
  /* sdpa alone: reduced weights to give, those before dropout */
  int64_t topk;
  bool totals, entropy;
  /* sdpa_grad alone: gradients to give besides dq, dk, dv */
  bool dbias, dslopes;
} fv_sdpa_attrs;

/* The first eight inputs of both. q [B,T,H,D], k [B,S,G,D], v [B,S,G,Dv], mask [B,S] u8, bias [H or 1,T,S],
 * slopes [H] (ALiBi: -slope |t + S - T - s| is added), rows [R,2] i32 (head, query), rng i32 [4] (ops/dropout.h). */
enum { FV_SDPA_Q, FV_SDPA_K, FV_SDPA_V, FV_SDPA_MASK, FV_SDPA_BIAS, FV_SDPA_SLOPES, FV_SDPA_ROWS, FV_SDPA_RNG,
       FV_SDPA_INPUTS };
/* y [B,T,H,Dv]; totals [B,H,S]: sum over t; entropy [B,H,T], in nats; top, top_index [B,H,T,k]: the largest weights of
 * each query in falling order (beyond what it sees: 0 and -1); rows [B,R,S]: whole rows; lse [B,H,T]: log sum exp of
 * the scores, -inf where nothing is seen. Those not asked for have no elements. */
enum { FV_SDPA_Y, FV_SDPA_TOTALS, FV_SDPA_ENTROPY, FV_SDPA_TOP, FV_SDPA_TOP_INDEX, FV_SDPA_ROWS_OUT, FV_SDPA_LSE,
       FV_SDPA_OUTPUTS };
/* sdpa_grad's further inputs: y, lse and top_index of sdpa (the index absent without dtop), then the gradients of what
 * sdpa gave, each of them optional; its outputs. dslopes is [B,H]. */
enum { FV_SDPA_GRAD_Y = FV_SDPA_INPUTS, FV_SDPA_GRAD_LSE, FV_SDPA_GRAD_INDEX, FV_SDPA_GRAD_DY, FV_SDPA_GRAD_DTOTALS,
       FV_SDPA_GRAD_DENTROPY, FV_SDPA_GRAD_DTOP, FV_SDPA_GRAD_DROWS, FV_SDPA_GRAD_INPUTS };
enum { FV_SDPA_DQ, FV_SDPA_DK, FV_SDPA_DV, FV_SDPA_DBIAS, FV_SDPA_DSLOPES, FV_SDPA_GRAD_OUTPUTS };

/* A score at or below this is one of a masked key: libraries that mask by adding a large negative number are
 * understood. */
#define FV_SDPA_MASKED -1e29

typedef struct fv_sdpa_size {
  int64_t b, t, s, h, g, d, dv; /* as in the shapes above; h / g query heads read one group of keys */
  int64_t rows, bias_heads;     /* R; 1 or H; 0 where absent */
  double scale;
} fv_sdpa_size;
fv_sdpa_size fv_sdpa_size_of(const fv_node *n); /* of either operation */

/* The keys that query t may see by causality and window: [begin, end). */
static inline void fv_sdpa_span(const fv_sdpa_attrs *a, int64_t t, int64_t n_t, int64_t n_s, int64_t *begin,
                                int64_t *end) {
  int64_t at = t + n_s - n_t;
  *end = a->causal ? FV_MAX(FV_MIN(at + 1, n_s), 0) : n_s;
  *begin = a->window > 0 ? FV_MIN(FV_MAX(at - a->window + 1, 0), *end) : 0;
}
/* Pairs of query and key that may see each other, over all heads and the batch: what the work is counted in. */
double fv_sdpa_pairs(const fv_node *n);

extern const fv_option fv_sdpa_grad_options[];
fv_status fv_sdpa_infer_inputs(fv_infer *c, fv_sdpa_size *size); /* the first eight */

/* For the references. -inf where the key is not seen. */
double fv_sdpa_score(const fv_call *c, const fv_sdpa_size *q, int64_t b, int64_t h, int64_t t, int64_t s);
/* 1 / (1 - p) or 0: what dropout makes of a weight. */
double fv_sdpa_kept(const fv_call *c, const fv_sdpa_size *q, int64_t b, int64_t h, int64_t t, int64_t s);

#endif
