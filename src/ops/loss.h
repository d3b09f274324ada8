/* SPDX-License-Identifier: Apache-2.0 */
/* loss.h: attributes of the element-wise losses. */
#ifndef FV_OPS_LOSS_H
#define FV_OPS_LOSS_H

#include "ops/lines.h"

typedef struct fv_mse_loss_attrs {
  int64_t reduction;
} fv_mse_loss_attrs;
typedef struct fv_huber_loss_attrs {
  double delta;
  int64_t reduction;
} fv_huber_loss_attrs;
typedef struct fv_smooth_l1_loss_attrs {
  double beta;
  int64_t reduction;
} fv_smooth_l1_loss_attrs;
typedef struct fv_bce_attrs {
  int64_t reduction;
} fv_bce_attrs;

#endif
