/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c: several element-wise operations as one node: one pass over memory instead of one a step. Fusion makes chains
 * after differentiation, by filling in the steps; cases write them as text (chain.h). Each step is inferred by its own
 * operation, so a chain that is accepted means what its steps mean one after the other. */
#include "ops/chain.h"

static const fv_option options[] = {
  {.name = "steps", .type = FV_OPT_TEXT, .offset = offsetof(fv_chain_attrs, steps), .def = "",
   .doc = "the steps, such as mul(0,1);relu(a)"},
  {0}};

/* ---- steps from text --------------------------------------------------------------------------------------------- */
static fv_status parse_operand(fv_infer *c, const fv_chain_attrs *a, const char *word, int *operand) {
  int64_t input;
  int64_t step = word[0] - 'a';
  bool is_step = step >= 0 && step < a->n_steps && !word[1];
  bool is_input = !is_step && fv_parse_int(word, &input) && input >= 0 && input < c->n_in;
  FV_INFER_REQUIRE(c, is_step || is_input, "operand: expected an input 0..%d or the letter of a step before, got '%s'",
                   c->n_in - 1, word);
  *operand = is_step ? c->n_in + (int)step : (int)input;
  return FV_OK;
}

/* "clip(a,min=0" (the closing bracket is cut off already) becomes the next step. */
static fv_status parse_step(fv_infer *c, fv_chain_attrs *a, char *text) {
  char *rest = strchr(text, '('), *save = NULL;
  FV_INFER_REQUIRE(c, rest && a->n_steps < FV_CHAIN_STEPS, "steps: expected up to %d of NAME(operands), got '%s'",
                   FV_CHAIN_STEPS, text);
  *rest++ = 0;
  fv_chain_step step = {.op = fv_op_find(text)};
  FV_INFER_REQUIRE(c, step.op && step.op->flags & FV_OP_ELEMENTWISE,
                   "steps: expected element-wise operations, got '%s'", text);
  void *attrs = fv_arena_alloc(c->g->arena, FV_MAX(step.op->attrs_size, 1));
  FV_REQUIRE(attrs, FV_ERR_MEMORY, "graph: out of memory");
  if (step.op->attrs_size) FV_TRY(fv_options_defaults(step.op->attrs, attrs));
  int n = 0;
  for (char *word = strtok_r(rest, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
    char *equals = strchr(word, '=');
    FV_INFER_REQUIRE(c, equals ? step.op->attrs_size > 0 : n < step.op->n_in,
                     "steps: %s: expected %d operands, then its attributes, got also '%s'", step.op->name,
                     step.op->n_in, word);
    if (!equals) {
      FV_TRY(parse_operand(c, a, word, &step.operand[n++]));
      continue;
    }
    *equals = 0;
    FV_TRY(fv_options_set(step.op->attrs, attrs, step.op->name, word, equals + 1, c->g->arena));
  }
  FV_INFER_REQUIRE(c, n == step.op->n_in, "steps: %s: expected %d operands, got %d", step.op->name, step.op->n_in, n);
  step.attrs = step.op->attrs_size ? attrs : NULL;
  a->step[a->n_steps++] = step;
  return FV_OK;
}

static fv_status parse_outputs(fv_infer *c, fv_chain_attrs *a, char *text) {
  char *save = NULL;
  for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
    int operand;
    FV_TRY(parse_operand(c, a, word, &operand));
    FV_INFER_REQUIRE(c, operand >= c->n_in && a->n_out < FV_CHAIN_OUTPUTS,
                     "steps: expected up to %d steps' letters after '>'", FV_CHAIN_OUTPUTS);
    a->out[a->n_out++] = operand - c->n_in;
  }
  return FV_OK;
}

static fv_status parse(fv_infer *c, fv_chain_attrs *a) {
  char *text = fv_arena_strdup(c->g->arena, a->steps), *save = NULL;
  FV_REQUIRE(text, FV_ERR_MEMORY, "graph: out of memory");
  char *outputs = strchr(text, '>');
  if (outputs) *outputs++ = 0;
  for (char *word = strtok_r(text, ";", &save); word; word = strtok_r(NULL, ";", &save)) {
    size_t n = strlen(word);
    FV_INFER_REQUIRE(c, word[n - 1] == ')', "steps: expected NAME(operands), got '%s'", word);
    word[n - 1] = 0;
    FV_TRY(parse_step(c, a, word));
  }
  if (outputs) FV_TRY(parse_outputs(c, a, outputs));
  else if (a->n_steps) a->out[a->n_out++] = a->n_steps - 1;
  return FV_OK;
}

/* ---- the operation ----------------------------------------------------------------------------------------------- */
/* value[n_in + i] becomes the result of step i, as its own operation infers it. */
static fv_status infer_step(fv_infer *c, const fv_chain_step *step, fv_value **value, int known) {
  FV_INFER_REQUIRE(c, step->op && step->op->flags & FV_OP_ELEMENTWISE && step->op->n_in <= 4,
                   "step %d: expected an element-wise operation", known - c->n_in);
  fv_value *in[4];
  for (int k = 0; k < step->op->n_in; k++) {
    FV_INFER_REQUIRE(c, step->operand[k] >= 0 && step->operand[k] < known,
                     "step %d: expected operands known before it, got %d", known - c->n_in, step->operand[k]);
    in[k] = value[step->operand[k]];
  }
  fv_infer sub = {.g = c->g, .op = step->op, .name = c->name, .attrs = step->attrs, .n_in = step->op->n_in, .in = in,
                  .n_out = 1, .dtype = {in[0]->dtype}};
  FV_TRY(step->op->infer(&sub));
  *value[known] = (fv_value){.kind = FV_VALUE_NODE, .dtype = sub.dtype[0], .shape = sub.shape[0]};
  return FV_OK;
}

static fv_status infer_steps(fv_infer *c, fv_chain_attrs *a, bool from_text) {
  fv_value results[FV_CHAIN_STEPS], *value[FV_CHAIN_INPUTS + FV_CHAIN_STEPS];
  fv_shape full = c->in[0]->shape;
  for (int i = 0; i < c->n_in; i++) {
    value[i] = c->in[i];
    FV_INFER_REQUIRE(c, fv_shape_broadcast(full, value[i]->shape, &full),
                     "input %d: expected a shape that broadcasts with %s, got %s", i, fv_shape_text(full),
                     fv_shape_text(value[i]->shape));
  }
  for (int i = 0; i < a->n_steps; i++) {
    value[c->n_in + i] = &results[i];
    FV_TRY(infer_step(c, &a->step[i], value, c->n_in + i));
  }
  c->n_out = (int)a->n_out;
  for (int i = 0; i < a->n_out; i++) {
    FV_INFER_REQUIRE(c, a->out[i] >= 0 && a->out[i] < a->n_steps, "output %d: expected one of %d steps, got %d", i,
                     (int)a->n_steps, (int)a->out[i]);
    const fv_value *v = &results[a->out[i]];
    if (from_text) a->out_dtype[i] = v->dtype;
    FV_INFER_REQUIRE(c, v->dtype == a->out_dtype[i] && fv_shape_equal(v->shape, full),
                     "output %d: expected %s %s, got %s %s", i, fv_dtype_name(a->out_dtype[i]), fv_shape_text(full),
                     fv_dtype_name(v->dtype), fv_shape_text(v->shape));
    c->dtype[i] = v->dtype;
    c->shape[i] = full;
  }
  return FV_OK;
}

static fv_status infer(fv_infer *c) {
  fv_chain_attrs *a = (fv_chain_attrs *)(uintptr_t)c->attrs; /* the graph's own copy: completed from its text once */
  bool from_text = !a->n_steps && a->steps && *a->steps;
  if (from_text) FV_TRY(parse(c, a));
  FV_INFER_REQUIRE(c, a->n_steps >= 1 && a->n_steps <= FV_CHAIN_STEPS && a->n_out >= 1 && a->n_out <= FV_CHAIN_OUTPUTS,
                   "expected 1 to %d steps and 1 to %d outputs, got %d and %d", FV_CHAIN_STEPS, FV_CHAIN_OUTPUTS,
                   (int)a->n_steps, (int)a->n_out);
  return infer_steps(c, a, from_text);
}

static void ref(const fv_call *c) {
  const fv_chain_attrs *a = c->attrs;
  int64_t n = fv_shape_count(c->out[0].shape);
  for (int64_t i = 0; i < n; i++) {
    double value[FV_CHAIN_INPUTS + FV_CHAIN_STEPS];
    for (int k = 0; k < c->n_in; k++)
      value[k] = fv_get(&c->in[k], fv_broadcast_index(c->in[k].shape, c->out[0].shape, i));
    for (int s = 0; s < a->n_steps; s++) {
      const fv_chain_step *step = &a->step[s];
      double x[4] = {0};
      for (int k = 0; k < step->op->n_in; k++) x[k] = value[step->operand[k]];
      value[c->n_in + s] = step->op->scalar(step->attrs, x);
    }
    for (int o = 0; o < a->n_out; o++) fv_set(&c->out[o], i, value[c->n_in + a->out[o]]);
  }
}

static fv_cost cost(const fv_node *n) {
  const fv_chain_attrs *a = n->attrs;
  fv_cost sum = {.bytes = fv_cost_io(n)};
  for (int s = 0; s < a->n_steps; s++) {
    fv_node step = {.op = a->step[s].op, .attrs = a->step[s].attrs, .n_out = 1, .out = n->out};
    sum.flops += step.op->cost(&step).flops;
  }
  return sum;
}

static const fv_case cases[] = {
  {.in = "0", .attrs = "steps=exp(0)"},
  {.in = "()", .attrs = "steps=exp(0);neg(a)"},
  {.in = "1; 1; 1", .attrs = "steps=mul(0,1);relu(a);add(b,2)"},
  {.in = "3; 3; 3", .attrs = "steps=mul(0,1);relu(a);add(b,2)"},
  {.in = "4; 4; 4", .attrs = "steps=mul(0,1);add(a,2)"},
  {.in = "15; 15; 15", .attrs = "steps=mul(0,1);relu(a);add(b,2)"},
  {.in = "16; 16; 16", .attrs = "steps=mul(0,1);sub(2,a)"},
  {.in = "17; 17; 17", .attrs = "steps=mul(0,1);relu(a);add(b,2)"},
  {.in = "4099; 4099; 4099", .attrs = "steps=mul(0,1);gelu(a,approximate=tanh);add(b,2)>a,c"},
  {.in = "3,7,31; 31; 7,1; ()", .attrs = "steps=add(0,1);mul(a,2);sigmoid(b);mul(c,3);tanh(d);square(e)>f,c,a"},
  {.in = "31; 3,7,31", .attrs = "steps=maximum(0,1);minimum(a,1);leaky_relu(b,negative_slope=0.2)"},
  {.in = "7,1; 1,33", .attrs = "steps=sub(0,1);abs(a);clip(b,min=0.1,max=0.7)"},
  {.in = "2,1,5,1; 3,1,9; 5,9", .attrs = "steps=mul(0,1);silu(a);add(b,2)"},
  {.in = "37; 37", .attrs = "steps=gt(0,1);where(a,0,1);sub(b,0)>c,a"},
  {.in = "37:u8; 37; 5,37", .attrs = "steps=where(0,1,2);relu_grad(a,2)"},
  {.in = "37:i32@-9..9; 37", .attrs = "steps=cast(0,dtype=real);add(a,1);floor(b)"},
  {.in = "1021@0.1..4", .attrs = "steps=log(0);sin(a);exp(b);sqrt(c);reciprocal(d);log1p(e)"},
  {.in = "65; 65; 65; 65; 65; 65; 65; 65; 65; 65; 65; 65",
   .attrs = "steps=add(0,1);add(a,2);add(b,3);add(c,4);add(d,5);add(e,6);add(f,7);add(g,8);add(h,9);add(i,10);"
            "add(j,11)>k,j,b,a"},
  {0}};

const fv_op_def fv_op_chain = {
  .name = "chain",
  .doc = "several element-wise operations in one pass over memory",
  .n_in = 1,
  .n_in_max = FV_CHAIN_INPUTS,
  .flags = FV_OP_INPLACE,
  .attrs_size = sizeof(fv_chain_attrs),
  .attrs = options,
  .infer = infer,
  .no_grad_reason = "made from nodes that were differentiated before",
  .ref = ref,
  .cost = cost,
  .cases = cases};
