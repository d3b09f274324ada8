/* SPDX-License-Identifier: Apache-2.0 */
/* sgd_step.c: stochastic gradient descent with momentum as in PyTorch's SGD (Sutskever et al. 2013): the momentum is a
 * sum of gradients, the learning rate stands outside of it. */
#include "ops/optimizer.h"

static const fv_option attrs[] = {{.name = "nesterov", .type = FV_OPT_BOOL, .offset = offsetof(fv_sgd_step_attrs, nesterov),
                                   .def = "false", .doc = "Nesterov's momentum: look one step ahead"},
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

static const fv_case cases[] = {
    {.in = "0; 0; 0; 8"}, {.in = "1; 1; 1; 8"}, {.in = "3; 3; 3; 8"}, {.in = "4; 4; 4; 8"}, {.in = "5; 5; 5; 8"},
    {.in = "7; 7; 7; 8"}, {.in = "8; 8; 8; 8"}, {.in = "9; 9; 9; 8"}, {.in = "15; 15; 15; 8"}, {.in = "16; 16; 16; 8"},
    {.in = "17; 17; 17; 8"}, {.in = "40009; 40009; 40009; 8"}, {.in = "37; 37; 37; 8", .attrs = "nesterov=true"},
    {.in = "16411; 16411; 16411; 8", .attrs = "nesterov=true"}, {0}};

const fv_op_def fv_op_sgd_step = {
    .name = "sgd_step",
    .doc = "g <- scale g + decay p; m <- momentum m + first g; p <- p - rate m (nesterov: rate (g + momentum m)); operands "
           "p, g, m, hyper",
    .n_in = 4,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_sgd_step_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "an optimiser's step is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
