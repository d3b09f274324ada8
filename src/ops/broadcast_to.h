/* SPDX-License-Identifier: Apache-2.0 */
/* broadcast_to.h: attributes of broadcast_to, and a short way to apply it. */
#ifndef FV_OPS_BROADCAST_TO_H
#define FV_OPS_BROADCAST_TO_H

#include "ir/ir.h"

typedef struct fv_broadcast_to_attrs {
  fv_int_list shape;
} fv_broadcast_to_attrs;

/* v repeated to `shape`; v itself when it has it already. */
static inline fv_value *fv_broadcast_value(fv_graph *g, fv_value *v, fv_shape shape) {
  if (!v || fv_shape_equal(v->shape, shape)) return v;
  fv_broadcast_to_attrs a = {.shape.n = shape.ndim};
  for (int i = 0; i < shape.ndim; i++) a.shape.v[i] = shape.dim[i];
  return fv_op(g, "broadcast_to", &a, v);
}

#endif
