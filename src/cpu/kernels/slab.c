/* SPDX-License-Identifier: Apache-2.0 */
/* slab.c: sums over slabs of gradients in an order that the length alone decides: partial sums of squares of 4096
 * elements, and shards added in a binary tree. */
#include "cpu/simd.h"
#include "ops/slab.h"

#define LINES 4 /* vectors summed side by side: additions take several cycles */

static float squares(const float *x, int64_t n) {
  fv_f32v sum[LINES] = {{0}};
  int64_t i = 0;
  for (; i + LINES * FV_W <= n; i += LINES * FV_W)
    for (int k = 0; k < LINES; k++) {
      fv_f32v v = fv_vload(x + i + k * FV_W);
      sum[k] = fv_vfma(v, v, sum[k]);
    }
  for (int k = 0; i < n; i += FV_W, k++) {
    fv_f32v v = fv_vload_n(x + i, FV_MIN(n - i, FV_W));
    sum[k] = fv_vfma(v, v, sum[k]);
  }
  return fv_vsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}
static void run_squares(const fv_call *c) {
  const float *x = c->in[0].data;
  float *y = c->out[0].data;
  int64_t n = c->in[0].shape.dim[0], end = FV_MIN(c->end, c->out[0].shape.dim[0]);
  for (int64_t b = c->begin; b < end; b++)
    y[b] = squares(x + b * FV_SLAB_BLOCK, FV_MIN(FV_SLAB_BLOCK, n - b * FV_SLAB_BLOCK));
}
static int64_t units_squares(const fv_node *n) { return FV_MAX(n->out[0]->shape.dim[0], 1); }

#define UNIT 8192  /* elements of a slab */
#define DEPTH 64   /* of the tree: slabs are counted in 63 bits */
/* Slab s closes as many subtrees as s has ones at its end; open ones wait on the stack, the largest below. */
static fv_f32v tree(const float *x, int64_t slabs, int64_t stride, int64_t n) {
  fv_f32v stack[DEPTH];
  int top = 0;
  for (int64_t s = 0; s < slabs; s++) {
    const float *at = x + s * stride;
    fv_f32v v = n == FV_W ? fv_vload(at) : fv_vload_n(at, n);
    for (int64_t k = s; k & 1; k >>= 1) v = stack[--top] + v;
    stack[top++] = v;
  }
  fv_f32v sum = stack[--top];
  while (top > 0) sum = stack[--top] + sum;
  return sum;
}
static void run_tree(const fv_call *c) {
  const fv_tree_add_attrs *a = c->attrs;
  int64_t slabs = c->in[0].shape.dim[0], n = c->in[0].shape.dim[1];
  fv_f32v scale = fv_vsplat((float)(a->scale != 0 ? a->scale : 1 / (double)slabs));
  const float *x = c->in[0].data;
  float *y = c->out[0].data;
  int64_t end = FV_MIN(c->end * UNIT, n), i = c->begin * UNIT;
  for (; i + FV_W <= end; i += FV_W) fv_vstore(y + i, tree(x + i, slabs, n, FV_W) * scale);
  if (i < end) fv_vstore_n(y + i, tree(x + i, slabs, n, end - i) * scale, end - i);
}
static int64_t units_tree(const fv_node *n) { return FV_MAX(fv_ceil_div(n->out[0]->shape.dim[0], UNIT), 1); }

#define ROW(NAME, UNITS, RUN) \
  {.op = NAME, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = UNITS, .run = RUN}
const fv_kernel FV_KERNELS(slab)[] = {ROW("sum_squares", units_squares, run_squares),
                                      ROW("tree_add", units_tree, run_tree), {0}};
