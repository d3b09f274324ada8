/* SPDX-License-Identifier: Apache-2.0 */
/* single.c: see single.h. A graph of one node, its kernel, its call. */
#include "ir/single.h"

#include "ir/program.h"

enum { MOST_IN = 8 };

struct fv_single {
  fv_graph *g;
  const fv_node *node;
  const fv_kernel *kernel;
  void *state, *scratch;
  int64_t units;
};

static fv_status single_build(fv_single *s, const char *op, const char *attrs, int n_in, const fv_tensor *in) {
  fv_value *values[MOST_IN];
  FV_ASSERT(n_in <= MOST_IN);
  FV_TRY(fv_graph_new(NULL, FV_F32, &s->g));
  for (int i = 0; i < n_in; i++) {
    char name[8];
    snprintf(name, sizeof name, "x%d", i);
    values[i] = fv_input(s->g, name, in[i].dtype, in[i].shape);
  }
  fv_value *y = fv_op_text(s->g, op, attrs, n_in, values);
  FV_TRY(fv_graph_check(s->g));
  s->node = y->producer;
  FV_TRY(fv_kernel_select(s->node, &s->kernel));
  s->units = s->kernel && s->kernel->units ? s->kernel->units(s->node) : 1;
  int64_t scratch = s->kernel && s->kernel->scratch ? s->kernel->scratch(s->node) : 0;
  if (scratch > 0) FV_REQUIRE(s->scratch = fv_alloc((size_t)scratch), FV_ERR_MEMORY, "%s: out of memory", op);
  return s->kernel && s->kernel->prepare ? s->kernel->prepare(s->node, &s->state) : FV_OK;
}

fv_status fv_single_new(const char *op, const char *attrs, int n_in, const fv_tensor *in, fv_single **single) {
  *single = NULL;
  fv_single *s;
  FV_TRY(FV_NEW(&s, 1));
  fv_status status = single_build(s, op, attrs, n_in, in);
  if (status == FV_OK) *single = s;
  else fv_single_free(s);
  return status;
}

void fv_single_free(fv_single *s) {
  if (!s) return;
  if (s->kernel && s->kernel->release && s->state) s->kernel->release(s->state);
  fv_free(s->scratch);
  fv_graph_free(s->g);
  fv_free(s);
}

int64_t fv_single_out_count(const fv_single *s, int i) { return fv_shape_count(s->node->out[i]->shape); }

typedef struct job {
  const fv_single *s;
  fv_call call;
  int64_t pieces;
} job;

static void run_piece(void *arg, int64_t i, int worker) {
  (void)worker;
  const job *j = arg;
  fv_call call = j->call;
  call.begin = j->s->units * i / j->pieces;
  call.end = j->s->units * (i + 1) / j->pieces;
  if (j->s->kernel) j->s->kernel->run(&call);
  else j->s->node->op->ref(&call);
}

void fv_single_run(fv_single *s, void *const *in, void *const *out, fv_pool *pool) {
  fv_tensor x[MOST_IN], y[FV_MAX_OUTS];
  const fv_node *n = s->node;
  for (int i = 0; i < n->n_in; i++) x[i] = (fv_tensor){n->in[i]->dtype, n->in[i]->shape, in[i]};
  for (int i = 0; i < n->n_out; i++) y[i] = (fv_tensor){n->out[i]->dtype, n->out[i]->shape, out[i]};
  bool split = pool && !s->scratch && s->units > 1;
  job j = {.s = s,
           .pieces = split ? FV_MIN(s->units, 4 * (int64_t)fv_pool_threads(pool)) : 1,
           .call = {.node = n,
                    .attrs = n->attrs,
                    .n_in = n->n_in,
                    .n_out = n->n_out,
                    .in = x,
                    .out = y,
                    .scratch = s->scratch,
                    .state = s->state}};
  if (split) fv_pool_run(pool, j.pieces, run_piece, &j);
  else run_piece(&j, 0, 0);
}
