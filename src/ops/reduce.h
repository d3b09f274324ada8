/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.h: what reductions share: which axes go, the shapes, and a walk over the elements behind each result. */
#ifndef FV_OPS_REDUCE_H
#define FV_OPS_REDUCE_H

#include "ir/ir.h"

typedef struct fv_reduce_attrs {
  fv_int_list axes; /* none: all; negative ones count from the end */
  bool keepdim;     /* reduced dimensions stay, as 1 */
} fv_reduce_attrs;

extern const fv_option fv_reduce_options[];

/* One bit for each reduced dimension. */
uint32_t fv_reduce_mask(const fv_int_list *axes, int ndim);
/* The result's shape; fails on an axis out of range or named twice. */
fv_status fv_reduce_shape(fv_infer *c, const fv_reduce_attrs *a, fv_shape in, fv_shape *out);
fv_status fv_reduce_infer(fv_infer *c);          /* real numbers; attributes begin with a fv_reduce_attrs */
fv_status fv_reduce_infer_nonempty(fv_infer *c); /* the same, at least one element behind each result */
fv_cost fv_reduce_cost(const fv_node *n);        /* one flop an input element */
fv_value *fv_reduce_keep(fv_graph *g, fv_value *v, fv_shape in, const fv_reduce_attrs *a); /* v as with keepdim */
/* A result's gradient to all elements behind it: v, shaped as the result, broadcast to `in`. */
fv_value *fv_reduce_spread(fv_graph *g, fv_value *v, fv_shape in, const fv_reduce_attrs *a);

/* The elements behind result i are fv_reduce_index(&w, i, k), 0 <= k < w.n_reduced, in row-major order. */
typedef struct fv_reduce_walk {
  int n_kept_dims, n_reduced_dims;
  int64_t kept[FV_MAX_DIMS], kept_stride[FV_MAX_DIMS];
  int64_t reduced[FV_MAX_DIMS], reduced_stride[FV_MAX_DIMS];
  int64_t n_kept, n_reduced;
} fv_reduce_walk;
fv_reduce_walk fv_reduce_walk_new(fv_shape shape, uint32_t mask);
int64_t fv_reduce_index(const fv_reduce_walk *w, int64_t i, int64_t k);

/* Cases every reduction has, for an input range such as "@-3..3" further attributes such as " biased=1",
 * and a tolerance. */
#define FV_REDUCE_CASES(range, more, tol) \
  {.in = "()" range, .attrs = "" more, .tolerance = tol}, {.in = "1" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "3" range, .attrs = "" more, .tolerance = tol}, {.in = "4" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "5" range, .attrs = "" more, .tolerance = tol}, {.in = "15" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "16" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "17" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "1031" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "5003" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "3,5" range, .attrs = "" more, .tolerance = tol}, \
      {.in = "7,1" range, .attrs = "axes=1" more, .tolerance = tol}, \
      {.in = "7,3" range, .attrs = "axes=0" more, .tolerance = tol}, \
      {.in = "7,3" range, .attrs = "axes=-1" more, .tolerance = tol}, \
      {.in = "3,4" range, .attrs = "axes=-1" more, .tolerance = tol}, \
      {.in = "2,5" range, .attrs = "axes=1 keepdim=1" more, .tolerance = tol}, \
      {.in = "5,17" range, .attrs = "axes=0,1" more, .tolerance = tol}, \
      {.in = "67,31" range, .attrs = "axes=0" more, .tolerance = tol}, \
      {.in = "31,67" range, .attrs = "axes=1" more, .tolerance = tol}, \
      {.in = "2,5,5,16" range, .attrs = "axes=1,2" more, .tolerance = tol}, \
      {.in = "2,5,5,33" range, .attrs = "axes=1,2 keepdim=1" more, .tolerance = tol}, \
      {.in = "2,5,5,8" range, .attrs = "axes=3 keepdim=1" more, .tolerance = tol}, \
      {.in = "3,7,9" range, .attrs = "axes=0,2" more, .tolerance = tol}, \
      {.in = "5,3,2,7" range, .attrs = "axes=0,2" more, .tolerance = tol}, \
      {.in = "1,3,1,5" range, .attrs = "axes=0,2" more, .tolerance = tol}, \
      {.in = "2,3,5,2,3" range, .attrs = "axes=0,2,4" more, .tolerance = tol}, \
      {.in = "3,130" range, .attrs = "axes=0" more, .tolerance = tol}, \
      {.in = "2,3,1029" range, .attrs = "axes=2" more, .tolerance = tol}, \
      {.in = "2049,5" range, .attrs = "axes=0" more, .tolerance = tol}, \
      {.in = "3,0" range, .attrs = "axes=0" more, .tolerance = tol}

#endif
