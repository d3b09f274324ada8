/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: running a node of the graph as one oneDNN primitive. What a node needs is asked by making the primitive: the
 * first time compiles it, which the run wants anyway; from then on oneDNN finds it in its cache within microseconds. */
#include "cpu/onednn/rows.h"

bool fv_dnn_row_can(const fv_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]->kind != FV_VALUE_ABSENT && (n->in[i]->dtype != FV_F32 || fv_shape_count(n->in[i]->shape) == 0))
      return false;
  return fv_shape_count(n->out[0]->shape) > 0;
}

static fv_status open_row(const fv_dnn_row *row, const fv_node *n, fv_dnn **dnn) {
  fv_dnn_spec spec = {0};
  row->spec(n, &spec);
  fv_status status = fv_dnn_new(&spec, dnn);
  return status == FV_OK ? FV_OK : fv_error_prefix(status, "%s (%s)", n->op->name, n->name);
}

/* A failure shows again, and is reported, in prepare. */
int64_t fv_dnn_row_scratch(const fv_dnn_row *row, const fv_node *n) {
  fv_dnn *dnn;
  if (open_row(row, n, &dnn) != FV_OK) return 0;
  int64_t bytes = fv_dnn_scratch(dnn);
  fv_dnn_free(dnn);
  return bytes;
}

fv_status fv_dnn_row_prepare(const fv_dnn_row *row, const fv_node *n, void **state) {
  return open_row(row, n, (fv_dnn **)state);
}

void fv_dnn_row_release(void *state) { fv_dnn_free(state); }

int64_t fv_dnn_row_packed(const fv_dnn_row *row, const fv_node *n, int i) {
  fv_dnn *dnn;
  if (row->in[i] != FV_DNN_WEIGHT || open_row(row, n, &dnn) != FV_OK) return 0;
  int64_t bytes = fv_dnn_packed(dnn);
  fv_dnn_free(dnn);
  return bytes;
}

void fv_dnn_row_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)n;
  (void)i;
  fv_dnn_pack(state, src->data, dst);
}

void fv_dnn_row_run(const fv_dnn_row *row, const fv_call *c) {
  void *data[FV_DNN_ROLES] = {0};
  uint32_t weight = 0;
  for (int i = 0; i < c->n_in; i++) {
    data[row->in[i]] = c->in[i].data;
    if (row->in[i] == FV_DNN_WEIGHT) weight = 1u << i;
  }
  for (int i = 0; i < c->n_out; i++) data[row->out[i]] = c->out[i].data;
  fv_dnn_run(c->state, data, c->packed & weight, c->scratch);
}
