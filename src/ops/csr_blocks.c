/* SPDX-License-Identifier: Apache-2.0 */
/* csr_blocks: many small graphs as one, none of which touches another. Block b has L rows, degree[b,i] of which says
 * how many places row i has; they are the first of place[b], in order, and name rows of the block. In the result rows
 * are b L + i, and the places of all blocks lie one behind the other, with -1 in what is left. Degrees that fall
 * outside the block's places are drawn in; a place that names no row of its block gets -1, an edge from nowhere. */
#include "ir/ir.h"

static fv_status infer(fv_infer *c) {
  const fv_shape degree = c->in[0]->shape, place = c->in[1]->shape;
  for (int i = 0; i < 2; i++)
    FV_INFER_REQUIRE(c, c->in[i]->dtype == FV_I32, "input %d: expected i32, got %s", i, fv_dtype_name(c->in[i]->dtype));
  FV_INFER_REQUIRE(c, degree.ndim == 2, "degree: expected [N,L], got %s", fv_shape_text(degree));
  FV_INFER_REQUIRE(c, place.ndim >= 2 && place.dim[0] == degree.dim[0], "place: expected [%lld,...], got %s",
                   (long long)degree.dim[0], fv_shape_text(place));
  const int64_t rows = fv_shape_count(degree), places = fv_shape_count(place);
  FV_INFER_REQUIRE(c, rows < INT32_MAX && places <= INT32_MAX, "expected at most %d rows and places, got %lld and %lld",
                   INT32_MAX, (long long)rows, (long long)places);
  c->n_out = 2;
  c->shape[0] = FV_SHAPE(rows + 1);
  c->shape[1] = FV_SHAPE(places);
  c->dtype[0] = c->dtype[1] = FV_I32;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t blocks = c->in[0].shape.dim[0], rows = c->in[0].shape.dim[1], all = c->out[1].shape.dim[0];
  const int64_t places = blocks ? all / blocks : 0;
  int64_t at = 0;
  fv_set(&c->out[0], 0, 0);
  for (int64_t b = 0; b < blocks; b++) {
    for (int64_t i = 0, k = 0; i < rows; i++) {
      const int64_t degree = (int64_t)fv_get(&c->in[0], b * rows + i);
      for (int64_t end = FV_MIN(k + FV_MAX(degree, 0), places); k < end; k++) {
        const int64_t j = (int64_t)fv_get(&c->in[1], b * places + k);
        fv_set(&c->out[1], at++, j >= 0 && j < rows ? (double)(b * rows + j) : -1);
      }
      fv_set(&c->out[0], b * rows + i + 1, (double)at);
    }
  }
  while (at < all) fv_set(&c->out[1], at++, -1);
}

static fv_cost cost(const fv_node *n) { return (fv_cost){.bytes = fv_cost_io(n)}; }

static const fv_case cases[] = {{.in = "0,3:i32; 0,4:i32"},
                                {.in = "2,0:i32; 2,4:i32"},
                                {.in = "2,3:i32@0..4; 2,0:i32"},
                                {.in = "1,5:i32@0..3; 1,15:i32@0..4"},
                                {.in = "3,7:i32@0..4; 3,7,4:i32@0..6"},
                                {.in = "5,3:i32@-2..9; 5,11:i32@-2..4", .note = "outside: drawn in, or -1"},
                                {0}};

const fv_op_def fv_op_csr_blocks = {
    .name = "csr_blocks",
    .doc = "row_ptr [N L + 1], col: the graphs of degree [N,L] and place [N,...] side by side as one",
    .n_in = 2,
    .infer = infer,
    .no_grad_reason = "whole numbers have no gradient",
    .ref = ref,
    .cost = cost,
    .cases = cases};
