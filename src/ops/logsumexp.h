/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_LOGSUMEXP_H
#define FV_OPS_LOGSUMEXP_H

#include "ir/ir.h"

typedef struct fv_logsumexp_attrs {
  int64_t axis;
  bool keepdim;
} fv_logsumexp_attrs;

#endif
