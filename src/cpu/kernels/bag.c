/* SPDX-License-Identifier: Apache-2.0 */
/* bag.c: sums of rows of a table (ops/embedding_bag.c) and the gradient. Bags are summed each by itself, a few vectors
 * of the row at a time in registers. The gradient goes through all entries in order and splits over columns, so that
 * the order of every sum is that of the entries: fewer and wider pieces go through them less often. */
#include "rows.h"

enum { TABLE, IDS, VALUES };
enum { BLOCK = 4 }; /* vectors */

typedef struct bags {
  const int32_t *id;
  const float *value;
  int64_t n, k, rows, width; /* bags of k entries; the table */
} bags;

static bags bags_of(const fv_call *c, fv_shape table) {
  const fv_shape ids = c->in[IDS].shape;
  const int64_t k = ids.dim[ids.ndim - 1];
  return (bags){.id = c->in[IDS].data, .value = c->in[VALUES].data, .n = fv_shape_before(ids, ids.ndim - 1), .k = k,
                .rows = table.dim[0], .width = table.dim[1]};
}
INLINE bool counts(const bags *b, int64_t e) { return b->value[e] != 0 && b->id[e] >= 0 && b->id[e] < b->rows; }

/* ---- embedding_bag: unit = ROWS bags ----------------------------------------------------------------------------- */
enum { ROWS = 16 };
INLINE void sum_block(const bags *b, const float *table, int64_t bag, int64_t f, int nv, int64_t lanes, float *y) {
  fv_f32v sum[BLOCK];
  for (int i = 0; i < nv; i++) sum[i] = fv_vzero();
  for (int64_t e = bag * b->k; e < (bag + 1) * b->k; e++) {
    if (!counts(b, e)) continue;
    const float *row = table + b->id[e] * b->width + f;
    const fv_f32v v = fv_vsplat(b->value[e]);
    for (int i = 0; i < nv; i++) sum[i] = fv_vfma(v, row_load(row + i * FV_W, lanes), sum[i]);
  }
  for (int i = 0; i < nv; i++) row_store(y + bag * b->width + f + i * FV_W, sum[i], lanes);
}

static void run_sum(const fv_call *c) {
  const bags b = bags_of(c, c->in[TABLE].shape);
  for (int64_t bag = c->begin * ROWS; bag < FV_MIN(c->end * ROWS, b.n); bag++) {
    int64_t f = 0;
    for (; f + BLOCK * FV_W <= b.width; f += BLOCK * FV_W)
      sum_block(&b, c->in[TABLE].data, bag, f, BLOCK, FV_W, c->out[0].data);
    for (; f + FV_W <= b.width; f += FV_W) sum_block(&b, c->in[TABLE].data, bag, f, 1, FV_W, c->out[0].data);
    if (f < b.width) sum_block(&b, c->in[TABLE].data, bag, f, 1, b.width - f, c->out[0].data);
  }
}
static int64_t sum_units(const fv_node *n) {
  const fv_shape ids = n->in[IDS]->shape;
  return fv_ceil_div(fv_shape_before(ids, ids.ndim - 1), ROWS);
}

/* ---- embedding_bag_grad: unit = a vector of columns -------------------------------------------------------------- */
INLINE void spread_block(const bags *b, const float *dy, int64_t f, int nv, int64_t lanes, float *table) {
  const int64_t width = nv == 1 ? lanes : nv * FV_W;
  for (int64_t r = 0; r < b->rows; r++) memset(table + r * b->width + f, 0, (size_t)width * sizeof *table);
  for (int64_t bag = 0; bag < b->n; bag++) {
    fv_f32v d[BLOCK];
    for (int i = 0; i < nv; i++) d[i] = row_load(dy + bag * b->width + f + i * FV_W, lanes);
    for (int64_t e = bag * b->k; e < (bag + 1) * b->k; e++) {
      if (!counts(b, e)) continue;
      float *row = table + b->id[e] * b->width + f;
      const fv_f32v v = fv_vsplat(b->value[e]);
      for (int i = 0; i < nv; i++) row_store(row + i * FV_W, fv_vfma(v, d[i], row_load(row + i * FV_W, lanes)), lanes);
    }
  }
}

static void run_spread(const fv_call *c) {
  const bags b = bags_of(c, c->out[0].shape);
  const int64_t end = FV_MIN(c->end * FV_W, b.width);
  int64_t f = c->begin * FV_W;
  for (; f + BLOCK * FV_W <= end; f += BLOCK * FV_W) spread_block(&b, c->in[0].data, f, BLOCK, FV_W, c->out[0].data);
  for (; f + FV_W <= end; f += FV_W) spread_block(&b, c->in[0].data, f, 1, FV_W, c->out[0].data);
  if (f < end) spread_block(&b, c->in[0].data, f, 1, end - f, c->out[0].data);
}
static int64_t spread_units(const fv_node *n) { return fv_ceil_div(n->out[0]->shape.dim[1], FV_W); }

const fv_kernel FV_KERNELS(bag)[] = {
    {.op = "embedding_bag", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = sum_units, .run = run_sum},
    {.op = "embedding_bag_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = spread_units,
     .together = true, .run = run_spread},
    {0}};
