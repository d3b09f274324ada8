/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_PERMUTE_H
#define FV_OPS_PERMUTE_H

#include "ir/ir.h"

typedef struct fv_permute_attrs {
  fv_int_list perm; /* dimension i of the result is dimension perm[i] of the input; negative counts from the end */
} fv_permute_attrs;

#endif
