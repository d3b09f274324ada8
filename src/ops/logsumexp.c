/* SPDX-License-Identifier: Apache-2.0 */
/* logsumexp: y = max + log sum exp(x - max) along an axis. A line of which the mask leaves nothing is -inf, the log
 * of an empty sum, and its gradient (dy softmax(x)) is zero. */
#include "ops/logsumexp.h"

#include "ops/lines.h"
#include "ops/reshape.h"
#include "ops/softmax.h"

#include <math.h>

static const fv_option attrs[] = {
    {"axis", FV_OPT_INT, offsetof(fv_logsumexp_attrs, axis), "-1", -FV_MAX_DIMS, FV_MAX_DIMS - 1, NULL,
     "the axis that is summed"},
    {"keepdim", FV_OPT_BOOL, offsetof(fv_logsumexp_attrs, keepdim), "false", 0, 0, NULL, "keep the axis, of length 1"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_logsumexp_attrs *a = c->attrs;
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_TRY(fv_infer_axis(c, a->axis));
  FV_TRY(fv_infer_mask(c, 1));
  fv_shape s = c->in[0]->shape;
  int axis = fv_axis(a->axis, s.ndim);
  c->shape[0] = a->keepdim ? fv_shape_keep(s, axis) : fv_shape_drop(s, axis);
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  if (!c->need[0]) return FV_OK;
  const fv_node *n = c->node;
  const fv_logsumexp_attrs *a = n->attrs;
  fv_shape s = n->in[0]->shape;
  fv_value *dy = c->dout[0];
  if (!a->keepdim) dy = fv_reshape_to(c->g, dy, fv_shape_keep(s, fv_axis(a->axis, s.ndim)));
  fv_softmax_attrs sa = {.axis = a->axis};
  c->din[0] = fv_op(c->g, "mul", NULL, fv_op_apply(c->g, "softmax", &sa, n->n_in, n->in), dy);
  return FV_OK;
}

static double line(const fv_call *c, fv_lines l, int64_t at) {
  const fv_tensor *x = &c->in[0], *mask = c->n_in > 1 && c->in[1].data ? &c->in[1] : NULL;
  double max = -INFINITY, sum = 0;
  for (int pass = 0; pass < 2; pass++) {
    double shift = isfinite(max) ? max : 0;
    for (int64_t k = 0; k < l.n; k++) {
      int64_t i = at + k * l.inner;
      if (mask && fv_get(mask, fv_broadcast_index(mask->shape, x->shape, i)) == 0) continue;
      if (pass == 0) max = fmax(max, fv_get(x, i));
      if (pass == 1) sum += exp(fv_get(x, i) - shift);
    }
  }
  return (isfinite(max) ? max : 0) + log(sum);
}

static void ref(const fv_call *c) {
  const fv_logsumexp_attrs *a = c->attrs;
  fv_lines l = fv_lines_of(c->in[0].shape, a->axis);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.inner; i++) fv_set(&c->out[0], o * l.inner + i, line(c, l, o * l.n * l.inner + i));
}

static fv_cost cost(const fv_node *n) { return fv_cost_input(n, 0, 4); }

#define EMPTY .no_grad_check = true, .note = "the log of an empty sum is -inf"
static const fv_case cases[] = {
    {.in = "3,0", EMPTY}, {.in = "0,5"}, {.in = "5,1"}, {.in = "3,3@-4..4"}, {.in = "3,4@-4..4"}, {.in = "3,5@-4..4"},
    {.in = "3,7@-4..4"}, {.in = "3,8@-4..4"}, {.in = "3,9@-4..4"}, {.in = "2,15@-4..4", .attrs = "keepdim=true"},
    {.in = "2,16@-4..4"}, {.in = "2,17@-4..4"}, {.in = "2,1031@-8..8"}, {.in = "13@-90..90"},
    {.in = "5,17@-4..4", .attrs = "axis=0"}, {.in = "2,7,19@-4..4", .attrs = "axis=1 keepdim=true"},
    {.in = "3,4,33@-4..4", .attrs = "axis=-2"}, {.in = "3,2,0", .attrs = "axis=1"},
    {.in = "4,17@-4..4; 17:u8@1..1"}, {.in = "4,17@-4..4; 4,17:u8"}, {.in = "4,9,33@-4..4; 9,33:u8"},
    {.in = "5,29,18@-4..4; 29,18:u8", .attrs = "axis=1"}, {.in = "3,17@-4..4; 3,17:u8@0..0", EMPTY},
    {.in = "3,5,17@-4..4; 3,1,1:u8@0..0", .attrs = "axis=1", EMPTY},
    {0}};

const fv_op_def fv_op_logsumexp = {
    .name = "logsumexp",
    .doc = "y = log sum exp(x) along an axis, over what the optional u8 mask keeps",
    .n_in = 1,
    .n_in_max = 2,
    .attrs_size = sizeof(fv_logsumexp_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
