/* SPDX-License-Identifier: Apache-2.0 */
/* transformer.c: positions and layers of transformer.h. An attention's three input projections are rows of one matrix,
 * as PyTorch keeps them; a memory's keys and values are one product of its lower two thirds. */
#include "attention/transformer.h"

#include "attention/compose.h"
#include "ops/concat.h"
#include "ops/linear.h"
#include "ops/lookup.h"
#include "ops/slice.h"

#include <math.h>

const char *const fv_position_names[] = {"sinusoidal", "learned", "rotary", NULL};

/* ---- positions --------------------------------------------------------------------------------------------------- */
/* A constant [rows, columns] of the graph's real type, of at(row, column, columns). */
static fv_value *table_of(fv_graph *g, int64_t rows, int64_t columns, double (*at)(int64_t, int64_t, int64_t)) {
  const size_t size = fv_dtype_size(g->real);
  char *v = fv_arena_alloc(g->arena, (size_t)FV_MAX(rows * columns, 1) * size);
  if (!v)
    return fv_graph_fail(g, FV_FAIL(FV_ERR_MEMORY, "positions: expected memory for %lld, got none", (long long)rows));
  for (int64_t i = 0; i < rows * columns; i++) {
    const double x = at(i / columns, i % columns, columns);
    const float f = (float)x;
    memcpy(v + (size_t)i * size, g->real == FV_F64 ? (const void *)&x : (const void *)&f, size);
  }
  return fv_const_data(g, g->real, FV_SHAPE(rows, columns), v);
}

/* sin of even columns, cos of odd ones, wave lengths from 2 pi to 10000 2 pi. */
static double sinusoid(int64_t place, int64_t i, int64_t width) {
  const double angle = (double)place * pow(10000, -(double)(i / 2 * 2) / (double)width);
  return i % 2 ? cos(angle) : sin(angle);
}
static double turn_angle(int64_t place, int64_t i, int64_t half) {
  return (double)place * pow(10000, -(double)i / (double)half);
}
static double turn_cos(int64_t place, int64_t i, int64_t half) { return cos(turn_angle(place, i, half)); }
static double turn_sin(int64_t place, int64_t i, int64_t half) { return sin(turn_angle(place, i, half)); }

/* The rows of `table` that stand for the places of [N,T,...]: [T,width], or [N,T,width] when they are told. */
static fv_value *rows_of(fv_graph *g, fv_value *table, const fv_places *p, int64_t t) {
  if (p->at) return fv_op(g, "embedding", NULL, table, p->at);
  return fv_dim(table, 0) == t ? table : fv_slice_of(g, table, 0, 0, t);
}

fv_value *fv_add_places(fv_graph *g, fv_value *x, const fv_places *p, const char *name) {
  const int64_t t = fv_dim(x, 1), e = fv_dim(x, 2), rows = p->at ? p->most : t;
  fv_value *table = NULL;
  if (p->kind == FV_POSITIONS_ROTARY) return x;
  if (p->kind == FV_POSITIONS_LEARNED) {
    fv_scope_push(g, "%s", name);
    table =
        fv_param(g, "weight", FV_SHAPE(p->most, e), (fv_init){.kind = FV_INIT_NORMAL, .a = 0.02}, FV_GROUP_NO_DECAY);
    fv_scope_pop(g);
  } else
    table = table_of(g, rows, e, sinusoid);
  return fv_add(g, x, rows_of(g, table, p, t));
}

fv_value *fv_turn_heads(fv_graph *g, fv_value *heads, const fv_places *p) {
  const int64_t n = p->at ? fv_dim(heads, 0) : 1, t = fv_dim(heads, 1), half = fv_dim(heads, 3) / 2;
  const int64_t rows = p->at ? p->most : t;
  fv_value *c = fv_reshape(g, rows_of(g, table_of(g, rows, half, turn_cos), p, t), FV_SHAPE(n, t, 1, half));
  fv_value *s = fv_reshape(g, rows_of(g, table_of(g, rows, half, turn_sin), p, t), FV_SHAPE(n, t, 1, half));
  fv_value *a = fv_slice_of(g, heads, 3, 0, half), *b = fv_slice_of(g, heads, 3, half, half);
  fv_value *left = fv_op(g, "sub", NULL, fv_mul(g, a, c), fv_mul(g, b, s));
  fv_value *right = fv_add(g, fv_mul(g, b, c), fv_mul(g, a, s));
  return fv_op(g, "concat", &(fv_concat_attrs){.axis = 3}, left, right);
}

/* ---- attention --------------------------------------------------------------------------------------------------- */
static fv_heads heads_of(fv_graph *g, const char *name, int64_t e) {
  fv_scope_push(g, "%s", name);
  const fv_heads h = fv_heads_params(g, e);
  fv_scope_pop(g);
  return h;
}

/* Rows first E .. (first+n) E of the input projections, of x [N,T,E]: [N,T,nE]. */
static fv_value *project_in(fv_graph *g, const fv_heads *h, fv_value *x, int64_t first, int64_t n) {
  const int64_t e = fv_dim(x, 2);
  fv_value *w = n == 3 ? h->w : fv_slice_of(g, h->w, 0, first * e, n * e);
  fv_value *b = n == 3 ? h->b : fv_slice_of(g, h->b, 0, first * e, n * e);
  return fv_op(g, "linear", NULL, x, w, b);
}

static fv_value *split_heads(fv_graph *g, fv_value *x, int64_t n) {
  return fv_reshape(g, x, FV_SHAPE(fv_dim(x, 0), fv_dim(x, 1), n, fv_dim(x, 2) / n));
}
static fv_value *join_heads(fv_graph *g, fv_value *x) {
  return fv_reshape(g, x, FV_SHAPE(fv_dim(x, 0), fv_dim(x, 1), fv_dim(x, 2) * fv_dim(x, 3)));
}

/* q, k, v [N,T or S,H,D]; the result projected. `tap`: the weights are marked by that name. */
static fv_value *attend(fv_graph *g, const fv_heads *h, fv_value *const qkv[3], fv_value *mask, bool causal,
                        const char *tap, const fv_transformer_args *a) {
  fv_value *in[FV_SDPA_INPUTS], *out[2];
  for (int i = 0; i < FV_SDPA_INPUTS; i++) in[i] = i < 3 ? qkv[i] : fv_absent(g);
  if (mask) in[FV_SDPA_MASK] = mask;
  fv_sdpa_attrs attrs = {.causal = causal};
  fv_attend(g, &attrs, in, out);
  if (tap) fv_tap(g, tap, FV_TAP_WEIGHTS, out[1]);
  if (a->training && a->dropout > 0) {
    attrs.p = a->dropout;
    attrs.stream = g->n_nodes;
    in[FV_SDPA_RNG] = fv_rng_input(g);
    out[0] = fv_op_apply(g, "sdpa", &attrs, FV_SDPA_INPUTS, in);
  }
  return fv_op(g, "linear", NULL, join_heads(g, out[0]), h->wo, h->bo);
}

/* x joined to the places before it. */
static fv_value *after(fv_graph *g, fv_value *before, fv_value *x) {
  return fv_op(g, "concat", &(fv_concat_attrs){.axis = 1}, before, x);
}

static fv_value *attend_itself(fv_graph *g, fv_value *x, bool decoder, const fv_transformer_args *a) {
  const int64_t e = fv_dim(x, 2);
  const fv_heads h = heads_of(g, "self_attn", e);
  fv_value *all = project_in(g, &h, x, 0, 3), *part[3], *mask = decoder ? NULL : a->mask;
  for (int i = 0; i < 3; i++) part[i] = split_heads(g, fv_slice_of(g, all, 2, i * e, e), a->heads);
  for (int i = 0; i < 2 && a->rotary; i++) part[i] = fv_turn_heads(g, part[i], a->rotary);
  if (a->cache) {
    a->cache->new_k = join_heads(g, part[1]);
    a->cache->new_v = join_heads(g, part[2]);
    part[1] = split_heads(g, after(g, a->cache->k, a->cache->new_k), a->heads);
    part[2] = split_heads(g, after(g, a->cache->v, a->cache->new_v), a->heads);
    mask = a->cache->seen;
  }
  return attend(g, &h, part, mask, decoder && !a->cache, decoder ? NULL : "self_attn.weights", a);
}

fv_memory fv_decoder_memory(fv_graph *g, fv_value *memory) {
  const int64_t e = fv_dim(memory, 2);
  const fv_heads h = heads_of(g, "multihead_attn", e);
  fv_value *both = project_in(g, &h, memory, 1, 2);
  return (fv_memory){.k = fv_slice_of(g, both, 2, 0, e), .v = fv_slice_of(g, both, 2, e, e)};
}

static fv_value *attend_memory(fv_graph *g, fv_value *x, const fv_memory *m, const fv_transformer_args *a) {
  const fv_heads h = heads_of(g, "multihead_attn", fv_dim(x, 2));
  fv_value *part[3] = {split_heads(g, project_in(g, &h, x, 0, 1), a->heads), split_heads(g, m->k, a->heads),
                       split_heads(g, m->v, a->heads)};
  return attend(g, &h, part, a->mask, false, "multihead_attn.weights", a);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */
static fv_value *added(fv_graph *g, fv_value *x, fv_value *y, const fv_transformer_args *a) {
  return fv_add(g, x, fv_dropout(g, y, a->dropout, a->training));
}

static fv_value *net(fv_graph *g, fv_value *x, const fv_transformer_args *a) {
  const int64_t e = fv_dim(x, 2);
  const fv_linear_args xavier = {.init = {.kind = FV_INIT_XAVIER_UNIFORM}};
  fv_value *y = fv_relu(g, fv_linear(g, x, a->hidden, .name = "linear1", .init = xavier.init));
  return fv_linear(g, fv_dropout(g, y, a->dropout, a->training), e, .name = "linear2", .init = xavier.init);
}

fv_value *fv_encoder_layer(fv_graph *g, fv_value *x, const fv_transformer_args *a) {
  x = added(g, x, attend_itself(g, fv_layer_norm(g, x, "norm1"), false, a), a);
  return added(g, x, net(g, fv_layer_norm(g, x, "norm2"), a), a);
}

fv_value *fv_decoder_layer(fv_graph *g, fv_value *x, const fv_memory *memory, const fv_transformer_args *a) {
  x = added(g, x, attend_itself(g, fv_layer_norm(g, x, "norm1"), true, a), a);
  x = added(g, x, attend_memory(g, fv_layer_norm(g, x, "norm2"), memory, a), a);
  return added(g, x, net(g, fv_layer_norm(g, x, "norm3"), a), a);
}
