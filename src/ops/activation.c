/* SPDX-License-Identifier: Apache-2.0 */
/* activation.c: the activations that products may apply to what they store. */
#include "ops/activation.h"

#include <math.h>

const char *const fv_activation_names[] = {"none", "relu", "sigmoid", "tanh", "gelu", "silu", NULL};

double fv_activate(int64_t act, double x) {
  switch (act) {
    case FV_ACT_RELU: return x < 0 ? 0 : x;
    case FV_ACT_SIGMOID: return 1 / (1 + exp(-x));
    case FV_ACT_TANH: return tanh(x);
    case FV_ACT_GELU: return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
    case FV_ACT_SILU: return x / (1 + exp(-x));
    default: return x;
  }
}

fv_status fv_refuse_act(const fv_grad *c, int64_t act) {
  FV_REQUIRE(act == FV_ACT_NONE, FV_ERR_REQUEST,
             "%s (%s): act: expected none in a graph to be differentiated (write the activation as a node; it is fused "
             "later), got %s", c->node->op->name, c->node->name, fv_activation_names[act]);
  return FV_OK;
}
