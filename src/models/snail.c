/* SPDX-License-Identifier: Apache-2.0 */
/* snail.c: SNAIL (Mishra et al., ICLR 2018): convolutions over time gather what came before, attention picks from it.
 * Both only add channels, so that later layers see all that earlier ones made. */
#include "models/snail.h"

#include "attention/compose.h"
#include "ops/lookup.h"
#include "ops/pad.h"
#include "ops/slice.h"
#include "ops/softmax.h"

static int64_t queries_of(const fv_snail_steps *s) { return fv_dim(s->x, 1) - s->support; }

static void add_channels(fv_graph *g, fv_snail_steps *s, fv_value *more) {
  s->x = fv_concat(g, 2, 2, (fv_value *[]){s->x, more});
}

static void *room_for(fv_graph *g, int64_t n, size_t size) {
  void *v = fv_arena_alloc(g->arena, (size_t)FV_MAX(n, 1) * size);
  if (!v) (void)fv_graph_fail(g, FV_FAIL(FV_ERR_MEMORY, "snail: expected memory for %lld steps", (long long)n));
  return v;
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */
/* What is at place i + by of `axis` comes to place i, around the end; `by` may be negative. */
static fv_value *turned(fv_graph *g, fv_value *x, int axis, int64_t by) {
  const int64_t n = fv_dim(x, axis), from = n ? (by % n + n) % n : 0;
  if (from == 0) return x;
  fv_value *ends[] = {fv_slice_of(g, x, axis, from, n - from), fv_slice_of(g, x, axis, 0, from)};
  return fv_concat(g, axis, 2, ends);
}

/* By how many of n places turn i turns. */
static int64_t places_of_turn(int64_t n, int64_t turns, int64_t i) { return i * n / turns; }

/* The mean over turns of x [turns n,Q,K], each turned back along its last axis. */
static fv_value *mean_of_turns(fv_graph *g, fv_value *x, int64_t turns) {
  const int64_t n = fv_dim(x, 0) / turns;
  fv_value *sum = NULL;
  if (turns == 1) return x;
  for (int64_t i = 0; i < turns; i++) {
    fv_value *one = turned(g, fv_slice_of(g, x, 0, i * n, n), 2, -places_of_turn(fv_dim(x, 2), turns, i));
    sum = sum ? fv_add(g, sum, one) : one;
  }
  return fv_mul(g, sum, fv_const(g, 1 / (double)turns));
}

/* ---- convolutions over time -------------------------------------------------------------------------------------- */
/* What came `back` steps before each step, zeros before the first. With that many zeros in front, step i of the support
 * finds it at place i, and each query at place S. */
static fv_value *steps_before(fv_graph *g, const fv_snail_steps *s, int64_t back) {
  const int64_t t = fv_dim(s->x, 1);
  const fv_pad_attrs zeros = {.before = {3, {0, back, 0}}};
  int32_t *place = room_for(g, t, sizeof *place);
  if (!place) return NULL;
  for (int64_t i = 0; i < t; i++) place[i] = (int32_t)FV_MIN(i, s->support);
  return fv_op(g, "index_select", &(fv_index_select_attrs){.axis = 1}, fv_op(g, "pad", &zeros, s->x),
               fv_const_data(g, FV_I32, FV_SHAPE(t), place));
}

/* Weights as of torch.nn.Conv1d; the first half of the channels goes through tanh, the other opens the gate. */
static void dense_block(fv_graph *g, fv_snail_steps *s, int64_t back, int64_t filters) {
  const int64_t c = fv_dim(s->x, 2);
  const fv_init init = {.kind = FV_INIT_KAIMING_UNIFORM},
                bias = {.kind = FV_INIT_UNIFORM, .a = 1 / __builtin_sqrt((double)FV_MAX(2 * c, 1))};
  fv_value *w = fv_param(g, "weight", FV_SHAPE(2 * filters, c, 2), init, FV_GROUP_DECAY);
  fv_value *b = fv_param(g, "bias", FV_SHAPE(2 * filters), bias, FV_GROUP_NO_DECAY);
  w = fv_reshape(g, fv_permute(g, w, FV_SHAPE(0, 2, 1)), FV_SHAPE(2 * filters, 2 * c));
  fv_value *both = fv_concat(g, 2, 2, (fv_value *[]){steps_before(g, s, back), s->x});
  fv_value *y = fv_op(g, "linear", NULL, both, w, b);
  fv_value *what = fv_op(g, "tanh", NULL, fv_slice_of(g, y, 2, 0, filters));
  fv_value *gate = fv_op(g, "sigmoid", NULL, fv_slice_of(g, y, 2, filters, filters));
  add_channels(g, s, fv_mul(g, what, gate));
}

void fv_snail_temporal(fv_graph *g, fv_snail_steps *s, const char *name, int64_t length, int64_t filters) {
  fv_scope_push(g, "%s", name);
  for (int64_t back = 1, i = 0; back < length; back *= 2, i++) {
    fv_scope_push(g, "%d", (int)i);
    dense_block(g, s, back, filters);
    fv_scope_pop(g);
  }
  fv_scope_pop(g);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */
/* [1,T,T]: 0 where a step looks, so far below it elsewhere that nothing is left. */
static fv_value *only_before(fv_graph *g, const fv_snail_steps *s) {
  const int64_t t = fv_dim(s->x, 1);
  uint8_t *hidden = room_for(g, t * t, 1);
  if (!hidden) return NULL;
  for (int64_t i = 0; i < t; i++)
    for (int64_t k = 0; k < t; k++) hidden[i * t + k] = k != i && k >= FV_MIN(i, s->support);
  fv_value *far = fv_const(g, -1e30);
  return fv_mul(g, fv_real(g, fv_const_data(g, FV_U8, FV_SHAPE(1, t, t), hidden)), far);
}

void fv_snail_attention(fv_graph *g, fv_snail_steps *s, const char *name, int64_t keys, int64_t values) {
  const int64_t n = fv_dim(s->x, 0), t = fv_dim(s->x, 1);
  fv_value *none = fv_absent(g), *out[2];
  fv_scope_push(g, "%s", name);
  fv_value *in[] = {fv_linear(g, s->x, keys, .name = "query"), fv_linear(g, s->x, keys, .name = "key"),
                    fv_linear(g, s->x, values, .name = "value"), none, only_before(g, s), none};
  for (int i = 0; i < 3; i++) in[i] = fv_reshape(g, in[i], FV_SHAPE(n, t, 1, fv_dim(in[i], 2)));
  fv_attend(g, &(fv_sdpa_attrs){0}, in, out);
  fv_value *looked = fv_slice_of(g, fv_reshape(g, out[1], FV_SHAPE(n, t, t)), 1, s->support, queries_of(s));
  fv_tap(g, "weights", FV_TAP_SUPPORT, mean_of_turns(g, fv_slice_of(g, looked, 2, 0, s->support), s->turns));
  add_channels(g, s, fv_reshape(g, out[0], FV_SHAPE(n, t, values)));
  fv_scope_pop(g);
}

/* ---- the network ------------------------------------------------------------------------------------------------- */
fv_value *fv_snail(fv_graph *g, fv_snail_steps s, int64_t length, int64_t classes) {
  fv_snail_attention(g, &s, "attention1", 64, 32);
  fv_snail_temporal(g, &s, "temporal1", length, 128);
  fv_snail_attention(g, &s, "attention2", 256, 128);
  fv_snail_temporal(g, &s, "temporal2", length, 128);
  fv_snail_attention(g, &s, "attention3", 512, 256);
  return fv_linear(g, fv_slice_of(g, s.x, 1, s.support, queries_of(&s)), classes, .name = "output");
}

/* [turns n,S+Q,E+K] */
static fv_value *steps_of(fv_graph *g, const fv_snail_episode *e, int64_t turns) {
  const fv_pad_attrs unknown = {.after = {3, {0, fv_dim(e->asked, 1), 0}}};
  const int64_t support = fv_dim(e->shown, 1), classes = fv_dim(e->class, 2);
  fv_value **each = room_for(g, turns, sizeof *each);
  for (int64_t i = 0; each && i < turns; i++) {
    const int64_t by = places_of_turn(support, turns, i);
    fv_value *pictures = fv_concat(g, 1, 2, (fv_value *[]){turned(g, e->shown, 1, by), e->asked});
    fv_value *class = turned(g, turned(g, e->class, 1, by), 2, places_of_turn(classes, turns, i));
    each[i] = fv_concat(g, 2, 2, (fv_value *[]){pictures, fv_op(g, "pad", &unknown, class)});
  }
  return each ? fv_concat(g, 0, turns, each) : NULL;
}

fv_value *fv_snail_classify(fv_graph *g, const fv_snail_episode *e, int64_t length, int64_t turns) {
  const fv_snail_steps steps = {steps_of(g, e, turns), fv_dim(e->shown, 1), turns};
  fv_value *logits = fv_snail(g, steps, length, fv_dim(e->class, 2));
  if (turns == 1) return logits;
  fv_value *p = mean_of_turns(g, fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, logits), turns);
  return fv_op(g, "log", NULL, fv_op(g, "maximum", NULL, p, fv_const(g, 1e-37)));
}
