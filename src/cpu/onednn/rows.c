/* SPDX-License-Identifier: Apache-2.0 */
/* rows.c: running a node of the graph through oneDNN. What a node needs is asked by making the primitive: the first
 * time compiles it, which the run wants anyway; from then on oneDNN finds it in its cache within microseconds. */
#include "cpu/onednn/rows.h"

bool fv_dnn_row_can(const fv_node *n) {
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]->kind != FV_VALUE_ABSENT && (n->in[i]->dtype != FV_F32 || fv_shape_count(n->in[i]->shape) == 0))
      return false;
  return fv_shape_count(n->out[0]->shape) > 0;
}

/* ---- parts ------------------------------------------------------------------------------------------------------- */
enum { PARTS = 8 };
static const double WORK = 1 << 24; /* flops of a part, at the least: a hundred times what a call of oneDNN costs */

int64_t fv_dnn_row_units(const fv_dnn_row *row, const fv_node *n) {
  if (!row->images || !fv_dnn_row_can(n)) return 1;
  const int64_t images = n->in[0]->shape.dim[0];
  int64_t parts = FV_MIN(images, (int64_t)FV_MIN(n->op->cost(n).flops / WORK, PARTS));
  while (parts > 1 && images % parts) parts--;
  return FV_MAX(parts, 1);
}

/* A primitive for one of so many parts. */
static fv_status open_part(const fv_dnn_row *row, const fv_node *n, int64_t parts, fv_dnn **dnn) {
  static const fv_dnn_role shared[] = {FV_DNN_SRC, FV_DNN_DST, FV_DNN_RESIDUAL};
  fv_dnn_spec spec = {0};
  row->spec(n, &spec);
  for (size_t i = 0; i < FV_COUNT(shared) && parts > 1; i++) spec.role[shared[i]].dim[0] /= parts;
  fv_status status = fv_dnn_new(&spec, dnn);
  return status == FV_OK ? FV_OK : fv_error_prefix(status, "%s (%s)", n->op->name, n->name);
}

/* What `of` says of it. A failure shows again, and is reported, in prepare. */
static int64_t ask(const fv_dnn_row *row, const fv_node *n, int64_t (*of)(const fv_dnn *)) {
  fv_dnn *dnn;
  if (open_part(row, n, fv_dnn_row_units(row, n), &dnn) != FV_OK) return 0;
  const int64_t bytes = of(dnn);
  fv_dnn_free(dnn);
  return bytes;
}

int64_t fv_dnn_row_scratch(const fv_dnn_row *row, const fv_node *n) { return ask(row, n, fv_dnn_scratch); }

int64_t fv_dnn_row_packed(const fv_dnn_row *row, const fv_node *n, int i) {
  return row->in[i] == FV_DNN_WEIGHT ? ask(row, n, fv_dnn_packed) : 0;
}

/* ---- the state of a node: a primitive each part, as one is for one thread at a time ----------------------------- */
typedef struct parts {
  fv_dnn *of[PARTS];
  int64_t n;
} parts;

void fv_dnn_row_release(void *state) {
  parts *p = state;
  for (int64_t i = 0; p && i < p->n; i++) fv_dnn_free(p->of[i]);
  fv_free(p);
}

fv_status fv_dnn_row_prepare(const fv_dnn_row *row, const fv_node *n, void **state) {
  parts *p;
  fv_status status = FV_OK;
  FV_TRY(FV_NEW(&p, 1));
  p->n = fv_dnn_row_units(row, n);
  for (int64_t i = 0; i < p->n; i++) FV_TRY_DONE(open_part(row, n, p->n, &p->of[i]));
done:
  if (status != FV_OK) fv_dnn_row_release(p);
  else *state = p;
  return status;
}

void fv_dnn_row_pack(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)n;
  (void)i;
  fv_dnn_pack(((parts *)state)->of[0], src->data, dst);
}

/* Where part i of a tensor begins; of those that parts share, weight and bias, all is every part's. */
static void *part_of(const fv_tensor *t, int role, const parts *p, int64_t i) {
  if (!t->data || role == FV_DNN_WEIGHT || role == FV_DNN_BIAS) return t->data;
  return (float *)t->data + fv_shape_count(t->shape) / p->n * i;
}

void fv_dnn_row_run(const fv_dnn_row *row, const fv_call *c) {
  const parts *p = c->state;
  uint32_t weight = 0;
  for (int i = 0; i < c->n_in; i++)
    if (row->in[i] == FV_DNN_WEIGHT) weight = 1u << i;
  for (int64_t u = c->begin; u < c->end; u++) {
    void *data[FV_DNN_ROLES] = {0};
    for (int i = 0; i < c->n_in; i++) data[row->in[i]] = part_of(&c->in[i], row->in[i], p, u);
    for (int i = 0; i < c->n_out; i++) data[row->out[i]] = part_of(&c->out[i], row->out[i], p, u);
    fv_dnn_run(p->of[u], data, c->packed & weight, c->scratch);
  }
}
