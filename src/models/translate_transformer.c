/* SPDX-License-Identifier: Apache-2.0 */
/* translate_transformer.c: the network of Vaswani et al. 2017, norms first. A step reads the keys and values of earlier
 * places from caches ("cache.k.LAYER", "cache.v.LAYER") and those of the source from what was kept ("keep.k.LAYER"). */
#include "models/translate.h"

static fv_transformer_args args_of(const fv_translation *t, const fv_places *places) {
  const fv_translate *s = t->s;
  return (fv_transformer_args){.heads = s->heads, .hidden = s->hidden, .dropout = s->dropout,
                               .training = t->mode == FV_MODE_TRAIN, .mask = t->mask,
                               .rotary = s->positions == FV_POSITIONS_ROTARY ? places : NULL};
}

static fv_value *enter(const fv_translation *t, fv_value *tokens, bool written, const fv_places *places) {
  fv_value *x = fv_translate_embed(t, tokens, written);
  x = fv_add_places(t->g, x, places, written ? "decoder.positions" : "encoder.positions");
  return fv_dropout(t->g, x, t->s->dropout, t->mode == FV_MODE_TRAIN);
}

static fv_places places_of(const fv_translation *t, fv_value *at) {
  return (fv_places){.kind = (fv_positions)t->s->positions, .most = t->task->longest, .at = at};
}

static fv_value *encode(const fv_translation *t) {
  const fv_places places = places_of(t, NULL);
  const fv_transformer_args a = args_of(t, &places);
  fv_value *x = enter(t, t->source, false, &places);
  for (int64_t i = 0; i < t->s->layers; i++) {
    fv_scope_push(t->g, "encoder.layers.%d", (int)i);
    x = fv_encoder_layer(t->g, x, &a);
    fv_scope_pop(t->g);
  }
  return fv_layer_norm(t->g, x, "encoder.norm");
}

static fv_value *whole(const fv_translation *t, fv_value *target) {
  const fv_places places = places_of(t, NULL);
  const fv_transformer_args a = args_of(t, &places);
  fv_value *memory = encode(t), *x = enter(t, target, true, &places);
  for (int64_t i = 0; i < t->s->layers; i++) {
    fv_scope_push(t->g, "decoder.layers.%d", (int)i);
    const fv_memory m = fv_decoder_memory(t->g, memory);
    x = fv_decoder_layer(t->g, x, &m, &a);
    fv_scope_pop(t->g);
  }
  return fv_translate_logits(t, fv_layer_norm(t->g, x, "decoder.norm"));
}

static void encode_for_steps(const fv_translation *t) {
  fv_value *memory = encode(t);
  for (int64_t i = 0; i < t->s->layers; i++) {
    fv_scope_push(t->g, "decoder.layers.%d", (int)i);
    const fv_memory m = fv_decoder_memory(t->g, memory);
    fv_scope_pop(t->g);
    fv_translate_output(t, "keep.k", i, m.k);
    fv_translate_output(t, "keep.v", i, m.v);
  }
}

/* What the heads of the last layer looked at, on average. */
static fv_value *alignment(const fv_translation *t) {
  const fv_named_list *taps = &t->g->taps;
  if (taps->n == 0) return NULL;
  fv_value *mean = fv_reduce(t->g, "mean", taps->v[taps->n - 1].value, FV_SHAPE(1), false); /* [n,H,1,S] */
  return fv_reshape(t->g, mean, FV_SHAPE(t->n, t->task->length));
}

static fv_value *step(const fv_translation *t, fv_value *token) {
  const int64_t n = t->n, e = t->s->width, most = t->task->places;
  fv_value *at = fv_reshape(t->g, fv_input(t->g, "place", FV_I32, FV_SHAPE(n)), FV_SHAPE(n, 1));
  fv_value *seen = fv_input(t->g, "seen", FV_U8, FV_SHAPE(n, most + 1));
  const fv_places places = places_of(t, at);
  fv_transformer_args a = args_of(t, &places);
  fv_value *x = enter(t, fv_reshape(t->g, token, FV_SHAPE(n, 1)), true, &places);
  for (int64_t i = 0; i < t->s->layers; i++) {
    const fv_memory m = {.k = fv_translate_input(t, "keep.k", i, FV_SHAPE(n, t->task->length, e)),
                         .v = fv_translate_input(t, "keep.v", i, FV_SHAPE(n, t->task->length, e))};
    fv_cache cache = {.k = fv_translate_input(t, "cache.k", i, FV_SHAPE(n, most, e)),
                      .v = fv_translate_input(t, "cache.v", i, FV_SHAPE(n, most, e)), .seen = seen};
    a.cache = &cache;
    fv_scope_push(t->g, "decoder.layers.%d", (int)i);
    x = fv_decoder_layer(t->g, x, &m, &a);
    fv_scope_pop(t->g);
    fv_translate_output(t, "cache.k", i, cache.new_k);
    fv_translate_output(t, "cache.v", i, cache.new_v);
  }
  fv_output(t->g, "alignment", alignment(t));
  x = fv_translate_logits(t, fv_layer_norm(t->g, x, "decoder.norm"));
  return fv_reshape(t->g, x, FV_SHAPE(n, t->task->vocabulary[1]));
}

const fv_translate_net fv_translate_transformer = {whole, encode_for_steps, step};
