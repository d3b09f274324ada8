/* SPDX-License-Identifier: Apache-2.0 */
/* binary_cross_entropy_with_logits: -w (p t log s(x) + (1 - t) log (1 - s(x))), s the sigmoid, w a weight of each item
 * and p the weight of positives; written with softplus, so that no logarithm of a rounded sigmoid is taken. */
#include "ops/loss.h"

#include <math.h>

static const fv_option attrs[] = {FV_REDUCTION_OPTION(fv_bce_attrs), {0}};

static int64_t reduction(const void *a) { return ((const fv_bce_attrs *)a)->reduction; }
static fv_status infer(fv_infer *c) { return fv_loss_infer(c, reduction(c->attrs)); }

static fv_value *mul(fv_graph *g, fv_value *a, fv_value *b) { return fv_op(g, "mul", NULL, a, b); }
static fv_value *sub(fv_graph *g, fv_value *a, fv_value *b) { return fv_op(g, "sub", NULL, a, b); }

/* log (1 + exp(-x)) = max(-x, 0) + log1p(exp(-|x|)) */
static fv_value *softplus_neg(fv_graph *g, fv_value *x) {
  fv_value *small = fv_op(g, "log1p", NULL, fv_op(g, "exp", NULL, fv_op(g, "neg", NULL, fv_op(g, "abs", NULL, x))));
  return fv_op(g, "add", NULL, fv_op(g, "maximum", NULL, fv_op(g, "neg", NULL, x), fv_const(g, 0)), small);
}

/* Of the item's loss (1 - t) x + (1 + (p - 1) t) softplus(-x), times the weight: with respect to x and t. */
static fv_value *grad_x(fv_graph *g, fv_value *x, fv_value *t, fv_value *p) {
  if (!p) return sub(g, fv_op(g, "sigmoid", NULL, x), t);
  fv_value *one = fv_const(g, 1);
  fv_value *l = fv_op(g, "add", NULL, one, mul(g, sub(g, p, one), t));
  return sub(g, sub(g, one, t), mul(g, l, fv_op(g, "sigmoid", NULL, fv_op(g, "neg", NULL, x))));
}
static fv_value *grad_t(fv_graph *g, fv_value *x, fv_value *p) {
  if (!p) return fv_op(g, "neg", NULL, x);
  return sub(g, mul(g, sub(g, p, fv_const(g, 1)), softplus_neg(g, x)), x);
}

static fv_status grad(fv_grad *c) {
  fv_graph *g = c->g;
  const fv_node *n = c->node;
  fv_value *x = n->in[0], *t = n->in[1];
  fv_value *w = fv_node_has_in(n, 2) ? n->in[2] : NULL, *p = fv_node_has_in(n, 3) ? n->in[3] : NULL;
  fv_value *d = fv_loss_dout(c, reduction(n->attrs)), *dw = w ? mul(g, d, w) : d;
  if (c->need[0]) c->din[0] = mul(g, grad_x(g, x, t, p), dw);
  if (c->need[1]) c->din[1] = mul(g, grad_t(g, x, p), dw);
  if (w && c->need[2]) {
    fv_bce_attrs each = {.reduction = FV_REDUCE_NONE};
    fv_value *l = fv_op(g, n->op->name, &each, x, t, fv_absent(g), p ? p : fv_absent(g));
    c->din[2] = fv_sum_to(g, mul(g, l, d), w->shape);
  }
  if (p && c->need[3]) c->din[3] = fv_sum_to(g, mul(g, mul(g, t, softplus_neg(g, x)), dw), p->shape);
  return FV_OK;
}

static double item(const void *a, const double *v) {
  (void)a;
  double x = v[0], t = v[1], softplus = fmax(-x, 0) + log1p(exp(-fabs(x)));
  return v[2] * ((1 - t) * x + (1 + (v[3] - 1) * t) * softplus);
}
static void ref(const fv_call *c) { fv_loss_ref(c, reduction(c->attrs), item); }
static fv_cost cost(const fv_node *n) { return fv_cost_input(n, 0, 9); }

static const fv_case cases[] = {
    {.in = "1@-4..4; 1@0..1"},
    {.in = "3@-4..4; 3@0..1"},
    {.in = "4@-4..4; 4@0..1"},
    {.in = "7@-4..4; 7@0..1"},
    {.in = "8@-4..4; 8@0..1"},
    {.in = "9@-4..4; 9@0..1"},
    {.in = "15@-4..4; 15@0..1"},
    {.in = "16@-4..4; 16@0..1"},
    {.in = "17@-40..40; 17@0..1"},
    {.in = "13,331@-4..4; 13,331@0..1"},
    {.in = "3,37@-4..4; 3,37@0..1", .attrs = "reduction=sum"},
    {.in = "3,37@-4..4; 3,37@0..1", .attrs = "reduction=none"},
    {.in = "3,37@-4..4; 3,37@0..1; 3,1@0..2"},
    {.in = "3,37@-4..4; 3,37@0..1; -; 37@0.5..3"},
    {.in = "3,37@-4..4; 3,37@0..1; 3,37@0..2; 37@0.5..3", .attrs = "reduction=sum"},
    {.in = "3,37@-4..4; 3,37@0..1; 37@0..2; ()@0.5..3", .attrs = "reduction=none"},
    {.in = "0,3; 0,3@0..1", .attrs = "reduction=sum"},
    {.in = "0; 0@0..1", .no_grad_check = true, .note = "the mean of nothing is NaN, as in PyTorch"},
    {0}};

const fv_op_def fv_op_binary_cross_entropy_with_logits = {
    .name = "binary_cross_entropy_with_logits",
    .doc = "w ((1 - t) x + (1 + (p - 1) t) log(1 + exp(-x))), reduced; inputs x, targets t, optional weights w, "
           "optional weights of positives p",
    .n_in = 2,
    .n_in_max = 4,
    .attrs_size = sizeof(fv_bce_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
