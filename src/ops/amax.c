/* SPDX-License-Identifier: Apache-2.0 */
/* amax.c: the largest over axes, NaN when one is NaN. The gradient goes to the first element that equals the result. */
#include "ops/reduce.h"

#include <math.h>

static fv_status grad(fv_grad *c) {
  const fv_node *n = c->node;
  c->din[0] = fv_op(c->g, "extremum_grad", n->attrs, c->dout[0], n->in[0], n->out[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[0].shape, fv_reduce_mask(&a->axes, c->in[0].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double v = fv_get(&c->in[0], fv_reduce_index(&w, i, 0));
    for (int64_t k = 1; k < w.n_reduced; k++) {
      double x = fv_get(&c->in[0], fv_reduce_index(&w, i, k));
      if (x > v || isnan(x)) v = x;
    }
    fv_set(&c->out[0], i, v);
  }
}

static const fv_case cases[] = {
  FV_REDUCE_CASES("", "", 0),
  {.in = "5,17@0..0", .attrs = "axes=1", .no_grad_check = true, .note = "all tied"},
  {0}};

const fv_op_def fv_op_amax = {
  .name = "amax",
  .doc = "largest over axes; NaN wins",
  .n_in = 1,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = fv_reduce_infer_nonempty,
  .grad = grad,
  .ref = ref,
  .cost = fv_reduce_cost,
  .cases = cases};
