/* SPDX-License-Identifier: Apache-2.0 */
/* bench_graph.h: what the benches of one operation share: its graph, with or without the gradient, run as a model runs
 * it on random normal numbers, beside what the processor can do. The ceiling is measured on the same threads between
 * the runs, since clocks change: the median of these measurements is set against the median of the runs, so that a
 * moment in which the machine was slow or fast decides neither. */
#ifndef FV_TRAIN_BENCH_GRAPH_H
#define FV_TRAIN_BENCH_GRAPH_H

#include "io/io.h"
#include "ir/ir.h"

enum { FV_BENCH_PREPARE, FV_BENCH_FORWARD, FV_BENCH_BACKWARD, FV_BENCH_ALL, FV_BENCH_TIMES };
#define FV_BENCH_GROUPS 8 /* of runs, a measurement of the ceiling before each and after the last */
#define FV_BENCH_INPUTS 8
#define FV_BENCH_ARRAYS 32 /* inputs, parameters, outputs */

typedef struct fv_graph_bench {
  /* the request */
  const char *op, *grad_op; /* the node that is forward; of all others, the one whose kernel is named */
  const char *shape;        /* as text, for messages */
  const char *out;
  int64_t want_runs, memory_limit; /* 0: as many as it takes; none */
  int threads;                     /* 0: all processors */
  /* what the builder finds */
  fv_pool *pool;
  fv_params *params; /* what the graph's builder declares in it is packed before each run, as after a training step */
  fv_graph *g;
  /* the rest */
  fv_program *program;
  fv_exec *exec;
  float *weights;
  void *packed;
  void *inputs[FV_BENCH_INPUTS];
  int64_t input_bytes, scratch_bytes;
  fv_profile_row *rows;
  double *fastest, *total; /* seconds of each node: its fastest run; all before the last */
  int n_rows;
  double *seconds[FV_BENCH_TIMES]; /* of each run */
  int64_t runs;
  double ceiling[FV_BENCH_GROUPS + 1];
  int n_ceiling;
} fv_graph_bench;

/* The limits that all have in common: runs, threads, `bytes` of inputs and results. */
fv_status fv_graph_bench_check(const fv_graph_bench *b, double bytes);
/* All of it: threads and an empty graph, what `build` adds to it, compiled and with its inputs filled, the runs, the
 * file asked for. Told is what `request_json` says, then from "threads" on what fv_bench_attention (fovea/train.h)
 * does. */
typedef fv_status fv_bench_build(void *arg);
typedef void fv_bench_request_json(const void *arg, fv_json *j);
fv_status fv_graph_bench_run(fv_graph_bench *b, fv_bench_build *build, fv_bench_request_json *request_json, void *arg,
                             char **json);

#endif
