/* SPDX-License-Identifier: Apache-2.0 */
/* adamw_step.c: Adam with decoupled weight decay (Loshchilov & Hutter 2019), as in PyTorch's AdamW. */
#include "ops/optimizer.h"

#include <math.h>

static fv_status infer(fv_infer *c) { return fv_optimizer_infer(c, 2); }

static void ref(const fv_call *c) {
  double first = fv_hyper_get(c, FV_HYPER_FIRST), second = fv_hyper_get(c, FV_HYPER_SECOND);
  double keep = 1 - fv_hyper_get(c, FV_HYPER_RATE) * fv_hyper_get(c, FV_HYPER_DECAY);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++) {
    double g = fv_get(&c->in[1], i) * fv_hyper_get(c, FV_HYPER_SCALE), m = fv_get(&c->in[2], i);
    m += first * (g - m);
    double v = (1 - second) * fv_get(&c->in[3], i) + second * g * g;
    double root = sqrt(v) / fv_hyper_get(c, FV_HYPER_ROOT) + fv_hyper_get(c, FV_HYPER_EPS);
    fv_set(&c->out[0], i, fv_get(&c->in[0], i) * keep - fv_hyper_get(c, FV_HYPER_STEP) * m / root);
    fv_set(&c->out[1], i, m);
    fv_set(&c->out[2], i, v);
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 14); }

#define CASE(n) {.in = n "@2..4; " n "; " n "; " n "@0.01..1; 8@0.1..0.4"}
static const fv_case cases[] = {CASE("0"), CASE("1"), CASE("3"), CASE("4"), CASE("5"), CASE("7"), CASE("8"), CASE("9"),
                                CASE("15"), CASE("16"), CASE("17"), CASE("1031"), CASE("40009"), {0}};

const fv_op_def fv_op_adamw_step = {
    .name = "adamw_step",
    .doc = "m <- m + first (scale g - m); v <- (1 - second) v + second (scale g)^2; "
           "p <- (1 - rate decay) p - step m / (sqrt(v) / root + eps); operands p, g, m, v, hyper",
    .n_in = 5,
    .flags = FV_OP_INPLACE,
    .infer = infer,
    .no_grad_reason = "an optimiser's step is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
