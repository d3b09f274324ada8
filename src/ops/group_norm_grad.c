/* SPDX-License-Identifier: Apache-2.0 */
/* group_norm_grad: with h = (x - mean) / sqrt(var + eps) and g = dy weight, in each group of each sample
 *   dx = (g - mean(g) - h mean(g h)) / sqrt(var + eps); dweight = sum dy h, dbias = sum dy over samples and places. */
#include "ops/lines.h"
#include "ops/norm.h"

#include <math.h>

static const fv_option attrs[] = {
    FV_EPS_OPTION(fv_group_norm_grad_attrs, "1e-05"),
    {"groups", FV_OPT_INT, offsetof(fv_group_norm_grad_attrs, groups), "1", 1, 1e9, NULL,
     "how many; divides the channels"},
    FV_AFFINE_OPTION(fv_group_norm_grad_attrs),
    {0}};

static fv_status infer(fv_infer *c) {
  const fv_group_norm_grad_attrs *a = c->attrs;
  fv_shape s = c->in[0]->shape;
  FV_TRY(fv_infer_real(c, 0, "dy"));
  FV_TRY(fv_infer_shape(c, 1, "input", s));
  FV_INFER_REQUIRE(c, s.ndim >= 2, "dy: expected [N, ..., C], got %s", fv_shape_text(s));
  FV_INFER_REQUIRE(c, s.dim[s.ndim - 1] % a->groups == 0, "groups: expected a divisor of %lld channels, got %lld",
                   (long long)s.dim[s.ndim - 1], (long long)a->groups);
  FV_TRY(fv_infer_channels(c, 2, "weight"));
  c->n_out = a->affine ? 3 : 1;
  c->shape[0] = s;
  for (int i = 1; i < c->n_out; i++) {
    c->dtype[i] = c->dtype[0];
    c->shape[i] = FV_SHAPE(s.dim[s.ndim - 1]);
  }
  return FV_OK;
}

typedef struct part { /* one group of one sample: element i is at + i / width * c_all + first + i % width */
  int64_t at, first, width, c_all, count;
  double mean, rstd, g, gh; /* the last two: means of g and g h */
} part;

static int64_t place(const part *p, int64_t i) { return p->at + i / p->width * p->c_all + p->first + i % p->width; }
static double h_at(const fv_call *c, const part *p, int64_t i) {
  return (fv_get(&c->in[1], place(p, i)) - p->mean) * p->rstd;
}
static double g_at(const fv_call *c, const part *p, int64_t i) {
  const fv_tensor *w = c->n_in > 2 && c->in[2].data ? &c->in[2] : NULL;
  return fv_get(&c->in[0], place(p, i)) * (w ? fv_get(w, p->first + i % p->width) : 1);
}

static void measure(const fv_call *c, part *p) {
  double len = (double)p->count, var = 0;
  for (int64_t i = 0; i < p->count; i++) p->mean += fv_get(&c->in[1], place(p, i)) / len;
  for (int64_t i = 0; i < p->count; i++) var += pow(fv_get(&c->in[1], place(p, i)) - p->mean, 2) / len;
  p->rstd = 1 / sqrt(var + ((const fv_group_norm_grad_attrs *)c->attrs)->eps);
  for (int64_t i = 0; i < p->count; i++) {
    p->g += g_at(c, p, i) / len;
    p->gh += g_at(c, p, i) * h_at(c, p, i) / len;
  }
}

/* The part of channel k: its sum of dy h and of dy. */
static void affine_part(const fv_call *c, const part *p, int64_t k, double *dweight, double *dbias) {
  for (int64_t i = k - p->first; i < p->count; i += p->width) {
    double dy = fv_get(&c->in[0], place(p, i));
    *dweight += dy * h_at(c, p, i);
    *dbias += dy;
  }
}

static part part_of(const fv_call *c, int64_t sample, int64_t group) {
  const fv_group_norm_grad_attrs *a = c->attrs;
  int64_t size = fv_lines_of(c->in[0].shape, 0).inner, c_all = fv_lines_last(c->in[0].shape).n, w = c_all / a->groups;
  part p = {.at = sample * size, .first = group * w, .width = w, .c_all = c_all, .count = size / c_all * w};
  measure(c, &p);
  return p;
}

static void ref(const fv_call *c) {
  const fv_group_norm_grad_attrs *a = c->attrs;
  bool empty = fv_shape_count(c->in[0].shape) == 0;
  int64_t samples = empty ? 0 : c->in[0].shape.dim[0], channels = fv_lines_last(c->in[0].shape).n;
  for (int64_t k = 0; c->n_out > 1 && k < channels; k++) { /* before dx, which may take dy's place */
    double dweight = 0, dbias = 0;
    for (int64_t s = 0; s < samples; s++) {
      part p = part_of(c, s, k / (channels / a->groups));
      affine_part(c, &p, k, &dweight, &dbias);
    }
    fv_set(&c->out[1], k, dweight);
    fv_set(&c->out[2], k, dbias);
  }
  for (int64_t s = 0; s < samples; s++)
    for (int64_t j = 0; j < a->groups; j++) {
      part p = part_of(c, s, j);
      for (int64_t i = 0; i < p.count; i++)
        fv_set(&c->out[0], place(&p, i), p.rstd * (g_at(c, &p, i) - p.g - h_at(c, &p, i) * p.gh));
    }
}

static fv_cost cost(const fv_node *n) { return fv_cost_elementwise(n, 16); }

/* Sums of either sign, at times near zero: their error is relative to their terms. */
#define SUMS .tolerance = 2e-5
static const fv_case cases[] = {
    {.in = "0,4,6; 0,4,6; 6", .attrs = "groups=2 affine=true", SUMS},
    {.in = "2,0,6; 2,0,6", .attrs = "groups=2 affine=true", SUMS}, {.in = "2,2,1; 2,2,1", .attrs = "eps=0.5", SUMS},
    {.in = "3,6; 3,6; 6", .attrs = "groups=2 affine=true", SUMS},
    {.in = "2,5,3; 2,5,3; 3", .attrs = "groups=3 affine=true", SUMS},
    {.in = "2,5,4; 2,5,4; 4", .attrs = "groups=2", SUMS},
    {.in = "2,7,8; 2,7,8; 8", .attrs = "groups=4 affine=true", SUMS},
    {.in = "2,7,9; 2,7,9; -", .attrs = "groups=3 affine=true", SUMS},
    {.in = "2,17,15; 2,17,15; 15", .attrs = "groups=5 affine=true", SUMS},
    {.in = "2,3,3,16; 2,3,3,16; 16", .attrs = "groups=4 affine=true", SUMS}, {.in = "1,5,5,17; 1,5,5,17; 17", SUMS},
    {.in = "2,5,7,32; 2,5,7,32; 32", .attrs = "groups=8 affine=true", SUMS},
    {.in = "2,19,33; 2,19,33; 33", .attrs = "groups=33 affine=true eps=0.1", SUMS},
    {.in = "1,3,3,134; 1,3,3,134; 134", .attrs = "groups=2 affine=true", SUMS},
    {.in = "2,300,32; 2,300,32; 32", .attrs = "groups=4 affine=true", SUMS},
    {0}};

const fv_op_def fv_op_group_norm_grad = {
    .name = "group_norm_grad",
    .doc = "gradient of group_norm; inputs dy, x, optional weight; outputs dx[, dweight, dbias]",
    .n_in = 2,
    .n_in_max = 3,
    .flags = FV_OP_INPLACE,
    .attrs_size = sizeof(fv_group_norm_grad_attrs),
    .attrs = attrs,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
