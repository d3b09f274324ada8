/* SPDX-License-Identifier: Apache-2.0 */
/* pad: a border of one value around a tensor. */
#include "ops/pad.h"
#include "ops/slice.h"

static const fv_option attrs[] = {
    {.name = "before", .type = FV_OPT_INTS, .offset = offsetof(fv_pad_attrs, before), .min = 0, .max = 0x1p52,
     .doc = "elements added before each dimension; empty: none"},
    {.name = "after", .type = FV_OPT_INTS, .offset = offsetof(fv_pad_attrs, after), .min = 0, .max = 0x1p52,
     .doc = "elements added after each dimension; empty: none"},
    {.name = "value", .type = FV_OPT_REAL, .offset = offsetof(fv_pad_attrs, value), .def = "0", .doc = "of the border"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_pad_attrs *a = c->attrs;
  const fv_shape x = c->in[0]->shape;
  const fv_int_list *const lists[] = {&a->before, &a->after};
  c->shape[0] = x;
  for (int s = 0; s < 2; s++) {
    FV_INFER_REQUIRE(c, lists[s]->n == 0 || lists[s]->n == x.ndim, "%s: expected %d numbers for %s, got %lld",
                     s ? "after" : "before", x.ndim, fv_shape_text(x), (long long)lists[s]->n);
    for (int i = 0; i < lists[s]->n; i++)
      FV_INFER_REQUIRE(c, !__builtin_add_overflow(c->shape[0].dim[i], lists[s]->v[i], &c->shape[0].dim[i]),
                       "%s: expected a border that fits in memory, got %lld", s ? "after" : "before",
                       (long long)lists[s]->v[i]);
  }
  return FV_OK;
}

/* The border is cut off again. A dimension of which nothing was input has no gradient. */
static fv_status grad(fv_grad *c) {
  const fv_pad_attrs *a = c->node->attrs;
  const fv_shape x = c->node->in[0]->shape;
  fv_value *v = c->dout[0];
  for (int i = 0; i < x.ndim; i++) {
    if (x.dim[i] == 0) return FV_OK;
    if (fv_dim(v, i) != x.dim[i]) v = fv_slice_of(c->g, v, i, a->before.n ? a->before.v[i] : 0, x.dim[i]);
  }
  c->din[0] = v;
  return FV_OK;
}

static void ref(const fv_call *c) {
  const fv_pad_attrs *a = c->attrs;
  const fv_shape x = c->in[0].shape, y = c->out[0].shape;
  const int64_t n = fv_shape_count(y);
  for (int64_t i = 0; i < n; i++) {
    int64_t rest = i, from = 0, stride = 1;
    bool inside = true;
    for (int d = y.ndim - 1; d >= 0; d--) {
      const int64_t at = rest % y.dim[d] - (a->before.n ? a->before.v[d] : 0);
      inside = inside && at >= 0 && at < x.dim[d];
      from += at * stride;
      stride *= x.dim[d];
      rest /= y.dim[d];
    }
    fv_set(&c->out[0], i, inside ? fv_get(&c->in[0], from) : a->value);
  }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 0); }

static const fv_case cases[] = {
    {.in = "5", .attrs = "before=2 after=3 value=-1.5"},
    {.in = "5", .attrs = ""},
    {.in = "3,17", .attrs = "before=1,0"},
    {.in = "3,17", .attrs = "after=0,4"},
    {.in = "2,5,7,3", .attrs = "before=0,1,1,0 after=0,1,1,0"},
    {.in = "2,3,16", .attrs = "before=1,0,16 after=0,0,15 value=0.25"},
    {.in = "2,3,4,5", .attrs = "before=0,0,2,1 after=1,0,0,1"},
    {.in = "0,3", .attrs = "before=1,1 after=1,0 value=2"},
    {.in = "3,1", .attrs = "before=0,0 after=0,6"},
    {.in = "()", .attrs = ""},
    {.in = "3,4:i32@-9..9", .attrs = "before=1,1 after=2,0 value=7"},
    {.in = "3,4:u8@0..255", .attrs = "before=1,1 value=7"},
    {0}};

const fv_op_def fv_op_pad = {
    .name = "pad",
    .doc = "y = x inside a border of one value",
    .n_in = 1,
    .attrs_size = sizeof(fv_pad_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
