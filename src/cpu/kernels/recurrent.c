/* SPDX-License-Identifier: Apache-2.0 */
/* recurrent.c: lstm and gru, step by step: for each FV_W units of the state the sums of all gates, from the inputs and
 * the states together, then at once the gates' functions. Only where few sequences go together, the products of all
 * inputs are made before: weights that serve one row a step would be read too often. States stay in rows of scratch;
 * in y and in the saved cells those of a batch lie far apart and fall upon each other in the caches. */
#include "cpu/kernels/recurrent.h"

#define TOGETHER 4 /* so many sequences and more meet both weights in each step */

/* ---- what lstm and gru differ in --------------------------------------------------------------------------------- */
INLINE int gates_of(const bool lstm) { return lstm ? 4 : 3; }
/* Sums of a sequence: lstm i, f, g, o. gru: n of the input's side, r, z, n of the state's; so each side's follow each
 * other. */
INLINE int first_input_gate(const bool lstm) { return lstm ? 0 : 2; }
INLINE int64_t state_sums(const bool lstm) { return lstm ? 0 : FV_W; }
PRODUCT(3)
PRODUCT(4)
INLINE void product(const bool lstm, int64_t n, const float *const *a, const float *w, int64_t k, float *c, bool add) {
  if (lstm) product_4(n, a, w, k, c, add);
  else product_3(n, a, w, k, c, add);
}
INLINE int lengths_at(const bool lstm) { return lstm ? FV_LSTM_LENGTHS : FV_GRU_LENGTHS; }
INLINE int first_weight(const bool lstm, int64_t d) { return !d ? 1 : lstm ? FV_LSTM_REVERSE : FV_GRU_REVERSE; }
INLINE int gates_out(const bool lstm) { return lstm ? 3 : 2; }
enum { LSTM_CELLS = 4 };

typedef struct lane { /* one sequence in one direction, in one step */
  const float *x, *h; /* h: before the step */
  float *next, *c;    /* the state after it; lstm: the cell, before and after */
  float *y, *gates, *cell;
} lane;

typedef struct layer { /* of one direction */
  fv_recurrent r;
  int64_t d, b0, b1;
  weights w_ih, w_hh;
  const float *b_ih, *b_hh;
  float *h[2], *c, *x; /* rows of scratch, one a sequence */
  bool together;
} layer;

/* ---- the gates' functions, for FV_W units; sum: [4][FV_W] -------------------------------------------------------- */
INLINE fv_f32v bias(const layer *w, int64_t at, int64_t n) {
  return load_or_zero(w->b_ih, at, n) + load_or_zero(w->b_hh, at, n);
}

INLINE void lstm_cell(const layer *w, const lane *l, const float *sum, int64_t j, int64_t n) {
  const int64_t H = w->r.h;
  fv_f32v v[4], now, h;
  for (int g = 0; g < 4; g++) v[g] = fv_vload(sum + g * FV_W) + bias(w, g * H + j, n);
  lstm_gates(v, load(l->c + j, n), &now, &h);
  for (int g = 0; g < 4; g++) store(l->gates + g * H + j, v[g], n);
  store(l->c + j, now, n);
  store(l->cell + j, now, n);
  store(l->next + j, h, n);
  store(l->y + j, h, n);
}

INLINE void gru_cell(const layer *w, const lane *l, const float *sum, int64_t j, int64_t n) {
  const int64_t H = w->r.h;
  const fv_f32v m = fv_vload(sum + 3 * FV_W) + load_or_zero(w->b_hh, 2 * H + j, n);
  fv_f32v v[3] = {fv_vload(sum + FV_W) + bias(w, j, n), fv_vload(sum + 2 * FV_W) + bias(w, H + j, n),
                  fv_vload(sum) + load_or_zero(w->b_ih, 2 * H + j, n)};
  const fv_f32v h = gru_gates(v, m, load(l->h + j, n));
  for (int g = 0; g < 3; g++) store(l->gates + g * H + j, v[g], n);
  store(l->gates + 3 * H + j, m, n);
  store(l->next + j, h, n);
  store(l->y + j, h, n);
}

/* ---- a step ------------------------------------------------------------------------------------------------------ */
INLINE void step(const bool lstm, const layer *w, int64_t n, const lane *lanes) {
  const int gates = gates_of(lstm), first = first_input_gate(lstm);
  const int64_t H = w->r.h;
  float sums[CHUNK][SUMS] __attribute__((aligned(64)));
  const float *x[CHUNK], *h[CHUNK];
  for (int64_t i = 0; i < n; i++) {
    x[i] = lanes[i].x;
    h[i] = lanes[i].h;
  }
  for (int64_t j = 0; j < H; j += FV_W) {
    if (w->together) product(lstm, n, x, units_at(gates, first, &w->w_ih, j), w->r.i, sums[0], false);
    for (int64_t i = 0; i < n && !w->together; i++)
      for (int g = 0; g < gates; g++) fv_vstore(sums[i] + g * FV_W, load(lanes[i].gates + g * H + j, H - j));
    for (int64_t i = 0; i < n && !lstm; i++) fv_vstore(sums[i] + 3 * FV_W, fv_vzero());
    product(lstm, n, h, units_at(gates, 0, &w->w_hh, j), H, sums[0] + state_sums(lstm), true);
    for (int64_t i = 0; i < n; i++) {
      if (lstm) lstm_cell(w, &lanes[i], sums[i], j, H - j);
      else gru_cell(w, &lanes[i], sums[i], j, H - j);
    }
  }
}

/* Products of all inputs of some sequences, to where the gates go. */
INLINE void all_input_sums(const bool lstm, const fv_call *c, const layer *w) {
  const int gates = gates_of(lstm);
  const fv_recurrent *r = &w->r;
  const int64_t rows = (w->b1 - w->b0) * r->t, H = r->h;
  const float *x = floats(c, 0) + w->b0 * r->t * r->i;
  float *to = out_floats(c, gates_out(lstm)) + (w->d * r->b + w->b0) * r->t * 4 * H;
  float sums[CHUNK][SUMS] __attribute__((aligned(64)));
  for (int64_t j = 0; j < H; j += FV_W) {
    const float *panel = units_at(gates, first_input_gate(lstm), &w->w_ih, j);
    for (int64_t i = 0; i < rows; i += CHUNK) {
      const float *from[CHUNK];
      const int64_t n = FV_MIN(CHUNK, rows - i);
      for (int64_t k = 0; k < n; k++) from[k] = x + (i + k) * r->i;
      product(lstm, n, from, panel, r->i, sums[0], false);
      for (int64_t k = 0; k < n; k++)
        for (int g = 0; g < gates; g++) store(to + ((i + k) * 4 + g) * H + j, fv_vload(sums[k] + g * FV_W), H - j);
    }
  }
}

/* ---- sequences --------------------------------------------------------------------------------------------------- */
INLINE lane lane_at(const bool lstm, const fv_call *c, const layer *w, int64_t b, int64_t s, int64_t length) {
  const fv_recurrent *r = &w->r;
  const int64_t row = (w->d * r->b + b) * r->t + fv_recurrent_at(w->d, s, length), H = r->h, i = b - w->b0;
  const int64_t place = b * r->t + fv_recurrent_at(w->d, s, length);
  lane l = {.y = out_floats(c, 0) + (place * r->d + w->d) * H, .gates = out_floats(c, gates_out(lstm)) + row * 4 * H};
  l.x = floats(c, 0) + place * r->i;
  l.h = w->h[s & 1] + i * row_step(H);
  l.next = w->h[~s & 1] + i * row_step(H);
  if (!lstm) return l;
  l.c = w->c + i * row_step(H);
  l.cell = out_floats(c, LSTM_CELLS) + row * H;
  return l;
}

INLINE void begin(const bool lstm, const fv_call *c, const layer *w, int64_t b) {
  const int64_t H = w->r.h, i = b - w->b0, state = (w->d * w->r.b + b) * H;
  copy_or_zero(w->h[0] + i * row_step(H), row_or_null(floats(c, lstm ? FV_LSTM_H0 : FV_GRU_H0), state), H);
  if (lstm) copy_or_zero(w->c + i * row_step(H), row_or_null(floats(c, FV_LSTM_C0), state), H);
}

INLINE void finish(const bool lstm, const fv_call *c, const layer *w, int64_t b, int64_t length) {
  const fv_recurrent *r = &w->r;
  const int64_t state = w->d * r->b + b, H = r->h, i = b - w->b0;
  copy(out_floats(c, 1) + state * H, w->h[length & 1] + i * row_step(H), H);
  zero(out_floats(c, gates_out(lstm)) + (state * r->t + length) * 4 * H, (r->t - length) * 4 * H);
  for (int64_t t = length; t < r->t; t++) zero(out_floats(c, 0) + ((b * r->t + t) * r->d + w->d) * H, H);
  if (!lstm) return;
  copy(out_floats(c, 2) + state * H, w->c + i * row_step(H), H);
  zero(out_floats(c, LSTM_CELLS) + (state * r->t + length) * H, (r->t - length) * H);
}

INLINE void sequences(const bool lstm, const fv_call *c, const layer *w) {
  const fv_tensor *lengths = fv_recurrent_in(c, lengths_at(lstm));
  for (int64_t b = w->b0; b < w->b1; b++) begin(lstm, c, w, b);
  if (!w->together) all_input_sums(lstm, c, w);
  for (int64_t s = 0; s < w->r.t; s++) {
    lane lanes[CHUNK];
    int64_t n = 0;
    for (int64_t b = w->b0; b < w->b1; b++) {
      const int64_t length = fv_recurrent_length(lengths, b, w->r.t);
      if (s >= length) continue;
      lanes[n] = lane_at(lstm, c, w, b, s, length);
      if (w->together) {
        float *x = w->x + n * row_step(w->r.i);
        copy(x, lanes[n].x, w->r.i);
        lanes[n].x = x;
      }
      n++;
    }
    step(lstm, w, n, lanes);
  }
  for (int64_t b = w->b0; b < w->b1; b++) finish(lstm, c, w, b, fv_recurrent_length(lengths, b, w->r.t));
}

/* Scratch: a panel of each of the weights, then rows for as many sequences as go together. */
static int64_t room_for(int64_t k) { return fv_round_up(k, 4) * 4 * FV_W; }
static int64_t scratch_floats(const fv_recurrent *r) {
  const int64_t rows = FV_MIN(r->b, CHUNK);
  return room_for(r->i) + room_for(r->h) + rows * (3 * row_step(r->h) + row_step(r->i));
}

INLINE void run(const bool lstm, const fv_call *c) {
  layer w = {.r = fv_recurrent_of(c->node)};
  const int64_t rows = FV_MIN(w.r.b, CHUNK);
  float *room = c->scratch, *states = room + room_for(w.r.i) + room_for(w.r.h);
  w.h[0] = states;
  w.h[1] = w.h[0] + rows * row_step(w.r.h);
  w.c = w.h[1] + rows * row_step(w.r.h);
  w.x = w.c + rows * row_step(w.r.h);
  for (int64_t u = c->begin; w.r.h > 0 && u < c->end; u += w.b1 - w.b0) {
    w.d = unit_chunk(&w.r, u, c->end, &w.b0, &w.b1);
    const int first = first_weight(lstm, w.d);
    w.w_ih = (weights){floats(c, first), c->packed >> first & 1, w.r.h, w.r.i, room};
    w.w_hh = (weights){floats(c, first + 1), c->packed >> (first + 1) & 1, w.r.h, w.r.h, room + room_for(w.r.i)};
    w.b_ih = floats(c, first + 2);
    w.b_hh = floats(c, first + 3);
    w.together = w.b1 - w.b0 >= TOGETHER || w.r.t == 1;
    sequences(lstm, c, &w);
  }
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
static int64_t units(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of(n);
  return r.d * r.b;
}
static int64_t scratch(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of(n);
  return scratch_floats(&r) * (int64_t)sizeof(float);
}
static bool is_weight(const bool lstm, int i) {
  const int reverse = first_weight(lstm, 1);
  return i == 1 || i == 2 || i == reverse || i == reverse + 1;
}
static int64_t packed(const bool lstm, const fv_node *n, int i) {
  if (!is_weight(lstm, i)) return 0;
  return packed_units(gates_of(lstm), fv_recurrent_of(n).h, n->in[i]->shape.dim[1]) * (int64_t)sizeof(float);
}
static void pack(const bool lstm, const fv_node *n, int i, const fv_tensor *src, float *dst) {
  const int64_t gates = gates_of(lstm), h = fv_recurrent_of(n).h, k = n->in[i]->shape.dim[1];
  const bool input_side = i == 1 || i == first_weight(lstm, 1);
  const int64_t first = input_side ? first_input_gate(lstm) : 0;
  for (int64_t j = 0; j < h; j += FV_W) pack_units(gates, first, h, k, src->data, j, dst + j * gates * k);
}

#define ROW_FUNCTIONS(op, lstm)                                                                   \
  static int64_t op##_packed(const fv_node *n, int i) { return packed(lstm, n, i); }             \
  static void op##_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) { \
    (void)state;                                                                                 \
    pack(lstm, n, i, src, dst);                                                                  \
  }                                                                                              \
  static void op##_run(const fv_call *c) { run(lstm, c); }
ROW_FUNCTIONS(lstm, true)
ROW_FUNCTIONS(gru, false)

#define ROW(op_)                                                                                      \
  {.op = #op_, .name = "simd", .isa = FV_ISA_LEVEL, .scratch = scratch, .units = units, .together = true, \
   .packed = op_##_packed, .pack = op_##_pack, .run = op_##_run}
extern const fv_kernel FV_KERNELS(recurrent)[];
const fv_kernel FV_KERNELS(recurrent)[] = {ROW(lstm), ROW(gru), {0}};
