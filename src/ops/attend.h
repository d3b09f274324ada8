/* SPDX-License-Identifier: Apache-2.0 */
/* attend.h: what the operations of graph attention share. A graph is CSR: the edges into target i are the places
 * [row_ptr[i], row_ptr[i+1]) of col, which names each edge's source (bounds as in segments.h). An edge whose source
 * does not exist is left out: its weight is 0.
 *
 * Of target i, head h, over its edges k from j = col[k]:
 *   alpha_k = softmax over i's edges of e_k,  y_i = sum_k m_k alpha_k x_j,
 * where m_k is 1, or what dropout makes of element k H + h: 0 or 1 / (1 - p), as its bit (dropout_bits) says. */
#ifndef FV_OPS_ATTEND_H
#define FV_OPS_ATTEND_H

#include "ops/dropout.h"
#include "ops/segments.h"

typedef struct fv_attend_attrs {
  double slope; /* of the leaky ReLU below zero */
  double p;     /* the share of weights that is dropped; above 0 the operation wants the input kept */
} fv_attend_attrs;
extern const fv_option fv_attend_options[];

/* Sums over all rows are handed over in parts of so many rows: a part has one owner, and its order does not depend on
 * how rows are shared out. */
enum { FV_ATTEND_ROWS = 16 };

/* Inputs of the two mechanisms: x and ends differ, the graph is in the same place. */
enum { FV_ATTEND_ROW_PTR = 3, FV_ATTEND_COL = 4, FV_ATTEND_KEPT = 5, FV_ATTEND_INPUTS = 6 };
/* Inputs of the gradients by source: dy, then three of the mechanism's, lse, delta, the transposed graph
 * (csr_transpose) and, where there are any, the weights' own gradient and the bits. */
enum { FV_ATTEND_LSE = 4, FV_ATTEND_DELTA, FV_ATTEND_T_PTR, FV_ATTEND_T_ROW, FV_ATTEND_T_EDGE, FV_ATTEND_DALPHA,
       FV_ATTEND_T_KEPT, FV_ATTEND_SOURCE_GRAD_INPUTS };

typedef struct fv_attend_sizes {
  int64_t targets, sources, edges, heads, width;
} fv_attend_sizes;
/* Checks that the graph lies in inputs row_ptr and col; sets targets and edges. */
fv_status fv_attend_infer_graph(const fv_infer *c, int row_ptr, int col, fv_attend_sizes *a);
/* Input i is real, or absent if it may be, and of that shape; or i32 of that shape. */
fv_status fv_attend_infer_real(const fv_infer *c, int i, const char *name, fv_shape want);
fv_status fv_attend_infer_int(const fv_infer *c, int i, const char *name, fv_shape want);
/* kept: the bits of all edges and heads; there when p > 0. */
fv_status fv_attend_infer_kept(const fv_infer *c, int i, int64_t edges, int64_t heads);
/* The first output of [R,H,D] decides: what a gradient's inputs 0 (dy [V,H,D]) and `x` ([S,H,D]) say. */
fv_status fv_attend_infer_ends(const fv_infer *c, int dy, int x, fv_attend_sizes *a);
/* All inputs of a gradient by source after the mechanism's own. */
fv_status fv_attend_infer_source_grad(const fv_infer *c, const fv_attend_sizes *a);

static inline const fv_tensor *fv_attend_in(const fv_call *c, int i) {
  return i < c->n_in && c->in[i].data ? &c->in[i] : NULL;
}
#define FV_ATTEND_BITS(n) "; " #n ":i32@-2147483648..2147483647" /* kept, in cases */
/* m_k of head h, for references. `kept` is the index of the input. */
double fv_attend_kept(const fv_call *c, int kept, int64_t element);
static inline double fv_attend_leaky(double z, double slope) { return z > 0 ? z : slope * z; }

/* Builds the gradient nodes that both mechanisms share: dy (zeros when y has no part in the loss) and delta; the
 * transposed graph. */
typedef struct fv_attend_back {
  fv_value *dy, *delta, *dalpha; /* dalpha: absent where the weights have no part in the loss */
} fv_attend_back;
fv_attend_back fv_attend_back_of(fv_grad *c);
/* Fills the inputs of a gradient by source from FV_ATTEND_LSE on. */
void fv_attend_back_source(fv_grad *c, const fv_attend_back *b, fv_value **in);

/* Flops and bytes of a pass over all edges that gathers `floats` numbers of each. */
fv_cost fv_attend_cost(const fv_node *n, int64_t edges, int64_t floats, double flops);

#endif
