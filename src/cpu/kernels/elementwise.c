/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.c: runs every element-wise operation, and chains of them, tile by tile. The node is compiled once into
 * steps over registers: a register is a tile in first-level cache. Operands of the result's shape are read where they
 * lie and results are written in place, so a lone operation copies nothing; what broadcasts is laid out once when its
 * pattern repeats every tile, else tile by tile. The elements are one long row, whatever the shape. */
#include "cpu/tile.h"
#include "ops/chain.h"

#define MAX_VALUES (FV_CHAIN_INPUTS + FV_CHAIN_STEPS)
#define SCRATCH 6144 /* floats of registers: 24 KiB, beside the operands' lines in 32 KiB */
#define TILE_MAX 512
#define UNIT 32768 /* elements of a piece of work, about */

typedef enum source_how {
  SOURCE_DIRECT, /* the result's shape and 4 bytes: read where it lies */
  SOURCE_ONCE,   /* the same for every tile: laid out when a run begins */
  SOURCE_TILE    /* laid out for each tile */
} source_how;
typedef struct source { /* an input, as seen along the row of all elements */
  source_how how;
  bool bytes;      /* u8 */
  int reg;
  int ndim;        /* dimensions that cannot be merged, and the input's stride (0: broadcast) along each */
  int64_t dim[FV_MAX_DIMS], stride[FV_MAX_DIMS];
} source;
typedef struct step {
  tile_fn *fn;
  float k[2];
  int n_in, x[TILE_OPERANDS], y; /* values: inputs, then one a step */
  int reg;                       /* where y goes; -1: into output `out` */
  int out;
} step;
typedef struct sink { /* an output that no step writes itself */
  int value, out;
  bool bytes;
} sink;
typedef struct plan {
  int n_in, n_steps, n_sinks, n_regs;
  int64_t count, tile, unit; /* elements */
  fv_dtype dtype[MAX_VALUES];
  source source[FV_CHAIN_INPUTS];
  step step[FV_CHAIN_STEPS];
  sink sink[FV_CHAIN_OUTPUTS];
} plan;

/* ---- compiling: inputs ------------------------------------------------------------------------------------------- */
/* The dimensions of `out`, with `in`'s strides, merged where the two walk alike. */
static void source_shape(source *s, fv_shape in, fv_shape out) {
  int64_t stride = 1;
  int n = 0;
  int64_t dim[FV_MAX_DIMS], walk[FV_MAX_DIMS]; /* innermost first */
  for (int d = out.ndim - 1, e = in.ndim - 1; d >= 0; d--, e--) {
    int64_t size = e >= 0 ? in.dim[e] : 1, at = size == 1 ? 0 : stride;
    stride *= size;
    if (out.dim[d] == 1) continue;
    if (n && at == (walk[n - 1] ? walk[n - 1] * dim[n - 1] : 0)) {
      dim[n - 1] *= out.dim[d];
      continue;
    }
    dim[n] = out.dim[d];
    walk[n++] = at;
  }
  if (!n) dim[n] = 1, walk[n++] = 1;
  s->ndim = n;
  for (int i = 0; i < n; i++) s->dim[i] = dim[n - 1 - i], s->stride[i] = walk[n - 1 - i];
}
/* The distance after which the input repeats along the row: 1 for a scalar; 0: never. */
static int64_t source_period(const source *s) {
  if (s->ndim == 1) return s->stride[0] ? 0 : 1;
  return s->ndim == 2 && s->stride[0] == 0 ? s->dim[1] : 0;
}
static int64_t common_multiple(int64_t a, int64_t b) {
  int64_t x = a, y = b;
  while (y) {
    int64_t r = x % y;
    x = y;
    y = r;
  }
  return a / x * b;
}
static void plan_sources(plan *p, const fv_node *n) {
  p->n_in = n->n_in;
  for (int i = 0; i < n->n_in; i++) {
    source *s = &p->source[i];
    p->dtype[i] = n->in[i]->dtype;
    source_shape(s, n->in[i]->shape, n->out[0]->shape);
    s->bytes = n->in[i]->dtype == FV_U8;
    s->reg = -1;
    s->how = !s->bytes && s->ndim == 1 && s->stride[0] ? SOURCE_DIRECT : SOURCE_TILE;
  }
}
/* The tile's length for n_regs registers, and what then needs laying out only once. */
static void plan_tile(plan *p) {
  int64_t room = p->n_regs ? FV_MIN(SCRATCH / p->n_regs / 64 * 64, TILE_MAX) : UNIT, repeat = 1;
  for (int i = 0; i < p->n_in; i++) {
    int64_t period = source_period(&p->source[i]);
    if (period <= 0 || period > room) continue;
    int64_t both = common_multiple(repeat, period);
    if (both <= room) repeat = both;
  }
  p->tile = room / repeat * repeat;
  p->unit = p->tile * FV_MAX(UNIT / p->tile, 1);
  for (int i = 0; i < p->n_in; i++) {
    int64_t period = source_period(&p->source[i]);
    if (period > 0 && p->tile % period == 0) p->source[i].how = SOURCE_ONCE;
  }
}

/* ---- compiling: steps -------------------------------------------------------------------------------------------- */
static fv_dtype step_dtype(const fv_op_def *op, const void *attrs, const fv_dtype *in) {
  if (!strcmp(op->name, "where")) return in[1];
  if (!strcmp(op->name, "cast")) {
    const fv_cast_attrs *a = attrs;
    return a->dtype == FV_CAST_REAL ? FV_F32 : a->dtype == FV_CAST_I32 ? FV_I32 : FV_U8;
  }
  static const char *const truths[] = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_not"};
  for (size_t i = 0; i < FV_COUNT(truths); i++)
    if (!strcmp(op->name, truths[i])) return FV_U8;
  return in[0];
}
static bool plan_step(plan *p, const fv_op_def *op, const void *attrs, const int *operand) {
  int y = p->n_in + p->n_steps;
  step *s = &p->step[p->n_steps++];
  *s = (step){.n_in = op->n_in, .y = y, .reg = -1, .out = -1};
  fv_dtype dtype[TILE_OPERANDS] = {0};
  if (op->n_in < 1 || op->n_in > TILE_OPERANDS) return false;
  for (int k = 0; k < op->n_in; k++) {
    s->x[k] = operand[k];
    dtype[k] = p->dtype[operand[k]];
    if (dtype[k] == FV_F64) return false;
  }
  p->dtype[y] = step_dtype(op, attrs, dtype);
  bool where = !strcmp(op->name, "where");
  for (int k = 1; k < op->n_in && !where; k++)
    if ((dtype[k] == FV_F32) != (dtype[0] == FV_F32)) return false;
  s->fn = tile_find(op, attrs, dtype[0], s->k);
  return s->fn != NULL;
}
static bool is_output(const fv_chain_attrs *chain, int s) {
  for (int o = 0; o < chain->n_out; o++)
    if (chain->out[o] == s) return true;
  return false;
}
static int uses(const plan *p, int value) {
  int n = 0;
  for (int s = 0; s < p->n_steps; s++)
    for (int k = 0; k < p->step[s].n_in; k++) n += p->step[s].x[k] == value;
  return n;
}
/* The function that does `first`, then `second` with first's result as its operand `at`; NULL when there is none. */
static tile_fn *pair_of(tile_fn *first, tile_fn *second, int at) {
  if (first == tile_mul && second == tile_add) return tile_mul_add;
  if (first == tile_mul && second == tile_mul && at == 0) return tile_mul_mul;
  if (first == tile_add && second == tile_relu) return tile_add_relu;
  return NULL;
}
/* A step used once, by the step after it, becomes part of that one where a function for the pair exists. */
static void plan_pairs(plan *p, const fv_chain_attrs *chain) {
  int kept = 0;
  for (int s = 0; s < p->n_steps; s++) {
    step *a = &p->step[s], *b = s + 1 < p->n_steps ? a + 1 : NULL;
    int at = b && b->x[0] == a->y ? 0 : 1;
    tile_fn *pair = b && b->x[at] == a->y && at < b->n_in ? pair_of(a->fn, b->fn, at) : NULL;
    if (pair && uses(p, a->y) == 1 && !is_output(chain, s)) {
      step both = *b;
      both.fn = pair;
      both.n_in = a->n_in;
      memcpy(both.x, a->x, sizeof both.x);
      if (b->n_in > 1) both.x[both.n_in++] = b->x[1 - at];
      *b = both;
      a->n_in = 0; /* no longer a user of anything */
      continue;
    }
    step keep = *a;
    a->n_in = 0;
    p->step[kept++] = keep;
  }
  p->n_steps = kept;
}

/* ---- compiling: registers ---------------------------------------------------------------------------------------- */
static bool later_reads(const plan *p, int s) {
  for (s++; s < p->n_steps; s++)
    for (int k = 0; k < p->step[s].n_in; k++)
      if (p->step[s].x[k] < p->n_in && p->source[p->step[s].x[k]].how == SOURCE_DIRECT) return true;
  return false;
}
/* A step writes straight into its output, but for bytes, and for output 0 while an input whose memory it may have taken
 * over is still to be read. */
static void plan_outputs(plan *p, const fv_node *n, const fv_chain_attrs *chain) {
  for (int o = 0; o < n->n_out; o++) {
    int value = p->n_in + (chain ? (int)chain->out[o] : 0), s = 0;
    while (p->step[s].y != value) s++;
    bool bytes = n->out[o]->dtype == FV_U8;
    if (!bytes && p->step[s].out < 0 && (o > 0 || !later_reads(p, s))) p->step[s].out = o;
    else p->sink[p->n_sinks++] = (sink){.value = value, .out = o, .bytes = bytes};
  }
}
static int reg_take(uint64_t *taken, int *n_regs) {
  int r = 0;
  while (*taken >> r & 1) r++;
  *taken |= UINT64_C(1) << r;
  *n_regs = FV_MAX(*n_regs, r + 1);
  return r;
}
static int last_use(const plan *p, int value) {
  int last = -1;
  for (int s = 0; s < p->n_steps; s++)
    for (int k = 0; k < p->step[s].n_in; k++)
      if (p->step[s].x[k] == value) last = s;
  for (int i = 0; i < p->n_sinks; i++)
    if (p->sink[i].value == value) last = p->n_steps;
  return last;
}
/* Inputs that are laid out hold theirs for good; a step may take over a register it is the last to read. */
static void plan_registers(plan *p) {
  uint64_t taken = 0;
  int reg[MAX_VALUES];
  for (int v = 0; v < MAX_VALUES; v++) reg[v] = -1;
  for (int i = 0; i < p->n_in; i++)
    if (p->source[i].how != SOURCE_DIRECT) p->source[i].reg = reg_take(&taken, &p->n_regs);
  for (int s = 0; s < p->n_steps; s++) {
    step *t = &p->step[s];
    for (int k = 0; k < t->n_in; k++)
      if (reg[t->x[k]] >= 0 && last_use(p, t->x[k]) == s) taken &= ~(UINT64_C(1) << reg[t->x[k]]);
    if (t->out < 0) t->reg = reg[t->y] = reg_take(&taken, &p->n_regs);
  }
}

static bool plan_node(plan *p, const fv_node *n) {
  const fv_chain_attrs *chain = !strcmp(n->op->name, "chain") ? n->attrs : NULL;
  const int self[TILE_OPERANDS] = {0, 1, 2, 3};
  *p = (plan){.count = fv_shape_count(n->out[0]->shape)};
  if ((!chain && !(n->op->flags & FV_OP_ELEMENTWISE)) || n->n_in > FV_CHAIN_INPUTS) return false;
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i]->kind == FV_VALUE_ABSENT) return false;
  plan_sources(p, n);
  if (!chain && !plan_step(p, n->op, n->attrs, self)) return false;
  for (int s = 0; chain && s < chain->n_steps; s++)
    if (!plan_step(p, chain->step[s].op, chain->step[s].attrs, chain->step[s].operand)) return false;
  if (chain) plan_pairs(p, chain);
  plan_outputs(p, n, chain);
  plan_registers(p);
  plan_tile(p);
  return true;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */
/* n elements of a row of the input, or one of them n times, as 4-byte items. */
static void lay_run(const source *s, const void *data, int64_t at, bool repeat, int64_t n, int32_t *to) {
  const int32_t *words = data;
  const uint8_t *bytes = data;
  if (repeat) {
    fv_i32v v = fv_isplat(s->bytes ? bytes[at] : words[at]);
    int64_t i = 0;
    for (; i + FV_W <= n; i += FV_W) fv_istore(to + i, v);
    if (i < n) fv_istore_n(to + i, v, n - i);
  } else if (s->bytes) {
    int64_t i = 0;
    for (; i + FV_W <= n; i += FV_W) fv_istore(to + i, fv_iload_u8(bytes + at + i));
    if (i < n) fv_istore_n(to + i, fv_iload_u8_n(bytes + at + i, n - i), n - i);
  } else {
    memcpy(to, words + at, (size_t)n * 4);
  }
}
/* The input's elements [start, start + n) along the row. */
static void lay(const source *s, const void *data, int64_t start, int64_t n, int32_t *to) {
  int64_t place[FV_MAX_DIMS], rest = start, last = s->ndim - 1;
  for (int64_t d = last; d >= 0; d--) {
    place[d] = rest % s->dim[d];
    rest /= s->dim[d];
  }
  for (int64_t done = 0; done < n;) {
    int64_t at = 0, m = FV_MIN(s->dim[last] - place[last], n - done);
    for (int64_t d = 0; d <= last; d++) at += place[d] * s->stride[d];
    lay_run(s, data, at, s->stride[last] == 0, m, to + done);
    done += m;
    place[last] += m;
    for (int64_t d = last; d > 0 && place[d] == s->dim[d]; d--) {
      place[d] = 0;
      place[d - 1]++;
    }
  }
}
static void store_sink(const sink *k, const int32_t *from, const fv_tensor *out, int64_t start, int64_t n) {
  if (!k->bytes) {
    memcpy((int32_t *)out->data + start, from, (size_t)n * 4);
    return;
  }
  uint8_t *to = (uint8_t *)out->data + start;
  int64_t i = 0;
  for (; i + FV_W <= n; i += FV_W) fv_istore_u8(to + i, fv_iload(from + i));
  if (i < n) fv_istore_u8_n(to + i, fv_iload_n(from + i, n - i), n - i);
}
/* Elements [start, start + n), n at most a tile. value[]: where each value of this tile is. */
static void run_tile(const plan *p, const fv_call *c, int32_t *regs, void **value, int64_t start, int64_t n) {
  for (int i = 0; i < p->n_in; i++) {
    const source *s = &p->source[i];
    if (s->how == SOURCE_DIRECT) value[i] = (int32_t *)c->in[i].data + start;
    else if (s->how == SOURCE_TILE) lay(s, c->in[i].data, start, n, regs + s->reg * p->tile);
  }
  for (int j = 0; j < p->n_steps; j++) {
    const step *s = &p->step[j];
    const void *x[TILE_OPERANDS];
    for (int k = 0; k < TILE_OPERANDS; k++) x[k] = value[s->x[k]];
    value[s->y] = s->out >= 0 ? (int32_t *)c->out[s->out].data + start : regs + s->reg * p->tile;
    s->fn(value[s->y], x, s->k, n);
  }
  for (int k = 0; k < p->n_sinks; k++)
    store_sink(&p->sink[k], value[p->sink[k].value], &c->out[p->sink[k].out], start, n);
}
static void run(const fv_call *c) {
  const plan *p = c->state;
  _Alignas(64) int32_t regs[SCRATCH];
  void *value[MAX_VALUES];
  int64_t start = c->begin * p->unit, end = FV_MIN(c->end * p->unit, p->count);
  for (int i = 0; i < p->n_in && start < end; i++) {
    const source *s = &p->source[i];
    value[i] = regs + FV_MAX(s->reg, 0) * p->tile;
    if (s->how == SOURCE_ONCE) lay(s, c->in[i].data, start, FV_MIN(p->tile, end - start), value[i]);
  }
  for (; start < end; start += p->tile) run_tile(p, c, regs, value, start, FV_MIN(p->tile, end - start));
}

/* ---- the row ----------------------------------------------------------------------------------------------------- */
static bool can(const fv_node *n) {
  plan p;
  return plan_node(&p, n);
}
static int64_t units(const fv_node *n) {
  plan p;
  return plan_node(&p, n) ? FV_MAX(fv_ceil_div(p.count, p.unit), 1) : 1;
}
static fv_status prepare(const fv_node *n, void **state) {
  plan *p = NULL;
  FV_TRY(FV_NEW(&p, 1));
  *state = p;
  FV_ASSERT(plan_node(p, n));
  return FV_OK;
}

const fv_kernel FV_KERNELS(elementwise)[] = {
    {.name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .can = can, .units = units, .prepare = prepare,
     .release = fv_free, .run = run},
    {0}};
