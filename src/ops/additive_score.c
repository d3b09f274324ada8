/* SPDX-License-Identifier: Apache-2.0 */
/* additive_score: how well each token fits, by a net of one hidden layer, from tokens to scores in one operation: the
 * hidden layer [B,T,A] need not be stored, neither for the result nor, when `keep` is false, for the gradient, which
 * then computes it again. Without a weight x is the hidden layer's sum itself (keys projected before). Bahdanau et al.,
 * ICLR 2015, appendix A.1.2; Yang et al., NAACL 2016, eq. 5. */
#include "ops/additive_score.h"

#include "ops/lines.h"

#include <math.h>

static const fv_option attrs[] = {
    {"keep", FV_OPT_BOOL, offsetof(fv_additive_score_attrs, keep), "false", 0, 0, NULL,
     "the hidden layer is stored for the gradient"},
    {0}};

static int given(const fv_node *n, int i) { return fv_node_has_in(n, i) ? i : -1; }

fv_additive_size fv_additive_size_of(const fv_node *n) {
  bool grad = !strcmp(n->op->name, "additive_score_grad");
  int first = grad ? FV_ADDITIVE_GRAD_WEIGHT : FV_ADDITIVE_WEIGHT;
  const int64_t *x = n->in[0]->shape.dim;
  return (fv_additive_size){.b = x[0], .t = x[1], .e = x[2], .a = n->in[1]->shape.dim[0], .weight = given(n, first),
                            .bias = given(n, first + 1), .query = given(n, first + 2),
                            .hidden = grad ? given(n, FV_ADDITIVE_GRAD_HIDDEN) : -1};
}

fv_status fv_additive_check(const fv_infer *c, int first) {
  fv_shape x = c->in[0]->shape, v = c->in[1]->shape;
  FV_TRY(fv_infer_real(c, 0, "x"));
  FV_TRY(fv_infer_real(c, 1, "v"));
  FV_INFER_REQUIRE(c, x.ndim == 3, "x: expected [B,T,E], got %s", fv_shape_text(x));
  FV_INFER_REQUIRE(c, v.ndim == 1, "v: expected [A], got %s", fv_shape_text(v));
  FV_INFER_REQUIRE(c, fv_has_in(c, first) || x.dim[2] == v.dim[0],
                   "x: expected [B,T,A] = [%lld,%lld,%lld] without a weight, got %s", (long long)x.dim[0],
                   (long long)x.dim[1], (long long)v.dim[0], fv_shape_text(x));
  FV_TRY(fv_infer_shape(c, first, "weight", FV_SHAPE(v.dim[0], x.dim[2])));
  FV_TRY(fv_infer_shape(c, first + 1, "bias", v));
  return fv_infer_shape(c, first + 2, "query", FV_SHAPE(x.dim[0], v.dim[0]));
}

static fv_status infer(fv_infer *c) {
  FV_TRY(fv_additive_check(c, FV_ADDITIVE_WEIGHT));
  const int64_t *x = c->in[0]->shape.dim;
  c->n_out = 2;
  c->dtype[1] = c->dtype[0];
  c->shape[0] = FV_SHAPE(x[0], x[1]);
  bool keep = ((const fv_additive_score_attrs *)c->attrs)->keep;
  c->shape[1] = keep ? FV_SHAPE(x[0], x[1], c->in[1]->shape.dim[0]) : FV_SHAPE(0);
  return FV_OK;
}

static fv_status grad(fv_grad *c) {
  fv_value *const *in = c->node->in, *none = fv_absent(c->g), *got[FV_ADDITIVE_GRADS];
  fv_additive_size s = fv_additive_size_of(c->node);
  bool keep = ((const fv_additive_score_attrs *)c->node->attrs)->keep;
  fv_additive_score_grad_attrs want = {.dx = c->need[0], .dw = s.weight > 0 && c->need[s.weight]};
  fv_value *give[FV_ADDITIVE_GRAD_INPUTS] = {in[0],
                                             in[1],
                                             c->dout[0],
                                             s.weight > 0 ? in[s.weight] : none,
                                             s.bias > 0 ? in[s.bias] : none,
                                             s.query > 0 ? in[s.query] : none,
                                             keep ? c->node->out[1] : none};
  if (!fv_op_n(c->g, "additive_score_grad", &want, FV_ADDITIVE_GRAD_INPUTS, give, FV_ADDITIVE_GRADS, got))
    return fv_graph_check(c->g);
  if (want.dx) c->din[0] = got[FV_ADDITIVE_DX];
  if (c->need[1]) c->din[1] = got[FV_ADDITIVE_DV];
  if (want.dw) c->din[s.weight] = got[FV_ADDITIVE_DW];
  if (s.bias > 0 && c->need[s.bias]) c->din[s.bias] = fv_sum_to(c->g, got[FV_ADDITIVE_DQ], in[s.bias]->shape);
  if (s.query > 0 && c->need[s.query]) c->din[s.query] = got[FV_ADDITIVE_DQ];
  return FV_OK;
}

double fv_additive_hidden(const fv_call *c, const fv_additive_size *s, int64_t row, int64_t k) {
  double sum = s->weight > 0 ? 0 : fv_get(&c->in[0], row * s->e + k);
  for (int64_t i = 0; s->weight > 0 && i < s->e; i++)
    sum += fv_get(&c->in[0], row * s->e + i) * fv_get(&c->in[s->weight], k * s->e + i);
  if (s->bias > 0) sum += fv_get(&c->in[s->bias], k);
  if (s->query > 0) sum += fv_get(&c->in[s->query], row / s->t * s->a + k);
  return tanh(sum);
}

static void ref(const fv_call *c) {
  fv_additive_size s = fv_additive_size_of(c->node);
  bool keep = ((const fv_additive_score_attrs *)c->attrs)->keep;
  for (int64_t row = 0; row < s.b * s.t; row++) {
    double score = 0;
    for (int64_t k = 0; k < s.a; k++) {
      double h = fv_additive_hidden(c, &s, row, k);
      score += h * fv_get(&c->in[1], k);
      if (keep) fv_set(&c->out[1], row * s.a + k, h);
    }
    fv_set(&c->out[0], row, score);
  }
}

static fv_cost cost(const fv_node *n) {
  fv_additive_size s = fv_additive_size_of(n);
  double units = (double)(s.b * s.t) * (double)s.a;
  return (fv_cost){units * (4 + (s.weight > 0 ? 2 * (double)s.e : 0)), fv_cost_io(n)};
}

static const fv_case cases[] = {
    {.in = "2,3,5; 4; 4,5; 4"},
    {.in = "1,1,1; 1; 1,1"},
    {.in = "2,0,3; 4; 4,3; 4"},
    {.in = "0,2,3; 4; 4,3"},
    {.in = "2,3,0; 4; 4,0; 4; 2,4", .note = "bias and query alone"},
    {.in = "2,3,4; 0; 0,4"},
    {.in = "3,7,16; 16; 16,16; 16; 3,16"},
    {.in = "2,9,17; 15; 15,17; -; 2,15", .attrs = "keep=true"},
    {.in = "5,13,31; 33; 33,31; 33; 5,33"},
    {.in = "3,41,19; 67; 67,19; 67", .note = "several tiles"},
    {.in = "1,97,8; 31; 31,8; 31; 1,31", .attrs = "keep=true"},
    {.in = "130,3,7; 32; 32,7; 32; 130,32", .note = "a tile holds many items"},
    {.in = "2,5,17; 17; -; 17; 2,17", .note = "projected before"},
    {.in = "3,67,33; 33; -; -; 3,33", .attrs = "keep=true", .note = "projected before"},
    {.in = "2,3,4; 4"},
    {0}};

const fv_op_def fv_op_additive_score = {
    .name = "additive_score",
    .doc = "e[b,t] = sum over a of v[a] tanh(sum over i of x[b,t,i] w[a,i] + bias[a] + query[b,a]) (Bahdanau et al. "
           "2015);\ninputs x, v [A], w [A,E]?, bias [A]?, query [B,A]?; without w x is [B,T,A]",
    .n_in = 2, .n_in_max = FV_ADDITIVE_INPUTS, .n_saved = 1, .flags = FV_OP_PRODUCT,
    .attrs_size = sizeof(fv_additive_score_attrs), .attrs = attrs,
    .infer = infer, .grad = grad, .ref = ref, .cost = cost, .cases = cases};
