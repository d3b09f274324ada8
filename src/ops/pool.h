/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h: what the pooling operations share: attributes, and which inputs belong to which output along one axis.
 *
 * Images are [N,H,W,C]. A sequence [N,L,C] is pooled as the image [N,1,L,C] (a reshape is free) with kernel 1,k. */
#ifndef FV_OPS_POOL_H
#define FV_OPS_POOL_H

#include "ir/ir.h"

/* Lists hold one number (for both axes) or two. max_pool2d, avg_pool2d and their gradients use this. */
typedef struct fv_pool_attrs {
  fv_int_list kernel;
  fv_int_list stride; /* empty: kernel */
  fv_int_list pad;    /* empty: 0; at most half the kernel */
  fv_int_list size;   /* gradients alone: H, W of the input */
  bool exclude_pad;   /* averages: divide by the elements really there (PyTorch's count_include_pad=False) */
} fv_pool_attrs;
typedef fv_pool_attrs fv_max_pool2d_attrs, fv_avg_pool2d_attrs;

typedef struct fv_adaptive_pool_attrs {
  fv_int_list size; /* H, W of the output; gradients: of the input */
} fv_adaptive_pool_attrs;
typedef fv_adaptive_pool_attrs fv_adaptive_avg_pool2d_attrs, fv_adaptive_max_pool2d_attrs;

extern const fv_option fv_pool_options[], fv_pool_grad_options[], fv_adaptive_pool_options[];

/* The windows along one axis. kernel 0: adaptive, window o is [floor(o*in/out), ceil((o+1)*in/out)). */
typedef struct fv_window {
  int64_t in, out, kernel, stride, pad;
} fv_window;
static inline int64_t fv_window_begin(const fv_window *w, int64_t o) {
  return w->kernel ? FV_MAX(o * w->stride - w->pad, 0) : o * w->in / w->out;
}
static inline int64_t fv_window_end(const fv_window *w, int64_t o) {
  return w->kernel ? FV_MIN(o * w->stride - w->pad + w->kernel, w->in) : fv_ceil_div((o + 1) * w->in, w->out);
}
/* The outputs whose windows hold input i: [first, last). */
static inline int64_t fv_window_first(const fv_window *w, int64_t i) {
  if (!w->kernel) return i * w->out / w->in;
  return i + w->pad < w->kernel ? 0 : FV_MIN((i + w->pad - w->kernel) / w->stride + 1, w->out);
}
static inline int64_t fv_window_last(const fv_window *w, int64_t i) {
  if (!w->kernel) return fv_ceil_div((i + 1) * w->out, w->in);
  return FV_MIN((i + w->pad) / w->stride + 1, w->out);
}

/* The windows of both axes and what lies around them. */
typedef struct fv_pool_plan {
  int64_t n, c;
  fv_window h, w;
  bool exclude_pad;
} fv_pool_plan;
fv_pool_plan fv_pool_of(const fv_node *node);      /* of a forward node */
fv_pool_plan fv_pool_of_grad(const fv_node *node); /* of a gradient's node: input 0 is dy, output 0 dx */
/* What the sum over a window of an average is multiplied by; oh, ow: the output's place. */
double fv_pool_scale(const fv_pool_plan *p, int64_t oh, int64_t ow);
/* How a maximum's second output names input (h, w): its place in the window, row-major from the window's corner (which
 * may lie in the border); adaptive: its place in the image. */
static inline int64_t fv_pool_code(const fv_pool_plan *p, int64_t oh, int64_t ow, int64_t h, int64_t w) {
  if (!p->h.kernel) return h * p->w.in + w;
  return (h - oh * p->h.stride + p->h.pad) * p->w.kernel + w - ow * p->w.stride + p->w.pad;
}

fv_status fv_pool_infer(fv_infer *c);
fv_status fv_pool_grad_infer(fv_infer *c);
/* The gradient's node of a forward node: operation `op` on dy (and on `code`, when not NULL). */
fv_value *fv_pool_grad(const fv_grad *c, const char *op, fv_value *code);
fv_cost fv_pool_cost(const fv_node *n);
fv_cost fv_pool_grad_cost(const fv_node *n);
void fv_pool_max_ref(const fv_call *c);
void fv_pool_max_grad_ref(const fv_call *c);
void fv_pool_avg_ref(const fv_call *c);
void fv_pool_avg_grad_ref(const fv_call *c);

#endif
