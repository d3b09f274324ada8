/* SPDX-License-Identifier: Apache-2.0 */
/* decoder.c: recurrent decoders with attention; decoder.h says which. Weights of what is joined to the input are
 * columns of one matrix, as PyTorch's cells have them; in lstm both that a step multiplies are put side by side, so
 * that it is one product. */
#include "attention/decoder.h"

#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/matmul.h"
#include "ops/slice.h"

static fv_value *weight(fv_graph *g, const char *name, int64_t out, int64_t in) {
  return fv_param(g, name, FV_SHAPE(out, in), (fv_init){.kind = FV_INIT_KAIMING_UNIFORM}, FV_GROUP_DECAY);
}

static fv_value *side_by_side(fv_graph *g, int axis, fv_value *a, fv_value *b) {
  return fv_op(g, "concat", &(fv_concat_attrs){.axis = axis}, a, b);
}

static void cell_params(fv_decoder *d, int64_t inputs, int64_t more) {
  const int64_t gates = d->gru ? 3 : 4, H = d->hidden;
  fv_graph *g = d->g;
  fv_value *par[4];
  fv_scope_push(g, "cell");
  fv_recurrent_params(g, "", gates, inputs + more, H, par);
  fv_scope_pop(g);
  d->w_input = fv_slice_of(g, par[0], 1, 0, inputs);
  d->w_found = fv_slice_of(g, par[0], 1, inputs, more);
  d->w_state = par[1];
  d->b_input = par[2];
  d->b_state = par[3];
  if (!d->gru) d->w_state = side_by_side(g, 1, d->w_found, d->w_state);
}

fv_decoder fv_decoder_new(fv_graph *g, bool gru, int64_t inputs, int64_t hidden, int64_t feed, fv_value *memory,
                          fv_value *mask, fv_value *projected) {
  fv_decoder d = {.g = g, .gru = gru, .hidden = hidden, .feed = feed, .memory = memory, .mask = mask};
  const int64_t k = fv_dim(memory, 2);
  cell_params(&d, inputs, gru ? k : feed);
  if (gru) {
    d.w_query = weight(g, "attention.query.weight", hidden, hidden);
    fv_value *key = weight(g, "attention.key.weight", hidden, k);
    d.v = fv_param(g, "attention.v", FV_SHAPE(hidden),
                   (fv_init){.kind = FV_INIT_KAIMING_UNIFORM, .fan_in = FV_MAX(hidden, 1)}, FV_GROUP_DECAY);
    d.projected = projected ? projected : fv_project(g, memory, key, NULL);
  } else {
    fv_value *w = weight(g, "attention.weight", k, hidden);
    d.combine = weight(g, "attention.combine.weight", feed, k + hidden);
    d.projected = projected ? projected : fv_op(g, "matmul", NULL, memory, w);
  }
  return d;
}

fv_decoder_state fv_decoder_first(const fv_decoder *d, fv_value *summary) {
  fv_graph *g = d->g;
  fv_decoder_state s = {.h = fv_op(g, "tanh", NULL, fv_linear(g, summary, d->hidden, .name = "first.h"))};
  if (d->gru) return s;
  s.c = fv_op(g, "tanh", NULL, fv_linear(g, summary, d->hidden, .name = "first.c"));
  s.feed = fv_repeat(g, fv_reshape(g, fv_const(g, 0), FV_SHAPE(1, 1)), FV_SHAPE(fv_dim(summary, 0), d->feed));
  return s;
}

/* The bias of the state's side belongs to it in gru, whose reset gate scales it. */
fv_value *fv_decoder_inputs(const fv_decoder *d, fv_value *x) {
  fv_value *sums = fv_project(d->g, x, d->w_input, d->b_input);
  return d->gru ? sums : fv_add(d->g, sums, d->b_state);
}

/* x w' + sums */
static fv_value *project_onto(fv_graph *g, fv_value *x, fv_value *w, fv_value *sums) {
  return fv_op(g, "linear", NULL, x, w, fv_absent(g), sums);
}

static fv_decoder_state step_gru(const fv_decoder *d, const fv_decoder_state *s, fv_value *sums, fv_value **found,
                                 fv_value **alpha) {
  fv_graph *g = d->g;
  fv_value *in[] = {s->h, d->memory, d->mask ? d->mask : fv_absent(g), d->projected}, *out[2];
  fv_value *par[] = {d->w_query, fv_absent(g), d->v};
  fv_attention_apply(g, fv_attention_find("bahdanau"), NULL, in, par, out);
  fv_value *x = project_onto(g, out[0], d->w_found, sums), *m = fv_project(g, s->h, d->w_state, d->b_state);
  *found = out[0];
  *alpha = out[1];
  return (fv_decoder_state){.h = fv_op(g, "gru_cell", NULL, x, m, s->h)};
}

static fv_decoder_state step_lstm(const fv_decoder *d, const fv_decoder_state *s, fv_value *sums, fv_value **found,
                                  fv_value **alpha) {
  fv_graph *g = d->g;
  const int64_t n = fv_dim(s->h, 0), S = fv_dim(d->memory, 1), H = d->hidden;
  fv_value *all = project_onto(g, side_by_side(g, 1, s->feed, s->h), d->w_state, sums), *out[2], *in[] = {all, s->c};
  if (!fv_op_n(g, "lstm_cell", NULL, 2, in, 2, out)) return *s;
  fv_value *query = fv_reshape(g, out[0], FV_SHAPE(n, 1, H));
  fv_value *score = fv_op(g, "matmul", &(fv_matmul_attrs){.tb = true}, query, d->projected);
  *alpha = fv_softmax_last(g, fv_reshape(g, score, FV_SHAPE(n, S)), d->mask);
  *found = fv_weigh(g, *alpha, d->memory);
  fv_value *feed = fv_project(g, side_by_side(g, 1, *found, out[0]), d->combine, NULL);
  return (fv_decoder_state){.h = out[0], .c = out[1], .feed = fv_op(g, "tanh", NULL, feed)};
}

fv_decoder_state fv_decoder_step(const fv_decoder *d, const fv_decoder_state *s, fv_value *sums, fv_value **found,
                                 fv_value **alpha) {
  fv_value *f = NULL, *a = NULL;
  fv_decoder_state next = (d->gru ? step_gru : step_lstm)(d, s, sums, &f, &a);
  if (found) *found = f;
  if (alpha) *alpha = a;
  return next;
}

void fv_decoder_run(const fv_decoder *d, fv_decoder_state s, fv_value *x, fv_value **h, fv_value **found,
                    fv_value **alpha) {
  const int64_t n = fv_dim(x, 0), t = fv_dim(x, 1);
  fv_value *sums = fv_decoder_inputs(d, x), **each = fv_arena_alloc(d->g->arena, (size_t)(3 * t + 1) * sizeof *each);
  *h = *found = *alpha = NULL;
  FV_BUILD_REQUIRE(d->g, each, "decoder: expected memory for %lld steps, got none", (long long)t);
  for (int64_t i = 0; i < t; i++) {
    fv_value *one = fv_reshape(d->g, fv_slice_of(d->g, sums, 1, i, 1), FV_SHAPE(n, fv_dim(sums, 2)));
    s = fv_decoder_step(d, &s, one, &each[t + i], &each[2 * t + i]);
    each[i] = d->gru ? s.h : s.feed;
  }
  *h = fv_stack(d->g, t, each);
  if (d->gru) *found = fv_stack(d->g, t, each + t);
  *alpha = fv_stack(d->g, t, each + 2 * t);
}
