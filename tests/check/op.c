/* SPDX-License-Identifier: Apache-2.0 */
/* op.c: the rows of the table of operations themselves. A row must be documented and complete; for each of its cases
 * attributes survive printing, the reference writes everything and nothing else, in single and in double precision; wrong
 * numbers of inputs and hostile shapes are refused with a sentence, never with a crash. */
#include "check.h"

#include <stdlib.h>

/* ---- the row ---------------------------------------------------------------------------------------------------------- */
static bool has_text(const char *s) { return s != NULL && *s != 0; }

static void check_options(ck_report *r, const fv_op_def *op) {
  static const size_t sizes[] = {[FV_OPT_INT] = sizeof(int64_t),     [FV_OPT_REAL] = sizeof(double),
                                 [FV_OPT_BOOL] = sizeof(bool),       [FV_OPT_ENUM] = sizeof(int64_t),
                                 [FV_OPT_TEXT] = sizeof(const char *), [FV_OPT_INTS] = sizeof(fv_int_list)};
  for (const fv_option *o = op->attrs; o != NULL && o->name != NULL; o++) {
    if (!has_text(o->doc)) ck_problem(r, "attribute %s: expected a doc, got none", o->name);
    if (o->offset + sizes[o->type] > op->attrs_size)
      ck_problem(r, "attribute %s: expected to lie within the struct's %zu bytes, got offset %zu", o->name, op->attrs_size,
                 o->offset);
    if (o->type == FV_OPT_ENUM && o->choices == NULL) ck_problem(r, "attribute %s: expected choices, got none", o->name);
    for (const fv_option *other = op->attrs; other < o; other++)
      if (strcmp(other->name, o->name) == 0) ck_problem(r, "attribute %s: expected once, got twice", o->name);
  }
  if (op->attrs != NULL && op->attrs_size == 0) ck_problem(r, "attrs_size: expected the struct's size, got 0");
}

static bool check_definition(ck_report *r, const fv_op_def *op) {
  ck_begin(r, op->name, "%s definition", op->name);
  if (!has_text(op->doc)) ck_problem(r, "doc: expected a formula, got none");
  if (op->infer == NULL) ck_problem(r, "infer: expected a function, got none");
  if (op->ref == NULL) ck_problem(r, "ref: expected a function, got none");
  if (op->cost == NULL) ck_problem(r, "cost: expected a function, got none");
  if ((op->flags & FV_OP_ELEMENTWISE) && op->scalar == NULL) ck_problem(r, "scalar: expected for an element-wise operation, got none");
  if (op->grad == NULL && !has_text(op->no_grad_reason)) ck_problem(r, "grad: expected one or a no_grad_reason, got neither");
  if (op->grad != NULL && has_text(op->no_grad_reason)) ck_problem(r, "no_grad_reason: expected none beside a gradient");
  if (op->n_in < 0 || (op->n_in_max > 0 && op->n_in_max < op->n_in))
    ck_problem(r, "n_in: expected 0 <= n_in <= n_in_max, got %d and %d", op->n_in, op->n_in_max);
  check_options(r, op);
  bool complete = op->infer != NULL && op->ref != NULL && op->cost != NULL;
  ck_end(r);
  return complete;
}

/* ---- one case --------------------------------------------------------------------------------------------------------- */
static void check_attrs_text(ck_report *r, const fv_op_def *op, const ck_case *c, fv_arena *arena) {
  if (op->attrs == NULL) return;
  void *attrs, *again;
  fv_text text = {0};
  if (ck_attrs_parse(op, c->attrs, arena, &attrs) != FV_OK) {
    ck_problem(r, "attributes: %s", fv_error_message());
    return;
  }
  fv_options_print_all(op->attrs, attrs, false, &text);
  if (ck_attrs_parse(op, text.s == NULL ? "" : text.s, arena, &again) != FV_OK)
    ck_problem(r, "attributes printed as \"%s\" are refused: %s", text.s, fv_error_message());
  else if (!fv_options_equal(op->attrs, attrs, again))
    ck_problem(r, "attributes printed as \"%s\" are read back differently", text.s);
  fv_text_free(&text);
}

typedef struct ref_run {
  const fv_node *node;
  fv_tensor in[CK_MAX_IN], out[FV_MAX_OUTS];
} ref_run;
static void run_ref(void *arg) {
  ref_run *run = arg;
  ck_node_run_ref(run->node, run->in, run->out);
}

/* Guarded inputs and outputs; the reference must write every byte whatever was there, and no other. */
static bool run_guarded(ck_report *r, fv_node *node, double *const *in, ck_place place, uint8_t dirt, double **out) {
  ck_buffer buffers[CK_MAX_IN + FV_MAX_OUTS];
  ref_run run = {.node = node};
  int n = 0;
  char what[256];
  bool ok = true;
  for (int i = 0; i < node->n_in + node->n_out; i++, n++) {
    bool is_in = i < node->n_in;
    const fv_value *v = is_in ? node->in[i] : node->out[i - node->n_in];
    fv_tensor *t = is_in ? &run.in[i] : &run.out[i - node->n_in];
    *t = (fv_tensor){.dtype = v->dtype, .shape = v->shape};
    ck_buffer_init(&buffers[i], is_in ? "input" : "output", is_in ? i : i - node->n_in);
    if (v->kind == FV_VALUE_ABSENT) continue;
    if (ck_buffer_place(&buffers[i], (size_t)fv_shape_count(v->shape) * fv_dtype_size(v->dtype), 1, place, dirt) != FV_OK) {
      ck_problem(r, "%s", fv_error_message());
      return false;
    }
    t->data = buffers[i].data;
    if (is_in) ck_tensor_store(t, in[i]);
  }
  if (!ck_trap(run_ref, &run, r->time_limit, what, sizeof what)) ck_problem(r, "reference %s", what), ok = false;
  for (int i = 0; ok && i < n; i++) {
    int64_t where;
    if (buffers[i].base == NULL || ck_buffer_intact(&buffers[i], &where)) continue;
    ck_problem(r, "reference writes outside %s, at byte %lld of %zu", buffers[i].what, (long long)where, buffers[i].size);
  }
  for (int i = 0; ok && i < node->n_in; i++) {
    int64_t count = run.in[i].data == NULL ? 0 : fv_shape_count(run.in[i].shape);
    for (int64_t k = 0; k < count; k++)
      if (fv_get(&run.in[i], k) != in[i][k]) {
        ck_problem(r, "reference changes input %d at %lld", i, (long long)k);
        break;
      }
  }
  for (int i = 0; ok && i < node->n_out; i++) ck_tensor_load(&run.out[i], out[i]);
  for (int i = 0; i < n; i++) ck_buffer_free(&buffers[i]);
  return ok;
}

static void compare_outputs(ck_report *r, const fv_node *node, double *const *want, double *const *got, double tolerance,
                            const char *what) {
  for (int i = 0; i < node->n_out; i++) {
    int64_t n = fv_shape_count(node->out[i]->shape);
    ck_difference d = ck_compare(node->out[i]->dtype, n, want[i], got[i], tolerance, false);
    if (d.count > 0)
      ck_problem(r, "%s: output %d differs in %lld of %lld elements, first at %lld: expected %.9g, got %.9g", what, i,
                 (long long)d.count, (long long)n, (long long)d.first, d.want, d.got);
  }
}

static bool alloc_outputs(fv_arena *arena, const fv_node *node, double **out) {
  for (int i = 0; i < node->n_out; i++) {
    out[i] = fv_arena_alloc(arena, (size_t)(fv_shape_count(node->out[i]->shape) + 1) * sizeof(double));
    if (out[i] == NULL) return false;
  }
  return true;
}

static void check_finite(ck_report *r, const ck_case *c, const fv_node *node, double *const *out) {
  for (int i = 0; c->note == NULL && i < node->n_out; i++)
    for (int64_t k = 0, n = fv_shape_count(node->out[i]->shape); k < n; k++)
      if (!isfinite(out[i][k])) {
        ck_problem(r, "output %d: expected finite numbers (or a note that says why not), got %g at %lld", i, out[i][k], (long long)k);
        return;
      }
}

static void check_cost(ck_report *r, const fv_node *node) {
  fv_cost cost = node->op->cost(node);
  bool sane = isfinite(cost.flops) && isfinite(cost.bytes) && cost.flops >= 0 && cost.bytes >= 0;
  bool empty = fv_shape_count(node->out[0]->shape) == 0 || (node->op->flags & FV_OP_ALIAS);
  if (!sane || (!empty && cost.flops + cost.bytes <= 0))
    ck_problem(r, "cost: expected flops or bytes, got %g and %g", cost.flops, cost.bytes);
}

static void check_references(ck_report *r, const fv_op_def *op, const ck_case *c, fv_arena *arena) {
  double *in[CK_MAX_IN] = {0}, *out[3][FV_MAX_OUTS];
  fv_graph *g32 = NULL, *g64 = NULL;
  fv_node *single, *twice;
  fv_rng rng = ck_rng(r->seed, op->name, c->index);
  for (int i = 0; i < c->n; i++) {
    in[i] = fv_arena_alloc(arena, (size_t)(fv_shape_count(c->in[i].shape) + 1) * sizeof(double));
    if (!c->in[i].absent) ck_fill_values(&c->in[i], CK_FILL_UNIFORM, &rng, in[i]);
  }
  if (ck_node_build(op, c, FV_F32, &g32, &single) != FV_OK || ck_node_build(op, c, FV_F64, &g64, &twice) != FV_OK) {
    ck_problem(r, "refused: %s", fv_error_message());
  } else if (alloc_outputs(arena, single, out[0]) && alloc_outputs(arena, single, out[1]) && alloc_outputs(arena, twice, out[2]) &&
             run_guarded(r, single, in, CK_PLACE_END, 0xFF, out[0]) && run_guarded(r, single, in, CK_PLACE_START, 0x41, out[1]) &&
             run_guarded(r, twice, in, CK_PLACE_END, 0xFF, out[2])) {
    compare_outputs(r, single, out[0], out[1], 0, "reference depends on what the output held");
    compare_outputs(r, single, out[2], out[0], 1e-6, "reference in f32 against f64");
    check_finite(r, c, single, out[0]);
    check_cost(r, single);
  }
  fv_graph_free(g32);
  fv_graph_free(g64);
}

/* ---- wrong numbers of inputs ------------------------------------------------------------------------------------------ */
static void expect_refusal(ck_report *r, const fv_op_def *op, const ck_case *c, int n_in) {
  ck_case wrong = *c;
  fv_graph *g = NULL;
  fv_node *node;
  wrong.n = n_in;
  for (int i = c->n; i < n_in; i++) wrong.in[i] = c->n > 0 ? c->in[c->n - 1] : (ck_spec){.dtype = FV_F32, .hi = 1};
  fv_status status = ck_node_build(op, &wrong, FV_F32, &g, &node);
  if (status == FV_OK) ck_problem(r, "%d inputs: expected a refusal, got a node", n_in);
  else if (status != FV_ERR_REQUEST || strstr(fv_error_message(), "expected") == NULL || strstr(fv_error_message(), op->name) == NULL)
    ck_problem(r, "%d inputs: expected a refusal that names the operation, got: %s", n_in, fv_error_message());
  fv_graph_free(g);
}

static void check_input_limits(ck_report *r, const fv_op_def *op, const ck_case *c) {
  int most = op->n_in_max == 0 ? op->n_in : op->n_in_max;
  if (op->n_in > 0) expect_refusal(r, op, c, op->n_in - 1);
  if (most >= 0 && most < CK_MAX_IN) expect_refusal(r, op, c, most + 1);
}

/* ---- hostile shapes and attributes ------------------------------------------------------------------------------------
 * Each round changes a few things of a case: dimensions, ranks, dtypes, attributes at the edges of their ranges. The
 * operation may accept or refuse, but it must not crash, hang, overflow, or refuse without saying why; what it accepts
 * its reference must be able to run. */
#define HOSTILE_ROUNDS 150
#define HOSTILE_COUNT 20000 /* elements that the reference is still run on */

static int64_t hostile_dim(fv_rng *rng) {
  static const int64_t table[] = {0, 0, 1, 1, 2, 3, 5, 8, 1 << 15, INT64_C(1) << 31, INT64_C(1) << 40, INT64_C(1) << 45};
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
  if (fv_options_set(o, attrs, "hostile", o->name, t.s == NULL ? "" : t.s, arena) != FV_OK) { /* refused: keeps its value */ }
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
  h->infer = (fv_infer){.g = h->g, .op = h->op, .name = "hostile", .attrs = h->attrs, .n_in = h->c.n, .in = h->in, .n_out = 1};
  for (int i = 0; i < FV_MAX_OUTS; i++) h->infer.dtype[i] = h->c.n > 0 ? h->in[0]->dtype : FV_F32;
  h->status = h->op->infer(&h->infer);
}

static bool hostile_inputs(hostile_run *h) {
  for (int i = 0; i < h->c.n; i++) {
    char name[16];
    const ck_spec *s = &h->c.in[i];
    snprintf(name, sizeof name, "in%d", i);
    h->in[i] = s->absent ? fv_absent(h->g) : fv_input(h->g, name, s->dtype, s->shape);
    if (h->in[i] == NULL || (s->absent && i < h->op->n_in)) return false; /* the builder refuses before infer is asked */
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
  if (alloc_outputs(arena, node, out)) (void)run_guarded(r, node, in, CK_PLACE_END, 0xFF, out);
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

static void check_hostile(ck_report *r, const fv_op_def *op, int n_cases) {
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

/* ---- the mode --------------------------------------------------------------------------------------------------------- */
void ck_op_row(ck_report *r, const fv_op_def *op) {
  if (!check_definition(r, op)) return;
  int n = 0;
  for (;; n++) {
    fv_arena *arena;
    ck_case c;
    if (fv_arena_new(&arena) != FV_OK) return;
    bool more = ck_case_get(op, n, r->seed, arena, &c);
    if (more) {
      ck_begin(r, op->name, "%s %s", op->name, ck_case_text(&c));
      if (c.n < 0) {
        ck_problem(r, "case: expected shapes as fv_case describes, got \"%s\"", c.text);
      } else {
        check_attrs_text(r, op, &c, arena);
        check_references(r, op, &c, arena);
        if (n == 0) check_input_limits(r, op, &c);
      }
      ck_end(r);
    }
    fv_arena_free(arena);
    if (!more) break;
  }
  if (n > 0) {
    check_hostile(r, op, n);
  } else {
    ck_begin(r, op->name, "%s cases", op->name);
    ck_problem(r, "cases: expected at least one, got none");
    ck_end(r);
  }
}

void ck_mode_op(ck_report *r) {
  for (int i = 0; fv_ops[i] != NULL; i++)
    if (ck_wanted(r, fv_ops[i]->name)) ck_op_row(r, fv_ops[i]);
}
