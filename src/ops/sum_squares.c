/* SPDX-License-Identifier: Apache-2.0 */
/* sum_squares.c: squares summed by blocks of 4096, for the norm of a slab of gradients. The caller adds the few partial
 * sums in double precision, in order. */
#include "ops/slab.h"

static fv_status infer(fv_infer *c) {
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, c->in[0]->dtype == FV_F32 || c->in[0]->dtype == FV_F64, "x: expected real numbers, got %s",
                   fv_dtype_name(c->in[0]->dtype));
  FV_INFER_REQUIRE(c, s.ndim == 1, "x: expected [n], got %s", fv_shape_text(s));
  c->shape[0] = FV_SHAPE(s.dim[0] / FV_SLAB_BLOCK + (s.dim[0] % FV_SLAB_BLOCK != 0));
  return FV_OK;
}

static void ref(const fv_call *c) {
  int64_t n = fv_shape_count(c->in[0].shape);
  for (int64_t b = 0; b * FV_SLAB_BLOCK < n; b++) {
    double sum = 0;
    for (int64_t i = b * FV_SLAB_BLOCK; i < FV_MIN((b + 1) * FV_SLAB_BLOCK, n); i++) {
      double x = fv_get(&c->in[0], i);
      sum += x * x;
    }
    fv_set(&c->out[0], b, sum);
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = 2 * (double)fv_shape_count(n->in[0]->shape), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "0"}, {.in = "1"}, {.in = "3"}, {.in = "4"}, {.in = "5"}, {.in = "7"}, {.in = "8"}, {.in = "9"},
    {.in = "15"}, {.in = "16"}, {.in = "17"}, {.in = "63"}, {.in = "65"}, {.in = "4095"}, {.in = "4096"},
    {.in = "4097"}, {.in = "81931"}, {0}};

const fv_op_def fv_op_sum_squares = {
    .name = "sum_squares",
    .doc = "out[b] = sum of x[i]^2 for i in [4096 b, 4096 (b + 1))",
    .n_in = 1,
    .infer = infer,
    .no_grad_reason = "measures gradients; is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
