/* SPDX-License-Identifier: Apache-2.0 */
/* embedding_grad: adds each row of dy to its row of the table's gradient, in the order of positions, so that the sum
 * has the same bits always. */
#include "ops/lookup.h"

static const fv_option attrs[] = {
    {.name = "rows", .type = FV_OPT_INT, .offset = offsetof(fv_embedding_grad_attrs, rows), .def = "0", .min = 0,
     .max = INT32_MAX, .doc = "of the table"},
    {.name = "padding_idx", .type = FV_OPT_INT, .offset = offsetof(fv_embedding_grad_attrs, padding_idx), .def = "-1",
     .min = -1, .max = INT32_MAX, .doc = "the row that gets no gradient; -1: none"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_embedding_grad_attrs *a = c->attrs;
  FV_TRY(fv_lookup_check_ids(c, 0));
  return fv_lookup_infer_table(c, c->in[0]->shape, 1, a->rows);
}

static void ref(const fv_call *c) {
  const fv_embedding_grad_attrs *a = c->attrs;
  const int64_t width = c->out[0].shape.dim[1], n = fv_shape_count(c->in[0].shape);
  for (int64_t r = 0; r < a->rows; r++) {
    for (int64_t k = 0; k < width; k++) {
      double sum = 0;
      for (int64_t i = 0; i < n; i++)
        if ((int64_t)fv_get(&c->in[0], i) == r && r != a->padding_idx) sum += fv_get(&c->in[1], i * width + k);
      fv_set(&c->out[0], r * width + k, sum);
    }
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = (double)fv_shape_count(n->in[1]->shape), .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "5:i32@0..6; 5,16", .attrs = "rows=7"},
    {.in = "3,14:i32@0..10; 3,14,5", .attrs = "rows=11 padding_idx=0"},
    {.in = "67:i32@0..2; 67,33", .attrs = "rows=3", .tolerance = 1e-5},
    {.in = "2,3:i32@0..8; 2,3,131", .attrs = "rows=9"},
    {.in = "0:i32@0..3; 0,8", .attrs = "rows=4"},
    {.in = "9:i32@-2..4; 9,17", .attrs = "rows=3", .note = "out of range: left out"},
    {0}};

const fv_op_def fv_op_embedding_grad = {
    .name = "embedding_grad",
    .doc = "dtable[v, e] = sum of dy[i, e] over the places i with ids[i] = v; 0 for v = padding_idx",
    .n_in = 2,
    .attrs_size = sizeof(fv_embedding_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = cost,
    .cases = cases};
