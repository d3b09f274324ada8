/* SPDX-License-Identifier: Apache-2.0 */
/* norm.h: attributes of the normalisations and their gradients. */
#ifndef FV_OPS_NORM_H
#define FV_OPS_NORM_H

#include "ir/ir.h"

enum { FV_BATCH_NORM_NONE, FV_BATCH_NORM_RELU };
typedef struct fv_batch_norm_attrs {
  double eps;
  int64_t act;
} fv_batch_norm_attrs;
typedef struct fv_batch_norm_grad_attrs {
  double eps;
  int64_t act;
  bool dz;
} fv_batch_norm_grad_attrs;
typedef struct fv_layer_norm_attrs {
  double eps;
} fv_layer_norm_attrs;
typedef struct fv_layer_norm_grad_attrs {
  double eps;
  bool affine;
} fv_layer_norm_grad_attrs;
typedef struct fv_rms_norm_attrs {
  double eps;
} fv_rms_norm_attrs;
typedef struct fv_rms_norm_grad_attrs {
  double eps;
  bool affine;
} fv_rms_norm_grad_attrs;
typedef struct fv_group_norm_attrs {
  double eps;
  int64_t groups;
} fv_group_norm_attrs;
typedef struct fv_group_norm_grad_attrs {
  double eps;
  int64_t groups;
  bool affine;
} fv_group_norm_grad_attrs;

#define FV_EPS_OPTION(struct_, def_) \
  {"eps", FV_OPT_REAL, offsetof(struct_, eps), def_, 1e-30, 1, NULL, "added to the variance, against division by zero"}
#define FV_AFFINE_OPTION(struct_)                                              \
  {"affine", FV_OPT_BOOL, offsetof(struct_, affine), "false", 0, 0, NULL, \
   "also the gradients of weight and bias"}

#endif
