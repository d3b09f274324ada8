/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FV_OPS_EMBEDDING_BAG_H
#define FV_OPS_EMBEDDING_BAG_H

#include "ops/lookup.h"

typedef struct fv_embedding_bag_grad_attrs {
  int64_t rows; /* of the table */
} fv_embedding_bag_grad_attrs;

/* Entry e of all bags, whether it counts: an id that is a row, a value that is not 0. */
static inline bool fv_bag_entry(const fv_tensor *ids, const fv_tensor *values, int64_t e, int64_t rows, int64_t *id,
                                double *value) {
  *id = (int64_t)fv_get(ids, e);
  *value = fv_get(values, e);
  return *id >= 0 && *id < rows && *value != 0;
}
/* ids i32 [...,K] and values [...,K]: *bags is the shape before K. */
fv_status fv_bag_infer(const fv_infer *c, int ids, int values, fv_shape *bags);
/* A product for each entry and number of a row, also of the table's gradient. */
fv_cost fv_bag_cost(const fv_node *n);

#endif
