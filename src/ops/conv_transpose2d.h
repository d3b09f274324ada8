/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CONV_TRANSPOSE2D_H
#define FV_OPS_CONV_TRANSPOSE2D_H

#include "ops/conv.h"

typedef struct fv_conv_transpose2d_attrs {
  FV_CONV_WINDOW;
  fv_int_list output_padding;
} fv_conv_transpose2d_attrs;

#endif
