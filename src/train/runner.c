/* SPDX-License-Identifier: Apache-2.0 */
/* runner.c: a compiled graph, the weights it packed, and one exec a worker. */
#include "train/train.h"

fv_status fv_runner_new(fv_ledger *ledger, fv_graph *g, const float *params, int workers, int64_t n, fv_runner *r) {
  fv_status status = FV_OK;
  *r = (fv_runner){.g = g, .n = n};
  FV_TRY_DONE(fv_program_new(g, &r->program));
  FV_TRY_DONE(fv_slab_new(ledger, FV_ACCOUNT_PACKED, fv_program_get_info(r->program).packed_bytes, &r->packed));
  FV_TRY_DONE(FV_NEW(&r->exec, workers));
  for (; r->n_exec < workers; r->n_exec++)
    FV_TRY_DONE(fv_exec_new(r->program, ledger, params, r->packed, &r->exec[r->n_exec]));
done:
  if (status != FV_OK) fv_runner_free(r);
  return status;
}

void fv_runner_free(fv_runner *r) {
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
