/* SPDX-License-Identifier: Apache-2.0 */
/* mse_loss: the squared difference of input and target, reduced. */
#include "ops/loss.h"

static const fv_option attrs[] = {FV_REDUCTION_OPTION(fv_mse_loss_attrs), {0}};

static int64_t reduction(const void *a) { return ((const fv_mse_loss_attrs *)a)->reduction; }
static fv_status infer(fv_infer *c) { return fv_loss_infer(c, reduction(c->attrs)); }

static fv_status grad(fv_grad *c) {
  fv_graph *g = c->g;
  fv_value *const *in = c->node->in;
  fv_value *k = fv_op(g, "mul", NULL, fv_loss_dout(c, reduction(c->node->attrs)), fv_const(g, 2));
  fv_value *d = fv_op(g, "mul", NULL, fv_op(g, "sub", NULL, in[0], in[1]), k);
  if (c->need[0]) c->din[0] = d;
  if (c->need[1]) c->din[1] = fv_op(g, "neg", NULL, d);
  return FV_OK;
}

static double item(const void *a, const double *v) {
  (void)a;
  return (v[0] - v[1]) * (v[0] - v[1]);
}
static void ref(const fv_call *c) { fv_loss_ref(c, reduction(c->attrs), item); }
static fv_cost cost(const fv_node *n) { return fv_cost_input(n, 0, 3); }

static const fv_case cases[] = {
    {.in = "(); ()"}, {.in = "1; 1"}, {.in = "3; 3"}, {.in = "4; 4"}, {.in = "5; 5"}, {.in = "7; 7"}, {.in = "8; 8"},
    {.in = "9; 9"}, {.in = "15; 15"}, {.in = "16; 16"}, {.in = "17; 17"}, {.in = "13,331; 13,331"},
    {.in = "3,37; 3,37", .attrs = "reduction=sum"}, {.in = "3,37; 3,37", .attrs = "reduction=none"},
    {.in = "0,3; 0,3", .attrs = "reduction=sum"}, {.in = "0,3; 0,3", .attrs = "reduction=none"},
    {.in = "0; 0", .no_grad_check = true, .note = "the mean of nothing is NaN, as in PyTorch"},
    {0}};

const fv_op_def fv_op_mse_loss = {
    .name = "mse_loss",
    .doc = "(x - target)^2, reduced",
    .n_in = 2,
    .attrs_size = sizeof(fv_mse_loss_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
