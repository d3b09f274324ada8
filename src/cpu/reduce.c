/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c: the plan that reduction kernels follow (reduce.h); compiled once, not once a level. */
#include "cpu/reduce.h"

static int64_t offset(const int64_t *dim, const int64_t *stride, int n, int64_t i) {
  int64_t at = 0;
  for (int d = n - 1; d >= 0; d--) {
    at += i % dim[d] * stride[d];
    i /= dim[d];
  }
  return at;
}

/* Adds a dimension to the list, merged with the one before when that was its neighbour. */
static void push(int64_t *dim, int64_t *stride, int *n, int64_t size, int64_t step, bool merge) {
  if (merge) {
    dim[*n - 1] *= size;
    stride[*n - 1] = step;
  } else {
    dim[*n] = size;
    stride[(*n)++] = step;
  }
}

fv_reduce_plan fv_reduce_plan_new(fv_shape s, uint32_t mask) {
  fv_reduce_plan p = {.outer = 1, .rows = 1, .inner = 1, .run = 1};
  int last = -1; /* whether the dimension before was reduced; -1: there was none */
  for (int d = 0; d < s.ndim; d++) {
    if (s.dim[d] == 1) continue;
    int gone = (int)(mask >> d & 1);
    if (gone) push(p.reduced, p.reduced_stride, &p.n_reduced_dims, s.dim[d], fv_shape_after(s, d), last == 1);
    else push(p.kept, p.kept_stride, &p.n_kept_dims, s.dim[d], fv_shape_after(s, d), last == 0);
    last = gone;
  }
  if (last == 1) p.run = p.reduced[--p.n_reduced_dims];
  if (last == 0) p.inner = p.kept[--p.n_kept_dims];
  for (int d = 0; d < p.n_kept_dims; d++) p.outer *= p.kept[d];
  for (int d = 0; d < p.n_reduced_dims; d++) p.rows *= p.reduced[d];
  return p;
}

int64_t fv_reduce_plan_base(const fv_reduce_plan *p, int64_t o) {
  return offset(p->kept, p->kept_stride, p->n_kept_dims, o);
}

void fv_reduce_rows_carry(fv_reduce_rows *r) {
  const fv_reduce_plan *p = r->plan;
  if (r->k >= p->rows) return;
  r->at = offset(p->reduced, p->reduced_stride, p->n_reduced_dims, r->k);
  r->left = p->reduced[p->n_reduced_dims - 1];
}
