/* SPDX-License-Identifier: Apache-2.0 */
/* attend_delta: what the gradient of a softmax over edges takes off each of them: sum_k alpha_k dalpha_k, of which the
 * part that came through y is <dy, y>, without a look at the edges (Dao et al. 2022, appendix B.2). */
#include "ops/attend.h"

enum { DY, Y, ROW_PTR, ALPHA, DALPHA };

static fv_status infer(fv_infer *c) {
  fv_attend_sizes a;
  FV_TRY(fv_attend_infer_ends(c, DY, Y, &a));
  FV_TRY(fv_attend_infer_real(c, Y, "y", c->in[DY]->shape));
  FV_TRY(fv_attend_infer_int(c, ROW_PTR, "row_ptr", FV_SHAPE(a.targets + 1)));
  FV_INFER_REQUIRE(c, fv_has_in(c, ALPHA) == fv_has_in(c, DALPHA), "alpha, dalpha: expected both or none, got one");
  if (fv_has_in(c, ALPHA)) {
    const fv_shape s = c->in[ALPHA]->shape;
    FV_INFER_REQUIRE(c, s.ndim == 2 && s.dim[1] == a.heads, "alpha: expected [M,%lld], got %s", (long long)a.heads,
                     fv_shape_text(s));
    for (int i = ALPHA; i <= DALPHA; i++) FV_TRY(fv_attend_infer_real(c, i, i == ALPHA ? "alpha" : "dalpha", s));
  }
  c->shape[0] = FV_SHAPE(a.targets, a.heads);
  return FV_OK;
}

static double row(const fv_call *c, int64_t at, int64_t h, int64_t begin, int64_t end) {
  const int64_t heads = c->out[0].shape.dim[1], d = c->in[DY].shape.dim[2];
  double sum = 0;
  for (int64_t k = at * d; k < (at + 1) * d; k++) sum += fv_get(&c->in[DY], k) * fv_get(&c->in[Y], k);
  for (int64_t k = begin; k < end; k++)
    sum += fv_get(&c->in[ALPHA], k * heads + h) * fv_get(&c->in[DALPHA], k * heads + h);
  return sum;
}

static void ref(const fv_call *c) {
  const int64_t rows = c->out[0].shape.dim[0], heads = c->out[0].shape.dim[1];
  const int64_t n = fv_attend_in(c, ALPHA) ? c->in[ALPHA].shape.dim[0] : 0;
  int64_t end = fv_segment_bound(&c->in[ROW_PTR], 0, 0, n);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[ROW_PTR], i + 1, begin, n);
    for (int64_t h = 0; h < heads; h++) fv_set(&c->out[0], i * heads + h, row(c, i * heads + h, h, begin, end));
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = 2 * (double)fv_shape_count(n->in[DY]->shape), .bytes = fv_cost_io(n)};
}

#define SUMS .tolerance = 1e-5
static const fv_case cases[] = {
    {.in = "0,3,4; 0,3,4; 1:i32"}, {.in = "5,0,3; 5,0,3; 6:i32"}, {.in = "5,3,0; 5,3,0; 6:i32"},
    {.in = "7,1,1; 7,1,1; 8:i32", SUMS}, {.in = "70,8,8; 70,8,8; 71:i32", SUMS},
    {.in = "9,5,7; 9,5,7; 10:i32@0..30; 30,5; 30,5", SUMS},
    {.in = "33,3,16; 33,3,16; 34:i32@-4..90; 70,3; 70,3", SUMS},
    {.in = "3,17,2; 3,17,2; 4:i32@0..9; 9,17; 9,17", SUMS}, {.in = "3,2,33; 3,2,33; 4:i32", SUMS},
    {.in = "3,2,64; 3,2,64; 4:i32", SUMS}, {.in = "5,9,4; 5,9,4; 6:i32", SUMS}, {0}};

const fv_op_def fv_op_attend_delta = {
    .name = "attend_delta",
    .doc = "delta[i,h] = <dy[i,h], y[i,h]> + sum of alpha dalpha over the edges into i; inputs dy, y [V,H,D], row_ptr, "
           "optional alpha, dalpha [M,H]",
    .n_in = 3,
    .n_in_max = 5,
    .infer = infer,
    .no_grad_reason = "a part of gradients; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
