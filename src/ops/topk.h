/* SPDX-License-Identifier: Apache-2.0 */
/* topk.h: attributes of topk and topk_grad. */
#ifndef FV_OPS_TOPK_H
#define FV_OPS_TOPK_H

#include "ir/ir.h"

typedef struct fv_topk_attrs {
  int64_t k;
} fv_topk_attrs;
typedef struct fv_topk_grad_attrs {
  int64_t size; /* of the input's last dimension */
} fv_topk_grad_attrs;

#endif
