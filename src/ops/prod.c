/* SPDX-License-Identifier: Apache-2.0 */
/* prod.c: product over axes; an empty product is 1. The gradient is the product of the others, zeros included. */
#include "ops/reduce.h"

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "prod_grad", c->node->attrs, c->dout[0], c->node->in[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[0].shape, fv_reduce_mask(&a->axes, c->in[0].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double v = 1;
    for (int64_t k = 0; k < w.n_reduced; k++) v *= fv_get(&c->in[0], fv_reduce_index(&w, i, k));
    fv_set(&c->out[0], i, v);
  }
}

static const fv_case cases[] = {
  FV_REDUCE_CASES("@0.9..1.1", "", 1e-5), {.in = "3,19@-2..2", .attrs = "axes=1"}, {.in = "0"},
  {.in = "0,4", .attrs = "axes=0"}, {.in = "1@0..0"},
  {.in = "4,7@0..0", .attrs = "axes=1", .no_grad_check = true, .note = "zeros: the slope vanishes to high order"},
  {0}};

const fv_op_def fv_op_prod = {
  .name = "prod",
  .doc = "product over axes",
  .n_in = 1,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = fv_reduce_infer,
  .grad = grad,
  .ref = ref,
  .cost = fv_reduce_cost,
  .cases = cases};
