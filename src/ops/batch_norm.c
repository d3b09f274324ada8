/* SPDX-License-Identifier: Apache-2.0 */
/* batch_norm (Ioffe & Szegedy 2015), while training: each channel by its own mean and variance over all rows of [...,
 * C]; then the residual of a block and relu, since what follows the normalisation in a residual net would otherwise
 * pass over memory again. With running statistics a normalisation is linear, and the graph folds it away. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const char *const acts[] = {"none", "relu", NULL};
static const fv_option attrs[] = {
    FV_EPS_OPTION(fv_batch_norm_attrs, "1e-05"),
    {"act", FV_OPT_ENUM, offsetof(fv_batch_norm_attrs, act), "none", 0, 0, acts, "what follows, after the residual"},
    {0}};

static fv_status infer(fv_infer *c) {
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, s.ndim >= 1, "input: expected [..., C], got %s", fv_shape_text(s));
  FV_INFER_REQUIRE(c, fv_shape_before(s, s.ndim - 1) > 0, "input: expected at least one row, got %s", fv_shape_text(s));
  FV_TRY(fv_infer_channels(c, 1, "gamma"));
  FV_TRY(fv_infer_channels(c, 2, "beta"));
  FV_TRY(fv_infer_shape(c, 3, "residual", s));
  c->n_out = 3;
  c->shape[0] = s;
  for (int i = 1; i < 3; i++) {
    c->dtype[i] = c->dtype[0];
    c->shape[i] = FV_SHAPE(s.dim[s.ndim - 1]);
  }
  return FV_OK;
}

/* The gradient through the statistics as outputs: d mean / M + 2 (x - mean) / M d var. */
static fv_value *grad_of_statistics(fv_grad *c, fv_value *dx) {
  fv_graph *g = c->g;
  const fv_node *n = c->node;
  fv_value *x = n->in[0];
  double rows = (double)fv_shape_before(x->shape, x->shape.ndim - 1);
  if (c->dout[1]) {
    fv_value *d = fv_op(g, "mul", NULL, c->dout[1], fv_const(g, 1 / rows));
    dx = dx ? fv_op(g, "add", NULL, dx, d) : fv_spread(g, d, x->shape);
  }
  if (c->dout[2]) {
    fv_value *k = fv_op(g, "mul", NULL, c->dout[2], fv_const(g, 2 / rows));
    fv_value *d = fv_op(g, "mul", NULL, fv_op(g, "sub", NULL, x, n->out[1]), k);
    dx = dx ? fv_op(g, "add", NULL, dx, d) : d;
  }
  return dx;
}

static fv_status grad(fv_grad *c) {
  const fv_node *n = c->node;
  const fv_batch_norm_attrs *a = n->attrs;
  bool relu = a->act == FV_BATCH_NORM_RELU, residual = fv_node_has_in(n, 3) && c->need[3];
  fv_value *d[4] = {NULL};
  if (c->dout[0]) {
    fv_batch_norm_grad_attrs ga = {.eps = a->eps, .act = a->act, .dz = residual && relu};
    fv_value *in[] = {n->in[0], c->dout[0], n->out[1], n->out[2], n->in[1], relu ? n->out[0] : fv_absent(c->g)};
    fv_op_n(c->g, "batch_norm_grad", &ga, 6, in, ga.dz ? 4 : 3, d);
    if (residual) c->din[3] = relu ? d[3] : c->dout[0];
  }
  if (c->need[0]) c->din[0] = grad_of_statistics(c, d[0]);
  if (c->need[1]) c->din[1] = d[1];
  if (c->need[2]) c->din[2] = d[2];
  return FV_OK;
}

static void channel(const fv_call *c, int64_t k, fv_lines l) {
  const fv_batch_norm_attrs *a = c->attrs;
  const fv_tensor *x = &c->in[0], *residual = c->n_in > 3 && c->in[3].data ? &c->in[3] : NULL;
  double mean = 0, var = 0;
  for (int64_t r = 0; r < l.outer; r++) mean += fv_get(x, r * l.n + k);
  mean /= (double)l.outer;
  for (int64_t r = 0; r < l.outer; r++) var += pow(fv_get(x, r * l.n + k) - mean, 2);
  var /= (double)l.outer;
  double scale = fv_get(&c->in[1], k) / sqrt(var + a->eps), shift = fv_get(&c->in[2], k);
  for (int64_t r = 0; r < l.outer; r++) {
    int64_t i = r * l.n + k;
    double y = (fv_get(x, i) - mean) * scale + shift + (residual ? fv_get(residual, i) : 0);
    fv_set(&c->out[0], i, a->act == FV_BATCH_NORM_RELU && y < 0 ? 0 : y);
  }
  fv_set(&c->out[1], k, mean);
  fv_set(&c->out[2], k, var);
}

static void ref(const fv_call *c) {
  fv_lines l = fv_lines_last(c->in[0].shape);
  for (int64_t k = 0; k < l.n; k++) channel(c, k, l);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 7); }

static const fv_case cases[] = {
    {.in = "1,1; 1; 1"}, {.in = "2,1; 1; 1"}, {.in = "5,3; 3; 3"}, {.in = "17,4; 4; 4"}, {.in = "7,5; 5; 5"},
    {.in = "31,7; 7; 7"}, {.in = "33,8; 8; 8"}, {.in = "5,9; 9; 9"}, {.in = "129,15; 15; 15"}, {.in = "67,16; 16; 16"},
    {.in = "3,5,7,17; 17; 17"}, {.in = "2,5,5,32; 32; 32"}, {.in = "2,31,31; 31; 31"}, {.in = "41,33; 33; 33"},
    {.in = "2,3,3,63; 63; 63"}, {.in = "9,64; 64; 64"}, {.in = "11,65; 65; 65"}, {.in = "13,131; 131; 131"},
    {.in = "3,517; 517; 517"}, {.in = "1009,1@0..1; 1; 1"}, {.in = "517,32; 32; 32"},
    {.in = "0; 0; 0", .attrs = "eps=0.1", .no_grad_check = true, .note = "no channels at all"},
    {.in = "37,24@5..7; 24; 24", .attrs = "eps=0.001"}, {.in = "7; 7; 7", .attrs = "eps=0.5"},
    {.in = "2,5,5,32; 32; 32", .attrs = "act=relu"}, {.in = "33,19; 19; 19", .attrs = "act=relu"},
    {.in = "2,5,5,32; 32; 32; 2,5,5,32"}, {.in = "2,5,5,32; 32; 32; 2,5,5,32", .attrs = "act=relu"},
    {.in = "29,3; 3; 3; 29,3", .attrs = "act=relu"}, {.in = "70,67; 67; 67; 70,67", .attrs = "act=relu"},
    {.in = "300,40@100..101; 40; 40", .tolerance = 2e-5, .note = "mean / deviation = 350: x is known to 2^-17 only"},
    {0}};

const fv_op_def fv_op_batch_norm = {
    .name = "batch_norm",
    .doc = "act(gamma (x - mean) / sqrt(var + eps) + beta [+ residual]) of x [..., C] by the statistics of the batch; "
           "inputs x, gamma, beta, optional residual; further outputs mean and (biased) var (Ioffe & Szegedy 2015)",
    .n_in = 3,
    .n_in_max = 4,
    .attrs_size = sizeof(fv_batch_norm_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
