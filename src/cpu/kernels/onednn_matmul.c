/* SPDX-License-Identifier: Apache-2.0 */
/* onednn_matmul: matrix products through oneDNN's matmul, which at one thread is as fast as its sgemm on plain operands
 * and faster on packed or small ones. Batches of rows that meet one matrix are one tall product. */
#include "cpu/onednn/rows.h"
#include "cpu/simd.h"
#include "ops/linear.h"
#include "ops/matmul.h"

static bool given(const fv_node *n, int i) { return n->n_in > i && n->in[i]->kind != FV_VALUE_ABSENT; }

static fv_dnn_layout matrix_layout(int64_t rows, int64_t cols, bool transposed) {
  return (fv_dnn_layout){.ndim = 2, .dim = {rows, cols}, .step = {transposed ? 1 : cols, transposed ? rows : 1}};
}

static void linear_spec(const fv_node *n, fv_dnn_spec *s) {
  int64_t outputs = n->in[1]->shape.dim[0], inputs = n->in[1]->shape.dim[1];
  int64_t rows = fv_shape_count(n->out[0]->shape) / outputs;
  s->kind = FV_DNN_MATMUL;
  s->act = ((const fv_linear_attrs *)n->attrs)->act;
  s->free_weight = true;
  s->role[FV_DNN_SRC] = matrix_layout(rows, inputs, false);
  s->role[FV_DNN_WEIGHT] = matrix_layout(inputs, outputs, true);
  s->role[FV_DNN_DST] = matrix_layout(rows, outputs, false);
  if (given(n, 2)) s->role[FV_DNN_BIAS] = matrix_layout(1, outputs, false);
  if (given(n, 3)) s->role[FV_DNN_RESIDUAL] = s->role[FV_DNN_DST];
}

/* Puts the batch dimensions of `shape`, right-aligned to those of the result, before a matrix. */
static fv_dnn_layout batched(fv_dnn_layout matrix, fv_shape shape, fv_shape batch) {
  fv_dnn_layout l = {.ndim = batch.ndim + 2};
  memcpy(l.dim + batch.ndim, matrix.dim, 2 * sizeof *l.dim);
  memcpy(l.step + batch.ndim, matrix.step, 2 * sizeof *l.step);
  int64_t step = matrix.dim[0] * matrix.dim[1];
  for (int i = batch.ndim - 1, j = shape.ndim - 3; i >= 0; i--, j--) {
    l.dim[i] = j >= 0 ? shape.dim[j] : 1;
    l.step[i] = step;
    step *= l.dim[i];
  }
  return l;
}

static void matmul_spec(const fv_node *n, fv_dnn_spec *s) {
  const fv_matmul_attrs *a = n->attrs;
  fv_matmul_size q = fv_matmul_size_of(n);
  bool one_matrix = fv_shape_count(n->in[1]->shape) == q.k * q.n;
  bool tall = one_matrix && !a->ta && fv_shape_count(n->in[0]->shape) == fv_shape_count(q.batch) * q.m * q.k;
  s->kind = FV_DNN_MATMUL;
  s->free_weight = one_matrix && n->in[1]->kind == FV_VALUE_PARAM; /* packed once a step; activations stay put */
  if (tall) {
    q.m *= fv_shape_count(q.batch);
    q.batch.ndim = 0;
  }
  fv_shape rows = {.ndim = 2};
  s->role[FV_DNN_SRC] = batched(matrix_layout(q.m, q.k, a->ta), tall ? rows : n->in[0]->shape, q.batch);
  s->role[FV_DNN_WEIGHT] = batched(matrix_layout(q.k, q.n, a->tb), one_matrix ? rows : n->in[1]->shape, q.batch);
  s->role[FV_DNN_DST] = batched(matrix_layout(q.m, q.n, false), tall ? rows : n->out[0]->shape, q.batch);
}

static const fv_dnn_row linear_row = {.spec = linear_spec,
                                      .in = {FV_DNN_SRC, FV_DNN_WEIGHT, FV_DNN_BIAS, FV_DNN_RESIDUAL},
                                      .out = {FV_DNN_DST}};
static const fv_dnn_row matmul_row = {.spec = matmul_spec, .in = {FV_DNN_SRC, FV_DNN_WEIGHT}, .out = {FV_DNN_DST}};
FV_DNN_FUNCTIONS(linear)
FV_DNN_FUNCTIONS(matmul)

const fv_kernel FV_KERNELS(onednn_matmul)[] = {FV_DNN_ROW(linear, FV_ISA_LEVEL), FV_DNN_ROW(matmul, FV_ISA_LEVEL), {0}};
