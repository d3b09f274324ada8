/* SPDX-License-Identifier: Apache-2.0 */
/* sgd_step.c: stochastic gradient descent with momentum as in PyTorch's SGD (Sutskever et al. 2013): the momentum is a
 * sum of gradients, the learning rate stands outside of it. */
#include "ops/optimizer.h"

static const fv_option attrs[] = {
    {.name = "nesterov", .type = FV_OPT_BOOL, .offset = offsetof(fv_sgd_step_attrs, nesterov), .def = "false",
     .doc = "Nesterov's momentum: look one step ahead"},
    {0}};

static fv_status infer(fv_infer *c) { return fv_optimizer_infer(c, 1); }

static void ref(const fv_call *c) {
  const fv_sgd_step_attrs *a = c->attrs;
  double momentum = fv_hyper_get(c, FV_HYPER_MOMENTUM);
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++) {
    double p = fv_get(&c->in[0], i), g = fv_get(&c->in[1], i) * fv_hyper_get(c, FV_HYPER_SCALE);
    g += fv_hyper_get(c, FV_HYPER_DECAY) * p;
    double m = momentum * fv_get(&c->in[2], i) + fv_hyper_get(c, FV_HYPER_FIRST) * g;
    fv_set(&c->out[0], i, p - fv_hyper_get(c, FV_HYPER_RATE) * (a->nesterov ? g + momentum * m : m));
    fv_set(&c->out[1], i, m);
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 8); }

#define CASE(n, ...) {.in = n "@2..4; " n "; " n "; 8@0.1..0.5", __VA_ARGS__}
static const fv_case cases[] = {
    CASE("0"), CASE("1"), CASE("3"), CASE("4"), CASE("5"), CASE("7"), CASE("8"), CASE("9"), CASE("15"), CASE("16"),
    CASE("17"), CASE("40009"), CASE("37", .attrs = "nesterov=true"), CASE("16411", .attrs = "nesterov=true"), {0}};

const fv_op_def fv_op_sgd_step = {
    .name = "sgd_step",
    .doc = "g <- scale g + decay p; m <- momentum m + first g; p <- p - rate m (nesterov: rate (g + momentum m)); "
           "operands p, g, m, hyper",
    .n_in = 4,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_sgd_step_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "an optimiser's step is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
