/* SPDX-License-Identifier: Apache-2.0 */
/* golden.c: the attention mechanisms against reference values from files. A file holds inputs `in.NAME`, parameters
 * `par.NAME`, outputs `out.NAME`, cotangents `cot.NAME` and the gradients `grad.NAME` of the sum of <cot, out>; its
 * metadata names the mechanism and its attributes. The very `build` that recipes use is compiled and run; every
 * element must lie within 1e-5 + 2e-5 max|ref| (outputs) or 1e-5 + 1e-4 max|ref| (gradients). A mechanism or an
 * attribute that is not known is a failure. */
#include "attention/attention.h"
#include "check.h"
#include "io/io.h"

typedef struct golden {
  const char *path;
  fv_safetensors *file;
  const fv_attention_def *def;
  fv_attention_slot inputs[FV_ATTENTION_MOST], params[FV_ATTENTION_MOST], outputs[FV_ATTENTION_MOST];
  int n_inputs, n_params, n_outputs;
  void *attrs;
  fv_arena *arena;
  fv_graph *g;
  fv_value *in[FV_ATTENTION_MOST], *par[FV_ATTENTION_MOST], *out[FV_ATTENTION_MOST];
  fv_value *wrt[2 * FV_ATTENTION_MOST], *grad[2 * FV_ATTENTION_MOST];
  const char *wrt_name[2 * FV_ATTENTION_MOST];
  int n_wrt;
} golden;

static const fv_array *tensor(const golden *c, const char *kind, const char *name) {
  char full[128];
  snprintf(full, sizeof full, "%s.%s", kind, name);
  return fv_safetensors_find(c->file, full);
}

/* {"heads": 3, "causal": true, "scales": [1, 2]} through the mechanism's option table. */
static fv_status read_attrs(golden *c) {
  const char *text = fv_safetensors_meta(c->file, "attrs"), *key;
  json_t *root = NULL, *value;
  if (c->def->attrs_size) {
    c->attrs = fv_arena_alloc(c->arena, c->def->attrs_size);
    FV_REQUIRE(c->attrs, FV_ERR_MEMORY, "out of memory");
    FV_TRY(fv_options_defaults(c->def->attrs, c->attrs));
  }
  if (!text) return FV_OK;
  fv_status status = fv_json_parse(text, strlen(text), c->path, 1 << 16, &root);
  if (status != FV_OK) return status;
  json_object_foreach(root, key, value) {
    char *word = json_is_string(value) ? fv_arena_strdup(c->arena, json_string_value(value)) : NULL;
    if (!word) { /* numbers, booleans and lists print as the option table reads them, but for the brackets */
      char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
      size_t n = dump ? strlen(dump) : 0;
      bool list = n >= 2 && dump[0] == '[';
      word = dump ? fv_arena_printf(c->arena, "%.*s", (int)(n - (list ? 2 : 0)), dump + list) : NULL;
      free(dump);
    }
    const fv_option *table = c->def->attrs_size ? c->def->attrs : (const fv_option[]){{0}};
    status = word ? fv_options_set(table, c->attrs, c->def->name, key, word, c->arena)
                  : FV_FAIL(FV_ERR_MEMORY, "out of memory");
    if (status != FV_OK) break;
  }
  json_decref(root);
  return status;
}

/* An input of the graph for a tensor of the file; absent when the file has none. */
static fv_value *feed(golden *c, const char *kind, const char *name) {
  const fv_array *a = tensor(c, kind, name);
  if (!a) return fv_absent(c->g);
  fv_shape shape = {.ndim = a->ndim};
  for (int d = 0; d < a->ndim; d++) shape.dim[d] = a->dim[d];
  fv_dtype dtype = a->elem == FV_ELEM_U8 ? FV_U8 : a->elem == FV_ELEM_I32 ? FV_I32 : FV_F32;
  fv_value *v = fv_input(c->g, a->name, dtype, shape);
  if (strcmp(kind, "cot") && tensor(c, "grad", name)) {
    c->wrt[c->n_wrt] = v;
    c->wrt_name[c->n_wrt++] = name;
  }
  return v;
}

static fv_status build(golden *c) {
  FV_TRY(fv_graph_new(NULL, FV_F32, &c->g));
  for (int i = 0; i < c->n_inputs; i++) c->in[i] = feed(c, "in", c->inputs[i].name);
  for (int i = 0; i < c->n_params; i++) c->par[i] = feed(c, "par", c->params[i].name);
  fv_attention_apply(c->g, c->def, c->attrs, c->in, c->par, c->out);
  FV_TRY(fv_graph_check(c->g));
  fv_value *loss = NULL;
  for (int i = 0; i < c->n_outputs; i++) {
    const char *name = c->outputs[i].name;
    fv_output(c->g, fv_arena_printf(c->arena, "out.%s", name), fv_op(c->g, "copy", NULL, c->out[i]));
    if (!tensor(c, "cot", name)) continue;
    fv_value *part = fv_op(c->g, "sum", NULL, fv_mul(c->g, c->out[i], feed(c, "cot", name)));
    loss = loss ? fv_add(c->g, loss, part) : part;
  }
  if (!loss || !c->n_wrt) return fv_graph_check(c->g);
  FV_TRY(fv_graph_differentiate(c->g, loss, false, c->n_wrt, c->wrt, c->grad));
  for (int i = 0; i < c->n_wrt; i++)
    fv_output(c->g, fv_arena_printf(c->arena, "grad.%s", c->wrt_name[i]),
              fv_op(c->g, "copy", NULL, c->grad[i]));
  return fv_graph_check(c->g);
}

/* The largest error as a share of what is allowed; above 1 is a failure. */
static double compare(const golden *c, const fv_exec *exec, const fv_array *want, double relative) {
  const fv_tensor *got = fv_exec_output(exec, want->name);
  const float *ref = want->data;
  double most = 0, worst = 0;
  (void)c;
  if (!got || fv_shape_count(got->shape) != want->count) return INFINITY;
  for (int64_t i = 0; i < want->count; i++) most = fmax(most, fabs((double)ref[i]));
  for (int64_t i = 0; i < want->count; i++) {
    double error = fabs(fv_get(got, i) - (double)ref[i]) / (1e-5 + relative * most);
    worst = error <= worst ? worst : error; /* NaN is worst */
  }
  return worst;
}

static void verdict(ck_report *r, const golden *c, const fv_exec *exec) {
  double worst = 0;
  const char *where = "";
  for (int64_t i = 0; i < fv_safetensors_count(c->file); i++) {
    const fv_array *want = fv_safetensors_at(c->file, i);
    bool out = !strncmp(want->name, "out.", 4), grad = !strncmp(want->name, "grad.", 5);
    if (!out && !grad) continue;
    double error = compare(c, exec, want, out ? 2e-5 : 1e-4);
    if (!(error <= 1)) ck_problem(r, "%s: error is %.3g times what is allowed", want->name, error);
    if (!(error <= worst)) {
      worst = error;
      where = want->name;
    }
  }
  if (!r->quiet) printf("%-44s %-18s largest error %.3f of the tolerance (%s)\n", c->path, c->def->name, worst, where);
}

static fv_status run(ck_report *r, golden *c) {
  fv_program *program = NULL;
  fv_exec *exec = NULL;
  void *packed = NULL;
  fv_status status = FV_OK;
  FV_TRY_DONE(fv_program_new(c->g, &program));
  FV_TRY_DONE(fv_slab_new(NULL, FV_ACCOUNT_PACKED, fv_program_get_info(program).packed_bytes, &packed));
  FV_TRY_DONE(fv_exec_new(program, NULL, NULL, packed, &exec));
  FV_TRY_DONE(fv_program_prologue(program, NULL, packed, NULL));
  for (int64_t i = 0; i < fv_safetensors_count(c->file); i++) {
    const fv_array *a = fv_safetensors_at(c->file, i);
    int input = fv_exec_input(exec, a->name);
    if (input >= 0) fv_exec_bind_input(exec, input, a->data);
  }
  fv_exec_run(exec);
  verdict(r, c, exec);
done:
  fv_exec_free(exec);
  fv_slab_free(packed);
  fv_program_free(program);
  return status;
}

static fv_status check_file(ck_report *r, golden *c) {
  FV_TRY(fv_arena_new(&c->arena));
  FV_TRY(fv_safetensors_open(c->path, &c->file));
  const char *name = fv_safetensors_meta(c->file, "mechanism");
  c->def = name ? fv_attention_find(name) : NULL;
  FV_REQUIRE(c->def, FV_ERR_REQUEST, "mechanism: expected a known one, got '%s'", name ? name : "none");
  FV_TRY(read_attrs(c));
  FV_TRY(fv_attention_slots(c->def, c->def->inputs, c->attrs, c->inputs, &c->n_inputs));
  FV_TRY(fv_attention_slots(c->def, c->def->params, c->attrs, c->params, &c->n_params));
  FV_TRY(fv_attention_slots(c->def, c->def->outputs, c->attrs, c->outputs, &c->n_outputs));
  FV_TRY(build(c));
  return run(r, c);
}

void ck_mode_golden(ck_report *r) {
  fv_arena *arena;
  char **names;
  size_t n;
  if (!r->only) {
    ck_skip(r, "golden: no directory given");
    return;
  }
  if (fv_arena_new(&arena) != FV_OK) return;
  ck_begin(r, r->only, "golden %s", r->only);
  if (fv_dir_list(r->only, arena, &names, &n) != FV_OK) {
    ck_problem(r, "%s", fv_error_message());
    ck_end(r);
    n = 0;
  }
  for (size_t i = 0; i < n; i++) {
    if (!strstr(names[i], ".safetensors")) continue;
    golden c = {.path = fv_path_join(arena, r->only, names[i])};
    ck_begin(r, c.path, "golden %s", names[i]);
    if (check_file(r, &c) != FV_OK) ck_problem(r, "%s", fv_error_message());
    ck_end(r);
    fv_graph_free(c.g);
    fv_safetensors_close(c.file);
    fv_arena_free(c.arena);
  }
  fv_arena_free(arena);
}
