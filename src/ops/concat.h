/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CONCAT_H
#define FV_OPS_CONCAT_H

#include "ir/ir.h"

typedef struct fv_concat_attrs {
  int64_t axis; /* negative counts from the end */
} fv_concat_attrs;

#endif
