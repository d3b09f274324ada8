/* SPDX-License-Identifier: Apache-2.0 */
/* bench_attention.c: how fast the attention operation is, beside what the processor can do.
 *
 * A graph of sdpa and its gradient on random normal numbers, run as a model runs it. The ceiling is measured on the
 * same threads between the runs, since clocks change: the median of these measurements is set against the median of the
 * runs, so that a moment in which the machine was slow or fast decides neither. */
#include "cpu/ceiling.h"
#include "io/io.h"
#include "ops/sdpa.h"
#include "train/train.h"

#include <math.h>
#include <stdlib.h>

#define WARM_SECONDS 0.05
#define LEAST_SECONDS 0.3
#define MOST_SECONDS 10.0 /* fewer than LEAST_RUNS only where these would take longer */
#define LEAST_RUNS 3
#define MOST_RUNS 100000
#define GROUPS 8 /* of runs, a measurement of the ceiling before each and after the last */
#define MOST_INPUTS 8
#define NORMALS_AT_ONCE 4096

enum { FORWARD, BACKWARD, BOTH, TIMES };
static const char *const timed_ops[] = {"sdpa", "sdpa_grad"};
static const char *const size_names[] = {"B", "T", "S", "H", "D"};

typedef struct bench {
  const fv_attention_request *rq;
  int64_t b, t, s, h, d, groups;
  fv_pool *pool;
  fv_graph *g;
  fv_program *program;
  fv_exec *exec;
  void *inputs[MOST_INPUTS];
  int64_t input_bytes, scratch_bytes;
  fv_profile_row *rows;
  int n_rows;
  double *seconds[TIMES]; /* of each run */
  int64_t runs;
  double ceiling[GROUPS + 1];
  int n_ceiling;
} bench;

/* ---- the request ------------------------------------------------------------------------------------------------- */
static const char *shape_text(const bench *b, char *text, size_t size) {
  snprintf(text, size, "%lld,%lld,%lld,%lld,%lld", (long long)b->b, (long long)b->t, (long long)b->s, (long long)b->h,
           (long long)b->d);
  return text;
}

static fv_status require_fits(const bench *b, double bytes) {
  double limit = b->rq->memory_limit > 0 ? (double)b->rq->memory_limit : 0x1p60;
  char text[128];
  FV_REQUIRE(bytes <= limit, FV_ERR_REQUEST,
             "shape (bench attention): expected one that fits %.1f GiB of memory, got %s, which takes %.1f GiB",
             limit / 0x1p30, shape_text(b, text, sizeof text), bytes / 0x1p30);
  return FV_OK;
}

/* Inputs and outputs, in doubles: the sizes may be any. */
static double tensor_bytes(const bench *b) {
  const fv_attention_request *rq = b->rq;
  double queries = (double)b->b * (double)b->t * (double)b->h, keys = (double)b->b * (double)b->s * (double)b->groups;
  double floats = 2 * (queries + keys) * (double)b->d; /* q, y, k, v */
  if (rq->backward) floats += (2 * queries + 2 * keys) * (double)b->d; /* dy, dq, dk, dv */
  if (rq->bias) floats += (rq->backward ? 2 : 1) * (double)b->h * (double)b->t * (double)b->s;
  if (rq->totals) floats += (double)b->b * (double)b->h * (double)b->s;
  return 4 * (floats + queries * (2 + 2 * (double)rq->top_k)); /* lse, entropy, top and its index */
}

static fv_status check(bench *b) {
  const fv_attention_request *rq = b->rq;
  for (int i = 0; i < 5; i++)
    FV_REQUIRE(rq->shape[i] >= 1 && rq->shape[i] <= INT32_MAX, FV_ERR_REQUEST,
               "shape (bench attention): expected %s from 1 to %d, got %lld", size_names[i], INT32_MAX,
               (long long)rq->shape[i]);
  b->b = rq->shape[0], b->t = rq->shape[1], b->s = rq->shape[2], b->h = rq->shape[3], b->d = rq->shape[4];
  b->groups = rq->groups ? rq->groups : b->h;
  FV_REQUIRE(b->groups > 0 && b->h % b->groups == 0, FV_ERR_REQUEST,
             "groups (bench attention): expected a number that divides the %lld heads, got %lld", (long long)b->h,
             (long long)rq->groups);
  FV_REQUIRE(rq->dropout >= 0 && rq->dropout < 1, FV_ERR_REQUEST,
             "dropout (bench attention): expected at least 0 and less than 1, got %g", rq->dropout);
  FV_REQUIRE(rq->window >= 0, FV_ERR_REQUEST, "window (bench attention): expected at least 0, got %lld",
             (long long)rq->window);
  FV_REQUIRE(rq->top_k >= 0 && rq->top_k <= 64, FV_ERR_REQUEST, "top_k (bench attention): expected 0 to 64, got %lld",
             (long long)rq->top_k);
  FV_REQUIRE(rq->runs >= 0 && rq->runs <= MOST_RUNS, FV_ERR_REQUEST,
             "runs (bench attention): expected 0 (as many as it takes) to %d, got %lld", MOST_RUNS,
             (long long)rq->runs);
  FV_REQUIRE(rq->threads >= 0 && rq->threads <= 1024, FV_ERR_REQUEST, "threads: expected 0 (all) to 1024, got %d",
             rq->threads);
  return require_fits(b, tensor_bytes(b));
}

/* ---- the graph --------------------------------------------------------------------------------------------------- */
/* The operation builds its gradient from dy itself: with a loss there would be more in the graph than attention. */
static fv_status build_backward(bench *b, const fv_node *node) {
  fv_graph *g = b->g;
  fv_value *dout[FV_SDPA_OUTPUTS] = {NULL}, *din[FV_SDPA_INPUTS] = {NULL};
  bool need[FV_SDPA_INPUTS] = {[FV_SDPA_Q] = true, [FV_SDPA_K] = true, [FV_SDPA_V] = true};
  need[FV_SDPA_BIAS] = b->rq->bias;
  dout[FV_SDPA_Y] = fv_input(g, "dy", FV_F32, node->out[FV_SDPA_Y]->shape);
  FV_TRY(fv_graph_check(g));
  fv_grad grad = {.g = g, .node = node, .dout = dout, .need = need, .din = din};
  FV_TRY(node->op->grad(&grad));
  fv_output(g, "dq", din[FV_SDPA_Q]);
  fv_output(g, "dk", din[FV_SDPA_K]);
  fv_output(g, "dv", din[FV_SDPA_V]);
  if (b->rq->bias) fv_output(g, "dbias", din[FV_SDPA_BIAS]);
  return fv_graph_check(g);
}

static fv_status build(bench *b) {
  const fv_attention_request *rq = b->rq;
  FV_TRY(fv_graph_new(NULL, FV_F32, &b->g));
  fv_graph *g = b->g;
  fv_value *in[FV_SDPA_INPUTS], *out[FV_SDPA_OUTPUTS];
  for (int i = 0; i < FV_SDPA_INPUTS; i++) in[i] = fv_absent(g);
  in[FV_SDPA_Q] = fv_input(g, "q", FV_F32, FV_SHAPE(b->b, b->t, b->h, b->d));
  in[FV_SDPA_K] = fv_input(g, "k", FV_F32, FV_SHAPE(b->b, b->s, b->groups, b->d));
  in[FV_SDPA_V] = fv_input(g, "v", FV_F32, FV_SHAPE(b->b, b->s, b->groups, b->d));
  if (rq->bias) in[FV_SDPA_BIAS] = fv_input(g, "bias", FV_F32, FV_SHAPE(b->h, b->t, b->s));
  if (rq->dropout > 0) in[FV_SDPA_RNG] = fv_input(g, "rng", FV_I32, FV_SHAPE(4));
  fv_sdpa_attrs a = {.causal = rq->causal, .window = rq->window, .p = rq->dropout, .topk = rq->top_k,
                     .totals = rq->totals, .entropy = rq->entropy};
  if (!fv_op_n(g, "sdpa", &a, FV_SDPA_INPUTS, in, FV_SDPA_OUTPUTS, out)) return fv_graph_check(g);
  fv_output(g, "y", out[FV_SDPA_Y]);
  fv_output(g, "lse", out[FV_SDPA_LSE]);
  if (rq->totals) fv_output(g, "totals", out[FV_SDPA_TOTALS]);
  if (rq->entropy) fv_output(g, "entropy", out[FV_SDPA_ENTROPY]);
  if (rq->top_k > 0) fv_output(g, "top", out[FV_SDPA_TOP]), fv_output(g, "top_index", out[FV_SDPA_TOP_INDEX]);
  return rq->backward ? build_backward(b, out[FV_SDPA_Y]->producer) : fv_graph_check(g);
}

static int64_t value_bytes(const fv_value *v) {
  return fv_shape_count(v->shape) * (int64_t)fv_dtype_size(v->dtype);
}

static int64_t live_bytes(void) { return fv_memory_get_stats().live_bytes; }

/* What the executor and its kernels hold beside the results is the scratch. */
static fv_status compile(bench *b) {
  FV_TRY(fv_program_new(b->g, &b->program));
  FV_ASSERT(fv_program_get_info(b->program).packed_bytes == 0); /* all depends on inputs: no prologue */
  for (int i = 0; i < b->g->inputs.n; i++) b->input_bytes += value_bytes(b->g->inputs.v[i].value);
  FV_TRY(require_fits(b, (double)b->input_bytes + (double)fv_program_get_info(b->program).slab_bytes));
  int64_t before = live_bytes();
  FV_TRY(fv_exec_new(b->program, NULL, NULL, NULL, &b->exec));
  FV_TRY(fv_exec_split_over(b->exec, NULL, fv_pool_threads(b->pool)));
  b->scratch_bytes = live_bytes() - before;
  for (int i = 0; i < b->g->outputs.n; i++) b->scratch_bytes -= value_bytes(b->g->outputs.v[i].value);
  b->n_rows = fv_program_get_info(b->program).n_steps;
  FV_TRY(FV_NEW(&b->rows, b->n_rows + 1));
  fv_exec_profile(b->exec, true);
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

static fv_status make_inputs(bench *b) {
  static const int32_t rng[4] = {1, 2, 3, 4};
  FV_ASSERT(b->g->inputs.n <= MOST_INPUTS);
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
static const fv_profile_row *row_of(const bench *b, int which) {
  for (int i = 0; i < b->n_rows; i++)
    if (!strcmp(b->rows[i].op, timed_ops[which])) return &b->rows[i];
  return NULL;
}

/* Seconds of each of the two nodes, and of both. */
static void run_once(bench *b, double seconds[TIMES]) {
  const fv_profile_row *row;
  seconds[BOTH] = 0;
  fv_exec_profile_rows(b->exec, b->rows, b->n_rows);
  for (int w = FORWARD; w <= BACKWARD; w++) seconds[w] = (row = row_of(b, w)) ? -row->seconds : 0;
  fv_exec_run_split(b->exec, b->pool);
  fv_exec_profile_rows(b->exec, b->rows, b->n_rows);
  for (int w = FORWARD; w <= BACKWARD; w++) {
    if ((row = row_of(b, w))) seconds[w] += row->seconds;
    seconds[BOTH] += seconds[w];
  }
}

/* Runs until pages are there and clocks have settled; seconds of the fastest. */
static double warm_up(bench *b) {
  double seconds[TIMES], began = fv_seconds(), fastest = MOST_SECONDS;
  do {
    run_once(b, seconds);
    fastest = FV_MIN(fastest, FV_MAX(seconds[BOTH], 1e-9));
  } while (fv_seconds() - began < WARM_SECONDS);
  return fastest;
}

static int64_t runs_for(double seconds) {
  double most = floor(MOST_SECONDS / seconds), want = ceil(LEAST_SECONDS / seconds);
  if (want < LEAST_RUNS) want = FV_MIN(LEAST_RUNS, most);
  return (int64_t)FV_MIN(FV_MAX(want, 1), MOST_RUNS);
}

/* As many runs as the warm-up made one think, unless they take too long: others may have come to the machine since. */
static fv_status measure(bench *b) {
  const double one = warm_up(b);
  const int64_t runs = b->rq->runs ? b->rq->runs : runs_for(one), n_groups = FV_MIN(GROUPS, runs);
  const double end = fv_seconds() + MOST_SECONDS;
  for (int w = 0; w < TIMES; w++) FV_TRY(FV_NEW(&b->seconds[w], runs));
  for (int64_t group = 0; group < n_groups; group++) {
    b->ceiling[b->n_ceiling++] = fv_ceiling_gflops_pool(fv_cpu_isa(), b->pool);
    for (int64_t i = runs * group / n_groups; i < runs * (group + 1) / n_groups; i++) {
      if (!b->rq->runs && b->runs > 0 && fv_seconds() > end) break;
      double seconds[TIMES];
      run_once(b, seconds);
      for (int w = 0; w < TIMES; w++) b->seconds[w][b->runs] = seconds[w];
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
static fv_status save(const bench *b) {
  fv_array arrays[MOST_INPUTS + FV_SDPA_OUTPUTS + FV_SDPA_GRAD_OUTPUTS];
  static const fv_elem elems[] = {[FV_F32] = FV_ELEM_F32, [FV_I32] = FV_ELEM_I32};
  int n = 0;
  const fv_named_list *lists[] = {&b->g->inputs, &b->g->outputs};
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++) {
      const fv_value *v = lists[l]->v[i].value;
      const char *name = lists[l]->v[i].name;
      fv_array *a = &arrays[n++];
      *a = (fv_array){.name = name, .elem = elems[v->dtype], .ndim = v->shape.ndim,
                      .data = l == 0 ? b->inputs[i] : fv_exec_output(b->exec, name)->data};
      memcpy(a->dim, v->shape.dim, (size_t)a->ndim * sizeof *a->dim);
      FV_TRY(fv_array_measure(a, name));
    }
  return fv_safetensors_write(b->rq->out, arrays, n, NULL, 0);
}

static void request_json(const bench *b, fv_json *j) {
  const fv_attention_request *rq = b->rq;
  fv_json_begin(j, "shape", '[');
  for (int i = 0; i < 5; i++) fv_json_int(j, NULL, rq->shape[i]);
  fv_json_end(j, ']');
  fv_json_bool(j, "causal", rq->causal);
  fv_json_bool(j, "backward", rq->backward);
  fv_json_int(j, "groups", b->groups);
  fv_json_int(j, "window", rq->window);
  fv_json_real(j, "dropout", rq->dropout);
  fv_json_bool(j, "bias", rq->bias);
  fv_json_int(j, "top_k", rq->top_k);
  fv_json_bool(j, "totals", rq->totals);
  fv_json_bool(j, "entropy", rq->entropy);
  fv_json_int(j, "threads", fv_pool_threads(b->pool));
}

static void kernel_json(fv_json *j, const char *kernel, const char *isa, const fv_profile_row *row) {
  fv_json_text(j, kernel, row->kernel);
  fv_json_text(j, isa, *row->isa ? row->isa : fv_isa_names[FV_ISA_BASE]);
}

static void result_json(bench *b, fv_json *j) {
  const fv_profile_row *forward = row_of(b, FORWARD), *backward = row_of(b, BACKWARD);
  double both = median(b->seconds[BOTH], b->runs), peak = median(b->ceiling, b->n_ceiling);
  double gflops = (forward->flops + (backward ? backward->flops : 0)) / both * 1e-9;
  kernel_json(j, "kernel", "isa", forward);
  if (backward) kernel_json(j, "kernel_backward", "isa_backward", backward);
  fv_json_int(j, "runs", b->runs);
  fv_json_real(j, "milliseconds", both * 1e3);
  fv_json_real(j, "milliseconds_fastest", b->seconds[BOTH][0] * 1e3);
  fv_json_real(j, "milliseconds_forward", median(b->seconds[FORWARD], b->runs) * 1e3);
  if (backward) fv_json_real(j, "milliseconds_backward", median(b->seconds[BACKWARD], b->runs) * 1e3);
  fv_json_real(j, "gflops", gflops);
  fv_json_real(j, "peak_gflops", peak);
  fv_json_real(j, "peak_gflops_least", b->ceiling[0]);
  fv_json_real(j, "peak_gflops_most", b->ceiling[b->n_ceiling - 1]);
  fv_json_real(j, "fraction_of_peak", gflops / peak);
  fv_json_real(j, "gigabytes_per_second", (forward->bytes + (backward ? backward->bytes : 0)) / both * 1e-9);
  fv_json_int(j, "bytes_inputs", b->input_bytes);
  fv_json_int(j, "bytes_scratch", b->scratch_bytes);
  fv_json_int(j, "peak_bytes", fv_peak_rss_bytes());
}

static void release(bench *b) {
  for (int w = 0; w < TIMES; w++) fv_free(b->seconds[w]);
  for (int i = 0; i < MOST_INPUTS; i++) fv_slab_free(b->inputs[i]);
  fv_free(b->rows);
  fv_exec_free(b->exec);
  fv_program_free(b->program);
  fv_graph_free(b->g);
  fv_pool_free(b->pool);
}

fv_status fv_bench_attention(const fv_attention_request *rq, char **json) {
  bench b = {.rq = rq};
  fv_json j = {0};
  fv_status status = FV_OK;
  *json = NULL;
  FV_TRY_DONE(check(&b));
  FV_TRY_DONE(fv_cpu_init());
  FV_TRY_DONE(fv_pool_new(rq->threads ? rq->threads : fv_cpu_count(), &b.pool));
  FV_TRY_DONE(build(&b));
  FV_TRY_DONE(compile(&b));
  FV_TRY_DONE(make_inputs(&b));
  FV_TRY_DONE(measure(&b));
  if (rq->out) FV_TRY_DONE(save(&b));
  fv_json_begin(&j, NULL, '{');
  request_json(&b, &j);
  result_json(&b, &j);
  fv_json_end(&j, '}');
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "bench: out of memory");
done:
  release(&b);
  if (status == FV_OK) *json = j.text.s;
  else fv_json_free(&j);
  return status;
}
