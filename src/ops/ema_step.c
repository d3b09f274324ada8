/* SPDX-License-Identifier: Apache-2.0 */
/* ema_step.c: an exponential mean follows its source: of weights (Polyak & Juditsky 1992), of running statistics. */
#include "ops/optimizer.h"

static fv_status infer(fv_infer *c) { return fv_optimizer_infer(c, 0); }

static void ref(const fv_call *c) {
  double rate = fv_hyper_get(c, FV_HYPER_RATE);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++) {
    double a = fv_get(&c->in[0], i);
    fv_set(&c->out[0], i, a + rate * (fv_get(&c->in[1], i) - a));
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 3); }

#define CASE(n) {.in = n "@2..4; " n "@1..2; 8@0..1"}
static const fv_case cases[] = {CASE("0"), CASE("1"), CASE("3"), CASE("4"), CASE("5"), CASE("7"), CASE("8"), CASE("9"),
                                CASE("15"), CASE("16"), CASE("17"), CASE("1031"), CASE("40009"), {0}};

const fv_op_def fv_op_ema_step = {
    .name = "ema_step",
    .doc = "a <- a + rate (p - a); operands a, p, hyper",
    .n_in = 3,
    .flags = FV_OP_INPLACE,
    .infer = infer,
    .no_grad_reason = "an optimiser's step is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
