/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h (private): the row of an attention mechanism. `build` is a pure function from inputs and parameters to outputs,
 * so the golden files and the gradient check call the very code the recipes use; the fv_NAME_layer helpers below declare the
 * parameters under the current scope and mark the weights for `explain`. */
#ifndef FV_ATTENTION_ATTENTION_H
#define FV_ATTENTION_ATTENTION_H

#include "nn/nn.h"

enum { FV_ATTENTION_MOST = 16 };

typedef struct fv_attention_def {
  const char *name, *doc, *paper;
  size_t attrs_size;
  const fv_option *attrs;
  const char *const *inputs;  /* NULL-terminated names; "mask?" may be absent */
  const char *const *params;  /* in the order build takes them; "b?" may be absent */
  const char *const *outputs; /* the first is the result, the others its weights */
  /* in, par: in the order of the names, fv_absent where not given; out: one for each output name. */
  void (*build)(fv_graph *g, const void *attrs, fv_value *const *in, fv_value *const *par, fv_value **out);
} fv_attention_def;
extern const fv_attention_def *const fv_attentions[]; /* NULL-terminated; from attention.list */

/* Kinds of taps (fv_tap): how `explain` turns the weights into a map of the input. */
#define FV_TAP_SPATIAL "spatial"   /* [N,H,W]: one number a place */
#define FV_TAP_POOLING "pooling"   /* [N,T]: one number a token; T places of a grid in row order */
#define FV_TAP_CHANNEL "channel"   /* [N,C] */
#define FV_TAP_WEIGHTS "weights"   /* [N,H,T,S]: a layer of self-attention */

/* Woo et al. 2018: x [N,H,W,C] -> same shape; parameters mlp.0, mlp.2 (weights and biases), conv. */
fv_value *fv_cbam_layer(fv_graph *g, fv_value *x, const char *name, int64_t reduction, int64_t kernel);
/* Yang et al. 2016: x [N,T,E] -> [N,E]; parameters attention.weight/bias [A,E], context [A]. */
fv_value *fv_additive_pool_layer(fv_graph *g, fv_value *x, const char *name, int64_t width);
/* Vaswani et al. 2017, self-attention: x [N,T,E] -> [N,T,E]; parameters in_proj (q, k, v stacked), out_proj as
 * torch.nn.MultiheadAttention names them. */
fv_value *fv_self_attention_layer(fv_graph *g, fv_value *x, const char *name, int64_t heads);

#endif
