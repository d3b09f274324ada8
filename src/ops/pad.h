/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_PAD_H
#define FV_OPS_PAD_H

#include "ir/ir.h"

typedef struct fv_pad_attrs {
  fv_int_list before, after; /* one number a dimension; an empty list is all zeros */
  double value;
} fv_pad_attrs;

#endif
