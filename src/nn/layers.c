/* SPDX-License-Identifier: Apache-2.0 */
/* layers.c: the layers of nn.h. */
#include "nn/nn.h"

#include "ops/broadcast_to.h"
#include "ops/cast.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/dropout.h"
#include "ops/norm.h"
#include "ops/permute.h"
#include "ops/reduce.h"
#include "ops/reshape.h"

static const double BN_EPS = 1e-5;

fv_value *fv_conv2d_layer(fv_graph *g, fv_value *x, int64_t channels, int64_t kernel, const fv_conv_args *args) {
  int64_t groups = args->groups ? args->groups : 1, c = fv_dim(x, -1);
  fv_conv2d_attrs a = {.window = {.stride = {1, {args->stride ? args->stride : 1}}, .pad = {1, {args->pad}},
                                  .dilation = {1, {args->dilation ? args->dilation : 1}}, .groups = groups}};
  fv_scope_push(g, "%s", args->name ? args->name : "conv");
  fv_init init = {.kind = FV_INIT_KAIMING_NORMAL};
  fv_value *w = fv_param(g, "weight", FV_SHAPE(channels, c / groups, kernel, kernel), init, FV_GROUP_DECAY);
  fv_init bias = {.kind = FV_INIT_UNIFORM, .a = 1 / __builtin_sqrt((double)FV_MAX(c / groups * kernel * kernel, 1))};
  fv_value *b = args->no_bias ? fv_absent(g) : fv_param(g, "bias", FV_SHAPE(channels), bias, FV_GROUP_NO_DECAY);
  fv_value *y = fv_op(g, "conv2d", &a, x, w, b);
  fv_scope_pop(g);
  return y;
}

fv_value *fv_linear_layer(fv_graph *g, fv_value *x, int64_t out, const fv_linear_args *args) {
  int64_t in = fv_dim(x, -1);
  fv_scope_push(g, "%s", args->name ? args->name : "linear");
  fv_init init =
      args->init.kind == FV_INIT_ZEROS && args->init.a == 0 ? (fv_init){.kind = FV_INIT_KAIMING_UNIFORM} : args->init;
  fv_value *w = fv_param(g, "weight", FV_SHAPE(out, in), init, FV_GROUP_DECAY);
  fv_init bias = {.kind = FV_INIT_UNIFORM, .a = 1 / __builtin_sqrt((double)FV_MAX(in, 1))};
  fv_value *b = args->no_bias ? fv_absent(g) : fv_param(g, "bias", FV_SHAPE(out), bias, FV_GROUP_NO_DECAY);
  fv_value *y = fv_op(g, "linear", NULL, x, w, b);
  fv_scope_pop(g);
  return y;
}

/* PyTorch keeps the unbiased variance: n/(n-1) of the biased one. */
static fv_value *norm_training(fv_graph *g, fv_value *x, fv_value *const p[4]) {
  fv_batch_norm_attrs a = {.eps = BN_EPS};
  fv_value *out[3];
  if (!fv_op_n(g, "batch_norm", &a, 3, (fv_value *[]){x, p[0], p[1]}, 3, out)) return NULL;
  double n = (double)fv_shape_count(fv_value_shape(x)) / (double)FV_MAX(fv_dim(x, -1), 1);
  fv_track(g, p[2], out[1]);
  fv_track(g, p[3], fv_mul(g, out[2], fv_const(g, n > 1 ? n / (n - 1) : 1)));
  return out[0];
}

static fv_value *norm_running(fv_graph *g, fv_value *x, fv_value *const p[4]) {
  fv_value *deviation = fv_op(g, "rsqrt", NULL, fv_add(g, p[3], fv_const(g, BN_EPS)));
  fv_value *scale = fv_mul(g, p[0], deviation);
  fv_value *shift = fv_op(g, "sub", NULL, p[1], fv_mul(g, p[2], scale));
  return fv_add(g, fv_mul(g, x, scale), shift);
}

fv_value *fv_batch_norm(fv_graph *g, fv_value *x, const char *name, bool training) {
  fv_shape c = FV_SHAPE(fv_dim(x, -1));
  fv_init zeros = {.kind = FV_INIT_ZEROS}, ones = {.kind = FV_INIT_ONES};
  fv_scope_push(g, "%s", name);
  fv_value *p[4] = {fv_param(g, "weight", c, ones, FV_GROUP_NO_DECAY), fv_param(g, "bias", c, zeros, FV_GROUP_NO_DECAY),
                    fv_param(g, "running_mean", c, zeros, FV_GROUP_BUFFER),
                    fv_param(g, "running_var", c, ones, FV_GROUP_BUFFER)};
  fv_value *y = training ? norm_training(g, x, p) : norm_running(g, x, p);
  fv_scope_pop(g);
  return y;
}

fv_value *fv_dice(fv_graph *g, fv_value *x, const char *name, bool training) {
  fv_shape c = FV_SHAPE(fv_dim(x, -1));
  fv_init zeros = {.kind = FV_INIT_ZEROS}, ones = {.kind = FV_INIT_ONES};
  fv_scope_push(g, "%s", name);
  fv_value *alpha = fv_param(g, "alpha", c, zeros, FV_GROUP_NO_DECAY);
  fv_value *p[4] = {fv_broadcast_value(g, fv_const(g, 1), c), fv_broadcast_value(g, fv_const(g, 0), c),
                    fv_param(g, "running_mean", c, zeros, FV_GROUP_BUFFER),
                    fv_param(g, "running_var", c, ones, FV_GROUP_BUFFER)};
  fv_value *on = fv_op(g, "sigmoid", NULL, training ? norm_training(g, x, p) : norm_running(g, x, p));
  fv_value *slope = fv_add(g, alpha, fv_mul(g, on, fv_op(g, "sub", NULL, fv_const(g, 1), alpha)));
  fv_scope_pop(g);
  return fv_mul(g, x, slope);
}

fv_value *fv_layer_norm(fv_graph *g, fv_value *x, const char *name) {
  fv_shape c = FV_SHAPE(fv_dim(x, -1));
  fv_scope_push(g, "%s", name);
  fv_value *w = fv_param(g, "weight", c, (fv_init){.kind = FV_INIT_ONES}, FV_GROUP_NO_DECAY);
  fv_value *b = fv_param(g, "bias", c, (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_NO_DECAY);
  fv_value *y = fv_op(g, "layer_norm", NULL, x, w, b);
  fv_scope_pop(g);
  return y;
}

fv_value *fv_rng_input(fv_graph *g) {
  for (int i = 0; i < g->inputs.n; i++)
    if (!strcmp(g->inputs.v[i].name, "rng")) return g->inputs.v[i].value;
  return fv_input(g, "rng", FV_I32, FV_SHAPE(4));
}

fv_value *fv_dropout(fv_graph *g, fv_value *x, double rate, bool training) {
  if (!training || rate <= 0) return x;
  fv_dropout_attrs a = {.p = rate, .stream = g->n_nodes}; /* the place in the graph: each layer its own numbers */
  return fv_op(g, "dropout", &a, x, fv_rng_input(g));
}

static fv_int_list list_of(fv_shape s) {
  fv_int_list list = {.n = FV_MAX(s.ndim, 0)};
  for (int i = 0; i < s.ndim; i++) list.v[i] = s.dim[i];
  return list;
}

fv_value *fv_reshape(fv_graph *g, fv_value *x, fv_shape shape) {
  return fv_op(g, "reshape", &(fv_reshape_attrs){.shape = list_of(shape)}, x);
}

fv_value *fv_permute(fv_graph *g, fv_value *x, fv_shape perm) {
  return fv_op(g, "permute", &(fv_permute_attrs){.perm = list_of(perm)}, x);
}

fv_value *fv_reduce(fv_graph *g, const char *op, fv_value *x, fv_shape axes, bool keepdim) {
  fv_reduce_attrs a = {.axes = list_of(axes), .keepdim = keepdim};
  return fv_op(g, op, &a, x);
}

fv_value *fv_real(fv_graph *g, fv_value *x) { return fv_op(g, "cast", &(fv_cast_attrs){.dtype = FV_CAST_REAL}, x); }
fv_value *fv_whole(fv_graph *g, fv_value *x) { return fv_op(g, "cast", &(fv_cast_attrs){.dtype = FV_CAST_I32}, x); }

fv_value *fv_concat(fv_graph *g, int axis, int64_t n, fv_value *const *x) {
  return n == 1 ? x[0] : fv_op_apply(g, "concat", &(fv_concat_attrs){.axis = axis}, (int)n, x);
}

fv_value *fv_stack(fv_graph *g, int64_t n, fv_value **x) {
  for (int64_t i = 0; i < n; i++) x[i] = fv_reshape(g, x[i], FV_SHAPE(fv_dim(x[i], -2), 1, fv_dim(x[i], -1)));
  return fv_concat(g, 1, n, x);
}
