/* SPDX-License-Identifier: Apache-2.0 */
/* additive_score: tiles of tokens against panels of the weight (cpu/panels.h). A block of sums gets its bias and query,
 * goes through tanh and is weighed while it is in registers; what is left is one vector a token, folded at the end. A
 * unit is a tile. */
#include "cpu/additive.h"

enum { TILE = 96 }; /* tokens: a multiple of every PANEL_ROWS */

static int64_t panel_bytes(const fv_node *n) {
  fv_additive_size s = fv_additive_size_of(n);
  return panels_size(s.e, s.a) * (int64_t)sizeof(float);
}
static int64_t packed(const fv_node *n, int i) { return i == FV_ADDITIVE_WEIGHT ? panel_bytes(n) : 0; }
static void pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i;
  (void)state;
  fv_additive_size s = fv_additive_size_of(n);
  panels_pack_transposed(src->data, s.e, s.a, dst);
}

/* Room for the panels of a weight that nobody packs; parameters are packed once a step, and a node without scratch can
 * be split. */
static int64_t scratch(const fv_node *n) {
  bool own = fv_additive_size_of(n).weight > 0 && n->in[FV_ADDITIVE_WEIGHT]->kind != FV_VALUE_PARAM;
  return own ? panel_bytes(n) : 0;
}
static int64_t units(const fv_node *n) {
  fv_additive_size s = fv_additive_size_of(n);
  return fv_ceil_div(s.b * s.t, TILE);
}

PANEL_INLINE void score_block(const additive_layer *l, additive_source source, int64_t row, int64_t unit, int rows,
                              bool whole, float *sums, float *keep) {
  panel_block h;
  if (unit == 0) panel_fetch(l->x + (row + rows) * l->s.e, rows * l->s.e);
  additive_block(l, source, row, unit, rows, whole, &h);
  for (int r = 0; r < rows; r++) {
    fv_f32v sum = fv_vload(sums + r * FV_W);
    for (int v = 0; v < PANEL_VECTORS; v++) {
      int64_t lanes = panel_lanes(l->s.a, unit, v, whole);
      if (keep) panel_store(keep + (row + r) * l->s.a, unit, v, lanes, h.v[r][v]);
      if (lanes < FV_W) h.v[r][v] = fv_vmasked(fv_mfirst(lanes), h.v[r][v]); /* NaN may stand beyond */
      sum = fv_vfma(h.v[r][v], panel_load(l->v, unit, v, lanes), sum);
    }
    fv_vstore(sums + r * FV_W, sum);
  }
}

PANEL_INLINE void score_tile(const additive_layer *l, additive_source source, int64_t first, int64_t last, float *e,
                             float *keep) {
  float sums[TILE * FV_W] = {0};
#define STEP(row, rows, unit, whole) \
  score_block(l, source, row, unit, rows, whole, sums + ((row) - first) * FV_W, keep)
  if (source == ADDITIVE_PANELS) PANEL_BY_COLUMNS(first, last, l->s.a, STEP);
  if (source == ADDITIVE_PROJECTED) PANEL_BY_ROWS(first, last, l->s.a, STEP);
  for (int64_t row = first; source == ADDITIVE_PLAIN && row < last; row++) PANEL_COLUMNS_OF(row, 1, l->s.a, STEP);
#undef STEP
  for (int64_t row = first; row < last; row++) e[row] = fv_vsum(fv_vload(sums + (row - first) * FV_W));
}

static void run(const fv_call *c) {
  additive_layer l = additive_layer_of(c);
  float *e = c->out[0].data, *keep = ((const fv_additive_score_attrs *)c->attrs)->keep ? c->out[1].data : NULL;
  if (c->packed & 1u << FV_ADDITIVE_WEIGHT) l.panels = l.weight;
  else if (l.weight && c->scratch) {
    panels_pack_transposed(l.weight, l.s.e, l.s.a, c->scratch);
    l.panels = c->scratch;
  }
  if (l.panels) l.source = ADDITIVE_PANELS;
  for (int64_t u = c->begin; u < c->end; u++) {
    int64_t first = u * TILE, last = FV_MIN(first + TILE, l.s.b * l.s.t);
    if (l.source == ADDITIVE_PANELS) score_tile(&l, ADDITIVE_PANELS, first, last, e, keep);
    else if (l.source == ADDITIVE_PLAIN) score_tile(&l, ADDITIVE_PLAIN, first, last, e, keep);
    else score_tile(&l, ADDITIVE_PROJECTED, first, last, e, keep);
  }
}

const fv_kernel FV_KERNELS(additive_score)[] = {
    {.op = "additive_score", .name = "fused", .isa = FV_ISA_LEVEL, .priority = 10, .can = additive_can,
     .scratch = scratch, .units = units, .packed = packed, .pack = pack, .run = run},
    {0}};
