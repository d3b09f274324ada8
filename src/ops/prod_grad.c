/* SPDX-License-Identifier: Apache-2.0 */
/* prod_grad.c: the gradient of prod: dy times the product of the other elements. Without zeros that is the product over
 * x; one zero takes all of the gradient; two leave none. */
#include "ops/reduce.h"

static fv_status infer(fv_infer *c) {
  fv_shape y;
  FV_TRY(fv_reduce_shape(c, c->attrs, c->in[1]->shape, &y));
  FV_INFER_REQUIRE(c, fv_shape_equal(c->in[0]->shape, y), "gradient: expected %s, got %s", fv_shape_text(y),
                   fv_shape_text(c->in[0]->shape));
  for (int i = 0; i < 2; i++)
    FV_INFER_REQUIRE(c, c->in[i]->dtype == c->g->real, "input %d: expected %s, got %s", i, fv_dtype_name(c->g->real),
                     fv_dtype_name(c->in[i]->dtype));
  c->shape[0] = c->in[1]->shape;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_reduce_attrs *a = c->attrs;
  fv_reduce_walk w = fv_reduce_walk_new(c->in[1].shape, fv_reduce_mask(&a->axes, c->in[1].shape.ndim));
  for (int64_t i = 0; i < w.n_kept; i++) {
    double product = fv_get(&c->in[0], i);
    int64_t zeros = 0;
    for (int64_t k = 0; k < w.n_reduced; k++) {
      double x = fv_get(&c->in[1], fv_reduce_index(&w, i, k));
      if (x == 0) zeros++;
      else product *= x;
    }
    for (int64_t k = 0; k < w.n_reduced; k++) {
      int64_t at = fv_reduce_index(&w, i, k);
      double x = fv_get(&c->in[1], at);
      fv_set(&c->out[0], at, x == 0 ? (zeros == 1 ? product : 0) : zeros ? 0 : product / x);
    }
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 3); }

static const fv_case cases[] = {
  {.in = "(); ()"}, {.in = "(); 1@0..0"}, {.in = "(); 17@0.5..2"}, {.in = "3; 3,5@-2..2", .attrs = "axes=1"},
  {.in = "17; 5,17@-2..2", .attrs = "axes=0"},
  {.in = "3,1; 3,2@0..0", .attrs = "axes=1 keepdim=1", .note = "two zeros"},
  {.in = "3; 2,3,5@0.5..2", .attrs = "axes=0,2"}, {.in = "0; 3,0", .attrs = "axes=0"},
  {0}};

const fv_op_def fv_op_prod_grad = {
  .name = "prod_grad",
  .doc = "dy times the product of the other elements; operands dy, x",
  .n_in = 2,
  .attrs_size = sizeof(fv_reduce_attrs),
  .attrs = fv_reduce_options,
  .infer = infer,
  .no_grad_reason = "is itself a gradient",
  .ref = ref,
  .cost = cost,
  .cases = cases};
