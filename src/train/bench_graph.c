/* SPDX-License-Identifier: Apache-2.0 */
/* bench_graph.c: one operation's graph on random normal numbers, timed beside the ceiling. */
#include "train/bench_graph.h"
#include "cpu/ceiling.h"

#include <math.h>
#include <stdlib.h>

#define WARM_SECONDS 0.05
#define LEAST_SECONDS 0.3
#define MOST_SECONDS 10.0 /* fewer than LEAST_RUNS only where these would take longer */
#define LEAST_RUNS 3
#define MOST_RUNS 100000
#define NORMALS_AT_ONCE 4096

/* ---- limits ------------------------------------------------------------------------------------------------------ */
static fv_status require_fits(const fv_graph_bench *b, double bytes) {
  double limit = b->memory_limit > 0 ? (double)b->memory_limit : 0x1p60;
  FV_REQUIRE(bytes <= limit, FV_ERR_REQUEST,
             "shape (bench): expected one that fits %.1f GiB of memory, got %s, which takes %.1f GiB", limit / 0x1p30,
             b->shape, bytes / 0x1p30);
  return FV_OK;
}

fv_status fv_graph_bench_check(const fv_graph_bench *b, double bytes) {
  FV_REQUIRE(b->want_runs >= 0 && b->want_runs <= MOST_RUNS, FV_ERR_REQUEST,
             "runs (bench): expected 0 (as many as it takes) to %d, got %lld", MOST_RUNS, (long long)b->want_runs);
  FV_REQUIRE(b->threads >= 0 && b->threads <= 1024, FV_ERR_REQUEST, "threads: expected 0 (all) to 1024, got %d",
             b->threads);
  return require_fits(b, bytes);
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */
static fv_status open_graph(fv_graph_bench *b) {
  FV_TRY(fv_cpu_init());
  FV_TRY(fv_pool_new(b->threads ? b->threads : fv_cpu_count(), &b->pool));
  FV_TRY(fv_params_new(&b->params));
  return fv_graph_new(b->params, FV_F32, &b->g);
}

static int64_t value_bytes(const fv_value *v) {
  return fv_shape_count(v->shape) * (int64_t)fv_dtype_size(v->dtype);
}

static int64_t live_bytes(void) { return fv_memory_get_stats().live_bytes; }

static fv_status make_weights(fv_graph_bench *b) {
  FV_TRY(fv_slab_new(NULL, FV_ACCOUNT_DATA, b->params->size * (int64_t)sizeof(float), (void **)&b->weights));
  FV_TRY(fv_slab_new(NULL, FV_ACCOUNT_DATA, fv_program_get_info(b->program).packed_bytes, &b->packed));
  fv_params_init(b->params, 0, b->weights);
  return fv_program_prologue(b->program, b->weights, b->packed, b->pool);
}

/* What the executor and its kernels hold beside the results is the scratch. */
static fv_status compile(fv_graph_bench *b) {
  FV_TRY(fv_params_layout(b->params));
  FV_TRY(fv_program_new(b->g, &b->program));
  for (int i = 0; i < b->g->inputs.n; i++) b->input_bytes += value_bytes(b->g->inputs.v[i].value);
  FV_TRY(require_fits(b, (double)b->input_bytes + (double)fv_program_get_info(b->program).slab_bytes));
  if (b->params->n > 0) FV_TRY(make_weights(b));
  int64_t before = live_bytes();
  FV_TRY(fv_exec_new(b->program, NULL, b->weights, b->packed, &b->exec));
  FV_TRY(fv_exec_split_over(b->exec, NULL, fv_pool_threads(b->pool)));
  b->scratch_bytes = live_bytes() - before;
  for (int i = 0; i < b->g->outputs.n; i++) b->scratch_bytes -= value_bytes(b->g->outputs.v[i].value);
  b->n_rows = fv_program_get_info(b->program).n_steps;
  FV_TRY(FV_NEW(&b->rows, b->n_rows + 1));
  FV_TRY(FV_NEW(&b->fastest, b->n_rows + 1));
  FV_TRY(FV_NEW(&b->total, b->n_rows + 1));
  fv_exec_profile(b->exec, true);
  fv_exec_profile_rows(b->exec, b->rows, b->n_rows);
  for (int i = 0; i < b->n_rows; i++) b->fastest[i] = INFINITY;
  return FV_OK;
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */
typedef struct fill {
  float *x;
  int64_t n;
  uint64_t stream;
} fill;

static void fill_normal(void *arg, int64_t i, int worker) {
  const fill *f = arg;
  fv_rng rng = fv_rng_new(0, f->stream + (uint64_t)i);
  int64_t end = FV_MIN((i + 1) * NORMALS_AT_ONCE, f->n);
  for (int64_t k = i * NORMALS_AT_ONCE; k < end; k++) f->x[k] = (float)fv_rng_normal(&rng);
  (void)worker;
}

static fv_status make_inputs(fv_graph_bench *b) {
  static const int32_t rng[4] = {1, 2, 3, 4};
  FV_ASSERT(b->g->inputs.n <= FV_BENCH_INPUTS);
  for (int i = 0; i < b->g->inputs.n; i++) {
    const fv_value *v = b->g->inputs.v[i].value;
    FV_TRY(fv_slab_new(NULL, FV_ACCOUNT_DATA, value_bytes(v), &b->inputs[i]));
    fv_exec_bind_input(b->exec, i, b->inputs[i]);
    fill f = {b->inputs[i], fv_shape_count(v->shape), fv_stream_of(b->g->inputs.v[i].name)};
    if (v->dtype == FV_F32) fv_pool_run(b->pool, fv_ceil_div(f.n, NORMALS_AT_ONCE), fill_normal, &f);
    else memcpy(b->inputs[i], rng, sizeof rng);
  }
  return FV_OK;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */
static const fv_profile_row *row_of(const fv_graph_bench *b, const char *op) {
  for (int i = 0; i < b->n_rows; i++)
    if (!strcmp(b->rows[i].op, op)) return &b->rows[i];
  return NULL;
}

/* Adds what each node took in the last run: to the forward one, or to all that make the gradient. */
static void add_seconds(fv_graph_bench *b, double seconds[FV_BENCH_TIMES]) {
  for (int i = 0; i < b->n_rows; i++) b->total[i] = b->rows[i].seconds;
  fv_exec_profile_rows(b->exec, b->rows, b->n_rows);
  for (int i = 0; i < b->n_rows; i++) {
    double took = b->rows[i].seconds - b->total[i];
    seconds[strcmp(b->rows[i].op, b->op) ? FV_BENCH_BACKWARD : FV_BENCH_FORWARD] += took;
    b->fastest[i] = FV_MIN(b->fastest[i], took);
  }
}

/* Seconds of packing the weights, of the nodes, and of all. Packing fails for want of memory alone: not after the first
 * time. */
static void run_once(fv_graph_bench *b, double seconds[FV_BENCH_TIMES]) {
  memset(seconds, 0, FV_BENCH_TIMES * sizeof *seconds);
  double before = fv_seconds();
  if (b->weights && fv_program_prologue(b->program, b->weights, b->packed, b->pool) == FV_OK)
    seconds[FV_BENCH_PREPARE] = fv_seconds() - before;
  fv_exec_run_split(b->exec, b->pool);
  add_seconds(b, seconds);
  seconds[FV_BENCH_ALL] = seconds[FV_BENCH_FORWARD] + seconds[FV_BENCH_BACKWARD];
  if (row_of(b, b->grad_op)) seconds[FV_BENCH_ALL] += seconds[FV_BENCH_PREPARE]; /* else packed once for many runs */
}

/* Runs until pages are there and clocks have settled; seconds of the fastest. */
static double warm_up(fv_graph_bench *b) {
  double seconds[FV_BENCH_TIMES], began = fv_seconds(), fastest = MOST_SECONDS;
  do {
    run_once(b, seconds);
    fastest = FV_MIN(fastest, FV_MAX(seconds[FV_BENCH_ALL], 1e-9));
  } while (fv_seconds() - began < WARM_SECONDS);
  return fastest;
}

static int64_t runs_for(double seconds) {
  double most = floor(MOST_SECONDS / seconds), want = ceil(LEAST_SECONDS / seconds);
  if (want < LEAST_RUNS) want = FV_MIN(LEAST_RUNS, most);
  return (int64_t)FV_MIN(FV_MAX(want, 1), MOST_RUNS);
}

/* As many runs as the warm-up made one think, unless they take too long: others may have come to the machine since. */
static fv_status measure(fv_graph_bench *b) {
  const double one = warm_up(b);
  const int64_t runs = b->want_runs ? b->want_runs : runs_for(one), n_groups = FV_MIN(FV_BENCH_GROUPS, runs);
  const double end = fv_seconds() + MOST_SECONDS;
  for (int w = 0; w < FV_BENCH_TIMES; w++) FV_TRY(FV_NEW(&b->seconds[w], runs));
  for (int64_t group = 0; group < n_groups; group++) {
    b->ceiling[b->n_ceiling++] = fv_ceiling_gflops_pool(fv_cpu_isa(), b->pool);
    for (int64_t i = runs * group / n_groups; i < runs * (group + 1) / n_groups; i++) {
      if (!b->want_runs && b->runs > 0 && fv_seconds() > end) break;
      double seconds[FV_BENCH_TIMES];
      run_once(b, seconds);
      for (int w = 0; w < FV_BENCH_TIMES; w++) b->seconds[w][b->runs] = seconds[w];
      b->runs++;
    }
  }
  b->ceiling[b->n_ceiling++] = fv_ceiling_gflops_pool(fv_cpu_isa(), b->pool);
  return FV_OK;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, int64_t n) { /* sorts */
  qsort(v, (size_t)n, sizeof *v, ascending);
  return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

/* ---- results ----------------------------------------------------------------------------------------------------- */
static fv_status add_array(fv_array *a, const char *name, const fv_value *v, const void *data) {
  static const fv_elem elems[] = {[FV_F32] = FV_ELEM_F32, [FV_I32] = FV_ELEM_I32};
  *a = (fv_array){.name = name, .elem = elems[v->dtype], .ndim = v->shape.ndim, .data = data};
  memcpy(a->dim, v->shape.dim, (size_t)a->ndim * sizeof *a->dim);
  return fv_array_measure(a, name);
}

static fv_status save(const fv_graph_bench *b) {
  const fv_named_list *in = &b->g->inputs, *out = &b->g->outputs;
  fv_array arrays[FV_BENCH_ARRAYS];
  int n = 0;
  FV_ASSERT(in->n + b->params->n + out->n <= FV_BENCH_ARRAYS);
  for (int i = 0; i < in->n; i++) FV_TRY(add_array(&arrays[n++], in->v[i].name, in->v[i].value, b->inputs[i]));
  for (int i = 0; i < b->g->n_values; i++) {
    const fv_value *v = b->g->values[i];
    if (v->kind != FV_VALUE_PARAM) continue;
    FV_TRY(add_array(&arrays[n++], v->name, v, b->weights + b->params->v[v->out_index].offset));
  }
  for (int i = 0; i < out->n; i++) {
    const char *name = out->v[i].name;
    FV_TRY(add_array(&arrays[n++], name, out->v[i].value, fv_exec_output(b->exec, name)->data));
  }
  return fv_safetensors_write(b->out, arrays, n, NULL, 0);
}

static fv_status run_graph(fv_graph_bench *b) {
  FV_TRY(compile(b));
  FV_TRY(make_inputs(b));
  FV_TRY(measure(b));
  return b->out ? save(b) : FV_OK;
}

static void kernel_json(fv_json *j, const char *kernel, const char *isa, const fv_profile_row *row) {
  fv_json_text(j, kernel, row->kernel);
  fv_json_text(j, isa, *row->isa ? row->isa : fv_isa_names[FV_ISA_BASE]);
}

static void nodes_json(const fv_graph_bench *b, fv_json *j) {
  fv_json_begin(j, "nodes", '[');
  for (int i = 0; i < b->n_rows; i++) {
    const fv_profile_row *row = &b->rows[i];
    double seconds = b->fastest[i];
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "op", row->op);
    kernel_json(j, "kernel", "isa", row);
    fv_json_real(j, "milliseconds_fastest", seconds * 1e3);
    fv_json_real(j, "gflops", seconds > 0 ? row->flops / seconds * 1e-9 : 0);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

static void milliseconds_json(fv_graph_bench *b, fv_json *j, const char *name, int which) {
  fv_json_real(j, name, median(b->seconds[which], b->runs) * 1e3);
}

static void result_json(fv_graph_bench *b, fv_json *j) {
  const fv_profile_row *forward = row_of(b, b->op), *backward = row_of(b, b->grad_op);
  double all = median(b->seconds[FV_BENCH_ALL], b->runs), peak = median(b->ceiling, b->n_ceiling);
  double flops = 0, bytes = 0;
  for (int i = 0; i < b->n_rows; i++) flops += b->rows[i].flops, bytes += b->rows[i].bytes;
  fv_json_int(j, "threads", fv_pool_threads(b->pool));
  kernel_json(j, "kernel", "isa", forward);
  if (backward) kernel_json(j, "kernel_backward", "isa_backward", backward);
  fv_json_int(j, "runs", b->runs);
  fv_json_real(j, "milliseconds", all * 1e3);
  fv_json_real(j, "milliseconds_fastest", b->seconds[FV_BENCH_ALL][0] * 1e3);
  milliseconds_json(b, j, "milliseconds_forward", FV_BENCH_FORWARD);
  if (backward) milliseconds_json(b, j, "milliseconds_backward", FV_BENCH_BACKWARD);
  if (b->weights) milliseconds_json(b, j, "milliseconds_prepare", FV_BENCH_PREPARE);
  fv_json_real(j, "gflops", flops / all * 1e-9);
  fv_json_real(j, "peak_gflops", peak);
  fv_json_real(j, "peak_gflops_least", b->ceiling[0]);
  fv_json_real(j, "peak_gflops_most", b->ceiling[b->n_ceiling - 1]);
  fv_json_real(j, "fraction_of_peak", flops / all * 1e-9 / peak);
  fv_json_real(j, "gigabytes_per_second", bytes / all * 1e-9);
  fv_json_int(j, "bytes_inputs", b->input_bytes);
  fv_json_int(j, "bytes_scratch", b->scratch_bytes);
  fv_json_int(j, "peak_bytes", fv_peak_rss_bytes());
  nodes_json(b, j);
}

static void close_graph(fv_graph_bench *b) {
  for (int w = 0; w < FV_BENCH_TIMES; w++) fv_free(b->seconds[w]);
  for (int i = 0; i < FV_BENCH_INPUTS; i++) fv_slab_free(b->inputs[i]);
  fv_free(b->rows);
  fv_free(b->fastest);
  fv_free(b->total);
  fv_exec_free(b->exec);
  fv_program_free(b->program);
  fv_slab_free(b->packed);
  fv_slab_free(b->weights);
  fv_graph_free(b->g);
  fv_params_free(b->params);
  fv_pool_free(b->pool);
}

fv_status fv_graph_bench_run(fv_graph_bench *b, fv_bench_build *build, fv_bench_request_json *request_json, void *arg,
                             char **json) {
  fv_json j = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(open_graph(b));
  FV_TRY_DONE(build(arg));
  FV_TRY_DONE(run_graph(b));
  fv_json_begin(&j, NULL, '{');
  request_json(arg, &j);
  result_json(b, &j);
  fv_json_end(&j, '}');
done:
  close_graph(b);
  return fv_json_give(&j, status, "bench", json);
}
