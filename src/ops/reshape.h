/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_RESHAPE_H
#define FV_OPS_RESHAPE_H

#include "ir/ir.h"

typedef struct fv_reshape_attrs {
  fv_int_list shape; /* empty: a scalar; one of them may be -1: what is left */
} fv_reshape_attrs;

static inline fv_value *fv_reshape_to(fv_graph *g, fv_value *v, fv_shape shape) {
  fv_reshape_attrs a = {.shape.n = shape.ndim};
  for (int i = 0; i < shape.ndim; i++) a.shape.v[i] = shape.dim[i];
  return fv_op(g, "reshape", &a, v);
}

#endif
