/* SPDX-License-Identifier: Apache-2.0 */
/* fovea/graph.h: build a graph of operations, differentiate it, compile it into a program, run it.
 *
 * A graph is built once for given shapes. Builders return a value, or NULL after a mistake; a NULL passed on stays
 * NULL, so a model can be written without a check a line: fv_graph_check() then tells the first mistake, with the
 * node's name, what it expected and what it got. A graph, its values and everything it builds belong to the graph and
 * live until fv_graph_free. A graph is used by one thread at a time; a program may be run by several, each with its
 * own fv_exec. */
#ifndef FOVEA_GRAPH_H
#define FOVEA_GRAPH_H

#include "fovea/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FV_MAX_DIMS 8

typedef enum fv_dtype { FV_F32, FV_F64, FV_I32, FV_U8 } fv_dtype; /* f64: for checks, run by the references alone */
FV_API size_t fv_dtype_size(fv_dtype dtype);
FV_API const char *fv_dtype_name(fv_dtype dtype); /* "f32" */

typedef struct fv_shape {
  int ndim; /* 0: a scalar */
  int64_t dim[FV_MAX_DIMS];
} fv_shape;
#define FV_SHAPE(...) \
  ((fv_shape){.ndim = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), .dim = {__VA_ARGS__}})
#define FV_SCALAR ((fv_shape){.ndim = 0})
FV_API int64_t fv_shape_count(fv_shape shape); /* elements */
FV_API bool fv_shape_equal(fv_shape a, fv_shape b);

/* Memory of a value: dense, row-major (last dimension fastest). */
typedef struct fv_tensor {
  fv_dtype dtype;
  fv_shape shape;
  void *data; /* NULL: an optional input that was not given */
} fv_tensor;

typedef struct fv_graph fv_graph;
typedef struct fv_value fv_value;
typedef struct fv_params fv_params;
typedef struct fv_program fv_program;
typedef struct fv_exec fv_exec;

/* ---- parameters: one store, shared by all programs of a model ---------------------------------------------------- */
typedef enum fv_group {
  FV_GROUP_DECAY,    /* trained, with weight decay */
  FV_GROUP_NO_DECAY, /* trained, without: biases, norms, gates */
  FV_GROUP_BUFFER,   /* not trained: running statistics; follows the mean of what shards report */
  /* A table that one `embedding` looks up: trained without decay, and only in the rows that a step looked up, so that
   * what a step costs does not grow with the table. Adam's means of the other rows stand still (as in PyTorch's
   * SparseAdam). */
  FV_GROUP_ROWS,
  FV_GROUPS
} fv_group;
typedef enum fv_init_kind {
  FV_INIT_ZEROS,
  FV_INIT_ONES,
  FV_INIT_CONSTANT,        /* value `a` */
  FV_INIT_UNIFORM,         /* [-a, a] */
  FV_INIT_NORMAL,          /* standard deviation a */
  FV_INIT_KAIMING_NORMAL,  /* He et al. 2015: std = gain a / sqrt(fan_in); a = 0 means sqrt(2) */
  FV_INIT_KAIMING_UNIFORM, /* PyTorch's default for Linear and Conv: bound 1 / sqrt(fan_in) */
  FV_INIT_XAVIER_UNIFORM,  /* Glorot & Bengio 2010 */
  FV_INIT_ORTHOGONAL,      /* Saxe et al. 2014; rows x rest */
  FV_INIT_TRUNC_NORMAL     /* standard deviation a, cut at two of them */
} fv_init_kind;
typedef struct fv_init {
  fv_init_kind kind;
  double a;
  int64_t fan_in; /* 0: from the shape: all dimensions but the first */
  bool padding;   /* the first row is zeros: an embedding whose padding_idx is 0 */
} fv_init;

/* ---- building ---------------------------------------------------------------------------------------------------- */
/* `params` may be NULL for a graph without parameters; it must outlive the graph. `real` is FV_F32 (or FV_F64 in
 * checks): the dtype of parameters and of numbers the builders make. */
FV_API fv_status fv_graph_new(fv_params *params, fv_dtype real, fv_graph **graph);
FV_API void fv_graph_free(fv_graph *graph);
/* FV_OK, or the first mistake made while building. */
FV_API fv_status fv_graph_check(const fv_graph *graph);

/* Names of parameters and nodes are "scope.scope.name". */
FV_API void fv_scope_push(fv_graph *g, const char *fmt, ...) FV_PRINTF(2, 3);
FV_API void fv_scope_pop(fv_graph *g);

FV_API fv_value *fv_input(fv_graph *g, const char *name, fv_dtype dtype, fv_shape shape);
FV_API fv_value *fv_param(fv_graph *g, const char *name, fv_shape shape, fv_init init, fv_group group);
FV_API fv_value *fv_const(fv_graph *g, double value); /* a scalar */
FV_API fv_value *fv_const_data(fv_graph *g, fv_dtype dtype, fv_shape shape, const void *data); /* copied */

/* Applies operation `op` to inputs; `attrs` points to the operation's attribute struct (src/ops/OP.h), NULL for the
 * defaults. fv_op returns the first output; fv_op_n fills outs[0..n_outs). An absent optional input is fv_absent(g). */
#define fv_op(g, op, attrs, ...)                                                                 \
  fv_op_apply((g), (op), (attrs), (int)(sizeof((fv_value *[]){__VA_ARGS__}) / sizeof(fv_value *)), \
              (fv_value *[]){__VA_ARGS__})
FV_API fv_value *fv_op_apply(fv_graph *g, const char *op, const void *attrs, int n_in, fv_value *const *in);
FV_API bool fv_op_n(fv_graph *g, const char *op, const void *attrs, int n_in, fv_value *const *in, int n_outs,
                    fv_value **outs);
/* The same with attributes as text: "stride=2 pad=1". */
FV_API fv_value *fv_op_text(fv_graph *g, const char *op, const char *attrs, int n_in, fv_value *const *in);
FV_API fv_value *fv_absent(fv_graph *g);

FV_API fv_shape fv_value_shape(const fv_value *v); /* ndim -1 for NULL */
FV_API fv_dtype fv_value_dtype(const fv_value *v);
FV_API const char *fv_value_name(const fv_value *v);
FV_API int64_t fv_dim(const fv_value *v, int i); /* negative i counts from the end; 0 for NULL */

/* Names an output of the graph. */
FV_API void fv_output(fv_graph *g, const char *name, fv_value *v);
/* Marks a value as attention weights, so that `explain` finds it. `kind`: see src/attention. */
FV_API void fv_tap(fv_graph *g, const char *name, const char *kind, fv_value *v);
/* A running statistic: after each step, buffer <- buffer + momentum * (mean over shards of v - buffer). */
FV_API void fv_track(fv_graph *g, fv_value *buffer, fv_value *v);

/* Adds nodes for d loss / d each trainable parameter (and each of `wrt`); loss is a scalar. The parameters' gradients
 * become outputs of kind gradient; grads[i] belongs to wrt[i] (a zero constant where loss does not depend on it). */
FV_API fv_status fv_graph_differentiate(fv_graph *g, fv_value *loss, bool params, int n_wrt, fv_value *const *wrt,
                                        fv_value **grads);

/* ---- attention mechanisms ---------------------------------------------------------------------------------------- */
typedef struct fv_mechanism_info {
  const char *name, *doc, *paper;
} fv_mechanism_info;
FV_API int fv_mechanism_count(void);
FV_API fv_mechanism_info fv_mechanism_get_info(int i);

/* Graphviz text; free with fv_string_free. */
FV_API fv_status fv_graph_dot(const fv_graph *g, char **dot);
FV_API void fv_string_free(char *s);

#ifdef __cplusplus
}
#endif
#endif
