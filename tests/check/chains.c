/* SPDX-License-Identifier: Apache-2.0 */
/* chains.c: random chains of element-wise operations. The fusion pass makes chains out of whatever stands in a graph,
 * so the kernel that runs them has to be right for combinations that nobody wrote down. */
#include "check.h"

#define STEPS_MOST 12

/* Operations of real operands and result, without sharp edges or poles: what the reference computes in double and the
 * kernel in single precision must stay close through many steps. */
static int usable_ops(const fv_op_def **ops, int most) {
  static const char *const names[] = {"add",  "sub",     "mul",       "maximum",  "minimum",    "neg",    "abs",
                                      "tanh", "sigmoid", "relu",      "silu",     "leaky_relu", "square", "sin",
                                      "cos",  "gelu",    "copy",      "softplus", "where",      "gt",     "le",
                                      "clip", "elu",     "hardswish", "erf"};
  int n = 0;
  for (size_t i = 0; i < FV_COUNT(names) && n < most; i++) {
    const fv_op_def *op = fv_op_find(names[i]);
    if (op != NULL && (op->flags & FV_OP_ELEMENTWISE)) ops[n++] = op;
  }
  return n;
}

typedef struct maker {
  fv_rng rng;
  fv_text text;
  int n_in, n_steps;
  bool is_mask[STEPS_MOST]; /* the step's result is u8 */
} maker;

/* A word for an operand: an input, or an earlier step whose result is of the kind wanted. */
static void operand(maker *m, bool mask) {
  for (int tries = 0; tries < 20; tries++) {
    int k = (int)fv_rng_below(&m->rng, (uint32_t)(m->n_in + m->n_steps));
    if (k < m->n_in ? mask : m->is_mask[k - m->n_in] != mask) continue;
    if (k < m->n_in) fv_text_printf(&m->text, "%d", k);
    else fv_text_printf(&m->text, "%c", 'a' + k - m->n_in);
    return;
  }
  fv_text_printf(&m->text, "0");
}

static bool any_mask(const maker *m) {
  for (int i = 0; i < m->n_steps; i++)
    if (m->is_mask[i]) return true;
  return false;
}

static void step(maker *m, const fv_op_def *op) {
  bool where = strcmp(op->name, "where") == 0;
  fv_text_printf(&m->text, "%s%s(", m->n_steps > 0 ? ";" : "", op->name);
  for (int i = 0; i < op->n_in; i++) {
    if (i > 0) fv_text_printf(&m->text, ",");
    /* comparisons look at inputs alone: a rounding before one would decide it */
    if (strcmp(op->name, "gt") == 0 || strcmp(op->name, "le") == 0)
      fv_text_printf(&m->text, "%d", (int)fv_rng_below(&m->rng, (uint32_t)m->n_in));
    else operand(m, where && i == 0);
  }
  fv_text_printf(&m->text, ")");
  m->is_mask[m->n_steps++] = strcmp(op->name, "gt") == 0 || strcmp(op->name, "le") == 0;
}

bool ck_chain_case(uint64_t seed, int index, fv_arena *arena, ck_case *c) {
  static const char *const shapes[] = {"5,67", "67", "5,1", "()", "1,67"};
  const fv_op_def *ops[64];
  int n_ops = usable_ops(ops, (int)FV_COUNT(ops));
  maker m = {.rng = fv_rng_new(seed, fv_stream_of("random chain") + (uint64_t)index)};
  fv_text in = {0};
  if (n_ops == 0) return false;
  m.n_in = 1 + (int)fv_rng_below(&m.rng, 5);
  for (int i = 0; i < m.n_in; i++)
    fv_text_printf(&in, "%s%s@-2..2", i > 0 ? "; " : "", i == 0 ? shapes[0] : shapes[fv_rng_below(&m.rng, 5)]);
  fv_text_printf(&m.text, "steps=");
  for (int n = 2 + (int)fv_rng_below(&m.rng, STEPS_MOST - 3); m.n_steps < n;) {
    const fv_op_def *op = ops[fv_rng_below(&m.rng, (uint32_t)n_ops)];
    if (strcmp(op->name, "where") != 0 || any_mask(&m)) step(&m, op);
  }
  /* input 0 has the full shape; the result must have it too */
  fv_text_printf(&m.text, ";add(0,");
  operand(&m, false);
  fv_text_printf(&m.text, ")");
  c->text = fv_arena_strdup(arena, in.s == NULL ? "" : in.s);
  c->attrs = fv_arena_strdup(arena, m.text.s == NULL ? "" : m.text.s);
  c->tolerance = 1e-4; /* errors grow along the steps */
  c->note = "random";
  fv_text_free(&in);
  fv_text_free(&m.text);
  return c->text != NULL && c->attrs != NULL && ck_case_parse(c->text, c);
}
