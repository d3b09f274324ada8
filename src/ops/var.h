/* SPDX-License-Identifier: Apache-2.0 */
/* var.h: attributes of var. */
#ifndef FV_OPS_VAR_H
#define FV_OPS_VAR_H

#include "ops/reduce.h"

typedef struct fv_var_attrs {
  fv_reduce_attrs reduce; /* first: the shared code reads it there */
  bool biased;            /* divide by n instead of n - 1 */
} fv_var_attrs;

#endif
