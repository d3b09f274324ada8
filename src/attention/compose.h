/* SPDX-License-Identifier: Apache-2.0 */
/* compose.h: the steps that several mechanisms share. Each only adds nodes. */
#ifndef FV_ATTENTION_COMPOSE_H
#define FV_ATTENTION_COMPOSE_H

#include "attention/attention.h"
#include "ops/sdpa.h"

/* In a builder that returns nothing: notes the mistake and returns. */
#define FV_BUILD_REQUIRE(g, cond, ...)                                   \
  do {                                                                   \
    if (!(cond)) {                                                       \
      (void)fv_graph_fail((g), FV_FAIL(FV_ERR_REQUEST, __VA_ARGS__));    \
      return;                                                            \
    }                                                                    \
  } while (0)

bool fv_given(fv_graph *g, const fv_value *v); /* neither NULL nor absent */
fv_value *fv_project(fv_graph *g, fv_value *x, fv_value *w, fv_value *b); /* x w' + b; b may be absent or NULL */
fv_value *fv_softmax_last(fv_graph *g, fv_value *score, fv_value *mask);  /* mask may be absent or NULL */

fv_value *fv_repeat(fv_graph *g, fv_value *x, fv_shape shape); /* broadcast to a shape, written out */

/* v . tanh(x w' + b + query): x [B,S,K], w [A,K], b [A], query [B,A], v [A] -> [B,S]. b and query may be absent or
 * NULL; w too: x is then [B,S,A], projected before (decoders do that once for all their steps). */
fv_value *fv_additive_score(fv_graph *g, fv_value *x, fv_value *w, fv_value *b, fv_value *query, fv_value *v);
/* sum_s alpha_s x_s: [B,S], [B,S,K] -> [B,K] */
fv_value *fv_weigh(fv_graph *g, fv_value *alpha, fv_value *x);
/* The score of additive_pool: tanh(x W' + b) . v, par W, b, v. [B,T,E] -> [B,T] */
fv_value *fv_pool_score(fv_graph *g, fv_value *x, fv_value *const *par);

/* Attention of heads: in[0 .. FV_SDPA_SLOPES] as the operation sdpa has them (ops/sdpa.h; absent where not given).
 * out[0]: the result, whose weights are never held; out[1]: the weights [B,H,T,S], made in nodes of their own, which
 * run only when someone asks. */
void fv_attend(fv_graph *g, const fv_sdpa_attrs *a, fv_value *const *in, fv_value **out);
/* What torch.nn.MultiheadAttention of width E has, in the current scope: in_proj_weight, in_proj_bias (q, k, v
 * stacked), out_proj.weight, out_proj.bias. */
typedef struct fv_heads {
  fv_value *w, *b, *wo, *bo; /* [3E,E], [3E], [E,E], [E] */
} fv_heads;
fv_heads fv_heads_params(fv_graph *g, int64_t e);
/* A permutation of the four axes of heads: [B,T,H,D] <-> [B,H,T,D]. */
fv_value *fv_swap_heads(fv_graph *g, fv_value *x);

/* Squeezed images, [N,C] -> gate [N,C] in (0,1), to images. */
fv_value *fv_gate_channels(fv_graph *g, fv_value *x, fv_value *gate);

/* ---- graphs as CSR ----------------------------------------------------------------------------------------------- */
/* Attributes of both graph mechanisms. */
typedef struct fv_edge_attrs {
  int64_t heads;
  bool concat;
  double slope;
} fv_edge_attrs;
extern const fv_option fv_edge_options[];

typedef struct fv_edges {
  fv_value *row_ptr, *col; /* [V+1], [M] i32; NULL after a mistake */
  int64_t nodes;
} fv_edges;
/* Refuses a constant graph that is none. What only the run knows is checked where it is bound (fv_exec_check), and else
 * bounded (ops/attend.h). */
fv_edges fv_edges_of(fv_graph *g, const char *mechanism, fv_value *row_ptr, fv_value *col);
/* Refuses constants outside [lo, hi]. */
bool fv_const_within(fv_graph *g, const char *mechanism, const char *name, const fv_value *v, int64_t lo, int64_t hi);
/* Attention over the edges into each node by operation `op` ("gat_attend", "gatv2_attend") of three inputs, the first
 * [V,H,D]. out[0] [V,H*D] (concat) or [V,D] (mean) plus the bias (may be absent), out[1] the weights [M,H], before
 * the share `dropout` of them is dropped. */
void fv_edge_attend(fv_graph *g, const char *op, const fv_edges *e, fv_value *const ends[3], const fv_edge_attrs *attrs,
                    double dropout, fv_value *bias, fv_value **out);

#endif
