/* SPDX-License-Identifier: Apache-2.0 */
/* cross_entropy: softmax and negative log-likelihood in one, PyTorch's definition. With p = label_smoothing, class
 * weights w, C classes and l = log sum exp(x), row i with label t has the loss
 *   (1 - p) w[t] (l - x[t]) + p / C sum_c w[c] (l - x[c]);
 * `mean` divides the sum by sum w[t] over the rows that count. l is the second output, 0 of rows that do not count:
 * with it the gradient is one pass. */
#include "ops/cross_entropy.h"

#include "ops/lines.h"

#include <math.h>

static const fv_option attrs[] = {FV_CROSS_ENTROPY_OPTIONS(fv_cross_entropy_attrs, ), {0}};

static fv_status infer(fv_infer *c) {
  const fv_cross_entropy_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "logits"));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "logits: expected [..., classes], got %s", fv_shape_text(s));
  FV_INFER_REQUIRE(c, s.dim[s.ndim - 1] > 0, "logits: expected at least one class, got %s", fv_shape_text(s));
  fv_shape rows = fv_shape_drop(s, s.ndim - 1);
  FV_INFER_REQUIRE(c, c->in[1]->dtype == FV_I32, "labels: expected i32, got %s", fv_dtype_name(c->in[1]->dtype));
  FV_INFER_REQUIRE(c, fv_shape_equal(c->in[1]->shape, rows), "labels: expected %s, got %s", fv_shape_text(rows),
                   fv_shape_text(c->in[1]->shape));
  FV_TRY(fv_infer_channels(c, 2, "class weights"));
  c->n_out = 2;
  c->dtype[1] = c->dtype[0];
  c->shape[0] = a->reduction == FV_REDUCE_NONE ? rows : FV_SCALAR;
  c->shape[1] = rows;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_node *n = c->node;
  bool weighted = fv_node_has_in(n, 2), dweight = weighted && c->need[2];
  fv_cross_entropy_grad_attrs ga = {.loss = *(const fv_cross_entropy_attrs *)n->attrs, .dweight = dweight};
  fv_value *in[] = {n->in[0], n->in[1], n->out[1], c->dout[0], weighted ? n->in[2] : fv_absent(c->g)};
  fv_value *out[2] = {NULL, NULL};
  fv_op_n(c->g, "cross_entropy_grad", &ga, 5, in, dweight ? 2 : 1, out);
  if (c->need[0]) c->din[0] = out[0];
  if (dweight) c->din[2] = out[1];
  return FV_OK;
}

static double row_lse(const fv_tensor *x, int64_t at, int64_t n) {
  double max = -INFINITY, sum = 0;
  for (int64_t k = 0; k < n; k++) max = fmax(max, fv_get(x, at + k));
  double shift = isfinite(max) ? max : 0;
  for (int64_t k = 0; k < n; k++) sum += exp(fv_get(x, at + k) - shift);
  return shift + log(sum);
}

static void ref(const fv_call *c) {
  const fv_cross_entropy_attrs *a = c->attrs;
  const fv_tensor *x = &c->in[0], *labels = &c->in[1], *w = c->n_in > 2 && c->in[2].data ? &c->in[2] : NULL;
  fv_lines l = fv_lines_last(x->shape);
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < l.outer; i++) {
    double lse = 0, loss = 0, smooth = 0;
    int64_t t = (int64_t)fv_get(labels, i);
    fv_label kind = fv_label_of(a, t, l.n);
    if (kind == FV_LABEL_CLASS) {
      lse = row_lse(x, i * l.n, l.n);
      double wt = w ? fv_get(w, t) : 1;
      if (a->label_smoothing > 0)
        for (int64_t k = 0; k < l.n; k++) smooth += (w ? fv_get(w, k) : 1) * (lse - fv_get(x, i * l.n + k));
      loss = (1 - a->label_smoothing) * wt * (lse - fv_get(x, i * l.n + t)) + a->label_smoothing / (double)l.n * smooth;
      weights += wt;
    }
    if (kind == FV_LABEL_WRONG) loss = NAN;
    fv_set(&c->out[1], i, lse);
    sum += loss;
    if (a->reduction == FV_REDUCE_NONE) fv_set(&c->out[0], i, loss);
  }
  if (a->reduction == FV_REDUCE_MEAN) sum /= weights;
  if (a->reduction != FV_REDUCE_NONE) fv_set(&c->out[0], 0, sum);
}

static fv_cost cost(const fv_node *n) { return fv_cost_input(n, 0, 4); }

#define NAN_LOSS .no_grad_check = true
static const fv_case cases[] = {
    {.in = "1,1; 1:i32@0..0"}, {.in = "4,3; 4:i32@0..2"}, {.in = "5,4; 5:i32@0..3"}, {.in = "5,7@-4..4; 5:i32@0..6"},
    {.in = "5,8@-4..4; 5:i32@0..7"}, {.in = "7,9@-4..4; 7:i32@0..8"}, {.in = "16,10@-4..4; 16:i32@0..9"},
    {.in = "17,15@-4..4; 17:i32@0..14"}, {.in = "5,16@-4..4; 5:i32@0..15"}, {.in = "5,17@-4..4; 5:i32@0..16"},
    {.in = "3,1031@-8..8; 3:i32@0..1030"}, {.in = "19@-4..4; ():i32@0..18"},
    {.in = "2,3,11@-4..4; 2,3:i32@0..10", .attrs = "reduction=sum"},
    {.in = "13,10@-4..4; 13:i32@0..9", .attrs = "reduction=none"},
    {.in = "13,10@-4..4; 13:i32@0..9", .attrs = "label_smoothing=0.1"},
    {.in = "13,10@-4..4; 13:i32@0..9; 10@0.5..2", .attrs = "label_smoothing=0.2"},
    {.in = "13,10@-4..4; 13:i32@0..9; 10@0.5..2"},
    {.in = "13,10@-4..4; 13:i32@0..9; 10@0.5..2", .attrs = "label_smoothing=0.1 reduction=sum"},
    {.in = "13,10@-4..4; 13:i32@0..9; 10@0.5..2", .attrs = "label_smoothing=0.1 reduction=none"},
    {.in = "31,3@-4..4; 31:i32@-1..2", .attrs = "ignore_index=-1"},
    {.in = "31,3@-4..4; 31:i32@-1..2; 3@0.5..2", .attrs = "ignore_index=-1 label_smoothing=0.1"},
    {.in = "31,3@-4..4; 31:i32@0..2", .attrs = "ignore_zero=true reduction=none"},
    {.in = "31,5@-4..4; 31:i32@0..4", .attrs = "ignore_zero=true label_smoothing=0.3"},
    {.in = "0,5; 0:i32", .attrs = "reduction=sum"}, {.in = "0,5; 0:i32", .attrs = "reduction=none"},
    {.in = "0,5; 0:i32", NAN_LOSS, .note = "the mean of no rows is NaN, as in PyTorch"},
    {.in = "3,5; 3:i32@-1..-1", .attrs = "ignore_index=-1", NAN_LOSS,
     .note = "the mean of no rows is NaN, as in PyTorch"},
    {.in = "5,3; 5:i32@3..3", .attrs = "reduction=none", NAN_LOSS, .note = "a label out of range gives NaN"},
    {0}};

const fv_op_def fv_op_cross_entropy = {
    .name = "cross_entropy",
    .doc =
        "loss of softmax(logits [..., C]) against labels i32 [...], optional class weights [C]; second output, for the "
        "gradient: log sum exp of each row that counts. A label out of range gives NaN",
    .n_in = 2,
    .n_in_max = 3,
    .n_saved = 1,
    .attrs_size = sizeof(fv_cross_entropy_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
