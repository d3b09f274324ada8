/* SPDX-License-Identifier: Apache-2.0 */
/* graph.c: building. A mistake is kept in the graph (the first one) and its value is NULL; a NULL operand makes a NULL
 * result, so that a model reads as one column of calls. */
#include "ir/ir.h"

fv_status fv_graph_new(fv_params *params, fv_dtype real, fv_graph **graph) {
  *graph = NULL;
  FV_REQUIRE(real == FV_F32 || real == FV_F64, FV_ERR_REQUEST, "graph: expected real numbers f32 or f64, got %s",
             fv_dtype_name(real));
  fv_graph *g;
  FV_TRY(FV_NEW(&g, 1));
  fv_status status = fv_arena_new(&g->arena);
  if (status != FV_OK) {
    fv_free(g);
    return status;
  }
  g->params = params;
  g->real = real;
  *graph = g;
  return FV_OK;
}

void fv_graph_free(fv_graph *g) {
  if (!g) return;
  fv_free(g->values);
  fv_free(g->nodes);
  fv_named_list *lists[] = {&g->inputs, &g->outputs, &g->taps, &g->gradients, &g->tracks};
  for (size_t i = 0; i < FV_COUNT(lists); i++) fv_free(lists[i]->v);
  fv_arena_free(g->arena);
  fv_free(g);
}

fv_status fv_graph_check(const fv_graph *g) {
  return g->status == FV_OK ? FV_OK : FV_FAIL(g->status, "%s", g->message);
}

fv_value *fv_graph_fail(fv_graph *g, fv_status status) {
  if (g->status == FV_OK && status != FV_OK) {
    g->status = status;
    snprintf(g->message, sizeof g->message, "%s", fv_error_message());
  }
  return NULL;
}

#define FAIL(g, ...) fv_graph_fail((g), FV_FAIL(FV_ERR_REQUEST, __VA_ARGS__))
#define OUT_OF_MEMORY(g) fv_graph_fail((g), FV_FAIL(FV_ERR_MEMORY, "graph: out of memory"))

/* Room for one more element in a growing array. */
static bool grow(void *array, int n, int *cap, size_t size) {
  void **p = array;
  if (n < *cap) return true;
  int next = *cap ? 2 * *cap : 32;
  void *more = fv_realloc(*p, (size_t)next * size);
  if (!more) return false;
  *p = more;
  *cap = next;
  return true;
}

bool fv_named_add(fv_named_list *list, fv_named item) {
  if (!item.name || !grow(&list->v, list->n, &list->cap, sizeof item)) return false;
  list->v[list->n++] = item;
  return true;
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
void fv_scope_push(fv_graph *g, const char *fmt, ...) {
  size_t n = strlen(g->scope);
  bool fits = n + 2 < sizeof g->scope && g->n_scopes < (int)FV_COUNT(g->scope_start);
  if (!fits) (void)FAIL(g, "graph: expected fewer scopes, got one more below '%s'", g->scope);
  if (g->n_scopes < (int)FV_COUNT(g->scope_start)) g->scope_start[g->n_scopes] = (int)n;
  g->n_scopes++;
  if (!fits) return;
  if (n) g->scope[n++] = '.';
  va_list args;
  va_start(args, fmt);
  vsnprintf(g->scope + n, sizeof g->scope - n, fmt, args);
  va_end(args);
}

void fv_scope_pop(fv_graph *g) {
  if (g->n_scopes == 0) return;
  if (--g->n_scopes < (int)FV_COUNT(g->scope_start)) g->scope[g->scope_start[g->n_scopes]] = 0;
}

static const char *scoped(fv_graph *g, const char *name) {
  return g->scope[0] ? fv_arena_printf(g->arena, "%s.%s", g->scope, name) : fv_arena_strdup(g->arena, name);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */
static fv_value *value_new(fv_graph *g, fv_value_kind kind, fv_dtype dtype, fv_shape shape, const char *name) {
  fv_value *v = fv_arena_alloc(g->arena, sizeof *v);
  if (!v || !name || !grow(&g->values, g->n_values, &g->cap_values, sizeof *g->values)) return OUT_OF_MEMORY(g);
  *v = (fv_value){.id = g->n_values, .kind = kind, .dtype = dtype, .shape = shape, .name = name};
  g->values[g->n_values++] = v;
  return v;
}

static bool shape_valid(fv_shape s) {
  if (s.ndim < 0 || s.ndim > FV_MAX_DIMS) return false;
  int64_t count = 1;
  for (int i = 0; i < s.ndim; i++)
    if (s.dim[i] < 0 || __builtin_mul_overflow(count, FV_MAX(s.dim[i], 1), &count) || count > INT64_C(1) << 46)
      return false;
  return true;
}

static fv_named *find(const fv_named_list *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (!strcmp(list->v[i].name, name)) return &list->v[i];
  return NULL;
}

fv_value *fv_input(fv_graph *g, const char *name, fv_dtype dtype, fv_shape shape) {
  if (!shape_valid(shape))
    return FAIL(g, "input '%s': expected non-negative dimensions, got %s", name, fv_shape_text(shape));
  if (find(&g->inputs, name)) return FAIL(g, "input '%s': expected a new name, got one already used", name);
  fv_value *v = value_new(g, FV_VALUE_INPUT, dtype, shape, fv_arena_strdup(g->arena, name));
  if (!v) return NULL;
  v->out_index = g->inputs.n;
  return fv_named_add(&g->inputs, (fv_named){.name = v->name, .value = v}) ? v : OUT_OF_MEMORY(g);
}

fv_value *fv_const_data(fv_graph *g, fv_dtype dtype, fv_shape shape, const void *data) {
  if (!shape_valid(shape)) return FAIL(g, "constant: expected non-negative dimensions, got %s", fv_shape_text(shape));
  size_t bytes = (size_t)fv_shape_count(shape) * fv_dtype_size(dtype);
  void *copy = fv_arena_alloc(g->arena, bytes ? bytes : 1);
  fv_value *v = value_new(g, FV_VALUE_CONST, dtype, shape, "const");
  if (!copy || !v) return OUT_OF_MEMORY(g);
  memcpy(copy, data, bytes);
  v->data = copy;
  return v;
}

fv_value *fv_const(fv_graph *g, double value) {
  float f = (float)value;
  return fv_const_data(g, g->real, FV_SCALAR, g->real == FV_F64 ? (const void *)&value : (const void *)&f);
}

fv_value *fv_absent(fv_graph *g) {
  if (!g->absent) g->absent = value_new(g, FV_VALUE_ABSENT, g->real, (fv_shape){.ndim = 0}, "absent");
  return g->absent;
}

fv_shape fv_value_shape(const fv_value *v) { return v ? v->shape : (fv_shape){.ndim = -1}; }
fv_dtype fv_value_dtype(const fv_value *v) { return v ? v->dtype : FV_F32; }
const char *fv_value_name(const fv_value *v) { return v ? v->name : "(none)"; }
int64_t fv_dim(const fv_value *v, int i) {
  if (!v) return 0;
  int axis = fv_axis(i, v->shape.ndim);
  return axis >= 0 && axis < v->shape.ndim ? v->shape.dim[axis] : 0;
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */
static const char *node_name(fv_graph *g, const fv_op_def *op) {
  int same = 0;
  const char *base = scoped(g, op->name);
  size_t n = base ? strlen(base) : 0;
  for (int i = 0; base && i < g->n_nodes; i++) {
    const char *other = g->nodes[i]->name;
    same += !strncmp(other, base, n) && (!other[n] || other[n] == '_');
  }
  return same ? fv_arena_printf(g->arena, "%s_%d", base, same + 1) : base;
}

fv_status fv_infer_fail(const fv_infer *c, const char *file, int line, const char *func, const char *fmt, ...) {
  char text[400];
  va_list args;
  va_start(args, fmt);
  vsnprintf(text, sizeof text, fmt, args);
  va_end(args);
  return fv_fail_at(FV_ERR_REQUEST, file, line, func, "%s (%s): %s", c->op->name, c->name, text);
}

bool fv_has_in(const fv_infer *c, int i) { return i < c->n_in && c->in[i]->kind != FV_VALUE_ABSENT; }

/* Attributes copied into the graph, defaults filled in, ranges checked. */
static fv_status copy_attrs(fv_graph *g, const fv_op_def *op, const char *name, const void *attrs, void **out) {
  *out = NULL;
  if (!op->attrs_size) return FV_OK;
  void *a = fv_arena_alloc(g->arena, op->attrs_size);
  FV_REQUIRE(a, FV_ERR_MEMORY, "graph: out of memory");
  if (attrs) memcpy(a, attrs, op->attrs_size);
  else FV_TRY(fv_options_defaults(op->attrs, a));
  *out = a;
  char what[300];
  snprintf(what, sizeof what, "%s (%s)", op->name, name);
  return op->attrs ? fv_options_check(op->attrs, a, what) : FV_OK;
}

static fv_status infer(fv_graph *g, const fv_op_def *op, const char *name, const void *attrs, int n_in,
                       fv_value *const *in, fv_infer *c) {
  *c = (fv_infer){.g = g, .op = op, .name = name, .attrs = attrs, .n_in = n_in, .in = in, .n_out = 1};
  int most = op->n_in_max == 0 ? op->n_in : op->n_in_max;
  FV_INFER_REQUIRE(c, n_in >= op->n_in && (most < 0 || n_in <= most), "expected %d%s inputs, got %d", op->n_in,
                   most == op->n_in ? "" : most < 0 ? " or more" : " (and optional)", n_in);
  for (int i = 0; i < op->n_in; i++)
    FV_INFER_REQUIRE(c, in[i]->kind != FV_VALUE_ABSENT, "input %d: expected a value, got none", i);
  for (int i = 0; i < FV_MAX_OUTS; i++) c->dtype[i] = n_in ? in[0]->dtype : FV_F32;
  FV_TRY(op->infer(c));
  FV_ASSERT(c->n_out >= 1 && c->n_out <= FV_MAX_OUTS);
  for (int i = 0; i < c->n_out; i++)
    FV_INFER_REQUIRE(c, shape_valid(c->shape[i]), "expected a result that fits in memory, got %s",
                     fv_shape_text(c->shape[i]));
  return FV_OK;
}

static fv_node *node_new(fv_graph *g, const fv_op_def *op, const char *name, const void *attrs, const fv_infer *c) {
  fv_node *node = fv_arena_alloc(g->arena, sizeof *node);
  fv_value **links = fv_arena_alloc(g->arena, (size_t)(c->n_in + c->n_out) * sizeof *links);
  if (!node || !links || !grow(&g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes)) {
    (void)OUT_OF_MEMORY(g);
    return NULL;
  }
  *node = (fv_node){.id = g->n_nodes, .op = op, .attrs = attrs, .n_in = c->n_in, .n_out = c->n_out, .in = links,
                    .out = links + c->n_in, .name = name};
  for (int i = 0; i < c->n_in; i++) node->in[i] = c->in[i];
  for (int i = 0; i < c->n_out; i++) {
    fv_value *v = value_new(g, FV_VALUE_NODE, c->dtype[i], c->shape[i],
                            i ? fv_arena_printf(g->arena, "%s:%d", name, i) : name);
    if (!v) return NULL;
    v->producer = node;
    v->out_index = i;
    node->out[i] = v;
  }
  g->nodes[g->n_nodes++] = node;
  return node;
}

static fv_node *apply(fv_graph *g, const fv_op_def *op, const void *attrs, int n_in, fv_value *const *in) {
  if (g->status != FV_OK) return NULL;
  const char *name = node_name(g, op);
  for (int i = 0; i < n_in; i++)
    if (!in[i]) {
      (void)FAIL(g, "%s (%s): input %d: expected a value, got NULL", op->name, name ? name : "", i);
      return NULL;
    }
  void *copy;
  fv_infer c;
  fv_status status = name ? copy_attrs(g, op, name, attrs, &copy) : FV_FAIL(FV_ERR_MEMORY, "graph: out of memory");
  if (status == FV_OK) status = infer(g, op, name, copy, n_in, in, &c);
  if (status != FV_OK) {
    (void)fv_graph_fail(g, status);
    return NULL;
  }
  return node_new(g, op, name, copy, &c);
}

static const fv_op_def *op_named(fv_graph *g, const char *name) {
  const fv_op_def *op = fv_op_find(name);
  if (!op && g->status == FV_OK) {
    const char *names[512];
    size_t n = 0;
    for (; fv_ops[n] && n < FV_COUNT(names) - 1; n++) names[n] = fv_ops[n]->name;
    names[n] = NULL;
    const char *near = fv_nearest_name(name, names);
    (void)FAIL(g, "operation '%s': expected a known name%s%s%s", name, near ? " (did you mean '" : "", near ? near : "",
               near ? "'?)" : "");
  }
  return op;
}

fv_value *fv_op_apply(fv_graph *g, const char *op, const void *attrs, int n_in, fv_value *const *in) {
  const fv_op_def *def = op_named(g, op);
  fv_node *node = def ? apply(g, def, attrs, n_in, in) : NULL;
  return node ? node->out[0] : NULL;
}

bool fv_op_n(fv_graph *g, const char *op, const void *attrs, int n_in, fv_value *const *in, int n_outs,
             fv_value **outs) {
  for (int i = 0; i < n_outs; i++) outs[i] = NULL;
  const fv_op_def *def = op_named(g, op);
  fv_node *node = def ? apply(g, def, attrs, n_in, in) : NULL;
  if (!node) return false;
  if (node->n_out < n_outs) {
    (void)FAIL(g, "%s (%s): expected %d outputs, got %d", op, node->name, n_outs, node->n_out);
    return false;
  }
  for (int i = 0; i < n_outs; i++) outs[i] = node->out[i];
  return true;
}

/* "a=1 b=2" into an attribute struct in the graph's arena. */
static fv_status parse_attrs(fv_graph *g, const fv_op_def *op, const char *text, void **out) {
  *out = NULL;
  if (!op->attrs_size) {
    FV_REQUIRE(!text || !*text, FV_ERR_REQUEST, "%s: expected no attributes, got '%s'", op->name, text);
    return FV_OK;
  }
  void *attrs = fv_arena_alloc(g->arena, op->attrs_size);
  char *copy = fv_arena_strdup(g->arena, text ? text : ""), *save = NULL;
  FV_REQUIRE(attrs && copy, FV_ERR_MEMORY, "graph: out of memory");
  FV_TRY(fv_options_defaults(op->attrs, attrs));
  for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
    char *equals = strchr(word, '=');
    FV_REQUIRE(equals, FV_ERR_REQUEST, "%s: expected attribute=value, got '%s'", op->name, word);
    *equals = 0;
    FV_TRY(fv_options_set(op->attrs, attrs, op->name, word, equals + 1, g->arena));
  }
  *out = attrs;
  return FV_OK;
}

fv_value *fv_op_text(fv_graph *g, const char *op, const char *attrs, int n_in, fv_value *const *in) {
  const fv_op_def *def = op_named(g, op);
  void *parsed;
  if (!def) return NULL;
  fv_status status = parse_attrs(g, def, attrs, &parsed);
  if (status != FV_OK) return fv_graph_fail(g, status);
  fv_node *node = apply(g, def, parsed, n_in, in);
  return node ? node->out[0] : NULL;
}

const fv_op_def *fv_op_find(const char *name) {
  for (size_t i = 0; fv_ops[i]; i++)
    if (!strcmp(fv_ops[i]->name, name)) return fv_ops[i];
  return NULL;
}

/* ---- outputs, taps, tracks --------------------------------------------------------------------------------------- */
void fv_output(fv_graph *g, const char *name, fv_value *v) {
  if (!v) return;
  const char *copy = fv_arena_strdup(g->arena, name);
  if (!copy) (void)OUT_OF_MEMORY(g);
  else if (find(&g->outputs, name)) (void)FAIL(g, "output '%s': expected a new name, got one already used", name);
  else if (!fv_named_add(&g->outputs, (fv_named){.name = copy, .value = v})) (void)OUT_OF_MEMORY(g);
}

void fv_tap(fv_graph *g, const char *name, const char *kind, fv_value *v) {
  if (!v) return;
  const char *full = scoped(g, name);
  if (!full || !fv_named_add(&g->taps, (fv_named){.name = full, .kind = kind, .value = v})) (void)OUT_OF_MEMORY(g);
}

void fv_track(fv_graph *g, fv_value *buffer, fv_value *v) {
  if (!buffer || !v) return;
  if (buffer->kind != FV_VALUE_PARAM || !fv_shape_equal(buffer->shape, v->shape))
    (void)FAIL(g, "running statistic '%s': expected %s, got %s", fv_value_name(buffer), fv_shape_text(buffer->shape),
               fv_shape_text(v->shape));
  else if (!fv_named_add(&g->tracks, (fv_named){.name = buffer->name, .value = v, .target = buffer}))
    (void)OUT_OF_MEMORY(g);
}

void fv_graph_replace(fv_graph *g, fv_value *old, fv_value *with) {
  for (int i = 0; i < g->n_nodes; i++)
    for (int k = 0; k < g->nodes[i]->n_in; k++)
      if (g->nodes[i]->in[k] == old) g->nodes[i]->in[k] = with;
  fv_named_list *lists[] = {&g->outputs, &g->taps, &g->gradients, &g->tracks};
  for (size_t l = 0; l < FV_COUNT(lists); l++)
    for (int i = 0; i < lists[l]->n; i++)
      if (lists[l]->v[i].value == old) lists[l]->v[i].value = with;
}

/* ---- parameters -------------------------------------------------------------------------------------------------- */
fv_value *fv_param(fv_graph *g, const char *name, fv_shape shape, fv_init init, fv_group group) {
  if (g->status != FV_OK) return NULL;
  const char *full = scoped(g, name);
  if (!full) return OUT_OF_MEMORY(g);
  if (!shape_valid(shape))
    return FAIL(g, "parameter '%s': expected non-negative dimensions, got %s", full, fv_shape_text(shape));
  if (!g->params) return FAIL(g, "parameter '%s': expected a graph with a parameter store, got one without", full);
  int index = fv_params_find(g->params, full);
  if (index >= 0) {
    fv_shape known = g->params->v[index].shape;
    if (!fv_shape_equal(known, shape))
      return FAIL(g, "parameter '%s': expected %s as in the store, got %s", full, fv_shape_text(known),
                  fv_shape_text(shape));
  } else {
    fv_status status =
        fv_params_add(g->params, (fv_param_info){.name = full, .shape = shape, .init = init, .group = group});
    if (status != FV_OK) return fv_graph_fail(g, status);
    index = g->params->n - 1;
  }
  for (int i = 0; i < g->n_values; i++)
    if (g->values[i]->kind == FV_VALUE_PARAM && g->values[i]->out_index == index) return g->values[i];
  fv_value *v = value_new(g, FV_VALUE_PARAM, g->real, shape, full);
  if (v) v->out_index = index;
  return v;
}

void fv_string_free(char *s) { fv_free(s); }
