/* SPDX-License-Identifier: Apache-2.0 */
/* elu.h: attributes of elu and elu_grad. */
#ifndef FV_OPS_ELU_H
#define FV_OPS_ELU_H

#include "ir/ir.h"

typedef struct fv_elu_attrs {
  double alpha; /* above 0; 0 means the default, 1 */
} fv_elu_attrs;

extern const fv_option fv_elu_options[];

#endif
