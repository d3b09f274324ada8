/* SPDX-License-Identifier: Apache-2.0 */
/* additive.h: the hidden layer of additive attention, a block of tokens x units at a time in registers: for the kernels
 * of the score and of its gradient. */
#ifndef FV_CPU_ADDITIVE_H
#define FV_CPU_ADDITIVE_H

#include "cpu/panels.h"
#include "cpu/vmath.h"
#include "ops/additive_score.h"

/* Where the sums of the hidden layer come from. PLAIN: the weight as it is, for the rare call without packed one. */
typedef enum additive_source { ADDITIVE_PANELS, ADDITIVE_PLAIN, ADDITIVE_PROJECTED, ADDITIVE_HIDDEN } additive_source;

typedef struct additive_layer {
  fv_additive_size s;
  additive_source source;
  const float *x, *v, *weight, *panels, *bias, *query, *hidden; /* NULL where absent */
} additive_layer;

/* f32, something to do, and indices that fit a gather. */
static bool additive_can(const fv_node *n) {
  fv_additive_size s = fv_additive_size_of(n);
  return n->in[0]->dtype == FV_F32 && s.b > 0 && s.t > 0 && s.e > 0 && s.a > 0 && s.e < INT32_MAX / FV_W;
}

static const float *additive_in(const fv_call *c, int i) { return i >= 0 ? c->in[i].data : NULL; }

static additive_layer additive_layer_of(const fv_call *c) {
  additive_layer l = {.s = fv_additive_size_of(c->node), .x = c->in[0].data, .v = c->in[1].data};
  l.weight = additive_in(c, l.s.weight);
  l.bias = additive_in(c, l.s.bias);
  l.query = additive_in(c, l.s.query);
  l.hidden = additive_in(c, l.s.hidden);
  l.source = l.hidden ? ADDITIVE_HIDDEN : l.weight ? ADDITIVE_PLAIN : ADDITIVE_PROJECTED;
  return l;
}

/* One row (this source comes row by row) by gathers: the same chains of multiply-adds as in panels, the same bits. */
PANEL_INLINE void additive_plain(const additive_layer *l, const float *x, int64_t unit, panel_block *u) {
  fv_i32v step = fv_imul(fv_ilane(), fv_isplat((int32_t)l->s.e));
  for (int v = 0; v < PANEL_VECTORS; v++) {
    int64_t lanes = panel_lanes(l->s.a, unit, v, false);
    const float *w = l->weight + FV_MIN(unit + v * FV_W, l->s.a - 1) * l->s.e;
    fv_f32v sum = fv_vzero();
    for (int64_t i = 0; i < l->s.e; i++) sum = fv_vfma(fv_vsplat(x[i]), fv_vgather_n(w + i, step, lanes), sum);
    u->v[0][v] = sum;
  }
}

/* What is added to the sums of token `row`, item `item`. */
PANEL_INLINE fv_f32v additive_sum(const additive_layer *l, fv_f32v u, int64_t item, int64_t unit, int v,
                                  int64_t lanes) {
  if (l->bias) u += panel_load(l->bias, unit, v, lanes);
  if (l->query) u += panel_load(l->query + item * l->s.a, unit, v, lanes);
  return u;
}

/* Units [unit, unit + PANEL) of tokens [row, row + rows): the hidden values. `source`, `rows`, `whole`: constants. */
PANEL_INLINE void additive_block(const additive_layer *l, additive_source source, int64_t row, int64_t unit, int rows,
                                 bool whole, panel_block *h) {
  const int64_t a = l->s.a, e = l->s.e;
  const float *from = source == ADDITIVE_HIDDEN ? l->hidden : l->x;
  if (source == ADDITIVE_PANELS) panel_product(l->x + row * e, e, 1, l->panels + unit * e, e, rows, PANEL_VECTORS, h);
  if (source == ADDITIVE_PLAIN) additive_plain(l, l->x + row * e, unit, h);
  if (source == ADDITIVE_PROJECTED || source == ADDITIVE_HIDDEN)
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < PANEL_VECTORS; v++)
        h->v[r][v] = panel_load(from + (row + r) * a, unit, v, panel_lanes(a, unit, v, whole));
  if (source == ADDITIVE_HIDDEN) return;
  int64_t item = row / l->s.t, next = (item + 1) * l->s.t;
  for (int r = 0; r < rows; r++) {
    if (row + r == next) item++, next += l->s.t;
    for (int v = 0; v < PANEL_VECTORS; v++)
      h->v[r][v] = fv_vtanh(additive_sum(l, h->v[r][v], item, unit, v, panel_lanes(a, unit, v, whole)));
  }
}

#endif
