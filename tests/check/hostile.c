/* SPDX-License-Identifier: Apache-2.0 */
/* hostile.c: what nobody meant to write. Each round changes a few things of a case: dimensions, ranks, dtypes,
 * attributes at the edges of their ranges. The operation may accept or refuse, but it must not crash, hang, overflow,
 * or refuse without saying why; what it accepts its reference and its gradient must be able to run. */
#include "check.h"

#define HOSTILE_ROUNDS 150
#define HOSTILE_COUNT 20000 /* elements that the reference is still run on */

static int64_t hostile_dim(fv_rng *rng) {
  static const int64_t table[] = {
      0, 0, 1, 1, 2, 3, 5, 8, 1 << 15, INT64_C(1) << 31, INT64_C(1) << 40, INT64_C(1) << 45};
  return table[fv_rng_below(rng, FV_COUNT(table))];
}

static void hostile_spec(ck_spec *s, fv_rng *rng) {
  uint32_t kind = fv_rng_below(rng, 6);
  if (kind == 0 && s->shape.ndim < FV_MAX_DIMS) s->shape.dim[s->shape.ndim++] = hostile_dim(rng);
  else if (kind == 1 && s->shape.ndim > 0) s->shape.ndim--;
  else if (kind == 2) s->dtype = (fv_dtype)fv_rng_below(rng, 4);
  else if (kind == 3 && fv_rng_below(rng, 3) == 0) s->absent = !s->absent;
  else if (s->shape.ndim > 0) s->shape.dim[fv_rng_below(rng, (uint32_t)s->shape.ndim)] = hostile_dim(rng);
}

static int64_t hostile_int(const fv_option *o, fv_rng *rng) {
  static const int64_t table[] = {0, 1, -1, 2, 3, -2, 7, 8, 100, INT32_MAX, INT64_C(1) << 40, INT64_MAX, INT64_MIN};
  uint32_t k = fv_rng_below(rng, FV_COUNT(table) + 2);
  if (k < FV_COUNT(table)) return table[k];
  return k == FV_COUNT(table) ? (int64_t)fmax(o->min, -0x1p62) : (int64_t)fmin(o->max, 0x1p62);
}

/* One attribute as text; fv_options_set may refuse it, which is fine. */
static void hostile_attr(const fv_option *o, fv_rng *rng, void *attrs, fv_arena *arena) {
  static const char *const reals[] = {"0", "1", "-1", "0.5", "1e300", "-1e300", "1e-300", "2", "0.999999"};
  static const char *const texts[] = {"", "x", "(", ")", ";;", "a(,)>", "add(0,0)>b", "%s%n", "=", "add(0,a)"};
  fv_text t = {0};
  if (o->type == FV_OPT_INTS) {
    for (uint32_t i = 0, n = fv_rng_below(rng, FV_MAX_LIST + 1); i < n; i++)
      fv_text_printf(&t, "%s%lld", i > 0 ? "," : "", (long long)hostile_int(o, rng));
  } else if (o->type == FV_OPT_ENUM) {
    uint32_t n = 0;
    while (o->choices[n] != NULL) n++;
    fv_text_printf(&t, "%s", o->choices[fv_rng_below(rng, n)]);
  } else if (o->type == FV_OPT_TEXT) {
    fv_text_printf(&t, "%s", texts[fv_rng_below(rng, FV_COUNT(texts))]);
  } else if (o->type == FV_OPT_REAL) {
    fv_text_printf(&t, "%s", reals[fv_rng_below(rng, FV_COUNT(reals))]);
  } else if (o->type == FV_OPT_BOOL) {
    fv_text_printf(&t, "%d", (int)fv_rng_below(rng, 2));
  } else {
    fv_text_printf(&t, "%lld", (long long)hostile_int(o, rng));
  }
  if (fv_options_set(o, attrs, "hostile", o->name, t.s == NULL ? "" : t.s, arena) !=
      FV_OK) { /* refused: keeps its value */
  }
  fv_text_free(&t);
}

typedef struct hostile_run {
  const fv_op_def *op;
  ck_case c;
  void *attrs;
  fv_graph *g;
  fv_value *in[CK_MAX_IN];
  fv_infer infer;
  fv_status status;
} hostile_run;

static void call_infer(void *arg) {
  hostile_run *h = arg;
  h->infer =
      (fv_infer){.g = h->g, .op = h->op, .name = "hostile", .attrs = h->attrs, .n_in = h->c.n, .in = h->in, .n_out = 1};
  for (int i = 0; i < FV_MAX_OUTS; i++) h->infer.dtype[i] = h->c.n > 0 ? h->in[0]->dtype : FV_F32;
  h->status = h->op->infer(&h->infer);
}

static bool hostile_inputs(hostile_run *h) {
  for (int i = 0; i < h->c.n; i++) {
    char name[16];
    const ck_spec *s = &h->c.in[i];
    snprintf(name, sizeof name, "in%d", i);
    h->in[i] = s->absent ? fv_absent(h->g) : fv_input(h->g, name, s->dtype, s->shape);
    if (h->in[i] == NULL || (s->absent && i < h->op->n_in))
      return false; /* the builder refuses before infer is asked */
  }
  return true;
}

static bool small(const fv_node *node) {
  for (int i = 0; i < node->n_in; i++)
    if (fv_shape_count(node->in[i]->shape) > HOSTILE_COUNT) return false;
  for (int i = 0; i < node->n_out; i++)
    if (fv_shape_count(node->out[i]->shape) > HOSTILE_COUNT) return false;
  return node->op->cost(node).flops < 1e7;
}

static void hostile_reference(ck_report *r, hostile_run *h, fv_node *node, fv_rng *rng, fv_arena *arena) {
  double *in[CK_MAX_IN] = {0}, *out[FV_MAX_OUTS];
  for (int i = 0; i < h->c.n; i++) {
    if (h->c.in[i].absent) continue;
    in[i] = fv_arena_alloc(arena, (size_t)(fv_shape_count(h->c.in[i].shape) + 1) * sizeof(double));
    ck_fill_values(&h->c.in[i], CK_FILL_UNIFORM, rng, in[i]);
  }
  if (ck_outputs_alloc(arena, node, out)) (void)ck_ref_guarded(r, node, in, CK_PLACE_END, 0xFF, out);
}

typedef struct hostile_grad {
  fv_graph *g;
  fv_node *node;
  fv_status status;
} hostile_grad;

/* The sum of output 0, differentiated for every real input, and run on zeros. */
static void call_grad(void *arg) {
  hostile_grad *h = arg;
  fv_value *wrt[CK_MAX_IN], *grads[CK_MAX_IN];
  ck_values v = {0};
  int n = 0;
  for (int i = 0; i < h->node->n_in; i++)
    if (h->node->in[i]->kind != FV_VALUE_ABSENT && h->node->in[i]->dtype == FV_F64) wrt[n++] = h->node->in[i];
  h->status = fv_graph_differentiate(h->g, fv_op(h->g, "sum", NULL, h->node->out[0]), false, n, wrt, grads);
  if (h->status == FV_OK) h->status = fv_graph_verify(h->g);
  if (h->status == FV_OK) h->status = ck_values_new(h->g, &v);
  for (int i = 0; h->status == FV_OK && i < h->node->n_in; i++) {
    fv_tensor *t;
    h->status = ck_values_tensor(&v, h->node->in[i], &t);
  }
  if (h->status == FV_OK) h->status = ck_interpret(h->g, &v);
  ck_values_free(&v);
}

static void hostile_gradient(ck_report *r, hostile_run *h) {
  hostile_grad d = {0};
  char what[256];
  if (h->op->grad == NULL || ck_node_build(h->op, &h->c, FV_F64, &d.g, &d.node) != FV_OK) return;
  if (d.node->out[0]->dtype == FV_F64) {
    if (!ck_trap(call_grad, &d, r->time_limit, what, sizeof what)) ck_problem(r, "gradient %s", what);
    else if (d.status != FV_OK && d.status != FV_ERR_REQUEST) ck_problem(r, "gradient: %s", fv_error_message());
  }
  fv_graph_free(d.g);
}

/* What infer accepted goes through the builder; if it is small, the reference and the gradient run on it. */
static void hostile_accepted(ck_report *r, hostile_run *h, fv_rng *rng, fv_arena *arena) {
  fv_graph *g = NULL;
  fv_node *node;
  if (ck_node_build(h->op, &h->c, FV_F32, &g, &node) != FV_OK) return; /* too large for the builder */
  fv_cost cost = h->op->cost(node);
  if (!isfinite(cost.flops) || !isfinite(cost.bytes) || cost.flops < 0 || cost.bytes < 0)
    ck_problem(r, "cost: expected numbers, got %g and %g", cost.flops, cost.bytes);
  if (small(node)) {
    hostile_reference(r, h, node, rng, arena);
    hostile_gradient(r, h);
  }
  fv_graph_free(g);
}

static void hostile_describe(const hostile_run *h, fv_text *t) {
  fv_text_printf(t, "hostile \"");
  for (int i = 0; i < h->c.n; i++) {
    const ck_spec *s = &h->c.in[i];
    fv_text_printf(t, "%s%s:%s", i > 0 ? "; " : "", s->absent ? "-" : fv_shape_text(s->shape), fv_dtype_name(s->dtype));
  }
  fv_text_printf(t, "\" %s", h->c.attrs);
}

/* A few changes to a case; false when its attributes contradict themselves. */
static bool hostile_change(hostile_run *h, fv_rng *rng, fv_arena *arena) {
  const fv_op_def *op = h->op;
  int n_attrs = op->attrs == NULL ? 0 : (int)fv_options_count(op->attrs);
  if (ck_attrs_parse(op, h->c.attrs, arena, &h->attrs) != FV_OK) return false;
  for (uint32_t k = 0, n = 1 + fv_rng_below(rng, 3); k < n; k++) {
    int which = (int)fv_rng_below(rng, (uint32_t)FV_MAX(h->c.n + n_attrs, 1));
    if (which < h->c.n) hostile_spec(&h->c.in[which], rng);
    else if (which - h->c.n < n_attrs) hostile_attr(op->attrs + (which - h->c.n), rng, h->attrs, arena);
  }
  if (n_attrs == 0) return true;
  fv_text text = {0};
  bool fine = fv_options_check(op->attrs, h->attrs, op->name) == FV_OK;
  fv_options_print_all(op->attrs, h->attrs, true, &text);
  h->c.attrs = fv_arena_strdup(arena, text.s == NULL ? "" : text.s);
  fv_text_free(&text);
  return fine && h->c.attrs != NULL;
}

static void hostile_round(ck_report *r, const fv_op_def *op, const ck_case *from, int round, fv_arena *arena) {
  hostile_run h = {.op = op, .c = *from};
  fv_rng rng = fv_rng_new(r->seed, fv_stream_of(op->name) + 1000 + (uint64_t)round);
  char what[256];
  fv_text text = {0};
  int before = r->problems;
  if (!hostile_change(&h, &rng, arena) || fv_graph_new(NULL, FV_F32, &h.g) != FV_OK) return;
  hostile_describe(&h, &text);
  if (hostile_inputs(&h)) {
    if (!ck_trap(call_infer, &h, r->time_limit, what, sizeof what)) ck_problem(r, "infer %s", what);
    else if (h.status == FV_OK) hostile_accepted(r, &h, &rng, arena);
    else if (strstr(fv_error_message(), "expected") == NULL || strstr(fv_error_message(), "got") == NULL)
      ck_problem(r, "infer: expected a sentence with 'expected ..., got ...', got: %s", fv_error_message());
  }
  if (r->problems > before) ck_problem(r, "the above with: %s", text.s);
  fv_text_free(&text);
  fv_graph_free(h.g);
}

void ck_hostile_row(ck_report *r, const fv_op_def *op, int n_cases) {
  ck_begin(r, op->name, "%s hostile shapes", op->name);
  for (int round = 0; round < HOSTILE_ROUNDS && r->problems == 0; round++) {
    fv_arena *arena;
    ck_case c;
    if (fv_arena_new(&arena) != FV_OK) break;
    if (ck_case_get(op, round % n_cases, r->seed, arena, &c) && c.n >= 0) hostile_round(r, op, &c, round, arena);
    fv_arena_free(arena);
  }
  ck_end(r);
}
