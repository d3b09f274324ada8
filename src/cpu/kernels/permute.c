/* SPDX-License-Identifier: Apache-2.0 */
/* permute.c: dimensions that stay neighbours are merged first. Then either the last one still runs through the input in
 * order, and runs are copied, or the output is a stack of transposed planes. */
#include "cpu/transpose.h"
#include "ops/permute.h"

typedef struct order {
  int n;                   /* merged output dimensions; at least 1 */
  int64_t dim[FV_MAX_DIMS];
  int64_t in[FV_MAX_DIMS]; /* how far a step along the dimension goes in the input, in elements */
} order;

static order order_of(const fv_node *node) {
  const fv_permute_attrs *a = node->attrs;
  const fv_shape x = node->in[0]->shape;
  order o = {.n = 0};
  for (int i = 0; i < x.ndim; i++) {
    const int p = fv_axis(a->perm.v[i], x.ndim);
    const int64_t dim = x.dim[p], step = fv_shape_after(x, p);
    if (dim == 1) continue;
    if (o.n > 0 && o.in[o.n - 1] == dim * step) {
      o.dim[o.n - 1] *= dim;
      o.in[o.n - 1] = step;
    } else {
      o.dim[o.n] = dim;
      o.in[o.n++] = step;
    }
  }
  if (o.n == 0) o = (order){.n = 1, .dim = {1}, .in = {1}};
  return o;
}

/* The dimension that runs through the input in order. */
static int inner_of(const order *o) {
  int best = o->n - 1;
  for (int i = 0; i < o->n; i++)
    if (o->in[i] == 1) best = i;
  return best;
}

/* A unit holds up to BLOCK rows along one dimension: of a transposed plane, or runs of the one before the last. */
#define BLOCK 64
static int rows_of(const order *o) {
  const int inner = inner_of(o);
  return inner == o->n - 1 ? o->n - 2 : inner;
}
static int64_t units(const fv_node *node) {
  const order o = order_of(node);
  const int rows = rows_of(&o);
  int64_t n = 1;
  for (int i = 0; i < o.n - 1; i++) n *= i == rows ? fv_ceil_div(o.dim[i], BLOCK) : o.dim[i];
  return n;
}

static void transpose_bytes(uint8_t *to, int64_t to_step, const uint8_t *from, int64_t from_step, int64_t rows,
                            int64_t columns) {
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) to[i * to_step + j] = from[j * from_step + i];
}

/* Where unit `u` begins in both tensors, how many rows it has and how far apart they are. */
typedef struct piece {
  int64_t to, from, rows, to_step, from_step;
} piece;
static piece piece_of(const order *o, int rows, int64_t u) {
  piece p = {.rows = 1};
  int64_t step = o->dim[o->n - 1];
  for (int d = o->n - 2; d >= 0; d--) {
    const int64_t n = d == rows ? fv_ceil_div(o->dim[d], BLOCK) : o->dim[d];
    const int64_t at = u % n * (d == rows ? BLOCK : 1);
    if (d == rows) {
      p.rows = FV_MIN(BLOCK, o->dim[d] - at);
      p.to_step = step;
      p.from_step = o->in[d];
    }
    p.to += at * step;
    p.from += at * o->in[d];
    step *= o->dim[d];
    u /= n;
  }
  return p;
}

static void run(const fv_call *c) {
  const order o = order_of(c->node);
  const int rows = rows_of(&o);
  const bool runs = inner_of(&o) == o.n - 1;
  const int64_t width = o.dim[o.n - 1], step = o.in[o.n - 1], size = (int64_t)fv_dtype_size(c->in[0].dtype);
  for (int64_t u = c->begin; u < c->end; u++) {
    const piece p = piece_of(&o, rows, u);
    char *to = (char *)c->out[0].data + p.to * size;
    const char *from = (const char *)c->in[0].data + p.from * size;
    if (runs)
      for (int64_t r = 0; r < p.rows; r++)
        memcpy(to + r * p.to_step * size, from + r * p.from_step * size, (size_t)(width * size));
    else if (size == 4)
      fv_transpose((int32_t *)(void *)to, p.to_step, (const int32_t *)(const void *)from, step, p.rows, width);
    else transpose_bytes((uint8_t *)to, p.to_step, (const uint8_t *)from, step, p.rows, width);
  }
}

extern const fv_kernel FV_KERNELS(permute)[];
const fv_kernel FV_KERNELS(permute)[] = {
    {.op = "permute", .name = "simd", .isa = FV_ISA_LEVEL, .units = units, .run = run}, {0}};
