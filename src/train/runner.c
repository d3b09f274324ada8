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
  fv_slab_free(r->packed);
  fv_program_free(r->program);
  fv_graph_free(r->g);
  *r = (fv_runner){0};
}

fv_status fv_runner_refresh(fv_runner *r, const float *params, fv_pool *pool) {
  return fv_program_prologue(r->program, params, r->packed, pool);
}
