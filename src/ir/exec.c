/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c: running. Every call is bound once, when the exec is made; a run is a loop over function pointers and
 * allocates nothing. Inputs and gradients are bound anew for each shard by patching the few tensors that refer to
 * them. */
#include "ir/program.h"

enum { MOST_IN = 32 };

typedef struct patch {
  fv_tensor *tensor;
  int64_t at;
} patch;

struct fv_exec {
  const fv_program *p;
  const float *params;
  const uint8_t *packed;
  uint8_t *slab, *own_slab; /* own_slab: NULL when the slab is lent */
  fv_call *calls;
  fv_tensor *tensors;
  patch *input_patches, *gradient_patches;
  int n_input_patches, n_gradient_patches;
  bool profiling;
  double *seconds; /* by step */
  int64_t *runs;
  uint8_t *split_scratch; /* of each thread but the first, which has the planned one */
  int64_t split_stride;
  int split_threads;
};

static void *resolve(fv_spot spot, const float *params, const void *packed, void *slab) {
  switch (spot.place) {
    case FV_PLACE_SLAB: return (uint8_t *)slab + spot.at;
    case FV_PLACE_PARAM: return (uint8_t *)(uintptr_t)params + spot.at;
    case FV_PLACE_PACKED: return (uint8_t *)(uintptr_t)packed + spot.at;
    case FV_PLACE_CONST: return (void *)(intptr_t)spot.at;
    case FV_PLACE_NONE:
    case FV_PLACE_INPUT:
    case FV_PLACE_GRADIENT: break;
  }
  return NULL;
}

static inline void run_step(const fv_step *step, const fv_call *call) {
  if (step->kernel) step->kernel->run(call);
  else step->node->op->ref(call);
}

/* ---- prologue ---------------------------------------------------------------------------------------------------- */
static fv_tensor tensor_of(const fv_value *v, void *data) {
  return (fv_tensor){.dtype = v->dtype, .shape = v->shape, .data = v->kind == FV_VALUE_ABSENT ? NULL : data};
}

static void run_early(const fv_program *p, int s, const float *params, void *packed) {
  const fv_step *step = &p->prologue[s];
  const fv_node *node = step->node;
  fv_tensor in[MOST_IN], out[FV_MAX_OUTS];
  for (int k = 0; k < node->n_in; k++) in[k] = tensor_of(node->in[k], resolve(step->in[k], params, packed, NULL));
  for (int k = 0; k < node->n_out; k++) out[k] = tensor_of(node->out[k], resolve(step->out[k], params, packed, NULL));
  fv_call call = {.node = node, .attrs = node->attrs, .n_in = node->n_in, .n_out = node->n_out, .in = in, .out = out,
                  .scratch = resolve(step->scratch, params, packed, NULL), .state = p->states[s], .end = step->units};
  run_step(step, &call);
}

typedef struct pack_job {
  const fv_program *p;
  const float *params;
  void *packed;
} pack_job;

static void run_pack(void *arg, int64_t i, int worker) {
  (void)worker;
  const pack_job *job = arg;
  const fv_pack_step *pack = &job->p->packs[i];
  fv_tensor from = tensor_of(pack->step->node->in[pack->i], resolve(pack->from, job->params, job->packed, NULL));
  pack->step->kernel->pack(pack->step->node, pack->i, &from, (uint8_t *)job->packed + pack->to,
                           job->p->states[job->p->n_prologue + i]);
}

fv_status fv_program_prologue(const fv_program *p, const float *params, void *packed, fv_pool *pool) {
  for (int s = 0; s < p->n_prologue; s++) {
    FV_ASSERT(p->prologue[s].node->n_in <= MOST_IN);
    run_early(p, s, params, packed);
  }
  pack_job job = {p, params, packed};
  if (pool) fv_pool_run(pool, p->n_packs, run_pack, &job);
  else
    for (int i = 0; i < p->n_packs; i++) run_pack(&job, i, 0);
  return FV_OK;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */
static void bind_tensor(fv_exec *e, fv_tensor *t, const fv_value *v, fv_spot spot) {
  *t = tensor_of(v, resolve(spot, e->params, e->packed, e->slab));
  if (spot.place == FV_PLACE_INPUT) e->input_patches[e->n_input_patches++] = (patch){t, spot.at};
  if (spot.place == FV_PLACE_GRADIENT) e->gradient_patches[e->n_gradient_patches++] = (patch){t, spot.at};
}

static fv_status bind_call(fv_exec *e, int s, fv_tensor **next) {
  const fv_step *step = &e->p->body[s];
  const fv_node *node = step->node;
  fv_tensor *in = *next, *out = in + node->n_in;
  *next = out + node->n_out;
  for (int k = 0; k < node->n_in; k++) bind_tensor(e, &in[k], node->in[k], step->in[k]);
  for (int k = 0; k < node->n_out; k++) bind_tensor(e, &out[k], node->out[k], step->out[k]);
  e->calls[s] = (fv_call){.node = node,
                          .attrs = node->attrs,
                          .n_in = node->n_in,
                          .n_out = node->n_out,
                          .in = in,
                          .out = out,
                          .scratch = resolve(step->scratch, NULL, NULL, e->slab),
                          .packed = step->packed,
                          .end = step->units};
  return step->kernel && step->kernel->prepare ? step->kernel->prepare(node, &e->calls[s].state) : FV_OK;
}

fv_status fv_exec_new_in(const fv_program *p, const float *params, const void *packed, void *slab, fv_exec **exec) {
  *exec = NULL;
  fv_status status = FV_OK;
  fv_exec *e;
  FV_TRY(FV_NEW(&e, 1));
  int n_tensors = p->g->outputs.n;
  for (int s = 0; s < p->n_body; s++) n_tensors += p->body[s].node->n_in + p->body[s].node->n_out;
  e->p = p;
  e->params = params;
  e->packed = packed;
  e->slab = slab;
  FV_TRY_DONE(FV_NEW(&e->calls, p->n_body + 1));
  FV_TRY_DONE(FV_NEW(&e->tensors, n_tensors + 1));
  FV_TRY_DONE(FV_NEW(&e->input_patches, n_tensors + 1));
  FV_TRY_DONE(FV_NEW(&e->gradient_patches, n_tensors + 1));
  FV_TRY_DONE(FV_NEW(&e->seconds, p->n_body + 1));
  FV_TRY_DONE(FV_NEW(&e->runs, p->n_body + 1));
  fv_tensor *next = e->tensors;
  for (int i = 0; i < p->g->outputs.n; i++, next++) {
    const fv_value *v = p->g->outputs.v[i].value;
    bind_tensor(e, next, v, p->spots[v->id]);
  }
  for (int s = 0; s < p->n_body; s++) FV_TRY_DONE(bind_call(e, s, &next));
done:
  if (status == FV_OK) *exec = e;
  else fv_exec_free(e);
  return status;
}

fv_status fv_exec_new(const fv_program *p, fv_ledger *ledger, const float *params, const void *packed, fv_exec **exec) {
  void *slab;
  *exec = NULL;
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_ACTIVATIONS, p->slab_bytes, &slab));
  fv_status status = fv_exec_new_in(p, params, packed, slab, exec);
  if (status == FV_OK) (*exec)->own_slab = slab;
  else fv_slab_free(slab);
  return status;
}

fv_status fv_exec_split_over(fv_exec *e, fv_ledger *ledger, int threads) {
  FV_ASSERT(!e->split_scratch);
  for (int s = 0; s < e->p->n_body; s++) {
    const fv_step *step = &e->p->body[s];
    if (step->scratch.place == FV_PLACE_NONE || step->units < 2) continue; /* dry, the slab's first byte is NULL */
    e->split_stride = FV_MAX(e->split_stride, fv_round_up(step->kernel->scratch(step->node), FV_ALIGN));
  }
  if (threads > 1 && e->split_stride > 0)
    FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_ACTIVATIONS, e->split_stride * (threads - 1), (void **)&e->split_scratch));
  e->split_threads = threads;
  return FV_OK;
}

void fv_exec_free(fv_exec *e) {
  if (!e) return;
  fv_slab_free(e->split_scratch);
  for (int s = 0; e->calls && s < e->p->n_body; s++) {
    const fv_kernel *k = e->p->body[s].kernel;
    if (k && k->release && e->calls[s].state) k->release(e->calls[s].state);
  }
  fv_slab_free(e->own_slab);
  fv_free(e->calls);
  fv_free(e->tensors);
  fv_free(e->input_patches);
  fv_free(e->gradient_patches);
  fv_free(e->seconds);
  fv_free(e->runs);
  fv_free(e);
}

/* ---- binding ----------------------------------------------------------------------------------------------------- */
int fv_exec_input(const fv_exec *e, const char *name) {
  for (int i = 0; i < e->p->g->inputs.n; i++)
    if (!strcmp(e->p->g->inputs.v[i].name, name)) return i;
  return -1;
}

void fv_exec_bind_input(fv_exec *e, int index, const void *data) {
  for (int i = 0; i < e->n_input_patches; i++)
    if (e->input_patches[i].at == index) e->input_patches[i].tensor->data = (void *)(uintptr_t)data;
}

/* The whole numbers of a constant or of what is bound to an input; NULL when that is nowhere read. */
static const int32_t *numbers(const fv_exec *e, const fv_value *v) {
  if (v->kind == FV_VALUE_CONST) return v->data;
  for (int i = 0; v->kind == FV_VALUE_INPUT && i < e->n_input_patches; i++)
    if (e->input_patches[i].at == v->out_index) return e->input_patches[i].tensor->data;
  return NULL;
}

fv_status fv_exec_check(const fv_exec *e) {
  for (const fv_csr_rule *r = e->p->g->csr; r; r = r->next)
    FV_TRY(fv_csr_check(r->what, numbers(e, r->row_ptr), fv_dim(r->row_ptr, 0) - 1, numbers(e, r->col),
                        fv_dim(r->col, 0), r->nodes));
  return FV_OK;
}

void fv_exec_bind_gradients(fv_exec *e, float *slab) {
  for (int i = 0; i < e->n_gradient_patches; i++)
    e->gradient_patches[i].tensor->data = (uint8_t *)slab + e->gradient_patches[i].at;
}

const fv_tensor *fv_exec_output(const fv_exec *e, const char *name) {
  const fv_named_list *outputs = &e->p->g->outputs;
  for (int i = 0; i < outputs->n; i++)
    if (!strcmp(outputs->v[i].name, name)) return &e->tensors[i];
  return NULL;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
static void run_profiled(fv_exec *e, fv_pool *pool);

void fv_exec_run(fv_exec *e) {
  if (e->profiling) {
    run_profiled(e, NULL);
    return;
  }
  const fv_step *steps = e->p->body;
  for (int s = 0; s < e->p->n_body; s++) run_step(&steps[s], &e->calls[s]);
}

typedef struct split_job {
  const fv_exec *e;
  const fv_step *step;
  const fv_call *call;
  int64_t pieces;
} split_job;

static void run_piece(void *arg, int64_t i, int worker) {
  const split_job *job = arg;
  fv_call call = *job->call;
  if (call.scratch && worker > 0) call.scratch = job->e->split_scratch + (worker - 1) * job->e->split_stride;
  call.begin = job->step->units * i / job->pieces;
  call.end = job->step->units * (i + 1) / job->pieces;
  run_step(job->step, &call);
}

/* A node worth splitting: enough work to pay for waking a thread, and scratch for each thread. */
static void run_step_split(const fv_exec *e, int s, fv_pool *pool) {
  const fv_step *step = &e->p->body[s];
  const fv_call *call = &e->calls[s];
  int threads = fv_pool_threads(pool);
  int64_t pieces = threads == 1 ? 1 : FV_MIN(step->units, (step->kernel && step->kernel->together ? 1 : 4) * threads);
  bool worth = step->cost.flops + step->cost.bytes > 4e5;
  bool shared = call->scratch && threads > e->split_threads;
  if (pieces < 2 || shared || !worth) {
    run_step(step, call);
    return;
  }
  split_job job = {e, step, call, pieces};
  fv_pool_run(pool, pieces, run_piece, &job);
}

void fv_exec_run_split(fv_exec *e, fv_pool *pool) {
  if (e->profiling) {
    run_profiled(e, pool);
    return;
  }
  for (int s = 0; s < e->p->n_body; s++) run_step_split(e, s, pool);
}

static void run_profiled(fv_exec *e, fv_pool *pool) {
  double before = fv_seconds();
  for (int s = 0; s < e->p->n_body; s++) {
    if (pool) run_step_split(e, s, pool);
    else run_step(&e->p->body[s], &e->calls[s]);
    double now = fv_seconds();
    e->seconds[s] += now - before;
    e->runs[s]++;
    before = now;
  }
}

void fv_exec_profile(fv_exec *e, bool on) { e->profiling = on; }

int fv_exec_profile_rows(const fv_exec *e, fv_profile_row *rows, int max) {
  for (int s = 0; s < FV_MIN(e->p->n_body, max); s++) {
    const fv_step *step = &e->p->body[s];
    rows[s] = (fv_profile_row){.node = step->node->name, .op = step->node->op->name,
                               .kernel = step->kernel ? step->kernel->name : "ref",
                               .isa = step->kernel ? fv_isa_names[step->kernel->isa] : "",
                               .product = step->node->op->flags & FV_OP_PRODUCT, .calls = e->runs[s],
                               .seconds = e->seconds[s], .flops = step->cost.flops, .bytes = step->cost.bytes};
  }
  return e->p->n_body;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */
double fv_exec_time_step(fv_exec *e, int s, int times) {
  double best = 1e9;
  for (int i = 0; i < times; i++) {
    double before = fv_seconds();
    run_step(&e->p->body[s], &e->calls[s]);
    best = FV_MIN(best, fv_seconds() - before);
  }
  return best;
}

static void idle(const fv_call *c) { (void)c; }

double fv_exec_overhead(const fv_exec *e, int times) {
  const fv_kernel nothing = {.run = idle};
  double best = 1e9;
  for (int i = 0; i < times; i++) {
    double before = fv_seconds();
    for (int s = 0; s < e->p->n_body; s++) {
      fv_step step = {.kernel = &nothing};
      __asm__ volatile("" : : "r"(&step) : "memory"); /* the call stays a call through memory, as in a run */
      run_step(&step, &e->calls[s]);
    }
    best = FV_MIN(best, fv_seconds() - before);
  }
  return best / FV_MAX(e->p->n_body, 1);
}
