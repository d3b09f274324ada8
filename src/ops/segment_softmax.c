/* SPDX-License-Identifier: Apache-2.0 */
/* segment_softmax: the softmax over the places of each CSR row, a column at a time: attention over the neighbours of a
 * node. A place in no row gets 0, and so does its gradient. */
#include "ops/segments.h"

#include "ops/lines.h"

#include <math.h>

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, c->in[0]->shape.ndim > 0, "input: expected [M,...], got %s", fv_shape_text(c->in[0]->shape));
  c->shape[0] = c->in[0]->shape;
  return fv_segments_check(c, 1);
}

static fv_status grad(fv_grad *c) {
  if (c->need[0]) c->din[0] = fv_op(c->g, "segment_softmax_grad", NULL, c->dout[0], c->node->out[0], c->node->in[1]);
  return FV_OK;
}

static void segment(const fv_call *c, int64_t begin, int64_t end, int64_t width, int64_t column) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = begin; k < end; k++) max = fmax(max, fv_get(&c->in[0], k * width + column));
  for (int64_t k = begin; k < end; k++) sum += exp(fv_get(&c->in[0], k * width + column) - max);
  for (int64_t k = begin; k < end; k++)
    fv_set(&c->out[0], k * width + column, exp(fv_get(&c->in[0], k * width + column) - max) / sum);
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[0].shape.dim[0], width = fv_shape_after(c->in[0].shape, 0), rows = c->in[1].shape.dim[0] - 1;
  int64_t end = fv_segment_bound(&c->in[1], 0, 0, n);
  if (width == 0) return;
  for (int64_t k = 0; k < end * width; k++) fv_set(&c->out[0], k, 0);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[1], i + 1, begin, n);
    for (int64_t j = 0; j < width; j++) segment(c, begin, end, width, j);
  }
  for (int64_t k = end * width; k < n * width; k++) fv_set(&c->out[0], k, 0);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 5); }

static const fv_case cases[] = {
    {.in = "0,3; 1:i32@0..0"}, {.in = "0; 5:i32@0..0"}, {.in = "7; 2:i32@0..0"}, {.in = "5,0; 3:i32@0..5"},
    {.in = "7@-4..4; 2:i32@0..7"}, {.in = "1,1; 2:i32@0..1"}, {.in = "17,3@-4..4; 2:i32@0..17"},
    {.in = "33,8@-4..4; 6:i32@0..33"}, {.in = "40,2,5@-4..4; 12:i32@0..40"}, {.in = "31,4@-4..4; 4:i32@-9..60"},
    {.in = "13,2@-90..90; 4:i32@0..13"},
    {0}};

const fv_op_def fv_op_segment_softmax = {
    .name = "segment_softmax",
    .doc = "y[k,...] = exp(x[k,...]) / sum of exp(x[m,...]) over the places m in k's row of row_ptr; inputs x [M,...], "
           "row_ptr [V+1]",
    .n_in = 2,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
