/* SPDX-License-Identifier: Apache-2.0 */
/* var.c: variance over axes by two passes, with n - 1 (or n when biased); NaN when that is 0.
 * dx = 2 dy (x - mean) / (n - 1). */
#include "ops/var.h"

static const fv_option options[] = {
  {.name = "axes", .type = FV_OPT_INTS, .offset = offsetof(fv_var_attrs, reduce.axes), .min = -FV_MAX_DIMS,
   .max = FV_MAX_DIMS - 1, .doc = "dimensions to reduce; none: all"},
  {.name = "keepdim", .type = FV_OPT_BOOL, .offset = offsetof(fv_var_attrs, reduce.keepdim), .def = "false",
   .doc = "keep reduced dimensions as 1"},
  {.name = "biased", .type = FV_OPT_BOOL, .offset = offsetof(fv_var_attrs, biased), .def = "false",
   .doc = "divide by n instead of n - 1"},
  {0}};

static double divisor(const fv_var_attrs *a, int64_t n) { return (double)(a->biased ? n : FV_MAX(n - 1, 0)); }

static fv_status grad(fv_grad *c) {
  const fv_var_attrs *a = c->node->attrs;
  fv_value *x = c->node->in[0];
  fv_reduce_walk w = fv_reduce_walk_new(x->shape, fv_reduce_mask(&a->reduce.axes, x->shape.ndim));
  fv_reduce_attrs kept = {.axes = a->reduce.axes, .keepdim = true};
  fv_value *apart = fv_op(c->g, "sub", NULL, x, fv_op(c->g, "mean", &kept, x));
  fv_value *dy = fv_reduce_keep(c->g, c->dout[0], x->shape, &a->reduce);
  fv_value *each = fv_op(c->g, "mul", NULL, dy, fv_const(c->g, 2 / divisor(a, w.n_reduced)));
  c->din[0] = fv_op(c->g, "mul", NULL, apart, each);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_var_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[0].shape, fv_reduce_mask(&a->reduce.axes, c->in[0].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double mean = 0, v = 0;
    for (int64_t k = 0; k < w.n_reduced; k++) mean += fv_get(&c->in[0], fv_reduce_index(&w, i, k));
    mean /= (double)w.n_reduced;
    for (int64_t k = 0; k < w.n_reduced; k++) {
      double d = fv_get(&c->in[0], fv_reduce_index(&w, i, k)) - mean;
      v += d * d;
    }
    fv_set(&c->out[0], i, v / divisor(a, w.n_reduced));
  }
}

static const fv_case cases[] = {
  FV_REDUCE_CASES("", " biased=1", 0), {.in = "17"}, {.in = "5,33", .attrs = "axes=1"},
  {.in = "33,5", .attrs = "axes=0"}, {.in = "2,5,5,16@99..101", .attrs = "axes=1,2"}, {.in = "1031@999..1001"},
  {.in = "5,1", .attrs = "axes=1", .no_grad_check = true, .note = "NaN: one element has no variance"},
  {.in = "4,0,3", .attrs = "axes=1", .no_grad_check = true, .note = "NaN: the variance of nothing"},
  {0}};

const fv_op_def fv_op_var = {
  .name = "var",
  .doc = "variance over axes: sum of (x - mean)^2 over n - 1, or n when biased",
  .n_in = 1,
  .attrs_size = sizeof(fv_var_attrs),
  .attrs = options,
  .infer = fv_reduce_infer,
  .grad = grad,
  .ref = ref,
  .cost = fv_reduce_cost,
  .cases = cases};
