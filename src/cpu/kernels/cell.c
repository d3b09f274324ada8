/* SPDX-License-Identifier: Apache-2.0 */
/* cell.c: one recurrent step's gates, a row (unit) at a time. */
#include "cpu/simd.h"
#include "cpu/vmath.h"
#include "ops/cell.h"

static int64_t rows(const fv_node *n) { return n->out[0]->shape.dim[0]; }
static fv_f32v load(const float *p, int64_t n) { return n >= FV_W ? fv_vload(p) : fv_vload_n(p, n); }
static fv_f32v load_or_zero(const float *p, int64_t i, int64_t n) { return p ? load(p + i, n) : fv_vzero(); }
static void store(float *p, fv_f32v v, int64_t n) {
  if (n >= FV_W) fv_vstore(p, v);
  else fv_vstore_n(p, v, n);
}
/* Row b of input i, or NULL. */
static const float *row_in(const fv_call *c, int i, int64_t b) {
  return i < c->n_in && c->in[i].data ? (const float *)c->in[i].data + b * c->in[i].shape.dim[1] : NULL;
}
static float *row_out(const fv_call *c, int i, int64_t b) {
  return (float *)c->out[i].data + b * c->out[i].shape.dim[1];
}

static void lstm_row(const float *sums, const float *c, float *h, float *cell, float *gates, int64_t H) {
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v i = fv_vsigmoid(load(sums + j, n)), f = fv_vsigmoid(load(sums + H + j, n));
    const fv_f32v g = fv_vtanh(load(sums + 2 * H + j, n)), o = fv_vsigmoid(load(sums + 3 * H + j, n));
    const fv_f32v now = fv_vfma(f, load(c + j, n), i * g);
    store(gates + j, i, n);
    store(gates + H + j, f, n);
    store(gates + 2 * H + j, g, n);
    store(gates + 3 * H + j, o, n);
    store(cell + j, now, n);
    store(h + j, o * fv_vtanh(now), n);
  }
}
static void lstm_cell(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++)
    lstm_row(row_in(c, 0, b), row_in(c, 1, b), row_out(c, 0, b), row_out(c, 1, b), row_out(c, 2, b),
             c->in[1].shape.dim[1]);
}

static void lstm_row_back(const fv_call *c, int64_t b, int64_t H) {
  const fv_f32v one = fv_vsplat(1);
  const float *gates = row_in(c, 0, b), *before = row_in(c, 1, b), *now = row_in(c, 2, b);
  const float *dh = row_in(c, FV_CELL_GRAD_DH, b), *dc = row_in(c, FV_CELL_GRAD_DC, b);
  float *d = row_out(c, 0, b), *dbefore = row_out(c, 1, b);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v i = load(gates + j, n), f = load(gates + H + j, n), g = load(gates + 2 * H + j, n);
    const fv_f32v o = load(gates + 3 * H + j, n), t = fv_vtanh(load(now + j, n)), up = load_or_zero(dh, j, n);
    const fv_f32v down = fv_vfma(up * o, fv_vfnma(t, t, one), load_or_zero(dc, j, n));
    store(d + j, down * g * (i * (one - i)), n);
    store(d + H + j, down * load(before + j, n) * (f * (one - f)), n);
    store(d + 2 * H + j, down * i * fv_vfnma(g, g, one), n);
    store(d + 3 * H + j, up * t * (o * (one - o)), n);
    store(dbefore + j, down * f, n);
  }
}
static void lstm_cell_grad(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++) lstm_row_back(c, b, c->in[1].shape.dim[1]);
}

static void gru_row(const float *x, const float *m, const float *h, float *y, float *gates, int64_t H) {
  const fv_f32v one = fv_vsplat(1);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v r = fv_vsigmoid(load(x + j, n) + load(m + j, n));
    const fv_f32v z = fv_vsigmoid(load(x + H + j, n) + load(m + H + j, n));
    const fv_f32v now = fv_vtanh(fv_vfma(r, load(m + 2 * H + j, n), load(x + 2 * H + j, n)));
    store(gates + j, r, n);
    store(gates + H + j, z, n);
    store(gates + 2 * H + j, now, n);
    store(y + j, fv_vfma(z, load(h + j, n), (one - z) * now), n);
  }
}
static void gru_cell(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++)
    gru_row(row_in(c, 0, b), row_in(c, 1, b), row_in(c, 2, b), row_out(c, 0, b), row_out(c, 1, b),
            c->in[2].shape.dim[1]);
}

static void gru_row_back(const fv_call *c, int64_t b, int64_t H) {
  const fv_f32v one = fv_vsplat(1);
  const float *gates = row_in(c, 0, b), *m = row_in(c, 1, b), *h = row_in(c, 2, b), *up = row_in(c, 3, b);
  float *dx = row_out(c, 0, b), *dm = row_out(c, 1, b), *dh = row_out(c, 2, b);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    const fv_f32v r = load(gates + j, n), z = load(gates + H + j, n), now = load(gates + 2 * H + j, n);
    const fv_f32v d = load(up + j, n), dn = d * (one - z) * fv_vfnma(now, now, one);
    const fv_f32v dr = dn * load(m + 2 * H + j, n) * (r * (one - r)), dz = d * (load(h + j, n) - now) * (z * (one - z));
    store(dx + j, dr, n);
    store(dx + H + j, dz, n);
    store(dx + 2 * H + j, dn, n);
    store(dm + j, dr, n);
    store(dm + H + j, dz, n);
    store(dm + 2 * H + j, dn * r, n);
    store(dh + j, d * z, n);
  }
}
static void gru_cell_grad(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++) gru_row_back(c, b, c->in[2].shape.dim[1]);
}

extern const fv_kernel FV_KERNELS(cell)[];
const fv_kernel FV_KERNELS(cell)[] = {
    {.op = "lstm_cell", .name = "simd", .isa = FV_ISA_LEVEL, .units = rows, .run = lstm_cell},
    {.op = "lstm_cell_grad", .name = "simd", .isa = FV_ISA_LEVEL, .units = rows, .run = lstm_cell_grad},
    {.op = "gru_cell", .name = "simd", .isa = FV_ISA_LEVEL, .units = rows, .run = gru_cell},
    {.op = "gru_cell_grad", .name = "simd", .isa = FV_ISA_LEVEL, .units = rows, .run = gru_cell_grad},
    {0}};
