/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c: every attention mechanism on the cases of its row. Its gradient, built in double precision and run by
 * the references, must be the slope of its result along random directions; compiled in single precision by the passes
 * and the kernels, it must give the same numbers; asking for weights must not change a bit of the result; a row of
 * which the mask leaves nothing gets weights of zero; and shapes that do not fit are refused. */
#include "attention/attention.h"
#include "check.h"

enum { MOST = 2 * FV_ATTENTION_MOST, DIRECTIONS = 3 };

typedef struct attention {
  ck_report *r;
  const fv_attention_def *def;
  const fv_attention_case *c;
  fv_arena *arena;
  void *attrs;
  fv_attention_sizes sizes;
  fv_attention_slot slot[MOST]; /* inputs, then parameters */
  int n_in, n;
  fv_attention_slot outputs[FV_ATTENTION_MOST];
  int n_out;
  bool absent[MOST];
  fv_shape shape[MOST];
  double *x[MOST], *d[MOST], *weight[FV_ATTENTION_MOST];
  double *out[FV_ATTENTION_MOST], *grad[MOST]; /* in double precision */
} attention;

/* A graph of the mechanism. */
typedef struct built {
  fv_graph *g;
  fv_value *in[MOST], *out[FV_ATTENTION_MOST], *weight[FV_ATTENTION_MOST], *grad[MOST];
} built;

static bool real(const attention *a, int i) { return !a->absent[i] && a->slot[i].dtype == FV_F32; }
static double *numbers(attention *a, int64_t n) { return fv_arena_alloc(a->arena, (size_t)(n + 1) * sizeof(double)); }

/* ---- cases ------------------------------------------------------------------------------------------------------ */
static fv_status read_sizes(attention *a) {
  const char *s = a->c->sizes;
  int used;
  for (; *s; s += used) {
    long long size;
    fv_attention_sizes *to = &a->sizes;
    used = 0;
    FV_REQUIRE(to->n < (int)FV_COUNT(to->v) && sscanf(s, " %7[A-Za-z0-9]=%lld%n", to->v[to->n].name, &size, &used) == 2,
               FV_ERR_REQUEST, "sizes: expected NAME=NUMBER, got '%s'", s);
    to->v[to->n++].size = size;
  }
  return FV_OK;
}

static fv_status read_attrs(attention *a) {
  a->attrs = NULL;
  if (!a->def->attrs_size) return FV_OK;
  a->attrs = fv_arena_alloc(a->arena, a->def->attrs_size);
  char *text = fv_arena_strdup(a->arena, a->c->attrs ? a->c->attrs : ""), *rest;
  FV_REQUIRE(a->attrs && text, FV_ERR_MEMORY, "check: out of memory");
  FV_TRY(fv_options_defaults(a->def->attrs, a->attrs));
  for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
    char *value = strchr(word, '=');
    FV_REQUIRE(value, FV_ERR_REQUEST, "attributes: expected NAME=VALUE, got '%s'", word);
    *value++ = 0;
    FV_TRY(fv_options_set(a->def->attrs, a->attrs, a->def->name, word, value, a->arena));
  }
  return FV_OK;
}

static bool named(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *s = list ? list : ""; *s; s += strcspn(s, " "), s += strspn(s, " "))
    if (strcspn(s, " ") == n && !memcmp(s, name, n)) return true;
  return false;
}

static fv_status shape_of(const attention *a, const fv_attention_slot *slot, fv_shape *shape) {
  *shape = (fv_shape){.ndim = slot->ndim};
  for (int d = 0; d < slot->ndim; d++) {
    shape->dim[d] = fv_attention_size(&a->sizes, slot->dim[d]);
    FV_REQUIRE(shape->dim[d] >= 0, FV_ERR_REQUEST, "case: expected a size for %s of %s, got none", slot->dim[d],
               slot->name);
  }
  return FV_OK;
}

/* Row pointers rise from 0 to the number of edges; some nodes have none. */
static void fill_rows(const attention *a, double *x, int64_t n, fv_rng *rng) {
  double edges = (double)fv_attention_size(&a->sizes, "M");
  for (int64_t k = 0; k < n; k++) x[k] = k == 0 ? 0 : k == n - 1 ? edges : floor(fv_rng_uniform(rng) * (edges + 1));
  for (int64_t k = 1; k < n; k++)
    for (int64_t j = k; j > 0 && x[j - 1] > x[j]; j--) {
      double t = x[j];
      x[j] = x[j - 1];
      x[j - 1] = t;
    }
}

/* A mask leaves nothing of its first row, if it has several. */
static void fill(const attention *a, int i, fv_rng *rng) {
  const fv_attention_slot *s = &a->slot[i];
  int64_t n = fv_shape_count(a->shape[i]), row = a->shape[i].ndim ? n / FV_MAX(a->shape[i].dim[0], 1) : 0;
  if (!strcmp(s->name, "row_ptr")) {
    fill_rows(a, a->x[i], n, rng);
    return;
  }
  for (int64_t k = 0; k < n; k++) {
    double u = fv_rng_uniform(rng);
    if (s->dtype == FV_F32) a->x[i][k] = 2 * u - 1;
    else if (s->ranged) a->x[i][k] = (double)s->lo + floor(u * (double)(s->hi - s->lo + 1));
    else a->x[i][k] = u < 0.6 && !(a->shape[i].dim[0] > 1 && k < row);
  }
}

static fv_status prepare(attention *a, fv_rng *rng) {
  int n_par;
  FV_TRY(read_sizes(a));
  FV_TRY(read_attrs(a));
  FV_TRY(fv_attention_slots(a->def, a->def->inputs, a->attrs, a->slot, &a->n_in));
  FV_TRY(fv_attention_slots(a->def, a->def->params, a->attrs, a->slot + a->n_in, &n_par));
  FV_TRY(fv_attention_slots(a->def, a->def->outputs, a->attrs, a->outputs, &a->n_out));
  a->n = a->n_in + n_par;
  for (int i = 0; i < a->n; i++) {
    a->absent[i] = named(a->c->absent, a->slot[i].name);
    if (a->absent[i]) continue;
    FV_TRY(shape_of(a, &a->slot[i], &a->shape[i]));
    int64_t n = fv_shape_count(a->shape[i]);
    a->x[i] = numbers(a, n), a->d[i] = numbers(a, n), a->grad[i] = numbers(a, n);
    FV_REQUIRE(a->x[i] && a->d[i] && a->grad[i], FV_ERR_MEMORY, "check: out of memory");
    fill(a, i, rng);
  }
  return FV_OK;
}

/* ---- graphs ----------------------------------------------------------------------------------------------------- */
static fv_status build_shapes(attention *a, fv_dtype type, const fv_shape *shape, built *b) {
  *b = (built){0};
  FV_TRY(fv_graph_new(NULL, type, &b->g));
  for (int i = 0; i < a->n; i++) {
    fv_dtype t = a->slot[i].dtype == FV_F32 ? type : a->slot[i].dtype;
    b->in[i] = a->absent[i] ? fv_absent(b->g) : fv_input(b->g, fv_arena_printf(a->arena, "%d", i), t, shape[i]);
  }
  fv_attention_apply(b->g, a->def, a->attrs, b->in, b->in + a->n_in, b->out);
  return fv_graph_check(b->g);
}

/* `results`: how many outputs are asked for; the gradient of their weighted sum when all are. */
static fv_status build(attention *a, fv_dtype type, int results, built *b) {
  fv_value *loss = NULL, *wrt[MOST], *grad[MOST];
  int n = 0;
  FV_TRY(build_shapes(a, type, a->shape, b));
  for (int i = 0; i < results; i++) {
    fv_output(b->g, fv_arena_printf(a->arena, "out%d", i), fv_op(b->g, "copy", NULL, b->out[i]));
    if (results < a->n_out) continue;
    b->weight[i] = fv_input(b->g, fv_arena_printf(a->arena, "weight%d", i), type, fv_value_shape(b->out[i]));
    fv_value *part = fv_op(b->g, "sum", NULL, fv_mul(b->g, b->out[i], b->weight[i]));
    loss = loss ? fv_add(b->g, loss, part) : part;
  }
  FV_TRY(fv_graph_check(b->g));
  for (int i = 0; i < a->n; i++)
    if (real(a, i)) wrt[n++] = b->in[i];
  if (!loss) return FV_OK;
  FV_TRY(fv_graph_differentiate(b->g, loss, false, n, wrt, grad));
  for (int i = 0, k = 0; i < a->n; i++) {
    if (!real(a, i)) continue;
    b->grad[i] = grad[k++];
    fv_output(b->g, fv_arena_printf(a->arena, "grad%d", i), fv_op(b->g, "copy", NULL, b->grad[i]));
  }
  return fv_graph_check(b->g);
}

static fv_status store(ck_values *v, const fv_value *value, const double *x) {
  fv_tensor *t;
  FV_TRY(ck_values_tensor(v, value, &t));
  ck_tensor_store(t, x);
  return FV_OK;
}

static fv_status load(ck_values *v, const fv_value *value, double *x) {
  fv_tensor *t;
  FV_TRY(ck_values_tensor(v, value, &t));
  ck_tensor_load(t, x);
  return FV_OK;
}

/* ---- slopes ----------------------------------------------------------------------------------------------------- */
/* The loss at x + t d. The graph without its gradient. */
static fv_status loss_at(attention *a, const built *b, ck_values *v, double t, long double *loss) {
  for (int i = 0; i < a->n; i++) {
    if (a->absent[i]) continue;
    int64_t n = fv_shape_count(a->shape[i]);
    double *x = numbers(a, n);
    FV_REQUIRE(x, FV_ERR_MEMORY, "check: out of memory");
    for (int64_t k = 0; k < n; k++) x[k] = a->x[i][k] + t * a->d[i][k];
    FV_TRY(store(v, b->in[i], x));
  }
  FV_TRY(ck_interpret(b->g, v));
  *loss = 0;
  for (int i = 0; i < a->n_out; i++) {
    fv_tensor *y;
    FV_TRY(ck_values_tensor(v, b->out[i], &y));
    for (int64_t k = 0; k < fv_shape_count(y->shape); k++)
      *loss += (long double)a->weight[i][k] * (long double)fv_get(y, k);
  }
  return FV_OK;
}

static fv_status slope(attention *a, const built *b, ck_values *v, double h, double *result) {
  long double at[4];
  const double where[] = {2 * h, h, -h, -2 * h};
  for (int i = 0; i < 4; i++) FV_TRY(loss_at(a, b, v, where[i], &at[i]));
  *result = (double)((8 * (at[1] - at[2]) - (at[0] - at[3])) / (12 * (long double)h));
  return FV_OK;
}

/* One direction within value `only` (-1: all). */
static fv_status check_direction(attention *a, const built *b, ck_values *v, int only, fv_rng *rng) {
  static const double steps[] = {1e-3, 1e-4, 1e-5, 1e-6};
  double want = 0, norm = 0, best = INFINITY, best_slope = 0;
  for (int i = 0; i < a->n; i++)
    for (int64_t k = 0, n = real(a, i) ? fv_shape_count(a->shape[i]) : 0; k < n; k++) {
      a->d[i][k] = only < 0 || only == i ? fv_rng_normal(rng) : 0;
      want += a->d[i][k] * a->grad[i][k];
      if (a->d[i][k] != 0) norm += a->grad[i][k] * a->grad[i][k];
    }
  for (size_t s = 0; s < FV_COUNT(steps); s++) {
    double got;
    FV_TRY(slope(a, b, v, steps[s], &got));
    double error = fabs(got - want);
    if (error <= 1e-6 * fmax(fmax(fabs(want), sqrt(norm)), 1e-3)) return FV_OK;
    if (!(error >= best)) best = error, best_slope = got;
  }
  ck_problem(a->r, "gradient of %s: expected a slope of %.10g, got %.10g", only < 0 ? "all" : a->slot[only].name,
             best_slope, want);
  return FV_OK;
}

static fv_status check_slopes(attention *a, fv_rng *rng) {
  built b;
  ck_values v = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(build_shapes(a, FV_F64, a->shape, &b));
  FV_TRY_DONE(ck_values_new(b.g, &v));
  for (int i = -1; i < a->n; i++)
    for (int n = 0; n < DIRECTIONS && (i < 0 || (real(a, i) && fv_shape_count(a->shape[i]))); n++)
      FV_TRY_DONE(check_direction(a, &b, &v, i, rng));
done:
  ck_values_free(&v);
  fv_graph_free(b.g);
  return status;
}

/* ---- double precision ------------------------------------------------------------------------------------------- */
static void check_finite(attention *a, const char *what, const char *name, const double *x, int64_t n) {
  for (int64_t k = 0; k < n; k++)
    if (!isfinite(x[k])) {
      ck_problem(a->r, "%s of %s: expected numbers, got %g at %lld", what, name, x[k], (long long)k);
      return;
    }
}

/* Weights of a row of which the mask leaves nothing: zero. The scales of multiscale_pool are no such row. */
static void check_masked(attention *a) {
  int mask = 0;
  while (mask < a->n_in && strcmp(a->slot[mask].name, "mask")) mask++;
  if (mask == a->n_in || a->absent[mask] || a->shape[mask].dim[0] < 2) return;
  for (int i = 1; i < a->n_out; i++) {
    fv_shape s;
    if (strcmp(a->outputs[i].name, "alpha") && strcmp(a->outputs[i].name, "weights")) continue;
    if (shape_of(a, &a->outputs[i], &s) != FV_OK) continue;
    for (int64_t k = 0; k < fv_shape_after(s, 0); k++)
      if (a->out[i][k] != 0) {
        ck_problem(a->r, "%s: expected 0 where the mask leaves nothing, got %g", a->outputs[i].name, a->out[i][k]);
        return;
      }
  }
}

static fv_status run_exact(attention *a, fv_rng *rng) {
  built b;
  ck_values v = {0};
  fv_status status = FV_OK;
  FV_TRY_DONE(build(a, FV_F64, a->n_out, &b));
  FV_TRY_DONE(ck_values_new(b.g, &v));
  for (int i = 0; i < a->n; i++)
    if (!a->absent[i]) FV_TRY_DONE(store(&v, b.in[i], a->x[i]));
  for (int i = 0; i < a->n_out; i++) {
    fv_shape want;
    FV_TRY_DONE(shape_of(a, &a->outputs[i], &want));
    FV_REQUIRE_DONE(fv_shape_equal(want, fv_value_shape(b.out[i])), FV_ERR_INTERNAL, "%s: expected %s, got %s",
                    a->outputs[i].name, fv_shape_text(want), fv_shape_text(fv_value_shape(b.out[i])));
    int64_t n = fv_shape_count(want);
    a->out[i] = numbers(a, n), a->weight[i] = numbers(a, n);
    FV_REQUIRE_DONE(a->out[i] && a->weight[i], FV_ERR_MEMORY, "check: out of memory");
    for (int64_t k = 0; k < n; k++) a->weight[i][k] = fv_rng_normal(rng);
    FV_TRY_DONE(store(&v, b.weight[i], a->weight[i]));
  }
  FV_TRY_DONE(ck_interpret(b.g, &v));
  for (int i = 0; i < a->n_out; i++) {
    FV_TRY_DONE(load(&v, b.out[i], a->out[i]));
    check_finite(a, "value", a->outputs[i].name, a->out[i], fv_shape_count(fv_value_shape(b.out[i])));
  }
  for (int i = 0; i < a->n; i++) {
    if (!real(a, i)) continue;
    FV_TRY_DONE(load(&v, b.grad[i], a->grad[i]));
    check_finite(a, "gradient", a->slot[i].name, a->grad[i], fv_shape_count(a->shape[i]));
  }
  check_masked(a);
done:
  ck_values_free(&v);
  fv_graph_free(b.g);
  return status;
}

/* ---- compiled --------------------------------------------------------------------------------------------------- */
static void bind(fv_exec *exec, attention *a, const char *name, const fv_value *v, const double *x) {
  int input = fv_exec_input(exec, name);
  fv_tensor t = {.dtype = fv_value_dtype(v), .shape = fv_value_shape(v)};
  t.data = fv_arena_alloc(a->arena, (size_t)fv_shape_count(t.shape) * 4 + 4);
  if (input < 0 || !t.data) return;
  ck_tensor_store(&t, x);
  fv_exec_bind_input(exec, input, t.data);
}

static void compare(attention *a, const fv_exec *exec, const char *what, const char *name, const char *output,
                    const double *want, double relative) {
  const fv_tensor *got = fv_exec_output(exec, output);
  if (!got) {
    ck_problem(a->r, "%s of %s: expected a result, got none", what, name);
    return;
  }
  int64_t n = fv_shape_count(got->shape);
  double most = 0, worst = 0;
  for (int64_t k = 0; k < n; k++) most = fmax(most, fabs(want[k]));
  for (int64_t k = 0; k < n; k++) {
    double error = fabs(fv_get(got, k) - want[k]) / (1e-5 + relative * most);
    worst = error <= worst ? worst : error; /* NaN is worst */
  }
  if (!(worst <= 1))
    ck_problem(a->r, "%s of %s in single precision: error is %.3g times what is allowed", what, name, worst);
}

/* Runs the compiled graph of `results` outputs; `result` gets the bytes of the first. */
static fv_status run_compiled(attention *a, int results, float **result) {
  built b;
  fv_program *program = NULL;
  fv_exec *exec = NULL;
  void *packed = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(build(a, FV_F32, results, &b));
  FV_TRY_DONE(fv_program_new(b.g, &program));
  FV_TRY_DONE(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(program).packed_bytes, &packed));
  FV_TRY_DONE(fv_exec_new(program, NULL, NULL, packed, &exec));
  FV_TRY_DONE(fv_program_prologue(program, NULL, packed, NULL));
  for (int i = 0; i < a->n; i++)
    if (!a->absent[i]) bind(exec, a, fv_arena_printf(a->arena, "%d", i), b.in[i], a->x[i]);
  for (int i = 0; i < results; i++)
    if (b.weight[i]) bind(exec, a, fv_arena_printf(a->arena, "weight%d", i), b.weight[i], a->weight[i]);
  fv_exec_run(exec);
  for (int i = 0; i < results; i++)
    compare(a, exec, "value", a->outputs[i].name, fv_arena_printf(a->arena, "out%d", i), a->out[i], 2e-5);
  for (int i = 0; i < a->n; i++)
    if (b.grad[i])
      compare(a, exec, "gradient", a->slot[i].name, fv_arena_printf(a->arena, "grad%d", i), a->grad[i], 1e-4);
  const fv_tensor *first = fv_exec_output(exec, "out0");
  size_t bytes = first ? (size_t)fv_shape_count(first->shape) * sizeof(float) : 0;
  *result = fv_arena_alloc(a->arena, bytes + 1);
  if (*result && bytes) memcpy(*result, first->data, bytes);
done:
  fv_exec_free(exec);
  fv_slab_free(packed);
  fv_program_free(program);
  fv_graph_free(b.g);
  return status;
}

static fv_status check_compiled(attention *a) {
  float *with, *without;
  fv_shape shape;
  FV_TRY(shape_of(a, &a->outputs[0], &shape));
  FV_TRY(run_compiled(a, a->n_out, &with));
  if (a->n_out == 1) return FV_OK;
  FV_TRY(run_compiled(a, 1, &without));
  if (with && without && memcmp(with, without, (size_t)fv_shape_count(shape) * sizeof(float)))
    ck_problem(a->r, "%s: expected the same bits whether weights are asked for or not", a->outputs[0].name);
  return FV_OK;
}

/* ---- refusals --------------------------------------------------------------------------------------------------- */
/* One dimension too many must be refused; one element too many may only be where nothing else has that size. */
static void check_refusals(attention *a) {
  for (int i = 0; i < a->n; i++) {
    if (a->absent[i] || a->shape[i].ndim == FV_MAX_DIMS) continue;
    fv_shape shape[MOST];
    built b;
    memcpy(shape, a->shape, sizeof shape);
    shape[i].dim[shape[i].ndim++] = 1;
    if (build_shapes(a, FV_F32, shape, &b) != FV_ERR_REQUEST)
      ck_problem(a->r, "%s: expected one dimension too many to be refused, got a graph", a->slot[i].name);
    else if (!strstr(fv_error_message(), "expected") || !strstr(fv_error_message(), a->slot[i].name))
      ck_problem(a->r, "%s: expected a message about it, got '%s'", a->slot[i].name, fv_error_message());
    fv_graph_free(b.g);
    shape[i] = a->shape[i];
    for (int d = 0; d < a->shape[i].ndim; d++) {
      shape[i].dim[d]++;
      fv_status status = build_shapes(a, FV_F32, shape, &b);
      if (status != FV_OK && status != FV_ERR_REQUEST)
        ck_problem(a->r, "%s: expected %s to be built or refused, got: %s", a->slot[i].name, fv_shape_text(shape[i]),
                   fv_error_message());
      fv_graph_free(b.g);
      shape[i].dim[d]--;
    }
  }
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */
static fv_status check_case(attention *a, int index) {
  fv_rng rng = ck_rng(a->r->seed, a->def->name, index);
  FV_TRY(prepare(a, &rng));
  FV_TRY(run_exact(a, &rng));
  if (!a->def->no_gradient) FV_TRY(check_slopes(a, &rng));
  FV_TRY(check_compiled(a));
  check_refusals(a);
  return FV_OK;
}

static void check_row(ck_report *r, const fv_attention_def *def) {
  ck_begin(r, def->name, "%s definition", def->name);
  if (!def->doc || !def->paper) ck_problem(r, "doc, paper: expected both");
  if (!def->cases || !def->cases->sizes) ck_problem(r, "cases: expected some, got none");
  ck_end(r);
  for (int i = 0; def->cases && def->cases[i].sizes; i++) {
    attention a = {.r = r, .def = def, .c = &def->cases[i]};
    ck_begin(r, def->name, "%s %s %s%s%s", def->name, a.c->sizes, a.c->attrs ? a.c->attrs : "",
             a.c->absent ? " without " : "", a.c->absent ? a.c->absent : "");
    if (fv_arena_new(&a.arena) != FV_OK || check_case(&a, i) != FV_OK) ck_problem(r, "%s", fv_error_message());
    fv_arena_free(a.arena);
    ck_end(r);
  }
}

void ck_mode_attention(ck_report *r) {
  for (int i = 0; fv_attentions[i]; i++)
    if (ck_wanted(r, fv_attentions[i]->name)) check_row(r, fv_attentions[i]);
}
