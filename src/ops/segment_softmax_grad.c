/* SPDX-License-Identifier: Apache-2.0 */
/* segment_softmax_grad: dx = y (dy - sum dy y over the row), from the result y alone. A place in no row has y = 0. */
#include "ops/segments.h"

#include "ops/lines.h"

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_infer_real(c, 0, "dy"));
  FV_INFER_REQUIRE(c, c->in[0]->shape.ndim > 0, "dy: expected [M,...], got %s", fv_shape_text(c->in[0]->shape));
  FV_TRY(fv_infer_shape(c, 1, "y", c->in[0]->shape));
  c->shape[0] = c->in[0]->shape;
  return fv_segments_check(c, 2);
}

static void segment(const fv_call *c, int64_t begin, int64_t end, int64_t width, int64_t column) {
  double dot = 0;
  for (int64_t k = begin; k < end; k++)
    dot += fv_get(&c->in[0], k * width + column) * fv_get(&c->in[1], k * width + column);
  for (int64_t k = begin; k < end; k++) {
    const int64_t i = k * width + column;
    fv_set(&c->out[0], i, fv_get(&c->in[1], i) * (fv_get(&c->in[0], i) - dot));
  }
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[0].shape.dim[0], width = fv_shape_after(c->in[0].shape, 0), rows = c->in[2].shape.dim[0] - 1;
  int64_t end = fv_segment_bound(&c->in[2], 0, 0, n);
  if (width == 0) return;
  for (int64_t k = 0; k < end * width; k++) fv_set(&c->out[0], k, 0);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[2], i + 1, begin, n);
    for (int64_t j = 0; j < width; j++) segment(c, begin, end, width, j);
  }
  for (int64_t k = end * width; k < n * width; k++) fv_set(&c->out[0], k, 0);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 4); }

static const fv_case cases[] = {
    {.in = "0,3; 0,3; 1:i32@0..0"}, {.in = "7; 7@0..1; 2:i32@0..7"}, {.in = "5,0; 5,0; 3:i32@0..5"},
    {.in = "17,3; 17,3@0..1; 2:i32@0..17"}, {.in = "33,8; 33,8@0..1; 6:i32@0..33"},
    {.in = "40,2,5; 40,2,5@0..1; 12:i32@0..40"}, {.in = "31,4; 31,4@0..1; 4:i32@-9..60"},
    {0}};

const fv_op_def fv_op_segment_softmax_grad = {
    .name = "segment_softmax_grad",
    .doc = "dx = y (dy - sum dy y over the row), of y = segment_softmax(x, row_ptr); inputs dy, y, row_ptr",
    .n_in = 3,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
