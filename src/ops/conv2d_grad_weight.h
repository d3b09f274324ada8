/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CONV2D_GRAD_WEIGHT_H
#define FV_OPS_CONV2D_GRAD_WEIGHT_H

#include "ops/conv.h"

typedef struct fv_conv2d_grad_weight_attrs {
  FV_CONV_WINDOW;
  fv_int_list kernel; /* KH, KW */
  bool bias;          /* a second output: the gradient of the bias */
} fv_conv2d_grad_weight_attrs;

#endif
