/* SPDX-License-Identifier: Apache-2.0 */
/* gru.c: first the products of all inputs, then step by step the products of the states and the gates' functions, one
 * row at a time. The saved gates hold r, z, n and the state's side of n, which the reset gate scales. */
#include "cpu/kernels/recurrent.h"
#include "cpu/vmath.h"

static int64_t gru_units(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of(n);
  return r.d * r.b;
}
static bool is_weight(int i) { return i == 1 || i == 2 || i == FV_GRU_REVERSE || i == FV_GRU_REVERSE + 1; }
static int64_t width_of(const fv_node *n, int i) { return n->in[i]->shape.dim[1]; }
static int64_t gru_packed(const fv_node *n, int i) {
  return is_weight(i) ? packed_floats(3, fv_recurrent_of(n).h, width_of(n, i)) * (int64_t)sizeof(float) : 0;
}
static void gru_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)state;
  pack_weights(3, fv_recurrent_of(n).h, width_of(n, i), src->data, dst);
}

/* ---- forward ----------------------------------------------------------------------------------------------------- */
typedef struct lane { /* one sequence in one direction */
  const float *h;     /* before the step */
  float *y, *gates;
} lane;

static lane lane_at(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t s, int64_t length) {
  const int64_t state = d * r->b + b, t = fv_recurrent_at(d, s, length), H = r->h;
  float *y = (float *)c->out[0].data + b * r->t * r->d * H + d * H;
  lane l = {.y = y + t * r->d * H, .gates = (float *)c->out[2].data + (state * r->t + t) * 4 * H};
  l.h = s ? y + fv_recurrent_at(d, s - 1, length) * r->d * H : (const float *)c->out[1].data + state * H;
  return l;
}

static void cell(const lane *l, const float *b_ih, const float *b_hh, int64_t H) {
  const fv_f32v one = fv_vsplat(1);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    fv_f32v v[2];
    for (int g = 0; g < 2; g++) {
      v[g] = load(l->gates + g * H + j, n) + (load_or_zero(b_ih, g * H + j, n) + load_or_zero(b_hh, g * H + j, n));
      v[g] = fv_vsigmoid(v[g]);
      store(l->gates + g * H + j, v[g], n);
    }
    const fv_f32v m = load(l->gates + 3 * H + j, n) + load_or_zero(b_hh, 2 * H + j, n);
    const fv_f32v in = load(l->gates + 2 * H + j, n) + load_or_zero(b_ih, 2 * H + j, n);
    const fv_f32v now = fv_vtanh(fv_vfma(v[0], m, in));
    store(l->gates + 2 * H + j, now, n);
    store(l->gates + 3 * H + j, m, n);
    store(l->y + j, fv_vfma(v[1], load(l->h + j, n), (one - v[1]) * now), n);
  }
}

static void gru_sequences(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b0, int64_t b1) {
  const int first = d ? FV_GRU_REVERSE : 1;
  const int64_t H = r->h, begin = d * r->b + b0;
  const weights w_ih = {c->in[first].data, c->packed >> first & 1, H, r->i};
  const weights w_hh = {c->in[first + 1].data, c->packed >> (first + 1) & 1, H, H};
  const target state_side = {.slot = {0, 1, 3}, .add = {true, true, false}};
  const fv_tensor *lengths = fv_recurrent_in(c, FV_GRU_LENGTHS);
  copy_or_zero((float *)c->out[1].data + begin * H, row_or_null(floats(c, FV_GRU_H0), begin * H), (b1 - b0) * H);
  sums_dense(3, (b1 - b0) * r->t, (const float *)c->in[0].data + b0 * r->t * r->i, r->i,
             (float *)c->out[2].data + begin * r->t * 4 * H, 4 * H, &w_ih);
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
    sums(3, n, h, gates, &w_hh, &state_side);
    for (int64_t i = 0; i < n; i++) cell(&lanes[i], floats(c, first + 2), floats(c, first + 3), H);
  }
  for (int64_t b = b0; b < b1; b++) {
    const int64_t length = fv_recurrent_length(lengths, b, r->t), state = d * r->b + b;
    if (length > 0)
      memcpy((float *)c->out[1].data + state * H, lane_at(c, r, d, b, length - 1, length).y, (size_t)H * sizeof(float));
    zero((float *)c->out[2].data + (state * r->t + length) * 4 * H, (r->t - length) * 4 * H);
    for (int64_t t = length; t < r->t; t++) zero((float *)c->out[0].data + ((b * r->t + t) * r->d + d) * H, H);
  }
}

static void gru(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of(c->node);
  int64_t b0, b1;
  for (int64_t u = c->begin; r.h > 0 && u < c->end; u += b1 - b0) {
    const int64_t d = unit_chunk(&r, u, c->end, &b0, &b1);
    gru_sequences(c, &r, d, b0, b1);
  }
}

/* ---- backward ---------------------------------------------------------------------------------------------------- */
typedef struct back_lane {
  const float *gates, *h, *dy; /* h: before the step; NULL: zeros (dy: no gradient) */
  float *dh, *dx, *dm, *before;
} back_lane;

static back_lane back_at(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b, int64_t s, int64_t length) {
  const int64_t state = d * r->b + b, t = fv_recurrent_at(d, s, length), H = r->h, place = b * r->t + t;
  back_lane l = {.gates = floats(c, 1) + (state * r->t + t) * 4 * H};
  l.dy = row_or_null(floats(c, FV_GRU_GRAD_DY), (place * r->d + d) * H);
  l.dh = (float *)c->out[0].data + state * H;
  l.dx = (float *)c->out[1 + 3 * d].data + place * 3 * H;
  l.dm = (float *)c->out[2 + 3 * d].data + place * 3 * H;
  l.before = (float *)c->out[3 + 3 * d].data + place * H;
  l.h = s ? floats(c, 0) + ((b * r->t + fv_recurrent_at(d, s - 1, length)) * r->d + d) * H
          : row_or_null(floats(c, FV_GRU_GRAD_H0), state * H);
  return l;
}

static void cell_back(const back_lane *l, int64_t H) {
  const fv_f32v one = fv_vsplat(1);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v r = load(l->gates + j, n), z = load(l->gates + H + j, n), now = load(l->gates + 2 * H + j, n);
    const fv_f32v m = load(l->gates + 3 * H + j, n), h = load_or_zero(l->h, j, n);
    const fv_f32v dh = load(l->dh + j, n) + load_or_zero(l->dy, j, n);
    const fv_f32v dn = dh * (one - z) * fv_vfnma(now, now, one);
    const fv_f32v dr = dn * m * (r * (one - r)), dz = dh * (h - now) * (z * (one - z));
    store(l->dx + j, dr, n);
    store(l->dx + H + j, dz, n);
    store(l->dx + 2 * H + j, dn, n);
    store(l->dm + j, dr, n);
    store(l->dm + H + j, dz, n);
    store(l->dm + 2 * H + j, dn * r, n);
    store(l->dh + j, dh * z, n);
    store(l->before + j, h, n);
  }
}

static void gru_back_sequences(const fv_call *c, const fv_recurrent *r, int64_t d, int64_t b0, int64_t b1) {
  const int64_t H = r->h, begin = d * r->b + b0;
  const int weight = d ? FV_GRU_GRAD_W_HH_REVERSE : 2;
  const rows_of_weights w_hh = {floats(c, weight), c->packed >> weight & 1, 3 * H, H};
  const fv_tensor *lengths = fv_recurrent_in(c, FV_GRU_GRAD_LENGTHS);
  copy_or_zero((float *)c->out[0].data + begin * H, row_or_null(floats(c, FV_GRU_GRAD_DH_N), begin * H), (b1 - b0) * H);
  for (int64_t s = r->t - 1; s >= 0; s--) {
    const float *dm[CHUNK];
    float *dh[CHUNK];
    int64_t n = 0;
    for (int64_t b = b0; b < b1; b++) {
      const int64_t length = fv_recurrent_length(lengths, b, r->t);
      if (s >= length) continue;
      const back_lane l = back_at(c, r, d, b, s, length);
      cell_back(&l, H);
      dm[n] = l.dm;
      dh[n++] = l.dh;
    }
    back(n, dm, dh, &w_hh, true);
  }
  for (int64_t b = b0; b < b1; b++) {
    const int64_t length = fv_recurrent_length(lengths, b, r->t), place = b * r->t + length, rest = r->t - length;
    zero((float *)c->out[1 + 3 * d].data + place * 3 * H, rest * 3 * H);
    zero((float *)c->out[2 + 3 * d].data + place * 3 * H, rest * 3 * H);
    zero((float *)c->out[3 + 3 * d].data + place * H, rest * H);
  }
}

static int64_t gru_grad_units(const fv_node *n) {
  const fv_recurrent r = fv_recurrent_of_grad(n);
  return r.d * r.b;
}
static int64_t gru_grad_packed(const fv_node *n, int i) {
  const int64_t H = fv_recurrent_of_grad(n).h;
  return i == 2 || i == FV_GRU_GRAD_W_HH_REVERSE ? packed_rows(3 * H, H) * (int64_t)sizeof(float) : 0;
}
static void gru_grad_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i;
  (void)state;
  const int64_t H = fv_recurrent_of_grad(n).h;
  pack_rows(3 * H, H, src->data, dst);
}
static void gru_grad(const fv_call *c) {
  const fv_recurrent r = fv_recurrent_of_grad(c->node);
  int64_t b0, b1;
  for (int64_t u = c->begin; r.h > 0 && u < c->end; u += b1 - b0) {
    const int64_t d = unit_chunk(&r, u, c->end, &b0, &b1);
    gru_back_sequences(c, &r, d, b0, b1);
  }
}

extern const fv_kernel FV_KERNELS(gru)[];
const fv_kernel FV_KERNELS(gru)[] = {{.op = "gru",
                                      .name = "simd",
                                      .isa = FV_ISA_LEVEL,
                                      .units = gru_units,
                                      .packed = gru_packed,
                                      .pack = gru_pack,
                                      .run = gru},
                                     {.op = "gru_grad",
                                      .name = "simd",
                                      .isa = FV_ISA_LEVEL,
                                      .units = gru_grad_units,
                                      .packed = gru_grad_packed,
                                      .pack = gru_grad_pack,
                                      .run = gru_grad},
                                     {0}};
