/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c: rows and elements chosen by number, and sums into them. Reading splits over rows. Adding goes through the
 * numbers in order and splits over columns, so that the order of every sum is that of the positions. */
#include "cpu/simd.h"
#include "ops/lookup.h"

static inline bool within(int64_t id, int64_t rows) { return id >= 0 && id < rows; }

/* ---- embedding, index_select: unit = one row of the output ------------------------------------------------------- */
static void read_row(const fv_call *c, int64_t to, int64_t from, int64_t width, bool zero) {
  const int64_t size = (int64_t)fv_dtype_size(c->out[0].dtype), bytes = width * size;
  char *y = (char *)c->out[0].data + to * bytes;
  if (from >= 0) {
    memcpy(y, (const char *)c->in[0].data + from * bytes, (size_t)bytes);
  } else if (zero || c->out[0].dtype != FV_F32) {
    memset(y, 0, (size_t)bytes);
  } else {
    const float missing = (float)fv_lookup_missing(FV_F32, false);
    for (int64_t k = 0; k < width; k++) memcpy(y + k * size, &missing, sizeof missing);
  }
}

static int64_t embedding_units(const fv_node *n) { return fv_shape_count(n->in[1]->shape); }
static void embedding(const fv_call *c) {
  const int64_t rows = c->in[0].shape.dim[0], width = c->in[0].shape.dim[1];
  const int32_t *ids = c->in[1].data;
  if (width == 0) return;
  for (int64_t i = c->begin; i < c->end; i++) read_row(c, i, within(ids[i], rows) ? ids[i] : -1, width, false);
}

static int select_axis(const fv_node *n) {
  return fv_axis(((const fv_index_select_attrs *)n->attrs)->axis, n->out[0]->shape.ndim);
}
static int64_t select_units(const fv_node *n) {
  return fv_shape_before(n->out[0]->shape, select_axis(n)) * n->in[1]->shape.dim[0];
}
static void index_select(const fv_call *c) {
  const int axis = select_axis(c->node);
  const int64_t rows = c->in[0].shape.dim[axis], width = fv_shape_after(c->in[0].shape, axis);
  const int64_t n = c->in[1].shape.dim[0];
  const int32_t *ids = c->in[1].data;
  if (width == 0) return;
  for (int64_t u = c->begin; u < c->end; u++) {
    const int64_t id = ids[u % n];
    read_row(c, u, within(id, rows) ? u / n * rows + id : -1, width, ((const fv_index_select_attrs *)c->attrs)->zero);
  }
}

/* ---- embedding_grad, index_add: unit = a block of columns of one outer index ------------------------------------- */
#define COLUMNS 64
typedef struct sum {
  int64_t outer, rows, width, n; /* y [outer, rows, width] from x [outer, n, width] */
  int64_t skip;                  /* this row gets nothing */
} sum;

static sum sum_of(const fv_node *node) {
  const fv_shape x = node->in[1]->shape, y = node->out[0]->shape;
  sum s = {.outer = 1, .rows = y.dim[0], .skip = -1};
  if (!strcmp(node->op->name, "embedding_grad")) {
    s.n = fv_shape_count(node->in[0]->shape);
    s.width = y.dim[1];
    s.skip = ((const fv_embedding_grad_attrs *)node->attrs)->padding_idx;
  } else {
    const int axis = fv_axis(((const fv_index_add_attrs *)node->attrs)->axis, y.ndim);
    s.outer = fv_shape_before(y, axis);
    s.rows = y.dim[axis];
    s.width = fv_shape_after(y, axis);
    s.n = x.dim[axis];
  }
  return s;
}
static int64_t sum_units(const fv_node *node) {
  const sum s = sum_of(node);
  return s.outer * fv_ceil_div(s.width, COLUMNS);
}

static inline void add(float *to, const float *from, int64_t width) {
  for (int64_t k = 0; k < width; k += FV_W) {
    const int64_t n = FV_MIN(FV_W, width - k);
    fv_vstore_n(to + k, fv_vload_n(to + k, n) + fv_vload_n(from + k, n), n);
  }
}

static void sum_run(const fv_call *c) {
  const sum s = sum_of(c->node);
  const int64_t blocks = fv_ceil_div(s.width, COLUMNS);
  const int32_t *ids = c->in[0].data;
  for (int64_t u = c->begin; u < c->end; u++) {
    const int64_t at = u % blocks * COLUMNS, width = FV_MIN(COLUMNS, s.width - at);
    const float *x = (const float *)c->in[1].data + u / blocks * s.n * s.width + at;
    float *y = (float *)c->out[0].data + u / blocks * s.rows * s.width + at;
    for (int64_t r = 0; r < s.rows; r++) memset(y + r * s.width, 0, (size_t)width * sizeof *y);
    for (int64_t i = 0; i < s.n; i++)
      if (within(ids[i], s.rows) && ids[i] != s.skip) add(y + ids[i] * s.width, x + i * s.width, width);
  }
}

/* ---- gather, scatter_add: row by row of the index ---------------------------------------------------------------- */
typedef struct lines { /* lines of the index along its last dimension, and where they lie in the other tensor */
  int axis;
  int64_t n, width, size;
  int64_t step, line_step; /* of the axis; of a place along the line (0: the line is the axis) */
} lines;

static lines lines_of(fv_shape index, fv_shape x, int64_t axis) {
  lines l = {.axis = fv_axis(axis, x.ndim), .width = index.dim[index.ndim - 1]};
  l.n = fv_shape_before(index, index.ndim - 1);
  l.size = x.dim[l.axis];
  l.step = fv_shape_after(x, l.axis);
  l.line_step = l.axis == x.ndim - 1 ? 0 : 1;
  return l;
}
/* Where line `r` begins in the other tensor, its axis at 0. */
static int64_t line_base(fv_shape index, fv_shape x, int axis, int64_t r) {
  int64_t base = 0, stride = x.dim[x.ndim - 1];
  for (int d = x.ndim - 2; d >= 0; d--) {
    if (d != axis) base += r % index.dim[d] * stride;
    stride *= x.dim[d];
    r /= index.dim[d];
  }
  return base;
}

static int64_t gather_units(const fv_node *n) {
  return fv_shape_before(n->in[1]->shape, n->in[1]->shape.ndim - 1);
}
static bool real(const fv_node *n) { return n->out[0]->dtype == FV_F32; }

static void gather(const fv_call *c) {
  const fv_gather_attrs *a = c->attrs;
  const lines l = lines_of(c->in[1].shape, c->in[0].shape, a->axis);
  const float missing = (float)fv_lookup_missing(FV_F32, a->zero);
  for (int64_t r = c->begin; r < c->end; r++) {
    const float *x = (const float *)c->in[0].data + line_base(c->in[1].shape, c->in[0].shape, l.axis, r);
    const int32_t *ids = (const int32_t *)c->in[1].data + r * l.width;
    float *y = (float *)c->out[0].data + r * l.width;
    for (int64_t j = 0; j < l.width; j++)
      y[j] = within(ids[j], l.size) ? x[ids[j] * l.step + j * l.line_step] : missing;
  }
}

static void scatter_add(const fv_call *c) {
  const fv_scatter_add_attrs *a = c->attrs;
  const lines l = lines_of(c->in[0].shape, c->out[0].shape, a->axis);
  const size_t bytes = (size_t)fv_shape_count(c->out[0].shape) * sizeof(float);
  const bool based = c->n_in > 2 && c->in[2].data;
  if (bytes && based) memcpy(c->out[0].data, c->in[2].data, bytes);
  else if (bytes) memset(c->out[0].data, 0, bytes);
  for (int64_t r = 0; r < l.n; r++) {
    float *y = (float *)c->out[0].data + line_base(c->in[0].shape, c->out[0].shape, l.axis, r);
    const int32_t *ids = (const int32_t *)c->in[0].data + r * l.width;
    const float *x = (const float *)c->in[1].data + r * l.width;
    for (int64_t j = 0; j < l.width; j++)
      if (within(ids[j], l.size)) y[ids[j] * l.step + j * l.line_step] += x[j];
  }
}

extern const fv_kernel FV_KERNELS(lookup)[];
const fv_kernel FV_KERNELS(lookup)[] = {
    {.op = "embedding", .name = "simd", .isa = FV_ISA_LEVEL, .units = embedding_units, .run = embedding},
    {.op = "index_select", .name = "simd", .isa = FV_ISA_LEVEL, .units = select_units, .run = index_select},
    {.op = "embedding_grad", .name = "simd", .isa = FV_ISA_LEVEL, .units = sum_units, .run = sum_run},
    {.op = "index_add", .name = "simd", .isa = FV_ISA_LEVEL, .units = sum_units, .run = sum_run},
    {.op = "gather", .name = "simd", .isa = FV_ISA_LEVEL, .can = real, .units = gather_units, .run = gather},
    {.op = "scatter_add", .name = "simd", .isa = FV_ISA_LEVEL, .can = real, .run = scatter_add},
    {0}};
