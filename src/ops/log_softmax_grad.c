/* SPDX-License-Identifier: Apache-2.0 */
/* log_softmax_grad: dx = dy - exp(y) sum dy, from the result y alone. Where y is -inf (masked) dy is ignored and dx =
 * 0. */
#include "ops/lines.h"
#include "ops/softmax.h"

#include <math.h>

static void line(const fv_call *c, fv_lines l, int64_t at) {
  double sum = 0;
  for (int64_t k = 0; k < l.n; k++) {
    int64_t i = at + k * l.inner;
    if (fv_get(&c->in[1], i) != -INFINITY) sum += fv_get(&c->in[0], i);
  }
  for (int64_t k = 0; k < l.n; k++) {
    int64_t i = at + k * l.inner;
    double y = fv_get(&c->in[1], i);
    fv_set(&c->out[0], i, y == -INFINITY ? 0 : fv_get(&c->in[0], i) - exp(y) * sum);
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
    {.in = "3,0; 3,0"}, {.in = "0,5; 0,5"}, {.in = "5,1; 5,1@-4..0"}, {.in = "3,3; 3,3@-4..0"},
    {.in = "3,4; 3,4@-4..0"}, {.in = "3,7; 3,7@-4..0"}, {.in = "3,8; 3,8@-4..0"}, {.in = "3,9; 3,9@-4..0"},
    {.in = "2,15; 2,15@-4..0"}, {.in = "2,16; 2,16@-4..0"}, {.in = "2,17; 2,17@-4..0"},
    {.in = "2,1031; 2,1031@-12..-4"}, {.in = "5,17; 5,17@-4..0", .attrs = "axis=0"},
    {.in = "2,7,19; 2,7,19@-4..0", .attrs = "axis=1"}, {.in = "3,2,0; 3,2,0", .attrs = "axis=1"},
    {0}};

const fv_op_def fv_op_log_softmax_grad = {
    .name = "log_softmax_grad",
    .doc = "dx = dy - exp(y) sum dy along an axis, of y = log_softmax(x); inputs dy, y",
    .n_in = 2,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_softmax_attrs),
    .attrs = fv_softmax_options,
    .infer = fv_softmax_grad_infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
