/* SPDX-License-Identifier: Apache-2.0 */
/* gatv2_attend_target_grad: what goes to the targets and to att, over the edges into each target. alpha is computed
 * again from the log-sum-exp; with de_k = alpha_k (m_k <dy_i, l_j> + dalpha_k - delta_i):
 * dr_i = att sum de_k leaky'(l_j + r_i), datt = sum de_k leaky(l_j + r_i), the latter in parts of FV_ATTEND_ROWS
 * targets that are still to be added. */
#include "ops/gatv2_edge.h"

enum { ROW_PTR = FV_ATTEND_DELTA + 1, COL, DALPHA, KEPT, INPUTS };

static fv_status infer(fv_infer *c) {
  fv_attend_sizes a, graph;
  FV_TRY(fv_attend_infer_ends(c, FV_GATV2_DY, FV_GATV2_L, &a));
  FV_TRY(fv_attend_infer_real(c, FV_GATV2_R, "r", c->in[FV_GATV2_DY]->shape));
  FV_TRY(fv_attend_infer_real(c, FV_GATV2_ATT, "att", FV_SHAPE(a.heads, a.width)));
  FV_TRY(fv_attend_infer_real(c, FV_ATTEND_LSE, "lse", FV_SHAPE(a.targets, a.heads)));
  FV_TRY(fv_attend_infer_real(c, FV_ATTEND_DELTA, "delta", FV_SHAPE(a.targets, a.heads)));
  FV_TRY(fv_attend_infer_graph(c, ROW_PTR, COL, &graph));
  FV_TRY(fv_attend_infer_int(c, ROW_PTR, "row_ptr", FV_SHAPE(a.targets + 1)));
  FV_TRY(fv_attend_infer_real(c, DALPHA, "dalpha", FV_SHAPE(graph.edges, a.heads)));
  FV_TRY(fv_attend_infer_kept(c, KEPT, graph.edges, a.heads));
  c->n_out = 2;
  c->shape[0] = FV_SHAPE(a.targets, a.heads, a.width);
  c->shape[1] = FV_SHAPE(fv_ceil_div(a.targets, FV_ATTEND_ROWS), a.heads, a.width);
  return FV_OK;
}

static void target(const fv_call *c, int64_t i, int64_t h, int64_t begin, int64_t end) {
  const int64_t heads = c->in[FV_GATV2_L].shape.dim[1], d = c->in[FV_GATV2_L].shape.dim[2];
  const double slope = ((const fv_attend_attrs *)c->attrs)->slope;
  for (int64_t f = 0; f < d; f++) {
    double dr = 0, datt = 0;
    for (int64_t k = begin; k < end; k++) {
      const int64_t j = (int64_t)fv_get(&c->in[COL], k);
      if (j < 0 || j >= c->in[FV_GATV2_L].shape.dim[0]) continue;
      const double de = fv_gatv2_edge_of(c, i, j, h, k, DALPHA, KEPT).de, z = fv_gatv2_sum(c, i, j, h, f);
      dr += de * (z > 0 ? 1 : slope);
      datt += de * fv_attend_leaky(z, slope);
    }
    const int64_t part = (i / FV_ATTEND_ROWS * heads + h) * d + f;
    fv_set(&c->out[0], (i * heads + h) * d + f, dr * fv_get(&c->in[FV_GATV2_ATT], h * d + f));
    fv_set(&c->out[1], part, (i % FV_ATTEND_ROWS ? fv_get(&c->out[1], part) : 0) + datt);
  }
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[COL].shape.dim[0], rows = c->in[FV_GATV2_DY].shape.dim[0];
  int64_t end = fv_segment_bound(&c->in[ROW_PTR], 0, 0, n);
  for (int64_t i = 0; i < rows; i++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[ROW_PTR], i + 1, begin, n);
    for (int64_t h = 0; h < c->in[FV_GATV2_L].shape.dim[1]; h++) target(c, i, h, begin, end);
  }
}

static fv_cost cost(const fv_node *n) {
  const fv_shape l = n->in[FV_GATV2_L]->shape;
  return fv_attend_cost(n, n->in[COL]->shape.dim[0], l.dim[1] * l.dim[2], 14);
}

#define SUMS .tolerance = 2e-5
static const fv_case cases[] = {
    {.in = "0,3,4; 0,3,4; 0,3,4; 3,4; 0,3; 0,3; 1:i32; 0:i32"},
    {.in = "3,2,0; 3,2,0; 3,2,0; 2,0; 3,2; 3,2; 4:i32@0..5; 5:i32@0..2"},
    {.in = "3,0,2; 3,0,2; 3,0,2; 0,2; 3,0; 3,0; 4:i32@0..5; 5:i32@0..2"},
    {.in = "5,8,8; 7,8,8; 5,8,8; 8,8; 5,8; 5,8; 6:i32@0..25; 25:i32@0..6", SUMS},
    {.in = "40,3,5; 9,3,5; 40,3,5; 3,5; 40,3; 40,3; 41:i32@0..600; 300:i32@0..8", .attrs = "slope=0", SUMS},
    {.in = "4,1,16; 9,1,16; 4,1,16; 1,16; 4,1; 4,1; 5:i32@0..90; 90:i32@0..8; 90,1", SUMS},
    {.in = "5,17,2; 9,17,2; 5,17,2; 17,2; 5,17; 5,17; 6:i32@0..30; 30:i32@0..8; 30,17", SUMS},
    {.in = "5,4,32; 9,4,32; 5,4,32; 4,32; 5,4@1..2; 5,4; 6:i32@0..30; 30:i32@0..8", SUMS},
    {.in = "5,2,67; 9,2,67; 5,2,67; 2,67; 5,2@2..3; 5,2; 6:i32@0..30; 30:i32@0..8", .tolerance = 5e-5},
    {.in = "5,8,8; 7,8,8; 5,8,8; 8,8; 5,8; 5,8; 6:i32@0..70; 70:i32@0..6; -" FV_ATTEND_BITS(18),
     .attrs = "p=0.6",
     SUMS},
    {.in = "5,3,4; 7,3,4; 5,3,4; 3,4; 5,3; 5,3; 6:i32@-9..40; 30:i32@-2..8; 30,3" FV_ATTEND_BITS(4),
     .attrs = "p=0.3",
     .note = "outside: left out",
     SUMS},
    {0}};

const fv_op_def fv_op_gatv2_attend_target_grad = {
    .name = "gatv2_attend_target_grad",
    .doc = "dr_i = att sum de leaky'(l_j + r_i) and, of every 16 targets, the sum of de leaky(l_j + r_i), with\n"
           "de = alpha (m <dy_i, l_j> + dalpha - delta_i); inputs dy, l, r [V,H,D], att [H,D], lse, delta [V,H], "
           "row_ptr,\ncol, optional dalpha, kept",
    .n_in = COL + 1,
    .n_in_max = INPUTS,
    .flags = FV_OP_SHARDED,
    .attrs_size = sizeof(fv_attend_attrs),
    .attrs = fv_attend_options,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
