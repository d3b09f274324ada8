/* SPDX-License-Identifier: Apache-2.0 */
/* clip_grad.c: the gradient of clip from its input. */
#include "ops/clip.h"
#include "ops/elementwise.h"

static double scalar(const void *attrs, const double *x) {
  const fv_clip_attrs *a = attrs;
  return x[1] >= a->min && x[1] <= a->max ? x[0] : 0;
}

static const fv_case cases[] = {
  FV_BINARY_CASES("", ""),
  {.in = "1031; 1031", .attrs = "min=-0.5 max=0.25"}, {.in = "17; 17", .attrs = "max=0"},
  {.in = "19; 19", .attrs = "min=0.5"}, {.in = "5,7; 5,7", .attrs = "min=0.1 max=0.1"},
  {0}};

const fv_op_def fv_op_clip_grad = {
  .name = "clip_grad",
  .doc = "dy where min <= x <= max, else 0; operands dy, x",
  .n_in = 2,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_clip_attrs),
  .attrs = fv_clip_options,
  .infer = fv_elementwise_infer,
  .no_grad_reason = "is itself a gradient",
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
