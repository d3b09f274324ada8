/* SPDX-License-Identifier: Apache-2.0 */
/* one_hot.h: attributes of one_hot. */
#ifndef FV_OPS_ONE_HOT_H
#define FV_OPS_ONE_HOT_H

#include "ir/ir.h"

typedef struct fv_one_hot_attrs {
  int64_t classes;
} fv_one_hot_attrs;

#endif
