/* SPDX-License-Identifier: Apache-2.0 */
/* gemv: matrix products with few rows or few columns, which a general product wastes its tiles on. All read the one
 * large operand once, in order, and are bound by memory. Two forms:
 *   dots  many rows and few (up to 4) rows, both stored along K: each result is a dot product; four at once;
 *   sums  one vector against a matrix stored across K: the results are a weighted sum of its rows, eight rows at once.
 * Each result is computed in the same order wherever it lies in a block. */
#include "cpu/finish.h"
#include "ops/linear.h"
#include "ops/matmul.h"

enum { FEW = 4, LONG = 32, ROWS = 32, STRIP = 512 }; /* results in a unit: ROWS x few, or a strip */

typedef struct plan {
  bool sums;
  bool many_is_b;        /* the large operand is input 1 */
  int64_t many, few, k;  /* sums: many columns, few = 1 */
  int64_t batch;
} plan;

/* False when a general product does better. */
static bool plan_of(const fv_node *n, plan *p) {
  if (!strcmp(n->op->name, "linear")) {
    int64_t outputs = n->in[1]->shape.dim[0], inputs = n->in[1]->shape.dim[1];
    int64_t rows = outputs ? fv_shape_count(n->out[0]->shape) / outputs : 0;
    bool one = rows == 1;
    *p = (plan){.many_is_b = one, .many = one ? outputs : rows, .few = one ? 1 : outputs, .k = inputs, .batch = 1};
    return p->few == 1 || (p->few <= FEW && p->k >= LONG);
  }
  const fv_matmul_attrs *t = n->attrs;
  fv_matmul_size q = fv_matmul_size_of(n);
  bool a_along = !t->ta || q.m == 1, b_along = t->tb || q.n == 1; /* stored along K */
  bool many_is_b = q.n > q.m;
  *p = (plan){.many_is_b = many_is_b, .many = many_is_b ? q.n : q.m, .few = many_is_b ? q.m : q.n, .k = q.k,
              .batch = fv_shape_count(q.batch)};
  if (a_along && b_along) return p->few == 1 || (p->few <= FEW && p->k >= LONG);
  p->sums = true;
  return p->few == 1;
}

static bool can(const fv_node *n) {
  plan p;
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]->kind != FV_VALUE_ABSENT && n->in[i]->dtype != FV_F32) return false;
  return plan_of(n, &p) && p.many > 0 && p.few > 0;
}

static int64_t units_in_one(const plan *p) { return fv_ceil_div(p->many, p->sums ? STRIP : ROWS); }

static int64_t units(const fv_node *n) {
  plan p;
  (void)plan_of(n, &p);
  return p.batch * units_in_one(&p);
}

/* Four rows, `step` floats apart, against one. */
static void dot4(const float *rows, int64_t step, const float *x, int64_t k, float out[4]) {
  fv_f32v s0 = fv_vzero(), s1 = s0, s2 = s0, s3 = s0;
  const float *r0 = rows, *r1 = rows + step, *r2 = rows + 2 * step, *r3 = rows + 3 * step;
  int64_t i = 0;
  for (; i + FV_W <= k; i += FV_W) {
    fv_f32v v = fv_vload(x + i);
    s0 = fv_vfma(fv_vload(r0 + i), v, s0);
    s1 = fv_vfma(fv_vload(r1 + i), v, s1);
    s2 = fv_vfma(fv_vload(r2 + i), v, s2);
    s3 = fv_vfma(fv_vload(r3 + i), v, s3);
  }
  if (i < k) {
    fv_f32v v = fv_vload_n(x + i, k - i);
    s0 = fv_vfma(fv_vload_n(r0 + i, k - i), v, s0);
    s1 = fv_vfma(fv_vload_n(r1 + i, k - i), v, s1);
    s2 = fv_vfma(fv_vload_n(r2 + i, k - i), v, s2);
    s3 = fv_vfma(fv_vload_n(r3 + i, k - i), v, s3);
  }
  out[0] = fv_vsum(s0), out[1] = fv_vsum(s1), out[2] = fv_vsum(s2), out[3] = fv_vsum(s3);
}

static float dot1(const float *row, const float *x, int64_t k) {
  fv_f32v s = fv_vzero();
  int64_t i = 0;
  for (; i + FV_W <= k; i += FV_W) s = fv_vfma(fv_vload(row + i), fv_vload(x + i), s);
  if (i < k) s = fv_vfma(fv_vload_n(row + i, k - i), fv_vload_n(x + i, k - i), s);
  return fv_vsum(s);
}

/* Results [first, last) of the many against each of the few. */
static void dots(const plan *p, const float *many, const float *few, const float *bias, float *c, int64_t first,
                 int64_t last) {
  for (int64_t f = 0; f < p->few; f++) {
    float *out = p->many_is_b ? c + f * p->many : c + f;
    int64_t step = p->many_is_b ? 1 : p->few;
    for (int64_t i = first; i < last; i += 4) {
      float r[4];
      int64_t n = FV_MIN(last - i, 4);
      if (n == 4) dot4(many + i * p->k, p->k, few + f * p->k, p->k, r);
      else
        for (int64_t j = 0; j < n; j++) r[j] = dot1(many + (i + j) * p->k, few + f * p->k, p->k);
      for (int64_t j = 0; j < n; j++) out[(i + j) * step] = r[j] + (bias ? bias[p->many_is_b ? i + j : f] : 0);
    }
  }
}

/* c += x[0] row 0 + x[1] row 1 + ..., `n` rows (a constant where this is called) `step` floats apart. */
static inline __attribute__((always_inline)) void add_rows(const float *row, int64_t step, const float *x, float *c,
                                                           int64_t cols, int n) {
  fv_f32v v[8];
  for (int r = 0; r < n; r++) v[r] = fv_vsplat(x[r]);
  int64_t j = 0;
  for (; j + FV_W <= cols; j += FV_W) {
    fv_f32v s = fv_vload(c + j);
    for (int r = 0; r < n; r++) s = fv_vfma(v[r], fv_vload(row + r * step + j), s);
    fv_vstore(c + j, s);
  }
  if (j == cols) return;
  fv_f32v s = fv_vload_n(c + j, cols - j);
  for (int r = 0; r < n; r++) s = fv_vfma(v[r], fv_vload_n(row + r * step + j, cols - j), s);
  fv_vstore_n(c + j, s, cols - j);
}

/* Columns [first, last) of x times the matrix. */
static void sums(const plan *p, const float *matrix, const float *x, float *c, int64_t first, int64_t last) {
  memset(c + first, 0, (size_t)(last - first) * sizeof *c);
  int64_t i = 0;
  for (; i + 8 <= p->k; i += 8) add_rows(matrix + i * p->many + first, p->many, x + i, c + first, last - first, 8);
  for (; i < p->k; i++) add_rows(matrix + i * p->many + first, p->many, x + i, c + first, last - first, 1);
}

static void run_matmul(const fv_call *c) {
  plan p;
  (void)plan_of(c->node, &p);
  fv_shape a = c->in[0].shape, b = c->in[1].shape, batch = c->out[0].shape;
  a.ndim -= 2, b.ndim -= 2, batch.ndim -= 2;
  int64_t per = units_in_one(&p), size = p.sums ? STRIP : ROWS, long_side = p.many * p.k, short_side = p.few * p.k;
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t i = u / per, first = u % per * size, last = FV_MIN(first + size, p.many);
    const float *x = c->in[0].data, *y = c->in[1].data;
    x += fv_broadcast_index(a, batch, i) * (p.many_is_b ? short_side : long_side);
    y += fv_broadcast_index(b, batch, i) * (p.many_is_b ? long_side : short_side);
    float *out = (float *)c->out[0].data + i * p.many * p.few;
    if (p.sums) sums(&p, p.many_is_b ? y : x, p.many_is_b ? x : y, out, first, last);
    else dots(&p, p.many_is_b ? y : x, p.many_is_b ? x : y, NULL, out, first, last);
  }
}

static void run_linear(const fv_call *c) {
  plan p;
  (void)plan_of(c->node, &p);
  const fv_linear_attrs *a = c->attrs;
  const float *many = c->in[p.many_is_b].data, *few = c->in[!p.many_is_b].data;
  const float *bias = c->n_in > 2 ? c->in[2].data : NULL, *residual = c->n_in > 3 ? c->in[3].data : NULL;
  int64_t first = c->begin * ROWS, last = FV_MIN(c->end * ROWS, p.many);
  dots(&p, many, few, bias, c->out[0].data, first, last); /* few = 1 when many_is_b: results lie together either way */
  fv_finish(a->act, residual ? residual + first * p.few : NULL, (float *)c->out[0].data + first * p.few,
            (last - first) * p.few);
}

#define ROW(op_, run_) \
  {.op = op_, .name = "gemv", .isa = FV_ISA_LEVEL, .priority = 20, .can = can, .units = units, .run = run_}
const fv_kernel FV_KERNELS(gemv)[] = {ROW("matmul", run_matmul), ROW("linear", run_linear), {0}};
