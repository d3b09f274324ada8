/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer_rows.c: tables of which a step trains the rows that it looked up and no others. What it costs then depends
 * on the batch, not on the vocabulary. Rows that were not looked up keep weights and moments as they are (as sparse
 * gradients do in PyTorch's SparseAdam). */
#include "train/optimizer.h"

#include "ops/optimizer.h"

static void lay_out(fv_row_table *t, int64_t shards, bool decays, char *slab, int64_t *at) {
  const int64_t entries = shards * t->most;
  t->id = fv_slab_take(slab, at, 4 * entries);
  t->next = fv_slab_take(slab, at, 4 * entries);
  t->gradient = fv_slab_take(slab, at, 4 * entries * t->width);
  t->n = fv_slab_take(slab, at, 8 * shards);
  t->head = fv_slab_take(slab, at, 4 * t->rows);
  t->tail = fv_slab_take(slab, at, 4 * t->rows);
  t->touched = fv_slab_take(slab, at, 4 * FV_MIN(entries, t->rows));
  t->square = fv_slab_take(slab, at, 8 * FV_MIN(entries, t->rows));
  if (decays) t->decay = fv_slab_take(slab, at, 4 * t->rows);
}

fv_status fv_optimizer_add_tables(fv_optimizer *o, fv_ledger *ledger, const fv_graph *g) {
  const bool decays = o->settings->rows_decay > 0;
  int64_t bytes = 0;
  int n = 0;
  for (const fv_row_gradient *r = g->rows; r; r = r->next) n++;
  FV_TRY(FV_NEW(&o->table, FV_MAX(n, 1)));
  o->n_tables = n;
  fv_row_table *t = o->table;
  for (const fv_row_gradient *r = g->rows; r; r = r->next, t++) {
    const fv_param_info *p = &o->params->v[r->param->out_index];
    *t = (fv_row_table){.offset = p->offset, .rows = p->shape.dim[0], .width = p->shape.dim[1], .most = r->entries,
                        .padding = r->padding};
    FV_REQUIRE(o->shards * t->most <= INT32_MAX, FV_ERR_REQUEST,
               "table '%s': expected at most %d lookups a step, got %lld", p->name, INT32_MAX,
               (long long)(o->shards * t->most));
    t->ids = fv_arena_printf(o->params->arena, "rows.%s.ids", p->name);
    t->dy = fv_arena_printf(o->params->arena, "rows.%s.dy", p->name);
    FV_REQUIRE(t->ids && t->dy, FV_ERR_MEMORY, "optimizer: out of memory");
    FV_TRY(fv_optimizer_new_update(o, t->width, &t->update));
    lay_out(t, o->shards, decays, NULL, &bytes);
  }
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_GRADIENTS, bytes, &o->table_slab));
  if (!o->table_slab) return FV_OK;
  bytes = 0;
  for (int i = 0; i < o->n_tables; i++) {
    lay_out(&o->table[i], o->shards, decays, o->table_slab, &bytes);
    memset(o->table[i].head, -1, (size_t)o->table[i].rows * sizeof(int32_t));
  }
  return FV_OK;
}

void fv_optimizer_free_tables(fv_optimizer *o) {
  for (int i = 0; i < o->n_tables; i++) fv_single_free(o->table[i].update);
  fv_free(o->table);
  fv_slab_free(o->table_slab);
}

void fv_optimizer_take_rows(fv_optimizer *o, const fv_exec *exec, int64_t shard) {
  for (int i = 0; i < o->n_tables; i++) {
    fv_row_table *t = &o->table[i];
    const fv_tensor *ids = fv_exec_output(exec, t->ids), *dy = fv_exec_output(exec, t->dy);
    t->n[shard] = ids ? fv_shape_count(ids->shape) : 0;
    if (!t->n[shard]) continue;
    memcpy(t->id + shard * t->most, ids->data, (size_t)t->n[shard] * sizeof *t->id);
    memcpy(t->gradient + shard * t->most * t->width, dy->data, (size_t)(t->n[shard] * t->width) * sizeof(float));
  }
}

/* Entries of a row, chained in the order of shards and positions. */
static void chain_rows(fv_row_table *t, int64_t shards) {
  for (int64_t i = 0; i < t->n_touched; i++) t->head[t->touched[i]] = -1;
  t->n_touched = 0;
  for (int64_t s = 0; s < shards; s++)
    for (int64_t k = 0; k < t->n[s]; k++) {
      const int32_t e = (int32_t)(s * t->most + k), row = t->id[e];
      if (row < 0 || row >= t->rows || row == t->padding) continue;
      t->next[e] = -1;
      if (t->head[row] < 0) {
        t->touched[t->n_touched++] = row;
        t->head[row] = e;
      } else t->next[t->tail[row]] = e;
      t->tail[row] = e;
    }
}

enum { ROWS_A_PIECE = 64 };
typedef struct row_job {
  const fv_optimizer *o;
  fv_row_table *t;
  float *slab, *hyper;
} row_job;

static int64_t pieces_of(const fv_row_table *t) { return fv_ceil_div(t->n_touched, ROWS_A_PIECE); }

/* The mean over the shards, into the row's first entry. */
static void sum_rows(void *arg, int64_t piece, int worker) {
  (void)worker;
  const row_job *j = arg;
  fv_row_table *t = j->t;
  const float share = 1 / (float)j->o->shards;
  for (int64_t i = piece * ROWS_A_PIECE; i < FV_MIN((piece + 1) * ROWS_A_PIECE, t->n_touched); i++) {
    float *sum = t->gradient + t->head[t->touched[i]] * t->width;
    for (int32_t e = t->next[t->head[t->touched[i]]]; e >= 0; e = t->next[e])
      for (int64_t k = 0; k < t->width; k++) sum[k] += t->gradient[e * t->width + k];
    double square = 0;
    for (int64_t k = 0; k < t->width; k++) {
      sum[k] *= share;
      square += (double)sum[k] * (double)sum[k];
    }
    t->square[i] = square;
  }
}

/* Before the update, as AdamW does it; in the course of the learning rate. */
static void shrink_row(const row_job *j, int32_t row, float *w) {
  if (!j->t->decay) return;
  const float rest = 1 - j->t->decay[row] * j->hyper[FV_HYPER_RATE] / (float)j->o->settings->lr;
  for (int64_t k = 0; k < j->t->width; k++) w[k] *= rest;
}

static void update_rows(void *arg, int64_t piece, int worker) {
  (void)worker;
  const row_job *j = arg;
  const fv_row_table *t = j->t;
  for (int64_t i = piece * ROWS_A_PIECE; i < FV_MIN((piece + 1) * ROWS_A_PIECE, t->n_touched); i++) {
    const int64_t at = t->offset + t->touched[i] * t->width;
    shrink_row(j, t->touched[i], j->slab + at);
    fv_optimizer_update(j->o, t->update, j->slab, at, t->gradient + t->head[t->touched[i]] * t->width, j->hyper, NULL);
  }
}

void fv_optimizer_gather_rows(fv_optimizer *o, fv_pool *pool) {
  for (int i = 0; i < o->n_tables; i++) {
    row_job job = {.o = o, .t = &o->table[i]};
    chain_rows(job.t, o->shards);
    fv_pool_run(pool, pieces_of(job.t), sum_rows, &job);
  }
}

void fv_optimizer_update_rows(fv_optimizer *o, float *slab, float *hyper, fv_pool *pool) {
  for (int i = 0; i < o->n_tables; i++)
    fv_pool_run(pool, pieces_of(&o->table[i]), update_rows, &(row_job){o, &o->table[i], slab, hyper});
}
