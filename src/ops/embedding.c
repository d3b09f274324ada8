/* SPDX-License-Identifier: Apache-2.0 */
/* embedding: rows of a table, by number. */
#include "ops/lookup.h"

static const fv_option attrs[] = {
    {.name = "padding_idx", .type = FV_OPT_INT, .offset = offsetof(fv_embedding_attrs, padding_idx), .def = "-1",
     .min = -1, .max = INT32_MAX, .doc = "the row that gets no gradient; -1: none"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_shape table = c->in[0]->shape, ids = c->in[1]->shape;
  FV_INFER_REQUIRE(c, table.ndim == 2, "table: expected [V,E], got %s", fv_shape_text(table));
  FV_INFER_REQUIRE(c, ids.ndim < FV_MAX_DIMS, "ids: expected at most %d dimensions, got %s", FV_MAX_DIMS - 1,
                   fv_shape_text(ids));
  FV_TRY(fv_lookup_check_ids(c, 1));
  c->shape[0] = ids;
  c->shape[0].dim[c->shape[0].ndim++] = table.dim[1];
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_embedding_attrs *a = c->node->attrs;
  const fv_embedding_grad_attrs back = {.rows = c->node->in[0]->shape.dim[0], .padding_idx = a->padding_idx};
  if (c->need[0]) c->din[0] = fv_op(c->g, "embedding_grad", &back, c->node->in[1], c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t rows = c->in[0].shape.dim[0], width = c->in[0].shape.dim[1], n = fv_shape_count(c->in[1].shape);
  for (int64_t i = 0; i < n; i++) {
    const int64_t id = (int64_t)fv_get(&c->in[1], i);
    for (int64_t k = 0; k < width; k++)
      fv_set(&c->out[0], i * width + k,
             id >= 0 && id < rows ? fv_get(&c->in[0], id * width + k) : fv_lookup_missing(c->in[0].dtype, false));
  }
}

/* A row is read for each number, not the whole table. */
static fv_cost cost(const fv_node *n) {
  const double out = (double)fv_shape_count(n->out[0]->shape), ids = (double)fv_shape_count(n->in[1]->shape);
  return (fv_cost){.bytes = 2 * out * (double)fv_dtype_size(n->out[0]->dtype) + 4 * ids};
}

static const fv_case cases[] = {
    {.in = "7,16; 5:i32@0..6"},
    {.in = "31,5; 3,4:i32@0..30", .attrs = "padding_idx=-1"},
    {.in = "5,33; 2,2,3:i32@0..4", .attrs = "padding_idx=2", .no_grad_check = true,
     .note = "the padding row has no gradient although it is read"},
    {.in = "11,1; 17:i32@0..10"},
    {.in = "1,15; ():i32@0..0"},
    {.in = "4,8; 0:i32@0..3"},
    {.in = "4,0; 3:i32@0..3"},
    {.in = "3,17; 9:i32@-2..4", .no_grad_check = true, .note = "out of range: NaN"},
    {0}};

const fv_op_def fv_op_embedding = {
    .name = "embedding",
    .doc = "y[..., e] = table[ids[...], e]; a number out of range gives NaN",
    .n_in = 2,
    .attrs_size = sizeof(fv_embedding_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
