/* SPDX-License-Identifier: Apache-2.0 */
/* ir.h (private): what a graph is made of, and the rows that define operations and kernels.
 *
 * An operation (src/ops/NAME.c) is one fv_op_def: meaning, shapes, gradient, cost, cases. A kernel (src/cpu/FILE.c) is
 * one fv_kernel per instruction-set level: a faster way to run nodes of an operation. docs/adding.md walks through
 * both. */
#ifndef FV_IR_IR_H
#define FV_IR_IR_H

#include "base/base.h"
#include "fovea/graph.h"
#include "os/os.h"

#define FV_MAX_OUTS 8

typedef struct fv_op_def fv_op_def;
typedef struct fv_node fv_node;

typedef enum fv_value_kind {
  FV_VALUE_NODE,
  FV_VALUE_INPUT,
  FV_VALUE_PARAM,
  FV_VALUE_CONST,
  FV_VALUE_ABSENT
} fv_value_kind;

struct fv_value {
  int id;
  fv_value_kind kind;
  fv_dtype dtype;
  fv_shape shape;
  const char *name;
  fv_node *producer;  /* NODE only */
  int out_index;      /* NODE: which output; INPUT: which input; PARAM: index in the store */
  const void *data;   /* CONST only: shape/dtype dense bytes, owned by the graph */
};

struct fv_node {
  int id;
  const fv_op_def *op;
  const void *attrs; /* the operation's attribute struct, checked; NULL when it has none */
  int n_in, n_out;
  fv_value **in;     /* an absent optional input has kind FV_VALUE_ABSENT */
  fv_value **out;
  const char *name;  /* "scope.op" with a number when not unique */
};

/* ---- operations -------------------------------------------------------------------------------------------------- */
typedef struct fv_infer {
  fv_graph *g;
  const fv_op_def *op;
  const char *name; /* the node's */
  const void *attrs;
  int n_in;
  fv_value *const *in;
  /* results */
  int n_out; /* starts as 1 */
  fv_dtype dtype[FV_MAX_OUTS]; /* start as in[0]'s (f32 when there is none) */
  fv_shape shape[FV_MAX_OUTS];
} fv_infer;
/* "conv2d (stem.conv2d): input: expected [N,H,W,C], got [3,4]". `fmt` is the part after the place. */
#define FV_INFER_REQUIRE(c, cond, ...) \
  do {                                 \
    if (!(cond)) return fv_infer_fail((c), __FILE__, __LINE__, __func__, __VA_ARGS__); \
  } while (0)
fv_status fv_infer_fail(const fv_infer *c, const char *file, int line, const char *func, const char *fmt, ...)
    FV_PRINTF(5, 6);
/* "[2,3,4]" in one of a few rotating thread-local buffers: for messages. */
const char *fv_shape_text(fv_shape shape);
bool fv_has_in(const fv_infer *c, int i); /* given and not absent */

typedef struct fv_grad {
  fv_graph *g;
  const fv_node *node;
  fv_value *const *dout; /* gradient of each output; NULL where the loss does not depend on it */
  const bool *need;      /* which inputs' gradients are wanted */
  fv_value **din;        /* to be set where need[i]; NULL means zero */
} fv_grad;

typedef struct fv_cost {
  double flops; /* a multiply and an add are two; exp, tanh, ... count one */
  double bytes; /* inputs read once, outputs written once (fv_cost_io) */
} fv_cost;
double fv_cost_io(const fv_node *n); /* bytes of all inputs and outputs */
/* The cost of element-wise work: `per_output` flops for each element of output 0, and fv_cost_io bytes. */
fv_cost fv_cost_elementwise(const fv_node *n, double per_output);

/* One call of a reference or a kernel. */
typedef struct fv_call {
  const fv_node *node;
  const void *attrs;
  int n_in, n_out;
  const fv_tensor *in;  /* .data NULL when absent */
  const fv_tensor *out; /* every element is to be written; old contents mean nothing (may be NaN) */
  void *scratch;        /* kernel->scratch(node) bytes, 64-byte aligned, contents undefined; NULL for references */
  void *state;          /* what kernel->prepare made */
  uint32_t packed;      /* bit i: in[i].data is what kernel->pack wrote, not the plain tensor */
  int64_t begin, end;   /* the units to do: [0, kernel->units(node)) unless the executor splits the node */
} fv_call;

/* What a checker needs to make inputs. `in`: shapes separated by ';', each DIMS[:DTYPE][@LO..HI], "()" a scalar, "-"
 * absent; dtype f32 unless given; values uniform on [LO, HI] (default -1..1; i32 and u8: integers, default 0..1).
 *   {.in = "2,3,4; 5:i32@0..9", .attrs = "axis=1"} */
typedef struct fv_case {
  const char *in;
  const char *attrs;
  double tolerance;  /* of a kernel against the reference, relative to max|reference|; 0: 2e-6 */
  bool no_grad_check; /* not differentiable at random points or no gradient here: say why in `note` */
  const char *note;
} fv_case;

enum {
  FV_OP_INPLACE = 1,      /* output 0 may share memory with input 0 of the same size and dtype */
  FV_OP_ALIAS = 2,        /* output 0 is input 0's memory under another shape: no work */
  FV_OP_ELEMENTWISE = 4,  /* out[i] depends on in[*][i] alone (after broadcasting): may be fused into a chain */
  FV_OP_COMMUTES = 8,     /* in[0] and in[1] may be exchanged */
  FV_OP_PRODUCT = 16,     /* a matrix product or convolution: what the time should go to */
  FV_OP_SHARDED = 32,     /* depends on the shard (dropout): never moved out of the body */
  FV_OP_SPARE = 64        /* outputs but the first that nobody uses have no memory (data NULL) and are not written */
};

struct fv_op_def {
  const char *name;
  const char *doc;         /* formula, and the paper where there is one */
  int n_in, n_in_max;      /* fewest and most inputs (n_in_max 0: same as n_in; -1: any number) */
  int n_saved;             /* the last outputs are kept for the gradient alone and have none of their own */
  uint32_t flags;
  size_t attrs_size;       /* 0: no attributes */
  const fv_option *attrs;
  fv_status (*infer)(fv_infer *c);
  fv_status (*grad)(fv_grad *c);
  const char *no_grad_reason; /* instead of grad */
  void (*ref)(const fv_call *c); /* f64 accumulation through fv_get/fv_set: runs f32 and f64 tensors alike */
  double (*scalar)(const void *attrs, const double *x); /* FV_OP_ELEMENTWISE: one element from its operands */
  fv_cost (*cost)(const fv_node *n);
  const fv_case *cases;    /* ends with .in == NULL */
};
extern const fv_op_def *const fv_ops[]; /* by name, NULL-terminated; generated from ops.list */
const fv_op_def *fv_op_find(const char *name);

/* Element access for references: any dtype as double. */
static inline double fv_get(const fv_tensor *t, int64_t i) {
  switch (t->dtype) {
    case FV_F32: return (double)((const float *)t->data)[i];
    case FV_F64: return ((const double *)t->data)[i];
    case FV_I32: return (double)((const int32_t *)t->data)[i];
    case FV_U8: return (double)((const uint8_t *)t->data)[i];
  }
  return 0;
}
static inline void fv_set(const fv_tensor *t, int64_t i, double v) {
  switch (t->dtype) {
    case FV_F32: ((float *)t->data)[i] = (float)v; break;
    case FV_F64: ((double *)t->data)[i] = v; break;
    case FV_I32: ((int32_t *)t->data)[i] = (int32_t)v; break;
    case FV_U8: ((uint8_t *)t->data)[i] = (uint8_t)v; break;
  }
}
/* Axis helpers: negative axes count from the end; product of dims before / after `axis`. */
static inline int fv_axis(int64_t axis, int ndim) { return (int)(axis < 0 ? axis + ndim : axis); }
int64_t fv_shape_before(fv_shape s, int axis);
int64_t fv_shape_after(fv_shape s, int axis);
/* NumPy broadcasting; false when the shapes do not go together. */
bool fv_shape_broadcast(fv_shape a, fv_shape b, fv_shape *out);
/* The flat index into a tensor of shape `s` (broadcast to `out`) of the flat index i into `out`. */
int64_t fv_broadcast_index(fv_shape s, fv_shape out, int64_t i);

/* ---- kernels ----------------------------------------------------------------------------------------------------- */
typedef struct fv_kernel {
  const char *op;    /* the operation's name; NULL: any for which can() says yes */
  const char *name;  /* "onednn", "simd", ... : FOVEA_KERNEL=op:name */
  fv_isa isa;        /* the level it was compiled for */
  int priority;      /* higher wins among those that can */
  bool (*can)(const fv_node *n);                 /* NULL: any node of op whose real tensors are f32 */
  int64_t (*scratch)(const fv_node *n);          /* bytes; NULL: none */
  int64_t (*units)(const fv_node *n);            /* independent pieces the node may be split into; NULL: 1 */
  bool together;     /* units are cheaper together: as few pieces as there are threads */
  fv_status (*prepare)(const fv_node *n, void **state); /* once per exec; heap allowed here alone; NULL: none */
  void (*release)(void *state);
  int64_t (*packed)(const fv_node *n, int i);    /* bytes of input i in the kernel's layout; 0 or NULL: plain */
  void (*pack)(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state);
  void (*run)(const fv_call *c);
} fv_kernel;
/* Tables that end with a row whose run is NULL, one a kernel file and level; NULL-terminated; from kernels.list. */
extern const fv_kernel *const fv_kernel_tables[];

/* ---- the graph --------------------------------------------------------------------------------------------------- */
typedef struct fv_named {
  const char *name, *kind;
  fv_value *value;  /* output, tap: the value; gradient, track: what is written */
  fv_value *target; /* gradient: the parameter; track: the buffer */
} fv_named;
typedef struct fv_named_list {
  fv_named *v;
  int n, cap;
} fv_named_list;

/* Inputs that are to be a graph in CSR form. */
typedef struct fv_csr_rule fv_csr_rule;
struct fv_csr_rule {
  const char *what;
  const fv_value *row_ptr, *col;
  int64_t nodes;
  const fv_csr_rule *next;
};

/* A parameter of FV_GROUP_ROWS and what its rows' gradients are made of: dy [..., width] is added to row ids [...].
 * Both are outputs "rows.NAME.ids" and "rows.NAME.dy"; numbers that are no row or are `padding` count nothing. */
typedef struct fv_row_gradient fv_row_gradient;
struct fv_row_gradient {
  const fv_value *param;
  const char *ids, *dy; /* names of outputs */
  int64_t entries;
  int32_t padding;
  const fv_row_gradient *next;
};

struct fv_graph {
  fv_arena *arena;
  fv_params *params;
  fv_dtype real;
  fv_value **values;
  int n_values, cap_values;
  fv_node **nodes; /* in an order in which every producer comes before its users */
  int n_nodes, cap_nodes;
  fv_value *absent;
  char scope[256];
  int scope_start[32], n_scopes; /* where each open scope begins in it */
  fv_named_list inputs, outputs, taps, gradients, tracks;
  const fv_csr_rule *csr;
  const fv_row_gradient *rows;
  fv_status status;
  char message[512];
};
bool fv_named_add(fv_named_list *list, fv_named item); /* false: out of memory */
/* The first builder's mistake is kept; returns NULL for the caller to return. */
fv_value *fv_graph_fail(fv_graph *g, fv_status status);
void fv_graph_replace(fv_graph *g, fv_value *old, fv_value *with); /* in all users and lists */
fv_value *fv_sum_to(fv_graph *g, fv_value *v, fv_shape shape);     /* undoes broadcasting: sums v down to shape */

/* row_ptr [V+1], col [M] are to be the rows of a graph of so many nodes: refused now if they are constants and are not
 * (false), by fv_exec_check if they are inputs. */
bool fv_graph_expect_csr(fv_graph *g, const char *what, const fv_value *row_ptr, const fv_value *col, int64_t nodes);
/* row_ptr begins with 0, never falls and ends with the number of edges; col names nodes. NULL is not looked at. */
fv_status fv_csr_check(const char *what, const int32_t *row_ptr, int64_t rows, const int32_t *col, int64_t edges,
                       int64_t nodes);

/* ---- parameters -------------------------------------------------------------------------------------------------- */
typedef struct fv_param_info {
  const char *name;
  fv_shape shape;
  fv_init init;
  fv_group group;
  int64_t offset; /* in floats, into the flat slab; set by fv_params_layout */
} fv_param_info;
struct fv_params {
  fv_arena *arena;
  fv_param_info *v;
  int n, cap;
  bool laid_out;               /* no more may be added */
  int64_t count;               /* numbers that are trained (what `parameters` reports) */
  int64_t size;                /* floats of the slab */
  int64_t group_begin[FV_GROUPS + 1]; /* in floats; the last is the end */
};
fv_status fv_params_new(fv_params **params);
void fv_params_free(fv_params *params);
fv_status fv_params_add(fv_params *params, fv_param_info info); /* name is copied; the builder's part of fv_param */
/* Groups parameters and gives each its 64-byte aligned place; the order within a group is that of declaration. */
fv_status fv_params_layout(fv_params *params);
/* Fills a slab: each parameter from its own random stream (seed, name), so that adding one changes no other. */
void fv_params_init(const fv_params *params, uint64_t seed, float *slab);
int fv_params_find(const fv_params *params, const char *name); /* -1 */

/* ---- passes (each leaves a graph that fv_graph_verify accepts) --------------------------------------------------- */
fv_status fv_graph_verify(const fv_graph *g);
fv_status fv_pass_simplify(fv_graph *g);   /* x*1, x+0, reshape of reshape, permute of permute, constants folded */
fv_status fv_pass_cse(fv_graph *g);        /* common subexpressions */
fv_status fv_pass_dce(fv_graph *g);        /* what no output needs */
fv_status fv_pass_join(fv_graph *g);       /* pass_join.c says what */
fv_status fv_pass_fuse(fv_graph *g);       /* fuse.c says what */
fv_status fv_pass_sort(fv_graph *g);       /* restores the order after rewriting */
/* Invariant: depends on parameters and constants alone. invariant[value id], n_values of them. */
void fv_graph_mark_invariant(const fv_graph *g, bool *invariant);
/* uses[value id]: how often it is an input of a node, an output, a gradient or a track (taps do not count). */
void fv_graph_count_uses(const fv_graph *g, int *uses);

/* ---- programs ---------------------------------------------------------------------------------------------------- */
typedef struct fv_program_info {
  int64_t slab_bytes;   /* one per exec */
  int64_t packed_bytes; /* one per program, shared */
  double flops;         /* of one run of the body */
  int n_steps;
} fv_program_info;

/* Compiles: passes, kernels, order, places. Takes the graph's place in its life: g must outlive the program. */
fv_status fv_program_new(fv_graph *g, fv_program **program);
void fv_program_free(fv_program *program);
fv_program_info fv_program_get_info(const fv_program *program);
const fv_graph *fv_program_graph(const fv_program *program);
/* Packs weights and computes all that depends on parameters alone: after each change of the parameters. `packed` is
 * packed_bytes long. */
fv_status fv_program_prologue(const fv_program *program, const float *params, void *packed, fv_pool *pool);
/* Whether what one packed serves the other as well: programs of one store for other lengths. False where in doubt. */
bool fv_program_same_prologue(const fv_program *a, const fv_program *b);

/* One worker's copy: its slab and its bound calls. params and packed are shared and not owned. */
fv_status fv_exec_new(const fv_program *program, fv_ledger *ledger, const float *params, const void *packed,
                      fv_exec **exec);
/* The same in memory of the caller's, slab_bytes or more, which several programs may use in turn. NULL in a dry run. */
fv_status fv_exec_new_in(const fv_program *program, const float *params, const void *packed, void *slab,
                         fv_exec **exec);
void fv_exec_free(fv_exec *exec);
int fv_exec_input(const fv_exec *exec, const char *name);  /* index, -1 when there is none */
void fv_exec_bind_input(fv_exec *exec, int index, const void *data); /* read in place; must stay until the run ends */
/* After graphs (CSR) were bound: whether they are any. Those that are not, operations bound; but nobody meant them. */
fv_status fv_exec_check(const fv_exec *exec);
/* laid out as the parameters; gradients and tracks go there */
void fv_exec_bind_gradients(fv_exec *exec, float *slab);
/* valid after a run; outputs and taps; or NULL */
const fv_tensor *fv_exec_output(const fv_exec *exec, const char *name);
void fv_exec_run(fv_exec *exec);                 /* allocates nothing */
void fv_exec_run_split(fv_exec *exec, fv_pool *pool); /* the same bits, each node split over the pool */
/* Scratch for this many threads, so that nodes whose kernels need some are split as well; once for an exec. */
fv_status fv_exec_split_over(fv_exec *exec, fv_ledger *ledger, int threads);

/* Per-node times of an exec (FOVEA_VERBOSE=1 or fv_exec_profile(exec, true)). */
typedef struct fv_profile_row {
  const char *node, *op, *kernel, *isa;
  bool product;
  int64_t calls;
  double seconds, flops, bytes; /* seconds over all calls; flops and bytes of one */
} fv_profile_row;
void fv_exec_profile(fv_exec *exec, bool on);
int fv_exec_profile_rows(const fv_exec *exec, fv_profile_row *rows, int max); /* number of steps */
/* Step `s` by itself, `times` over: seconds of the fastest. What it takes with its operands warm and nothing else
 * running. */
double fv_exec_time_step(fv_exec *exec, int s, int times);
/* Seconds that the executor itself spends on a step: the loop over all of them with a kernel that does nothing. */
double fv_exec_overhead(const fv_exec *exec, int times);

#endif
