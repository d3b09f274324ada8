/* SPDX-License-Identifier: Apache-2.0 */
/* interpret.c: a graph run by the references alone, node after node, every value in memory of its own. Slow and plain
 * on purpose: what the planner and the kernels do is compared with this. */
#include "check.h"

static fv_tensor tensor_of(const fv_value *v) {
  return (fv_tensor){.dtype = v->dtype, .shape = v->shape};
}

fv_status ck_values_new(const fv_graph *g, ck_values *v) {
  v->n = g->n_values;
  v->t = NULL;
  return FV_NEW(&v->t, FV_MAX(v->n, 1));
}

void ck_values_free(ck_values *v) {
  for (int i = 0; v->t != NULL && i < v->n; i++) fv_free(v->t[i].data);
  fv_free(v->t);
  *v = (ck_values){0};
}

fv_status ck_values_tensor(ck_values *v, const fv_value *value, fv_tensor **t) {
  FV_ASSERT(value->id < v->n);
  *t = &v->t[value->id];
  if ((*t)->data != NULL) return FV_OK;
  **t = tensor_of(value);
  if (value->kind == FV_VALUE_ABSENT) return FV_OK;
  size_t bytes = (size_t)fv_shape_count(value->shape) * fv_dtype_size(value->dtype);
  (*t)->data = fv_alloc(FV_MAX(bytes, (size_t)1));
  FV_REQUIRE((*t)->data != NULL, FV_ERR_MEMORY, "interpreter: out of memory");
  if (value->kind == FV_VALUE_CONST) memcpy((*t)->data, value->data, bytes);
  return FV_OK;
}

void ck_node_run_ref(const fv_node *node, const fv_tensor *in, const fv_tensor *out) {
  fv_call call = {
      .node = node, .attrs = node->attrs, .n_in = node->n_in, .n_out = node->n_out, .in = in, .out = out, .end = 1};
  node->op->ref(&call);
}

static fv_status run_node(const fv_node *node, ck_values *v) {
  fv_tensor in[CK_MAX_IN], out[FV_MAX_OUTS], *t;
  FV_REQUIRE(node->n_in <= CK_MAX_IN, FV_ERR_REQUEST, "interpreter (%s): expected at most %d inputs, got %d",
             node->name, CK_MAX_IN, node->n_in);
  FV_REQUIRE(node->op->ref != NULL, FV_ERR_REQUEST,
             "interpreter (%s): expected an operation with a reference, got none", node->name);
  for (int i = 0; i < node->n_in; i++) {
    FV_TRY(ck_values_tensor(v, node->in[i], &t));
    in[i] = *t;
  }
  for (int i = 0; i < node->n_out; i++) {
    FV_TRY(ck_values_tensor(v, node->out[i], &t));
    out[i] = *t;
  }
  ck_node_run_ref(node, in, out);
  return FV_OK;
}

fv_status ck_interpret(const fv_graph *g, ck_values *v) {
  for (int i = 0; i < g->n_nodes; i++) FV_TRY(run_node(g->nodes[i], v));
  return FV_OK;
}
