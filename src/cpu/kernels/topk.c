/* SPDX-License-Identifier: Apache-2.0 */
/* topk.c: topk and its gradient. The k best so far are a heap in the output itself, worst on top; most elements fall
 * at a first look at that top. Taking the worst off again and again leaves them in order (Williams 1964, heapsort). */
#include "cpu/simd.h"
#include "ops/topk.h"

typedef struct best {
  float *value;
  int32_t *at;
} best;

/* Whether (a, at i) comes before (b, at j) in the result. */
static bool first(float a, int32_t i, float b, int32_t j) {
  if (a > b || (a != a && b == b)) return true;
  if (a < b || (b != b && a == a)) return false;
  return i < j;
}

/* Puts (v, at) where it belongs below `hole`: a parent comes after its children. */
static void sink(best h, int64_t n, int64_t hole, float v, int32_t at) {
  for (;;) {
    int64_t child = 2 * hole + 1;
    if (child >= n) break;
    if (child + 1 < n && first(h.value[child], h.at[child], h.value[child + 1], h.at[child + 1])) child++;
    if (first(h.value[child], h.at[child], v, at)) break;
    h.value[hole] = h.value[child];
    h.at[hole] = h.at[child];
    hole = child;
  }
  h.value[hole] = v;
  h.at[hole] = at;
}

static void row(const float *x, int64_t n, int64_t k, best h) {
  for (int64_t i = 0; i < k; i++) {
    h.value[i] = x[i];
    h.at[i] = (int32_t)i;
  }
  for (int64_t i = k / 2; i-- > 0;) sink(h, k, i, h.value[i], h.at[i]);
  for (int64_t i = k; i < n;) {
    fv_f32v top = fv_vsplat(h.value[0]);
    int64_t m = FV_MIN(FV_W, n - i);
    uint32_t better = fv_mbits(fv_mand(fv_mfirst(m), fv_mnot(fv_vle(fv_vload_n(x + i, m), top))));
    int64_t next = better ? i + __builtin_ctz(better) : i + m;
    if (better && first(x[next], (int32_t)next, h.value[0], h.at[0])) sink(h, k, 0, x[next], (int32_t)next);
    i = better ? next + 1 : next;
  }
  for (int64_t left = k - 1; left > 0; left--) { /* the worst goes last */
    float v = h.value[left];
    int32_t at = h.at[left];
    h.value[left] = h.value[0];
    h.at[left] = h.at[0];
    sink(h, left, 0, v, at);
  }
}

static int64_t units(const fv_node *n) { return fv_shape_before(n->in[0]->shape, n->in[0]->shape.ndim - 1); }

static void run(const fv_call *c) {
  fv_shape s = c->in[0].shape;
  int64_t n = s.dim[s.ndim - 1], k = ((const fv_topk_attrs *)c->attrs)->k;
  for (int64_t r = c->begin; r < c->end; r++)
    row((const float *)c->in[0].data + r * n, n, k,
        (best){.value = (float *)c->out[0].data + r * k, .at = (int32_t *)c->out[1].data + r * k});
}

static void run_grad(const fv_call *c) {
  fv_shape s = c->in[0].shape;
  int64_t k = s.dim[s.ndim - 1], n = ((const fv_topk_grad_attrs *)c->attrs)->size;
  for (int64_t r = c->begin; r < c->end; r++) {
    const float *dy = (const float *)c->in[0].data + r * k;
    const int32_t *at = (const int32_t *)c->in[1].data + r * k;
    float *dx = (float *)c->out[0].data + r * n;
    memset(dx, 0, (size_t)n * sizeof *dx);
    for (int64_t i = 0; i < k; i++)
      if (at[i] >= 0 && at[i] < n) dx[at[i]] = dy[i];
  }
}

const fv_kernel FV_KERNELS(topk)[] = {
  {.op = "topk", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run},
  {.op = "topk_grad", .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = run_grad},
  {0}};
