/* SPDX-License-Identifier: Apache-2.0 */
/* cross_entropy.h: attributes of cross_entropy and cross_entropy_grad. */
#ifndef FV_OPS_CROSS_ENTROPY_H
#define FV_OPS_CROSS_ENTROPY_H

#include "ir/ir.h"

/* ignore_index is negative, because a field left out of an initialiser is zero and must not mean "ignore class 0";
 * ignore_zero says that. */
typedef struct fv_cross_entropy_attrs {
  double label_smoothing;
  int64_t ignore_index;
  bool ignore_zero;
  int64_t reduction;
} fv_cross_entropy_attrs;

typedef struct fv_cross_entropy_grad_attrs {
  fv_cross_entropy_attrs loss;
  bool dweight;
} fv_cross_entropy_grad_attrs;

#define FV_CROSS_ENTROPY_OPTIONS(struct_, at)                                                                         \
  {"label_smoothing", FV_OPT_REAL, offsetof(struct_, at label_smoothing), "0", 0, 1, NULL,                            \
   "share of the target spread evenly over the classes"},                                                             \
      {"ignore_index", FV_OPT_INT, offsetof(struct_, at ignore_index), "-100", -2147483648.0, -1, NULL,               \
       "rows with this label count nothing"},                                                                         \
      {"ignore_zero", FV_OPT_BOOL, offsetof(struct_, at ignore_zero), "false", 0, 0, NULL,                            \
       "rows with label 0 (padding) count nothing either"},                                                           \
      {"reduction", FV_OPT_ENUM, offsetof(struct_, at reduction), "mean", 0, 0, fv_reduction_names,                   \
       "mean (weighted), sum, or each row's loss"}

/* What a label says of its row. */
typedef enum fv_label { FV_LABEL_CLASS, FV_LABEL_IGNORED, FV_LABEL_WRONG } fv_label;
static inline fv_label fv_label_of(const fv_cross_entropy_attrs *a, int64_t label, int64_t classes) {
  if (label == a->ignore_index || (a->ignore_zero && label == 0)) return FV_LABEL_IGNORED;
  return label >= 0 && label < classes ? FV_LABEL_CLASS : FV_LABEL_WRONG;
}

#endif
