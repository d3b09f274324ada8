/* SPDX-License-Identifier: Apache-2.0 */
/* patchtst: each channel by itself is cut into overlapping patches, which are the tokens of a Transformer encoder with
 * batch normalisation behind its residuals; a linear map of all tokens is the forecast. Nie, Nguyen, Sinthong,
 * Kalagnanam: A time series is worth 64 words, ICLR 2023. As in their program, the last row stands one stride longer,
 * for a last patch of its own; their carrying scores of attention from layer to layer (RealFormer: He et al. 2021) is a
 * choice here, since it costs more than half of the time. */
#include "models/forecast.h"

#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/gelu.h"
#include "ops/matmul.h"
#include "ops/pad.h"
#include "ops/slice.h"

#include <math.h>

/* x [N,L] -> [N,P,patch]: blocks of a stride's rows, each beside the next ones. */
static fv_value *patches_of(fv_graph *g, const fv_forecast_settings *s, fv_value *x) {
  const int64_t n = fv_dim(x, 0), rows = fv_dim(x, 1), stride = s->stride, k = s->patch / stride;
  const int64_t blocks = rows / stride + 1, patches = blocks - k + 1;
  fv_value *each[FV_PATCH_STRIDES];
  fv_value *last = fv_repeat(g, fv_slice_of(g, x, 1, rows - 1, 1), FV_SHAPE(n, stride));
  fv_value *longer = fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, x, last);
  longer = fv_reshape(g, longer, FV_SHAPE(n, blocks, stride));
  for (int64_t i = 0; i < k; i++) each[i] = fv_slice_of(g, longer, 1, i, patches);
  return fv_concat(g, 2, k, each);
}

/* q, k, v [N,P,H,D]. *scores [N,H,P,P]: of the layer before (NULL: there is none); then of this one. */
static fv_value *attend_carrying(fv_graph *g, fv_value *const qkv[3], fv_value **scores, fv_value **weights) {
  fv_value *q = fv_mul(g, fv_swap_heads(g, qkv[0]), fv_const(g, 1 / sqrt((double)fv_dim(qkv[0], 3))));
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, q, fv_swap_heads(g, qkv[1]));
  *scores = *scores ? fv_add(g, score, *scores) : score;
  *weights = fv_softmax_last(g, *scores, NULL);
  return fv_swap_heads(g, fv_op(g, "matmul", NULL, *weights, fv_swap_heads(g, qkv[2])));
}

/* *scores is the one thing a layer hands on besides its result; *weights [N,H,P,P]. */
static fv_value *attend(fv_graph *g, const fv_forecast_settings *s, fv_value *x, fv_value **scores, fv_value **weights,
                        bool training) {
  const int64_t n = fv_dim(x, 0), p = fv_dim(x, 1), e = fv_dim(x, 2);
  fv_value *all = fv_linear(g, x, 3 * e, .name = "in_proj"), *in[6], *out[2];
  for (int i = 0; i < 3; i++)
    in[i] = fv_reshape(g, fv_slice_of(g, all, 2, i * e, e), FV_SHAPE(n, p, s->heads, e / s->heads));
  in[3] = in[4] = in[5] = fv_absent(g);
  if (s->carry) out[0] = attend_carrying(g, in, scores, &out[1]);
  else fv_attend(g, &(fv_sdpa_attrs){.scale = 0}, in, out);
  *weights = out[1];
  x = fv_linear(g, fv_reshape(g, out[0], FV_SHAPE(n, p, e)), e, .name = "out_proj");
  return fv_dropout(g, x, s->dropout, training);
}

static fv_value *layer(fv_graph *g, const fv_forecast_settings *s, fv_value *x, int64_t i, fv_value **scores,
                       fv_value **weights, bool training) {
  fv_scope_push(g, "layer.%lld", (long long)i);
  fv_value *y = fv_dropout(g, attend(g, s, x, scores, weights, training), s->dropout, training);
  x = fv_batch_norm(g, fv_add(g, x, y), "norm1", training);
  y = fv_op(g, "gelu", NULL, fv_linear(g, x, s->feedforward, .name = "linear1"));
  y = fv_linear(g, fv_dropout(g, y, s->dropout, training), fv_dim(x, 2), .name = "linear2");
  x = fv_batch_norm(g, fv_add(g, x, fv_dropout(g, y, s->dropout, training)), "norm2", training);
  fv_scope_pop(g);
  return x;
}

/* What all places give each patch, spread evenly over its rows: [N,H,P,P] -> [N,L]. Needed only by who explains. */
static fv_value *rows_of(fv_graph *g, const fv_forecast_settings *s, int64_t rows, fv_value *weights) {
  const int64_t n = fv_dim(weights, 0), k = s->patch / s->stride, blocks = fv_dim(weights, 3) + k - 1;
  fv_value *patch = fv_reduce(g, "mean", weights, FV_SHAPE(1, 2), false), *block = NULL;
  for (int64_t i = 0; i < k; i++) { /* block b of a stride's rows is part of patches b - k + 1 to b */
    const fv_pad_attrs shift = {.before = {2, {0, i}}, .after = {2, {0, k - 1 - i}}};
    fv_value *shifted = fv_op(g, "pad", &shift, patch);
    block = block ? fv_add(g, block, shifted) : shifted;
  }
  block = fv_mul(g, fv_reshape(g, block, FV_SHAPE(n, blocks, 1)), fv_const(g, 1 / (double)s->patch));
  fv_value *all = fv_reshape(g, fv_repeat(g, block, FV_SHAPE(n, blocks, s->stride)), FV_SHAPE(n, blocks * s->stride));
  fv_value *last = fv_reduce(g, "sum", fv_slice_of(g, all, 1, rows - 1, s->stride + 1), FV_SHAPE(1), true);
  if (rows == 1) return last;
  return fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, fv_slice_of(g, all, 1, 0, rows - 1), last);
}

fv_value *fv_patchtst(fv_graph *g, const fv_forecast_settings *s, const fv_problem *task, fv_value *past,
                      bool training) {
  const int64_t n = fv_dim(past, 0), c = task->channels;
  fv_value *scores = NULL, *weights = NULL, *x = fv_permute(g, past, FV_SHAPE(0, 2, 1));
  x = fv_reshape(g, x, FV_SHAPE(n * c, task->past));
  x = fv_linear(g, patches_of(g, s, x), s->width, .name = "embedding");
  const fv_init near_zero = {.kind = FV_INIT_UNIFORM, .a = 0.02};
  const int64_t patches = fv_dim(x, 1);
  x = fv_add(g, x, fv_param(g, "position", FV_SHAPE(patches, s->width), near_zero, FV_GROUP_NO_DECAY));
  x = fv_dropout(g, x, s->dropout, training);
  for (int64_t i = 0; i < s->layers; i++) x = layer(g, s, x, i, &scores, &weights, training);
  x = fv_linear(g, fv_reshape(g, x, FV_SHAPE(n * c, patches * s->width)), task->horizon, .name = "head");
  fv_tap(g, "rows", FV_TAP_ROWS, fv_reshape(g, rows_of(g, s, task->past, weights), FV_SHAPE(n, c, task->past)));
  return fv_permute(g, fv_reshape(g, x, FV_SHAPE(n, c, task->horizon)), FV_SHAPE(0, 2, 1));
}
