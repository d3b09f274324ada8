/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent_grad.c: back through the steps of lstm and gru: the gradient of the gates' sums of each sequence, then one
 * product of all of them for the states before. What goes to the weights and to x is for products over all steps. */
#include "cpu/kernels/recurrent.h"

/* ---- what lstm_grad and gru_grad differ in ----------------------------------------------------------------------- */
INLINE int gates_of(const bool lstm) { return lstm ? 4 : 3; }
INLINE int weight_at(const bool lstm, int64_t d) {
  return lstm ? d ? FV_LSTM_GRAD_W_HH_REVERSE : 3 : d ? FV_GRU_GRAD_W_HH_REVERSE : 2;
}
INLINE int lengths_at(const bool lstm) { return lstm ? FV_LSTM_GRAD_LENGTHS : FV_GRU_GRAD_LENGTHS; }

typedef struct lane { /* one sequence in one direction, in one step */
  const float *gates, *cell, *h, *c, *dy; /* h, c: before the step; NULL: zeros (dy: no gradient) */
  float *dh, *dc, *dx, *dm, *before;      /* dx, dm: of the sums on the input's and the state's side (lstm: the same) */
  float *sums;                            /* dm once more, in a row of scratch */
} lane;

typedef struct layer { /* of one direction */
  fv_recurrent r;
  int64_t d, b0, b1;
  weights w_hh;
  float *sums; /* rows of scratch, one a sequence */
} layer;

/* ---- the gates' functions ---------------------------------------------------------------------------------------- */
static void lstm_cell(const lane *l, int64_t H) {
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v dh = load(l->dh + j, n) + load_or_zero(l->dy, j, n);
    fv_f32v v[4], d[4], dc = load(l->dc + j, n);
    for (int k = 0; k < 4; k++) v[k] = load(l->gates + k * H + j, n);
    lstm_gates_back(v, load_or_zero(l->c, j, n), load(l->cell + j, n), dh, &dc, d);
    for (int k = 0; k < 4; k++) {
      store(l->dx + k * H + j, d[k], n);
      store(l->sums + k * H + j, d[k], n);
    }
    store(l->dc + j, dc, n);
    store(l->before + j, load_or_zero(l->h, j, n), n);
  }
}

static void gru_cell(const lane *l, int64_t H) {
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v m = load(l->gates + 3 * H + j, n), h = load_or_zero(l->h, j, n);
    const fv_f32v dh = load(l->dh + j, n) + load_or_zero(l->dy, j, n);
    fv_f32v v[3], d[3];
    for (int k = 0; k < 3; k++) v[k] = load(l->gates + k * H + j, n);
    const fv_f32v before = gru_gates_back(v, m, h, dh, d);
    for (int k = 0; k < 3; k++) {
      const fv_f32v dm = k == 2 ? d[k] * v[0] : d[k];
      store(l->dx + k * H + j, d[k], n);
      store(l->dm + k * H + j, dm, n);
      store(l->sums + k * H + j, dm, n);
    }
    store(l->dh + j, before, n);
    store(l->before + j, h, n);
  }
}

/* ---- sequences --------------------------------------------------------------------------------------------------- */
/* Outputs: dh0, lstm: dc0, then for each direction dx, gru: dm, and the states before each step. */
INLINE int dx_out(const bool lstm, int64_t d) { return lstm ? 2 + 2 * (int)d : 1 + 3 * (int)d; }
INLINE int before_out(const bool lstm, int64_t d) { return lstm ? 3 + 2 * (int)d : 3 + 3 * (int)d; }

INLINE lane lane_at(const bool lstm, const fv_call *c, const layer *w, int64_t b, int64_t s, int64_t length) {
  const fv_recurrent *r = &w->r;
  const int64_t state = w->d * r->b + b, t = fv_recurrent_at(w->d, s, length), H = r->h, place = b * r->t + t;
  const int64_t last = s ? fv_recurrent_at(w->d, s - 1, length) : -1;
  const int G = gates_of(lstm), out = dx_out(lstm, w->d);
  lane l = {.gates = floats(c, 1) + (state * r->t + t) * 4 * H};
  l.dy = row_or_null(floats(c, lstm ? FV_LSTM_GRAD_DY : FV_GRU_GRAD_DY), (place * r->d + w->d) * H);
  l.h = s ? floats(c, 0) + ((b * r->t + last) * r->d + w->d) * H
          : row_or_null(floats(c, lstm ? FV_LSTM_GRAD_H0 : FV_GRU_GRAD_H0), state * H);
  l.dh = out_floats(c, 0) + state * H;
  l.dx = out_floats(c, out) + place * G * H;
  l.before = out_floats(c, before_out(lstm, w->d)) + place * H;
  l.sums = w->sums + (b - w->b0) * row_step(G * H);
  if (!lstm) {
    l.dm = out_floats(c, out + 1) + place * G * H;
    return l;
  }
  l.dc = out_floats(c, 1) + state * H;
  l.cell = floats(c, 2) + (state * r->t + t) * H;
  l.c = s ? floats(c, 2) + (state * r->t + last) * H : row_or_null(floats(c, FV_LSTM_GRAD_C0), state * H);
  return l;
}

PRODUCT(1)
PRODUCT(4)

/* dh[row] (+)= d[row] W for n rows. */
INLINE void back(const bool add, const layer *w, int64_t n, const float *const *d, float *const *dh) {
  float sums[CHUNK][SUMS] __attribute__((aligned(64)));
  const int64_t H = w->r.h;
  for (int64_t j = 0, vectors; j < H; j += vectors * FV_W) {
    const float *panel = columns_at(&w->w_hh, j);
    vectors = columns_wide(H, j);
    for (int64_t i = 0; i < n && add; i++)
      for (int64_t v = 0; v < vectors; v++)
        fv_vstore(sums[i] + v * FV_W, load(dh[i] + j + v * FV_W, H - j - v * FV_W));
    if (vectors == 4) product_4(n, d, panel, w->w_hh.k, sums[0], add);
    else product_1(n, d, panel, w->w_hh.k, sums[0], add);
    for (int64_t i = 0; i < n; i++)
      for (int64_t v = 0; v < vectors; v++)
        store(dh[i] + j + v * FV_W, fv_vload(sums[i] + v * FV_W), H - j - v * FV_W);
  }
}

INLINE void sequences(const bool lstm, const fv_call *c, const layer *w) {
  const fv_recurrent *r = &w->r;
  const int64_t H = r->h, begin = (w->d * r->b + w->b0) * H, count = (w->b1 - w->b0) * H, G = gates_of(lstm);
  const fv_tensor *lengths = fv_recurrent_in(c, lengths_at(lstm));
  copy_or_zero(out_floats(c, 0) + begin, row_or_null(floats(c, lstm ? FV_LSTM_GRAD_DH_N : FV_GRU_GRAD_DH_N), begin),
               count);
  if (lstm) copy_or_zero(out_floats(c, 1) + begin, row_or_null(floats(c, FV_LSTM_GRAD_DC_N), begin), count);
  for (int64_t s = r->t - 1; s >= 0; s--) {
    const float *sums[CHUNK];
    float *dh[CHUNK];
    int64_t n = 0;
    for (int64_t b = w->b0; b < w->b1; b++) {
      const int64_t length = fv_recurrent_length(lengths, b, r->t);
      if (s >= length) continue;
      const lane l = lane_at(lstm, c, w, b, s, length);
      if (lstm) lstm_cell(&l, H);
      else gru_cell(&l, H);
      sums[n] = l.sums;
      dh[n++] = l.dh;
    }
    back(!lstm, w, n, sums, dh);
  }
  for (int64_t b = w->b0; b < w->b1; b++) {
    const int64_t length = fv_recurrent_length(lengths, b, r->t), place = b * r->t + length, rest = r->t - length;
    zero(out_floats(c, dx_out(lstm, w->d)) + place * G * H, rest * G * H);
    if (!lstm) zero(out_floats(c, dx_out(lstm, w->d) + 1) + place * G * H, rest * G * H);
    zero(out_floats(c, before_out(lstm, w->d)) + place * H, rest * H);
  }
}

/* Scratch: a panel of the weights, then rows for as many sequences as go together. */
static int64_t room_for(int64_t k) { return k * 4 * FV_W; }

INLINE void run(const bool lstm, const fv_call *c) {
  layer w = {.r = fv_recurrent_of_grad(c->node)};
  const int64_t k = gates_of(lstm) * w.r.h;
  w.sums = (float *)c->scratch + room_for(k);
  for (int64_t u = c->begin; w.r.h > 0 && u < c->end; u += w.b1 - w.b0) {
    w.d = unit_chunk(&w.r, u, c->end, &w.b0, &w.b1);
    const int weight = weight_at(lstm, w.d);
    w.w_hh = (weights){floats(c, weight), c->packed >> weight & 1, w.r.h, k, c->scratch};
    sequences(lstm, c, &w);
  }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
static int64_t units(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of_grad(n);
  return r.d * r.b;
}
static int64_t scratch(const bool lstm, const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of_grad(n);
  const int64_t k = gates_of(lstm) * r.h;
  return (room_for(k) + FV_MIN(r.b, CHUNK) * row_step(k)) * (int64_t)sizeof(float);
}
static int64_t packed(const bool lstm, const fv_node *n, int i) {
  const int64_t h = fv_recurrent_of_grad(n).h;
  if (i != weight_at(lstm, 0) && i != weight_at(lstm, 1)) return 0;
  return packed_columns(gates_of(lstm) * h, h) * (int64_t)sizeof(float);
}
static void pack(const bool lstm, const fv_node *n, const fv_tensor *src, float *dst) {
  const int64_t h = fv_recurrent_of_grad(n).h, k = gates_of(lstm) * h;
  for (int64_t j = 0; j < h; j += columns_wide(h, j) * FV_W) pack_columns(k, h, src->data, j, dst + j * k);
}

#define ROW_FUNCTIONS(op, lstm)                                                                   \
  static int64_t op##_scratch(const fv_node *n) { return scratch(lstm, n); }                     \
  static int64_t op##_packed(const fv_node *n, int i) { return packed(lstm, n, i); }             \
  static void op##_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) { \
    (void)i, (void)state;                                                                        \
    pack(lstm, n, src, dst);                                                                     \
  }                                                                                              \
  static void op##_run(const fv_call *c) { run(lstm, c); }
ROW_FUNCTIONS(lstm_grad, true)
ROW_FUNCTIONS(gru_grad, false)

#define ROW(op_)                                                                                               \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .scratch = op_##_scratch, .units = units, .together = true, \
   .packed = op_##_packed, .pack = op_##_pack, .run = op_##_run}
extern const fv_kernel FV_KERNELS(recurrent_grad)[];
const fv_kernel FV_KERNELS(recurrent_grad)[] = {ROW(lstm_grad), ROW(gru_grad), {0}};
