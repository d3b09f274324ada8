/* SPDX-License-Identifier: Apache-2.0 */
/* huber_loss: half the squared difference up to delta, a line of slope delta beyond (Huber 1964), reduced. */
#include "ops/loss.h"

#include <math.h>

static const fv_option attrs[] = {{"delta", FV_OPT_REAL, offsetof(fv_huber_loss_attrs, delta), "1", 1e-30, 1e30, NULL,
                                   "where the square ends and the line begins"},
                                  FV_REDUCTION_OPTION(fv_huber_loss_attrs),
                                  {0}};

static int64_t reduction(const void *a) { return ((const fv_huber_loss_attrs *)a)->reduction; }
static fv_status infer(fv_infer *c) { return fv_loss_infer(c, reduction(c->attrs)); }

/* The slope is the difference, clipped. */
static fv_status grad(fv_grad *c) {
  fv_graph *g = c->g;
  const fv_huber_loss_attrs *a = c->node->attrs;
  fv_value *diff = fv_op(g, "sub", NULL, c->node->in[0], c->node->in[1]);
  fv_value *low = fv_op(g, "maximum", NULL, diff, fv_const(g, -a->delta));
  fv_value *slope = fv_op(g, "minimum", NULL, low, fv_const(g, a->delta));
  fv_value *d = fv_op(g, "mul", NULL, slope, fv_loss_dout(c, a->reduction));
  if (c->need[0]) c->din[0] = d;
  if (c->need[1]) c->din[1] = fv_op(g, "neg", NULL, d);
  return FV_OK;
}

static double item(const void *attrs_, const double *v) {
  const fv_huber_loss_attrs *a = attrs_;
  double d = fabs(v[0] - v[1]);
  return d <= a->delta ? 0.5 * d * d : a->delta * (d - 0.5 * a->delta);
}
static void ref(const fv_call *c) { fv_loss_ref(c, reduction(c->attrs), item); }
static fv_cost cost(const fv_node *n) { return fv_cost_input(n, 0, 5); }

static const fv_case cases[] = {
    {.in = "1; 1"}, {.in = "3@-3..3; 3"}, {.in = "4@-3..3; 4"}, {.in = "7@-3..3; 7"}, {.in = "8@-3..3; 8"},
    {.in = "9@-3..3; 9"}, {.in = "15@-3..3; 15"}, {.in = "16@-3..3; 16"}, {.in = "17@-3..3; 17"},
    {.in = "13,331@-3..3; 13,331", .attrs = "delta=0.5"}, {.in = "3,37@-3..3; 3,37", .attrs = "delta=2 reduction=sum"},
    {.in = "3,37@-3..3; 3,37", .attrs = "delta=0.25 reduction=none"}, {.in = "0,3; 0,3", .attrs = "reduction=sum"},
    {.in = "0,3; 0,3", .attrs = "reduction=none"},
    {.in = "0; 0", .no_grad_check = true, .note = "the mean of nothing is NaN, as in PyTorch"},
    {0}};

const fv_op_def fv_op_huber_loss = {
    .name = "huber_loss",
    .doc = "d^2 / 2 where d = |x - target| <= delta, else delta (d - delta / 2); reduced",
    .n_in = 2,
    .attrs_size = sizeof(fv_huber_loss_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
