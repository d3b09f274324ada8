/* SPDX-License-Identifier: Apache-2.0 */
/* self.c: the checker checked. Rows that are wrong on purpose, each in one way, must be caught, and with the words that
 * name the mistake; their right siblings must pass. */
#include "check.h"

#define UNIT 8

static int64_t units(const fv_node *n) { return fv_ceil_div(fv_shape_count(n->out[0]->shape), UNIT); }
static int64_t scratch(const fv_node *n) {
  (void)n;
  return 10;
}

/* ---- kernels of `copy` ------------------------------------------------------------------------------------------ */
typedef struct span {
  float *x, *y;
  int64_t begin, end, n; /* elements of this piece, and of all */
} span;
static span span_of(const fv_call *c) {
  int64_t n = fv_shape_count(c->out[0].shape);
  return (span){
      .x = c->in[0].data, .y = c->out[0].data, .begin = c->begin * UNIT, .end = FV_MIN(c->end * UNIT, n), .n = n};
}

static void run_right(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] = s.x[i];
}
static void run_writes_after(const fv_call *c) {
  span s = span_of(c);
  run_right(c);
  *(volatile float *)&s.y[s.n] = 1;
}
static void run_writes_before(const fv_call *c) {
  span s = span_of(c);
  run_right(c);
  *(volatile float *)&s.y[-1] = 1;
}
static void run_reads_after(const fv_call *c) {
  span s = span_of(c);
  run_right(c);
  (void)*(volatile float *)&s.x[s.n];
}
static void run_wrong_value(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] = s.x[i] * (i == 6 ? 1.0001f : 1);
}
static void run_forgets_last(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < FV_MIN(s.end, s.n - 1); i++) s.y[i] = s.x[i];
}
static void run_changes_input(const fv_call *c) {
  span s = span_of(c);
  run_right(c);
  if (s.n > 3 && s.x != s.y) s.x[3] = 2;
}
static void run_depends_on_begin(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] = s.x[i] * (s.begin > 0 && i == s.begin ? 1 + 0x1p-23f : 1);
}
static void run_touches_other_pieces(const fv_call *c) {
  span s = span_of(c);
  run_right(c);
  if (s.end < s.n) s.y[s.end] = 7; /* overwritten by the next piece when it comes next */
}
static void run_depends_on_alignment(const fv_call *c) {
  span s = span_of(c);
  run_right(c);
  if (s.n > 2 && ((uintptr_t)s.x & 63) == 4) s.y[2] += 0x1p-20f;
}
static void run_depends_on_history(const fv_call *c) {
  static int64_t calls;
  span s = span_of(c);
  run_right(c);
  if (s.n > 2 && calls++ % 2) s.y[2] += 0x1p-20f;
}
static void run_not_in_place(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] = 0;
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] += s.x[i];
}
static void run_hides_nan(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] = isnan(s.x[i]) ? 0 : s.x[i];
}
static void run_flushes_denormals(const fv_call *c) {
  span s = span_of(c);
  for (int64_t i = s.begin; i < s.end; i++) s.y[i] = fabsf(s.x[i]) < 0x1p-126f ? 0 : s.x[i];
}
static void run_crashes(const fv_call *c) {
  (void)c;
  __builtin_trap();
}
static void run_hangs(const fv_call *c) {
  (void)c;
  for (volatile int i = 0;; i++) {}
}
static void run_allocates(const fv_call *c) {
  run_right(c);
  fv_free(fv_alloc(64));
}
static void run_oversteps_scratch(const fv_call *c) {
  run_right(c);
  ((volatile uint8_t *)c->scratch)[10] = 1;
}
static int64_t packed_bytes(const fv_node *n, int i) {
  (void)i;
  return 4 * fv_shape_count(n->in[0]->shape);
}
static void pack_right(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i, (void)state;
  memcpy(dst, src->data, (size_t)packed_bytes(n, 0));
}
static void pack_negates(const fv_node *n, int i, const fv_tensor *src, void *dst, void *state) {
  (void)i, (void)state;
  for (int64_t k = 0; k < fv_shape_count(n->in[0]->shape); k++) ((float *)dst)[k] = -((const float *)src->data)[k];
}

#define KERNEL(run_, ...) {.op = "copy", .name = #run_, .isa = FV_ISA_BASE, .units = units, .run = run_, __VA_ARGS__}
static const struct {
  fv_kernel kernel;
  const char *expected; /* part of the first problem's text; NULL: passes */
} kernels[] = {
    {KERNEL(run_right, .scratch = scratch, .packed = packed_bytes, .pack = pack_right), NULL},
    {KERNEL(run_writes_after, .priority = 0), "past the end of output 0"},
    {KERNEL(run_writes_before, .priority = 0), "writes outside output 0"},
    {KERNEL(run_reads_after, .priority = 0), "past the end of input 0"},
    {KERNEL(run_wrong_value, .priority = 0), "differs in 1 of"},
    {KERNEL(run_forgets_last, .priority = 0), "differs in 1 of"},
    {KERNEL(run_changes_input, .priority = 0), "changes input 0"},
    {KERNEL(run_depends_on_begin, .priority = 0), "unit by unit: other bits"},
    {KERNEL(run_touches_other_pieces, .priority = 0), "unit by unit: other bits"},
    {KERNEL(run_depends_on_alignment, .priority = 0), "misaligned: other bits"},
    {KERNEL(run_depends_on_history, .priority = 0), "again: other bits"},
    {KERNEL(run_not_in_place, .priority = 0), "in place: other bits"},
    {KERNEL(run_hides_nan, .priority = 0), "some NaN: output 0 differs"},
    {KERNEL(run_flushes_denormals, .priority = 0), "special numbers: output 0 differs"},
    {KERNEL(run_crashes, .priority = 0), "crashes: signal"},
    {KERNEL(run_hangs, .priority = 0), "hangs"},
    {KERNEL(run_allocates, .priority = 0), "allocates"},
    {KERNEL(run_oversteps_scratch, .scratch = scratch), "writes outside scratch"},
    {KERNEL(run_right, .packed = packed_bytes, .pack = pack_negates), "packed: output 0 differs"},
};

/* ---- rows of operations ----------------------------------------------------------------------------------------- */
static void ref_forgets_last(const fv_call *c) {
  for (int64_t i = 0; i + 1 < fv_shape_count(c->out[0].shape); i++) fv_set(&c->out[0], i, fv_get(&c->in[0], i));
}
static void ref_writes_after(const fv_call *c) {
  for (int64_t i = 0; i <= fv_shape_count(c->out[0].shape); i++) fv_set(&c->out[0], i, 0);
}
static void ref_infinite(const fv_call *c) {
  for (int64_t i = 0; i < fv_shape_count(c->out[0].shape); i++) fv_set(&c->out[0], i, INFINITY);
}
static fv_status infer_crashes(fv_infer *c) {
  if (c->in[0]->shape.ndim != 1) __builtin_trap();
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}
static fv_status infer_is_silent(fv_infer *c) {
  FV_INFER_REQUIRE(c, fv_shape_count(c->in[0]->shape) > 0, "no");
  c->shape[0] = c->in[0]->shape;
  return FV_OK;
}
static fv_cost cost_nothing(const fv_node *n) {
  (void)n;
  return (fv_cost){0};
}
static const fv_case no_cases[] = {{0}};
static const fv_case bad_case[] = {{.in = "3,x"}, {0}};
static const fv_option bad_options[] = {
    {.name = "outside", .type = FV_OPT_INT, .offset = 8, .doc = "beyond the struct"}, {0}};

/* What is set replaces copy's. */
static const struct {
  const char *what, *expected;
  fv_op_def with;
} ops[] = {
    {"copy itself", NULL, {0}},
    {"no doc", "doc: expected", {.doc = ""}},
    {"no cases", "cases: expected", {.cases = no_cases}},
    {"case that cannot be read", "case: expected shapes", {.cases = bad_case}},
    {"attribute outside its struct", "expected to lie within", {.attrs_size = 8, .attrs = bad_options}},
    {"reference leaves an element", "depends on what the output held", {.ref = ref_forgets_last}},
    {"reference writes too far", "past the end of output 0", {.ref = ref_writes_after}},
    {"reference gives infinity", "expected finite numbers", {.ref = ref_infinite}},
    {"infer crashes", "infer crashes", {.infer = infer_crashes}},
    {"infer refuses without a reason", "expected a sentence", {.infer = infer_is_silent}},
    {"no cost", "cost: expected", {.cost = cost_nothing}},
    {"more inputs than the builder takes", "expected a refusal, got a node", {.n_in = 2}},
};

static fv_op_def changed(const fv_op_def *op, const fv_op_def *with) {
  fv_op_def d = *op;
  if (with->doc != NULL) d.doc = with->doc;
  if (with->cases != NULL) d.cases = with->cases;
  if (with->attrs != NULL) d.attrs = with->attrs, d.attrs_size = with->attrs_size;
  if (with->ref != NULL) d.ref = with->ref;
  if (with->infer != NULL) d.infer = with->infer;
  if (with->cost != NULL) d.cost = with->cost;
  if (with->n_in != 0) d.n_in = with->n_in;
  return d;
}

/* ---- gradients of `mul` ----------------------------------------------------------------------------------------- */
static fv_status grad_forgets_factor(fv_grad *c) {
  c->din[0] = fv_sum_to(c->g, c->dout[0], c->node->in[0]->shape);
  c->din[1] = fv_sum_to(c->g, fv_op(c->g, "mul", NULL, c->dout[0], c->node->in[0]), c->node->in[1]->shape);
  return FV_OK;
}
static fv_status grad_forgets_input(fv_grad *c) {
  c->din[0] = fv_sum_to(c->g, fv_op(c->g, "mul", NULL, c->dout[0], c->node->in[1]), c->node->in[0]->shape);
  return FV_OK;
}
static fv_status grad_slightly_off(fv_grad *c) {
  fv_status status = grad_forgets_input(c);
  fv_value *d = fv_op(c->g, "mul", NULL, c->dout[0], c->node->in[0]);
  c->din[1] = fv_sum_to(c->g, fv_op(c->g, "mul", NULL, d, fv_const(c->g, 1.0001)), c->node->in[1]->shape);
  return status;
}
static const struct {
  const char *what, *expected;
  fv_status (*grad)(fv_grad *c);
} grads[] = {
    {"mul itself", NULL, NULL},
    {"gradient without its factor", "gradient of input 0", grad_forgets_factor},
    {"gradient of an input left out", "gradient of input 1", grad_forgets_input},
    {"gradient off by a ten thousandth", "gradient of input 1", grad_slightly_off},
};

/* ---- the mode --------------------------------------------------------------------------------------------------- */
static ck_report quiet(const ck_report *r, const char *mode) {
  return (ck_report){.mode = mode, .seed = r->seed, .quiet = true, .time_limit = 0.5};
}

static void judge(ck_report *r, const char *what, const ck_report *got, const char *expected) {
  ck_begin(r, "", "%s: %s", got->mode, what);
  if (got->passed + got->failed == 0) ck_problem(r, "nothing was checked");
  if (expected == NULL && got->failed > 0) ck_problem(r, "expected to pass, got: %s", got->first);
  if (expected != NULL && got->failed == 0) ck_problem(r, "expected to be caught with '%s', but it passed", expected);
  if (expected != NULL && got->failed > 0 && strstr(got->first, expected) == NULL)
    ck_problem(r, "expected to be caught with '%s', got: %s", expected, got->first);
  ck_end(r);
}

void ck_mode_self(ck_report *r) {
  const fv_op_def *copy = fv_op_find("copy"), *mul = fv_op_find("mul");
  if (copy == NULL || mul == NULL) {
    ck_begin(r, "", "operations");
    ck_problem(r, "expected copy and mul in the table");
    ck_end(r);
    return;
  }
  for (size_t i = 0; i < FV_COUNT(kernels); i++) {
    ck_report q = quiet(r, "kernel");
    int ran = 0;
    ck_kernel_row(&q, &kernels[i].kernel, copy, &ran);
    judge(r, kernels[i].kernel.name, &q, kernels[i].expected);
  }
  for (size_t i = 0; i < FV_COUNT(ops); i++) {
    ck_report q = quiet(r, "op");
    fv_op_def op = changed(copy, &ops[i].with);
    ck_op_row(&q, &op);
    judge(r, ops[i].what, &q, ops[i].expected);
  }
  for (size_t i = 0; i < FV_COUNT(grads); i++) {
    ck_report q = quiet(r, "grad");
    fv_op_def op = *mul;
    if (grads[i].grad != NULL) op.grad = grads[i].grad;
    ck_grad_row(&q, &op);
    judge(r, grads[i].what, &q, grads[i].expected);
  }
}
