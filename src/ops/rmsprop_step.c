/* SPDX-License-Identifier: Apache-2.0 */
/* rmsprop_step.c: gradients divided by a running root of their squares (Tieleman & Hinton 2012), with momentum, as in
 * PyTorch's RMSprop: eps stands outside the root. */
#include "ops/optimizer.h"

#include <math.h>

static fv_status infer(fv_infer *c) { return fv_optimizer_infer(c, 2); }

static void ref(const fv_call *c) {
  double second = fv_hyper_get(c, FV_HYPER_SECOND);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++) {
    double p = fv_get(&c->in[0], i), g = fv_get(&c->in[1], i) * fv_hyper_get(c, FV_HYPER_SCALE);
    g += fv_hyper_get(c, FV_HYPER_DECAY) * p;
    double v = (1 - second) * fv_get(&c->in[2], i) + second * g * g;
    double root = sqrt(v) + fv_hyper_get(c, FV_HYPER_EPS);
    double m = fv_hyper_get(c, FV_HYPER_MOMENTUM) * fv_get(&c->in[3], i) + g / root;
    fv_set(&c->out[0], i, p - fv_hyper_get(c, FV_HYPER_RATE) * m);
    fv_set(&c->out[1], i, v);
    fv_set(&c->out[2], i, m);
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 13); }

#define CASE(n) {.in = n "@2..4; " n "; " n "@0.01..1; " n "; 8@0.1..0.4"}
static const fv_case cases[] = {CASE("0"), CASE("1"), CASE("3"), CASE("4"), CASE("5"), CASE("7"), CASE("8"), CASE("9"),
                                CASE("15"), CASE("16"), CASE("17"), CASE("1031"), CASE("40009"), {0}};

const fv_op_def fv_op_rmsprop_step = {
    .name = "rmsprop_step",
    .doc = "g <- scale g + decay p; v <- (1 - second) v + second g^2; m <- momentum m + g / (sqrt(v) + eps); "
           "p <- p - rate m; operands p, g, v, m, hyper",
    .n_in = 5,
    .flags = FV_OP_INPLACE,
    .infer = infer,
    .no_grad_reason = "an optimiser's step is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
