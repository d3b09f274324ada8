/* SPDX-License-Identifier: Apache-2.0 */
/* csr_rows: the row that each place of a CSR matrix lies in, so that a graph's edges can be gathered and summed by
 * number. A place in no row gets -1. */
#include "ops/csr_rows.h"

#include "ops/segments.h"

static const fv_option attrs[] = {{.name = "edges",
                                   .type = FV_OPT_INT,
                                   .offset = offsetof(fv_csr_rows_attrs, edges),
                                   .def = "0",
                                   .min = 0,
                                   .max = INT32_MAX,
                                   .doc = "number of places: the length of the result"},
                                  {0}};

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_segments_check(c, 0));
  c->shape[0] = FV_SHAPE(((const fv_csr_rows_attrs *)c->attrs)->edges);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t n = c->out[0].shape.dim[0], rows = c->in[0].shape.dim[0] - 1;
  int64_t end = fv_segment_bound(&c->in[0], 0, 0, n);
  for (int64_t k = 0; k < end; k++) fv_set(&c->out[0], k, -1);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[0], i + 1, begin, n);
    for (int64_t k = begin; k < end; k++) fv_set(&c->out[0], k, (double)i);
  }
  for (int64_t k = end; k < n; k++) fv_set(&c->out[0], k, -1);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {{.in = "1:i32@0..0", .attrs = "edges=0"},
                                {.in = "2:i32@0..0", .attrs = "edges=3"},
                                {.in = "2:i32@0..9", .attrs = "edges=9"},
                                {.in = "9:i32@0..5", .attrs = "edges=5", .note = "falls: drawn in"},
                                {.in = "5:i32@-3..40", .attrs = "edges=17", .note = "outside: drawn in"},
                                {.in = "3:i32@-9..-1", .attrs = "edges=4"},
                                {0}};

const fv_op_def fv_op_csr_rows = {
    .name = "csr_rows",
    .doc = "rows[k] = i where row_ptr[i] <= k < row_ptr[i+1], -1 where no row holds k",
    .n_in = 1,
    .attrs_size = sizeof(fv_csr_rows_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "whole numbers have no gradient",
    .ref = ref,
    .cost = cost,
    .cases = cases};
