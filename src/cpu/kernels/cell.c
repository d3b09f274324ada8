/* SPDX-License-Identifier: Apache-2.0 */
/* cell.c: one recurrent step's gates, a row (unit) at a time. */
#include "cpu/kernels/gates.h"
#include "ops/cell.h"

static int64_t rows(const fv_node *n) { return n->out[0]->shape.dim[0]; }
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
    fv_f32v v[4], now, next;
    for (int k = 0; k < 4; k++) v[k] = load(sums + k * H + j, n);
    lstm_gates(v, load(c + j, n), &now, &next);
    for (int k = 0; k < 4; k++) store(gates + k * H + j, v[k], n);
    store(cell + j, now, n);
    store(h + j, next, n);
  }
}
static void lstm_cell(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++)
    lstm_row(row_in(c, 0, b), row_in(c, 1, b), row_out(c, 0, b), row_out(c, 1, b), row_out(c, 2, b),
             c->in[1].shape.dim[1]);
}

static void lstm_row_back(const fv_call *c, int64_t b, int64_t H) {
  const float *gates = row_in(c, 0, b), *before = row_in(c, 1, b), *now = row_in(c, 2, b);
  const float *dh = row_in(c, FV_CELL_GRAD_DH, b), *dc = row_in(c, FV_CELL_GRAD_DC, b);
  float *d = row_out(c, 0, b), *dbefore = row_out(c, 1, b);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    fv_f32v v[4], sums[4], cell = load_or_zero(dc, j, n);
    for (int k = 0; k < 4; k++) v[k] = load(gates + k * H + j, n);
    lstm_gates_back(v, load(before + j, n), load(now + j, n), load_or_zero(dh, j, n), &cell, sums);
    for (int k = 0; k < 4; k++) store(d + k * H + j, sums[k], n);
    store(dbefore + j, cell, n);
  }
}
static void lstm_cell_grad(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++) lstm_row_back(c, b, c->in[1].shape.dim[1]);
}

static void gru_row(const float *x, const float *m, const float *h, float *y, float *gates, int64_t H) {
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    fv_f32v v[3] = {load(x + j, n) + load(m + j, n), load(x + H + j, n) + load(m + H + j, n),
                    load(x + 2 * H + j, n)};
    store(y + j, gru_gates(v, load(m + 2 * H + j, n), load(h + j, n)), n);
    for (int k = 0; k < 3; k++) store(gates + k * H + j, v[k], n);
  }
}
static void gru_cell(const fv_call *c) {
  for (int64_t b = c->begin; b < c->end; b++)
    gru_row(row_in(c, 0, b), row_in(c, 1, b), row_in(c, 2, b), row_out(c, 0, b), row_out(c, 1, b),
            c->in[2].shape.dim[1]);
}

static void gru_row_back(const fv_call *c, int64_t b, int64_t H) {
  const float *gates = row_in(c, 0, b), *m = row_in(c, 1, b), *h = row_in(c, 2, b), *up = row_in(c, 3, b);
  float *dx = row_out(c, 0, b), *dm = row_out(c, 1, b), *dh = row_out(c, 2, b);
  for (int64_t j = 0; j < H; j += FV_W) {
    const int64_t n = H - j;
    fv_f32v v[3], d[3];
    for (int k = 0; k < 3; k++) v[k] = load(gates + k * H + j, n);
    store(dh + j, gru_gates_back(v, load(m + 2 * H + j, n), load(h + j, n), load(up + j, n), d), n);
    for (int k = 0; k < 3; k++) {
      store(dx + k * H + j, d[k], n);
      store(dm + k * H + j, k == 2 ? d[k] * v[0] : d[k], n);
    }
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
