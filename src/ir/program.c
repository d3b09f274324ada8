/* SPDX-License-Identifier: Apache-2.0 */
/* program.c: a graph becomes a plan. Passes; a kernel for each node; what depends on parameters alone goes to the
 * prologue (weights repacked, norms folded: once per change of the parameters, shared by all workers); the rest is the
 * body, run once per shard. */
#include "ir/program.h"

/* A gradient or track must be written by a node of the body of its own: what is not gets a copy. */
static fv_status own_outputs(fv_graph *g) {
  bool *taken = NULL, *invariant = NULL;
  fv_status status = FV_OK;
  fv_named_list *lists[] = {&g->gradients, &g->tracks};
  int most = g->n_values + 1;
  FV_TRY_DONE(FV_NEW(&taken, most));
  FV_TRY_DONE(FV_NEW(&invariant, most));
  fv_graph_mark_invariant(g, invariant);
  for (int i = 0; i < g->outputs.n; i++) taken[fv_value_root(g->outputs.v[i].value)->id] = true;
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++) {
      fv_value *v = lists[l]->v[i].value;
      bool plain = v->kind == FV_VALUE_NODE && fv_value_root(v) == v && !taken[v->id] && !invariant[v->id];
      taken[v->id] = true;
      if (!plain) lists[l]->v[i].value = fv_op(g, "copy", NULL, v);
    }
  status = fv_graph_check(g);
done:
  fv_free(taken);
  fv_free(invariant);
  return status;
}

static fv_status passes(fv_graph *g) {
  FV_TRY(fv_graph_verify(g));
  FV_TRY(fv_pass_dce(g));
  FV_TRY(fv_pass_simplify(g));
  FV_TRY(fv_pass_cse(g));
  FV_TRY(fv_pass_join(g));
  FV_TRY(fv_pass_fuse(g));
  FV_TRY(own_outputs(g));
  FV_TRY(fv_pass_sort(g));
  FV_TRY(fv_pass_dce(g));
  return fv_graph_verify(g);
}

static fv_status step_init(fv_program *p, const fv_node *node, fv_step *step) {
  FV_TRY(fv_kernel_select(node, &step->kernel));
  step->node = node;
  step->in = fv_arena_alloc(p->arena, (size_t)(node->n_in + node->n_out) * sizeof *step->in);
  FV_REQUIRE(step->in, FV_ERR_MEMORY, "program: out of memory");
  step->out = step->in + node->n_in;
  step->units = step->kernel && step->kernel->units ? step->kernel->units(node) : 1;
  step->cost = node->op->cost(node);
  return FV_OK;
}

/* Steps of the prologue and the body, in order; views are no steps. */
static fv_status make_steps(fv_program *p) {
  const fv_graph *g = p->g;
  p->prologue = fv_arena_alloc(p->arena, (size_t)(g->n_nodes + 1) * sizeof *p->prologue);
  p->body = fv_arena_alloc(p->arena, (size_t)(g->n_nodes + 1) * sizeof *p->body);
  FV_REQUIRE(p->prologue && p->body, FV_ERR_MEMORY, "program: out of memory");
  for (int i = 0; i < g->n_nodes; i++) {
    const fv_node *node = g->nodes[i];
    if (node->op->flags & FV_OP_ALIAS) continue;
    bool early = p->invariant[node->out[0]->id];
    FV_TRY(step_init(p, node, early ? &p->prologue[p->n_prologue++] : &p->body[p->n_body++]));
  }
  return FV_OK;
}

static fv_status fixed_spots(fv_program *p) {
  const fv_graph *g = p->g;
  for (int i = 0; i < g->n_values; i++) {
    const fv_value *v = g->values[i];
    fv_spot *spot = &p->spots[i];
    if (v->kind == FV_VALUE_PARAM)
      *spot = (fv_spot){FV_PLACE_PARAM, g->params->v[v->out_index].offset * (int64_t)sizeof(float)};
    else if (v->kind == FV_VALUE_CONST) *spot = (fv_spot){FV_PLACE_CONST, (int64_t)(intptr_t)v->data};
    else if (v->kind == FV_VALUE_INPUT) *spot = (fv_spot){FV_PLACE_INPUT, v->out_index};
  }
  const fv_named_list *lists[] = {&g->gradients, &g->tracks};
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++) {
      int64_t offset = g->params->v[lists[l]->v[i].target->out_index].offset;
      p->spots[lists[l]->v[i].value->id] = (fv_spot){FV_PLACE_GRADIENT, offset * (int64_t)sizeof(float)};
    }
  return FV_OK;
}

static int64_t take_packed(fv_program *p, int64_t bytes) {
  int64_t at = p->packed_bytes;
  p->packed_bytes += fv_round_up(bytes, FV_ALIGN);
  return at;
}

/* Everything the prologue makes stays: small, and computed once. */
static void place_prologue(fv_program *p) {
  int64_t scratch = 0;
  for (int s = 0; s < p->n_prologue; s++) {
    const fv_step *step = &p->prologue[s];
    for (int k = 0; k < step->node->n_out; k++) {
      const fv_value *v = step->node->out[k];
      p->spots[v->id] =
          (fv_spot){FV_PLACE_PACKED, take_packed(p, fv_shape_count(v->shape) * (int64_t)fv_dtype_size(v->dtype))};
    }
    if (step->kernel && step->kernel->scratch) scratch = FV_MAX(scratch, step->kernel->scratch(step->node));
  }
  int64_t at = scratch > 0 ? take_packed(p, scratch) : 0;
  for (int s = 0; s < p->n_prologue && scratch > 0; s++) p->prologue[s].scratch = (fv_spot){FV_PLACE_PACKED, at};
}

static void bind_steps(const fv_program *p, fv_step *steps, int n) {
  for (int s = 0; s < n; s++) {
    const fv_node *node = steps[s].node;
    for (int k = 0; k < node->n_in; k++) steps[s].in[k] = p->spots[node->in[k]->id];
    for (int k = 0; k < node->n_out; k++) steps[s].out[k] = p->spots[node->out[k]->id];
  }
}

static bool same_work(const fv_node *a, const fv_node *b) {
  bool same = a->op == b->op && a->n_in == b->n_in && (!a->op->attrs_size ||
                                                     !memcmp(a->attrs, b->attrs, a->op->attrs_size));
  for (int k = 0; same && k < a->n_in; k++)
    same = (a->in[k]->kind == FV_VALUE_ABSENT) == (b->in[k]->kind == FV_VALUE_ABSENT) &&
           fv_shape_equal(a->in[k]->shape, b->in[k]->shape);
  return same;
}

/* What another step that does the same has packed already: each step of a loop written out reads the same weights. */
static const fv_pack_step *packed_before(const fv_program *p, const fv_step *step, int k) {
  for (int i = 0; i < p->n_packs; i++) {
    const fv_pack_step *q = &p->packs[i];
    if (q->i == k && q->from.place == step->in[k].place && q->from.at == step->in[k].at &&
        q->step->kernel == step->kernel && same_work(q->step->node, step->node))
      return q;
  }
  return NULL;
}

/* Inputs of the body that are parameters' own and whose kernel wants another layout. */
static fv_status place_packs(fv_program *p) {
  int most = 1;
  for (int s = 0; s < p->n_body; s++) most += p->body[s].node->n_in;
  p->packs = fv_arena_alloc(p->arena, (size_t)most * sizeof *p->packs);
  FV_REQUIRE(p->packs, FV_ERR_MEMORY, "program: out of memory");
  for (int s = 0; s < p->n_body; s++) {
    fv_step *step = &p->body[s];
    for (int k = 0; step->kernel && step->kernel->packed && k < step->node->n_in; k++) {
      const fv_value *v = step->node->in[k];
      int64_t bytes = p->invariant[v->id] && v->kind != FV_VALUE_ABSENT ? step->kernel->packed(step->node, k) : 0;
      if (bytes <= 0) continue;
      const fv_pack_step *pack = packed_before(p, step, k);
      if (!pack) {
        p->packs[p->n_packs] = (fv_pack_step){.step = step, .i = k, .from = step->in[k], .to = take_packed(p, bytes)};
        pack = &p->packs[p->n_packs++];
      }
      step->in[k] = (fv_spot){FV_PLACE_PACKED, pack->to};
      step->packed |= 1u << k;
    }
  }
  return FV_OK;
}

static bool same_spot(fv_spot a, fv_spot b) { return a.place == b.place && a.at == b.at; }

static bool same_early(const fv_step *a, const fv_step *b) {
  bool same = a->kernel == b->kernel && same_work(a->node, b->node);
  for (int k = 0; same && k < a->node->n_in; k++) same = same_spot(a->in[k], b->in[k]);
  for (int k = 0; same && k < a->node->n_out; k++) same = same_spot(a->out[k], b->out[k]);
  return same;
}

bool fv_program_same_prologue(const fv_program *a, const fv_program *b) {
  bool same = a->n_prologue == b->n_prologue && a->n_packs == b->n_packs && a->g->params == b->g->params;
  for (int s = 0; same && s < a->n_prologue; s++) same = same_early(&a->prologue[s], &b->prologue[s]);
  for (int i = 0; same && i < a->n_packs; i++) {
    const fv_pack_step *p = &a->packs[i], *q = &b->packs[i];
    same = p->i == q->i && same_spot(p->from, q->from) && p->to == q->to && p->step->kernel == q->step->kernel &&
           same_work(p->step->node, q->step->node);
  }
  return same;
}

static fv_status prepare_states(fv_program *p) {
  int n = p->n_prologue + p->n_packs;
  FV_TRY(FV_NEW(&p->states, n + 1));
  for (int i = 0; i < n; i++) {
    const fv_step *step = i < p->n_prologue ? &p->prologue[i] : p->packs[i - p->n_prologue].step;
    if (step->kernel && step->kernel->prepare) FV_TRY(step->kernel->prepare(step->node, &p->states[i]));
  }
  return FV_OK;
}

fv_status fv_program_new(fv_graph *g, fv_program **program) {
  *program = NULL;
  FV_TRY(fv_graph_check(g));
  FV_REQUIRE(g->real == FV_F32, FV_ERR_REQUEST, "program: expected a graph of f32, got f64");
  FV_REQUIRE(!g->params || g->params->laid_out, FV_ERR_INTERNAL, "program: parameters have no places yet");
  fv_status status = FV_OK;
  fv_program *p;
  FV_TRY(FV_NEW(&p, 1));
  p->g = g;
  FV_TRY_DONE(fv_arena_new(&p->arena));
  FV_TRY_DONE(passes(g));
  p->spots = fv_arena_alloc(p->arena, (size_t)(g->n_values + 1) * sizeof *p->spots);
  p->invariant = fv_arena_alloc(p->arena, (size_t)(g->n_values + 1) * sizeof *p->invariant);
  FV_REQUIRE_DONE(p->spots && p->invariant, FV_ERR_MEMORY, "program: out of memory");
  fv_graph_mark_invariant(g, p->invariant);
  const fv_named_list *written[] = {&g->gradients, &g->tracks}; /* each shard writes its own, whatever they depend on */
  for (size_t l = 0; l < FV_COUNT(written); l++)
    for (int i = 0; i < written[l]->n; i++) p->invariant[written[l]->v[i].value->id] = false;
  FV_TRY_DONE(make_steps(p));
  FV_TRY_DONE(fixed_spots(p));
  place_prologue(p);
  FV_TRY_DONE(fv_program_plan(p));
  bind_steps(p, p->prologue, p->n_prologue);
  bind_steps(p, p->body, p->n_body);
  FV_TRY_DONE(place_packs(p));
  FV_TRY_DONE(prepare_states(p));
done:
  if (status == FV_OK) *program = p;
  else fv_program_free(p);
  return status;
}

void fv_program_free(fv_program *p) {
  if (!p) return;
  for (int i = 0; p->states && i < p->n_prologue + p->n_packs; i++) {
    const fv_step *step = i < p->n_prologue ? &p->prologue[i] : p->packs[i - p->n_prologue].step;
    if (step->kernel && step->kernel->release && p->states[i]) step->kernel->release(p->states[i]);
  }
  fv_free(p->states);
  fv_arena_free(p->arena);
  fv_free(p);
}

fv_program_info fv_program_get_info(const fv_program *p) {
  fv_program_info info = {.slab_bytes = p->slab_bytes, .packed_bytes = p->packed_bytes, .n_steps = p->n_body};
  for (int s = 0; s < p->n_body; s++) info.flops += p->body[s].cost.flops;
  return info;
}

const fv_graph *fv_program_graph(const fv_program *p) { return p->g; }
