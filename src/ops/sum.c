/* SPDX-License-Identifier: Apache-2.0 */
/* sum.c: sum over axes; an empty sum is 0. */
#include "ops/reduce.h"

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_reduce_spread(c->g, c->dout[0], c->node->in[0]->shape, c->node->attrs);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[0].shape, fv_reduce_mask(&a->axes, c->in[0].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double v = 0;
    for (int64_t k = 0; k < w.n_reduced; k++) v += fv_get(&c->in[0], fv_reduce_index(&w, i, k));
    fv_set(&c->out[0], i, v);
  }
}

static const fv_case cases[] = {
  FV_REDUCE_CASES("", "", 0), {.in = "0"}, {.in = "0,4", .attrs = "axes=0"},
  {.in = "4,0,3", .attrs = "axes=1 keepdim=1"},
  {0}};

const fv_op_def fv_op_sum = {
  .name = "sum",
  .doc = "sum over axes",
  .n_in = 1,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = fv_reduce_infer,
  .grad = grad,
  .ref = ref,
  .cost = fv_reduce_cost,
  .cases = cases};
