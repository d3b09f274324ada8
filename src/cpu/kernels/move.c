/* SPDX-License-Identifier: Apache-2.0 */
/* move.c: concat, slice, flip, pad: runs of bytes from one place to another. Elements of any dtype are moved, never
 * read, so the C library's copy is as good as any at every level. A unit is one row of the output: all that lies below
 * the axis' outer dimensions. */
#include "cpu/simd.h"
#include "ops/concat.h"
#include "ops/flip.h"
#include "ops/pad.h"
#include "ops/slice.h"

/* Short runs are common (one float of each row): a call would cost more than the copy. */
static inline void copy(char *to, const char *from, int64_t bytes) {
  if (bytes == 4) memcpy(to, from, 4);
  else memcpy(to, from, (size_t)bytes);
}
static int64_t element(const fv_tensor *t) { return (int64_t)fv_dtype_size(t->dtype); }

/* ---- concat: unit = outer index ---------------------------------------------------------------------------------- */
static int concat_axis(const fv_node *n) {
  return fv_axis(((const fv_concat_attrs *)n->attrs)->axis, n->out[0]->shape.ndim);
}
static int64_t concat_units(const fv_node *n) { return fv_shape_before(n->out[0]->shape, concat_axis(n)); }

static void concat(const fv_call *c) {
  const int axis = concat_axis(c->node);
  const int64_t after = fv_shape_after(c->out[0].shape, axis) * element(&c->out[0]);
  const int64_t row = c->out[0].shape.dim[axis] * after;
  for (int64_t b = c->begin; b < c->end; b++) {
    char *to = (char *)c->out[0].data + b * row;
    for (int i = 0; i < c->n_in; i++) {
      const int64_t run = c->in[i].shape.dim[axis] * after;
      if (run > 0) copy(to, (const char *)c->in[i].data + b * run, run);
      to += run;
    }
  }
}

/* ---- slice: unit = outer index ----------------------------------------------------------------------------------- */
static int64_t slice_units(const fv_node *n) {
  const fv_shape x = n->in[0]->shape;
  return fv_shape_before(x, fv_axis(((const fv_slice_attrs *)n->attrs)->axis, x.ndim));
}

static void slice(const fv_call *c) {
  const fv_slice_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape;
  const int axis = fv_axis(a->axis, x.ndim);
  const int64_t after = fv_shape_after(x, axis) * element(&c->in[0]);
  int64_t first, count;
  fv_slice_range(a, x.dim[axis], &first, &count);
  if (count == 0 || after == 0) return;
  const bool whole = a->step == 1;
  const int64_t runs = whole ? 1 : count, run = whole ? count * after : after;
  for (int64_t b = c->begin; b < c->end; b++) {
    const char *from = (const char *)c->in[0].data + (b * x.dim[axis] + first) * after;
    char *to = (char *)c->out[0].data + b * count * after;
    for (int64_t i = 0; i < runs; i++) copy(to + i * run, from + i * a->step * after, run);
  }
}

/* ---- flip: unit = outer index ------------------------------------------------------------------------------------ */
static int64_t flip_units(const fv_node *n) {
  const fv_shape x = n->in[0]->shape;
  return fv_shape_before(x, fv_axis(((const fv_flip_attrs *)n->attrs)->axis, x.ndim));
}

static void flip(const fv_call *c) {
  const fv_shape x = c->in[0].shape;
  const int axis = fv_axis(((const fv_flip_attrs *)c->attrs)->axis, x.ndim);
  const int64_t after = fv_shape_after(x, axis) * element(&c->in[0]), dim = x.dim[axis];
  if (after == 0) return;
  for (int64_t b = c->begin; b < c->end; b++) {
    const char *from = (const char *)c->in[0].data + b * dim * after;
    char *to = (char *)c->out[0].data + b * dim * after;
    for (int64_t i = 0; i < dim; i++) copy(to + i * after, from + (dim - 1 - i) * after, after);
  }
}

/* ---- pad: unit = output row ----------------------------------------------------------------------------------------
 * Trailing dimensions without a border are merged into the one before them, so that rows are as long as can be. */
typedef struct frame {
  int n;
  int64_t in[FV_MAX_DIMS], out[FV_MAX_DIMS], before[FV_MAX_DIMS];
} frame;

static frame frame_of(const fv_node *node) {
  const fv_pad_attrs *a = node->attrs;
  const fv_shape x = node->in[0]->shape, y = node->out[0]->shape;
  frame f = {.n = 1, .in[0] = 1, .out[0] = 1};
  if (x.ndim == 0) return f;
  f.n = x.ndim;
  for (int i = 0; i < x.ndim; i++) {
    f.in[i] = x.dim[i];
    f.out[i] = y.dim[i];
    f.before[i] = a->before.n ? a->before.v[i] : 0;
  }
  while (f.n > 1 && f.in[f.n - 1] == f.out[f.n - 1]) {
    const int64_t width = f.in[--f.n];
    f.in[f.n - 1] *= width;
    f.out[f.n - 1] *= width;
    f.before[f.n - 1] *= width;
  }
  return f;
}
static int64_t pad_units(const fv_node *n) {
  const frame f = frame_of(n);
  int64_t rows = 1;
  for (int i = 0; i < f.n - 1; i++) rows *= f.out[i];
  return rows;
}

/* The input row that output row `row` holds; -1: all border. */
static int64_t inner_row(const frame *f, int64_t row) {
  int64_t from = 0, stride = 1;
  for (int d = f->n - 2; d >= 0; d--) {
    const int64_t at = row % f->out[d] - f->before[d];
    if (at < 0 || at >= f->in[d]) return -1;
    from += at * stride;
    stride *= f->in[d];
    row /= f->out[d];
  }
  return from;
}

static void fill(const fv_tensor *t, int64_t at, int64_t n, double value) {
  if (value == 0) memset((char *)t->data + at * element(t), 0, (size_t)(n * element(t)));
  else
    for (int64_t i = 0; i < n; i++) fv_set(t, at + i, value);
}

static void pad(const fv_call *c) {
  const double value = ((const fv_pad_attrs *)c->attrs)->value;
  const frame f = frame_of(c->node);
  const int64_t width = f.out[f.n - 1], inner = f.in[f.n - 1], left = f.before[f.n - 1], size = element(&c->out[0]);
  for (int64_t r = c->begin; r < c->end; r++) {
    const int64_t from = inner_row(&f, r), taken = from < 0 ? 0 : inner;
    fill(&c->out[0], r * width, taken ? left : width, value);
    if (!taken) continue;
    copy((char *)c->out[0].data + (r * width + left) * size, (const char *)c->in[0].data + from * inner * size,
         taken * size);
    fill(&c->out[0], r * width + left + taken, width - left - taken, value);
  }
}

extern const fv_kernel FV_KERNELS(move)[];
const fv_kernel FV_KERNELS(move)[] = {
    {.op = "concat", .name = "simd", .isa = FV_ISA_LEVEL, .units = concat_units, .run = concat},
    {.op = "slice", .name = "simd", .isa = FV_ISA_LEVEL, .units = slice_units, .run = slice},
    {.op = "flip", .name = "simd", .isa = FV_ISA_LEVEL, .units = flip_units, .run = flip},
    {.op = "pad", .name = "simd", .isa = FV_ISA_LEVEL, .units = pad_units, .run = pad},
    {0}};
