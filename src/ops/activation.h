/* SPDX-License-Identifier: Apache-2.0 */
/* activation.h: the functions a product may apply to its result before it is stored. The fusion pass sets them, after
 * differentiation; as nodes of their own they are the operations of the same names. */
#ifndef FV_OPS_ACTIVATION_H
#define FV_OPS_ACTIVATION_H

#include "ir/ir.h"

typedef enum fv_activation {
  FV_ACT_NONE,
  FV_ACT_RELU,
  FV_ACT_SIGMOID,
  FV_ACT_TANH,
  FV_ACT_GELU, /* exact: x/2 (1 + erf(x / sqrt 2)) */
  FV_ACT_SILU  /* x sigmoid(x) */
} fv_activation;
extern const char *const fv_activation_names[]; /* NULL-terminated */
double fv_activate(int64_t act, double x);

#define FV_ACT_OPTION(type) \
  {"act", FV_OPT_ENUM, offsetof(type, act), "none", 0, 0, fv_activation_names, "applied after bias and residual"}
/* A node with a fused activation has no gradient: fusion comes after differentiation. */
fv_status fv_refuse_act(const fv_grad *c, int64_t act);

#endif
