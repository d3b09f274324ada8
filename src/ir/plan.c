/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: where every value lives. Lifetimes are intervals of steps; a value computed in place takes over its operand's
 * memory; the rest is packed largest first into the lowest gap that is free for its whole life (Pisarchyk & Lee 2020,
 * greedy by size). */
#include "ir/program.h"

#include <stdlib.h>

typedef struct block {
  int64_t size, at;
  int first, last; /* steps, inclusive */
} block;

typedef struct planner {
  fv_program *p;
  block *blocks;
  int n;
  int *block_of; /* value id -> block, -1 when it has none */
  int *last_use; /* value id of a root -> step; INT32_MAX for outputs */
} planner;

const fv_value *fv_value_root(const fv_value *v) {
  while (v->producer && (v->producer->op->flags & FV_OP_ALIAS)) v = v->producer->in[0];
  return v;
}

static int64_t value_bytes(const fv_value *v) {
  return fv_round_up(fv_shape_count(v->shape) * (int64_t)fv_dtype_size(v->dtype), FV_ALIGN);
}

static void find_last_uses(planner *pl) {
  const fv_graph *g = pl->p->g;
  for (int i = 0; i < g->n_values; i++) pl->last_use[i] = -1;
  for (int s = 0; s < pl->p->n_body; s++)
    for (int k = 0; k < pl->p->body[s].node->n_in; k++)
      pl->last_use[fv_value_root(pl->p->body[s].node->in[k])->id] = s;
  for (int i = 0; i < g->outputs.n; i++) pl->last_use[fv_value_root(g->outputs.v[i].value)->id] = INT32_MAX;
}

static int block_new(planner *pl, int64_t size, int first, int last) {
  pl->blocks[pl->n] = (block){.size = size, .first = first, .last = FV_MAX(first, last)};
  return pl->n++;
}

/* The operand whose memory output 0 of step s may take over; -1 when there is none. */
static int inplace_block(const planner *pl, const fv_step *step, int s) {
  const fv_node *node = step->node;
  if (!(node->op->flags & FV_OP_INPLACE)) return -1;
  bool any = node->op->flags & FV_OP_ELEMENTWISE || !strcmp(node->op->name, "chain");
  for (int k = 0; k < (any ? node->n_in : FV_MIN(node->n_in, 1)); k++) {
    const fv_value *root = fv_value_root(node->in[k]);
    int b = pl->block_of[root->id];
    if (b < 0 || pl->last_use[root->id] != s || pl->blocks[b].last != s) continue;
    if (fv_shape_count(node->in[k]->shape) == fv_shape_count(node->out[0]->shape) &&
        fv_dtype_size(node->in[k]->dtype) == fv_dtype_size(node->out[0]->dtype) && root->dtype == node->in[k]->dtype)
      return b;
  }
  return -1;
}

static void place_outputs(planner *pl, int s) {
  fv_step *step = &pl->p->body[s];
  for (int k = 0; k < step->node->n_out; k++) {
    const fv_value *v = step->node->out[k];
    if (pl->p->spots[v->id].place != FV_PLACE_NONE) continue; /* bound to a gradient */
    if (k > 0 && (step->node->op->flags & FV_OP_SPARE) && pl->last_use[v->id] < 0) continue;
    int last = pl->last_use[v->id], b = k == 0 ? inplace_block(pl, step, s) : -1;
    if (b >= 0) pl->blocks[b].last = FV_MAX(last, s);
    else b = block_new(pl, value_bytes(v), s, last);
    pl->block_of[v->id] = b;
  }
}

static int by_size(const void *a, const void *b) {
  const block *x = *(block *const *)a, *y = *(block *const *)b;
  if (x->size != y->size) return x->size < y->size ? 1 : -1;
  return x->first != y->first ? (x->first > y->first) - (x->first < y->first) : (x > y) - (x < y);
}

/* The lowest offset at which b meets none of the blocks placed before that live when it does. `placed` is kept in order
 * of offset. */
static int64_t lowest_gap(const block *b, block *const *placed, int n) {
  int64_t at = 0;
  for (int i = 0; i < n; i++) {
    const block *o = placed[i];
    if (o->last < b->first || b->last < o->first) continue;
    if (at + b->size <= o->at) break;
    at = FV_MAX(at, o->at + o->size);
  }
  return at;
}

static int64_t pack_blocks(block **order, block **placed, int n) {
  int64_t total = 0;
  qsort(order, (size_t)n, sizeof *order, by_size);
  for (int i = 0; i < n; i++) {
    block *b = order[i];
    b->at = lowest_gap(b, placed, i);
    total = FV_MAX(total, b->at + b->size);
    int k = i;
    for (; k > 0 && placed[k - 1]->at > b->at; k--) placed[k] = placed[k - 1];
    placed[k] = b;
  }
  return total;
}

static void write_spots(planner *pl, const int *scratch_of) {
  fv_program *p = pl->p;
  for (int i = 0; i < p->g->n_values; i++)
    if (pl->block_of[i] >= 0) p->spots[i] = (fv_spot){FV_PLACE_SLAB, pl->blocks[pl->block_of[i]].at};
  for (int i = 0; i < p->g->n_values; i++) p->spots[i] = p->spots[fv_value_root(p->g->values[i])->id];
  for (int s = 0; s < p->n_body; s++)
    if (scratch_of[s] >= 0) p->body[s].scratch = (fv_spot){FV_PLACE_SLAB, pl->blocks[scratch_of[s]].at};
}

fv_status fv_program_plan(fv_program *p) {
  const fv_graph *g = p->g;
  planner pl = {.p = p};
  int *scratch_of = NULL;
  block **order = NULL;
  fv_status status = FV_OK;
  int most = p->n_body * (FV_MAX_OUTS + 1) + 1;
  FV_TRY_DONE(FV_NEW(&pl.blocks, most));
  FV_TRY_DONE(FV_NEW(&pl.block_of, g->n_values + 1));
  FV_TRY_DONE(FV_NEW(&pl.last_use, g->n_values + 1));
  FV_TRY_DONE(FV_NEW(&scratch_of, p->n_body + 1));
  FV_TRY_DONE(FV_NEW(&order, 2 * most));
  for (int i = 0; i < g->n_values; i++) pl.block_of[i] = -1;
  find_last_uses(&pl);
  for (int s = 0; s < p->n_body; s++) {
    const fv_kernel *k = p->body[s].kernel;
    place_outputs(&pl, s);
    int64_t scratch = k && k->scratch ? k->scratch(p->body[s].node) : 0;
    scratch_of[s] = scratch > 0 ? block_new(&pl, fv_round_up(scratch, FV_ALIGN), s, s) : -1;
  }
  for (int i = 0; i < pl.n; i++) order[i] = &pl.blocks[i];
  p->slab_bytes = pack_blocks(order, order + most, pl.n);
  write_spots(&pl, scratch_of);
done:
  fv_free(pl.blocks);
  fv_free(pl.block_of);
  fv_free(pl.last_use);
  fv_free(scratch_of);
  fv_free(order);
  return status;
}
