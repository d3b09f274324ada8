/* SPDX-License-Identifier: Apache-2.0 */
/* mean.c: mean over axes; NaN where nothing is behind a result. The gradient is scaled while it is
 * small, then spread. */
#include "ops/reduce.h"

static fv_status grad(fv_grad *c) {
  fv_shape in = c->node->in[0]->shape;
  int64_t results = fv_shape_count(c->node->out[0]->shape);
  double share = results ? (double)results / (double)fv_shape_count(in) : 0;
  fv_value *each = fv_op(c->g, "mul", NULL, c->dout[0], fv_const(c->g, share));
  c->din[0] = fv_reduce_spread(c->g, each, in, c->node->attrs);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[0].shape, fv_reduce_mask(&a->axes, c->in[0].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double v = 0;
    for (int64_t k = 0; k < w.n_reduced; k++) v += fv_get(&c->in[0], fv_reduce_index(&w, i, k));
    fv_set(&c->out[0], i, v / (double)w.n_reduced);
  }
}

static const fv_case cases[] = {
  FV_REDUCE_CASES("", "", 0),
  {.in = "4,0,3", .attrs = "axes=1", .no_grad_check = true, .note = "NaN: the mean of nothing"},
  {0}};

const fv_op_def fv_op_mean = {
  .name = "mean",
  .doc = "mean over axes",
  .n_in = 1,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = fv_reduce_infer,
  .grad = grad,
  .ref = ref,
  .cost = fv_reduce_cost,
  .cases = cases};
