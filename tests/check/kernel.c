/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c: every kernel row, at every level this processor has, on every case it can run, against the operation's
 * reference in double precision. One kernel and case is run many times over: at both ends of guarded memory,
 * misaligned, twice, in pieces, in place, with packed inputs; all these must give the same bits. Special numbers, ties
 * and NaN are compared with what the reference makes of them. */
#include "check.h"

typedef struct run_how {
  const char *what;
  ck_place place;
  int cut;      /* 0: whole; 1: unit by unit, last first; 2: in a few uneven pieces, last first */
  bool packed;  /* inputs for which the kernel has a layout of its own are given in it */
  bool inplace; /* output 0 is the memory of an input, in turn of each that it may take over */
  uint32_t left_out; /* bit i: output i has no memory */
  uint8_t dirt; /* what outputs and scratch hold before */
} run_how;

typedef struct subject {
  ck_report *r;
  const fv_kernel *k;
  const fv_op_def *op;
  const ck_case *c;
  fv_node *node;        /* f32 */
  fv_arena *arena;
  void *state;
  int64_t units, scratch_bytes;
  int taken;             /* the input whose memory output 0 takes over, in a run in place */
  double *in[CK_MAX_IN]; /* values */
  ck_buffer in_buf[CK_MAX_IN], out_buf[FV_MAX_OUTS], scratch, packed_buf[CK_MAX_IN];
  fv_tensor in_t[CK_MAX_IN], out_t[FV_MAX_OUTS];
  uint8_t *plain[CK_MAX_IN]; /* the bytes put into in_buf */
  fv_call call;
} subject;

static size_t bytes_of(const fv_value *v) { return (size_t)fv_shape_count(v->shape) * fv_dtype_size(v->dtype); }
static int64_t count_of(const fv_value *v) { return fv_shape_count(v->shape); }

static bool failed(subject *s, fv_status status) {
  if (status != FV_OK) ck_problem(s->r, "%s", fv_error_message());
  return status != FV_OK;
}

/* ---- one run ---------------------------------------------------------------------------------------------------- */
static bool place_inputs(subject *s, const run_how *how) {
  for (int i = 0; i < s->node->n_in; i++) {
    const fv_value *v = s->node->in[i];
    s->in_t[i] = (fv_tensor){.dtype = v->dtype, .shape = v->shape};
    if (v->kind == FV_VALUE_ABSENT) continue;
    if (failed(s, ck_buffer_place(&s->in_buf[i], bytes_of(v), 1, how->place, 0))) return false;
    s->in_t[i].data = s->in_buf[i].data;
    ck_tensor_store(&s->in_t[i], s->in[i]);
    memcpy(s->plain[i], s->in_t[i].data, bytes_of(v));
  }
  return true;
}

static bool place_outputs(subject *s, const run_how *how) {
  for (int i = 0; i < s->node->n_out; i++) {
    const fv_value *v = s->node->out[i];
    s->out_t[i] = (fv_tensor){.dtype = v->dtype, .shape = v->shape};
    if (i == 0 && how->inplace) {
      s->out_t[i].data = s->in_t[s->taken].data;
      continue;
    }
    if (how->left_out >> i & 1) continue;
    if (failed(s, ck_buffer_place(&s->out_buf[i], bytes_of(v), 1, how->place, how->dirt))) return false;
    s->out_t[i].data = s->out_buf[i].data;
  }
  return true;
}

static void call_pack(void *arg) {
  subject *s = arg;
  for (int i = 0; i < s->node->n_in; i++)
    if (s->call.packed & (1u << i)) s->k->pack(s->node, i, &s->in_t[i], s->packed_buf[i].data, s->state);
}

static bool place_packed(subject *s, const run_how *how) {
  char what[256];
  for (int i = 0; how->packed && i < s->node->n_in; i++) {
    int64_t bytes = s->in_t[i].data == NULL ? 0 : s->k->packed(s->node, i);
    if (bytes <= 0) continue;
    if (failed(s, ck_buffer_place(&s->packed_buf[i], (size_t)bytes, FV_ALIGN, how->place, how->dirt))) return false;
    s->call.packed |= 1u << i;
  }
  if (!ck_trap(call_pack, s, s->r->time_limit, what, sizeof what)) {
    ck_problem(s->r, "%s: pack %s", how->what, what);
    return false;
  }
  for (int i = 0; i < s->node->n_in; i++)
    if (s->call.packed & (1u << i)) s->in_t[i].data = s->packed_buf[i].data;
  return true;
}

static void call_run(void *arg) {
  subject *s = arg;
  s->k->run(&s->call);
}

/* A piece has scratch memory of its own, as it would on another thread. */
static bool run_piece(subject *s, const run_how *how, int64_t begin, int64_t end) {
  char what[256];
  s->call.begin = begin;
  s->call.end = end;
  if (s->scratch_bytes > 0) {
    if (failed(s, ck_buffer_place(&s->scratch, (size_t)s->scratch_bytes, FV_ALIGN, how->place, how->dirt)))
      return false;
    s->call.scratch = s->scratch.data;
  }
  uint64_t allocations = fv_memory_get_stats().count;
  if (!ck_trap(call_run, s, s->r->time_limit, what, sizeof what)) {
    ck_problem(s->r, "%s: %s", how->what, what);
    return false;
  }
  if (fv_memory_get_stats().count != allocations) ck_problem(s->r, "%s: allocates memory while it runs", how->what);
  volatile float tiny = 0x1p-140f;
  if (tiny * 0.5f == 0) ck_problem(s->r, "%s: leaves denormals switched off", how->what);
  int64_t where;
  if (s->scratch_bytes > 0 && !ck_buffer_intact(&s->scratch, &where))
    ck_problem(s->r, "%s: writes outside scratch, at byte %lld of %lld", how->what, (long long)where,
               (long long)s->scratch_bytes);
  return true;
}

static bool run_pieces(subject *s, const run_how *how) {
  if (how->cut == 0) return run_piece(s, how, 0, s->units);
  int64_t pieces = how->cut == 1 ? s->units : FV_MIN(s->units, 5);
  for (int64_t i = pieces; i-- > 0;) {
    /* squares: uneven pieces */
    int64_t a = how->cut == 1 ? i : s->units * i * i / (pieces * pieces),
            b = how->cut == 1 ? i + 1 : s->units * (i + 1) * (i + 1) / (pieces * pieces);
    if (a < b && !run_piece(s, how, a, b)) return false;
  }
  return true;
}

static void check_untouched(subject *s, const run_how *how) {
  int64_t where;
  for (int i = 0; i < s->node->n_in; i++) {
    const fv_value *v = s->node->in[i];
    if (v->kind == FV_VALUE_ABSENT) continue;
    if (!ck_buffer_intact(&s->in_buf[i], &where))
      ck_problem(s->r, "%s: writes outside input %d, at byte %lld of %zu", how->what, i, (long long)where, bytes_of(v));
    if (!(how->inplace && i == s->taken) && memcmp(s->in_buf[i].data, s->plain[i], bytes_of(v)) != 0)
      ck_problem(s->r, "%s: changes input %d", how->what, i);
    if ((s->call.packed & (1u << i)) && !ck_buffer_intact(&s->packed_buf[i], &where))
      ck_problem(s->r, "%s: writes outside packed input %d, at byte %lld of %zu", how->what, i, (long long)where,
                 s->packed_buf[i].size);
  }
  for (int i = how->inplace ? 1 : 0; i < s->node->n_out; i++)
    if (!(how->left_out >> i & 1) && !ck_buffer_intact(&s->out_buf[i], &where))
      ck_problem(s->r, "%s: writes outside output %d, at byte %lld of %zu", how->what, i, (long long)where,
                 s->out_buf[i].size);
}

/* Outputs are in out_t afterwards. */
static bool run(subject *s, const run_how *how) {
  s->call = (fv_call){.node = s->node,
                      .attrs = s->node->attrs,
                      .n_in = s->node->n_in,
                      .n_out = s->node->n_out,
                      .in = s->in_t,
                      .out = s->out_t,
                      .state = s->state};
  if (!place_inputs(s, how) || !place_outputs(s, how) || !place_packed(s, how)) return false;
  bool done = run_pieces(s, how);
  if (done) check_untouched(s, how);
  return done;
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */
static void compare_values(subject *s, const char *what, double *const *want, double tolerance, double least,
                           bool each) {
  for (int i = 0; i < s->node->n_out; i++) {
    const fv_value *v = s->node->out[i];
    /* of sums that are equal but for rounding, any may come first */
    if (least > 0 && (s->op->flags & FV_OP_PRODUCT) && v->dtype == FV_I32) continue;
    double *got = fv_alloc((size_t)(count_of(v) + 1) * sizeof *got);
    if (got == NULL) return;
    ck_tensor_load(&s->out_t[i], got);
    ck_difference d = ck_compare(v->dtype, count_of(v), want[i], got, tolerance, least, each);
    if (d.count > 0)
      ck_problem(s->r,
                 "%s: output %d differs in %lld of %lld elements (worst %.3g, allowed %.3g), first at %lld: expected "
                 "%.9g, got %.9g",
                 what, i, (long long)d.count, (long long)count_of(v), d.worst, tolerance, (long long)d.first, d.want,
                 d.got);
    fv_free(got);
  }
}

/* Bits, but any NaN for any NaN. */
static bool same_bits(fv_dtype dtype, const uint8_t *a, const uint8_t *b, int64_t n, int64_t *where) {
  size_t size = fv_dtype_size(dtype);
  for (int64_t i = 0; i < n; i++) {
    if (memcmp(a + (size_t)i * size, b + (size_t)i * size, size) == 0) continue;
    float x, y;
    *where = i;
    if (dtype != FV_F32) return false;
    memcpy(&x, a + (size_t)i * size, sizeof x);
    memcpy(&y, b + (size_t)i * size, sizeof y);
    if (!(isnan(x) && isnan(y))) return false;
  }
  return true;
}

static void compare_bits(subject *s, const run_how *how, uint8_t *const *base) {
  for (int i = 0; i < s->node->n_out; i++) {
    int64_t where = 0;
    const fv_value *v = s->node->out[i];
    if (how->left_out >> i & 1) continue;
    if (!same_bits(v->dtype, base[i], s->out_t[i].data, count_of(v), &where))
      ck_problem(s->r, "%s: other bits than in one aligned piece, output %d at %lld: expected %.9g, got %.9g",
                 how->what, i, (long long)where,
                 fv_get(&(fv_tensor){.dtype = v->dtype, .shape = v->shape, .data = base[i]}, where),
                 fv_get(&s->out_t[i], where));
  }
}

/* ---- one kernel and case ---------------------------------------------------------------------------------------- */
/* What the reference makes of the same numbers in double precision. */
static bool reference(subject *s, double **want) {
  fv_graph *g = NULL;
  fv_node *node;
  ck_values values = {0};
  fv_tensor *t;
  fv_status status = ck_node_build(s->op, s->c, FV_F64, &g, &node);
  if (failed(s, status)) return false;
  FV_TRY_DONE(ck_values_new(g, &values));
  for (int i = 0; i < node->n_in; i++) {
    FV_TRY_DONE(ck_values_tensor(&values, node->in[i], &t));
    if (t->data != NULL) ck_tensor_store(t, s->in[i]);
  }
  FV_TRY_DONE(ck_interpret(g, &values));
  for (int i = 0; i < node->n_out; i++) {
    FV_TRY_DONE(ck_values_tensor(&values, node->out[i], &t));
    want[i] = fv_arena_alloc(s->arena, (size_t)(fv_shape_count(t->shape) + 1) * sizeof(double));
    FV_REQUIRE_DONE(want[i] != NULL, FV_ERR_MEMORY, "reference: out of memory");
    ck_tensor_load(t, want[i]);
  }
done:
  ck_values_free(&values);
  fv_graph_free(g);
  return !failed(s, status);
}

static bool fill(subject *s, ck_fill kind) {
  fv_rng rng = ck_rng(s->r->seed, s->op->name, s->c->index * 8 + (int)kind);
  for (int i = 0; i < s->c->n; i++) {
    size_t n = (size_t)fv_shape_count(s->c->in[i].shape) + 1;
    if (s->in[i] == NULL) s->in[i] = fv_arena_alloc(s->arena, n * sizeof(double));
    if (s->plain[i] == NULL) s->plain[i] = fv_arena_alloc(s->arena, n * sizeof(double));
    if (s->in[i] == NULL || s->plain[i] == NULL) return false;
    if (!s->c->in[i].absent) ck_fill_values(&s->c->in[i], kind, &rng, s->in[i]);
  }
  return true;
}

static bool can_take(const subject *s, int i) {
  const fv_node *n = s->node;
  return (n->op->flags & FV_OP_INPLACE) && (i == 0 || ck_is_elementwise(n->op)) && n->in[i]->kind != FV_VALUE_ABSENT &&
         count_of(n->in[i]) == count_of(n->out[0]) && bytes_of(n->in[i]) == bytes_of(n->out[0]);
}

static bool keep_outputs(subject *s, uint8_t **base) {
  for (int i = 0; i < s->node->n_out; i++) {
    base[i] = fv_arena_alloc(s->arena, bytes_of(s->node->out[i]) + 1);
    if (base[i] == NULL) return false;
    memcpy(base[i], s->out_t[i].data, bytes_of(s->node->out[i]));
  }
  return true;
}

/* Outputs that may be left out, in every combination: the others keep their bits. */
static void check_left_out(subject *s, uint8_t *const *base) {
  if (!(s->op->flags & FV_OP_SPARE)) return;
  for (uint32_t out = 2; out < 1u << s->node->n_out; out += 2) {
    run_how how = {.what = "without some outputs", .place = CK_PLACE_END, .left_out = out, .dirt = 0xFF};
    if (!run(s, &how)) return;
    compare_bits(s, &how, base);
  }
}

static void check_uniform(subject *s) {
  static const run_how first = {.what = "end of memory", .place = CK_PLACE_END, .dirt = 0xFF};
  static const run_how others[] = {
      {.what = "again", .place = CK_PLACE_END, .dirt = 0x7F},
      {.what = "start of memory", .place = CK_PLACE_START, .dirt = 0xFF},
      {.what = "misaligned", .place = CK_PLACE_ODD, .dirt = 0x3C},
      {.what = "unit by unit", .place = CK_PLACE_END, .cut = 1, .dirt = 0xFF},
      {.what = "in pieces", .place = CK_PLACE_START, .cut = 2, .dirt = 0xFF},
      {.what = "in place", .place = CK_PLACE_END, .inplace = true, .dirt = 0xFF},
      {.what = "in place, in pieces", .place = CK_PLACE_START, .cut = 2, .inplace = true, .dirt = 0xFF},
      {.what = "packed", .place = CK_PLACE_END, .packed = true, .dirt = 0xFF},
      {.what = "packed, in pieces", .place = CK_PLACE_START, .packed = true, .cut = 2, .dirt = 0x3C},
  };
  double *want[FV_MAX_OUTS];
  uint8_t *base[FV_MAX_OUTS];
  if (!fill(s, CK_FILL_UNIFORM) || !reference(s, want) || !run(s, &first)) return;
  compare_values(s, first.what, want, s->c->tolerance, 0, false);
  if (!keep_outputs(s, base)) return;
  for (size_t i = 0; i < FV_COUNT(others); i++) {
    const run_how *how = &others[i];
    bool unit_by_unit = how->cut == 1;
    if (how->cut > 0 && (s->units < 2 || (unit_by_unit && s->units > 64))) continue;
    if (how->packed && (s->k->packed == NULL || s->k->pack == NULL)) continue;
    for (s->taken = 0; s->taken < (how->inplace ? s->node->n_in : 1); s->taken++) {
      if (how->inplace && !can_take(s, s->taken)) continue;
      if (!run(s, how)) return;
      if (how->packed) compare_values(s, how->what, want, s->c->tolerance, 0, false);
      else compare_bits(s, how, base);
    }
  }
  check_left_out(s, base);
}

static double largest_operand(const ck_case *c) {
  double largest = 0;
  for (int i = 0; i < c->n; i++)
    if (!c->in[i].absent && c->in[i].dtype == FV_F32)
      largest = fmax(largest, fmax(fabs(c->in[i].lo), fabs(c->in[i].hi)));
  return largest;
}

static void check_fill(subject *s, ck_fill kind, const char *what, bool each) {
  double *want[FV_MAX_OUTS];
  run_how how = {.what = what, .place = CK_PLACE_END, .dirt = 0xFF};
  /* among NaN and special numbers what counts is the kind of number: digits are counted where all are of one size */
  double tolerance = kind == CK_FILL_STEPS ? s->c->tolerance : 25 * s->c->tolerance;
  double least = kind == CK_FILL_STEPS ? 0.1 * largest_operand(s->c) : 0; /* equal numbers cancel */
  if (fill(s, kind) && reference(s, want) && run(s, &how)) compare_values(s, what, want, tolerance, least, each);
}

static void check_case(subject *s) {
  check_uniform(s);
  if (s->r->problems > 0) return;
  check_fill(s, CK_FILL_STEPS, "repeated values", false);
  if (s->op->flags & FV_OP_PRODUCT) return; /* padding times infinity is the engine's choice */
  check_fill(s, CK_FILL_NAN, "some NaN", false);
  if (s->op->flags & FV_OP_ELEMENTWISE)
    check_fill(s, s->c->n == 1 ? CK_FILL_HUGE : CK_FILL_NUMBERS, "special numbers", true);
}

static bool can_run(const fv_kernel *k, const fv_node *node) {
  if (k->op == NULL ? k->can == NULL : strcmp(k->op, node->op->name) != 0) return false;
  return k->can == NULL || k->can(node);
}

static void subject_init(subject *s) {
  for (int i = 0; i < CK_MAX_IN; i++) {
    ck_buffer_init(&s->in_buf[i], "input", i);
    ck_buffer_init(&s->packed_buf[i], "packed input", i);
  }
  for (int i = 0; i < FV_MAX_OUTS; i++) ck_buffer_init(&s->out_buf[i], "output", i);
  ck_buffer_init(&s->scratch, "scratch", -1);
  s->units = s->k->units == NULL ? 1 : s->k->units(s->node);
  s->scratch_bytes = s->k->scratch == NULL ? 0 : s->k->scratch(s->node);
}

static void subject_free(subject *s) {
  for (int i = 0; i < CK_MAX_IN; i++) {
    ck_buffer_free(&s->in_buf[i]);
    ck_buffer_free(&s->packed_buf[i]);
  }
  for (int i = 0; i < FV_MAX_OUTS; i++) ck_buffer_free(&s->out_buf[i]);
  ck_buffer_free(&s->scratch);
  if (s->state != NULL && s->k->release != NULL) s->k->release(s->state);
}

/* Checks or times one case; false when the kernel does not run it. */
static bool one_case(ck_report *r, const fv_kernel *k, const fv_op_def *op, const ck_case *c, fv_arena *arena) {
  fv_graph *g = NULL;
  fv_node *node;
  if (ck_node_build(op, c, FV_F32, &g, &node) != FV_OK) return false; /* check op tells why */
  bool can = can_run(k, node);
  if (can && r->bench) {
    ck_bench_case(r, k, c, node);
  } else if (can) {
    subject s = {.r = r, .k = k, .op = op, .c = c, .node = node, .arena = arena};
    char again[128];
    subject_init(&s);
    snprintf(again, sizeof again, "%s --isa %s", op->name, fv_isa_names[k->isa]);
    ck_begin(r, again, "%s:%s %s %s", op->name, k->name, fv_isa_names[k->isa], ck_case_text(c));
    if (s.units < 0 || s.scratch_bytes < 0)
      ck_problem(r, "expected units and scratch of 0 or more, got %lld and %lld", (long long)s.units,
                 (long long)s.scratch_bytes);
    else if (k->prepare == NULL || !failed(&s, k->prepare(node, &s.state))) check_case(&s);
    ck_end(r);
    subject_free(&s);
  }
  fv_graph_free(g);
  return can;
}

void ck_kernel_row(ck_report *r, const fv_kernel *k, const fv_op_def *op, int *ran) {
  for (int index = 0;; index++) {
    fv_arena *arena;
    ck_case c;
    if (fv_arena_new(&arena) != FV_OK) return;
    bool more = ck_case_get(op, index, r->seed, arena, &c);
    if (more && c.n >= 0 && one_case(r, k, op, &c, arena)) ++*ran;
    fv_arena_free(arena);
    if (!more) return;
  }
}

/* A kernel with all operations it may run. */
static void check_kernel(ck_report *r, const fv_kernel *k) {
  int ran = 0;
  for (int i = 0; fv_ops[i] != NULL; i++)
    if ((k->op == NULL || strcmp(k->op, fv_ops[i]->name) == 0) && ck_wanted(r, fv_ops[i]->name))
      ck_kernel_row(r, k, fv_ops[i], &ran);
  if (ran > 0 || r->only != NULL) return;
  ck_begin(r, k->op == NULL ? "" : k->op, "%s:%s %s", k->op == NULL ? "(any)" : k->op, k->name, fv_isa_names[k->isa]);
  ck_problem(r, "expected at least one case that this kernel runs, got none");
  ck_end(r);
}

void ck_mode_kernel(ck_report *r) {
  for (int t = 0; fv_kernel_tables[t] != NULL; t++)
    for (const fv_kernel *k = fv_kernel_tables[t]; k->run != NULL; k++) {
      if ((r->has_isa && k->isa != r->isa) || (k->op != NULL && !ck_wanted(r, k->op))) continue;
      if (fv_cpu_has(k->isa) && k->isa <= fv_cpu_isa()) {
        check_kernel(r, k);
        continue;
      }
      ck_begin(r, "", "%s:%s %s", k->op == NULL ? "(any)" : k->op, k->name, fv_isa_names[k->isa]);
      ck_skip(r, "this processor or FOVEA_ISA does not have the level");
    }
}
