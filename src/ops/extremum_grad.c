/* SPDX-License-Identifier: Apache-2.0 */
/* extremum_grad.c: the gradient of amax and amin: dy at the first element that equals the result, 0 elsewhere. A NaN
 * result belongs to the first NaN. */
#include "ops/reduce.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  fv_shape y;
  FV_TRY(fv_reduce_shape(c, c->attrs, c->in[1]->shape, &y));
  for (int i = 0; i < 3; i += 2)
    FV_INFER_REQUIRE(c, fv_shape_equal(c->in[i]->shape, y), "%s: expected %s, got %s", i ? "result" : "gradient",
                     fv_shape_text(y), fv_shape_text(c->in[i]->shape));
  for (int i = 0; i < 3; i++)
    FV_INFER_REQUIRE(c, c->in[i]->dtype == c->g->real, "input %d: expected %s, got %s", i, fv_dtype_name(c->g->real),
                     fv_dtype_name(c->in[i]->dtype));
  c->shape[0] = c->in[1]->shape;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[1].shape, fv_reduce_mask(&a->axes, c->in[1].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double y = fv_get(&c->in[2], i);
    bool found = false;
    for (int64_t k = 0; k < w.n_reduced; k++) {
      int64_t at = fv_reduce_index(&w, i, k);
      double x = fv_get(&c->in[1], at);
      bool here = !found && (x == y || (isnan(x) && isnan(y)));
      fv_set(&c->out[0], at, here ? fv_get(&c->in[0], i) : 0);
      found |= here;
    }
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 1); }

static const fv_case cases[] = {
  {.in = "(); (); ()"}, {.in = "(); 1@0..0; ()@0..0"}, {.in = "(); 17@1..1; ()@1..1"},
  {.in = "3; 3,5; 3", .attrs = "axes=1"}, {.in = "3; 3,17@0..0; 3@0..0", .attrs = "axes=1"},
  {.in = "17; 3,17@0..0; 17@0..0", .attrs = "axes=0"}, {.in = "2,5; 2,4,5@0..0; 2,5@0..0", .attrs = "axes=1"},
  {.in = "2,1,5; 2,4,5@2..2; 2,1,5@2..2", .attrs = "axes=1 keepdim=1"},
  {.in = "3; 2,3,5@0..0; 3@0..0", .attrs = "axes=0,2"}, {.in = "0; 3,0; 0", .attrs = "axes=0"},
  {.in = "2,33; 2,5,7,33@0..0; 2,33@0..0", .attrs = "axes=1,2"}, {.in = "71; 71,32@0..0; 71@0..0", .attrs = "axes=1"},
  {0}};

const fv_op_def fv_op_extremum_grad = {
  .name = "extremum_grad",
  .doc = "dy at the first x equal to the result of amax or amin, else 0; operands dy, x, result",
  .n_in = 3,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = infer,
  .no_grad_reason = "is itself a gradient",
  .ref = ref,
  .cost = cost,
  .cases = cases};
