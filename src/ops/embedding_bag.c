/* SPDX-License-Identifier: Apache-2.0 */
/* embedding_bag: the product of a sparse matrix, whose rows are bags of up to K entries, with a dense one: for each bag
 * the sum of the table's rows that it names, times its values. A bag ends early with entries of value 0 or of no row
 * (-1); such count nothing. As PyTorch's EmbeddingBag of mode sum with per_sample_weights. */
#include "ops/embedding_bag.h"

#include "ops/lines.h"
#include "ops/reduce.h"
#include "ops/reshape.h"

fv_status fv_bag_infer(const fv_infer *c, int ids, int values, fv_shape *bags) {
  const fv_shape s = c->in[ids]->shape;
  FV_TRY(fv_lookup_check_ids(c, ids));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "ids: expected [...,K], got %s", fv_shape_text(s));
  FV_INFER_REQUIRE(c, c->in[values]->dtype == c->in[0]->dtype && fv_shape_equal(c->in[values]->shape, s),
                   "values: expected %s of the table's type, got %s", fv_shape_text(s),
                   fv_shape_text(c->in[values]->shape));
  *bags = s;
  bags->ndim--;
  return FV_OK;
}

static fv_status infer(fv_infer *c) {
  const fv_shape table = c->in[0]->shape;
  FV_INFER_REQUIRE(c, table.ndim == 2, "table: expected [V,E], got %s", fv_shape_text(table));
  FV_TRY(fv_bag_infer(c, 1, 2, &c->shape[0]));
  c->shape[0].dim[c->shape[0].ndim++] = table.dim[1];
  return FV_OK;
}

/* <dy, the row> of each entry, which nobody asks for where the values are data. */
static fv_value *grad_of_values(fv_grad *c) {
  const fv_shape ids = c->node->in[1]->shape, out = c->node->out[0]->shape;
  const int64_t width = out.dim[out.ndim - 1], n = fv_shape_count(ids), k = ids.dim[ids.ndim - 1];
  fv_value *flat = fv_reshape_to(c->g, c->node->in[1], FV_SHAPE(n));
  fv_value *rows = fv_op(c->g, "index_select", &(fv_index_select_attrs){.zero = true}, c->node->in[0], flat);
  fv_value *each = fv_reshape_to(c->g, rows, FV_SHAPE(k ? n / k : 0, k, width));
  fv_value *dy = fv_reshape_to(c->g, c->dout[0], FV_SHAPE(k ? n / k : 0, 1, width));
  const fv_reduce_attrs last = {.axes = {1, {2}}};
  fv_value *sum = fv_op(c->g, "sum", &last, fv_op(c->g, "mul", NULL, each, dy));
  return fv_reshape_to(c->g, sum, ids);
}

static fv_status grad(fv_grad *c) {
  const fv_embedding_bag_grad_attrs back = {.rows = c->node->in[0]->shape.dim[0]};
  fv_value *const *in = c->node->in;
  if (c->need[0]) c->din[0] = fv_op(c->g, "embedding_bag_grad", &back, c->dout[0], in[1], in[2]);
  if (c->need[2] && fv_shape_count(in[1]->shape) > 0) c->din[2] = grad_of_values(c);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const int64_t rows = c->in[0].shape.dim[0], width = c->in[0].shape.dim[1], all = fv_shape_count(c->in[1].shape);
  const int64_t k = c->in[1].shape.dim[c->in[1].shape.ndim - 1];
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++) {
    double sum = 0, value;
    int64_t id;
    for (int64_t e = i / width * k; e < (i / width + 1) * k && e < all; e++)
      if (fv_bag_entry(&c->in[1], &c->in[2], e, rows, &id, &value))
        sum += value * fv_get(&c->in[0], id * width + i % width);
    fv_set(&c->out[0], i, sum);
  }
}

/* An entry reads a row of the table, and how many rows that are is not known before: as many as there are places. */
fv_cost fv_bag_cost(const fv_node *n) {
  const fv_shape out = n->out[0]->shape;
  const double products = (double)fv_shape_count(n->in[1]->shape) * (double)out.dim[out.ndim - 1];
  return (fv_cost){.flops = 2 * products, .bytes = fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "7,16; 5,3:i32@0..6; 5,3"},
    {.in = "31,5; 3,4,2:i32@0..30; 3,4,2"},
    {.in = "11,64; 40,17:i32@0..10; 40,17"},
    {.in = "11,131; 9,5:i32@0..10; 9,5"},
    {.in = "11,1; 17,1:i32@0..10; 17,1"},
    {.in = "3,33; 4:i32@0..2; 4"},
    {.in = "4,8; 0,3:i32@0..3; 0,3"},
    {.in = "4,8; 3,0:i32@0..3; 3,0"},
    {.in = "4,0; 3,2:i32@0..3; 3,2"},
    {.in = "3,17; 9,6:i32@-2..4; 9,6", .note = "out of range: left out"},
    {.in = "9,8; 30,6:i32@0..8; 30,6@0..0", .no_grad_check = true, .note = "all left out, though not their slope"},
    {0}};

const fv_op_def fv_op_embedding_bag = {
    .name = "embedding_bag",
    .doc = "y[..., e] = sum_k values[..., k] table[ids[..., k], e]; entries of value 0 or of no row are left out",
    .n_in = 3,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = fv_bag_cost,
    .cases = cases};
