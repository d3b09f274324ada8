/* SPDX-License-Identifier: Apache-2.0 */
/* sample: one index of each row, drawn with the probabilities softmax(score). The noise is an input, so that the draw
 * is a function of its inputs. gumbel: one number -log(-log u) an element; the largest sum of score and noise is the
 * draw (Maddison, Tarlow, Minka, NeurIPS 2014). uniform: one number of [0, 1) a row; the draw is where the running sum
 * of the probabilities passes it. */
#include "ops/sample.h"

#include "ops/lines.h"

#include <math.h>

const char *const fv_noise_names[] = {"gumbel", "uniform", NULL};

static const fv_option attrs[] = {
    {"noise", FV_OPT_ENUM, offsetof(fv_sample_attrs, noise), "gumbel", 0, 0, fv_noise_names,
     "gumbel: a number an element; uniform: a number of [0, 1) a row"},
    {0}};

static fv_status infer(fv_infer *c) {
  fv_shape s = c->in[0]->shape, rows = s;
  FV_TRY(fv_infer_real(c, 0, "score"));
  FV_INFER_REQUIRE(c, s.ndim >= 1 && s.dim[s.ndim - 1] <= INT32_MAX, "score: expected [...,T], got %s",
                   fv_shape_text(s));
  rows.ndim--;
  FV_TRY(fv_infer_real(c, 1, "noise"));
  FV_TRY(fv_infer_shape(c, 1, "noise", ((const fv_sample_attrs *)c->attrs)->noise == FV_NOISE_UNIFORM ? rows : s));
  FV_INFER_REQUIRE(c, !fv_has_in(c, 2) || (c->in[2]->dtype == FV_U8 && fv_shape_equal(c->in[2]->shape, s)),
                   "mask: expected u8 %s, got %s %s", fv_shape_text(s), fv_dtype_name(c->in[2]->dtype),
                   fv_shape_text(c->in[2]->shape));
  c->shape[0] = rows;
  c->dtype[0] = FV_I32;
  return FV_OK;
}

static bool kept(const fv_call *c, int64_t i) { return c->n_in < 3 || !c->in[2].data || fv_get(&c->in[2], i) != 0; }

static int64_t largest(const fv_call *c, int64_t at, int64_t n) {
  int64_t best = -1;
  double most = 0;
  for (int64_t k = 0; k < n; k++) {
    double x = fv_get(&c->in[0], at + k) + fv_get(&c->in[1], at + k);
    if (!kept(c, at + k) || (best >= 0 && !(x > most))) continue;
    best = k;
    most = x;
  }
  return best;
}

static int64_t passed(const fv_call *c, int64_t at, int64_t n, double u) {
  double max = -INFINITY, sum = 0, so_far = 0;
  int64_t last = -1;
  for (int64_t k = 0; k < n; k++)
    if (kept(c, at + k)) max = fmax(max, fv_get(&c->in[0], at + k));
  for (int64_t k = 0; k < n; k++)
    if (kept(c, at + k)) sum += exp(fv_get(&c->in[0], at + k) - max);
  for (int64_t k = 0; k < n; k++) {
    double p = kept(c, at + k) ? exp(fv_get(&c->in[0], at + k) - max) : 0;
    if (p > 0) last = k; /* what rounding leaves after the last falls to the last that can be drawn */
    so_far += p;
    if (p > 0 && so_far > u * sum) break;
  }
  return last;
}

static void ref(const fv_call *c) {
  bool uniform = ((const fv_sample_attrs *)c->attrs)->noise == FV_NOISE_UNIFORM;
  fv_lines l = fv_lines_of(c->in[0].shape, -1);
  for (int64_t r = 0, rows = fv_shape_count(c->out[0].shape); r < rows; r++)
    fv_set(&c->out[0], r,
           (double)(uniform ? passed(c, r * l.n, l.n, fv_get(&c->in[1], r)) : largest(c, r * l.n, l.n)));
}

static fv_cost cost(const fv_node *n) { return fv_cost_input(n, 0, 4); }

static const fv_case cases[] = {
    {.in = "3,5; 3,5"}, {.in = "4; 4"}, {.in = "2,1; 2,1"}, {.in = "0,4; 0,4"}, {.in = "3,0; 3,0"},
    {.in = "7,17@-3..3; 7,17@-2..4; 7,17:u8"},
    {.in = "3,5; 3@0..1", .attrs = "noise=uniform"}, {.in = "4; ()@0..1", .attrs = "noise=uniform"},
    {.in = "3,0; 3@0..1", .attrs = "noise=uniform"},
    {.in = "2,3,17@-4..4; 2,3@0..1; 2,3,17:u8", .attrs = "noise=uniform"},
    {0}};

const fv_op_def fv_op_sample = {
    .name = "sample",
    .doc = "the index drawn from softmax(score) by the given noise, i32, along the last axis; -1 where the mask leaves "
           "nothing;\ninputs score, noise, mask u8?",
    .n_in = 2, .n_in_max = 3,
    .attrs_size = sizeof(fv_sample_attrs), .attrs = attrs,
    .infer = infer, .no_grad_reason = "a choice has no slope; see nn.h: fv_reinforce",
    .ref = ref, .cost = cost, .cases = cases};
