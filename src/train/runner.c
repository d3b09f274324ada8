/* SPDX-License-Identifier: Apache-2.0 */
/* runner.c: a compiled graph, the weights it packed, and one exec a worker. */
#include "cpu/ceiling.h"
#include "train/train.h"

fv_status fv_runner_new(fv_ledger *ledger, fv_graph *g, const float *params, int workers, int64_t n, fv_runner *r) {
  fv_status status = FV_OK;
  *r = (fv_runner){.g = g, .n = n};
  FV_TRY_DONE(fv_program_new(g, &r->program));
  FV_TRY_DONE(fv_slab_new(ledger, FV_ACCOUNT_PACKED, fv_program_get_info(r->program).packed_bytes, &r->packed));
  FV_TRY_DONE(FV_NEW(&r->exec, workers));
  for (; r->n_exec < workers; r->n_exec++)
    FV_TRY_DONE(fv_exec_new(r->program, ledger, params, r->packed, &r->exec[r->n_exec]));
  for (int i = 0; i < workers && fv_verbose(); i++) fv_exec_profile(r->exec[i], true);
done:
  if (status != FV_OK) fv_runner_free(r);
  return status;
}

/* FOVEA_VERBOSE=1: every node with its kernel, time and speed, as the first worker saw it. */
static void log_profile(const fv_runner *r) {
  enum { MOST = 4096 };
  fv_profile_row *rows;
  if (FV_NEW(&rows, MOST) != FV_OK) return;
  int n = FV_MIN(fv_exec_profile_rows(r->exec[0], rows, MOST), MOST);
  double peak = fv_ceiling_gflops(fv_cpu_isa());
  for (int i = 0; i < n; i++) {
    const fv_profile_row *row = &rows[i];
    double seconds = row->calls ? row->seconds / (double)row->calls : 0,
           gflops = seconds > 0 ? row->flops / seconds / 1e9 : 0;
    fv_log("%-44s %-20s %-8s %-6s %9.4f ms %7.1f GF/s %5.1f %% %6.1f GB/s", row->node, row->op, row->kernel, row->isa,
           seconds * 1e3, gflops, 100 * gflops / FV_MAX(peak, 1), seconds > 0 ? row->bytes / seconds / 1e9 : 0);
  }
  fv_free(rows);
}

void fv_runner_free(fv_runner *r) {
  if (r->n_exec && fv_verbose()) log_profile(r);
  for (int i = 0; i < r->n_exec; i++) fv_exec_free(r->exec[i]);
  fv_free(r->exec);
  if (!r->lent) fv_slab_free(r->packed);
  fv_program_free(r->program);
  fv_graph_free(r->g);
  *r = (fv_runner){0};
}

fv_status fv_runner_split(fv_runner *r, fv_ledger *ledger, fv_pool *pool) {
  if (r->pool || fv_pool_threads(pool) == 1) return FV_OK;
  FV_TRY(fv_exec_split_over(r->exec[0], ledger, fv_pool_threads(pool)));
  r->pool = pool;
  return FV_OK;
}

void fv_runner_run(fv_runner *r, int worker) {
  if (r->pool) fv_exec_run_split(r->exec[worker], r->pool);
  else fv_exec_run(r->exec[worker]);
}

fv_status fv_runner_refresh(fv_runner *r, const float *params, fv_pool *pool) {
  return fv_program_prologue(r->program, params, r->packed, pool);
}

/* ---- several lengths --------------------------------------------------------------------------------------------- */
static fv_status compile(fv_runners *r, int n_graphs, fv_graph *const *g, int64_t n) {
  for (r->n = 0; r->n < n_graphs; r->n++) r->of[r->n] = (fv_runner){.g = g[r->n], .n = n, .lent = true};
  for (int i = 0; i < n_graphs; i++) FV_TRY(fv_program_new(g[i], &r->of[i].program));
  return FV_OK;
}

static fv_status share_memory(fv_runners *r, fv_ledger *ledger, int workers) {
  int64_t packed = 0, slab = 0;
  for (int i = 0; i < r->n; i++) {
    fv_program_info info = fv_program_get_info(r->of[i].program);
    packed = FV_MAX(packed, info.packed_bytes);
    slab = FV_MAX(slab, info.slab_bytes);
  }
  FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_PACKED, packed, &r->packed));
  FV_TRY(FV_NEW(&r->slab, workers));
  for (; r->n_slabs < workers; r->n_slabs++)
    FV_TRY(fv_slab_new(ledger, FV_ACCOUNT_ACTIVATIONS, slab, &r->slab[r->n_slabs]));
  return FV_OK;
}

static fv_status make_execs(fv_runners *r, fv_runner *one, const float *params, int workers) {
  one->packed = r->packed;
  FV_TRY(FV_NEW(&one->exec, workers));
  for (; one->n_exec < workers; one->n_exec++)
    FV_TRY(fv_exec_new_in(one->program, params, r->packed, r->slab[one->n_exec], &one->exec[one->n_exec]));
  for (int i = 0; i < workers && fv_verbose(); i++) fv_exec_profile(one->exec[i], true);
  return FV_OK;
}

fv_status fv_runners_new(fv_ledger *ledger, int n_graphs, fv_graph *const *g, const float *params, int workers,
                         fv_pool *pool, int64_t n, fv_runners *r) {
  fv_status status = FV_OK;
  *r = (fv_runners){.fresh = -1};
  FV_TRY_DONE(compile(r, n_graphs, g, n));
  FV_TRY_DONE(share_memory(r, ledger, workers));
  for (int i = 0; i < n_graphs; i++) {
    FV_TRY_DONE(make_execs(r, &r->of[i], params, workers));
    if (workers == 1 && pool) FV_TRY_DONE(fv_runner_split(&r->of[i], ledger, pool));
  }
done:
  if (status != FV_OK) fv_runners_free(r);
  return status;
}

void fv_runners_free(fv_runners *r) {
  for (int i = 0; i < r->n; i++) fv_runner_free(&r->of[i]);
  for (int i = 0; i < r->n_slabs; i++) fv_slab_free(r->slab[i]);
  fv_free(r->slab);
  fv_slab_free(r->packed);
  *r = (fv_runners){0};
}

fv_status fv_runners_refresh(fv_runners *r, int bucket, const float *params, fv_pool *pool) {
  const int before = r->fresh;
  r->fresh = bucket;
  if (before == bucket) return FV_OK;
  if (before >= 0 && fv_program_same_prologue(r->of[before].program, r->of[bucket].program)) return FV_OK;
  return fv_runner_refresh(&r->of[bucket], params, pool);
}
