/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CONV2D_GRAD_INPUT_H
#define FV_OPS_CONV2D_GRAD_INPUT_H

#include "ops/conv.h"

typedef struct fv_conv2d_grad_input_attrs {
  FV_CONV_WINDOW;
  fv_int_list size; /* H, W of the image: several sizes give the same maps when the stride is above 1 */
} fv_conv2d_grad_input_attrs;

#endif
