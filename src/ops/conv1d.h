/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CONV1D_H
#define FV_OPS_CONV1D_H

#include "ops/conv2d.h"

typedef fv_conv2d_attrs fv_conv1d_attrs; /* lists hold one number */

#endif
