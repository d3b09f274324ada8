/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c: broadcast_to and one_hot: outputs that repeat little. A line of the output (its last dimensions that are
 * either all copied or all one element) is a copy or a fill; there is nothing to compute, so one level is enough. */
#include "cpu/simd.h"
#include "ops/one_hot.h"

/* ---- broadcast_to ------------------------------------------------------------------------------------------------ */
typedef struct layout {
  int n; /* dimensions but the line */
  int64_t dim[FV_MAX_DIMS], stride[FV_MAX_DIMS];
  int64_t lines, length;
  bool fill;
} layout;

/* From the last dimension outwards, neighbours that are both copied or both repeated become one. */
static layout layout_of(fv_shape in, fv_shape out) {
  layout l = {.lines = 1, .length = 1};
  int last = -1;
  bool line = true;
  for (int d = out.ndim - 1; d >= 0; d--) {
    int k = d - out.ndim + in.ndim;
    if (out.dim[d] == 1) continue;
    int repeated = k < 0 || in.dim[k] == 1;
    line = line && (last < 0 || repeated == last);
    if (line) {
      l.length *= out.dim[d];
      l.fill = repeated;
    } else {
      l.dim[l.n] = out.dim[d];
      l.stride[l.n++] = repeated ? 0 : fv_shape_after(in, k);
      l.lines *= out.dim[d];
    }
    last = repeated;
  }
  return l;
}

static int64_t source(const layout *l, int64_t line) {
  int64_t at = 0;
  for (int d = 0; d < l->n; d++) { /* innermost first */
    at += line % l->dim[d] * l->stride[d];
    line /= l->dim[d];
  }
  return at;
}

static void fill_words(uint32_t *to, uint32_t v, int64_t n) {
  for (int64_t i = 0; i < n; i++) to[i] = v;
}

static int64_t broadcast_units(const fv_node *n) {
  layout l = layout_of(n->in[0]->shape, n->out[0]->shape);
  return l.lines;
}

static void run_broadcast(const fv_call *c) {
  layout l = layout_of(c->in[0].shape, c->out[0].shape);
  size_t size = fv_dtype_size(c->out[0].dtype), bytes = (size_t)l.length * size;
  const uint8_t *x = c->in[0].data;
  uint8_t *y = c->out[0].data;
  if (!l.length) return;
  for (int64_t i = c->begin; i < c->end; i++) {
    const uint8_t *from = x + (size_t)source(&l, i) * size;
    uint8_t *to = y + (size_t)i * bytes;
    uint32_t word;
    if (!l.fill) {
      memcpy(to, from, bytes);
    } else if (size == 1) {
      memset(to, *from, bytes);
    } else {
      memcpy(&word, from, sizeof word);
      fill_words((uint32_t *)(void *)to, word, l.length);
    }
  }
}

/* ---- one_hot ----------------------------------------------------------------------------------------------------- */
static int64_t one_hot_units(const fv_node *n) { return fv_shape_count(n->in[0]->shape); }

static void run_one_hot(const fv_call *c) {
  int64_t classes = ((const fv_one_hot_attrs *)c->attrs)->classes;
  const int32_t *x = c->in[0].data;
  float *y = c->out[0].data;
  memset(y + c->begin * classes, 0, (size_t)((c->end - c->begin) * classes) * sizeof *y);
  for (int64_t i = c->begin; i < c->end; i++)
    if (x[i] >= 0 && x[i] < classes) y[i * classes + x[i]] = 1;
}

const fv_kernel FV_KERNELS(spread)[] = {
  {.op = "broadcast_to", .name = "copy", .isa = FV_ISA_LEVEL, .priority = 10, .units = broadcast_units,
   .run = run_broadcast},
  {.op = "one_hot", .name = "fill", .isa = FV_ISA_LEVEL, .priority = 10, .units = one_hot_units, .run = run_one_hot},
  {0}};
