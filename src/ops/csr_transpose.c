/* SPDX-License-Identifier: Apache-2.0 */
/* csr_transpose: the same edges by source: for each column the rows that name it and the places they name it at, in the
 * order of places, so that a sum over a node's outgoing edges has one owner and one order. Places in no row, and
 * columns that do not exist, are left out; -1 fills what remains. */
#include "ops/csr_transpose.h"

#include "ops/segments.h"

static const fv_option attrs[] = {{.name = "columns",
                                   .type = FV_OPT_INT,
                                   .offset = offsetof(fv_csr_transpose_attrs, columns),
                                   .def = "0",
                                   .min = 0,
                                   .max = INT32_MAX - 1,
                                   .doc = "number of columns: rows of the result"},
                                  {0}};

static fv_status infer(fv_infer *c) {
  const fv_shape col = c->in[1]->shape;
  FV_TRY(fv_segments_check(c, 0));
  FV_INFER_REQUIRE(c, c->in[1]->dtype == FV_I32 && col.ndim == 1, "col: expected i32 [M], got %s %s",
                   fv_dtype_name(c->in[1]->dtype), fv_shape_text(col));
  FV_INFER_REQUIRE(c, col.dim[0] <= INT32_MAX, "col: expected at most %d places, got %lld", INT32_MAX,
                   (long long)col.dim[0]);
  c->n_out = 3;
  c->shape[0] = FV_SHAPE(((const fv_csr_transpose_attrs *)c->attrs)->columns + 1);
  c->shape[1] = c->shape[2] = col;
  for (int i = 0; i < 3; i++) c->dtype[i] = FV_I32;
  return FV_OK;
}

/* What to do with each edge: count it at its column, one on; or put it where its column has got to. */
static void each(const fv_call *c, bool put) {
  const int64_t n = c->in[1].shape.dim[0], rows = c->in[0].shape.dim[0] - 1, columns = c->out[0].shape.dim[0] - 1;
  int64_t end = fv_segment_bound(&c->in[0], 0, 0, n);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[0], i + 1, begin, n);
    for (int64_t k = begin; k < end; k++) {
      const int64_t j = (int64_t)fv_get(&c->in[1], k) + !put;
      if (j < !put || j >= columns + !put) continue;
      const double at = fv_get(&c->out[0], j);
      fv_set(&c->out[0], j, at + 1);
      if (!put) continue;
      fv_set(&c->out[1], (int64_t)at, (double)i);
      fv_set(&c->out[2], (int64_t)at, (double)k);
    }
  }
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[1].shape.dim[0], columns = c->out[0].shape.dim[0] - 1;
  for (int64_t j = 0; j <= columns; j++) fv_set(&c->out[0], j, 0);
  for (int64_t k = 0; k < 2 * n; k++) fv_set(&c->out[1 + k % 2], k / 2, -1);
  each(c, false);
  for (int64_t j = 0; j < columns; j++) fv_set(&c->out[0], j + 1, fv_get(&c->out[0], j) + fv_get(&c->out[0], j + 1));
  each(c, true);
  for (int64_t j = columns; j > 0; j--) fv_set(&c->out[0], j, fv_get(&c->out[0], j - 1));
  fv_set(&c->out[0], 0, 0);
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = 0, .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {{.in = "1:i32@0..0; 0:i32"},
                                {.in = "1:i32@0..0; 3:i32", .attrs = "columns=2"},
                                {.in = "2:i32@0..9; 9:i32@0..3", .attrs = "columns=4"},
                                {.in = "9:i32@0..25; 25:i32@0..6", .attrs = "columns=7"},
                                {.in = "40:i32@0..300; 200:i32@0..39", .attrs = "columns=40"},
                                {.in = "5:i32@-3..40; 17:i32@-2..9", .attrs = "columns=7", .note = "outside: left out"},
                                {0}};

const fv_op_def fv_op_csr_transpose = {
    .name = "csr_transpose",
    .doc = "t_ptr [columns+1], t_row [M], t_edge [M]: the places k of each column of col [M] and their rows, in order; "
           "inputs row_ptr [V+1], col",
    .n_in = 2,
    .attrs_size = sizeof(fv_csr_transpose_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "whole numbers have no gradient",
    .ref = ref,
    .cost = cost,
    .cases = cases};
