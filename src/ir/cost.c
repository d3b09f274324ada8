/* SPDX-License-Identifier: Apache-2.0 */
/* cost.c: what a node moves and computes at the least: for the planner, the profile and the benchmarks. */
#include "ir/ir.h"

static double bytes_of(const fv_value *v) {
  return v->kind == FV_VALUE_ABSENT ? 0 : (double)fv_shape_count(v->shape) * (double)fv_dtype_size(v->dtype);
}

double fv_cost_io(const fv_node *n) {
  double bytes = 0;
  for (int k = 0; k < n->n_in; k++) bytes += bytes_of(n->in[k]);
  for (int k = 0; k < n->n_out; k++) bytes += bytes_of(n->out[k]);
  return bytes;
}

fv_cost fv_cost_elementwise(const fv_node *n, double per_output) {
  return (fv_cost){.flops = per_output * (double)fv_shape_count(n->out[0]->shape), .bytes = fv_cost_io(n)};
}
