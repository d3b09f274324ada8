/* SPDX-License-Identifier: Apache-2.0 */
/* csr.c: graphs in CSR form that a graph of operations is given: what they must be, and when that is looked at. */
#include "ir/ir.h"

fv_status fv_csr_check(const char *what, const int32_t *row_ptr, int64_t rows, const int32_t *col, int64_t edges,
                       int64_t nodes) {
  for (int64_t i = 0; row_ptr && i <= rows; i++) {
    int64_t least = i == rows ? edges : i ? row_ptr[i - 1] : 0, most = i == 0 && rows > 0 ? 0 : edges;
    FV_REQUIRE(row_ptr[i] >= least && row_ptr[i] <= most, FV_ERR_REQUEST,
               "%s: row_ptr[%lld]: expected a number from %lld to %lld, got %d", what, (long long)i, (long long)least,
               (long long)most, row_ptr[i]);
  }
  for (int64_t k = 0; col && k < edges; k++)
    FV_REQUIRE(col[k] >= 0 && col[k] < nodes, FV_ERR_REQUEST,
               "%s: col[%lld]: expected a number from 0 to %lld, got %d", what, (long long)k, (long long)nodes - 1,
               col[k]);
  return FV_OK;
}

static const int32_t *constant(const fv_value *v) { return v && v->kind == FV_VALUE_CONST ? v->data : NULL; }

bool fv_graph_expect_csr(fv_graph *g, const char *what, const fv_value *row_ptr, const fv_value *col, int64_t nodes) {
  if (!row_ptr || !col) return false;
  const int64_t rows = fv_dim(row_ptr, 0) - 1, edges = fv_dim(col, 0);
  fv_status status = fv_csr_check(what, constant(row_ptr), rows, constant(col), edges, nodes);
  fv_csr_rule *rule = fv_arena_alloc(g->arena, sizeof *rule);
  if (status == FV_OK && !rule) status = FV_FAIL(FV_ERR_MEMORY, "graph: out of memory");
  if (status != FV_OK) {
    (void)fv_graph_fail(g, status);
    return false;
  }
  *rule = (fv_csr_rule){.what = what, .row_ptr = row_ptr, .col = col, .nodes = nodes, .next = g->csr};
  g->csr = rule;
  return true;
}
