/* SPDX-License-Identifier: Apache-2.0 */
/* dnn.h: the one place where oneDNN (v2.6 or v3) is called. A spec describes one product of f32 tensors; fv_dnn_new
 * turns it into a primitive that runs on the calling thread alone, whatever OMP_NUM_THREADS says.
 *
 * Equal specs share compiled code through oneDNN's own process-wide cache (1024 primitives), so a second fv_dnn of a
 * spec costs microseconds. An fv_dnn is used by one thread at a time; different ones may run at once. */
#ifndef FV_CPU_ONEDNN_DNN_H
#define FV_CPU_ONEDNN_DNN_H

#include "base/base.h"
#include "ops/activation.h"

typedef enum fv_dnn_kind {
  FV_DNN_CONV,        /* dst    <- src, weight, bias, residual */
  FV_DNN_CONV_DATA,   /* src    <- dst, weight */
  FV_DNN_CONV_WEIGHT, /* weight, bias <- src, dst */
  FV_DNN_DECONV,      /* dst    <- src, weight, bias */
  FV_DNN_MATMUL       /* dst    <- src, weight, bias, residual */
} fv_dnn_kind;

typedef enum { FV_DNN_SRC, FV_DNN_WEIGHT, FV_DNN_BIAS, FV_DNN_DST, FV_DNN_RESIDUAL, FV_DNN_ROLES } fv_dnn_role;

/* Dimensions in oneDNN's order (images N,C,H,W; weights [groups,] O,I,KH,KW; matrices batch..., row, column) with the
 * step in memory of each, in floats. */
#define FV_DNN_MAX_DIMS 12 /* DNNL_MAX_NDIMS: oneDNN reads that many */
typedef struct fv_dnn_layout {
  int ndim; /* 0: absent */
  int64_t dim[FV_DNN_MAX_DIMS], step[FV_DNN_MAX_DIMS];
} fv_dnn_layout;

typedef struct fv_dnn_spec {
  fv_dnn_kind kind;
  fv_dnn_layout role[FV_DNN_ROLES]; /* the residual has dst's layout: only its presence counts */
  bool free_weight; /* oneDNN chooses the weight's layout; what the caller has is role[FV_DNN_WEIGHT] or packed */
  int64_t stride[2], dilation[2], pad[2];
  int64_t act; /* fv_activation */
} fv_dnn_spec;

typedef struct fv_dnn fv_dnn;
fv_status fv_dnn_new(const fv_dnn_spec *spec, fv_dnn **dnn);
void fv_dnn_free(fv_dnn *dnn);
int64_t fv_dnn_scratch(const fv_dnn *dnn); /* bytes fv_dnn_run needs */
/* Bytes of the weight in the layout oneDNN chose; 0 when that is the caller's own. */
int64_t fv_dnn_packed(const fv_dnn *dnn);
void fv_dnn_pack(fv_dnn *dnn, const void *weight, void *packed);
/* `data` by role, NULL where absent. `packed`: the weight is what fv_dnn_pack wrote. Allocates nothing of ours. Should
 * oneDNN fail, the results are NaN: a failure cannot pass for an answer. */
void fv_dnn_run(fv_dnn *dnn, void *const data[FV_DNN_ROLES], bool packed, void *scratch);
/* "brgconv:avx512_core": which of oneDNN's implementations was chosen. */
const char *fv_dnn_implementation(const fv_dnn *dnn);

/* Makes oneDNN run on this thread alone until fv_dnn_unpin(what it returned). Needed around direct calls of oneDNN. */
int fv_dnn_pin(void);
void fv_dnn_unpin(int pinned);
/* Finds the OpenMP runtime and sets the instruction-set level; cheap after the first call. */
fv_status fv_dnn_init(void);

#endif
