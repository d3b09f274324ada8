/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_CSR_ROWS_H
#define FV_OPS_CSR_ROWS_H

#include "ir/ir.h"

typedef struct fv_csr_rows_attrs {
  int64_t edges;
} fv_csr_rows_attrs;

#endif
