/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.c: the shards' gradients are averaged in a fixed tree, the norm is limited, and one pass over the flat slab
 * updates all parameters: first the range with weight decay, then the range without. Running statistics follow the mean
 * of what the shards saw. */
#include "train/optimizer.h"

#include "ops/optimizer.h"

#include <math.h>

static fv_tensor slab_of(int64_t n) { return (fv_tensor){.dtype = FV_F32, .shape = FV_SHAPE(n)}; }
static const fv_tensor HYPER = {.dtype = FV_F32, .shape = {1, {FV_HYPERS}}};

static int64_t trained(const fv_params *p) { return p->group_begin[FV_GROUP_BUFFER]; }
static int64_t group_size(const fv_params *p, fv_group g) { return p->group_begin[g + 1] - p->group_begin[g]; }

static int states_of(const fv_train_settings *s) { return s->optimizer == FV_OPTIMIZER_SGD ? 1 : 2; }

static fv_status make_update(const fv_optimizer *o, int64_t size, fv_single **update) {
  static const char *const names[] = {"sgd_step", "adamw_step", "rmsprop_step"};
  fv_tensor x = slab_of(size);
  fv_tensor in[] = {x, x, x, states_of(o->settings) == 2 ? x : HYPER, HYPER};
  const char *attrs = o->settings->optimizer == FV_OPTIMIZER_SGD && o->settings->nesterov ? "nesterov=true" : "";
  return fv_single_new(names[o->settings->optimizer], attrs, 3 + states_of(o->settings), in, update);
}

static fv_status allocate(fv_optimizer *o, fv_ledger *ledger) {
  int64_t bytes = o->params->size * (int64_t)sizeof(float), dense = o->dense * (int64_t)sizeof(float);
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_GRADIENTS, o->shards * dense, (void **)&o->gradients));
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_GRADIENTS, dense, (void **)&o->gradient));
  for (int i = 0; i < states_of(o->settings); i++)
    FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_OPTIMIZER, bytes, (void **)&o->state[i]));
  if (o->settings->ema > 0) FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_OPTIMIZER, bytes, (void **)&o->mean));
  return FV_OK;
}

fv_status fv_optimizer_new(fv_ledger *ledger, const fv_params *params, const fv_train_settings *settings,
                           int64_t shards, fv_optimizer *o) {
  *o = (fv_optimizer){.params = params, .settings = settings, .shards = shards,
                       .dense = params->group_begin[FV_GROUP_ROWS]};
  FV_TRY(allocate(o, ledger));
  fv_tensor all = {.dtype = FV_F32, .shape = FV_SHAPE(shards, o->dense)}, learned = slab_of(trained(params));
  FV_TRY(fv_single_new("tree_add", "", 1, &all, &o->average));
  FV_TRY(fv_single_new("sum_squares", "", 1, &learned, &o->norm));
  FV_TRY(FV_NEW(&o->squares, fv_single_out_count(o->norm, 0) + 1));
  FV_TRY(make_update(o, group_size(params, FV_GROUP_DECAY), &o->update[0]));
  FV_TRY(make_update(o, group_size(params, FV_GROUP_NO_DECAY), &o->update[1]));
  fv_tensor buffers = slab_of(group_size(params, FV_GROUP_BUFFER)), whole = slab_of(params->size);
  FV_TRY(fv_single_new("ema_step", "", 3, (fv_tensor[]){buffers, buffers, HYPER}, &o->follow));
  return o->settings->ema > 0 ? fv_single_new("ema_step", "", 3, (fv_tensor[]){whole, whole, HYPER}, &o->ema) : FV_OK;
}

void fv_optimizer_free(fv_optimizer *o) {
  fv_single *singles[] = {o->average, o->norm, o->update[0], o->update[1], o->follow, o->ema};
  for (size_t i = 0; i < FV_COUNT(singles); i++) fv_single_free(singles[i]);
  for (int i = 0; i < o->n_tables; i++) fv_single_free(o->table[i].update);
  fv_free(o->table);
  fv_slab_free(o->table_slab);
  fv_slab_free(o->gradients);
  fv_slab_free(o->gradient);
  for (int i = 0; i < FV_OPTIMIZER_STATES; i++) fv_slab_free(o->state[i]);
  fv_slab_free(o->mean);
  fv_free(o->squares);
  *o = (fv_optimizer){0};
}

/* ---- tables of rows ------------------------------------------------------------------------------------------------ */
static void lay_out(fv_row_table *t, int64_t shards, char *slab, int64_t *at) {
  const int64_t entries = shards * t->most;
  t->id = fv_slab_take(slab, at, 4 * entries);
  t->next = fv_slab_take(slab, at, 4 * entries);
  t->gradient = fv_slab_take(slab, at, 4 * entries * t->width);
  t->n = fv_slab_take(slab, at, 8 * shards);
  t->head = fv_slab_take(slab, at, 4 * t->rows);
  t->tail = fv_slab_take(slab, at, 4 * t->rows);
  t->touched = fv_slab_take(slab, at, 4 * FV_MIN(entries, t->rows));
  t->square = fv_slab_take(slab, at, 8 * FV_MIN(entries, t->rows));
}

fv_status fv_optimizer_add_tables(fv_optimizer *o, fv_ledger *ledger, const fv_graph *g) {
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
    FV_REQUIRE(o->shards * t->most <= INT32_MAX, FV_ERR_REQUEST, "table '%s': expected at most %d lookups a step, got %lld",
               p->name, INT32_MAX, (long long)(o->shards * t->most));
    t->ids = fv_arena_printf(o->params->arena, "rows.%s.ids", p->name);
    t->dy = fv_arena_printf(o->params->arena, "rows.%s.dy", p->name);
    FV_REQUIRE(t->ids && t->dy, FV_ERR_MEMORY, "optimizer: out of memory");
    FV_TRY(make_update(o, t->width, &t->update));
    lay_out(t, o->shards, NULL, &bytes);
  }
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_GRADIENTS, bytes, &o->table_slab));
  if (!o->table_slab) return FV_OK;
  bytes = 0;
  for (int i = 0; i < o->n_tables; i++) {
    lay_out(&o->table[i], o->shards, o->table_slab, &bytes);
    memset(o->table[i].head, -1, (size_t)o->table[i].rows * sizeof(int32_t));
  }
  return FV_OK;
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

static void update_rows(void *arg, int64_t piece, int worker) {
  (void)worker;
  const row_job *j = arg;
  const fv_row_table *t = j->t;
  const bool two = states_of(j->o->settings) == 2;
  for (int64_t i = piece * ROWS_A_PIECE; i < FV_MIN((piece + 1) * ROWS_A_PIECE, t->n_touched); i++) {
    const int64_t at = t->offset + t->touched[i] * t->width;
    void *out[] = {j->slab + at, j->o->state[0] + at, two ? j->o->state[1] + at : NULL};
    void *in[] = {j->slab + at, t->gradient + t->head[t->touched[i]] * t->width, out[1], two ? out[2] : (void *)j->hyper,
                  j->hyper};
    fv_single_run(t->update, in, out, NULL);
  }
}

static void gather_rows(fv_optimizer *o, fv_pool *pool) {
  for (int i = 0; i < o->n_tables; i++) {
    row_job job = {.o = o, .t = &o->table[i]};
    chain_rows(job.t, o->shards);
    fv_pool_run(pool, pieces_of(job.t), sum_rows, &job);
  }
}

/* ---- a step ---------------------------------------------------------------------------------------------------------- */
/* The numbers of one step, as the operations want them. */
static void fill_hyper(const fv_train_settings *s, int64_t step, double rate, double scale, float h[FV_HYPERS]) {
  double n = (double)step + 1;
  bool adam = s->optimizer == FV_OPTIMIZER_ADAMW;
  h[FV_HYPER_RATE] = (float)rate;
  h[FV_HYPER_SCALE] = (float)scale;
  h[FV_HYPER_EPS] = (float)s->eps;
  h[FV_HYPER_SECOND] = (float)(1 - s->beta2);
  if (adam) {
    h[FV_HYPER_FIRST] = (float)(1 - s->momentum);
    h[FV_HYPER_STEP] = (float)(rate / (1 - pow(s->momentum, n)));
    h[FV_HYPER_ROOT] = (float)sqrt(1 - pow(s->beta2, n));
  } else {
    h[FV_HYPER_FIRST] = 1; /* no dampening */
    h[FV_HYPER_MOMENTUM] = (float)s->momentum;
  }
}

static fv_status clip(const fv_optimizer *o, fv_pool *pool, double *norm, double *scale) {
  *norm = 0;
  *scale = 1;
  if (o->settings->clip <= 0) return FV_OK;
  fv_single_run(o->norm, (void *[]){o->gradient}, (void *[]){o->squares}, pool);
  double sum = 0;
  for (int64_t i = 0; i < fv_single_out_count(o->norm, 0); i++) sum += (double)o->squares[i];
  for (int t = 0; t < o->n_tables; t++)
    for (int64_t i = 0; i < o->table[t].n_touched; i++) sum += o->table[t].square[i];
  *norm = sqrt(sum);
  FV_REQUIRE(isfinite(*norm), FV_ERR_NUMERIC, "expected a finite gradient, got a norm of %g: try a lower lr", *norm);
  if (*norm > o->settings->clip) *scale = o->settings->clip / *norm;
  return FV_OK;
}

fv_status fv_optimizer_step(fv_optimizer *o, float *slab, int64_t step, double rate, fv_pool *pool, double *norm) {
  double scale;
  fv_single_run(o->average, (void *[]){o->gradients}, (void *[]){o->gradient}, pool);
  gather_rows(o, pool);
  FV_TRY(clip(o, pool, norm, &scale));
  for (fv_group g = FV_GROUP_DECAY; g <= FV_GROUP_NO_DECAY; g++) {
    float h[FV_HYPERS] = {0};
    fill_hyper(o->settings, step, rate, scale, h);
    if (g == FV_GROUP_DECAY) h[FV_HYPER_DECAY] = (float)o->settings->weight_decay;
    int64_t at = o->params->group_begin[g];
    bool two = states_of(o->settings) == 2;
    void *out[] = {slab + at, o->state[0] + at, two ? o->state[1] + at : NULL};
    void *in[] = {slab + at, o->gradient + at, out[1], two ? out[2] : (void *)h, h};
    fv_single_run(o->update[g], in, out, pool);
  }
  float hyper[FV_HYPERS] = {0};
  fill_hyper(o->settings, step, rate, scale, hyper);
  for (int i = 0; i < o->n_tables; i++)
    fv_pool_run(pool, pieces_of(&o->table[i]), update_rows, &(row_job){o, &o->table[i], slab, hyper});
  int64_t at = o->params->group_begin[FV_GROUP_BUFFER];
  float follow[FV_HYPERS] = {[FV_HYPER_RATE] = (float)FV_TRACK_MOMENTUM};
  fv_single_run(o->follow, (void *[]){slab + at, o->gradient + at, follow}, (void *[]){slab + at}, pool);
  if (!o->mean) return FV_OK;
  /* early on the mean follows faster, or it would remember the initial weights (as in TensorFlow's num_updates) */
  double slow = 1 - o->settings->ema, fast = 9 / (10 + (double)step);
  float mean[FV_HYPERS] = {[FV_HYPER_RATE] = (float)FV_MAX(slow, fast)};
  fv_single_run(o->ema, (void *[]){o->mean, slab, mean}, (void *[]){o->mean}, pool);
  return FV_OK;
}
