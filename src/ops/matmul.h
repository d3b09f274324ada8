/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_MATMUL_H
#define FV_OPS_MATMUL_H

#include "ir/ir.h"

typedef struct fv_matmul_attrs {
  bool ta, tb; /* the operand is stored transposed: a [...,K,M], b [...,N,K] */
} fv_matmul_attrs;

typedef struct fv_matmul_size {
  int64_t m, n, k;
  fv_shape batch; /* of the result */
} fv_matmul_size;
fv_matmul_size fv_matmul_size_of(const fv_node *n);

#endif
