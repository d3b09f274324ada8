/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h: reductions over flat slabs of gradients whose order of summation is fixed by the length alone. */
#ifndef FV_OPS_SLAB_H
#define FV_OPS_SLAB_H

#include "ir/ir.h"

#define FV_SLAB_BLOCK 4096 /* elements a partial sum of sum_squares covers */

typedef struct fv_tree_add_attrs {
  double scale; /* the sum is multiplied by it; 0: 1 / S, which gives the mean */
} fv_tree_add_attrs;

#endif
