/* SPDX-License-Identifier: Apache-2.0 */
/* op.c: the rows of the table of operations themselves. A row must be documented and complete; for each of its cases
 * attributes survive printing, the reference writes everything and nothing else, in single and in double precision;
 * wrong numbers of inputs and hostile shapes are refused with a sentence, never with a crash. */
#include "check.h"

/* ---- the row ---------------------------------------------------------------------------------------------------- */
static bool has_text(const char *s) { return s != NULL && *s != 0; }

static void check_options(ck_report *r, const fv_op_def *op) {
  static const size_t sizes[] = {[FV_OPT_INT] = sizeof(int64_t),     [FV_OPT_REAL] = sizeof(double),
                                 [FV_OPT_BOOL] = sizeof(bool),       [FV_OPT_ENUM] = sizeof(int64_t),
                                 [FV_OPT_TEXT] = sizeof(const char *), [FV_OPT_INTS] = sizeof(fv_int_list)};
  for (const fv_option *o = op->attrs; o != NULL && o->name != NULL; o++) {
    if (!has_text(o->doc)) ck_problem(r, "attribute %s: expected a doc, got none", o->name);
    if (o->offset + sizes[o->type] > op->attrs_size)
      ck_problem(r, "attribute %s: expected to lie within the struct's %zu bytes, got offset %zu", o->name,
                 op->attrs_size, o->offset);
    if (o->type == FV_OPT_ENUM && o->choices == NULL)
      ck_problem(r, "attribute %s: expected choices, got none", o->name);
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
  if ((op->flags & FV_OP_ELEMENTWISE) && op->scalar == NULL)
    ck_problem(r, "scalar: expected for an element-wise operation, got none");
  if (op->grad == NULL && !has_text(op->no_grad_reason))
    ck_problem(r, "grad: expected one or a no_grad_reason, got neither");
  if (op->grad != NULL && has_text(op->no_grad_reason))
    ck_problem(r, "no_grad_reason: expected none beside a gradient");
  if (op->n_in < 0 || (op->n_in_max > 0 && op->n_in_max < op->n_in))
    ck_problem(r, "n_in: expected 0 <= n_in <= n_in_max, got %d and %d", op->n_in, op->n_in_max);
  check_options(r, op);
  bool complete = op->infer != NULL && op->ref != NULL && op->cost != NULL;
  ck_end(r);
  return complete;
}

/* ---- one case --------------------------------------------------------------------------------------------------- */
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
bool ck_ref_guarded(ck_report *r, fv_node *node, double *const *in, ck_place place, uint8_t dirt, double **out) {
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
    if (ck_buffer_place(&buffers[i], (size_t)fv_shape_count(v->shape) * fv_dtype_size(v->dtype), 1, place, dirt) !=
        FV_OK) {
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
    ck_problem(r, "reference writes outside %s, at byte %lld of %zu", buffers[i].what, (long long)where,
               buffers[i].size);
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

static void compare_outputs(ck_report *r, const fv_node *node, double *const *want, double *const *got,
                            double tolerance, const char *what) {
  for (int i = 0; i < node->n_out; i++) {
    int64_t n = fv_shape_count(node->out[i]->shape);
    ck_difference d = ck_compare(node->out[i]->dtype, n, want[i], got[i], tolerance, 0, false);
    if (d.count > 0)
      ck_problem(r, "%s: output %d differs in %lld of %lld elements, first at %lld: expected %.9g, got %.9g", what, i,
                 (long long)d.count, (long long)n, (long long)d.first, d.want, d.got);
  }
}

bool ck_outputs_alloc(fv_arena *arena, const fv_node *node, double **out) {
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
        ck_problem(r, "output %d: expected finite numbers (or a note that says why not), got %g at %lld", i, out[i][k],
                   (long long)k);
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
  } else if (ck_outputs_alloc(arena, single, out[0]) && ck_outputs_alloc(arena, single, out[1]) &&
             ck_outputs_alloc(arena, twice, out[2]) && ck_ref_guarded(r, single, in, CK_PLACE_END, 0xFF, out[0]) &&
             ck_ref_guarded(r, single, in, CK_PLACE_START, 0x41, out[1]) &&
             ck_ref_guarded(r, twice, in, CK_PLACE_END, 0xFF, out[2])) {
    compare_outputs(r, single, out[0], out[1], 0, "reference depends on what the output held");
    compare_outputs(r, single, out[2], out[0], 1e-6, "reference in f32 against f64");
    check_finite(r, c, single, out[0]);
    check_cost(r, single);
  }
  fv_graph_free(g32);
  fv_graph_free(g64);
}

/* ---- wrong numbers of inputs ------------------------------------------------------------------------------------ */
static void expect_refusal(ck_report *r, const fv_op_def *op, const ck_case *c, int n_in) {
  ck_case wrong = *c;
  fv_graph *g = NULL;
  fv_node *node;
  wrong.n = n_in;
  for (int i = c->n; i < n_in; i++) wrong.in[i] = c->n > 0 ? c->in[c->n - 1] : (ck_spec){.dtype = FV_F32, .hi = 1};
  fv_status status = ck_node_build(op, &wrong, FV_F32, &g, &node);
  if (status == FV_OK) ck_problem(r, "%d inputs: expected a refusal, got a node", n_in);
  else if (status != FV_ERR_REQUEST || strstr(fv_error_message(), "expected") == NULL ||
           strstr(fv_error_message(), op->name) == NULL)
    ck_problem(r, "%d inputs: expected a refusal that names the operation, got: %s", n_in, fv_error_message());
  fv_graph_free(g);
}

static void check_input_limits(ck_report *r, const fv_op_def *op, const ck_case *c) {
  int most = op->n_in_max == 0 ? op->n_in : op->n_in_max;
  if (op->n_in > 0) expect_refusal(r, op, c, op->n_in - 1);
  if (most >= 0 && most < CK_MAX_IN) expect_refusal(r, op, c, most + 1);
}

/* ---- the mode --------------------------------------------------------------------------------------------------- */
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
    ck_hostile_row(r, op, n);
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
