/* SPDX-License-Identifier: Apache-2.0 */
/* additive_score_grad: from the scores' gradient to those of tokens, weight, v and query (the bias's is the sum of the
 * queries'). With h = tanh(u), du = de v (1 - h^2): dx = du W, dW = du' x, dq_b = sum_t du, dv = sum de h. The hidden
 * layer is computed again unless it is given. */
#include "ops/additive_score.h"

#include "ops/lines.h"

static const fv_option attrs[] = {
    {"dx", FV_OPT_BOOL, offsetof(fv_additive_score_grad_attrs, dx), "true", 0, 0, NULL, "the tokens' is wanted"},
    {"dw", FV_OPT_BOOL, offsetof(fv_additive_score_grad_attrs, dw), "true", 0, 0, NULL, "the weight's is wanted"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_additive_score_grad_attrs *a = c->attrs;
  FV_TRY(fv_additive_check(c, FV_ADDITIVE_GRAD_WEIGHT));
  fv_shape x = c->in[0]->shape, v = c->in[1]->shape;
  FV_TRY(fv_infer_shape(c, FV_ADDITIVE_GRAD_DE, "de", FV_SHAPE(x.dim[0], x.dim[1])));
  FV_TRY(fv_infer_shape(c, FV_ADDITIVE_GRAD_HIDDEN, "hidden", FV_SHAPE(x.dim[0], x.dim[1], v.dim[0])));
  c->n_out = FV_ADDITIVE_GRADS;
  for (int i = 1; i < c->n_out; i++) c->dtype[i] = c->dtype[0];
  c->shape[FV_ADDITIVE_DX] = a->dx ? x : FV_SHAPE(0);
  c->shape[FV_ADDITIVE_DV] = v;
  bool dw = a->dw && fv_has_in(c, FV_ADDITIVE_GRAD_WEIGHT);
  c->shape[FV_ADDITIVE_DW] = dw ? FV_SHAPE(v.dim[0], x.dim[2]) : FV_SHAPE(0);
  c->shape[FV_ADDITIVE_DQ] = FV_SHAPE(x.dim[0], v.dim[0]);
  return FV_OK;
}

static void clear(const fv_tensor *t) {
  for (int64_t i = 0, n = fv_shape_count(t->shape); i < n; i++) fv_set(t, i, 0);
}
static void add(const fv_tensor *t, int64_t i, double v) { fv_set(t, i, fv_get(t, i) + v); }

/* What unit k of token `row` sends on. */
static void send(const fv_call *c, const fv_additive_size *s, int64_t row, int64_t k, double du) {
  const fv_additive_score_grad_attrs *a = c->attrs;
  add(&c->out[FV_ADDITIVE_DQ], row / s->t * s->a + k, du);
  if (s->weight < 0 && a->dx) add(&c->out[FV_ADDITIVE_DX], row * s->a + k, du);
  for (int64_t i = 0; s->weight > 0 && i < s->e; i++) {
    if (a->dx) add(&c->out[FV_ADDITIVE_DX], row * s->e + i, du * fv_get(&c->in[s->weight], k * s->e + i));
    if (a->dw) add(&c->out[FV_ADDITIVE_DW], k * s->e + i, du * fv_get(&c->in[0], row * s->e + i));
  }
}

static void ref(const fv_call *c) {
  fv_additive_size s = fv_additive_size_of(c->node);
  for (int i = 0; i < c->n_out; i++) clear(&c->out[i]);
  for (int64_t row = 0; row < s.b * s.t; row++)
    for (int64_t k = 0; k < s.a; k++) {
      double h = s.hidden > 0 ? fv_get(&c->in[s.hidden], row * s.a + k) : fv_additive_hidden(c, &s, row, k);
      double de = fv_get(&c->in[FV_ADDITIVE_GRAD_DE], row);
      add(&c->out[FV_ADDITIVE_DV], k, de * h);
      send(c, &s, row, k, de * fv_get(&c->in[1], k) * (1 - h * h));
    }
}

static fv_cost cost(const fv_node *n) {
  const fv_additive_score_grad_attrs *a = n->attrs;
  fv_additive_size s = fv_additive_size_of(n);
  int products = s.weight > 0 ? a->dx + a->dw + (s.hidden < 0) : 0;
  double units = (double)(s.b * s.t) * (double)s.a;
  return (fv_cost){units * (8 + 2 * (double)s.e * products), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,3,5; 4; 2,3; 4,5; 4"},
    {.in = "1,1,1; 1; 1,1; 1,1"},
    {.in = "2,0,3; 4; 2,0; 4,3; 4"},
    {.in = "0,2,3; 4; 0,2; 4,3"},
    {.in = "2,3,0; 4; 2,3; 4,0; 4; 2,4"},
    {.in = "2,3,4; 0; 2,3; 0,4"},
    {.in = "3,7,16; 16; 3,7; 16,16; 16; 3,16"},
    {.in = "2,9,17; 15; 2,9; 15,17; -; 2,15", .attrs = "dx=false"},
    {.in = "5,13,31; 33; 5,13; 33,31; 33; 5,33", .attrs = "dw=false"},
    {.in = "5,13,31; 33; 5,13; 33,31; 33; 5,33; 5,13,33", .note = "hidden layer given"},
    {.in = "3,141,19; 67; 3,141; 67,19; 67", .note = "several tiles"},
    {.in = "1,397,8; 31; 1,397; 31,8; 31; 1,31; 1,397,31", .note = "several tiles"},
    {.in = "130,3,7; 32; 130,3; 32,7; 32; 130,32", .note = "a tile holds many items"},
    {.in = "2,5,17; 17; 2,5; -; 17; 2,17", .note = "projected before"},
    {.in = "3,67,33; 33; 3,67; -; -; 3,33; 3,67,33", .note = "projected before"},
    {.in = "2,3,4; 4; 2,3", .attrs = "dx=false"},
    {0}};

const fv_op_def fv_op_additive_score_grad = {
    .name = "additive_score_grad",
    .doc = "gradients of additive_score: dx, dv, dw and dquery [B,A] (its sum over B is the bias's); inputs x, v, de, "
           "w?, bias?, query?, hidden [B,T,A]?",
    .n_in = 3, .n_in_max = FV_ADDITIVE_GRAD_INPUTS, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_additive_score_grad_attrs), .attrs = attrs,
    .infer = infer, .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref, .cost = cost, .cases = cases};
