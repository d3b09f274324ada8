/* SPDX-License-Identifier: Apache-2.0 */
/* csr.c: graphs as numbers: which row a place is in; many graphs as one; and the same edges by column: a counting sort,
 * whose cursors are the row pointers that it makes. Nothing here is vector work, and a sort has one order: one level,
 * one unit. */
#include "cpu/simd.h"

typedef struct csr {
  const int32_t *ptr, *col;
  int64_t rows, places;
} csr;
/* Bounds are drawn in as segments.h says. */
static int64_t bound(const csr *g, int64_t i, int64_t before) { return FV_MIN(FV_MAX(before, g->ptr[i]), g->places); }

static void fill(int32_t *p, int64_t begin, int64_t end, int32_t v) {
  for (int64_t k = begin; k < end; k++) p[k] = v;
}

static void csr_rows(const fv_call *c) {
  const csr g = {.ptr = c->in[0].data, .rows = c->in[0].shape.dim[0] - 1, .places = c->out[0].shape.dim[0]};
  int32_t *rows = c->out[0].data;
  int64_t end = bound(&g, 0, 0);
  fill(rows, 0, end, -1);
  for (int64_t i = 0; i < g.rows; i++) {
    const int64_t begin = end;
    end = bound(&g, i + 1, begin);
    fill(rows, begin, end, (int32_t)i);
  }
  fill(rows, end, g.places, -1);
}

/* Where the edge at place k will be written: in a great graph far from all others. */
static void fetch(const csr *g, int64_t k, int64_t columns, const int32_t *at, const int32_t *row,
                  const int32_t *edge) {
  if (k >= g->places || g->col[k] < 0 || g->col[k] >= columns) return;
  const int32_t to = at[g->col[k]];
  __builtin_prefetch(row + to, 1, 2);
  __builtin_prefetch(edge + to, 1, 2);
}

static void csr_transpose(const fv_call *c) {
  enum { AHEAD = 16 };
  const csr g = {.ptr = c->in[0].data, .col = c->in[1].data, .rows = c->in[0].shape.dim[0] - 1,
                 .places = c->in[1].shape.dim[0]};
  const int64_t columns = c->out[0].shape.dim[0] - 1, first = bound(&g, 0, 0);
  int32_t *at = c->out[0].data, *row = c->out[1].data, *edge = c->out[2].data;
  int64_t end = first;
  fill(at, 0, columns + 1, 0);
  for (int64_t i = 0; i < g.rows; i++) end = bound(&g, i + 1, end);
  for (int64_t k = first; k < end; k++)
    if (g.col[k] >= 0 && g.col[k] < columns) at[g.col[k] + 1]++;
  for (int64_t j = 0; j < columns; j++) at[j + 1] += at[j];
  fill(row, at[columns], g.places, -1);
  fill(edge, at[columns], g.places, -1);
  end = first;
  for (int64_t i = 0; i < g.rows; i++) {
    const int64_t begin = end;
    end = bound(&g, i + 1, begin);
    for (int64_t k = begin; k < end; k++) {
      fetch(&g, k + AHEAD, columns, at, row, edge);
      if (g.col[k] < 0 || g.col[k] >= columns) continue;
      const int32_t to = at[g.col[k]]++;
      row[to] = (int32_t)i;
      edge[to] = (int32_t)k;
    }
  }
  for (int64_t j = columns; j > 0; j--) at[j] = at[j - 1];
  at[0] = 0;
}

static void csr_blocks(const fv_call *c) {
  const int64_t blocks = c->in[0].shape.dim[0], rows = c->in[0].shape.dim[1], all = c->out[1].shape.dim[0];
  const int64_t places = blocks ? all / blocks : 0;
  const int32_t *degree = c->in[0].data, *place = c->in[1].data;
  int32_t *ptr = c->out[0].data, *col = c->out[1].data;
  int64_t at = 0;
  *ptr++ = 0;
  for (int64_t b = 0; b < blocks; b++, place += places)
    for (int64_t i = 0, k = 0; i < rows; i++) {
      for (int64_t end = FV_MIN(k + FV_MAX(*degree, 0), places); k < end; k++)
        col[at++] = place[k] >= 0 && place[k] < rows ? (int32_t)(b * rows + place[k]) : -1;
      degree++;
      *ptr++ = (int32_t)at;
    }
  fill(col, at, all, -1);
}

extern const fv_kernel FV_KERNELS(csr)[];
const fv_kernel FV_KERNELS(csr)[] = {
    {.op = "csr_rows", .name = "fill", .isa = FV_ISA_LEVEL, .priority = 10, .run = csr_rows},
    {.op = "csr_transpose", .name = "sort", .isa = FV_ISA_LEVEL, .priority = 10, .run = csr_transpose},
    {.op = "csr_blocks", .name = "join", .isa = FV_ISA_LEVEL, .priority = 10, .run = csr_blocks},
    {0}};
