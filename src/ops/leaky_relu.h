/* SPDX-License-Identifier: Apache-2.0 */
/* leaky_relu.h: attributes of leaky_relu and leaky_relu_grad. */
#ifndef FV_OPS_LEAKY_RELU_H
#define FV_OPS_LEAKY_RELU_H

#include "ir/ir.h"

typedef struct fv_leaky_relu_attrs {
  double negative_slope; /* above 0 (relu is the one with 0); 0 means the default, 0.01 */
} fv_leaky_relu_attrs;

extern const fv_option fv_leaky_relu_options[];

#endif
