/* SPDX-License-Identifier: Apache-2.0 */
/* cast.c: the same numbers in another dtype. To whole numbers: towards 0, cut to the dtype's range, NaN becomes 0 (C
 * and PyTorch leave these undefined). The gradient passes from real to real alone. */
#include "ops/cast.h"
#include "ops/elementwise.h"

#include <math.h>

static const char *const dtypes[] = {"real", "i32", "u8", NULL};
static const fv_option attrs_table[] = {
  {.name = "dtype", .type = FV_OPT_ENUM, .offset = offsetof(fv_cast_attrs, dtype), .def = "real", .choices = dtypes,
   .doc = "dtype of the result"},
  {0}};

static fv_status infer(fv_infer *c) {
  const fv_cast_attrs *a = c->attrs;
  c->dtype[0] = a->dtype == FV_CAST_REAL ? c->g->real : a->dtype == FV_CAST_I32 ? FV_I32 : FV_U8;
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}

static double scalar(const void *attrs, const double *x) {
  const fv_cast_attrs *a = attrs;
  if (a->dtype == FV_CAST_REAL) return x[0];
  double low = a->dtype == FV_CAST_U8 ? 0 : INT32_MIN, high = a->dtype == FV_CAST_U8 ? UINT8_MAX : INT32_MAX;
  return isnan(x[0]) ? 0 : fmin(fmax(trunc(x[0]), low), high);
}

static fv_status grad(fv_grad *c) {
  c->din[0] = c->dout[0];
  return FV_OK;
}

static const fv_case cases[] = {
  FV_UNARY_CASES(""), FV_UNARY_CASES(":i32@-9..9"), FV_UNARY_CASES(":u8@0..255"),
  {.in = "1031@-9..9", .attrs = "dtype=i32", .no_grad_check = true, .note = "whole numbers"},
  {.in = "17@-3e9..3e9", .attrs = "dtype=i32", .no_grad_check = true, .note = "whole numbers"},
  {.in = "37@-20..300", .attrs = "dtype=u8", .no_grad_check = true, .note = "whole numbers"},
  {.in = "37:i32@-20..300", .attrs = "dtype=u8"}, {.in = "37:u8@0..255", .attrs = "dtype=i32"},
  {0}};

const fv_op_def fv_op_cast = {
  .name = "cast",
  .doc = "x as another dtype; to whole numbers towards 0, saturating",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_cast_attrs),
  .attrs = attrs_table,
  .infer = infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
