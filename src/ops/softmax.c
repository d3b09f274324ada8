/* SPDX-License-Identifier: Apache-2.0 */
/* softmax: y = exp(x - max) / sum exp(x - max) along an axis; what the mask leaves out counts as exp(-inf).
 *
 * A row of which the mask leaves nothing is all zeros (not NaN): such rows are padding, and their gradient is zero. */
#include "ops/softmax.h"

#include "ops/lines.h"

#include <math.h>

const fv_option fv_softmax_options[] = {
    {"axis", FV_OPT_INT, offsetof(fv_softmax_attrs, axis), "-1", -FV_MAX_DIMS, FV_MAX_DIMS - 1, NULL,
     "the axis that sums to one"},
    {0}};

fv_status fv_softmax_infer(fv_infer *c) {
  const fv_softmax_attrs *a = c->attrs;
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_TRY(fv_infer_axis(c, a->axis));
  FV_TRY(fv_infer_mask(c, 1));
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  if (c->need[0]) c->din[0] = fv_op(c->g, "softmax_grad", c->node->attrs, c->dout[0], c->node->out[0]);
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
      if (pass == 2) fv_set(&c->out[0], i, kept ? exp(fv_get(x, i) - max) / sum : 0);
    }
}

static void ref(const fv_call *c) {
  const fv_softmax_attrs *a = c->attrs;
  fv_lines l = fv_lines_filled(c->in[0].shape, a->axis);
  for (int64_t o = 0; o < l.outer; o++)
    for (int64_t i = 0; i < l.inner; i++) line(c, l, o * l.n * l.inner + i);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 5); }

static const fv_case cases[] = {
    {.in = "3,0"}, {.in = "0,5"}, {.in = "5,1"}, {.in = "3,3@-4..4"}, {.in = "3,4@-4..4"}, {.in = "3,5@-4..4"},
    {.in = "3,7@-4..4"}, {.in = "3,8@-4..4"}, {.in = "3,9@-4..4"}, {.in = "2,15@-4..4"}, {.in = "2,16@-4..4"},
    {.in = "2,17@-4..4"}, {.in = "2,31@-4..4"}, {.in = "1,257@-8..8"}, {.in = "2,1031@-8..8"},
    {.in = "13@-90..90"},
    {.in = "5,3,1@-2..2", .attrs = "axis=0"}, {.in = "5,17@-4..4", .attrs = "axis=0"},
    {.in = "2,7,19@-4..4", .attrs = "axis=1"}, {.in = "3,4,33@-4..4", .attrs = "axis=-2"},
    {.in = "3,2,0", .attrs = "axis=1"},
    {.in = "4,17@-4..4; 4,17:u8"}, {.in = "4,9@-4..4; 9:u8"}, {.in = "4,3,16@-4..4; 4,1,1:u8"},
    {.in = "2,3,5,7@-4..4; 2,1,5,7:u8"}, {.in = "2,3,35@-4..4; 2,1,35:u8"},
    {.in = "3,17@-4..4; 3,17:u8@0..0"}, {.in = "3,17@-4..4; 3,1:u8"},
    {.in = "3,5,17@-4..4; 3,5,1:u8", .attrs = "axis=1"}, {.in = "3,5,18@-4..4; 5,18:u8", .attrs = "axis=1"},
    {0}};

const fv_op_def fv_op_softmax = {
    .name = "softmax",
    .doc = "y = exp(x) / sum exp(x) along an axis; where the optional u8 mask is 0, y is 0",
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
