/* SPDX-License-Identifier: Apache-2.0 */
/* cross_entropy_grad: with q = softmax(x) = exp(x - l), W = sum_c w[c], g = dloss (/ sum of the rows' weights for
 * mean):
 *   dx[c] = g ((1 - p) w[t] (q[c] - [c = t]) + p / C (W q[c] - w[c])), zero for ignored rows.
 * Optionally the class weights' gradient, as second output. */
#include "ops/cross_entropy.h"
#include "ops/lines.h"

#include <math.h>

static const fv_option attrs[] = {
    FV_CROSS_ENTROPY_OPTIONS(fv_cross_entropy_grad_attrs, loss.),
    {"dweight", FV_OPT_BOOL, offsetof(fv_cross_entropy_grad_attrs, dweight), "false", 0, 0, NULL,
     "also the gradient of the class weights"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_cross_entropy_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "logits"));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "logits: expected [..., classes], got %s", fv_shape_text(s));
  fv_shape rows = fv_shape_drop(s, s.ndim - 1);
  FV_INFER_REQUIRE(c, c->in[1]->dtype == FV_I32 && fv_shape_equal(c->in[1]->shape, rows),
                   "labels: expected i32 %s, got %s %s", fv_shape_text(rows), fv_dtype_name(c->in[1]->dtype),
                   fv_shape_text(c->in[1]->shape));
  FV_TRY(fv_infer_shape(c, 2, "log sum exp", rows));
  FV_TRY(fv_infer_shape(c, 3, "dloss", a->loss.reduction == FV_REDUCE_NONE ? rows : FV_SCALAR));
  FV_TRY(fv_infer_channels(c, 4, "class weights"));
  FV_INFER_REQUIRE(c, !a->dweight || fv_has_in(c, 4), "dweight: expected class weights, got none");
  c->shape[0] = s;
  if (a->dweight) {
    c->n_out = 2;
    c->dtype[1] = c->dtype[0];
    c->shape[1] = c->in[4]->shape;
  }
  return FV_OK;
}

static const fv_tensor *weights_of(const fv_call *c) { return c->n_in > 4 && c->in[4].data ? &c->in[4] : NULL; }

/* The sum of the weights of the rows that count. */
static double row_weights(const fv_call *c, const fv_cross_entropy_attrs *a, fv_lines l) {
  const fv_tensor *w = weights_of(c);
  double sum = 0;
  for (int64_t i = 0; i < l.outer; i++) {
    int64_t t = (int64_t)fv_get(&c->in[1], i);
    if (fv_label_of(a, t, l.n) == FV_LABEL_CLASS) sum += w ? fv_get(w, t) : 1;
  }
  return sum;
}

static void row(const fv_call *c, const fv_cross_entropy_attrs *a, int64_t i, int64_t n, double g) {
  const fv_tensor *w = weights_of(c);
  int64_t t = (int64_t)fv_get(&c->in[1], i);
  fv_label kind = fv_label_of(a, t, n);
  double p = a->label_smoothing, wt = kind != FV_LABEL_CLASS ? 0 : w ? fv_get(w, t) : 1, sum = 0;
  for (int64_t k = 0; k < n; k++) sum += w ? fv_get(w, k) : 1;
  for (int64_t k = 0; k < n; k++) {
    double q = exp(fv_get(&c->in[0], i * n + k) - fv_get(&c->in[2], i));
    double d = (1 - p) * wt * (q - (k == t)) + p / (double)n * (sum * q - (w ? fv_get(w, k) : 1));
    fv_set(&c->out[0], i * n + k, kind == FV_LABEL_WRONG ? NAN : kind == FV_LABEL_IGNORED ? 0 : g * d);
  }
}

/* d loss / d w[k] before the division by the rows' weights: the share of row i; its part of the loss goes to *loss. */
static double weight_term(const fv_call *c, const fv_cross_entropy_attrs *a, int64_t i, int64_t k, int64_t n) {
  int64_t t = (int64_t)fv_get(&c->in[1], i);
  fv_label kind = fv_label_of(a, t, n);
  double nll = fv_get(&c->in[2], i) - fv_get(&c->in[0], i * n + k);
  if (kind != FV_LABEL_CLASS) return kind == FV_LABEL_IGNORED ? 0 : NAN;
  return nll * ((t == k ? 1 - a->label_smoothing : 0) + a->label_smoothing / (double)n);
}

/* For mean, loss = A / S with S the sum of the rows' weights: d loss / d w[k] = (dA / dw[k] - loss rows of k) / S, and
 * A = sum_k w[k] dA / dw[k], since A is linear in the weights. Also right in place: it runs before dx is written. */
static void weight_grad(const fv_call *c, const fv_cross_entropy_attrs *a, fv_lines l) {
  bool mean = a->reduction == FV_REDUCE_MEAN;
  double total = 0, s = mean ? row_weights(c, a, l) : 1;
  for (int pass = mean ? 0 : 1; pass < 2; pass++)
    for (int64_t k = 0; k < l.n; k++) {
      double sum = 0;
      for (int64_t i = 0; i < l.outer; i++) {
        double g = fv_get(&c->in[3], a->reduction == FV_REDUCE_NONE ? i : 0) / s;
        sum += g * weight_term(c, a, i, k, l.n);
        if (mean && pass == 1 && (int64_t)fv_get(&c->in[1], i) == k && fv_label_of(a, k, l.n) == FV_LABEL_CLASS)
          sum -= total / s;
      }
      if (pass == 0) total += fv_get(&c->in[4], k) * sum;
      if (pass == 1) fv_set(&c->out[1], k, sum);
    }
}

static void ref(const fv_call *c) {
  const fv_cross_entropy_grad_attrs *ga = c->attrs;
  const fv_cross_entropy_attrs *a = &ga->loss;
  fv_lines l = fv_lines_last(c->in[0].shape);
  if (ga->dweight) weight_grad(c, a, l);
  double s = a->reduction == FV_REDUCE_MEAN ? row_weights(c, a, l) : 1;
  for (int64_t i = 0; i < l.outer; i++)
    row(c, a, i, l.n, fv_get(&c->in[3], a->reduction == FV_REDUCE_NONE ? i : 0) / s);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 4); }

static const fv_case cases[] = {
    {.in = "4,1; 4:i32@0..0; 4@1..2; ()"}, {.in = "5,3; 5:i32@0..2; 5@1..2; ()"},
    {.in = "5,4; 5:i32@0..3; 5@1..2; ()"}, {.in = "16,10@-4..4; 16:i32@0..9; 16@4..5; ()"},
    {.in = "7,15@-4..4; 7:i32@0..14; 7@4..5; ()"}, {.in = "5,16@-4..4; 5:i32@0..15; 5@4..5; ()"},
    {.in = "5,17@-4..4; 5:i32@0..16; 5@4..5; ()"}, {.in = "3,1031@-8..8; 3:i32@0..1030; 3@8..9; ()"},
    {.in = "2,3,11; 2,3:i32@0..10; 2,3@1..2; ()", .attrs = "reduction=sum"},
    {.in = "13,10; 13:i32@0..9; 13@1..2; 13", .attrs = "reduction=none"},
    {.in = "13,10; 13:i32@0..9; 13@1..2; (); 10@0.5..2", .attrs = "label_smoothing=0.1"},
    {.in = "13,10; 13:i32@0..9; 13@1..2; 13; 10@0.5..2", .attrs = "label_smoothing=0.1 reduction=none"},
    {.in = "31,3; 31:i32@-1..2; 31@1..2; ()", .attrs = "ignore_index=-1 label_smoothing=0.1"},
    {.in = "31,5; 31:i32@0..4; 31@1..2; (); 5@0.5..2", .attrs = "ignore_zero=true"},
    {.in = "13,10; 13:i32@0..9; 13@1..2; (); 10@0.5..2", .attrs = "label_smoothing=0.1 dweight=true"},
    {.in = "13,10; 13:i32@0..9; 13@1..2; 13; 10@0.5..2", .attrs = "reduction=none dweight=true"},
    {.in = "0,5; 0:i32; 0; ()"}, {.in = "0,5; 0:i32; 0; 0", .attrs = "reduction=none"},
    {.in = "5,3; 5:i32@3..3; 5; ()", .note = "a label out of range gives NaN"},
    {0}};

const fv_op_def fv_op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .doc = "gradient of cross_entropy; inputs logits, labels, log sum exp, dloss, optional class weights",
    .n_in = 4,
    .n_in_max = 5,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_cross_entropy_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
