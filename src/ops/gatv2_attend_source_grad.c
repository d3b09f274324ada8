/* SPDX-License-Identifier: Apache-2.0 */
/* gatv2_attend_source_grad: what goes to the sources, over their outgoing edges (the transposed graph):
 * dl_j = sum m alpha dy_i + att sum de leaky'(l_j + r_i); alpha and de as in gatv2_attend_target_grad. */
#include "ops/gatv2_edge.h"

static fv_status infer(fv_infer *c) {
  fv_attend_sizes a;
  FV_TRY(fv_attend_infer_ends(c, FV_GATV2_DY, FV_GATV2_L, &a));
  FV_TRY(fv_attend_infer_real(c, FV_GATV2_R, "r", c->in[FV_GATV2_DY]->shape));
  FV_TRY(fv_attend_infer_real(c, FV_GATV2_ATT, "att", FV_SHAPE(a.heads, a.width)));
  a.edges = c->in[FV_ATTEND_T_ROW]->shape.ndim == 1 ? c->in[FV_ATTEND_T_ROW]->shape.dim[0] : 0;
  FV_TRY(fv_attend_infer_source_grad(c, &a));
  c->shape[0] = FV_SHAPE(a.sources, a.heads, a.width);
  return FV_OK;
}

static double source(const fv_call *c, int64_t j, int64_t h, int64_t f, int64_t begin, int64_t end) {
  const int64_t heads = c->in[FV_GATV2_L].shape.dim[1], d = c->in[FV_GATV2_L].shape.dim[2];
  const double slope = ((const fv_attend_attrs *)c->attrs)->slope, att = fv_get(&c->in[FV_GATV2_ATT], h * d + f);
  double sum = 0;
  for (int64_t k = begin; k < end; k++) {
    const int64_t i = (int64_t)fv_get(&c->in[FV_ATTEND_T_ROW], k), e = (int64_t)fv_get(&c->in[FV_ATTEND_T_EDGE], k);
    if (i < 0 || i >= c->in[FV_GATV2_DY].shape.dim[0] || e < 0 || e >= c->in[FV_ATTEND_T_ROW].shape.dim[0]) continue;
    const fv_gatv2_edge edge = fv_gatv2_edge_of(c, i, j, h, e, FV_ATTEND_DALPHA, FV_ATTEND_T_KEPT);
    sum += edge.w * fv_get(&c->in[FV_GATV2_DY], (i * heads + h) * d + f) +
           att * edge.de * (fv_gatv2_sum(c, i, j, h, f) > 0 ? 1 : slope);
  }
  return sum;
}

static void ref(const fv_call *c) {
  const int64_t n = c->in[FV_ATTEND_T_ROW].shape.dim[0], rows = c->in[FV_GATV2_L].shape.dim[0];
  const int64_t heads = c->in[FV_GATV2_L].shape.dim[1], d = c->in[FV_GATV2_L].shape.dim[2];
  int64_t end = fv_segment_bound(&c->in[FV_ATTEND_T_PTR], 0, 0, n);
  for (int64_t j = 0; j < rows; j++) {
    const int64_t begin = end;
    end = fv_segment_bound(&c->in[FV_ATTEND_T_PTR], j + 1, begin, n);
    for (int64_t h = 0; h < heads; h++)
      for (int64_t f = 0; f < d; f++) fv_set(&c->out[0], (j * heads + h) * d + f, source(c, j, h, f, begin, end));
  }
}

static fv_cost cost(const fv_node *n) {
  const fv_shape l = n->in[FV_GATV2_L]->shape;
  return fv_attend_cost(n, n->in[FV_ATTEND_T_ROW]->shape.dim[0], 2 * l.dim[1] * (l.dim[2] + 1), 8);
}

#define SUMS .tolerance = 2e-5
static const fv_case cases[] = {
    {.in = "0,3,4; 0,3,4; 0,3,4; 3,4; 0,3; 0,3; 1:i32; 0:i32; 0:i32"},
    {.in = "3,2,0; 3,2,0; 3,2,0; 2,0; 3,2; 3,2; 4:i32@0..5; 5:i32@0..2; 5:i32@0..4"},
    {.in = "3,0,2; 3,0,2; 3,0,2; 0,2; 3,0; 3,0; 4:i32@0..5; 5:i32@0..2; 5:i32@0..4"},
    {.in = "5,8,8; 7,8,8; 5,8,8; 8,8; 5,8; 5,8; 8:i32@0..25; 25:i32@0..4; 25:i32@0..24", SUMS},
    {.in = "9,3,5; 40,3,5; 9,3,5; 3,5; 9,3; 9,3; 41:i32@0..600; 300:i32@0..8; 300:i32@0..299",
     .attrs = "slope=0",
     SUMS},
    {.in = "9,1,16; 4,1,16; 9,1,16; 1,16; 9,1; 9,1; 5:i32@0..90; 90:i32@0..8; 90:i32@0..89; 90,1", SUMS},
    {.in = "9,17,2; 5,17,2; 9,17,2; 17,2; 9,17; 9,17; 6:i32@0..30; 30:i32@0..8; 30:i32@0..29; 30,17", SUMS},
    {.in = "9,4,32; 5,4,32; 9,4,32; 4,32; 9,4@1..2; 9,4; 6:i32@0..30; 30:i32@0..8; 30:i32@0..29", SUMS},
    {.in = "9,2,67; 5,2,67; 9,2,67; 2,67; 9,2@2..3; 9,2; 6:i32@0..30; 30:i32@0..8; 30:i32@0..29", .tolerance = 5e-5},
    {.in = "5,8,8; 7,8,8; 5,8,8; 8,8; 5,8; 5,8; 8:i32@0..70; 70:i32@0..4; 70:i32@0..69; -" FV_ATTEND_BITS(18),
     .attrs = "p=0.6",
     SUMS},
    {.in = "5,3,4; 7,3,4; 5,3,4; 3,4; 5,3; 5,3; 8:i32@-9..40; 30:i32@-2..7; 30:i32@-2..33; 30,3" FV_ATTEND_BITS(4),
     .attrs = "p=0.3",
     .note = "outside: left out",
     SUMS},
    {0}};

const fv_op_def fv_op_gatv2_attend_source_grad = {
    .name = "gatv2_attend_source_grad",
    .doc = "dl_j = sum m alpha dy_i + att sum de leaky'(l_j + r_i) over the edges j to i, with\n"
           "de = alpha (m <dy_i, l_j> + dalpha - delta_i); inputs dy, l, r [V,H,D], att [H,D], lse, delta [V,H], the\n"
           "transposed graph, optional dalpha, kept",
    .n_in = FV_ATTEND_T_EDGE + 1,
    .n_in_max = FV_ATTEND_SOURCE_GRAD_INPUTS,
    .flags = FV_OP_SHARDED,
    .attrs_size = sizeof(fv_attend_attrs),
    .attrs = fv_attend_options,
    .infer = infer,
    .no_grad_reason = "a gradient itself; second derivatives are not built",
    .ref = ref,
    .cost = cost,
    .cases = cases};
