/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.h: rows chosen by number: embedding, index_select, gather, and their gradients. A number out of range cannot
 * fail while a program runs: what it reads is NaN (0 for integers, or when asked for), what it would add is left out;
 * memory outside a tensor is never touched. Negative numbers are out of range. */
#ifndef FV_OPS_LOOKUP_H
#define FV_OPS_LOOKUP_H

#include "ir/ir.h"

typedef struct fv_embedding_attrs {
  int64_t padding_idx; /* this row gets no gradient; -1: none (also what NULL attributes mean) */
} fv_embedding_attrs;
typedef struct fv_embedding_grad_attrs {
  int64_t rows;        /* of the table */
  int64_t padding_idx; /* as above */
} fv_embedding_grad_attrs;
typedef struct fv_index_select_attrs {
  int64_t axis; /* negative counts from the end */
  bool zero;    /* a number out of range reads 0 instead of NaN */
} fv_index_select_attrs;
typedef struct fv_index_add_attrs {
  int64_t axis;
  int64_t size; /* of the result along axis */
} fv_index_add_attrs;
typedef struct fv_gather_attrs {
  int64_t axis;
  bool zero; /* as above */
} fv_gather_attrs;
typedef struct fv_scatter_add_attrs {
  int64_t axis;
  fv_int_list shape; /* of the result when there is no base: zeros are added to */
} fv_scatter_add_attrs;

/* What stands for a missing element of a dtype. */
static inline double fv_lookup_missing(fv_dtype dtype, bool zero) {
  return !zero && (dtype == FV_F32 || dtype == FV_F64) ? (double)__builtin_nanf("") : 0;
}
/* Refuses an input that is not i32. */
fv_status fv_lookup_check_ids(const fv_infer *c, int input);
/* Of the gradient of a table of `rows`: refuses input `dy` that is not `places` and one more dimension, E; the result
 * is [rows,E]. */
fv_status fv_lookup_infer_table(fv_infer *c, fv_shape places, int dy, int64_t rows);
/* gather, scatter_add: the flat index in a tensor of shape `x` of `index`'s i-th place, but with `id` on `axis`. */
int64_t fv_lookup_place(fv_shape x, fv_shape index, int axis, int64_t i, int64_t id);

#endif
