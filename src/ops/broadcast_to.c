/* SPDX-License-Identifier: Apache-2.0 */
/* broadcast_to.c: the input repeated along new and along size-1 dimensions (NumPy's rule), written out. Element-wise
 * operations broadcast by themselves and need no such copy. */
#include "ops/broadcast_to.h"

static const fv_option options[] = {
  {.name = "shape", .type = FV_OPT_INTS, .offset = offsetof(fv_broadcast_to_attrs, shape), .min = 0,
   .max = (double)(INT64_C(1) << 46), .doc = "shape of the result"},
  {0}};

static fv_status infer(fv_infer *c) {
  const fv_broadcast_to_attrs *a = c->attrs;
  fv_shape to = {.ndim = (int)a->shape.n}, both;
  for (int i = 0; i < to.ndim; i++) to.dim[i] = a->shape.v[i];
  FV_INFER_REQUIRE(c, fv_shape_broadcast(c->in[0]->shape, to, &both) && fv_shape_equal(both, to),
                   "input: expected a shape that can be repeated to %s, got %s", fv_shape_text(to),
                   fv_shape_text(c->in[0]->shape));
  c->shape[0] = to;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_sum_to(c->g, c->dout[0], c->node->in[0]->shape);
  return FV_OK;
}

static void ref(const fv_call *c) {
  fv_shape to = c->out[0].shape;
  int64_t n = fv_shape_count(to);
  for (int64_t i = 0; i < n; i++) fv_set(&c->out[0], i, fv_get(&c->in[0], fv_broadcast_index(c->in[0].shape, to, i)));
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
  {.in = "()", .attrs = "shape=1"}, {.in = "()", .attrs = "shape=17,3"}, {.in = "1", .attrs = "shape=0"},
  {.in = "0", .attrs = "shape=3,0"}, {.in = "1", .attrs = "shape=1031"}, {.in = "7", .attrs = "shape=3,7"},
  {.in = "16", .attrs = "shape=5,16"}, {.in = "33", .attrs = "shape=2,3,33"}, {.in = "5,1", .attrs = "shape=5,17"},
  {.in = "5,1,3", .attrs = "shape=5,4,3"}, {.in = "2,1,3,1", .attrs = "shape=2,5,3,9"},
  {.in = "1,4,1", .attrs = "shape=2,3,4,19"}, {.in = "3,5", .attrs = "shape=3,5"},
  {.in = "5,1:i32@-9..9", .attrs = "shape=5,17"}, {.in = "9:u8@0..255", .attrs = "shape=3,9"},
  {0}};

const fv_op_def fv_op_broadcast_to = {
  .name = "broadcast_to",
  .doc = "x repeated to a shape (NumPy's broadcasting)",
  .n_in = 1,
  .attrs_size = sizeof(fv_broadcast_to_attrs),
  .attrs = options,
  .infer = infer,
  .grad = grad,
  .ref = ref,
  .cost = cost,
  .cases = cases};
