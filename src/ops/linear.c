/* SPDX-License-Identifier: Apache-2.0 */
/* linear: a fully connected layer, as torch.nn.functional.linear, with what the fusion pass may add to it. */
#include "ops/linear.h"

#include "ops/conv.h"
#include "ops/matmul.h"
#include "ops/reshape.h"

static const fv_option attrs[] = {FV_ACT_OPTION(fv_linear_attrs), {0}};

static fv_status infer(fv_infer *c) {
  fv_shape x = c->in[0]->shape, w = c->in[1]->shape;
  FV_INFER_REQUIRE(c, w.ndim == 2, "weight: expected [O,I], got %s", fv_shape_text(w));
  FV_INFER_REQUIRE(c, x.ndim >= 1 && x.dim[x.ndim - 1] == w.dim[1], "input: expected [...,%lld], got %s",
                   (long long)w.dim[1], fv_shape_text(x));
  FV_INFER_REQUIRE(c, c->in[1]->dtype == c->in[0]->dtype && c->in[0]->dtype <= FV_F64,
                   "weight: expected real numbers of the input's type %s, got %s", fv_dtype_name(c->in[0]->dtype),
                   fv_dtype_name(c->in[1]->dtype));
  c->shape[0] = x;
  c->shape[0].dim[x.ndim - 1] = w.dim[0];
  return fv_layer_check_extras(c, w.dim[0]);
}

/* One matrix of all rows: the rows' sum is then a single product. */
static fv_value *as_rows(fv_graph *g, fv_value *v) {
  int last = v->shape.ndim - 1;
  return last == 1 ? v : fv_reshape_to(g, v, FV_SHAPE(fv_shape_before(v->shape, last), v->shape.dim[last]));
}

static fv_status grad(fv_grad *c) {
  const fv_linear_attrs *a = c->node->attrs;
  fv_value *x = c->node->in[0], *w = c->node->in[1], *dy = c->dout[0];
  FV_TRY(fv_refuse_act(c, a->act));
  if (c->need[0]) c->din[0] = fv_reshape_to(c->g, fv_op(c->g, "matmul", NULL, as_rows(c->g, dy), w), x->shape);
  if (c->need[1])
    c->din[1] = fv_op(c->g, "matmul", &(fv_matmul_attrs){.ta = true}, as_rows(c->g, dy), as_rows(c->g, x));
  if (c->node->n_in > 2 && c->need[2]) c->din[2] = fv_sum_to(c->g, dy, c->node->in[2]->shape);
  if (c->node->n_in > 3 && c->need[3]) c->din[3] = dy;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_linear_attrs *a = c->attrs;
  int64_t n_out = c->in[1].shape.dim[0], n_in = c->in[1].shape.dim[1];
  for (int64_t i = 0, total = fv_shape_count(c->out[0].shape); i < total; i++) {
    int64_t o = i % n_out, row = i / n_out;
    double sum = 0;
    for (int64_t k = 0; k < n_in; k++) sum += fv_get(&c->in[0], row * n_in + k) * fv_get(&c->in[1], o * n_in + k);
    fv_set(&c->out[0], i, fv_layer_finish(c, a->act, sum, o, i));
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){2.0 * (double)fv_shape_count(n->out[0]->shape) * (double)n->in[1]->shape.dim[1], fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "5,7; 3,7; 3", .attrs = ""},
    {.in = "1,1; 1,1", .attrs = ""},
    {.in = "0,7; 3,7; 3", .attrs = ""},
    {.in = "4,0; 3,0; 3", .attrs = "", .note = "the bias alone"},
    {.in = "16,16; 16,16; 16", .attrs = ""},
    {.in = "17,31; 15,31; 15", .attrs = ""},
    {.in = "33,65; 47,65", .attrs = ""},
    {.in = "7; 5,7; 5", .attrs = "", .note = "a vector"},
    {.in = "2,3,19; 23,19; 23", .attrs = ""},
    {.in = "1,130; 67,130; 67", .attrs = "", .note = "one row"},
    {.in = "3,64; 10,64; 10", .attrs = ""},
    {.in = "37,20; 1,20; 1", .attrs = "", .note = "one output"},
    {.in = "6,8; 9,8; 9; 6,9", .attrs = "", .note = "with residual"},
    {.in = "6,8; 9,8; -; 6,9", .attrs = "act=relu", .no_grad_check = true, .note = "fused"},
    {.in = "6,8; 16,8; 16; 6,16", .attrs = "act=tanh", .no_grad_check = true, .note = "fused"},
    {.in = "6,8; 16,8; 16", .attrs = "act=relu", .no_grad_check = true, .note = "fused"},
    {.in = "6,8; 16,8; 16", .attrs = "act=sigmoid", .no_grad_check = true, .note = "fused"},
    {.in = "6,8; 16,8; 16", .attrs = "act=gelu", .no_grad_check = true, .note = "fused"},
    {.in = "1,33; 17,33; 17", .attrs = "act=gelu", .no_grad_check = true, .note = "fused"},
    {.in = "1,33; 17,33; 17; 1,17", .attrs = "act=silu", .no_grad_check = true, .note = "fused"},
    {0}};

const fv_op_def fv_op_linear = {
    .name = "linear",
    .doc = "y[...,o] = act(sum over i of x[...,i] w[o,i] + bias[o] + residual[...,o]); inputs x, w [O,I], bias [O]?, "
           "residual?",
    .n_in = 2, .n_in_max = 4, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_linear_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
