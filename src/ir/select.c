/* SPDX-License-Identifier: Apache-2.0 */
/* select.c: which kernel runs a node. Decided once, when a program is compiled. FOVEA_KERNEL=op:name[,op:name...]
 * forces ("ref" is the operation's reference); FOVEA_ISA lowers the level. */
#include "ir/program.h"

#include <stdlib.h>

static bool runs(const fv_kernel *k, const fv_node *node) {
  if (!fv_cpu_has(k->isa) || k->isa > fv_cpu_isa()) return false;
  if (k->op ? strcmp(k->op, node->op->name) != 0 : !k->can) return false;
  for (int i = 0; i < node->n_in; i++)
    if (node->in[i]->dtype == FV_F64 && node->in[i]->kind != FV_VALUE_ABSENT) return false;
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i]->dtype == FV_F64) return false;
  return !k->can || k->can(node);
}

/* The name FOVEA_KERNEL gives for this operation, copied into `name`; false when it gives none. */
static bool forced(const char *op, char *name, size_t size) {
  const char *list = getenv("FOVEA_KERNEL");
  size_t n = strlen(op);
  for (const char *p = list; p && *p; p = strchr(p, ','), p = p ? p + 1 : NULL)
    if (!strncmp(p, op, n) && p[n] == ':') {
      snprintf(name, size, "%.*s", (int)strcspn(p + n + 1, ","), p + n + 1);
      return true;
    }
  return false;
}

fv_status fv_kernel_select(const fv_node *node, const fv_kernel **kernel) {
  char name[64];
  bool force = forced(node->op->name, name, sizeof name);
  *kernel = NULL;
  if (force && !strcmp(name, "ref")) return FV_OK;
  for (size_t t = 0; fv_kernel_tables[t]; t++)
    for (const fv_kernel *k = fv_kernel_tables[t]; k->run; k++) {
      if ((force && strcmp(k->name, name)) || !runs(k, node)) continue;
      const fv_kernel *best = *kernel;
      if (!best || k->priority > best->priority || (k->priority == best->priority && k->isa > best->isa)) *kernel = k;
    }
  FV_REQUIRE(!force || *kernel, FV_ERR_REQUEST, "FOVEA_KERNEL (%s): expected a kernel that can run %s, got '%s'",
             node->op->name, node->name, name);
  return FV_OK;
}
