/* SPDX-License-Identifier: Apache-2.0 */
/* cumsum.c: running sums. Sums side by side are done a vector at a time; what each addition rounds away is carried
 * along (Kahan 1965), so that long sums stay as exact as short ones. A lone line is summed in double precision. */
#include "cpu/simd.h"
#include "ops/cumsum.h"

typedef struct lines {
  int64_t before, n, after, tiles; /* tiles: vectors across `after` */
  bool reverse;
} lines;
static lines lines_of(const fv_node *node) {
  const fv_cumsum_attrs *a = node->attrs;
  fv_shape s = node->in[0]->shape;
  int axis = fv_axis(a->axis, s.ndim);
  lines l = {.before = fv_shape_before(s, axis), .n = s.dim[axis], .after = fv_shape_after(s, axis),
             .reverse = a->reverse};
  l.tiles = fv_ceil_div(l.after, FV_W);
  return l;
}

static int64_t units(const fv_node *node) {
  lines l = lines_of(node);
  return l.before * l.tiles;
}

static void line(const float *x, float *y, int64_t n, int64_t step) {
  double sum = 0;
  for (int64_t i = 0, at = 0; i < n; i++, at += step) {
    sum += (double)x[at];
    y[at] = (float)sum;
  }
}

/* `width` lines side by side. Once a sum is infinite or NaN there is nothing to carry. */
static void vectors(const float *x, float *y, int64_t n, int64_t step, int64_t width) {
  fv_f32v sum = fv_vzero(), lost = fv_vzero();
  for (int64_t i = 0, at = 0; i < n; i++, at += step) {
    fv_f32v v = (width == FV_W ? fv_vload(x + at) : fv_vload_n(x + at, width)) - lost, next = sum + v;
    lost = (next - sum) - v;
    lost = fv_vmasked(fv_vlt(fv_vabs(lost), fv_vsplat(__builtin_inff())), lost);
    sum = next;
    if (width == FV_W) fv_vstore(y + at, sum);
    else fv_vstore_n(y + at, sum, width);
  }
}

static void run(const fv_call *c) {
  lines l = lines_of(c->node);
  int64_t first = l.reverse ? (l.n - 1) * l.after : 0, step = l.reverse ? -l.after : l.after;
  for (int64_t u = c->begin; u < c->end && l.n; u++) {
    int64_t j = u % l.tiles * FV_W, at = u / l.tiles * l.n * l.after + first + j;
    const float *x = (const float *)c->in[0].data + at;
    float *y = (float *)c->out[0].data + at;
    if (l.after == 1) line(x, y, l.n, step);
    else vectors(x, y, l.n, step, FV_MIN(FV_W, l.after - j));
  }
}

const fv_kernel FV_KERNELS(cumsum)[] = {
  {.op = "cumsum", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run}, {0}};
