/* SPDX-License-Identifier: Apache-2.0 */
/* permute.c: dimensions that stay neighbours are merged first. Then either the last one still runs through the input in
 * order, and runs are copied, or the output is a stack of transposed planes: those go through registers, FV_W x FV_W
 * at a time, by repeated perfect shuffles (zip row i with row i + FV_W/2, log2 FV_W times). */
#include "cpu/simd.h"
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

#if FV_W == 16
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif FV_W == 8
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* FV_W x FV_W numbers: to[i * to_step + j] = from[j * from_step + i]. */
static inline void transpose_square(int32_t *to, int64_t to_step, const int32_t *from, int64_t from_step) {
  fv_i32v r[FV_W], s[FV_W];
  for (int i = 0; i < FV_W; i++) r[i] = fv_iload(from + i * from_step);
  for (int pass = 1; pass < FV_W; pass *= 4) {
    for (int i = 0; i < FV_W / 2; i++) {
      s[2 * i] = ZIP_LOW(r[i], r[i + FV_W / 2]);
      s[2 * i + 1] = ZIP_HIGH(r[i], r[i + FV_W / 2]);
    }
    if (2 * pass >= FV_W) {
      for (int i = 0; i < FV_W; i++) r[i] = s[i];
      break;
    }
    for (int i = 0; i < FV_W / 2; i++) {
      r[2 * i] = ZIP_LOW(s[i], s[i + FV_W / 2]);
      r[2 * i + 1] = ZIP_HIGH(s[i], s[i + FV_W / 2]);
    }
  }
  for (int i = 0; i < FV_W; i++) fv_istore(to + i * to_step, r[i]);
}

/* rows x columns of the output: to[i * to_step + j] = from[j * from_step + i]. */
static void transpose_words(int32_t *to, int64_t to_step, const int32_t *from, int64_t from_step, int64_t rows,
                            int64_t columns) {
  int64_t i = 0;
  for (; i + FV_W <= rows; i += FV_W) {
    int64_t j = 0;
    for (; j + FV_W <= columns; j += FV_W)
      transpose_square(to + i * to_step + j, to_step, from + j * from_step + i, from_step);
    for (int64_t k = i; k < i + FV_W; k++)
      for (int64_t l = j; l < columns; l++) to[k * to_step + l] = from[l * from_step + k];
  }
  for (; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) to[i * to_step + j] = from[j * from_step + i];
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
      transpose_words((int32_t *)(void *)to, p.to_step, (const int32_t *)(const void *)from, step, p.rows, width);
    else transpose_bytes((uint8_t *)to, p.to_step, (const uint8_t *)from, step, p.rows, width);
  }
}

extern const fv_kernel FV_KERNELS(permute)[];
const fv_kernel FV_KERNELS(permute)[] = {
    {.op = "permute", .name = "simd", .isa = FV_ISA_LEVEL, .units = units, .run = run}, {0}};
