/* SPDX-License-Identifier: Apache-2.0 */
/* translate_recurrent.c: a bidirectional encoder and a decoder that looks back at it in every step: GRU with additive
 * attention (Bahdanau et al. 2015), LSTM with multiplicative attention and input feeding (Luong et al. 2015). The first
 * state comes from where the encoder ended up reading backwards, at the first word. */
#include "attention/decoder.h"
#include "models/translate.h"
#include "ops/concat.h"
#include "ops/slice.h"

static bool is_gru(const fv_translation *t) { return t->s->cell == FV_CELL_GRU; }
static bool training(const fv_translation *t) { return t->mode == FV_MODE_TRAIN; }

static fv_value *enter(const fv_translation *t, fv_value *tokens, bool written) {
  return fv_dropout(t->g, fv_translate_embed(t, tokens, written), t->s->dropout, training(t));
}

static fv_value *encode(const fv_translation *t) {
  fv_value *x = enter(t, t->source, false);
  x = fv_recurrent_net(t->g, x, t->s->hidden / 2, .name = "encoder", .gru = is_gru(t), .bidirectional = true,
                       .layers = t->s->layers, .dropout = t->s->dropout, .training = training(t),
                       .lengths = fv_token_lengths(t->g, t->source));
  return fv_dropout(t->g, x, t->s->dropout, training(t));
}

static fv_decoder decoder_of(const fv_translation *t, fv_value *memory, fv_value *projected) {
  fv_scope_push(t->g, "decoder");
  const fv_decoder d =
      fv_decoder_new(t->g, is_gru(t), t->s->width, t->s->hidden, t->s->width, memory, t->mask, projected);
  fv_scope_pop(t->g);
  return d;
}

static fv_decoder_state first_of(const fv_translation *t, const fv_decoder *d) {
  const int64_t half = fv_dim(d->memory, 2) / 2;
  fv_value *at_first = fv_reshape(t->g, fv_slice_of(t->g, d->memory, 1, 0, 1), FV_SHAPE(t->n, 2 * half));
  fv_scope_push(t->g, "decoder");
  const fv_decoder_state s = fv_decoder_first(d, fv_slice_of(t->g, at_first, 1, half, half));
  fv_scope_pop(t->g);
  return s;
}

/* gru: of the state, what it found and the token before; lstm: the step's own output. */
static fv_value *logits_of(const fv_translation *t, fv_value *h, fv_value *found, fv_value *x) {
  const int axis = fv_value_shape(h).ndim - 1;
  if (is_gru(t)) {
    h = fv_op(t->g, "concat", &(fv_concat_attrs){.axis = axis}, h, found, x);
    h = fv_op(t->g, "tanh", NULL, fv_linear(t->g, h, t->s->width, .name = "readout"));
  }
  return fv_translate_logits(t, fv_dropout(t->g, h, t->s->dropout, training(t)));
}

static fv_value *whole(const fv_translation *t, fv_value *target) {
  const fv_decoder d = decoder_of(t, encode(t), NULL);
  fv_value *x = enter(t, target, true), *h, *found, *alpha;
  fv_decoder_run(&d, first_of(t, &d), x, &h, &found, &alpha);
  fv_tap(t->g, "alignment", FV_TAP_WEIGHTS, alpha);
  return logits_of(t, h, found, x);
}

static void encode_for_steps(const fv_translation *t) {
  const fv_decoder d = decoder_of(t, encode(t), NULL);
  const fv_decoder_state s = first_of(t, &d);
  fv_translate_output(t, "keep.memory", 0, d.memory);
  fv_translate_output(t, "keep.projected", 0, d.projected);
  fv_translate_output(t, "carry.h", 0, s.h);
  if (is_gru(t)) return;
  fv_translate_output(t, "carry.c", 0, s.c);
  fv_translate_output(t, "carry.feed", 0, s.feed);
}

static fv_value *step(const fv_translation *t, fv_value *token) {
  const int64_t n = t->n, S = t->task->length, H = t->s->hidden, e = t->s->width;
  fv_value *memory = fv_translate_input(t, "keep.memory", 0, FV_SHAPE(n, S, H / 2 * 2));
  fv_value *projected = fv_translate_input(t, "keep.projected", 0, FV_SHAPE(n, S, H));
  const fv_decoder d = decoder_of(t, memory, projected);
  fv_decoder_state s = {.h = fv_translate_input(t, "carry.h", 0, FV_SHAPE(n, H))};
  if (!is_gru(t)) {
    s.c = fv_translate_input(t, "carry.c", 0, FV_SHAPE(n, H));
    s.feed = fv_translate_input(t, "carry.feed", 0, FV_SHAPE(n, e));
  }
  fv_value *x = enter(t, token, true), *found, *alpha;
  s = fv_decoder_step(&d, &s, fv_decoder_inputs(&d, x), &found, &alpha);
  fv_output(t->g, "alignment", alpha);
  fv_translate_output(t, "carry.h", 0, s.h);
  if (is_gru(t)) return logits_of(t, s.h, found, x);
  fv_translate_output(t, "carry.c", 0, s.c);
  fv_translate_output(t, "carry.feed", 0, s.feed);
  return logits_of(t, s.feed, NULL, x);
}

const fv_translate_net fv_translate_recurrent = {whole, encode_for_steps, step};
