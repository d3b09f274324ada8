/* SPDX-License-Identifier: Apache-2.0 */
/* reshape: the same elements in the same order under another shape. Costs nothing: tensors are dense and row-major, so
 * the result is the input's memory. */
#include "ops/reshape.h"

static const fv_option attrs[] = {
    {.name = "shape", .type = FV_OPT_INTS, .offset = offsetof(fv_reshape_attrs, shape), .min = -1, .max = 0x1p52,
     .doc = "new dimensions; one may be -1: what is left"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_reshape_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape;
  const int64_t count = fv_shape_count(x);
  fv_shape out = {.ndim = (int)a->shape.n};
  int64_t known = 1;
  int hole = -1;
  for (int i = 0; i < out.ndim; i++) {
    const int64_t d = a->shape.v[i];
    out.dim[i] = d;
    if (d == -1) {
      FV_INFER_REQUIRE(c, hole < 0, "shape: expected at most one -1, got %s", fv_shape_text(out));
      hole = i;
    } else {
      FV_INFER_REQUIRE(c, d >= 0 && !__builtin_mul_overflow(known, d, &known),
                       "shape: expected dimensions of a tensor that can exist, got %lld at %d", (long long)d, i);
    }
  }
  const bool fits = hole < 0 ? known == count : known > 0 && count % known == 0;
  FV_INFER_REQUIRE(c, fits, "shape: expected %lld elements as in %s, got %s", (long long)count, fv_shape_text(x),
                   fv_shape_text(out));
  if (hole >= 0) out.dim[hole] = count / known;
  c->shape[0] = out;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_reshape_to(c->g, c->dout[0], c->node->in[0]->shape);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t n = fv_shape_count(c->out[0].shape);
  for (int64_t i = 0; i < n; i++) fv_set(&c->out[0], i, fv_get(&c->in[0], i));
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
    {.in = "2,3,4", .attrs = "shape=6,4"},      {.in = "2,3,4", .attrs = "shape=-1,2"},
    {.in = "1", .attrs = ""},                   {.in = "()", .attrs = "shape=1,1,1"},
    {.in = "0,5", .attrs = "shape=5,0,3"},      {.in = "7,1,11", .attrs = "shape=7,11"},
    {.in = "3,5:i32@0..9", .attrs = "shape=15"}, {.in = "3,5:u8@0..9", .attrs = "shape=5,-1"},
    {0}};

const fv_op_def fv_op_reshape = {
    .name = "reshape",
    .doc = "y = x's elements in row-major order under another shape of the same count",
    .n_in = 1,
    .flags = FV_OP_ALIAS,
    .attrs_size = sizeof(fv_reshape_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
