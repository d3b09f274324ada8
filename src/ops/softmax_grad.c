/* SPDX-License-Identifier: Apache-2.0 */
/* softmax_grad: dx = y (dy - sum dy y), from the result y alone. What a mask left out has y = 0, so dx = 0 there. */
#include "ops/softmax.h"

#include "ops/lines.h"

fv_status fv_softmax_grad_infer(fv_infer *c) {
  const fv_softmax_attrs *a = c->attrs;
  FV_TRY(fv_infer_real(c, 0, "dy"));
  FV_TRY(fv_infer_shape(c, 1, "y", c->in[0]->shape));
  FV_TRY(fv_infer_axis(c, a->axis));
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}

static void line(const fv_call *c, fv_lines l, int64_t at) {
  double dot = 0;
  for (int64_t k = 0; k < l.n; k++) dot += fv_get(&c->in[0], at + k * l.inner) * fv_get(&c->in[1], at + k * l.inner);
  for (int64_t k = 0; k < l.n; k++) {
    int64_t i = at + k * l.inner;
    fv_set(&c->out[0], i, fv_get(&c->in[1], i) * (fv_get(&c->in[0], i) - dot));
  }
}

static void ref(const fv_call *c) {
  const fv_softmax_attrs *a = c->attrs;
  fv_lines l = fv_lines_filled(c->in[0].shape, a->axis);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.inner; i++) line(c, l, o * l.n * l.inner + i);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 4); }

static const fv_case cases[] = {
    {.in = "3,0; 3,0"}, {.in = "0,5; 0,5"}, {.in = "5,1; 5,1@0..1"}, {.in = "3,3; 3,3@0..1"}, {.in = "3,4; 3,4@0..1"},
    {.in = "3,7; 3,7@0..1"}, {.in = "3,8; 3,8@0..1"}, {.in = "3,9; 3,9@0..1"}, {.in = "2,15; 2,15@0..1"},
    {.in = "2,16; 2,16@0..1"}, {.in = "2,17; 2,17@0..1"}, {.in = "2,1031; 2,1031@0..0.01"},
    {.in = "5,17; 5,17@0..1", .attrs = "axis=0"}, {.in = "2,7,19; 2,7,19@0..1", .attrs = "axis=1"},
    {.in = "3,4,33; 3,4,33@0..1", .attrs = "axis=-2"}, {.in = "3,2,0; 3,2,0", .attrs = "axis=1"},
    {0}};

const fv_op_def fv_op_softmax_grad = {
    .name = "softmax_grad",
    .doc = "dx = y (dy - sum dy y) along an axis, of y = softmax(x); inputs dy, y",
    .n_in = 2,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_softmax_attrs),
    .attrs = fv_softmax_options,
    .infer = fv_softmax_grad_infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
