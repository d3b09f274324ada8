/* SPDX-License-Identifier: Apache-2.0 */
/* check.h: what the modes of the checker share. The checker knows no operation and no kernel by name: it walks the
 * tables, makes inputs from each row's cases, and holds every row to the same contract. */
#ifndef CHECK_H
#define CHECK_H

#include "ir/ir.h"

#include <math.h>

#define CK_MAX_IN 32

/* ---- the report: counts, and one line a failure with the command that shows it again ---------------------------- */
typedef struct ck_report {
  const char *mode;
  const char *only;     /* check this row alone; NULL: all */
  uint64_t seed;
  bool has_isa;
  fv_isa isa;           /* check this level alone */
  bool bench;
  bool full;            /* the long tier: more of what is drawn by chance */
  bool few;             /* under a sanitizer: one preset a recipe, and what may happen to a run for one recipe */
  bool quiet;           /* count, print nothing: `check self` */
  double time_limit;    /* seconds a single call may take before it counts as hanging */
  int64_t passed, failed, skipped;
  char subject[512];    /* what is being checked now */
  char again[128];      /* arguments that check it again */
  int problems;         /* of the subject */
  char first[512];      /* text of the first problem ever */
} ck_report;
void ck_begin(ck_report *r, const char *again, const char *fmt, ...) FV_PRINTF(3, 4);
void ck_problem(ck_report *r, const char *fmt, ...) FV_PRINTF(2, 3);
void ck_end(ck_report *r);                                             /* counts the subject as passed or failed */
void ck_skip(ck_report *r, const char *fmt, ...) FV_PRINTF(2, 3);      /* instead of ck_end */
bool ck_wanted(const ck_report *r, const char *name);

/* ---- cases ------------------------------------------------------------------------------------------------------ */
typedef struct ck_spec {
  bool absent;
  fv_dtype dtype; /* FV_F32 stands for the graph's real type */
  fv_shape shape;
  double lo, hi;
} ck_spec;
typedef struct ck_case {
  int index;
  const char *text;
  int n;
  ck_spec in[CK_MAX_IN];
  const char *attrs; /* as text */
  double tolerance;
  bool no_grad_check;
  const char *note;
} ck_case;
/* Case `index` of an operation; false beyond the last. A case that cannot be read has n = -1. `arena` owns what is
 * made. */
bool ck_case_get(const fv_op_def *op, int index, uint64_t seed, fv_arena *arena, ck_case *c);
bool ck_case_parse(const char *text, ck_case *c);
/* Whether out[i] depends on in[*][i] alone: such an operation may also work in the memory of any operand. */
bool ck_is_elementwise(const fv_op_def *op);
/* A random chain of element-wise operations, as a case of the operation `chain`; false when it came to nothing. */
bool ck_chain_case(uint64_t seed, int index, fv_arena *arena, ck_case *c);
/* What the checker prints for a case. */
const char *ck_case_text(const ck_case *c);
/* "a=1 b=2" as the operation's attribute struct, in the arena; NULL when the operation has none. */
fv_status ck_attrs_parse(const fv_op_def *op, const char *text, fv_arena *arena, void **attrs);
fv_rng ck_rng(uint64_t seed, const char *op, int index);

/* A graph with inputs as the case says and one node. `op` may be a changed copy of a table's row (`check self`). */
fv_status ck_node_build(const fv_op_def *op, const ck_case *c, fv_dtype real, fv_graph **g, fv_node **node);

typedef enum ck_fill {
  CK_FILL_UNIFORM, /* uniform on the case's range */
  CK_FILL_STEPS,   /* a few distinct values of it: ties, exact equality */
  CK_FILL_NUMBERS, /* zeros, denormals, large values, infinities, NaN */
  CK_FILL_HUGE,    /* the same, and what is next to infinity */
  CK_FILL_NAN      /* uniform, with a NaN here and there */
} ck_fill;
/* One value a number, representable in the spec's dtype; integers always uniform. */
void ck_fill_values(const ck_spec *spec, ck_fill fill, fv_rng *rng, double *v);
void ck_tensor_store(const fv_tensor *t, const double *v);
void ck_tensor_load(const fv_tensor *t, double *v);

/* ---- interpreter: references alone ------------------------------------------------------------------------------ */
typedef struct ck_values {
  fv_tensor *t; /* by value id */
  int n;
} ck_values;
fv_status ck_values_new(const fv_graph *g, ck_values *v);
void ck_values_free(ck_values *v);
/* The memory of a value, made on first use (inputs and parameters: fill it before ck_interpret). */
fv_status ck_values_tensor(ck_values *v, const fv_value *value, fv_tensor **t);
fv_status ck_interpret(const fv_graph *g, ck_values *v);
void ck_node_run_ref(const fv_node *node, const fv_tensor *in, const fv_tensor *out);

/* ---- memory with guards --------------------------------------------------------------------------------------------
 * Pages that fault lie right before and right after; what is left between them and the data is filled with canaries. */
typedef enum ck_place {
  CK_PLACE_END,   /* the last byte touches the page behind */
  CK_PLACE_START, /* the first byte touches the page before */
  CK_PLACE_ODD    /* four bytes off a 64-byte boundary */
} ck_place;
typedef struct ck_buffer {
  char what[24];
  uint8_t *base; /* first usable byte */
  size_t cap;    /* usable bytes, whole pages */
  uint8_t *data;
  size_t size;
} ck_buffer;
void ck_buffer_init(ck_buffer *b, const char *kind, int index);
/* Room for `size` bytes among canaries, filled with `dirt`; align > 1 is kept wherever it is placed. */
fv_status ck_buffer_place(ck_buffer *b, size_t size, size_t align, ck_place place, uint8_t dirt);
bool ck_buffer_intact(const ck_buffer *b, int64_t *where); /* where: byte offset from data of the first overwritten */
void ck_buffer_free(ck_buffer *b);

/* Runs body(arg); false when it crashed or hung, and `what` says how and, for guarded memory, where. */
bool ck_trap(void (*body)(void *), void *arg, double seconds, char *what, size_t n);

/* The node's reference on guarded memory that holds `dirt`: it must write every byte of the outputs and no other.
 * `in` and `out` hold one value a number; ck_outputs_alloc makes `out`. false after a crash. */
bool ck_ref_guarded(ck_report *r, fv_node *node, double *const *in, ck_place place, uint8_t dirt, double **out);
bool ck_outputs_alloc(fv_arena *arena, const fv_node *node, double **out);

/* ---- comparison ------------------------------------------------------------------------------------------------- */
typedef struct ck_difference {
  int64_t count;     /* elements that differ too much */
  int64_t first;
  double want, got;  /* at `first` */
  double worst;      /* largest error, relative to the scale */
} ck_difference;
/* Integers must be equal. Reals: NaN for NaN, infinity for infinity, else |got - want| <= tolerance * scale, where
 * scale is max|want| over the tensor, at least `least`, or |want| itself when `each`. */
ck_difference ck_compare(fv_dtype dtype, int64_t n, const double *want, const double *got, double tolerance,
                         double least, bool each);

/* ---- random graphs ---------------------------------------------------------------------------------------------- */
#define CK_MAX_POOL 200
#define CK_MAX_LEAVES 200
#define CK_MAX_OUTPUTS 64
typedef struct ck_leaf {
  fv_value *value;
  double *v;
} ck_leaf;

typedef struct ck_random_graph {
  fv_arena *arena;
  fv_params *params;
  fv_graph *g;
  fv_rng rng;
  uint64_t seed;
  bool differentiate, large;
  fv_value *pool[CK_MAX_POOL]; /* real values to build on */
  int n_pool;
  ck_leaf leaves[CK_MAX_LEAVES];
  int n_leaves;
} ck_random_graph;
/* The same graph for the same seed, whatever `real` is. */
fv_status ck_random_graph_new(uint64_t seed, fv_dtype real, ck_random_graph *b);
void ck_random_graph_free(ck_random_graph *b);
/* v as bytes of the tensor's dtype, in the graph's arena; NULL when out of memory. */
void *ck_const_bytes(ck_random_graph *b, const fv_tensor *like, const double *v);

/* ---- modes ------------------------------------------------------------------------------------------------------ */
void ck_op_row(ck_report *r, const fv_op_def *op);
void ck_hostile_row(ck_report *r, const fv_op_def *op, int n_cases);
void ck_kernel_row(ck_report *r, const fv_kernel *k, const fv_op_def *op, int *ran);
void ck_grad_row(ck_report *r, const fv_op_def *op);
void ck_bench_case(ck_report *r, const fv_kernel *k, const ck_case *c, fv_node *node);
void ck_mode_op(ck_report *r);
void ck_mode_kernel(ck_report *r);
void ck_mode_grad(ck_report *r);
void ck_mode_graph(ck_report *r);
void ck_mode_attention(ck_report *r);
void ck_mode_golden(ck_report *r);
void ck_mode_model(ck_report *r);
void ck_mode_self(ck_report *r);

#endif
