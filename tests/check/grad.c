/* SPDX-License-Identifier: Apache-2.0 */
/* grad.c: gradients against differences. For loss = sum <weight, output>, with random weights, the graph's own gradient
 * times a random direction must be the loss's slope along it. Everything runs in double precision by the references.
 * The slope is a fourth-order central difference; a kink within the step is met by trying smaller ones: a wrong
 * gradient agrees with none of them. */
#include "check.h"

#define DIRECTIONS 3
#define TOLERANCE 2e-6

typedef struct grad_check {
  ck_report *r;
  const ck_case *c;
  fv_graph *g;
  fv_node *node;
  int which;                  /* the output that is weighted; -1: all that are real */
  int64_t n[CK_MAX_IN];       /* elements of each input; 0 for those without a gradient */
  double *x[CK_MAX_IN];       /* the point */
  double *d[CK_MAX_IN];       /* the direction; zero for inputs that stay */
  double *grad[CK_MAX_IN];    /* by the graph */
  double *weight[FV_MAX_OUTS];
  fv_tensor in[CK_MAX_IN], out[FV_MAX_OUTS];
} grad_check;

static bool is_real(fv_dtype t) { return t == FV_F32 || t == FV_F64; }

static bool weighs(const grad_check *k, int out) {
  return k->node->out[out]->dtype == FV_F64 && (k->which < 0 || k->which == out);
}

/* ---- slope ------------------------------------------------------------------------------------------------------ */
/* The loss at x + t d, summed in long double: what is small here are differences of it. */
static long double loss_at(grad_check *k, double t) {
  for (int i = 0; i < k->node->n_in; i++)
    for (int64_t j = 0; k->d[i] != NULL && j < k->n[i]; j++) ((double *)k->in[i].data)[j] = k->x[i][j] + t * k->d[i][j];
  ck_node_run_ref(k->node, k->in, k->out);
  long double sum = 0;
  for (int i = 0; i < k->node->n_out; i++)
    for (int64_t j = 0, n = fv_shape_count(k->out[i].shape); weighs(k, i) && j < n; j++)
      sum += (long double)k->weight[i][j] * (long double)fv_get(&k->out[i], j);
  return sum;
}

static double slope(grad_check *k, double h) {
  long double far = loss_at(k, 2 * h) - loss_at(k, -2 * h), near = loss_at(k, h) - loss_at(k, -h);
  return (double)((8 * near - far) / (12 * (long double)h));
}

/* Sum of |weight output|: rounding errors of the loss are this times the machine's epsilon. */
static double loss_size(grad_check *k) {
  double sum = 0;
  (void)loss_at(k, 0);
  for (int i = 0; i < k->node->n_out; i++)
    for (int64_t j = 0, n = fv_shape_count(k->out[i].shape); weighs(k, i) && j < n; j++)
      sum += fabs(k->weight[i][j] * fv_get(&k->out[i], j));
  return sum;
}

/* One direction within input `only` (-1: all). */
static void check_direction(grad_check *k, int only, fv_rng *rng) {
  static const double steps[] = {1e-3, 1e-4, 1e-2, 1e-5, 1e-6, 1e-7};
  double want = 0, norm = 0, size = loss_size(k), best = INFINITY, best_slope = 0;
  for (int i = 0; i < k->node->n_in; i++)
    for (int64_t j = 0; j < k->n[i]; j++) {
      k->d[i][j] = only < 0 || only == i ? fv_rng_normal(rng) : 0;
      want += k->d[i][j] * k->grad[i][j];
      if (k->d[i][j] != 0) norm += k->grad[i][j] * k->grad[i][j];
    }
  for (size_t s = 0; s < FV_COUNT(steps); s++) {
    double got = slope(k, steps[s]), floor = 8 * 2.2e-16 * size / steps[s];
    double scale = fmax(fmax(fabs(want), fabs(got)), sqrt(norm));
    /* a step so small that rounding hides everything proves nothing */
    if (s > 0 && floor > 1e-3 * scale && scale > 0) continue;
    double error = fabs(got - want) - floor;
    if (error <= TOLERANCE * scale + 1e-30) return; /* slopes of exactly zero have errors of their own */
    if (error < best) best = error, best_slope = got;
  }
  char input[24] = "all inputs";
  if (only >= 0) snprintf(input, sizeof input, "input %d", only);
  ck_problem(k->r, "gradient of %s for output %d: expected a slope of %.10g, got %.10g", input, k->which, best_slope,
             want);
}

/* ---- the graph's gradient --------------------------------------------------------------------------------------- */
/* Adds the loss and its gradient to the graph. `weights` and `grads` are the values to fill and to read. */
static fv_status build_gradient(grad_check *k, fv_value **weights, fv_value **grads) {
  fv_value *loss = NULL, *wrt[CK_MAX_IN], *out[CK_MAX_IN];
  int n = 0;
  for (int i = 0; i < k->node->n_out; i++) {
    if (!weighs(k, i)) continue;
    char name[24];
    snprintf(name, sizeof name, "weight%d", i);
    weights[i] = fv_input(k->g, name, FV_F64, k->node->out[i]->shape);
    fv_value *part = fv_op(k->g, "sum", NULL, fv_op(k->g, "mul", NULL, weights[i], k->node->out[i]));
    loss = loss == NULL ? part : fv_op(k->g, "add", NULL, loss, part);
  }
  FV_TRY(fv_graph_check(k->g));
  for (int i = 0; i < k->node->n_in; i++)
    if (k->d[i] != NULL) wrt[n++] = k->node->in[i];
  FV_TRY(fv_graph_differentiate(k->g, loss, false, n, wrt, out));
  for (int i = 0, j = 0; i < k->node->n_in; i++)
    if (k->d[i] != NULL) grads[i] = out[j++];
  return fv_graph_verify(k->g);
}

static fv_status read_gradient(grad_check *k, fv_value *const *weights, fv_value *const *grads) {
  ck_values v = {0};
  fv_tensor *t;
  fv_status status = FV_OK;
  FV_TRY_DONE(ck_values_new(k->g, &v));
  for (int i = 0; i < k->node->n_in; i++) {
    FV_TRY_DONE(ck_values_tensor(&v, k->node->in[i], &t));
    if (t->data != NULL) ck_tensor_store(t, k->x[i]);
  }
  for (int i = 0; i < k->node->n_out; i++) {
    if (weights[i] == NULL) continue;
    FV_TRY_DONE(ck_values_tensor(&v, weights[i], &t));
    ck_tensor_store(t, k->weight[i]);
  }
  FV_TRY_DONE(ck_interpret(k->g, &v));
  for (int i = 0; i < k->node->n_in; i++) {
    if (k->d[i] == NULL) continue;
    FV_TRY_DONE(ck_values_tensor(&v, grads[i], &t));
    FV_REQUIRE_DONE(fv_shape_equal(t->shape, k->node->in[i]->shape) && t->dtype == FV_F64, FV_ERR_INTERNAL,
                    "gradient of input %d: expected f64 %s, got %s %s", i, fv_shape_text(k->node->in[i]->shape),
                    fv_dtype_name(t->dtype), fv_shape_text(t->shape));
    ck_tensor_load(t, k->grad[i]);
  }
done:
  ck_values_free(&v);
  return status;
}

/* ---- one case --------------------------------------------------------------------------------------------------- */
static double *numbers(fv_arena *arena, int64_t n) { return fv_arena_alloc(arena, (size_t)(n + 1) * sizeof(double)); }

static bool prepare(grad_check *k, fv_arena *arena, fv_rng *rng) {
  bool ok = true;
  for (int i = 0; i < k->node->n_in; i++) {
    const fv_value *v = k->node->in[i];
    int64_t n = fv_shape_count(v->shape);
    k->in[i] = (fv_tensor){.dtype = v->dtype, .shape = v->shape};
    if (v->kind == FV_VALUE_ABSENT) continue;
    k->in[i].data = k->x[i] = NULL;
    ok = ok && (k->in[i].data = numbers(arena, n)) != NULL && (k->x[i] = numbers(arena, n)) != NULL;
    if (!ok) return false;
    ck_fill_values(&k->c->in[i], CK_FILL_UNIFORM, rng, k->x[i]);
    ck_tensor_store(&k->in[i], k->x[i]);
    if (!is_real(v->dtype)) continue;
    k->n[i] = n;
    ok = (k->d[i] = numbers(arena, n)) != NULL && (k->grad[i] = numbers(arena, n)) != NULL;
  }
  for (int i = 0; ok && i < k->node->n_out; i++) {
    const fv_value *v = k->node->out[i];
    int64_t n = fv_shape_count(v->shape);
    k->out[i] = (fv_tensor){.dtype = v->dtype, .shape = v->shape, .data = numbers(arena, n)};
    k->weight[i] = numbers(arena, n);
    ok = k->out[i].data != NULL && k->weight[i] != NULL;
    for (int64_t j = 0; ok && j < n; j++) k->weight[i][j] = fv_rng_normal(rng);
  }
  return ok;
}

static void grad_body(void *arg) {
  grad_check *k = arg;
  fv_value *weights[FV_MAX_OUTS] = {0}, *grads[CK_MAX_IN] = {0};
  fv_status status = build_gradient(k, weights, grads);
  /* outputs after the first may refuse to be differentiated, but not be wrong */
  if (status == FV_ERR_REQUEST && k->which > 0) return;
  if (status == FV_OK) status = read_gradient(k, weights, grads);
  if (status != FV_OK) {
    ck_problem(k->r, "gradient for output %d: %s", k->which, fv_error_message());
    return;
  }
  fv_rng rng = ck_rng(k->r->seed, k->node->op->name, 5000 + k->c->index);
  for (int i = 0; i < k->node->n_in; i++)
    for (int n = 0; k->n[i] > 0 && n < DIRECTIONS; n++) check_direction(k, i, &rng);
  int64_t all = 0;
  for (int i = 0; i < k->node->n_in; i++) all += k->n[i];
  for (int n = 0; all > 0 && n < DIRECTIONS; n++) check_direction(k, -1, &rng);
}

/* Output `which` (-1: all) of one case, in a graph of its own. */
static void check_output(ck_report *r, const fv_op_def *op, const ck_case *c, int which) {
  grad_check k = {.r = r, .c = c, .which = which};
  fv_arena *arena;
  char what[256];
  fv_rng rng = ck_rng(r->seed, op->name, c->index);
  if (fv_arena_new(&arena) != FV_OK) return;
  if (ck_node_build(op, c, FV_F64, &k.g, &k.node) != FV_OK) ck_problem(r, "refused: %s", fv_error_message());
  else if (prepare(&k, arena, &rng) && !ck_trap(grad_body, &k, 4 * r->time_limit, what, sizeof what))
    ck_problem(r, "gradient %s", what);
  fv_graph_free(k.g);
  fv_arena_free(arena);
}

static void check_case(ck_report *r, const fv_op_def *op, const ck_case *c) {
  fv_graph *g = NULL;
  fv_node *node;
  int reals = 0, real_out[FV_MAX_OUTS];
  ck_begin(r, op->name, "%s %s", op->name, ck_case_text(c));
  if (c->no_grad_check) {
    if (c->note == NULL) {
      ck_problem(r, "no_grad_check: expected a note that says why, got none");
      ck_end(r);
    } else {
      ck_skip(r, "%s", c->note);
    }
    return;
  }
  bool built = ck_node_build(op, c, FV_F64, &g, &node) == FV_OK;
  if (!built) ck_problem(r, "refused: %s", fv_error_message());
  for (int i = 0; built && i < node->n_out - op->n_saved; i++)
    if (node->out[i]->dtype == FV_F64) real_out[reals++] = i;
  fv_graph_free(g);
  if (built && reals == 0) {
    ck_skip(r, "no real output");
    return;
  }
  for (int i = 0; i < reals; i++) check_output(r, op, c, real_out[i]);
  ck_end(r);
}

void ck_grad_row(ck_report *r, const fv_op_def *op) {
  if (op->grad == NULL) return;
  for (int index = 0;; index++) {
    fv_arena *arena;
    ck_case c;
    if (fv_arena_new(&arena) != FV_OK) return;
    bool more = ck_case_get(op, index, r->seed, arena, &c);
    if (more && c.n >= 0) check_case(r, op, &c);
    fv_arena_free(arena);
    if (!more) return;
  }
}

void ck_mode_grad(ck_report *r) {
  for (int i = 0; fv_ops[i] != NULL; i++)
    if (ck_wanted(r, fv_ops[i]->name)) ck_grad_row(r, fv_ops[i]);
}
