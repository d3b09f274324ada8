/* SPDX-License-Identifier: Apache-2.0 */
/* single.h (private): one operation on tensors that the caller owns: the optimiser's steps over flat slabs. The kernel
 * is chosen as in a program; a run allocates nothing and is split over the pool by the kernel's units. */
#ifndef FV_IR_SINGLE_H
#define FV_IR_SINGLE_H

#include "ir/ir.h"

typedef struct fv_single fv_single;
/* `in`: dtypes and shapes (data unused); attrs as for fv_op_text. */
fv_status fv_single_new(const char *op, const char *attrs, int n_in, const fv_tensor *in, fv_single **single);
void fv_single_free(fv_single *single); /* NULL is fine */
int64_t fv_single_out_count(const fv_single *single, int i); /* elements of output i */
/* Output i is written to out[i]; it may be an input's memory where the operation works in place. */
void fv_single_run(fv_single *single, void *const *in, void *const *out, fv_pool *pool);

#endif
