/* SPDX-License-Identifier: Apache-2.0 */
/* log_softmax: y = x - max - log sum exp(x - max) along an axis; -inf where the mask leaves out. */
#include "ops/lines.h"
#include "ops/softmax.h"

#include <math.h>

static fv_status grad(fv_grad *c) {
  if (c->need[0]) c->din[0] = fv_op(c->g, "log_softmax_grad", c->node->attrs, c->dout[0], c->node->out[0]);
  return FV_OK;
}

static void line(const fv_call *c, fv_lines l, int64_t at) {
  const fv_tensor *x = &c->in[0], *mask = c->n_in > 1 && c->in[1].data ? &c->in[1] : NULL;
  double max = -INFINITY, sum = 0;
  for (int pass = 0; pass < 3; pass++)
    for (int64_t k = 0; k < l.n; k++) {
      int64_t i = at + k * l.inner;
      bool kept = !mask || fv_get(mask, fv_broadcast_index(mask->shape, x->shape, i)) != 0;
      if (pass == 0 && kept) max = fmax(max, fv_get(x, i));
      if (pass == 1 && kept) sum += exp(fv_get(x, i) - max);
      if (pass == 2) fv_set(&c->out[0], i, kept ? fv_get(x, i) - max - log(sum) : -INFINITY);
    }
}

static void ref(const fv_call *c) {
  const fv_softmax_attrs *a = c->attrs;
  fv_lines l = fv_lines_filled(c->in[0].shape, a->axis);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.inner; i++) line(c, l, o * l.n * l.inner + i);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 5); }

#define MASKED .no_grad_check = true, .note = "the result is -inf where the mask leaves out"
static const fv_case cases[] = {
    {.in = "3,0"}, {.in = "0,5"}, {.in = "5,1"}, {.in = "3,3@-4..4"}, {.in = "3,4@-4..4"}, {.in = "3,5@-4..4"},
    {.in = "3,7@-4..4"}, {.in = "3,8@-4..4"}, {.in = "3,9@-4..4"}, {.in = "2,15@-4..4"}, {.in = "2,16@-4..4"},
    {.in = "2,17@-4..4"}, {.in = "2,1031@-8..8"}, {.in = "13@-90..90"},
    {.in = "5,17@-4..4", .attrs = "axis=0"}, {.in = "2,7,19@-4..4", .attrs = "axis=1"},
    {.in = "3,4,33@-4..4", .attrs = "axis=-2"}, {.in = "3,2,0", .attrs = "axis=1"},
    {.in = "4,17@-4..4; 4,17:u8", MASKED}, {.in = "4,9@-4..4; 9:u8", MASKED}, {.in = "4,3,16@-4..4; 4,1,1:u8", MASKED},
    {.in = "3,17@-4..4; 3,17:u8@0..0", MASKED}, {.in = "3,5,17@-4..4; 3,5,1:u8", .attrs = "axis=1", MASKED},
    {.in = "3,17@-4..4; 17:u8@1..1"},
    {0}};

const fv_op_def fv_op_log_softmax = {
    .name = "log_softmax",
    .doc = "y = x - log sum exp(x) along an axis; where the optional u8 mask is 0, y is -inf",
    .n_in = 1,
    .n_in_max = 2,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_softmax_attrs),
    .attrs = fv_softmax_options,
    .infer = fv_softmax_infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
