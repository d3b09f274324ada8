/* SPDX-License-Identifier: Apache-2.0 */
/* clip.c: x cut to [min, max], NaN kept. The gradient passes where x lies inside, bounds included. */
#include "ops/clip.h"
#include "ops/elementwise.h"

const fv_option fv_clip_options[] = {
  {.name = "min", .type = FV_OPT_REAL, .offset = offsetof(fv_clip_attrs, min), .def = "-1e308", .doc = "lowest value"},
  {.name = "max", .type = FV_OPT_REAL, .offset = offsetof(fv_clip_attrs, max), .def = "1e308", .doc = "highest value"},
  {0}};

static double scalar(const void *attrs, const double *x) {
  const fv_clip_attrs *a = attrs;
  return x[0] < a->min ? a->min : x[0] > a->max ? a->max : x[0];
}

static fv_status grad(fv_grad *c) {
  c->din[0] = fv_op(c->g, "clip_grad", c->node->attrs, c->dout[0], c->node->in[0]);
  return FV_OK;
}

static const fv_case cases[] = {
  FV_UNARY_CASES(""),
  {.in = "1031", .attrs = "min=-0.5 max=0.25"}, {.in = "17", .attrs = "max=0"},
  {.in = "19", .attrs = "min=0.5"}, {.in = "5,7", .attrs = "min=0.1 max=0.1"},
  {0}};

const fv_op_def fv_op_clip = {
  .name = "clip",
  .doc = "x cut to [min, max]",
  .n_in = 1,
  .flags = FV_OP_ELEMENTWISE | FV_OP_INPLACE,
  .attrs_size = sizeof(fv_clip_attrs),
  .attrs = fv_clip_options,
  .infer = fv_elementwise_infer,
  .grad = grad,
  .ref = fv_elementwise_ref,
  .scalar = scalar,
  .cost = fv_elementwise_cost,
  .cases = cases};
