/* SPDX-License-Identifier: Apache-2.0 */
/* cumsum.h: attributes of cumsum. */
#ifndef FV_OPS_CUMSUM_H
#define FV_OPS_CUMSUM_H

#include "ir/ir.h"

typedef struct fv_cumsum_attrs {
  int64_t axis;
  bool reverse; /* from the end */
} fv_cumsum_attrs;

#endif
