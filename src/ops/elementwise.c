/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.c: shapes, reference and cost of every operation whose out[i] depends on its operands' element i alone.
 * An operation brings its formula in `scalar`; broadcasting is written here once. */
#include "ops/elementwise.h"

fv_status fv_elementwise_broadcast(fv_infer *c, int first) {
  fv_shape shape = c->in[first]->shape;
  for (int i = first + 1; i < c->n_in; i++)
    FV_INFER_REQUIRE(c, fv_shape_broadcast(shape, c->in[i]->shape, &shape),
                     "operand %d: expected a shape that broadcasts with %s, got %s", i, fv_shape_text(shape),
                     fv_shape_text(c->in[i]->shape));
  c->shape[0] = shape;
  return FV_OK;
}

static fv_status one_dtype(fv_infer *c) {
  for (int i = 1; i < c->n_in; i++)
    FV_INFER_REQUIRE(c, c->in[i]->dtype == c->in[0]->dtype, "operand %d: expected %s as operand 0, got %s", i,
                     fv_dtype_name(c->in[0]->dtype), fv_dtype_name(c->in[i]->dtype));
  return FV_OK;
}

fv_status fv_elementwise_infer(fv_infer *c) {
  fv_dtype t = c->in[0]->dtype;
  FV_INFER_REQUIRE(c, t == FV_F32 || t == FV_F64, "operand 0: expected real numbers, got %s", fv_dtype_name(t));
  FV_TRY(one_dtype(c));
  return fv_elementwise_broadcast(c, 0);
}

fv_status fv_elementwise_infer_u8(fv_infer *c) {
  FV_TRY(one_dtype(c));
  c->dtype[0] = FV_U8;
  return fv_elementwise_broadcast(c, 0);
}

fv_status fv_elementwise_infer_logic(fv_infer *c) {
  FV_INFER_REQUIRE(c, c->in[0]->dtype == FV_U8, "operand 0: expected u8, got %s", fv_dtype_name(c->in[0]->dtype));
  return fv_elementwise_infer_u8(c);
}

void fv_elementwise_ref(const fv_call *c) {
  int64_t n = fv_shape_count(c->out[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double x[4] = {0};
    for (int k = 0; k < c->n_in && k < 4; k++)
      x[k] = fv_get(&c->in[k], fv_broadcast_index(c->in[k].shape, c->out[0].shape, i));
    fv_set(&c->out[0], i, c->node->op->scalar(c->attrs, x));
  }
}

fv_cost fv_elementwise_cost(const fv_node *n) { return fv_cost_elementwise(n, 1); }

fv_status fv_elementwise_grad_zero(fv_grad *c) {
  (void)c;
  return FV_OK;
}

void fv_elementwise_give(fv_grad *c, int i, fv_value *v) { c->din[i] = fv_sum_to(c->g, v, c->node->in[i]->shape); }
