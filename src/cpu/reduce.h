/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.h: a reduction's shape made simple for kernels. Neighbouring dimensions that are both kept or both reduced
 * become one, those of size 1 go. What is contiguous in memory is then either `inner` results side by side or a `run`
 * of elements that all go into one result; the other is 1. */
#ifndef FV_CPU_REDUCE_H
#define FV_CPU_REDUCE_H

#include "ops/reduce.h"

typedef struct fv_reduce_plan {
  int n_kept_dims, n_reduced_dims; /* without the contiguous one */
  int64_t kept[FV_MAX_DIMS], kept_stride[FV_MAX_DIMS];
  int64_t reduced[FV_MAX_DIMS], reduced_stride[FV_MAX_DIMS];
  int64_t outer, rows; /* results = outer * inner, elements behind each = rows * run */
  int64_t inner, run;
} fv_reduce_plan;
/* Of a reduction of `shape` over the dimensions in `mask`. */
fv_reduce_plan fv_reduce_plan_new(fv_shape shape, uint32_t mask);
/* The first element behind the results outer = o. */
int64_t fv_reduce_plan_base(const fv_reduce_plan *p, int64_t o);

/* Steps through the rows behind a result in order: at = offset of row k from the base. */
typedef struct fv_reduce_rows {
  const fv_reduce_plan *plan;
  int64_t at, k, left; /* left: rows until the innermost reduced dimension ends */
} fv_reduce_rows;
static inline fv_reduce_rows fv_reduce_rows_first(const fv_reduce_plan *p) {
  return (fv_reduce_rows){.plan = p, .left = p->n_reduced_dims ? p->reduced[p->n_reduced_dims - 1] : 1};
}
void fv_reduce_rows_carry(fv_reduce_rows *r);
static inline void fv_reduce_rows_next(fv_reduce_rows *r) {
  r->k++;
  if (--r->left) r->at += r->plan->reduced_stride[r->plan->n_reduced_dims - 1];
  else fv_reduce_rows_carry(r);
}

#endif
