/* SPDX-License-Identifier: Apache-2.0 */
/* softmax.h: attributes of softmax, log_softmax and their gradients. */
#ifndef FV_OPS_SOFTMAX_H
#define FV_OPS_SOFTMAX_H

#include "ir/ir.h"

typedef struct fv_softmax_attrs {
  int64_t axis;
} fv_softmax_attrs;
extern const fv_option fv_softmax_options[];

/* Inputs x, [mask]: a result of x's shape. Inputs dy, y: likewise. */
fv_status fv_softmax_infer(fv_infer *c);
fv_status fv_softmax_grad_infer(fv_infer *c);

#endif
