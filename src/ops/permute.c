/* SPDX-License-Identifier: Apache-2.0 */
/* permute: exchanges dimensions, as PyTorch's. Output dimension i is input dimension perm[i]. */
#include "ops/permute.h"

static const fv_option attrs[] = {
    {.name = "perm", .type = FV_OPT_INTS, .offset = offsetof(fv_permute_attrs, perm), .min = -FV_MAX_DIMS,
     .max = FV_MAX_DIMS - 1, .doc = "which input dimension each output dimension is"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_permute_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape;
  FV_INFER_REQUIRE(c, a->perm.n == x.ndim, "perm: expected %d numbers for %s, got %lld", x.ndim, fv_shape_text(x),
                   (long long)a->perm.n);
  unsigned seen = 0;
  c->shape[0].ndim = x.ndim;
  for (int i = 0; i < x.ndim; i++) {
    const int p = fv_axis(a->perm.v[i], x.ndim);
    FV_INFER_REQUIRE(c, p >= 0 && p < x.ndim && !(seen >> p & 1), "perm: expected each of 0..%d once, got %lld at %d",
                     x.ndim - 1, (long long)a->perm.v[i], i);
    seen |= 1u << p;
    c->shape[0].dim[i] = x.dim[p];
  }
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_permute_attrs *a = c->node->attrs;
  const int n = c->node->in[0]->shape.ndim;
  fv_permute_attrs back = {.perm.n = n};
  for (int i = 0; i < n; i++) back.perm.v[fv_axis(a->perm.v[i], n)] = i;
  c->din[0] = fv_op(c->g, "permute", &back, c->dout[0]);
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_permute_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape, y = c->out[0].shape;
  const int64_t n = fv_shape_count(y);
  for (int64_t i = 0; i < n; i++) {
    int64_t rest = i, from = 0;
    for (int d = y.ndim - 1; d >= 0; d--) {
      from += rest % y.dim[d] * fv_shape_after(x, fv_axis(a->perm.v[d], x.ndim));
      rest /= y.dim[d];
    }
    fv_set(&c->out[0], i, fv_get(&c->in[0], from));
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
    {.in = "3,4", .attrs = "perm=1,0"},
    {.in = "17,31", .attrs = "perm=1,0"},
    {.in = "16,16", .attrs = "perm=1,0"},
    {.in = "33,8", .attrs = "perm=-1,0"},
    {.in = "1,37", .attrs = "perm=1,0"},
    {.in = "5,7,3", .attrs = "perm=0,1,2"},
    {.in = "5,7,19", .attrs = "perm=0,2,1"},
    {.in = "5,7,19", .attrs = "perm=1,0,2"},
    {.in = "5,7,19", .attrs = "perm=2,0,1"},
    {.in = "2,3,5,9", .attrs = "perm=0,2,1,3"},
    {.in = "2,5,3,17", .attrs = "perm=0,2,3,1"},
    {.in = "2,3,2,5,4,2", .attrs = "perm=3,0,5,4,1,2"},
    {.in = "2,1,2,1,2,3,2,1", .attrs = "perm=7,6,5,4,3,2,1,0"},
    {.in = "0,5", .attrs = "perm=1,0"},
    {.in = "()", .attrs = ""},
    {.in = "19,18:i32@-9..9", .attrs = "perm=1,0"},
    {.in = "7,19,5:u8@0..255", .attrs = "perm=2,1,0"},
    {0}};

const fv_op_def fv_op_permute = {
    .name = "permute",
    .doc = "y[i_0, i_1, ...] = x with dimension perm[k] running as i_k",
    .n_in = 1,
    .attrs_size = sizeof(fv_permute_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
