/* SPDX-License-Identifier: Apache-2.0 */
/* cast.h: attributes of cast. */
#ifndef FV_OPS_CAST_H
#define FV_OPS_CAST_H

#include "ir/ir.h"

typedef enum fv_cast_to { FV_CAST_REAL, FV_CAST_I32, FV_CAST_U8 } fv_cast_to;
typedef struct fv_cast_attrs {
  int64_t dtype; /* fv_cast_to; real is the graph's own real dtype */
} fv_cast_attrs;

#endif
