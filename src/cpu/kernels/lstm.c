/* SPDX-License-Identifier: Apache-2.0 */
/* lstm.c: first the products of all inputs, then step by step the products of the states and the gates' functions, one
 * row at a time. The state before a step is the row of y (and of the saved cells) of the step before; h_n and c_n hold
 * the initial state until the end, so nothing else is needed. */
#include "cpu/kernels/recurrent.h"
#include "cpu/vmath.h"

static int64_t lstm_units(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of(n);
  return r.d * r.b;
}
static bool is_weight(int i) { return i == 1 || i == 2 || i == FV_LSTM_REVERSE || i == FV_LSTM_REVERSE + 1; }
static int64_t width_of(const fv_node *n, int i) { return n->in[i]->shape.dim[1]; }
static int64_t lstm_packed(const fv_node *n, int i) {
  return is_weight(i) ? packed_floats(4, fv_recurrent_of(n).h, width_of(n, i)) * (int64_t)sizeof(float) : 0;
}
static void lstm_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)state;
  pack_weights(4, fv_recurrent_of(n).h, width_of(n, i), src->data, dst);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */
typedef struct lane { /* one sequence in one direction */
  const float *h, *c; /* before the step */
  float *y, *cell, *gates;
} lane;

static lane lane_at(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t s, int64_t length) {
  const int64_t state = d * r->b + b, t = fv_recurrent_at(d, s, length), H = r->h;
  float *y = (float *)c->out[0].data + b * r->t * r->d * H + d * H;
  float *cells = (float *)c->out[4].data + state * r->t * H;
  lane l = {.y = y + t * r->d * H, .cell = cells + t * H};
  l.gates = (float *)c->out[3].data + (state * r->t + t) * 4 * H;
  l.h = (const float *)c->out[1].data + state * H;
  l.c = (const float *)c->out[2].data + state * H;
  if (s == 0) return l;
  const int64_t before = fv_recurrent_at(d, s - 1, length);
  l.h = y + before * r->d * H;
  l.c = cells + before * H;
  return l;
}

static void cell(const lane *l, const float *b_ih, const float *b_hh, int64_t H) {
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    fv_f32v v[4];
    for (int g = 0; g < 4; g++) {
      v[g] = load(l->gates + g * H + j, n) + (load_or_zero(b_ih, g * H + j, n) + load_or_zero(b_hh, g * H + j, n));
      v[g] = g == 2 ? fv_vtanh(v[g]) : fv_vsigmoid(v[g]);
      store(l->gates + g * H + j, v[g], n);
    }
    const fv_f32v now = fv_vfma(v[1], load(l->c + j, n), v[0] * v[2]);
    store(l->cell + j, now, n);
    store(l->y + j, v[3] * fv_vtanh(now), n);
  }
}

static void finish(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t length) {
  const int64_t state = d * r->b + b, H = r->h;
  if (length > 0) {
    const lane l = lane_at(c, r, d, b, length - 1, length);
    memcpy((float *)c->out[1].data + state * H, l.y, (size_t)H * sizeof(float));
    memcpy((float *)c->out[2].data + state * H, l.cell, (size_t)H * sizeof(float));
  }
  zero((float *)c->out[3].data + (state * r->t + length) * 4 * H, (r->t - length) * 4 * H);
  zero((float *)c->out[4].data + (state * r->t + length) * H, (r->t - length) * H);
  for (int64_t t = length; t < r->t; t++) zero((float *)c->out[0].data + ((b * r->t + t) * r->d + d) * H, H);
}

static void lstm_sequences(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b0, int64_t b1) {
  const int first = d ? FV_LSTM_REVERSE : 1;
  const int64_t H = r->h, begin = d * r->b + b0;
  const weights w_ih = {c->in[first].data, c->packed >> first & 1, H, r->i};
  const weights w_hh = {c->in[first + 1].data, c->packed >> (first + 1) & 1, H, H};
  const target add = {.slot = {0, 1, 2, 3}, .add = {true, true, true, true}};
  const fv_tensor *lengths = fv_recurrent_in(c, FV_LSTM_LENGTHS);
  copy_or_zero((float *)c->out[1].data + begin * H, row_or_null(floats(c, FV_LSTM_H0), begin * H), (b1 - b0) * H);
  copy_or_zero((float *)c->out[2].data + begin * H, row_or_null(floats(c, FV_LSTM_C0), begin * H), (b1 - b0) * H);
  sums_dense(4, (b1 - b0) * r->t, (const float *)c->in[0].data + b0 * r->t * r->i, r->i,
             (float *)c->out[3].data + begin * r->t * 4 * H, 4 * H, &w_ih);
  for (int64_t s = 0; s < r->t; s++) {
    lane lanes[CHUNK];
    const float *h[CHUNK];
    float *gates[CHUNK];
    int64_t n = 0;
    for (int64_t b = b0; b < b1; b++) {
      const int64_t length = fv_recurrent_length(lengths, b, r->t);
      if (s >= length) continue;
      lanes[n] = lane_at(c, r, d, b, s, length);
      h[n] = lanes[n].h;
      gates[n] = lanes[n].gates;
      n++;
    }
    sums(4, n, h, gates, &w_hh, &add);
    for (int64_t i = 0; i < n; i++) cell(&lanes[i], floats(c, first + 2), floats(c, first + 3), H);
  }
  for (int64_t b = b0; b < b1; b++) finish(c, r, d, b, fv_recurrent_length(lengths, b, r->t));
}

static void lstm(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of(c->node);
  int64_t b0, b1;
  for (int64_t u = c->begin; r.h > 0 && u < c->end; u += b1 - b0) {
    const int64_t d = unit_chunk(&r, u, c->end, &b0, &b1);
    lstm_sequences(c, &r, d, b0, b1);
  }
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */
typedef struct back_lane {
  const float *gates, *cell, *h, *c, *dy; /* h, c: before the step; NULL: zeros (dy: no gradient) */
  float *dh, *dc, *dsum, *before;
} back_lane;

static back_lane back_at(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t s, int64_t length) {
  const int64_t state = d * r->b + b, t = fv_recurrent_at(d, s, length), H = r->h, place = b * r->t + t;
  back_lane l = {.gates = floats(c, 1) + (state * r->t + t) * 4 * H, .cell = floats(c, 2) + (state * r->t + t) * H};
  l.dy = row_or_null(floats(c, FV_LSTM_GRAD_DY), (place * r->d + d) * H);
  l.dh = (float *)c->out[0].data + state * H;
  l.dc = (float *)c->out[1].data + state * H;
  l.dsum = (float *)c->out[2 + 2 * d].data + place * 4 * H;
  l.before = (float *)c->out[3 + 2 * d].data + place * H;
  if (s == 0) {
    l.h = row_or_null(floats(c, FV_LSTM_GRAD_H0), state * H);
    l.c = row_or_null(floats(c, FV_LSTM_GRAD_C0), state * H);
  } else {
    const int64_t before = fv_recurrent_at(d, s - 1, length);
    l.h = floats(c, 0) + ((b * r->t + before) * r->d + d) * H;
    l.c = floats(c, 2) + (state * r->t + before) * H;
  }
  return l;
}

static void cell_back(const back_lane *l, int64_t H) {
  const fv_f32v one = fv_vsplat(1);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v i = load(l->gates + j, n), f = load(l->gates + H + j, n), g = load(l->gates + 2 * H + j, n);
    const fv_f32v o = load(l->gates + 3 * H + j, n), tc = fv_vtanh(load(l->cell + j, n));
    const fv_f32v dh = load(l->dh + j, n) + load_or_zero(l->dy, j, n);
    const fv_f32v dc = fv_vfma(dh * o, fv_vfnma(tc, tc, one), load(l->dc + j, n));
    store(l->dsum + j, dc * g * (i * (one - i)), n);
    store(l->dsum + H + j, dc * load_or_zero(l->c, j, n) * (f * (one - f)), n);
    store(l->dsum + 2 * H + j, dc * i * fv_vfnma(g, g, one), n);
    store(l->dsum + 3 * H + j, dh * tc * (o * (one - o)), n);
    store(l->dc + j, dc * f, n);
    store(l->before + j, load_or_zero(l->h, j, n), n);
  }
}

static void lstm_back_sequences(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b0, int64_t b1) {
  const int64_t H = r->h, begin = d * r->b + b0;
  const int weight = d ? FV_LSTM_GRAD_W_HH_REVERSE : 3;
  const rows_of_weights w_hh = {floats(c, weight), c->packed >> weight & 1, 4 * H, H};
  const fv_tensor *lengths = fv_recurrent_in(c, FV_LSTM_GRAD_LENGTHS);
  copy_or_zero((float *)c->out[0].data + begin * H, row_or_null(floats(c, FV_LSTM_GRAD_DH_N), begin * H),
               (b1 - b0) * H);
  copy_or_zero((float *)c->out[1].data + begin * H, row_or_null(floats(c, FV_LSTM_GRAD_DC_N), begin * H),
               (b1 - b0) * H);
  for (int64_t s = r->t - 1; s >= 0; s--) {
    const float *dsum[CHUNK];
    float *dh[CHUNK];
    int64_t n = 0;
    for (int64_t b = b0; b < b1; b++) {
      const int64_t length = fv_recurrent_length(lengths, b, r->t);
      if (s >= length) continue;
      const back_lane l = back_at(c, r, d, b, s, length);
      cell_back(&l, H);
      dsum[n] = l.dsum;
      dh[n++] = l.dh;
    }
    back(n, dsum, dh, &w_hh, false);
  }
  for (int64_t b = b0; b < b1; b++) {
    const int64_t length = fv_recurrent_length(lengths, b, r->t), place = b * r->t + length, rest = r->t - length;
    zero((float *)c->out[2 + 2 * d].data + place * 4 * H, rest * 4 * H);
    zero((float *)c->out[3 + 2 * d].data + place * H, rest * H);
  }
}

static int64_t lstm_grad_units(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of_grad(n);
  return r.d * r.b;
}
static int64_t lstm_grad_packed(const fv_node *n, int i) {
  const int64_t H = fv_recurrent_of_grad(n).h;
  return i == 3 || i == FV_LSTM_GRAD_W_HH_REVERSE ? packed_rows(4 * H, H) * (int64_t)sizeof(float) : 0;
}
static void lstm_grad_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i;
  (void)state;
  const int64_t H = fv_recurrent_of_grad(n).h;
  pack_rows(4 * H, H, src->data, dst);
}
static void lstm_grad(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of_grad(c->node);
  int64_t b0, b1;
  for (int64_t u = c->begin; r.h > 0 && u < c->end; u += b1 - b0) {
    const int64_t d = unit_chunk(&r, u, c->end, &b0, &b1);
    lstm_back_sequences(c, &r, d, b0, b1);
  }
}

extern const fv_kernel FV_KERNELS(lstm)[];
const fv_kernel FV_KERNELS(lstm)[] = {
    {.op = "lstm", .name = "simd", .isa = FV_ISA_LEVEL, .units = lstm_units, .packed = lstm_packed, .pack = lstm_pack,
     .run = lstm},
    {.op = "lstm_grad", .name = "simd", .isa = FV_ISA_LEVEL, .units = lstm_grad_units, .packed = lstm_grad_packed,
     .pack = lstm_grad_pack, .run = lstm_grad},
    {0}};
