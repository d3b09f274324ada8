/* SPDX-License-Identifier: Apache-2.0 */
/* matmul: products of matrices over broadcast batch dimensions, as torch.matmul of two tensors with at least two
 * dimensions each; either operand may be stored transposed. */
#include "ops/matmul.h"

static const fv_option attrs[] = {
    {"ta", FV_OPT_BOOL, offsetof(fv_matmul_attrs, ta), "false", 0, 0, NULL, "a is stored as [...,K,M]"},
    {"tb", FV_OPT_BOOL, offsetof(fv_matmul_attrs, tb), "false", 0, 0, NULL, "b is stored as [...,N,K]"},
    {0}};

static fv_shape batch_of(fv_shape s) {
  s.ndim -= 2;
  return s;
}

static int64_t rows(fv_shape s, bool t) { return s.dim[s.ndim - (t ? 1 : 2)]; }
static int64_t cols(fv_shape s, bool t) { return s.dim[s.ndim - (t ? 2 : 1)]; }

fv_matmul_size fv_matmul_size_of(const fv_node *n) {
  const fv_matmul_attrs *a = n->attrs;
  fv_shape x = n->in[0]->shape, y = n->in[1]->shape;
  return (fv_matmul_size){rows(x, a->ta), cols(y, a->tb), cols(x, a->ta), batch_of(n->out[0]->shape)};
}

static fv_status infer(fv_infer *c) {
  const fv_matmul_attrs *a = c->attrs;
  fv_shape x = c->in[0]->shape, y = c->in[1]->shape, out;
  FV_INFER_REQUIRE(c, x.ndim >= 2 && y.ndim >= 2, "operands: expected at least 2 dimensions each, got %s and %s",
                   fv_shape_text(x), fv_shape_text(y));
  FV_INFER_REQUIRE(c, c->in[0]->dtype == c->in[1]->dtype && c->in[0]->dtype <= FV_F64,
                   "operands: expected real numbers of one type, got %s and %s", fv_dtype_name(c->in[0]->dtype),
                   fv_dtype_name(c->in[1]->dtype));
  FV_INFER_REQUIRE(c, cols(x, a->ta) == rows(y, a->tb), "operands: expected equal inner dimensions, got %s%s and %s%s",
                   fv_shape_text(x), a->ta ? " (transposed)" : "", fv_shape_text(y), a->tb ? " (transposed)" : "");
  FV_INFER_REQUIRE(c, fv_shape_broadcast(batch_of(x), batch_of(y), &out),
                   "operands: expected batch dimensions that broadcast, got %s and %s", fv_shape_text(x),
                   fv_shape_text(y));
  out.dim[out.ndim] = rows(x, a->ta);
  out.dim[out.ndim + 1] = cols(y, a->tb);
  out.ndim += 2;
  c->shape[0] = out;
  return FV_OK;
}

/* C = A B: dA = dC B', dB = A' dC, each stored the way its operand is. */
static fv_status grad(fv_grad *c) {
  const fv_matmul_attrs *t = c->node->attrs;
  fv_value *a = c->node->in[0], *b = c->node->in[1], *d = c->dout[0], *v;
  if (c->need[0]) {
    v = t->ta ? fv_op(c->g, "matmul", &((fv_matmul_attrs){t->tb, true}), b, d)
              : fv_op(c->g, "matmul", &((fv_matmul_attrs){false, !t->tb}), d, b);
    c->din[0] = fv_sum_to(c->g, v, a->shape);
  }
  if (c->need[1]) {
    v = t->tb ? fv_op(c->g, "matmul", &((fv_matmul_attrs){true, t->ta}), d, a)
              : fv_op(c->g, "matmul", &((fv_matmul_attrs){!t->ta, false}), a, d);
    c->din[1] = fv_sum_to(c->g, v, b->shape);
  }
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_matmul_attrs *t = c->attrs;
  fv_matmul_size q = fv_matmul_size_of(c->node);
  const fv_tensor *a = &c->in[0], *b = &c->in[1];
  int64_t a_row = t->ta ? 1 : q.k, a_col = t->ta ? q.m : 1, b_row = t->tb ? 1 : q.n, b_col = t->tb ? q.k : 1;
  for (int64_t i = 0, total = fv_shape_count(c->out[0].shape); i < total; i++) {
    int64_t col = i % q.n, row = i / q.n % q.m, batch = i / q.n / q.m;
    int64_t a0 = fv_broadcast_index(batch_of(a->shape), q.batch, batch) * q.m * q.k + row * a_row;
    int64_t b0 = fv_broadcast_index(batch_of(b->shape), q.batch, batch) * q.k * q.n + col * b_col;
    double sum = 0;
    for (int64_t k = 0; k < q.k; k++) sum += fv_get(a, a0 + k * a_col) * fv_get(b, b0 + k * b_row);
    fv_set(&c->out[0], i, sum);
  }
}

static fv_cost cost(const fv_node *n) {
  fv_matmul_size q = fv_matmul_size_of(n);
  return (fv_cost){2.0 * (double)fv_shape_count(n->out[0]->shape) * (double)q.k, fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "5,7; 7,3", .attrs = ""},
    {.in = "1,1; 1,1", .attrs = ""},
    {.in = "0,4; 4,3", .attrs = ""},
    {.in = "4,0; 0,3", .attrs = "", .note = "an empty sum is zero"},
    {.in = "16,16; 16,16", .attrs = ""},
    {.in = "17,31; 31,15", .attrs = "ta=false tb=false"},
    {.in = "31,17; 31,15", .attrs = "ta=true"},
    {.in = "17,31; 15,31", .attrs = "tb=true"},
    {.in = "31,17; 15,31", .attrs = "ta=true tb=true"},
    {.in = "64,33; 33,48", .attrs = ""},
    {.in = "96,600; 96,80", .attrs = "ta=true", .note = "large enough to be shared out"},
    {.in = "530,90; 97,90", .attrs = "tb=true", .note = "the like"},
    {.in = "300,130; 300,131", .attrs = "ta=true", .note = "more than a block of K"},
    {.in = "1029,261; 261,19", .note = "the like"},
    {.in = "1,37; 37,45", .attrs = "", .note = "one row"},
    {.in = "1,37; 45,37", .attrs = "tb=true"},
    {.in = "37,1; 37,45", .attrs = "ta=true"},
    {.in = "41,37; 37,1", .attrs = "", .note = "one column"},
    {.in = "37,41; 37,1", .attrs = "ta=true"},
    {.in = "41,37; 1,37", .attrs = "tb=true"},
    {.in = "19,1; 1,23", .attrs = "", .note = "outer product"},
    {.in = "19,2; 23,2", .attrs = "tb=true"},
    {.in = "3,4,5; 3,5,6", .attrs = ""},
    {.in = "2,3,4,5; 2,3,7,5", .attrs = "tb=true"},
    {.in = "2,3,5,4; 2,3,5,7", .attrs = "ta=true"},
    {.in = "2,1,4,5; 3,5,6", .attrs = "", .note = "broadcast both ways"},
    {.in = "3,4,5; 5,6", .attrs = ""},
    {.in = "3,5,4; 5,6", .attrs = "ta=true"},
    {.in = "4,5; 3,5,6", .attrs = ""},
    {.in = "3,1,9; 3,9,11", .attrs = "", .note = "one row, batched"},
    {0}};

const fv_op_def fv_op_matmul = {
    .name = "matmul",
    .doc = "c[...,m,n] = sum over k of a[...,m,k] b[...,k,n]; batch dimensions broadcast; ta, tb: stored transposed",
    .n_in = 2, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_matmul_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
