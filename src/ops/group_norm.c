/* SPDX-License-Identifier: Apache-2.0 */
/* group_norm (Wu & He 2018): each sample of [N, ..., C], each group of C / groups neighbouring channels by the mean and
 * (biased) variance over the group's channels and all places. groups = C is instance normalisation. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const fv_option attrs[] = {
    FV_EPS_OPTION(fv_group_norm_attrs, "1e-05"),
    {"groups", FV_OPT_INT, offsetof(fv_group_norm_attrs, groups), "1", 1, 1e9, NULL, "how many; divides the channels"},
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_group_norm_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "input"));
  FV_INFER_REQUIRE(c, s.ndim >= 2, "input: expected [N, ..., C], got %s", fv_shape_text(s));
  FV_INFER_REQUIRE(c, s.dim[s.ndim - 1] % a->groups == 0, "groups: expected a divisor of %lld channels, got %lld",
                   (long long)s.dim[s.ndim - 1], (long long)a->groups);
  FV_TRY(fv_infer_channels(c, 1, "weight"));
  FV_TRY(fv_infer_channels(c, 2, "bias"));
  c->shape[0] = s;
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  const fv_node *n = c->node;
  const fv_group_norm_attrs *a = n->attrs;
  bool dweight = fv_node_has_in(n, 1) && c->need[1], dbias = fv_node_has_in(n, 2) && c->need[2];
  fv_group_norm_grad_attrs ga = {.eps = a->eps, .groups = a->groups, .affine = dweight || dbias};
  fv_value *in[] = {c->dout[0], n->in[0], fv_node_has_in(n, 1) ? n->in[1] : fv_absent(c->g)}, *d[3] = {NULL};
  fv_op_n(c->g, "group_norm_grad", &ga, 3, in, ga.affine ? 3 : 1, d);
  if (c->need[0]) c->din[0] = d[0];
  if (dweight) c->din[1] = d[1];
  if (dbias) c->din[2] = d[2];
  return FV_OK;
}

/* One group of one sample: `places` rows of `width` channels, `c_all` apart. */
static void group(const fv_call *c, int64_t at, int64_t places, int64_t c_all, int64_t first, int64_t width) {
  const fv_tensor *x = &c->in[0], *w = c->n_in > 1 && c->in[1].data ? &c->in[1] : NULL;
  const fv_tensor *b = c->n_in > 2 && c->in[2].data ? &c->in[2] : NULL;
  double mean = 0, var = 0, len = (double)(places * width), rstd = 0;
  for (int pass = 0; pass < 3; pass++) {
    for (int64_t i = 0; i < places * width; i++) {
      int64_t k = first + i % width, j = at + i / width * c_all + k;
      if (pass == 0) mean += fv_get(x, j) / len;
      if (pass == 1) var += pow(fv_get(x, j) - mean, 2) / len;
      if (pass == 2)
        fv_set(&c->out[0], j, (fv_get(x, j) - mean) * rstd * (w ? fv_get(w, k) : 1) + (b ? fv_get(b, k) : 0));
    }
    if (pass == 1) rstd = 1 / sqrt(var + ((const fv_group_norm_attrs *)c->attrs)->eps);
  }
}

static void ref(const fv_call *c) {
  const fv_group_norm_attrs *a = c->attrs;
  fv_lines samples = fv_lines_of(c->in[0].shape, 0), rows = fv_lines_last(c->in[0].shape);
  if (fv_shape_count(c->in[0].shape) == 0) return;
  int64_t width = rows.n / a->groups;
  for (int64_t i = 0; i < samples.n; i++)
    for (int64_t j = 0; j < a->groups; j++)
      group(c, i * samples.inner, samples.inner / rows.n, rows.n, j * width, width);
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 8); }

static const fv_case cases[] = {
    {.in = "0,4,6", .attrs = "groups=2"}, {.in = "2,0,6; 6; 6", .attrs = "groups=2"}, {.in = "2,3,0"},
    {.in = "2,1,1", .attrs = "eps=0.5"}, {.in = "3,6; 6; 6", .attrs = "groups=2"},
    {.in = "2,5,3; 3; 3", .attrs = "groups=3"},
    {.in = "2,5,4; 4; 4", .attrs = "groups=2"}, {.in = "2,7,8; 8", .attrs = "groups=4"},
    {.in = "2,7,9; -; 9", .attrs = "groups=3"},
    {.in = "2,17,15; 15; 15", .attrs = "groups=5"}, {.in = "2,3,3,16; 16; 16", .attrs = "groups=4"},
    {.in = "1,5,5,17; 17; 17"}, {.in = "2,5,7,32; 32; 32", .attrs = "groups=8"},
    {.in = "2,11,33; 33; 33", .attrs = "groups=11"},
    {.in = "2,19,33; 33; 33", .attrs = "groups=33"}, {.in = "1,3,3,134; 134; 134", .attrs = "groups=2 eps=0.1"},
    {.in = "2,300,32; 32; 32", .attrs = "groups=4"},
    {0}};

const fv_op_def fv_op_group_norm = {
    .name = "group_norm",
    .doc = "(x - mean) / sqrt(var + eps) * weight + bias, by sample and group of channels of x [N, ..., C]; inputs x, "
           "optional weight and bias (Wu & He 2018)",
    .n_in = 1,
    .n_in_max = 3,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_group_norm_attrs),
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .ref = ref,
    .cost = cost,
    .cases = cases};
