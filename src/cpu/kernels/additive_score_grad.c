/* SPDX-License-Identifier: Apache-2.0 */
/* additive_score_grad: a tile of tokens at a time. The tile's hidden layer is computed again (or read), becomes the
 * gradient of its sums in scratch memory, and that meets the weight (dx) and the tokens (dw) while it is near. Sums
 * over tokens go tile by tile, one after the other: one order, whatever the threads. */
#include "cpu/additive.h"

/* Rows of a block of dx or dw: eight divide the usual widths, and their addresses fit the registers. */
enum { ROWS = FV_MIN(PANEL_ROWS, 8) };
enum { TILE = 192 }; /* tokens: enough to pay for touching all of dw once a tile */

typedef struct places {
  int64_t pitch;              /* floats from one token's sums to the next's */
  int64_t back, du, x, total; /* floats: where each begins, after the panels for the hidden layer */
} places;

static const fv_additive_score_grad_attrs *wants(const fv_node *n) { return n->attrs; }

/* Panels of the weight for the hidden layer, and for dx behind them. */
static int64_t forward_floats(const fv_additive_size *s) {
  return s->weight > 0 && s->hidden < 0 ? panels_size(s->e, s->a) : 0;
}
static int64_t back_floats(const fv_node *n, const fv_additive_size *s) {
  return s->weight > 0 && wants(n)->dx ? panels_size(s->a, s->e) : 0;
}

static places places_of(const fv_node *n) {
  fv_additive_size s = fv_additive_size_of(n);
  places p = {.pitch = fv_round_up(s.a, PANEL) + FV_W}; /* no power of two: rows must not fall on the same cache sets */
  p.back = forward_floats(&s);
  p.du = p.back + back_floats(n, &s);
  p.x = p.du + (s.weight > 0 ? TILE * p.pitch + PANEL_ROWS : 0);
  p.total = p.x + (s.weight > 0 && wants(n)->dw ? TILE * PANEL : 0);
  return p;
}
static int64_t scratch(const fv_node *n) { return places_of(n).total * (int64_t)sizeof(float); }

static void pack_weight(const fv_node *n, const float *weight, float *to) {
  fv_additive_size s = fv_additive_size_of(n);
  if (s.hidden < 0) panels_pack_transposed(weight, s.e, s.a, to);
  to += forward_floats(&s);
  for (int64_t col = 0; col < s.e && wants(n)->dx; col += PANEL) panel_pack(weight, s.a, s.e, col, to + col * s.a);
}
static int64_t packed(const fv_node *n, int i) {
  fv_additive_size s = fv_additive_size_of(n);
  return i == FV_ADDITIVE_GRAD_WEIGHT ? (forward_floats(&s) + back_floats(n, &s)) * (int64_t)sizeof(float) : 0;
}
static void pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i;
  (void)state;
  pack_weight(n, src->data, dst);
}

typedef struct job {
  additive_layer l;
  const float *de, *back;
  float *dx, *dv, *dw, *dq; /* dx, dw: NULL when not wanted */
  float *du, *x;            /* the tile's */
  int64_t pitch;
} job;

PANEL_INLINE void add_lanes(float *row, int64_t unit, int v, int64_t lanes, fv_f32v x) {
  panel_store(row, unit, v, lanes, panel_load(row, unit, v, lanes) + x);
}

/* du of a block of units and tokens, and what it adds to dv and dq. `to`: the row of du of the first token, or NULL;
 * `together`: the tokens are of one item. */
PANEL_INLINE void send_block(const job *j, additive_source source, int64_t row, int64_t unit, int rows, bool whole,
                             bool together, float *to) {
  const int64_t a = j->l.s.a, t = j->l.s.t;
  panel_block h;
  if (source == ADDITIVE_HIDDEN && unit == 0) panel_fetch(j->l.hidden + (row + rows) * a, rows * a);
  additive_block(&j->l, source, row, unit, rows, whole, &h);
  for (int v = 0; v < PANEL_VECTORS; v++) {
    int64_t lanes = panel_lanes(a, unit, v, whole), item = row / t, next = (item + 1) * t;
    fv_f32v one = fv_vsplat(1), weigh = panel_load(j->l.v, unit, v, lanes), dv = fv_vzero(), dq = fv_vzero();
    for (int r = 0; r < rows; r++) {
      if (!together && row + r == next) {
        add_lanes(j->dq + item * a, unit, v, lanes, dq);
        dq = fv_vzero(), item++, next += t;
      }
      fv_f32v x = h.v[r][v], de = fv_vsplat(j->de[row + r]), size = fv_vabs(x);
      fv_f32v du = de * weigh * (one - size) * (one + size);
      dv = fv_vfma(de, x, dv);
      dq += du;
      if (to) panel_store(to + r * j->pitch, unit, v, lanes, du);
    }
    add_lanes(j->dq + item * a, unit, v, lanes, dq);
    add_lanes(j->dv, unit, v, lanes, dv);
  }
}

PANEL_INLINE void send_tile(const job *j, additive_source source, int64_t first, int64_t last) {
  float *to = j->du ? j->du : j->dx ? j->dx + first * j->l.s.a : NULL;
#define STEP(row, rows, unit, whole)                                                                 \
  do {                                                                                               \
    float *to_ = to ? to + ((row) - first) * j->pitch : NULL;                                        \
    if ((row) % j->l.s.t + (rows) <= j->l.s.t) send_block(j, source, row, unit, rows, whole, true, to_); \
    else send_block(j, source, row, unit, rows, whole, false, to_);                                  \
  } while (0)
  if (source == ADDITIVE_PANELS) PANEL_BY_COLUMNS(first, last, j->l.s.a, STEP);
  else PANEL_BY_ROWS(first, last, j->l.s.a, STEP);
#undef STEP
}

/* dx of the tile, columns [col, col + PANEL), or the one vector of them that there is: du W. */
PANEL_INLINE void token_panel(const job *j, int64_t first, int64_t last, int64_t col, int vectors) {
  const int64_t e = j->l.s.e, a = j->l.s.a;
  for (int64_t row = first; row < last; row += ROWS) {
    panel_block s;
    for (int64_t r = 0; r < FV_MIN(last - row, ROWS); r++) { /* what is written below, and what dw reads next */
      for (int v = 0; v < vectors; v++) __builtin_prefetch(j->dx + (row + r) * e + col + v * FV_W, 1);
      panel_fetch(j->l.x + (row + r) * e + col, PANEL);
    }
    panel_product(j->du + (row - first) * j->pitch, j->pitch, 1, j->back + col * a, a, ROWS, vectors, &s);
    for (int r = 0; r < ROWS && row + r < last; r++)
      for (int v = 0; v < vectors; v++)
        panel_store(j->dx + (row + r) * e, col, v, panel_lanes(e, col, v, false), s.v[r][v]);
  }
}

/* dw += du' x over the tile, the same columns; the first tile sets it. */
PANEL_INLINE void weight_panel(const job *j, int64_t first, int64_t last, int64_t col, int vectors) {
  const int64_t e = j->l.s.e, a = j->l.s.a;
  panel_pack(j->l.x + first * e, last - first, e, col, j->x);
  for (int64_t unit = 0; unit < a; unit += ROWS) {
    panel_block s;
    int64_t rows = FV_MIN(a - unit, ROWS);
    for (int64_t r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) __builtin_prefetch(j->dw + (unit + r) * e + col + v * FV_W, 1);
    panel_product(j->du + unit, 1, j->pitch, j->x, last - first, ROWS, vectors, &s);
    for (int r = 0; r < ROWS && r < rows; r++)
      for (int v = 0; v < vectors; v++) {
        int64_t lanes = panel_lanes(e, col, v, false);
        float *to = j->dw + (unit + r) * e;
        if (first > 0) add_lanes(to, col, v, lanes, s.v[r][v]);
        else panel_store(to, col, v, lanes, s.v[r][v]);
      }
  }
}

/* STEP for each panel of columns. */
#define EACH_PANEL(j, first, last, STEP)                                             \
  for (int64_t col = 0, e = (j)->l.s.e; col < e; col += PANEL) {                     \
    if (e - col > FV_W) STEP(j, first, last, col, PANEL_VECTORS);                    \
    else STEP(j, first, last, col, 1);                                               \
  }
static void token_tile(const job *j, int64_t first, int64_t last) { EACH_PANEL(j, first, last, token_panel) }
static void weight_tile(const job *j, int64_t first, int64_t last) { EACH_PANEL(j, first, last, weight_panel) }

static void tile(const job *j, int64_t first, int64_t last) {
  switch (j->l.source) {
    case ADDITIVE_PANELS: send_tile(j, ADDITIVE_PANELS, first, last); break;
    case ADDITIVE_PROJECTED: send_tile(j, ADDITIVE_PROJECTED, first, last); break;
    case ADDITIVE_HIDDEN: send_tile(j, ADDITIVE_HIDDEN, first, last); break;
    case ADDITIVE_PLAIN: break; /* never: there is scratch memory for panels */
  }
  if (j->du && j->dx) token_tile(j, first, last);
  if (j->dw) weight_tile(j, first, last);
}

static job job_of(const fv_call *c) {
  const fv_additive_score_grad_attrs *want = c->attrs;
  job j = {.l = additive_layer_of(c), .de = c->in[FV_ADDITIVE_GRAD_DE].data};
  j.dx = want->dx ? c->out[FV_ADDITIVE_DX].data : NULL;
  j.dv = c->out[FV_ADDITIVE_DV].data;
  j.dw = want->dw && j.l.weight ? c->out[FV_ADDITIVE_DW].data : NULL;
  j.dq = c->out[FV_ADDITIVE_DQ].data;
  j.pitch = j.l.s.a;
  if (!j.l.weight) return j;
  bool own = !(c->packed & 1u << FV_ADDITIVE_GRAD_WEIGHT);
  places p = places_of(c->node);
  float *base = c->scratch;
  if (own) pack_weight(c->node, j.l.weight, base);
  const float *panels = own ? base : j.l.weight;
  j.l.panels = panels;
  j.back = panels + p.back;
  j.du = base + p.du;
  j.x = base + p.x;
  j.pitch = p.pitch;
  if (!j.l.hidden) j.l.source = ADDITIVE_PANELS;
  return j;
}

static void run(const fv_call *c) {
  job j = job_of(c);
  const fv_additive_size *s = &j.l.s;
  memset(j.dv, 0, (size_t)s->a * sizeof *j.dv);
  memset(j.dq, 0, (size_t)(s->b * s->a) * sizeof *j.dq);
  for (int64_t first = 0; first < s->b * s->t; first += TILE) tile(&j, first, FV_MIN(first + TILE, s->b * s->t));
}

const fv_kernel FV_KERNELS(additive_score_grad)[] = {
    {.op = "additive_score_grad", .name = "fused", .isa = FV_ISA_LEVEL, .priority = 10, .can = additive_can,
     .scratch = scratch, .packed = packed, .pack = pack, .run = run},
    {0}};
