/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c: the time of one kernel on one case, as rates, and as a share of what one core of this machine was measured
 * to do at best. The best of several short runs: what comes out when nothing disturbs. */
#include "check.h"

#include "cpu/ceiling.h"

#define RUN_SECONDS 0.004
#define RUNS 5

typedef struct bench {
  const fv_kernel *k;
  fv_call call;
  fv_tensor in[CK_MAX_IN], out[FV_MAX_OUTS];
  int64_t times;
} bench;

static void call_many(void *arg) {
  bench *b = arg;
  for (int64_t i = 0; i < b->times; i++) b->k->run(&b->call);
}

/* Memory as the executor would give it: 64-byte aligned. */
static bool allocate(bench *b, ck_report *r, const ck_case *c, fv_node *node) {
  fv_rng rng = ck_rng(r->seed, node->op->name, c->index);
  for (int i = 0; i < node->n_in + node->n_out; i++) {
    const fv_value *v = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
    fv_tensor *t = i < node->n_in ? &b->in[i] : &b->out[i - node->n_in];
    *t = (fv_tensor){.dtype = v->dtype, .shape = v->shape};
    if (v->kind == FV_VALUE_ABSENT) continue;
    int64_t n = fv_shape_count(v->shape);
    t->data = fv_alloc((size_t)(n + 1) * fv_dtype_size(v->dtype));
    double *numbers = fv_alloc((size_t)(n + 1) * sizeof *numbers);
    if (t->data == NULL || numbers == NULL) return false;
    if (i < node->n_in) {
      ck_fill_values(&c->in[i], CK_FILL_UNIFORM, &rng, numbers);
      ck_tensor_store(t, numbers);
    }
    fv_free(numbers);
  }
  int64_t scratch = b->k->scratch == NULL ? 0 : b->k->scratch(node);
  b->call.scratch = scratch > 0 ? fv_alloc((size_t)scratch) : NULL;
  return scratch <= 0 || b->call.scratch != NULL;
}

static void release(bench *b) {
  for (int i = 0; i < b->call.n_in; i++) fv_free(b->in[i].data);
  for (int i = 0; i < b->call.n_out; i++) fv_free(b->out[i].data);
  fv_free(b->call.scratch);
  if (b->call.state != NULL && b->k->release != NULL) b->k->release(b->call.state);
}

/* Seconds of one call. */
static bool measure(bench *b, ck_report *r, double *seconds) {
  char what[256];
  double best = INFINITY, once;
  b->times = 1;
  for (int run = -2; run < RUNS; run++) { /* the first two warm up and find how many calls make a run */
    double before = fv_seconds();
    if (!ck_trap(call_many, b, r->time_limit, what, sizeof what)) {
      ck_problem(r, "%s", what);
      return false;
    }
    once = (fv_seconds() - before) / (double)b->times;
    if (run >= 0) best = fmin(best, once);
    else b->times = (int64_t)fmin(1e6, 1 + RUN_SECONDS / fmax(once, 1e-9));
  }
  *seconds = best;
  return true;
}

/* Arithmetic or memory, whichever is nearer to its ceiling; what fits a cache passes that of memory. oneDNN's rows are
 * listed as base but choose their own level, so the processor's best is the yardstick for all. */
static void report(const ck_report *r, fv_cost cost, double seconds) {
  double gflops = cost.flops / seconds * 1e-9, gbytes = cost.bytes / seconds * 1e-9;
  double best_gflops = fv_ceiling_gflops(fv_cpu_isa()), best_gbytes = fv_ceiling_gbytes();
  double share = fmax(best_gflops > 0 ? gflops / best_gflops : 0, best_gbytes > 0 ? gbytes / best_gbytes : 0);
  printf("%10.2f us %8.2f GF/s %8.2f GB/s %4.0f %%  %s\n", seconds * 1e6, gflops, gbytes, 100 * share, r->subject);
}

void ck_bench_case(ck_report *r, const fv_kernel *k, const ck_case *c, fv_node *node) {
  bench b = {.k = k};
  double seconds;
  b.call = (fv_call){.node = node,
                     .attrs = node->attrs,
                     .n_in = node->n_in,
                     .n_out = node->n_out,
                     .in = b.in,
                     .out = b.out,
                     .end = k->units == NULL ? 1 : k->units(node)};
  ck_begin(r, node->op->name, "%s:%s %s %s", node->op->name, k->name, fv_isa_names[k->isa], ck_case_text(c));
  if (k->prepare != NULL && k->prepare(node, &b.call.state) != FV_OK) ck_problem(r, "%s", fv_error_message());
  else if (!allocate(&b, r, c, node)) ck_problem(r, "out of memory");
  else if (measure(&b, r, &seconds)) report(r, node->op->cost(node), seconds);
  ck_end(r);
  release(&b);
}
