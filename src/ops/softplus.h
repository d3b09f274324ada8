/* SPDX-License-Identifier: Apache-2.0 */
/* softplus.h: attributes of softplus. */
#ifndef FV_OPS_SOFTPLUS_H
#define FV_OPS_SOFTPLUS_H

#include "ir/ir.h"

typedef struct fv_softplus_attrs {
  double beta; /* above 0; 0 means the default, 1 */
} fv_softplus_attrs;

#endif
