/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h (private): the row of an attention mechanism. `build` is a pure function from inputs and parameters to
 * outputs, so the golden files and the gradient check call the very code the recipes use; the fv_NAME_layer helpers
 * below declare the parameters under the current scope and mark the weights for `explain`.
 *
 * What goes in and out is told once, as text: "NAME [DIMS] DTYPE@LO..HI" with "?" after the name of what may be absent.
 * A dimension is a number, a letter (the same letter, the same size) or a sum of products of them: "W [A,Q+K]".
 * The dtype is left out for real numbers; the range is the one that makes sense of integers. From these texts come the
 * checks of shapes with their messages and the inputs of `check attention`. */
#ifndef FV_ATTENTION_ATTENTION_H
#define FV_ATTENTION_ATTENTION_H

#include "nn/nn.h"

enum { FV_ATTENTION_MOST = 32 };

/* What `check attention` tries. `sizes` gives every letter a size ("B=3 T=7"); `absent` names what is left out. */
typedef struct fv_attention_case {
  const char *sizes, *attrs, *absent;
} fv_attention_case;

typedef struct fv_attention_def {
  const char *name, *doc, *paper;
  size_t attrs_size;
  const fv_option *attrs;
  const char *const *inputs;  /* NULL-terminated texts as above */
  const char *const *params;  /* likewise; "W_* [A,E]" stands for W_0, W_1, ... */
  const char *repeat;         /* the attribute (a list) whose length is the number of each "_*"; NULL: there is none */
  const char *const *outputs; /* the first is the result, the others its weights */
  const char *no_gradient;    /* why its gradient is not the slope of its result; NULL: it is */
  /* in, par: in the order of the texts, fv_absent where not given; out: one for each output. Called through
   * fv_attention_apply, by which time the shapes fit. */
  void (*build)(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out);
  const fv_attention_case *cases; /* ends with .sizes == NULL */
} fv_attention_def;
extern const fv_attention_def *const fv_attentions[]; /* NULL-terminated; from attention.list */
const fv_attention_def *fv_attention_find(const char *name); /* NULL when there is none */

/* One text, taken apart. */
typedef struct fv_attention_slot {
  char name[16];
  bool optional;
  fv_dtype dtype; /* FV_F32 stands for the graph's real type */
  bool ranged;
  int64_t lo, hi;
  int ndim;
  char dim[FV_MAX_DIMS][12];
} fv_attention_slot;
/* Inputs, parameters or outputs of a mechanism, "_*" spread out, in the order of build's arrays. `slots` has room for
 * FV_ATTENTION_MOST. */
fv_status fv_attention_slots(const fv_attention_def *def, const char *const *texts, const void *attrs,
                             fv_attention_slot *slots, int *n);

/* Sizes by letter. */
typedef struct fv_attention_sizes {
  int n;
  struct {
    char name[8];
    int64_t size;
  } v[24];
} fv_attention_sizes;
/* The size of a dimension's text; -1 when a letter in it has none yet or it overflows. */
int64_t fv_attention_size(const fv_attention_sizes *sizes, const char *dim);

/* Checks shapes and builds; all of `out` is NULL after a mistake. */
void fv_attention_apply(fv_graph *g, const fv_attention_def *def, const void *attrs, fv_value *const *in,
                        fv_value *const *par, fv_value **out);

/* Kinds of taps (fv_tap): how `explain` turns the weights into a map of the input. */
#define FV_TAP_SPATIAL "spatial"   /* [N,H,W]: one number a place */
#define FV_TAP_POOLING "pooling"   /* [N,T]: one number a token; T places of a grid in row order */
#define FV_TAP_TOKENS "tokens"     /* [N,T]: one number a token, worked out from several layers' weights for showing */
#define FV_TAP_CHANNEL "channel"   /* [N,C] */
#define FV_TAP_ROWS "rows"         /* [N,C,L] or [N,1,L]: one number a row of a series, by channel or for all */
#define FV_TAP_CHANNELS "channels" /* [N,L,C]: of a row of a series one number a channel */
#define FV_TAP_HISTORY "history"   /* [N,T]: one number, of any sign, a thing of a history */
#define FV_TAP_PAIRS "pairs"       /* [N,P]: one number a pair of features, in the order 0-1, 0-2, ..., 1-2, ... */
#define FV_TAP_WEIGHTS "weights"   /* [N,H,T,S]: a layer of self-attention */
#define FV_TAP_SUPPORT "support"   /* [N,Q,S]: one number a support picture of an episode, for each query */
#define FV_TAP_EDGES "edges"       /* [M,H]: one number an edge and head of a layer over a graph */

/* Woo et al. 2018: x [N,H,W,C] -> same shape; parameters mlp.0, mlp.2 (weights and biases), conv. */
fv_value *fv_cbam_layer(fv_graph *g, fv_value *x, const char *name, int64_t reduction, int64_t kernel);
/* Yang et al. 2016: x [N,T,E], mask u8 [N,T] (may be NULL) -> [N,E]; parameters attention.weight/bias [A,E], context
 * [A]. */
fv_value *fv_additive_pool_layer(fv_graph *g, fv_value *x, fv_value *mask, const char *name, int64_t width);
/* The same of groups of tokens: mask u8 [N,G,T] says which are whose; -> [N,G,E], zeros for a group of none. *alpha:
 * the weights [N,G,T]. */
fv_value *fv_grouped_pool_layer(fv_graph *g, fv_value *x, fv_value *mask, const char *name, int64_t width,
                                fv_value **alpha);
/* The same at n scales: each scale's sequence x[i] [N,T_i,E], with mask u8 [N,T_i] (may be NULL), is pooled by an
 * attention of its own, and another one weighs the results. *alpha and beta: the weights [N,T_i] and [N,n]; parameters
 * scale.I.weight, bias, context and scales.weight, bias, context. */
enum { FV_MAX_SCALES = 16 };
typedef struct fv_scale {
  fv_value *x, *mask, *alpha; /* alpha: set */
} fv_scale;
fv_value *fv_multiscale_pool_layer(fv_graph *g, fv_scale *scales, int n, const char *name, int64_t width,
                                   fv_value **beta);
/* Zhou et al. 2018: history [N,T,E], target [N,E], mask u8 [N,T] (may be NULL) -> [N,E]; parameters 0 and 2, weights
 * and biases, as of a Sequential. All weights begin near 1, those of a sum. */
fv_value *fv_target_layer(fv_graph *g, fv_value *history, fv_value *target, fv_value *mask, const char *name,
                          int64_t width);
/* Vinyals et al. 2016: query [N,Q,E], support [N,S,E], labels i32 [N,S] -> [N,Q,ways], the classes' probabilities. */
typedef struct fv_matching_attrs {
  int64_t ways;
  double scale; /* of the cosines */
} fv_matching_attrs;
fv_value *fv_matching_layer(fv_graph *g, fv_value *query, fv_value *support, fv_value *labels, const char *name,
                            const fv_matching_attrs *attrs);
/* Vaswani et al. 2017, self-attention: x [N,T,E] -> [N,T,E]; parameters in_proj (q, k, v stacked), out_proj as
 * torch.nn.MultiheadAttention names them. */
fv_value *fv_self_attention_layer(fv_graph *g, fv_value *x, const char *name, int64_t heads);

/* ---- layers over graphs (graph_layers.c) ------------------------------------------------------------------------- */
/* What is known of nodes: x [V,F]; or, where most of it is 0, word i32 [V,K] and weight [V,K], columns and values. */
typedef struct fv_nodes {
  fv_value *x, *word, *weight;
  int64_t features;
} fv_nodes;
fv_nodes fv_nodes_dropout(fv_graph *g, const fv_nodes *nodes, double rate, bool training);

typedef struct fv_graph_attention_args {
  const char *name;
  bool v2, mean, training; /* v2: Brody et al. 2022; mean: of the heads; otherwise they lie side by side */
  int64_t heads, width;
  double slope;            /* 0: 0.2 */
  double dropout;          /* of the weights, and of what they weigh */
} fv_graph_attention_args;
/* Velickovic et al. 2018 over the edges into each node (CSR): [V,heads*width] or [V,width]; parameters as PyTorch
 * Geometric names them: lin.weight, att_src, att_dst, bias of GATConv; lin_l, lin_r, att, bias of GATv2Conv. */
#define fv_graph_attention(g, nodes, row_ptr, col, ...) \
  fv_graph_attention_layer((g), (nodes), (row_ptr), (col), &(fv_graph_attention_args){__VA_ARGS__})
fv_value *fv_graph_attention_layer(fv_graph *g, const fv_nodes *nodes, fv_value *row_ptr, fv_value *col,
                                   const fv_graph_attention_args *args);

#endif
