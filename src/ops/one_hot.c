/* SPDX-License-Identifier: Apache-2.0 */
/* one_hot.c: class numbers (i32) as rows of real numbers, 1 at the class and 0 elsewhere. A number that is no class
 * gives a row of zeros. */
#include "ops/one_hot.h"

static const fv_option options[] = {
  {.name = "classes", .type = FV_OPT_INT, .offset = offsetof(fv_one_hot_attrs, classes), .def = "1", .min = 1,
   .max = INT32_MAX, .doc = "how many classes: the result's last dimension"},
  {0}};

static fv_status infer(fv_infer *c) {
  const fv_one_hot_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, c->in[0]->dtype == FV_I32, "input: expected i32, got %s", fv_dtype_name(c->in[0]->dtype));
  FV_INFER_REQUIRE(c, s.ndim < FV_MAX_DIMS, "input: expected less than %d dimensions, got %s", FV_MAX_DIMS,
                   fv_shape_text(s));
  s.dim[s.ndim++] = a->classes;
  c->shape[0] = s;
  c->dtype[0] = c->g->real;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_one_hot_attrs *a = c->attrs;
  int64_t rows = fv_shape_count(c->in[0].shape);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t k = 0; k < a->classes; k++)
      fv_set(&c->out[0], r * a->classes + k, fv_get(&c->in[0], r) == (double)k);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
  {.in = "():i32@0..4", .attrs = "classes=5"}, {.in = "0:i32", .attrs = "classes=5"},
  {.in = "1:i32@0..0", .attrs = "classes=1"}, {.in = "7:i32@0..9", .attrs = "classes=10"},
  {.in = "3,5:i32@0..16", .attrs = "classes=17"}, {.in = "33:i32@-2..18", .attrs = "classes=16"},
  {0}};

const fv_op_def fv_op_one_hot = {
  .name = "one_hot",
  .doc = "1 at the class, 0 elsewhere; a number that is no class gives zeros",
  .n_in = 1,
  .attrs_size = sizeof(fv_one_hot_attrs),
  .attrs = options,
  .infer = infer,
  .no_grad_reason = "whole numbers have no gradient",
  .ref = ref,
  .cost = cost,
  .cases = cases};
