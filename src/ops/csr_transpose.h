/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CSR_TRANSPOSE_H
#define FV_OPS_CSR_TRANSPOSE_H

#include "ir/ir.h"

typedef struct fv_csr_transpose_attrs {
  int64_t columns; /* rows of the result */
} fv_csr_transpose_attrs;

#endif
