/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_LINEAR_H
#define FV_OPS_LINEAR_H

#include "ops/activation.h"

typedef struct fv_linear_attrs {
  int64_t act;
} fv_linear_attrs;

#endif
