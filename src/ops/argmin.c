/* SPDX-License-Identifier: Apache-2.0 */
/* argmin.c: where the smallest element is, as i32; the first of equals; a NaN counts as the smallest. One axis, or
 * none: the position in the flattened input. */
#include "ops/reduce.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  const fv_reduce_attrs *a = c->attrs;
  FV_INFER_REQUIRE(c, a->axes.n <= 1, "axes: expected one or none, got %d", (int)a->axes.n);
  FV_TRY(fv_reduce_infer_nonempty(c));
  fv_shape s = c->in[0]->shape;
  fv_reduce_walk w = fv_reduce_walk_new(s, fv_reduce_mask(&a->axes, s.ndim));
  FV_INFER_REQUIRE(c, w.n_reduced <= INT32_MAX, "input: expected positions that fit in i32, got %s", fv_shape_text(s));
  c->dtype[0] = FV_I32;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[0].shape, fv_reduce_mask(&a->axes, c->in[0].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double best = 0;
    int64_t at = -1;
    for (int64_t k = 0; k < w.n_reduced; k++) {
      double x = fv_get(&c->in[0], fv_reduce_index(&w, i, k));
      if (at >= 0 && !(x < best || (isnan(x) && !isnan(best)))) continue;
      best = x;
      at = k;
    }
    fv_set(&c->out[0], i, (double)at);
  }
}

static const fv_case cases[] = {
  {.in = "()"}, {.in = "1"}, {.in = "3"}, {.in = "4"}, {.in = "5"}, {.in = "15"}, {.in = "16"}, {.in = "17"},
  {.in = "1031"}, {.in = "37@0..0"}, {.in = "5,7"}, {.in = "5,10", .attrs = "axes=1"},
  {.in = "5,1", .attrs = "axes=1"}, {.in = "5,17@0..0", .attrs = "axes=-1"},
  {.in = "5,33", .attrs = "axes=-1 keepdim=1"}, {.in = "19,3", .attrs = "axes=0"}, {.in = "19,33", .attrs = "axes=0"},
  {.in = "2,7,16", .attrs = "axes=1"}, {.in = "2,7,5@0..0", .attrs = "axes=1"}, {.in = "3,0", .attrs = "axes=0"},
  {.in = "0,4", .attrs = "axes=1"},
  {0}};

const fv_op_def fv_op_argmin = {
  .name = "argmin",
  .doc = "position of the smallest element; the first of equals",
  .n_in = 1,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = infer,
  .no_grad_reason = "a position does not change smoothly",
  .ref = ref,
  .cost = fv_reduce_cost,
  .cases = cases};
