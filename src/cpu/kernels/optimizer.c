/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.c: an optimiser's step in one pass over its slabs: every number is read once and written once. The formulas
 * are those of the operations named ..._step. */
#include "cpu/simd.h"
#include "ops/optimizer.h"

#define UNIT 16384 /* elements */
#define MOST_STATES 2

/* What a rule gets for FV_W elements: old p and states, and the gradient; it leaves the new ones there. */
typedef struct lanes {
  fv_f32v p, g, state[MOST_STATES];
} lanes;
typedef struct hypers {
  fv_f32v v[FV_HYPERS];
  fv_f32v keep; /* adamw: 1 - rate decay */
} hypers;

static hypers hypers_of(const fv_call *c) {
  const float *h = c->in[c->n_in - 1].data;
  hypers y;
  for (int i = 0; i < FV_HYPERS; i++) y.v[i] = fv_vsplat(h[i]);
  y.keep = fv_vsplat(1) - y.v[FV_HYPER_RATE] * y.v[FV_HYPER_DECAY];
  return y;
}

static inline void sgd(lanes *x, const hypers *h, bool nesterov) {
  fv_f32v g = fv_vfma(h->v[FV_HYPER_DECAY], x->p, x->g * h->v[FV_HYPER_SCALE]);
  fv_f32v m = fv_vfma(h->v[FV_HYPER_MOMENTUM], x->state[0], h->v[FV_HYPER_FIRST] * g);
  fv_f32v d = nesterov ? fv_vfma(h->v[FV_HYPER_MOMENTUM], m, g) : m;
  x->p = fv_vfnma(h->v[FV_HYPER_RATE], d, x->p);
  x->state[0] = m;
}
static inline void sgd_plain(lanes *x, const hypers *h) { sgd(x, h, false); }
static inline void sgd_nesterov(lanes *x, const hypers *h) { sgd(x, h, true); }
static inline void adam(lanes *x, const hypers *h, bool coupled) {
  fv_f32v g = x->g * h->v[FV_HYPER_SCALE], second = h->v[FV_HYPER_SECOND];
  if (coupled) g = fv_vfma(h->v[FV_HYPER_DECAY], x->p, g);
  fv_f32v m = fv_vfma(h->v[FV_HYPER_FIRST], g - x->state[0], x->state[0]);
  fv_f32v v = fv_vfma(second * g, g, (fv_vsplat(1) - second) * x->state[1]);
  fv_f32v root = fv_vsqrt(v) / h->v[FV_HYPER_ROOT] + h->v[FV_HYPER_EPS];
  x->p = fv_vfnma(h->v[FV_HYPER_STEP], m / root, coupled ? x->p : x->p * h->keep);
  x->state[0] = m;
  x->state[1] = v;
}
static inline void adam_decoupled(lanes *x, const hypers *h) { adam(x, h, false); }
static inline void adam_coupled(lanes *x, const hypers *h) { adam(x, h, true); }
static inline void rmsprop(lanes *x, const hypers *h) {
  fv_f32v g = fv_vfma(h->v[FV_HYPER_DECAY], x->p, x->g * h->v[FV_HYPER_SCALE]), second = h->v[FV_HYPER_SECOND];
  fv_f32v v = fv_vfma(second * g, g, (fv_vsplat(1) - second) * x->state[0]);
  fv_f32v m = fv_vfma(h->v[FV_HYPER_MOMENTUM], x->state[1], g / (fv_vsqrt(v) + h->v[FV_HYPER_EPS]));
  x->p = fv_vfnma(h->v[FV_HYPER_RATE], m, x->p);
  x->state[0] = v;
  x->state[1] = m;
}
static inline void ema(lanes *x, const hypers *h) { x->p = fv_vfma(h->v[FV_HYPER_RATE], x->g - x->p, x->p); }

/* The loop around a rule. Everything of an element is read before anything of it is written: outputs may be inputs. */
static inline __attribute__((always_inline)) void walk(const fv_call *c, int n_states,
                                                       void (*rule)(lanes *x, const hypers *h)) {
  hypers h = hypers_of(c);
  const float *p = c->in[0].data, *g = c->in[1].data, *from[MOST_STATES];
  float *to = c->out[0].data, *into[MOST_STATES];
  for (int s = 0; s < n_states; s++) from[s] = c->in[2 + s].data, into[s] = c->out[1 + s].data;
  int64_t end = FV_MIN(c->end * UNIT, c->out[0].shape.dim[0]), i = c->begin * UNIT;
  for (; i + FV_W <= end; i += FV_W) {
    lanes x = {.p = fv_vload(p + i), .g = fv_vload(g + i)};
    for (int s = 0; s < n_states; s++) x.state[s] = fv_vload(from[s] + i);
    rule(&x, &h);
    fv_vstore(to + i, x.p);
    for (int s = 0; s < n_states; s++) fv_vstore(into[s] + i, x.state[s]);
  }
  if (i >= end) return;
  lanes x = {.p = fv_vload_n(p + i, end - i), .g = fv_vload_n(g + i, end - i)};
  for (int s = 0; s < n_states; s++) x.state[s] = fv_vload_n(from[s] + i, end - i);
  rule(&x, &h);
  fv_vstore_n(to + i, x.p, end - i);
  for (int s = 0; s < n_states; s++) fv_vstore_n(into[s] + i, x.state[s], end - i);
}

static void run_sgd(const fv_call *c) {
  const fv_sgd_step_attrs *a = c->attrs;
  if (a->nesterov) walk(c, 1, sgd_nesterov);
  else walk(c, 1, sgd_plain);
}
static void run_adamw(const fv_call *c) {
  const fv_adamw_step_attrs *a = c->attrs;
  if (a->coupled) walk(c, 2, adam_coupled);
  else walk(c, 2, adam_decoupled);
}
static void run_rmsprop(const fv_call *c) { walk(c, 2, rmsprop); }
static void run_ema(const fv_call *c) { walk(c, 0, ema); }

static int64_t units(const fv_node *n) { return FV_MAX(fv_ceil_div(n->out[0]->shape.dim[0], UNIT), 1); }

#define ROW(NAME, RUN) {.op = NAME, .name = "simd", .isa = FV_ISA_LEVEL, .priority = 10, .units = units, .run = RUN}
const fv_kernel FV_KERNELS(optimizer)[] = {ROW("sgd_step", run_sgd), ROW("adamw_step", run_adamw),
                                           ROW("rmsprop_step", run_rmsprop), ROW("ema_step", run_ema), {0}};
