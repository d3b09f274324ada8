/* SPDX-License-Identifier: Apache-2.0 */
/* onednn_conv: convolutions and their gradients through oneDNN. Images stay channels-last and dense; oneDNN chooses the
 * weights' layout. Bias, residual and activation are applied to each tile before it is stored. */
#include "cpu/onednn/rows.h"
#include "cpu/simd.h"
#include "ops/conv1d.h"
#include "ops/conv2d.h"
#include "ops/conv_transpose2d.h"

/* oneDNN names an image's dimensions N,C,H,W whatever their order in memory. */
static fv_dnn_layout image_layout(int64_t n, int64_t h, int64_t w, int64_t c) {
  return (fv_dnn_layout){.ndim = 4, .dim = {n, c, h, w}, .step = {h * w * c, 1, w * c, c}};
}

/* The weight [O,I/groups,KH,KW]; `swap`: seen with O and I exchanged, as transposed layers have them. */
static fv_dnn_layout weight_layout(const fv_conv_geometry *q, bool swap) {
  int64_t og = q->o / q->groups, cg = q->c / q->groups, taps = q->kh * q->kw;
  fv_dnn_layout w = {
      .ndim = 5, .dim = {q->groups, og, cg, q->kh, q->kw}, .step = {og * cg * taps, cg * taps, taps, q->kw, 1}};
  if (swap) {
    w.dim[1] = cg, w.step[1] = taps;
    w.dim[2] = og, w.step[2] = cg * taps;
  }
  if (q->groups > 1) return w;
  w.ndim = 4;
  memmove(w.dim, w.dim + 1, 4 * sizeof *w.dim);
  memmove(w.step, w.step + 1, 4 * sizeof *w.step);
  return w;
}

static void window_spec(const fv_conv_geometry *q, fv_dnn_spec *s) {
  s->free_weight = true;
  s->stride[0] = q->sh, s->stride[1] = q->sw;
  s->dilation[0] = q->dh, s->dilation[1] = q->dw;
  s->pad[0] = q->ph, s->pad[1] = q->pw;
}

static fv_dnn_layout vector_layout(int64_t n) { return (fv_dnn_layout){.ndim = 1, .dim = {n}, .step = {1}}; }

static bool given(const fv_node *n, int i) { return n->n_in > i && n->in[i]->kind != FV_VALUE_ABSENT; }

static void conv_spec(const fv_node *n, fv_dnn_spec *s) {
  const fv_conv2d_attrs *a = n->attrs; /* conv1d's are the same */
  fv_conv_geometry q = fv_conv_geometry_of(&a->window, n->in[0]->shape, n->out[0]->shape, n->in[1]->shape);
  s->kind = FV_DNN_CONV;
  window_spec(&q, s);
  s->act = a->act;
  s->role[FV_DNN_SRC] = image_layout(q.n, q.h, q.w, q.c);
  s->role[FV_DNN_WEIGHT] = weight_layout(&q, false);
  s->role[FV_DNN_DST] = image_layout(q.n, q.oh, q.ow, q.o);
  if (given(n, 2)) s->role[FV_DNN_BIAS] = vector_layout(q.o);
  if (given(n, 3)) s->role[FV_DNN_RESIDUAL] = s->role[FV_DNN_DST];
}

static void grad_input_spec(const fv_node *n, fv_dnn_spec *s) {
  fv_conv_geometry q = fv_conv_geometry_of(n->attrs, n->out[0]->shape, n->in[0]->shape, n->in[1]->shape);
  s->kind = FV_DNN_CONV_DATA;
  window_spec(&q, s);
  s->role[FV_DNN_SRC] = image_layout(q.n, q.h, q.w, q.c);
  s->role[FV_DNN_WEIGHT] = weight_layout(&q, false);
  s->role[FV_DNN_DST] = image_layout(q.n, q.oh, q.ow, q.o);
}

static void grad_weight_spec(const fv_node *n, fv_dnn_spec *s) {
  fv_conv_geometry q = fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->in[1]->shape, n->out[0]->shape);
  s->kind = FV_DNN_CONV_WEIGHT;
  window_spec(&q, s);
  s->role[FV_DNN_SRC] = image_layout(q.n, q.h, q.w, q.c);
  s->role[FV_DNN_WEIGHT] = weight_layout(&q, false);
  s->role[FV_DNN_DST] = image_layout(q.n, q.oh, q.ow, q.o);
  if (n->n_out > 1) s->role[FV_DNN_BIAS] = vector_layout(q.o);
}

static void transpose_spec(const fv_node *n, fv_dnn_spec *s) {
  const fv_conv_transpose2d_attrs *a = n->attrs;
  fv_conv_geometry q = fv_conv_geometry_of(&a->window, n->out[0]->shape, n->in[0]->shape, n->in[1]->shape);
  s->kind = FV_DNN_DECONV;
  window_spec(&q, s);
  s->role[FV_DNN_SRC] = image_layout(q.n, q.oh, q.ow, q.o);
  s->role[FV_DNN_WEIGHT] = weight_layout(&q, true);
  s->role[FV_DNN_DST] = image_layout(q.n, q.h, q.w, q.c);
  if (given(n, 2)) s->role[FV_DNN_BIAS] = vector_layout(q.c);
}

#define LAYER_ROLES .in = {FV_DNN_SRC, FV_DNN_WEIGHT, FV_DNN_BIAS, FV_DNN_RESIDUAL}, .out = {FV_DNN_DST}
static const fv_dnn_row conv2d_row = {.spec = conv_spec, LAYER_ROLES, .images = true};
static const fv_dnn_row conv1d_row = {.spec = conv_spec, LAYER_ROLES, .images = true};
static const fv_dnn_row conv_transpose2d_row = {.spec = transpose_spec, LAYER_ROLES, .images = true};
static const fv_dnn_row conv2d_grad_input_row = {
    .spec = grad_input_spec, .in = {FV_DNN_DST, FV_DNN_WEIGHT}, .out = {FV_DNN_SRC}, .images = true};
static const fv_dnn_row conv2d_grad_weight_row = {
    .spec = grad_weight_spec, .in = {FV_DNN_SRC, FV_DNN_DST}, .out = {FV_DNN_WEIGHT, FV_DNN_BIAS}};
FV_DNN_FUNCTIONS(conv2d)
FV_DNN_FUNCTIONS(conv1d)
FV_DNN_FUNCTIONS(conv_transpose2d)
FV_DNN_FUNCTIONS(conv2d_grad_input)
FV_DNN_FUNCTIONS(conv2d_grad_weight)

const fv_kernel FV_KERNELS(onednn_conv)[] = {FV_DNN_ROW(conv2d, FV_ISA_LEVEL),
                                             FV_DNN_ROW(conv1d, FV_ISA_LEVEL),
                                             FV_DNN_ROW(conv_transpose2d, FV_ISA_LEVEL),
                                             FV_DNN_ROW(conv2d_grad_input, FV_ISA_LEVEL),
                                             FV_DNN_ROW(conv2d_grad_weight, FV_ISA_LEVEL),
                                             {0}};
