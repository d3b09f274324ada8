/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_FLIP_H
#define FV_OPS_FLIP_H

#include "ir/ir.h"

typedef struct fv_flip_attrs {
  int64_t axis; /* negative counts from the end */
} fv_flip_attrs;

#endif
