/* SPDX-License-Identifier: Apache-2.0 */
/* darnn: two attentions around two recurrent nets. While the encoder reads row t, it weighs the channels by what it
 * remembers and by the whole course of each (input attention, eq. 8 to 11); while the decoder goes through the same
 * rows, it weighs the encoder's states over all times (temporal attention, eq. 12 to 18). Qin, Song, Chen, Cheng,
 * Jiang, Cottrell: A dual-stage attention-based recurrent neural network for time series prediction, IJCAI 2017.
 * They forecast the next value of one series from those of others; here every channel is both, and the last state and
 * context are mapped to the whole horizon at once. */
#include "models/forecast.h"

#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/recurrent.h"
#include "ops/slice.h"

typedef struct cell {
  fv_value *par[4];    /* as of lstm */
  fv_value *h, *c;     /* [1,n,m]; absent before the first step */
  int64_t m;
} cell;

static cell new_cell(fv_graph *g, const char *name, int64_t inputs, int64_t m) {
  cell k = {.h = fv_absent(g), .c = fv_absent(g), .m = m};
  fv_scope_push(g, "%s", name);
  fv_recurrent_params(g, "_l0", 4, inputs, m, k.par);
  fv_scope_pop(g);
  return k;
}

static void step(fv_graph *g, cell *k, fv_value *x) {
  fv_value *row = fv_reshape(g, x, FV_SHAPE(fv_dim(x, 0), 1, -1)), *out[5];
  fv_value *in[] = {row, k->par[0], k->par[1], k->par[2], k->par[3], k->h, k->c};
  if (!fv_op_n(g, "lstm", NULL, (int)FV_COUNT(in), in, (int)FV_COUNT(out), out)) out[1] = out[2] = NULL;
  k->h = out[1];
  k->c = out[2];
}

/* What an attention knows of the cell: W [h; c], absent before the first step. */
static fv_value *query(fv_graph *g, const cell *k, fv_value *w) {
  if (k->h == fv_absent(g)) return NULL;
  fv_value *both = fv_op(g, "concat", &(fv_concat_attrs){.axis = 2}, k->h, k->c);
  return fv_project(g, fv_reshape(g, both, FV_SHAPE(-1, 2 * k->m)), w, NULL);
}

static fv_value *row_of(fv_graph *g, fv_value *x, int64_t t) {
  return fv_reshape(g, fv_slice_of(g, x, 1, t, 1), FV_SHAPE(fv_dim(x, 0), fv_dim(x, 2)));
}

/* An additive attention with what it scores projected before all steps: U keys. */
typedef struct scorer {
  fv_value *keys, *w, *v;
} scorer;

static scorer new_scorer(fv_graph *g, const char *name, fv_value *keys, int64_t width, int64_t m) {
  const fv_init kaiming = {.kind = FV_INIT_KAIMING_UNIFORM};
  fv_scope_push(g, "%s", name);
  scorer s = {.keys = fv_linear(g, keys, width, .name = "keys", .no_bias = true),
              .w = fv_param(g, "query.weight", FV_SHAPE(width, 2 * m), kaiming, FV_GROUP_DECAY),
              .v = fv_param(g, "v", FV_SHAPE(width), (fv_init){.kind = FV_INIT_KAIMING_UNIFORM, .fan_in = width},
                            FV_GROUP_DECAY)};
  fv_scope_pop(g);
  return s;
}

static fv_value *weights_of(fv_graph *g, const scorer *s, const cell *k) {
  return fv_softmax_last(g, fv_additive_score(g, s->keys, NULL, NULL, query(g, k, s->w), s->v), NULL);
}

/* -> the states [n,T,m] */
static fv_value *encode(fv_graph *g, const fv_forecast_settings *s, fv_value *x, fv_value **room) {
  const int64_t steps = fv_dim(x, 1);
  cell k = new_cell(g, "encoder", fv_dim(x, 2), s->hidden);
  scorer attention = new_scorer(g, "input_attention", fv_permute(g, x, FV_SHAPE(0, 2, 1)), steps, s->hidden);
  fv_value **states = room, **weights = room + steps;
  for (int64_t t = 0; t < steps; t++) {
    weights[t] = weights_of(g, &attention, &k);
    step(g, &k, fv_mul(g, weights[t], row_of(g, x, t)));
    states[t] = k.h;
  }
  fv_tap(g, "channels", FV_TAP_CHANNELS, fv_stack(g, steps, weights));
  return fv_stack(g, steps, states);
}

fv_value *fv_darnn(fv_graph *g, const fv_forecast_settings *s, const fv_problem *task, fv_value *past) {
  const int64_t n = fv_dim(past, 0), steps = task->past, channels = task->channels, m = s->hidden;
  fv_value **room = fv_arena_alloc(g->arena, (size_t)(2 * steps) * sizeof *room), *context = NULL, *weights = NULL;
  if (!room) return fv_graph_fail(g, FV_FAIL(FV_ERR_MEMORY, "darnn: no memory for %lld steps", (long long)steps));
  fv_value *states = encode(g, s, past, room);
  scorer attention = new_scorer(g, "temporal_attention", states, m, m);
  cell k = new_cell(g, "decoder", channels, m);
  fv_scope_push(g, "decoder.input");
  fv_value *w = fv_param(g, "weight", FV_SHAPE(channels, channels + m), (fv_init){.kind = FV_INIT_KAIMING_UNIFORM},
                         FV_GROUP_DECAY);
  fv_value *b = fv_param(g, "bias", FV_SHAPE(channels), (fv_init){.kind = FV_INIT_ZEROS}, FV_GROUP_NO_DECAY);
  fv_scope_pop(g);
  for (int64_t t = 0; t < steps; t++) {
    weights = weights_of(g, &attention, &k);
    context = fv_weigh(g, weights, states);
    fv_value *both = fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, row_of(g, past, t), context);
    step(g, &k, fv_project(g, both, w, b));
  }
  fv_tap(g, "rows", FV_TAP_ROWS, fv_reshape(g, weights, FV_SHAPE(n, 1, steps)));
  fv_value *end = fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, fv_reshape(g, k.h, FV_SHAPE(n, m)), context);
  end = fv_linear(g, fv_linear(g, end, m, .name = "output"), task->horizon * channels, .name = "head");
  return fv_reshape(g, end, FV_SHAPE(n, task->horizon, channels));
}
