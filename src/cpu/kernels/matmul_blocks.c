/* SPDX-License-Identifier: Apache-2.0 */
/* matmul_blocks: large products of two matrices, such as the gradients of weights, in strips of rows that threads can
 * share, over the panels attention is made of. Of each strip a block of K_BLOCK columns is copied together, [k][rows],
 * whichever way the matrix is stored, then for FV_PANEL columns of the result the like of the other matrix, which
 * stays in the first-level cache under all tiles of the strip (Goto & van de Geijn 2008). Strips lie the same at any
 * number of threads, and each number is one chain over k. */
#include "cpu/panel.h"
#include "cpu/transpose.h"
#include "ops/matmul.h"

enum {
  K_BLOCK = 192,
  STRIP = 256,         /* rows at most: their block and their results stay in the second-level cache */
  A_STEP = STRIP + 16, /* an odd number of cache lines */
  LEAST_ROWS = 128,
  LEAST_READY = 1024, /* of a product by weights, which oneDNN has packed ready: one thread alone is faster with it */
  LEAST = 1 << 22,    /* multiply-adds */
};

static bool can(const fv_node *n) {
  const fv_shape a = n->in[0]->shape, b = n->in[1]->shape;
  if (n->in[0]->dtype != FV_F32 || n->in[1]->dtype != FV_F32 || a.ndim != 2 || b.ndim != 2) return false;
  const fv_matmul_size q = fv_matmul_size_of(n);
  const int64_t least_rows = n->in[1]->kind == FV_VALUE_PARAM ? LEAST_READY : LEAST_ROWS;
  return q.m >= least_rows && q.n > FV_W && q.k > FV_W && (double)q.m * (double)q.n * (double)q.k >= LEAST;
}

/* An even number: strips are of one height, and few. */
static int64_t units(const fv_node *n) { return fv_round_up(fv_ceil_div(fv_matmul_size_of(n).m, STRIP), 2); }

/* to[i][j] for i < k, j < n, rows of `step`: from[i][j], or from[j][i] where the matrix lies `along` k. */
static void copy_together(const float *from, int64_t from_step, bool along, int64_t k, int64_t n, float *to,
                          int64_t step) {
  enum { AHEAD = 16 }; /* rows: far apart, they are not foreseen by the processor */
  if (along) {
    fv_transpose((int32_t *)(void *)to, step, (const int32_t *)(const void *)from, from_step, k, n);
    return;
  }
  for (int64_t i = 0; i < k; i++, from += from_step, to += step) {
    int64_t j = 0;
    for (; i + AHEAD < k && j < n; j += 16) __builtin_prefetch(from + AHEAD * from_step + j);
    for (j = 0; j + FV_W <= n; j += FV_W) fv_vstore(to + j, fv_vload(from + j));
    if (j < n) fv_vstore_n(to + j, fv_vload_n(from + j, n - j), n - j);
  }
}

/* ---- the second matrix ------------------------------------------------------------------------------------------- */
static void pack_panel(const fv_matmul_attrs *t, const fv_matmul_size *q, const float *b, int64_t k0, int64_t k,
                       int64_t j, float *to) {
  const int64_t width = FV_MIN(FV_PANEL, q->n - j);
  if (width < FV_PANEL) memset(to, 0, (size_t)(k * FV_PANEL) * sizeof *to);
  copy_together(b + (t->tb ? j * q->k + k0 : k0 * q->n + j), t->tb ? q->k : q->n, t->tb, k, width, to, FV_PANEL);
}

static int64_t packed(const fv_node *n, int i) {
  const fv_matmul_size q = fv_matmul_size_of(n);
  return i == 1 ? q.k * fv_round_up(q.n, FV_PANEL) * (int64_t)sizeof(float) : 0;
}
static void pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i, (void)state;
  const fv_matmul_size q = fv_matmul_size_of(n);
  for (int64_t j = 0; j < q.n; j += FV_PANEL)
    pack_panel(n->attrs, &q, src->data, 0, q.k, j, (float *)dst + j * q.k);
}

/* ---- strips ------------------------------------------------------------------------------------------------------ */
typedef struct room {
  float a[K_BLOCK * A_STEP], b[K_BLOCK * FV_PANEL], c[STRIP * FV_PANEL];
} room;

static int64_t scratch(const fv_node *n) {
  (void)n;
  return sizeof(room);
}

static void strip(const fv_call *c, const fv_matmul_size *q, int64_t row, int64_t rows) {
  const fv_matmul_attrs *t = c->attrs;
  const float *a = c->in[0].data, *b = c->in[1].data;
  float *y = (float *)c->out[0].data + row * q->n;
  room *w = c->scratch;
  for (int64_t k0 = 0; k0 < q->k; k0 += K_BLOCK) {
    const int64_t k = FV_MIN(K_BLOCK, q->k - k0);
    copy_together(a + (t->ta ? k0 * q->m + row : row * q->k + k0), t->ta ? q->m : q->k, !t->ta, k, rows, w->a, A_STEP);
    for (int64_t j = 0; j < q->n; j += FV_PANEL) {
      const bool whole = j + FV_PANEL <= q->n, ready = c->packed >> 1 & 1;
      if (!ready) pack_panel(t, q, b, k0, k, j, w->b);
      fv_panel_run(&(fv_panel){.n = k,
                               .a = w->a,
                               .a_row = 1,
                               .a_step = A_STEP,
                               .b = ready ? b + j * q->k + k0 * FV_PANEL : w->b,
                               .b_step = FV_PANEL,
                               .c = whole ? y + j : w->c,
                               .c_row = whole ? q->n : FV_PANEL,
                               .start = k0 ? FV_PANEL_ADD : FV_PANEL_ZERO},
                   2, rows);
    }
  }
  const int64_t j = q->n - q->n % FV_PANEL;
  for (int64_t r = 0; j < q->n && r < rows; r++)
    memcpy(y + r * q->n + j, w->c + r * FV_PANEL, (size_t)(q->n - j) * sizeof *y);
}

static void run(const fv_call *c) {
  const fv_matmul_size q = fv_matmul_size_of(c->node);
  const int64_t each = fv_round_up(fv_ceil_div(q.m, units(c->node)), FV_PANEL_ROWS);
  for (int64_t u = c->begin; u < c->end; u++)
    if (u * each < q.m) strip(c, &q, u * each, FV_MIN(each, q.m - u * each));
}

extern const fv_kernel FV_KERNELS(matmul_blocks)[];
const fv_kernel FV_KERNELS(matmul_blocks)[] = {
    {.op = "matmul", .name = "blocks", .isa = FV_ISA_LEVEL, .priority = 15, .can = can, .units = units,
     .scratch = scratch, .packed = packed, .pack = pack, .run = run}, {0}};
