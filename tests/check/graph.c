/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c: whole graphs, made at random from the rows' cases and from the seed alone. The same graph is built twice: in
 * double precision, run by the interpreter before and after each pass; and in single precision, compiled and executed.
 * All must agree, as closely as the graph's own sensitivity to its inputs lets one ask: that is measured by running it
 * again on inputs moved by a millionth. The executor must also give the same bits twice and on several threads, without
 * allocating. */
#include "check.h"

#define GRAPHS 300

/* ---- results ---------------------------------------------------------------------------------------------------- */
/* Outputs and gradients, in this order, as doubles. */
typedef struct results {
  int n;
  const char *name[CK_MAX_OUTPUTS + CK_MAX_LEAVES];
  int64_t count[CK_MAX_OUTPUTS + CK_MAX_LEAVES];
  double *v[CK_MAX_OUTPUTS + CK_MAX_LEAVES];
} results;

static void result_add(ck_random_graph *b, results *r, const char *name, const fv_tensor *t) {
  double *v = fv_arena_alloc(b->arena, (size_t)(fv_shape_count(t->shape) + 1) * sizeof *v);
  if (v == NULL) return;
  ck_tensor_load(t, v);
  r->name[r->n] = name;
  r->count[r->n] = fv_shape_count(t->shape);
  r->v[r->n++] = v;
}

/* Interprets the graph as it is now, with leaves moved by a random part of at most `noise` of each number. */
static fv_status interpreted(ck_random_graph *b, double noise, results *r) {
  ck_values v = {0};
  fv_tensor *t;
  fv_status status = FV_OK;
  fv_rng rng = fv_rng_new(b->seed, fv_stream_of("noise"));
  r->n = 0;
  FV_TRY_DONE(ck_values_new(b->g, &v));
  for (int i = 0; i < b->n_leaves; i++) {
    const ck_leaf *l = &b->leaves[i];
    FV_TRY_DONE(ck_values_tensor(&v, l->value, &t));
    for (int64_t j = 0, n = fv_shape_count(t->shape); j < n; j++)
      fv_set(t, j, t->dtype == b->g->real ? l->v[j] * (1 + noise * (2 * fv_rng_uniform(&rng) - 1)) : l->v[j]);
  }
  FV_TRY_DONE(ck_interpret(b->g, &v));
  const fv_named_list *lists[] = {&b->g->outputs, &b->g->gradients};
  for (size_t k = 0; k < FV_COUNT(lists); k++)
    for (int i = 0; i < lists[k]->n; i++) {
      FV_TRY_DONE(ck_values_tensor(&v, lists[k]->v[i].value, &t));
      result_add(b, r, lists[k]->v[i].name, t);
    }
done:
  ck_values_free(&v);
  return status;
}

/* What results are held to: those of double precision, and how far two other runs are from them. */
typedef struct expectation {
  results want;
  results moved; /* with inputs moved by a millionth */
  results rough; /* in single precision by the references */
} expectation;

/* Differences allowed: `rel` of the largest number, and for sums that cancel a tenth of it of 1; besides these the
 * given multiples of what the other runs show. */
static void compare_results(ck_report *r, const char *what, const expectation *e, const results *got, double rel,
                            double amplified, double rougher) {
  const results *want = &e->want, *moved = &e->moved, *rough = &e->rough;
  if (got->n != want->n) ck_problem(r, "%s: expected %d outputs, got %d", what, want->n, got->n);
  for (int i = 0; i < FV_MIN(got->n, want->n); i++) {
    double largest = 0, sway = 0, noise = 0;
    bool finite = true;
    for (int64_t j = 0; j < want->count[i]; j++) {
      finite = finite && isfinite(want->v[i][j]) && isfinite(moved->v[i][j]);
      largest = fmax(largest, fabs(want->v[i][j]));
      sway = fmax(sway, fabs(want->v[i][j] - moved->v[i][j]));
      noise = fmax(noise, fabs(want->v[i][j] - rough->v[i][j]));
    }
    if (!finite || largest > 1e30 || sway > 1e-3 * largest || !(noise <= 1e-2 * largest))
      continue; /* too sensitive to say anything */
    for (int64_t j = 0; j < want->count[i]; j++) {
      double allowed = rel * largest + amplified * sway + rougher * noise + 0.1 * rel;
      if (fabs(want->v[i][j] - got->v[i][j]) <= allowed) continue;
      ck_problem(r, "%s: '%s' at %lld: expected %.9g, got %.9g (largest %.3g, sensitivity %.3g)", what, want->name[i],
                 (long long)j, want->v[i][j], got->v[i][j], largest, sway * 1e6);
      break;
    }
  }
}

/* ---- passes ----------------------------------------------------------------------------------------------------- */
static const struct {
  const char *name;
  fv_status (*run)(fv_graph *g);
} passes[] = {
    {"dce", fv_pass_dce},   {"simplify", fv_pass_simplify}, {"cse", fv_pass_cse},
    {"fuse", fv_pass_fuse}, {"sort", fv_pass_sort},         {"dce again", fv_pass_dce},
};

static fv_status check_passes(ck_report *r, ck_random_graph *b, const expectation *e) {
  results got;
  for (size_t i = 0; i < FV_COUNT(passes); i++) {
    char what[48];
    snprintf(what, sizeof what, "after pass %s", passes[i].name);
    fv_status status = passes[i].run(b->g);
    if (status == FV_OK && strcmp(passes[i].name, "fuse") == 0) status = fv_pass_sort(b->g);
    if (status == FV_OK) status = fv_graph_verify(b->g);
    if (status == FV_OK) status = interpreted(b, 0, &got);
    if (status != FV_OK) return fv_error_prefix(status, "%s", what);
    compare_results(r, what, e, &got, 1e-9, 1e-5, 1e-5);
  }
  return FV_OK;
}

/* ---- execution -------------------------------------------------------------------------------------------------- */
typedef struct running {
  ck_random_graph *b;
  fv_program *program;
  fv_exec *exec;
  float *params, *gradients;
  void *packed;
  void *inputs[CK_MAX_LEAVES];
} running;

static fv_status bind_leaves(running *run) {
  ck_random_graph *b = run->b;
  for (int i = 0; i < b->n_leaves; i++) {
    const ck_leaf *l = &b->leaves[i];
    if (l->value->kind == FV_VALUE_PARAM) {
      fv_tensor t = {
          .dtype = FV_F32, .shape = l->value->shape, .data = run->params + b->params->v[l->value->out_index].offset};
      ck_tensor_store(&t, l->v);
      continue;
    }
    run->inputs[i] = ck_const_bytes(b, &(fv_tensor){.dtype = l->value->dtype, .shape = l->value->shape}, l->v);
    FV_REQUIRE(run->inputs[i] != NULL, FV_ERR_MEMORY, "check: out of memory");
  }
  return FV_OK;
}

static void bind_inputs(running *run) {
  for (int i = 0; i < run->b->n_leaves; i++) {
    int index = fv_exec_input(run->exec, run->b->leaves[i].value->name);
    if (run->inputs[i] != NULL && index >= 0) fv_exec_bind_input(run->exec, index, run->inputs[i]);
  }
}

static fv_status start(running *run) {
  ck_random_graph *b = run->b;
  fv_ledger ledger = {0};
  FV_TRY(FV_NEW(&run->params, b->params->size + 1));
  FV_TRY(FV_NEW(&run->gradients, b->params->size + 1));
  FV_TRY(bind_leaves(run));
  FV_TRY(fv_program_new(b->g, &run->program));
  FV_TRY(fv_graph_verify(fv_program_graph(run->program)));
  run->packed = fv_alloc((size_t)fv_program_get_info(run->program).packed_bytes + 1);
  FV_REQUIRE(run->packed != NULL, FV_ERR_MEMORY, "check: out of memory");
  FV_TRY(fv_program_prologue(run->program, run->params, run->packed, NULL));
  FV_TRY(fv_exec_new(run->program, &ledger, run->params, run->packed, &run->exec));
  bind_inputs(run);
  fv_exec_bind_gradients(run->exec, run->gradients);
  return FV_OK;
}

static void stop(running *run) {
  fv_exec_free(run->exec);
  fv_program_free(run->program);
  fv_free(run->packed);
  fv_free(run->gradients);
  fv_free(run->params);
}

static fv_status collect(running *run, results *r) {
  const fv_graph *g = run->b->g;
  r->n = 0;
  for (int i = 0; i < g->outputs.n; i++) {
    const fv_tensor *t = fv_exec_output(run->exec, g->outputs.v[i].name);
    FV_REQUIRE(t != NULL && t->data != NULL, FV_ERR_INTERNAL, "output '%s': expected a tensor, got none",
               g->outputs.v[i].name);
    result_add(run->b, r, g->outputs.v[i].name, t);
  }
  for (int i = 0; i < g->gradients.n; i++) {
    const fv_value *p = g->gradients.v[i].target;
    fv_tensor t = {.dtype = FV_F32, .shape = p->shape, .data = run->gradients + run->b->params->v[p->out_index].offset};
    result_add(run->b, r, g->gradients.v[i].name, &t);
  }
  return FV_OK;
}

static void expect_same(ck_report *r, const char *what, const results *a, const results *b) {
  for (int i = 0; i < FV_MIN(a->n, b->n); i++)
    for (int64_t j = 0; j < a->count[i]; j++)
      if (a->v[i][j] != b->v[i][j] && !(isnan(a->v[i][j]) && isnan(b->v[i][j]))) {
        ck_problem(r, "%s: other bits in '%s' at %lld: expected %.9g, got %.9g", what, a->name[i], (long long)j,
                   a->v[i][j], b->v[i][j]);
        return;
      }
}

static fv_status check_exec(ck_report *r, ck_random_graph *b, fv_pool *pool, const expectation *e) {
  running run = {.b = b};
  fv_status status = FV_OK;
  results compiled, first, again;
  FV_TRY_DONE(start(&run));
  FV_TRY_DONE(
      interpreted(b, 0, &compiled)); /* the same graph the executor runs: tells passes from planner and kernels */
  compare_results(r, "compiled, by the references", e, &compiled, 1e-5, 10, 10);
  uint64_t allocations = fv_memory_get_stats().count;
  fv_exec_run(run.exec);
  if (fv_memory_get_stats().count != allocations) ck_problem(r, "a run allocates memory");
  FV_TRY_DONE(collect(&run, &first));
  compare_results(r, "executed", e, &first, 3e-5, 10, 10);
  memset(run.gradients, 0xFF, (size_t)b->params->size * sizeof(float));
  fv_exec_run(run.exec);
  FV_TRY_DONE(collect(&run, &again));
  expect_same(r, "run again", &first, &again);
  FV_TRY_DONE(fv_exec_split_over(run.exec, NULL, fv_pool_threads(pool)));
  fv_exec_run_split(run.exec, pool);
  FV_TRY_DONE(collect(&run, &again));
  expect_same(r, "split over threads", &first, &again);
done:
  stop(&run);
  return status;
}

/* ---- the mode --------------------------------------------------------------------------------------------------- */
typedef struct graph_check {
  ck_report *r;
  uint64_t seed;
  fv_pool *pool;
  ck_random_graph twice, single;
} graph_check;

static fv_status check_graph(graph_check *k) {
  expectation e;
  FV_TRY(ck_random_graph_new(k->seed, FV_F64, &k->twice));
  FV_TRY(ck_random_graph_new(k->seed, FV_F32, &k->single));
  FV_TRY(interpreted(&k->twice, 0, &e.want));
  FV_TRY(interpreted(&k->twice, 1e-6, &e.moved));
  FV_TRY(interpreted(&k->single, 0, &e.rough));
  FV_REQUIRE(e.rough.n == e.want.n, FV_ERR_INTERNAL, "expected the same graph in f32 and f64, got %d and %d results",
             e.rough.n, e.want.n);
  FV_TRY(check_passes(k->r, &k->twice, &e));
  return check_exec(k->r, &k->single, k->pool, &e);
}

static void graph_body(void *arg) {
  graph_check *k = arg;
  if (check_graph(k) != FV_OK) ck_problem(k->r, "%s", fv_error_message());
}

void ck_mode_graph(ck_report *r) {
  fv_pool *pool;
  int64_t n = GRAPHS;
  char what[256];
  if (r->only != NULL && !fv_parse_int(r->only, &n)) return;
  if (fv_pool_new(3, &pool) != FV_OK) return;
  for (int64_t i = 0; i < n; i++) {
    graph_check k = {.r = r, .seed = r->seed + (uint64_t)i, .pool = pool};
    ck_report one = *r; /* what is printed as the way to repeat it is this graph's own seed */
    one.seed = k.seed;
    k.r = &one;
    ck_begin(&one, "1", "at %llu", (unsigned long long)k.seed);
    if (!ck_trap(graph_body, &k, 4 * r->time_limit, what, sizeof what)) ck_problem(&one, "%s", what);
    ck_end(&one);
    one.seed = r->seed;
    *r = one;
    ck_random_graph_free(&k.twice);
    ck_random_graph_free(&k.single);
  }
  fv_pool_free(pool);
}
