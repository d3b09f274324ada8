/* SPDX-License-Identifier: Apache-2.0 */
/* conv.h: what the convolutions share. A convolution ties three tensors: an image [N,H,W,C], maps [N,OH,OW,O] and a
 * weight [O,C/groups,KH,KW]; each operation computes one of them (or, transposed, the image) from the other two. Below,
 * (y,x) is a place in the image, (oy,ox) one in the maps, (ky,kx) a tap: y = oy stride - pad + ky dilation. The
 * one-dimensional kind has no H, OH, KH. */
#ifndef FV_OPS_CONV_H
#define FV_OPS_CONV_H

#include "ir/ir.h"

/* What every convolution's attributes begin with. Lists hold one number for both directions or one each. */
#define FV_CONV_WINDOW_FIELDS        \
  fv_int_list stride, pad, dilation; \
  int64_t groups, pad_mode
typedef struct fv_conv_window {
  FV_CONV_WINDOW_FIELDS;
} fv_conv_window;
/* The same fields by name and as one. */
#define FV_CONV_WINDOW       \
  union {                    \
    fv_conv_window window;   \
    struct {                 \
      FV_CONV_WINDOW_FIELDS; \
    };                       \
  }
extern const char *const fv_pad_mode_names[];
#define FV_CONV_MAX 1048576 /* of stride, padding, dilation and taps: keeps every product of two within int64_t */
#define FV_CONV_WINDOW_OPTIONS(type)                                                                                   \
  {"stride", FV_OPT_INTS, offsetof(type, window.stride), "1", 1, FV_CONV_MAX, NULL, "step of the window, pixels"},     \
  {"pad", FV_OPT_INTS, offsetof(type, window.pad), "0", 0, FV_CONV_MAX, NULL, "zeros added on each side, pixels"},     \
  {"dilation", FV_OPT_INTS, offsetof(type, window.dilation), "1", 1, FV_CONV_MAX, NULL, "distance of taps, pixels"},   \
  {"groups", FV_OPT_INT, offsetof(type, window.groups), "1", 1, FV_CONV_MAX, NULL, "channel groups kept apart"},       \
  {"pad_mode", FV_OPT_ENUM, offsetof(type, window.pad_mode), "zeros", 0, 0, fv_pad_mode_names, "what padding holds"}

typedef struct fv_conv_geometry {
  int64_t n, h, w, c, oh, ow, o, kh, kw;
  int64_t sh, sw, ph, pw, dh, dw, groups;
} fv_conv_geometry;
/* Shapes have three dimensions (one-dimensional kind) or four. */
fv_conv_geometry fv_conv_geometry_of(const fv_conv_window *a, fv_shape image, fv_shape maps, fv_shape weight);
double fv_conv_flops(const fv_conv_geometry *q);

/* Shape inference: checks image or maps `x` and weight against the window; `transposed` when x is the maps' side. */
fv_status fv_conv_check(fv_infer *c, const fv_conv_window *a, int ndim, bool transposed);
/* Output size along direction i (of `dirs`) of a window over `size` pixels; 0 when it does not fit once. */
int64_t fv_conv_out(const fv_conv_window *a, int i, int64_t size, int64_t taps);
/* The size of which fv_conv_out is `maps`, the smallest plus `extra`. */
int64_t fv_conv_in(const fv_conv_window *a, int i, int64_t maps, int64_t taps, int64_t extra);
/* Bias [O] (input 2) and residual (input 3, of the output's shape) of a layer with `o` outputs. */
fv_status fv_layer_check_extras(fv_infer *c, int64_t o);
/* What a layer stores: act(v + bias[o] + residual[i]); bias is input 2, residual input 3. */
double fv_layer_finish(const fv_call *c, int64_t act, double v, int64_t o, int64_t i);

/* The three sums, in f64. */
double fv_conv_maps_at(const fv_conv_geometry *q, const fv_tensor *image, const fv_tensor *weight, int64_t i);
double fv_conv_image_at(const fv_conv_geometry *q, const fv_tensor *maps, const fv_tensor *weight, int64_t i);
double fv_conv_weight_at(const fv_conv_geometry *q, const fv_tensor *image, const fv_tensor *maps, int64_t i);

#endif
