/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CONV2D_H
#define FV_OPS_CONV2D_H

#include "ops/activation.h"
#include "ops/conv.h"

typedef struct fv_conv2d_attrs {
  FV_CONV_WINDOW;
  int64_t act;
} fv_conv2d_attrs;

#endif
