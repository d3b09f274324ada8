/* SPDX-License-Identifier: Apache-2.0 */
/* dnn.c: a thin layer over oneDNN's C interface. What differs between v2 and v3 (memory descriptors by value or by
 * handle, primitive descriptors with or without an operation descriptor) is in the two blocks marked "v2 / v3".
 *
 * One thread: distributions build oneDNN over OpenMP. How many threads it takes is asked of the OpenMP runtime at each
 * call and is a property of the calling thread, so setting it to 1 around every call keeps the work here, makes results
 * independent of the machine's processor count, and leaves the caller's own OpenMP code as it was. */
#include "cpu/onednn/dnn.h"

#include "cpu/finish.h"
#include "os/os.h"

#include <dlfcn.h>
#include <dnnl.h>
#include <pthread.h>

/* ---- the library ------------------------------------------------------------------------------------------------- */
static struct {
  pthread_once_t once;
  fv_status status;
  char message[160];
  dnnl_engine_t engine;
  void (*set_threads)(int);
  int (*get_threads)(void);
} lib = {.once = PTHREAD_ONCE_INIT};

static fv_status check(dnnl_status_t status, const char *what) {
  fv_status code = status == dnnl_out_of_memory ? FV_ERR_MEMORY : FV_ERR_INTERNAL;
  FV_REQUIRE(status == dnnl_success, code, "oneDNN (%s): expected success, got status %d", what, (int)status);
  return FV_OK;
}

int fv_dnn_pin(void) {
  if (!lib.set_threads) return 0;
  int before = lib.get_threads();
  if (before != 1) lib.set_threads(1);
  return before;
}

void fv_dnn_unpin(int pinned) {
  if (lib.set_threads && pinned != 1) lib.set_threads(pinned);
}

/* The runtime oneDNN itself was linked with is found by name: it may be GNU's or Intel's. */
static fv_status find_threads(void) {
  unsigned runtime = dnnl_version()->cpu_runtime;
  FV_REQUIRE(runtime == DNNL_RUNTIME_OMP || runtime == DNNL_RUNTIME_SEQ, FV_ERR_REQUEST,
             "oneDNN (libdnnl): expected a build for OpenMP or for one thread, got runtime %u", runtime);
  if (runtime == DNNL_RUNTIME_SEQ) return FV_OK;
  *(void **)&lib.set_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  *(void **)&lib.get_threads = dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  FV_REQUIRE(lib.set_threads && lib.get_threads, FV_ERR_NOTFOUND,
             "oneDNN (libdnnl): expected its OpenMP runtime, got none");
  return FV_OK;
}

static fv_status start_library(void) {
  FV_TRY(find_threads());
  /* Refused on processors without levels of this kind, and then not needed. */
  if (fv_cpu_isa() == FV_ISA_BASE) (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
  if (fv_cpu_isa() == FV_ISA_AVX2) (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
  int pinned = fv_dnn_pin();
  fv_status status = check(dnnl_engine_create(&lib.engine, dnnl_cpu, 0), "engine");
  fv_dnn_unpin(pinned);
  return status;
}

static void start_once(void) {
  lib.status = start_library();
  if (lib.status != FV_OK) snprintf(lib.message, sizeof lib.message, "%s", fv_error_message());
}

fv_status fv_dnn_init(void) {
  pthread_once(&lib.once, start_once);
  FV_REQUIRE(lib.status == FV_OK, lib.status, "%s", lib.message);
  return FV_OK;
}

/* ---- v2 / v3: memory descriptors --------------------------------------------------------------------------------- */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t md_ref;
typedef struct md {
  dnnl_memory_desc_t d;
  bool given;
} md;
static md_ref md_of(const md *m) { return m->given ? m->d : NULL; }
static dnnl_status_t md_strided(md *m, int n, const int64_t *dim, const int64_t *step) {
  return dnnl_memory_desc_create_with_strides(&m->d, n, dim, dnnl_f32, step);
}
static dnnl_status_t md_any(md *m, int n, const int64_t *dim) {
  return dnnl_memory_desc_create_with_tag(&m->d, n, dim, dnnl_f32, dnnl_format_tag_any);
}
static void md_drop(md *m) {
  if (m->given) dnnl_memory_desc_destroy(m->d);
}
#else
typedef const dnnl_memory_desc_t *md_ref;
typedef struct md {
  dnnl_memory_desc_t d;
  bool given;
} md;
static md_ref md_of(const md *m) { return m->given ? &m->d : NULL; }
static dnnl_status_t md_strided(md *m, int n, const int64_t *dim, const int64_t *step) {
  return dnnl_memory_desc_init_by_strides(&m->d, n, dim, dnnl_f32, step);
}
static dnnl_status_t md_any(md *m, int n, const int64_t *dim) {
  return dnnl_memory_desc_init_by_tag(&m->d, n, dim, dnnl_f32, dnnl_format_tag_any);
}
static void md_drop(md *m) { m->given = false; }
#endif

static fv_status md_make(md *m, const fv_dnn_layout *layout, bool any) {
  m->given = false;
  if (layout->ndim == 0) return FV_OK;
  FV_TRY(check(any ? md_any(m, layout->ndim, layout->dim) : md_strided(m, layout->ndim, layout->dim, layout->step),
               "layout"));
  m->given = true;
  return FV_OK;
}

/* ---- v2 / v3: primitive descriptors ------------------------------------------------------------------------------ */
typedef struct request {
  const fv_dnn_spec *spec;
  md src, weight, bias, dst;
  dnnl_dims_t stride, dilation, pad;
  dnnl_primitive_attr_t attr, no_post_ops;
} request;

#if DNNL_VERSION_MAJOR >= 3
static dnnl_status_t conv_forward(const request *r, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd) {
  return dnnl_convolution_forward_primitive_desc_create(pd, lib.engine, dnnl_forward_training, dnnl_convolution_direct,
                                                        md_of(&r->src), md_of(&r->weight), md_of(&r->bias),
                                                        md_of(&r->dst), r->stride, r->dilation, r->pad, r->pad, attr);
}
static dnnl_status_t conv_data(const request *r, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
  return dnnl_convolution_backward_data_primitive_desc_create(pd, lib.engine, dnnl_convolution_direct, md_of(&r->src),
                                                              md_of(&r->weight), md_of(&r->dst), r->stride, r->dilation,
                                                              r->pad, r->pad, hint, r->attr);
}
static dnnl_status_t conv_weight(const request *r, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
  return dnnl_convolution_backward_weights_primitive_desc_create(
      pd, lib.engine, dnnl_convolution_direct, md_of(&r->src), md_of(&r->weight), md_of(&r->bias), md_of(&r->dst),
      r->stride, r->dilation, r->pad, r->pad, hint, r->attr);
}
static dnnl_status_t deconv(const request *r, dnnl_primitive_desc_t *pd) {
  return dnnl_deconvolution_forward_primitive_desc_create(
      pd, lib.engine, dnnl_forward_training, dnnl_deconvolution_direct, md_of(&r->src), md_of(&r->weight),
      md_of(&r->bias), md_of(&r->dst), r->stride, r->dilation, r->pad, r->pad, r->attr);
}
static dnnl_status_t matmul(const request *r, dnnl_primitive_desc_t *pd) {
  return dnnl_matmul_primitive_desc_create(pd, lib.engine, md_of(&r->src), md_of(&r->weight), md_of(&r->bias),
                                           md_of(&r->dst), r->attr);
}
static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha) {
  return dnnl_post_ops_append_eltwise(ops, alg, alpha, 0);
}
#else
static dnnl_status_t conv_forward(const request *r, dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd) {
  dnnl_convolution_desc_t d;
  dnnl_status_t s = dnnl_dilated_convolution_forward_desc_init(
      &d, dnnl_forward_training, dnnl_convolution_direct, md_of(&r->src), md_of(&r->weight), md_of(&r->bias),
      md_of(&r->dst), r->stride, r->dilation, r->pad, r->pad);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, attr, lib.engine, NULL);
}
static dnnl_status_t conv_data(const request *r, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
  dnnl_convolution_desc_t d;
  dnnl_status_t s = dnnl_dilated_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, md_of(&r->src),
                                                                     md_of(&r->weight), md_of(&r->dst), r->stride,
                                                                     r->dilation, r->pad, r->pad);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, r->attr, lib.engine, hint);
}
static dnnl_status_t conv_weight(const request *r, dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd) {
  dnnl_convolution_desc_t d;
  dnnl_status_t s = dnnl_dilated_convolution_backward_weights_desc_init(
      &d, dnnl_convolution_direct, md_of(&r->src), md_of(&r->weight), md_of(&r->bias), md_of(&r->dst), r->stride,
      r->dilation, r->pad, r->pad);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, r->attr, lib.engine, hint);
}
static dnnl_status_t deconv(const request *r, dnnl_primitive_desc_t *pd) {
  dnnl_deconvolution_desc_t d;
  dnnl_status_t s = dnnl_dilated_deconvolution_forward_desc_init(
      &d, dnnl_forward_training, dnnl_deconvolution_direct, md_of(&r->src), md_of(&r->weight), md_of(&r->bias),
      md_of(&r->dst), r->stride, r->dilation, r->pad, r->pad);
  return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, r->attr, lib.engine, NULL);
}
static dnnl_status_t matmul(const request *r, dnnl_primitive_desc_t *pd) {
  dnnl_matmul_desc_t d;
  dnnl_status_t s = dnnl_matmul_desc_init(&d, md_of(&r->src), md_of(&r->weight), md_of(&r->bias), md_of(&r->dst));
  return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &d, r->attr, lib.engine, NULL);
}
static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha) {
  return dnnl_post_ops_append_eltwise(ops, 1, alg, alpha, 0);
}
#endif

/* The gradients' descriptors want a forward one as a hint. */
static dnnl_status_t make_desc(const request *r, dnnl_primitive_desc_t *pd) {
  fv_dnn_kind kind = r->spec->kind;
  if (kind == FV_DNN_CONV) return conv_forward(r, r->attr, pd);
  if (kind == FV_DNN_DECONV) return deconv(r, pd);
  if (kind == FV_DNN_MATMUL) return matmul(r, pd);
  dnnl_primitive_desc_t hint = NULL;
  dnnl_status_t s = conv_forward(r, r->no_post_ops, &hint);
  if (s != dnnl_success) return s;
  s = kind == FV_DNN_CONV_DATA ? conv_data(r, hint, pd) : conv_weight(r, hint, pd);
  dnnl_primitive_desc_destroy(hint);
  return s;
}

/* ---- from a spec to a primitive ---------------------------------------------------------------------------------- */
struct fv_dnn {
  fv_dnn_kind kind;
  bool late; /* residual and activation are left to do when oneDNN is done */
  int64_t act;
  dnnl_primitive_desc_t desc;
  dnnl_primitive_t primitive;
  dnnl_primitive_t reorder; /* caller's weight -> chosen layout (the other way for CONV_WEIGHT); NULL: they are one */
  dnnl_stream_t stream;
  dnnl_memory_t memory[FV_DNN_ROLES], plain, scratch, reorder_scratch;
  void *bound[FV_DNN_ROLES + 3];
  int64_t out_bytes[FV_DNN_ROLES];
  int64_t scratch_bytes, weight_bytes;
  void *pack_scratch; /* what the reorder alone needs; fv_dnn_pack has no scratch of a call to use */
  dnnl_exec_arg_t args[FV_DNN_ROLES + 1];
  int n_args;
};
enum { BOUND_PLAIN = FV_DNN_ROLES, BOUND_SCRATCH, BOUND_REORDER_SCRATCH };

/* v2 does not do well by residuals (found at 2.6.3): on Arm, and with SSE4.1, some convolutions add them wrongly; on an
 * emulated Haswell tanh after one is wrong. There residual and activation come afterwards. */
static bool finishes_late(const fv_dnn_spec *spec) {
  bool delicate = spec->act == FV_ACT_TANH || spec->act == FV_ACT_SILU;
  bool well = fv_cpu_isa() != FV_ISA_NEON && fv_cpu_isa() >= (delicate ? FV_ISA_AVX512 : FV_ISA_AVX2);
  return DNNL_VERSION_MAJOR < 3 && spec->role[FV_DNN_RESIDUAL].ndim > 0 && !well;
}

static fv_status make_attr(const fv_dnn_spec *spec, md_ref dst, dnnl_primitive_attr_t *attr) {
  static const struct {
    dnnl_alg_kind_t alg;
    float alpha;
  } acts[] = {[FV_ACT_RELU] = {dnnl_eltwise_relu, 0}, [FV_ACT_SIGMOID] = {dnnl_eltwise_logistic, 0},
              [FV_ACT_TANH] = {dnnl_eltwise_tanh, 0}, [FV_ACT_GELU] = {dnnl_eltwise_gelu_erf, 0},
              [FV_ACT_SILU] = {dnnl_eltwise_swish, 1}};
  fv_status status = FV_OK;
  dnnl_post_ops_t ops = NULL;
  FV_TRY(check(dnnl_primitive_attr_create(attr), "attributes"));
  FV_TRY(check(dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user), "scratchpad"));
  bool residual = spec->role[FV_DNN_RESIDUAL].ndim > 0;
  if ((!residual && spec->act == FV_ACT_NONE) || finishes_late(spec)) return FV_OK;
  FV_TRY(check(dnnl_post_ops_create(&ops), "post-ops"));
  if (residual) FV_TRY_DONE(check(dnnl_post_ops_append_binary(ops, dnnl_binary_add, dst), "residual"));
  if (spec->act != FV_ACT_NONE)
    FV_TRY_DONE(check(append_eltwise(ops, acts[spec->act].alg, acts[spec->act].alpha), "activation"));
  FV_TRY_DONE(check(dnnl_primitive_attr_set_post_ops(*attr, ops), "post-ops"));
done:
  dnnl_post_ops_destroy(ops);
  return status;
}

static fv_status make_memory(md_ref d, dnnl_memory_t *memory) {
  return check(dnnl_memory_create(memory, d, lib.engine, DNNL_MEMORY_NONE), "memory");
}

static md_ref query(const fv_dnn *dnn, dnnl_query_t what, int index) {
  return dnnl_primitive_desc_query_md(dnn->desc, what, index);
}

/* For each kind and role: the argument's name, and what to ask the descriptor for. */
typedef struct slot {
  int arg;
  dnnl_query_t what;
  int index;
} slot;
static slot slot_of(fv_dnn_kind kind, fv_dnn_role role) {
  bool data = kind == FV_DNN_CONV_DATA, weight = kind == FV_DNN_CONV_WEIGHT;
  switch (role) {
    case FV_DNN_SRC:
      return data ? (slot){DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md, 0} : (slot){DNNL_ARG_SRC, dnnl_query_src_md, 0};
    case FV_DNN_WEIGHT:
      return weight ? (slot){DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md, 0}
                    : (slot){DNNL_ARG_WEIGHTS, dnnl_query_weights_md, 0};
    case FV_DNN_BIAS:
      return weight ? (slot){DNNL_ARG_DIFF_BIAS, dnnl_query_diff_weights_md, 1}
                    : (slot){DNNL_ARG_BIAS, dnnl_query_weights_md, 1};
    case FV_DNN_DST:
      return data || weight ? (slot){DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md, 0}
                            : (slot){DNNL_ARG_DST, dnnl_query_dst_md, 0};
    default: return (slot){DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, dnnl_query_dst_md, 0};
  }
}

static fv_status add_arg(fv_dnn *dnn, int arg, dnnl_memory_t memory) {
  dnn->args[dnn->n_args++] = (dnnl_exec_arg_t){arg, memory};
  return FV_OK;
}

static fv_status make_args(fv_dnn *dnn, const fv_dnn_spec *spec) {
  for (fv_dnn_role role = 0; role < FV_DNN_ROLES; role++) {
    if (spec->role[role].ndim == 0) continue;
    slot s = slot_of(spec->kind, role);
    md_ref d = query(dnn, s.what, s.index);
    if (role == FV_DNN_RESIDUAL && dnn->late) continue;
    FV_TRY(make_memory(d, &dnn->memory[role]));
    FV_TRY(add_arg(dnn, s.arg, dnn->memory[role]));
    bool output = spec->kind == FV_DNN_CONV_DATA     ? role == FV_DNN_SRC
                  : spec->kind == FV_DNN_CONV_WEIGHT ? role == FV_DNN_WEIGHT || role == FV_DNN_BIAS
                                                     : role == FV_DNN_DST;
    if (output) dnn->out_bytes[role] = (int64_t)dnnl_memory_desc_get_size(d);
  }
  md_ref pad = query(dnn, dnnl_query_scratchpad_md, 0);
  dnn->scratch_bytes = (int64_t)dnnl_memory_desc_get_size(pad);
  FV_TRY(make_memory(pad, &dnn->scratch));
  return add_arg(dnn, DNNL_ARG_SCRATCHPAD, dnn->scratch);
}

/* When oneDNN's choice differs from the caller's weight: the way between them. */
static fv_status make_reorder(fv_dnn *dnn, const request *r, md_ref plain) {
  slot s = slot_of(dnn->kind, FV_DNN_WEIGHT);
  md_ref chosen = query(dnn, s.what, s.index);
  if (dnnl_memory_desc_equal(chosen, plain)) return FV_OK;
  bool back = dnn->kind == FV_DNN_CONV_WEIGHT;
  dnnl_primitive_desc_t pd = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(check(dnnl_reorder_primitive_desc_create(&pd, back ? chosen : plain, lib.engine, back ? plain : chosen,
                                                       lib.engine, r->no_post_ops), "weight layout"));
  FV_TRY_DONE(check(dnnl_primitive_create(&dnn->reorder, pd), "weight layout"));
  FV_TRY_DONE(make_memory(plain, &dnn->plain));
  dnn->weight_bytes = (int64_t)dnnl_memory_desc_get_size(chosen);
  md_ref pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
  FV_TRY_DONE(make_memory(pad, &dnn->reorder_scratch));
  size_t bytes = dnnl_memory_desc_get_size(pad);
  dnn->scratch_bytes = FV_MAX(dnn->scratch_bytes, (int64_t)bytes);
  if (bytes) FV_REQUIRE_DONE(dnn->pack_scratch = fv_alloc(bytes), FV_ERR_MEMORY, "oneDNN reorder: out of memory");
  if (back) dnn->out_bytes[FV_DNN_WEIGHT] = (int64_t)dnnl_memory_desc_get_size(plain);
done:
  dnnl_primitive_desc_destroy(pd);
  return status;
}

static fv_status build(fv_dnn *dnn, request *r) {
  const fv_dnn_spec *spec = r->spec;
  md plain = {.given = false};
  fv_status status = FV_OK;
  for (int i = 0; i < 2; i++) {
    r->stride[i] = spec->stride[i];
    r->dilation[i] = spec->dilation[i] - 1;
    r->pad[i] = spec->pad[i];
  }
  FV_TRY_DONE(md_make(&r->src, &spec->role[FV_DNN_SRC], false));
  FV_TRY_DONE(md_make(&r->weight, &spec->role[FV_DNN_WEIGHT], spec->free_weight));
  FV_TRY_DONE(md_make(&r->bias, &spec->role[FV_DNN_BIAS], false));
  FV_TRY_DONE(md_make(&r->dst, &spec->role[FV_DNN_DST], false));
  FV_TRY_DONE(md_make(&plain, &spec->role[FV_DNN_WEIGHT], false));
  FV_TRY_DONE(make_attr(spec, md_of(&r->dst), &r->attr));
  FV_TRY_DONE(make_attr(&(fv_dnn_spec){0}, NULL, &r->no_post_ops));
  FV_TRY_DONE(check(make_desc(r, &dnn->desc), "operation"));
  FV_TRY_DONE(check(dnnl_primitive_create(&dnn->primitive, dnn->desc), "primitive"));
  FV_TRY_DONE(check(dnnl_stream_create(&dnn->stream, lib.engine, dnnl_stream_default_flags), "stream"));
  FV_TRY_DONE(make_args(dnn, spec));
  FV_TRY_DONE(make_reorder(dnn, r, md_of(&plain)));
done:
  dnnl_primitive_attr_destroy(r->attr);
  dnnl_primitive_attr_destroy(r->no_post_ops);
  md_drop(&plain);
  md_drop(&r->src);
  md_drop(&r->weight);
  md_drop(&r->bias);
  md_drop(&r->dst);
  return status;
}

fv_status fv_dnn_new(const fv_dnn_spec *spec, fv_dnn **dnn) {
  *dnn = NULL;
  FV_TRY(fv_dnn_init());
  fv_dnn *d;
  FV_TRY(FV_NEW(&d, 1));
  d->kind = spec->kind;
  d->late = finishes_late(spec);
  d->act = spec->act;
  int pinned = fv_dnn_pin();
  fv_status status = build(d, &(request){.spec = spec});
  fv_dnn_unpin(pinned);
  if (status != FV_OK) {
    fv_dnn_free(d);
    return status;
  }
  *dnn = d;
  return FV_OK;
}

void fv_dnn_free(fv_dnn *dnn) {
  if (!dnn) return;
  for (int i = 0; i < FV_DNN_ROLES; i++) dnnl_memory_destroy(dnn->memory[i]);
  dnnl_memory_destroy(dnn->plain);
  dnnl_memory_destroy(dnn->scratch);
  dnnl_memory_destroy(dnn->reorder_scratch);
  if (dnn->reorder) dnnl_primitive_destroy(dnn->reorder);
  if (dnn->primitive) dnnl_primitive_destroy(dnn->primitive);
  if (dnn->desc) dnnl_primitive_desc_destroy(dnn->desc);
  if (dnn->stream) dnnl_stream_destroy(dnn->stream);
  fv_free(dnn->pack_scratch);
  fv_free(dnn);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
static int64_t staging_offset(const fv_dnn *dnn) { return fv_round_up(dnn->scratch_bytes, FV_ALIGN); }

int64_t fv_dnn_scratch(const fv_dnn *dnn) { return staging_offset(dnn) + fv_round_up(dnn->weight_bytes, FV_ALIGN); }

int64_t fv_dnn_packed(const fv_dnn *dnn) { return dnn->kind == FV_DNN_CONV_WEIGHT ? 0 : dnn->weight_bytes; }

const char *fv_dnn_implementation(const fv_dnn *dnn) {
  const char *name = "";
  return dnnl_primitive_desc_query(dnn->desc, dnnl_query_impl_info_str, 0, (void *)&name) == dnnl_success ? name : "";
}

/* Setting a handle may write zeros into a padded layout's margin: done only when the place changes, so that threads
 * sharing packed weights do not keep writing to them. */
static void bind(fv_dnn *dnn, int slot_index, dnnl_memory_t memory, void *data) {
  if (!memory || dnn->bound[slot_index] == data) return;
  dnn->bound[slot_index] = dnnl_memory_set_data_handle(memory, data) == dnnl_success ? data : NULL;
}

static dnnl_status_t run_reorder(fv_dnn *dnn, void *plain, void *chosen, void *scratch) {
  bool back = dnn->kind == FV_DNN_CONV_WEIGHT;
  bind(dnn, BOUND_PLAIN, dnn->plain, plain);
  bind(dnn, FV_DNN_WEIGHT, dnn->memory[FV_DNN_WEIGHT], chosen);
  bind(dnn, BOUND_REORDER_SCRATCH, dnn->reorder_scratch, scratch);
  dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, back ? dnn->memory[FV_DNN_WEIGHT] : dnn->plain},
                            {DNNL_ARG_TO, back ? dnn->plain : dnn->memory[FV_DNN_WEIGHT]},
                            {DNNL_ARG_SCRATCHPAD, dnn->reorder_scratch}};
  return dnnl_primitive_execute(dnn->reorder, dnn->stream, (int)FV_COUNT(args), args);
}

void fv_dnn_pack(fv_dnn *dnn, const void *weight, void *packed) {
  if (!dnn->reorder) return;
  int pinned = fv_dnn_pin();
  if (run_reorder(dnn, (void *)(uintptr_t)weight, packed, dnn->pack_scratch) != dnnl_success)
    memset(packed, 0xff, (size_t)dnn->weight_bytes);
  fv_dnn_unpin(pinned);
}

void fv_dnn_run(fv_dnn *dnn, void *const data[FV_DNN_ROLES], bool packed, void *scratch) {
  int pinned = fv_dnn_pin();
  void *staging = (char *)scratch + staging_offset(dnn);
  bool staged = dnn->reorder && !packed, back = dnn->kind == FV_DNN_CONV_WEIGHT;
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < FV_DNN_ROLES; i++) bind(dnn, i, dnn->memory[i], i == FV_DNN_WEIGHT && staged ? staging : data[i]);
  bind(dnn, BOUND_SCRATCH, dnn->scratch, scratch);
  if (staged && !back) status = run_reorder(dnn, data[FV_DNN_WEIGHT], staging, scratch);
  if (status == dnnl_success) status = dnnl_primitive_execute(dnn->primitive, dnn->stream, dnn->n_args, dnn->args);
  if (status == dnnl_success && staged && back) status = run_reorder(dnn, data[FV_DNN_WEIGHT], staging, scratch);
  if (status == dnnl_success && dnn->late)
    fv_finish(dnn->act, data[FV_DNN_RESIDUAL], data[FV_DNN_DST], dnn->out_bytes[FV_DNN_DST] / (int64_t)sizeof(float));
  for (int i = 0; i < FV_DNN_ROLES && status != dnnl_success; i++)
    if (dnn->out_bytes[i] && data[i]) memset(data[i], 0xff, (size_t)dnn->out_bytes[i]);
  fv_dnn_unpin(pinned);
}
