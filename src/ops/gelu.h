/* SPDX-License-Identifier: Apache-2.0 */
/* gelu.h: attributes of gelu and gelu_grad. */
#ifndef FV_OPS_GELU_H
#define FV_OPS_GELU_H

#include "ir/ir.h"

typedef enum fv_gelu_form { FV_GELU_ERF, FV_GELU_TANH } fv_gelu_form;
typedef struct fv_gelu_attrs {
  int64_t approximate; /* fv_gelu_form: none | tanh */
} fv_gelu_attrs;

extern const fv_option fv_gelu_options[];
/* sqrt(2 / pi) and the cubic term of the tanh form. */
#define FV_GELU_SCALE 0.79788456080286535588
#define FV_GELU_CUBIC 0.044715

#endif
