/* SPDX-License-Identifier: Apache-2.0 */
/* occurrences.c: how often each row of a table is looked up in an epoch, for regularisation that a step of any table
 * can afford (Zhou et al. 2018, section 5.1): only rows that a batch looks up shrink, and each by a share over the
 * number of its occurrences. What is looked up the graph knows, so it is asked, without all that follows from it. */
#include "train/trainer.h"

static bool is_ids(const char *name) { return !strncmp(name, "rows.", 5) && fv_ends_with(name, ".ids"); }

static fv_status graph_of_ids(fv_trainer *t, int bucket, fv_graph **graph) {
  fv_graph *g;
  t->m->task.length = t->m->length[bucket];
  FV_TRY(fv_model_graph(t->m, FV_MODE_TRAIN, t->m->train.batch / t->shards, false, &g));
  fv_status status = fv_model_differentiate(g);
  int kept = 0;
  for (int i = 0; i < g->outputs.n; i++)
    if (is_ids(g->outputs.v[i].name)) g->outputs.v[kept++] = g->outputs.v[i];
  g->outputs.n = kept;
  g->gradients.n = g->tracks.n = 0;
  if (status == FV_OK) *graph = g;
  else fv_graph_free(g);
  return status;
}

static fv_status make_runners(fv_trainer *t, fv_runners *r) {
  fv_graph *g[FV_MAX_LENGTHS] = {NULL};
  const int lengths = FV_MAX(t->m->n_lengths, 1);
  fv_status status = FV_OK;
  for (int i = 0; i < lengths; i++) FV_TRY_DONE(graph_of_ids(t, i, &g[i]));
  return fv_runners_new(NULL, lengths, g, t->m->slab, 1, t->m->pool, t->m->train.batch / t->shards, r);
done:
  for (int i = 0; i < lengths; i++) fv_graph_free(g[i]);
  return status;
}

static void count_ids(const fv_row_table *t, const fv_tensor *ids, int64_t samples, int64_t all) {
  const int32_t *id = ids->data;
  const int64_t n = fv_shape_count(ids->shape) / all * samples;
  for (int64_t i = 0; i < n; i++)
    if (id[i] >= 0 && id[i] < t->rows) t->decay[id[i]]++;
}

static void count_shard(fv_trainer *t, fv_runner *r, const fv_batch *batch, int64_t shard) {
  int32_t rng[4] = {(int32_t)t->m->train.seed, 0, 0, (int32_t)shard};
  const int64_t samples = FV_MIN(FV_MAX(batch->n - shard * r->n, 0), r->n);
  const int input = fv_exec_input(r->exec[0], "rng");
  if (input >= 0) fv_exec_bind_input(r->exec[0], input, rng);
  fv_runner_bind(r, 0, t->data, batch, shard);
  fv_exec_run(r->exec[0]);
  for (int i = 0; i < t->optimizer.n_tables; i++) {
    const fv_row_table *table = &t->optimizer.table[i];
    count_ids(table, fv_exec_output(r->exec[0], table->ids), samples, r->n);
  }
}

fv_status fv_trainer_count_rows(fv_trainer *t) {
  fv_loader_options o = fv_model_loader(t->m, t->data, FV_SPLIT_TRAIN);
  fv_loader *loader = NULL;
  fv_runners r = {0};
  fv_status status = FV_OK;
  if (t->m->train.rows_decay <= 0 || t->m->ledger.dry) return FV_OK;
  o.to = t->n_train;
  o.ahead = false;
  FV_TRY_DONE(make_runners(t, &r));
  FV_TRY_DONE(fv_loader_new(&o, NULL, &loader));
  for (int64_t b = 0; b < fv_loader_batches(loader); b++) {
    const fv_batch *batch = fv_loader_next(loader);
    FV_TRY_DONE(fv_runners_refresh(&r, batch->bucket, t->m->slab, t->m->pool));
    for (int64_t s = 0; s < t->shards; s++) count_shard(t, &r.of[batch->bucket], batch, s);
  }
  for (int i = 0; i < t->optimizer.n_tables; i++) {
    fv_row_table *table = &t->optimizer.table[i];
    for (int64_t k = 0; k < table->rows; k++)
      table->decay[k] = (float)FV_MIN(t->m->train.rows_decay / (double)FV_MAX(table->decay[k], 1), 1);
  }
done:
  fv_loader_free(loader);
  fv_runners_free(&r);
  return status;
}
