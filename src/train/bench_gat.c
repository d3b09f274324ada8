/* SPDX-License-Identifier: Apache-2.0 */
/* bench_gat.c: one layer of graph attention on a random graph, timed: projection, scores, softmax over each node's
 * edges, weighted sum, and back to x and all parameters. The graph is a constant of the program, so its transpose is
 * made once, before. */
#include "attention/attention.h"
#include "cpu/ceiling.h"
#include "fovea/train.h"
#include "io/io.h"
#include "ops/reduce.h"

#include <stdlib.h>

enum { MOST = 12, INPUTS = 64 };

typedef struct layer {
  const fv_bench_gat_request *rq;
  const fv_attention_def *def;
  fv_graph *g;
  fv_program *program;
  fv_exec *exec;
  fv_pool *pool;
  void *packed;
  fv_arena *arena;
  fv_value *in[FV_ATTENTION_MOST], *par[FV_ATTENTION_MOST], *out[FV_ATTENTION_MOST];
  fv_attention_slot slot[FV_ATTENTION_MOST];
  int n_par;
  double prologue;
} layer;

/* ---- building --------------------------------------------------------------------------------------------------- */
/* Edges between nodes drawn alike: most rows hold edges / nodes, some few or none. */
static fv_status draw_graph(layer *l) {
  const int64_t nodes = l->rq->nodes, edges = l->rq->edges;
  int32_t *row_ptr = fv_arena_alloc(l->arena, (size_t)(nodes + 1) * sizeof *row_ptr);
  int32_t *col = fv_arena_alloc(l->arena, (size_t)edges * sizeof *col + 1);
  FV_REQUIRE(row_ptr && col, FV_ERR_MEMORY, "bench: out of memory");
  fv_rng rng = fv_rng_new(1, 1);
  for (int64_t k = 0; k < edges; k++) {
    row_ptr[fv_rng_below(&rng, (uint32_t)nodes) + 1]++;
    col[k] = (int32_t)fv_rng_below(&rng, (uint32_t)nodes);
  }
  for (int64_t i = 0; i < nodes; i++) row_ptr[i + 1] += row_ptr[i];
  l->in[1] = fv_const_data(l->g, FV_I32, FV_SHAPE(nodes + 1), row_ptr);
  l->in[2] = fv_const_data(l->g, FV_I32, FV_SHAPE(edges), col);
  return fv_graph_check(l->g);
}

static fv_status shape_of(const layer *l, const fv_attention_slot *slot, fv_shape *shape) {
  const fv_attention_sizes sizes = {.n = 4, .v = {{"H", l->rq->heads}, {"D", l->rq->width}, {"F", INPUTS},
                                                  {"Z", l->rq->heads * l->rq->width}}};
  *shape = (fv_shape){.ndim = slot->ndim};
  for (int d = 0; d < slot->ndim; d++) {
    shape->dim[d] = fv_attention_size(&sizes, slot->dim[d]);
    FV_REQUIRE(shape->dim[d] > 0, FV_ERR_INTERNAL, "bench: expected a size for %s, got none", slot->dim[d]);
  }
  return FV_OK;
}

/* What is asked of the layer are all gradients, of x too: a layer in the middle of a network. */
static fv_status add_backward(layer *l) {
  fv_value *wrt[MOST], *grad[MOST], *weight = fv_input(l->g, "weight", FV_F32, fv_value_shape(l->out[0]));
  int n = 0;
  wrt[n++] = l->in[0];
  for (int i = 0; i < l->n_par; i++) wrt[n++] = l->par[i];
  FV_TRY(fv_graph_differentiate(l->g, fv_op(l->g, "sum", NULL, fv_mul(l->g, l->out[0], weight)), false, n, wrt, grad));
  for (int i = 0; i < n; i++) fv_output(l->g, fv_arena_printf(l->arena, "grad%d", i), grad[i]);
  return FV_OK;
}

static fv_status build(layer *l) {
  char text[64];
  void *attrs = fv_arena_alloc(l->arena, l->def->attrs_size);
  FV_REQUIRE(attrs, FV_ERR_MEMORY, "bench: out of memory");
  FV_TRY(fv_options_defaults(l->def->attrs, attrs));
  snprintf(text, sizeof text, "%lld", (long long)l->rq->heads);
  FV_TRY(fv_options_set(l->def->attrs, attrs, l->def->name, "heads", text, l->arena));
  FV_TRY(fv_attention_slots(l->def, l->def->params, attrs, l->slot, &l->n_par));
  l->in[0] = fv_input(l->g, "x", FV_F32, FV_SHAPE(l->rq->nodes, INPUTS));
  FV_TRY(draw_graph(l));
  for (int i = 0; i < l->n_par; i++) {
    fv_shape shape;
    FV_TRY(shape_of(l, &l->slot[i], &shape));
    l->par[i] = fv_input(l->g, l->slot[i].name, FV_F32, shape);
  }
  fv_attention_apply(l->g, l->def, attrs, l->in, l->par, l->out);
  FV_TRY(fv_graph_check(l->g));
  fv_output(l->g, "y", l->out[0]);
  if (l->rq->backward) FV_TRY(add_backward(l));
  return fv_graph_check(l->g);
}

static fv_status bind(layer *l) {
  fv_rng rng = fv_rng_new(1, 2);
  for (int i = 0; i < l->g->inputs.n; i++) {
    const fv_named *input = &l->g->inputs.v[i];
    const int64_t n = fv_shape_count(fv_value_shape(input->value));
    float *x = fv_arena_alloc(l->arena, (size_t)n * sizeof *x + 1);
    FV_REQUIRE(x, FV_ERR_MEMORY, "bench: out of memory");
    for (int64_t k = 0; k < n; k++) x[k] = (float)(fv_rng_uniform(&rng) - 0.5) / 4;
    fv_exec_bind_input(l->exec, fv_exec_input(l->exec, input->name), x);
  }
  return FV_OK;
}

static fv_status compile(layer *l) {
  FV_TRY(fv_program_new(l->g, &l->program));
  FV_TRY(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(l->program).packed_bytes, &l->packed));
  FV_TRY(fv_exec_new(l->program, NULL, NULL, l->packed, &l->exec));
  double before = fv_seconds();
  FV_TRY(fv_program_prologue(l->program, NULL, l->packed, l->pool));
  l->prologue = fv_seconds() - before;
  return bind(l);
}

/* ---- timing ----------------------------------------------------------------------------------------------------- */
static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static fv_status time_runs(layer *l, fv_json *j) {
  const int runs = l->rq->runs;
  double *seconds;
  FV_TRY(FV_NEW(&seconds, runs));
  for (int i = 0; i < 2; i++) fv_exec_run_split(l->exec, l->pool);
  for (int i = 0; i < runs; i++) {
    double before = fv_seconds();
    fv_exec_run_split(l->exec, l->pool);
    seconds[i] = fv_seconds() - before;
  }
  qsort(seconds, (size_t)runs, sizeof *seconds, ascending);
  fv_json_real(j, "milliseconds", seconds[runs / 2] * 1e3);
  fv_json_real(j, "best_milliseconds", seconds[0] * 1e3);
  fv_free(seconds);
  return FV_OK;
}

static fv_status time_nodes(layer *l, fv_json *j) {
  const int n = fv_program_get_info(l->program).n_steps;
  fv_profile_row *rows;
  FV_TRY(FV_NEW(&rows, n + 1));
  fv_exec_profile(l->exec, true);
  for (int i = 0; i < l->rq->runs; i++) fv_exec_run_split(l->exec, l->pool);
  fv_exec_profile_rows(l->exec, rows, n);
  fv_json_begin(j, "nodes", '[');
  for (int i = 0; i < n; i++) {
    const double mean = rows[i].seconds / (double)FV_MAX(rows[i].calls, 1);
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "node", rows[i].node);
    fv_json_text(j, "op", rows[i].op);
    fv_json_text(j, "kernel", rows[i].kernel);
    fv_json_real(j, "milliseconds", mean * 1e3);
    fv_json_real(j, "gigabytes_per_second", rows[i].bytes / mean / 1e9);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_free(rows);
  return FV_OK;
}

static fv_status measure(layer *l, fv_json *j) {
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "mechanism", l->def->name);
  fv_json_int(j, "nodes_of_graph", l->rq->nodes);
  fv_json_int(j, "edges", l->rq->edges);
  fv_json_int(j, "heads", l->rq->heads);
  fv_json_int(j, "width", l->rq->width);
  fv_json_int(j, "inputs", INPUTS);
  fv_json_int(j, "threads", fv_pool_threads(l->pool));
  fv_json_bool(j, "backward", l->rq->backward);
  FV_TRY(time_runs(l, j));
  fv_json_real(j, "prologue_milliseconds", l->prologue * 1e3);
  fv_json_real(j, "slab_megabytes", (double)fv_program_get_info(l->program).slab_bytes / 1e6);
  fv_json_real(j, "copy_gigabytes_per_second", fv_ceiling_gbytes());
  FV_TRY(time_nodes(l, j));
  fv_json_end(j, '}');
  return FV_OK;
}

fv_status fv_bench_gat(const fv_bench_gat_request *rq, char **json) {
  layer l = {.rq = rq, .def = fv_attention_find(rq->mechanism)};
  fv_json j = {0};
  fv_status status = FV_OK;
  *json = NULL;
  FV_REQUIRE(l.def && l.def->attrs == fv_attention_find("gat")->attrs, FV_ERR_REQUEST,
             "bench: expected a mechanism over graphs, got '%s'", rq->mechanism);
  FV_REQUIRE(rq->nodes >= 1 && rq->nodes < INT32_MAX && rq->edges >= 0 && rq->edges < INT32_MAX, FV_ERR_REQUEST,
             "bench: expected at least 1 node and numbers below 2^31, got %lld nodes and %lld edges",
             (long long)rq->nodes, (long long)rq->edges);
  FV_REQUIRE(rq->heads >= 1 && rq->width >= 1 && rq->runs >= 1, FV_ERR_REQUEST,
             "bench: expected at least 1 head, feature and run, got %lld, %lld and %d", (long long)rq->heads,
             (long long)rq->width, rq->runs);
  FV_TRY_DONE(fv_arena_new(&l.arena));
  FV_TRY_DONE(fv_pool_new(rq->threads > 0 ? rq->threads : fv_cpu_count(), &l.pool));
  FV_TRY_DONE(fv_graph_new(NULL, FV_F32, &l.g));
  for (int i = 0; i < FV_ATTENTION_MOST; i++) l.in[i] = l.par[i] = fv_absent(l.g);
  FV_TRY_DONE(build(&l));
  FV_TRY_DONE(compile(&l));
  FV_TRY_DONE(measure(&l, &j));
done:
  fv_exec_free(l.exec);
  fv_slab_free(l.packed);
  fv_program_free(l.program);
  fv_graph_free(l.g);
  fv_pool_free(l.pool);
  fv_arena_free(l.arena);
  return fv_json_give(&j, status, "bench", json);
}
