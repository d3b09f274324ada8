/* SPDX-License-Identifier: Apache-2.0 */
/* cumsum.c: running sum along an axis, each element included; from the end when reversed. Its gradient is the running
 * sum the other way. */
#include "ops/cumsum.h"

static const fv_option options[] = {
  {.name = "axis", .type = FV_OPT_INT, .offset = offsetof(fv_cumsum_attrs, axis), .def = "0", .min = -FV_MAX_DIMS,
   .max = FV_MAX_DIMS - 1, .doc = "dimension to sum along"},
  {.name = "reverse", .type = FV_OPT_BOOL, .offset = offsetof(fv_cumsum_attrs, reverse), .def = "false",
   .doc = "sum from the end"},
  {0}};

static fv_status infer(fv_infer *c) {
  const fv_cumsum_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  fv_dtype t = c->in[0]->dtype;
  int axis = fv_axis(a->axis, s.ndim);
  FV_INFER_REQUIRE(c, t == FV_F32 || t == FV_F64, "input: expected real numbers, got %s", fv_dtype_name(t));
  FV_INFER_REQUIRE(c, axis >= 0 && axis < s.ndim, "axis: expected a dimension of %s, got %d", fv_shape_text(s),
                   (int)a->axis);
  c->shape[0] = s;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_cumsum_attrs a = *(const fv_cumsum_attrs *)c->node->attrs;
  a.reverse = !a.reverse;
  c->din[0] = fv_op(c->g, "cumsum", &a, c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_cumsum_attrs *a = c->attrs;
  fv_shape s = c->in[0].shape;
  int axis = fv_axis(a->axis, s.ndim);
  int64_t before = fv_shape_before(s, axis), n = s.dim[axis], after = fv_shape_after(s, axis);
  for (int64_t b = 0; b < before; b++)
    for (int64_t j = 0; j < after; j++) {
      double sum = 0;
      for (int64_t i = 0; i < n; i++) {
        int64_t at = (b * n + (a->reverse ? n - 1 - i : i)) * after + j;
        sum += fv_get(&c->in[0], at);
        fv_set(&c->out[0], at, sum);
      }
    }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 1); }

static const fv_case cases[] = {
  {.in = "0"}, {.in = "1"}, {.in = "3"}, {.in = "17"}, {.in = "1031"}, {.in = "1031", .attrs = "reverse=1"},
  {.in = "5,7"}, {.in = "5,7", .attrs = "axis=1"}, {.in = "5,7", .attrs = "axis=-1 reverse=1"}, {.in = "5,16"},
  {.in = "3,5,17", .attrs = "axis=1"}, {.in = "3,5,33", .attrs = "axis=1 reverse=1"},
  {.in = "3,5,1", .attrs = "axis=1"}, {.in = "3,0,4", .attrs = "axis=1"}, {.in = "0,4", .attrs = "axis=1"},
  {.in = "4,0"}, {.in = "257,3"},
  {0}};

const fv_op_def fv_op_cumsum = {
  .name = "cumsum",
  .doc = "running sum along an axis",
  .n_in = 1,
  .flags = FV_OP_INPLACE,
  .attrs_size = sizeof(fv_cumsum_attrs),
  .attrs = options,
  .infer = infer,
  .grad = grad,
  .ref = ref,
  .cost = cost,
  .cases = cases};
