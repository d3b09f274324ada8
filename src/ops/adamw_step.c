/* SPDX-License-Identifier: Apache-2.0 */
/* adamw_step.c: Adam with decoupled weight decay (Loshchilov & Hutter 2019), as in PyTorch's AdamW; `coupled`: with
 * decay as part of the gradient, that of a penalty on the squares (Kingma & Ba 2015), as in PyTorch's Adam. */
#include "ops/optimizer.h"

#include <math.h>

static const fv_option attrs[] = {{.name = "coupled", .type = FV_OPT_BOOL,
                                   .offset = offsetof(fv_adamw_step_attrs, coupled), .def = "false",
                                   .doc = "decay is part of the gradient"},
                                  {0}};

static fv_status infer(fv_infer *c) { return fv_optimizer_infer(c, 2); }

static void ref(const fv_call *c) {
  double first = fv_hyper_get(c, FV_HYPER_FIRST), second = fv_hyper_get(c, FV_HYPER_SECOND);
  const bool coupled = ((const fv_adamw_step_attrs *)c->attrs)->coupled;
  double decay = fv_hyper_get(c, FV_HYPER_DECAY), keep = coupled ? 1 : 1 - fv_hyper_get(c, FV_HYPER_RATE) * decay;
  for (int64_t i = 0, n = fv_shape_count(c->out[0].shape); i < n; i++) {
    double g = fv_get(&c->in[1], i) * fv_hyper_get(c, FV_HYPER_SCALE), m = fv_get(&c->in[2], i);
    if (coupled) g += decay * fv_get(&c->in[0], i);
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
                                CASE("15"), CASE("16"), CASE("17"), CASE("1031"), CASE("40009"),
                                {.in = "17@2..4; 17; 17; 17@0.01..1; 8@0.1..0.4", .attrs = "coupled=true"},
                                {.in = "40009@2..4; 40009; 40009; 40009@0.01..1; 8@0.1..0.4", .attrs = "coupled=true"},
                                {0}};

const fv_op_def fv_op_adamw_step = {
    .name = "adamw_step",
    .doc =
        "m <- m + first (scale g - m); v <- (1 - second) v + second (scale g)^2; "
        "p <- (1 - rate decay) p - step m / (sqrt(v) / root + eps); coupled: scale g + decay p in place of scale g,\n"
        "and no decay besides; operands p, g, m, v, hyper",
    .n_in = 5,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_adamw_step_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "an optimiser's step is not differentiated",
    .ref = ref,
    .cost = cost,
    .cases = cases};
