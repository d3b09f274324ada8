/* SPDX-License-Identifier: Apache-2.0 */
/* gat_attend_target_grad: what goes to the targets' scores. With w_k = alpha_k (m_k <dy_i, h_j> + dalpha_k - delta_i),
 * whose sum over i's edges is 0, and slopes of 1 or s, it is the sum of w_k slope_k = (1 - s) times the sum of w_k over
 * the rising edges; gat_attend has kept what the first and last part of w_k need. */
#include "ops/attend.h"

enum { DY, RISE, RISING, DELTA, ROW_PTR, COL, ALPHA, DALPHA, SOURCE, TARGET, INPUTS };

static fv_status infer(fv_infer *c) {
  fv_attend_sizes a, graph;
  FV_TRY(fv_attend_infer_ends(c, DY, RISE, &a));
  FV_TRY(fv_attend_infer_real(c, RISE, "rise", c->in[DY]->shape));
  FV_TRY(fv_attend_infer_real(c, RISING, "rising", FV_SHAPE(a.targets, a.heads)));
  FV_TRY(fv_attend_infer_real(c, DELTA, "delta", FV_SHAPE(a.targets, a.heads)));
  c->shape[0] = FV_SHAPE(a.targets, a.heads);
  for (int i = DELTA + 1; i < INPUTS; i++)
    FV_INFER_REQUIRE(c, fv_has_in(c, i) == fv_has_in(c, DALPHA), "input %d: expected it with dalpha alone", i);
  if (!fv_has_in(c, DALPHA)) return FV_OK;
  FV_TRY(fv_attend_infer_graph(c, ROW_PTR, COL, &graph));
  FV_TRY(fv_attend_infer_int(c, ROW_PTR, "row_ptr", FV_SHAPE(a.targets + 1)));
  FV_TRY(fv_attend_infer_real(c, ALPHA, "alpha", FV_SHAPE(graph.edges, a.heads)));
  FV_TRY(fv_attend_infer_real(c, DALPHA, "dalpha", FV_SHAPE(graph.edges, a.heads)));
  const fv_shape s = c->in[SOURCE]->shape;
  FV_INFER_REQUIRE(c, s.ndim == 2 && s.dim[1] == a.heads, "source: expected [V,%lld], got %s", (long long)a.heads,
                   fv_shape_text(s));
  FV_TRY(fv_attend_infer_real(c, SOURCE, "source", s));
  return fv_attend_infer_real(c, TARGET, "target", FV_SHAPE(a.targets, a.heads));
}

/* sum of alpha dalpha over the rising edges */
static double weights(const fv_call *c, int64_t i, int64_t h, int64_t begin, int64_t end) {
  const int64_t heads = c->out[0].shape.dim[1], sources = c->in[SOURCE].shape.dim[0];
  double sum = 0;
  for (int64_t k = begin; k < end; k++) {
    const int64_t j = (int64_t)fv_get(&c->in[COL], k);
    if (j < 0 || j >= sources) continue;
    const bool rises = fv_get(&c->in[TARGET], i * heads + h) + fv_get(&c->in[SOURCE], j * heads + h) > 0;
    sum += rises * fv_get(&c->in[ALPHA], k * heads + h) * fv_get(&c->in[DALPHA], k * heads + h);
  }
  return sum;
}

static void ref(const fv_call *c) {
  const int64_t rows = c->out[0].shape.dim[0], heads = c->out[0].shape.dim[1], d = c->in[DY].shape.dim[2];
  const bool more = fv_attend_in(c, DALPHA);
  const int64_t n = more ? c->in[COL].shape.dim[0] : 0;
  const double part = 1 - ((const fv_attend_attrs *)c->attrs)->slope;
  int64_t end = more ? fv_segment_bound(&c->in[ROW_PTR], 0, 0, n) : 0;
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    if (more) end = fv_segment_bound(&c->in[ROW_PTR], i + 1, begin, n);
    for (int64_t h = 0; h < heads; h++) {
      const int64_t at = i * heads + h;
      double sum = more ? weights(c, i, h, begin, end) : 0;
      for (int64_t k = at * d; k < (at + 1) * d; k++) sum += fv_get(&c->in[DY], k) * fv_get(&c->in[RISE], k);
      fv_set(&c->out[0], at, part * (sum - fv_get(&c->in[DELTA], at) * fv_get(&c->in[RISING], at)));
    }
  }
}

static fv_cost cost(const fv_node *n) {
  return (fv_cost){.flops = 2 * (double)fv_shape_count(n->in[DY]->shape), .bytes = fv_cost_io(n)};
}

#define SUMS .tolerance = 1e-5
static const fv_case cases[] = {
    {.in = "0,3,4; 0,3,4; 0,3; 0,3"},
    {.in = "4,3,0; 4,3,0; 4,3@0..1; 4,3", SUMS},
    {.in = "70,8,8; 70,8,8; 70,8@0..1; 70,8", SUMS},
    {.in = "7,3,5; 7,3,5; 7,3@0..1; 7,3", .attrs = "slope=0", SUMS},
    {.in = "7,17,16; 7,17,16; 7,17@0..1; 7,17", SUMS},
    {.in = "33,8,8; 33,8,8; 33,8@0..1; 33,8; 34:i32@0..90; 90:i32@0..6; 90,8@0..1; 90,8; 7,8; 33,8", SUMS},
    {.in = "5,3,4; 5,3,4; 5,3@0..1; 5,3; 6:i32@-4..40; 30:i32@-2..8; 30,3@0..1; 30,3; 7,3; 5,3", SUMS},
    {0}};

const fv_op_def fv_op_gat_attend_target_grad = {
    .name = "gat_attend_target_grad",
    .doc = "dtarget_i = (1 - slope) (<dy_i, rise_i> + sum of alpha dalpha over rising edges - delta_i rising_i);\n"
           "inputs dy, rise [V,H,D], rising, delta [V,H] and for the middle part row_ptr, col, alpha, dalpha, source,\n"
           "target",
    .n_in = 4,
    .n_in_max = INPUTS,
    .attrs_size = sizeof(fv_attend_attrs),
    .attrs = fv_attend_options,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
