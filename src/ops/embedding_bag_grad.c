/* SPDX-License-Identifier: Apache-2.0 */
/* embedding_bag_grad: what goes to the table: each entry adds its value times its bag's gradient to its row, in the
 * order of entries, so that the sum has the same bits always. */
#include "ops/embedding_bag.h"

static const fv_option attrs[] = {{.name = "rows", .type = FV_OPT_INT,
                                   .offset = offsetof(fv_embedding_bag_grad_attrs, rows), .def = "0", .min = 0,
                                   .max = INT32_MAX, .doc = "of the table"},
                                  {0}};

static fv_status infer(fv_infer *c) {
  const fv_embedding_bag_grad_attrs *a = c->attrs;
  fv_shape bags;
  FV_TRY(fv_bag_infer(c, 1, 2, &bags));
  return fv_lookup_infer_table(c, bags, 0, a->rows);
}

static void ref(const fv_call *c) {
  const int64_t rows = c->out[0].shape.dim[0], width = c->out[0].shape.dim[1], all = fv_shape_count(c->in[1].shape);
  const int64_t k = c->in[1].shape.dim[c->in[1].shape.ndim - 1];
  for (int64_t f = 0; f < width; f++) {
    for (int64_t r = 0; r < rows; r++) {
      double sum = 0, value;
      int64_t id;
      for (int64_t e = 0; e < all; e++)
        if (fv_bag_entry(&c->in[1], &c->in[2], e, rows, &id, &value) && id == r)
          sum += value * fv_get(&c->in[0], e / k * width + f);
      fv_set(&c->out[0], r * width + f, sum);
    }
  }
}

#define SUMS .tolerance = 1e-5
static const fv_case cases[] = {
    {.in = "5,16; 5,3:i32@0..6; 5,3", .attrs = "rows=7", SUMS},
    {.in = "3,4,5; 3,4,2:i32@0..30; 3,4,2", .attrs = "rows=31", SUMS},
    {.in = "40,64; 40,17:i32@0..10; 40,17", .attrs = "rows=11", SUMS},
    {.in = "9,131; 9,5:i32@0..10; 9,5", .attrs = "rows=11", SUMS},
    {.in = "17,1; 17,1:i32@0..10; 17,1", .attrs = "rows=11", SUMS},
    {.in = "33; 4:i32@0..2; 4", .attrs = "rows=3", SUMS},
    {.in = "0,8; 0,3:i32@0..3; 0,3", .attrs = "rows=4"},
    {.in = "3,8; 3,0:i32@0..3; 3,0", .attrs = "rows=4"},
    {.in = "3,0; 3,2:i32@0..3; 3,2", .attrs = "rows=4"},
    {.in = "9,17; 9,6:i32@-2..4; 9,6", .attrs = "rows=3", .note = "out of range: left out", SUMS},
    {0}};

const fv_op_def fv_op_embedding_bag_grad = {
    .name = "embedding_bag_grad",
    .doc = "dtable[v, e] = sum of values[i, k] dy[i, e] over the entries with ids[i, k] = v",
    .n_in = 3,
    .attrs_size = sizeof(fv_embedding_bag_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself",
    .ref = ref,
    .cost = fv_bag_cost,
    .cases = cases};
