/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c: shapes, geometry and references of the pooling operations. A window never reaches outside the image: padding
 * adds nothing to a maximum, zeros to an average. No ceil mode: every window begins inside image and border. */
#include "ops/pool.h"

#include <math.h>

/* Of both tables. */
#define OPTION(field, low, high, text) \
  {.name = #field, .type = FV_OPT_INTS, .offset = offsetof(fv_pool_attrs, field), .min = low, .max = high, .doc = text}
#define KERNEL OPTION(kernel, 1, 1 << 20, "window: height,width or one number for both")
#define STRIDE OPTION(stride, 1, 1 << 20, "steps between windows; empty: the kernel")
#define PAD OPTION(pad, 0, 1 << 20, "border on each side, at most half the kernel; empty: none")
#define EXCLUDE_PAD                                                                                             \
  {.name = "exclude_pad", .type = FV_OPT_BOOL, .offset = offsetof(fv_pool_attrs, exclude_pad), .def = "false", \
   .doc = "averages: do not count the border"}

const fv_option fv_pool_options[] = {KERNEL, STRIDE, PAD, EXCLUDE_PAD, {0}};
const fv_option fv_pool_grad_options[] = {
    KERNEL, STRIDE, PAD, EXCLUDE_PAD, OPTION(size, 1, 1 << 30, "height,width of the input the gradient is of"), {0}};
const fv_option fv_adaptive_pool_options[] = {
    {.name = "size", .type = FV_OPT_INTS, .offset = offsetof(fv_adaptive_pool_attrs, size), .min = 1, .max = 1 << 30,
     .doc = "height,width of the result (of a gradient: of the input); one number for both"},
    {0}};

static bool adaptive(const fv_op_def *op) { return op->attrs == fv_adaptive_pool_options; }
static int64_t at(const fv_int_list *l, int i, int64_t none) { return l->n == 0 ? none : l->v[l->n == 1 ? 0 : i]; }

static fv_pool_plan plan(const fv_node *node, fv_shape x, fv_shape y) {
  fv_pool_plan p = {
      .n = x.dim[0], .c = x.dim[3], .h = {.in = x.dim[1], .out = y.dim[1]}, .w = {.in = x.dim[2], .out = y.dim[2]}};
  if (adaptive(node->op)) return p;
  const fv_pool_attrs *a = node->attrs;
  fv_window *const windows[] = {&p.h, &p.w};
  for (int i = 0; i < 2; i++) {
    windows[i]->kernel = at(&a->kernel, i, 1);
    windows[i]->stride = at(&a->stride, i, windows[i]->kernel);
    windows[i]->pad = at(&a->pad, i, 0);
  }
  p.exclude_pad = a->exclude_pad;
  return p;
}

fv_pool_plan fv_pool_of(const fv_node *node) { return plan(node, node->in[0]->shape, node->out[0]->shape); }
fv_pool_plan fv_pool_of_grad(const fv_node *node) { return plan(node, node->out[0]->shape, node->in[0]->shape); }

double fv_pool_scale(const fv_pool_plan *p, int64_t oh, int64_t ow) {
  if (p->h.kernel && !p->exclude_pad) return 1.0 / (double)(p->h.kernel * p->w.kernel);
  const int64_t h = fv_window_end(&p->h, oh) - fv_window_begin(&p->h, oh);
  const int64_t w = fv_window_end(&p->w, ow) - fv_window_begin(&p->w, ow);
  return 1.0 / (double)(h * w);
}

/* ---- shapes ------------------------------------------------------------------------------------------------------ */
static fv_status check_image(const fv_infer *c, const char *what) {
  const fv_value *x = c->in[0];
  FV_INFER_REQUIRE(c, x->shape.ndim == 4, "%s: expected [N,H,W,C], got %s", what, fv_shape_text(x->shape));
  FV_INFER_REQUIRE(c, x->dtype == FV_F32 || x->dtype == FV_F64, "%s: expected real numbers, got %s", what,
                   fv_dtype_name(x->dtype));
  for (int i = 1; i < 3; i++)
    FV_INFER_REQUIRE(c, x->shape.dim[i] >= 1 && x->shape.dim[i] <= 1 << 30,
                     "%s: expected height and width from 1 to 2^30, got %s", what, fv_shape_text(x->shape));
  return FV_OK;
}

/* Height and width of the result of pooling [.,H,W,.]. */
static fv_status pooled(const fv_infer *c, const int64_t *in, int64_t *out) {
  const fv_pool_attrs *a = c->attrs;
  FV_INFER_REQUIRE(c, a->kernel.n == 1 || a->kernel.n == 2, "kernel: expected one or two numbers, got %lld",
                   (long long)a->kernel.n);
  FV_INFER_REQUIRE(c, a->stride.n <= 2 && a->pad.n <= 2, "stride, pad: expected at most two numbers, got %lld and %lld",
                   (long long)a->stride.n, (long long)a->pad.n);
  for (int i = 0; i < 2; i++) {
    const int64_t k = at(&a->kernel, i, 1), s = at(&a->stride, i, k), p = at(&a->pad, i, 0);
    FV_INFER_REQUIRE(c, 2 * p <= k, "pad: expected at most half the kernel %lld, got %lld", (long long)k, (long long)p);
    FV_INFER_REQUIRE(c, in[i] + 2 * p >= k, "input: expected at least %lld along axis %d for kernel %lld, got %lld",
                     (long long)(k - 2 * p), i + 1, (long long)k, (long long)in[i]);
    out[i] = (in[i] + 2 * p - k) / s + 1;
  }
  return FV_OK;
}

fv_status fv_pool_infer(fv_infer *c) {
  FV_TRY(check_image(c, "input"));
  c->shape[0] = c->in[0]->shape;
  if (!adaptive(c->op)) return pooled(c, &c->in[0]->shape.dim[1], &c->shape[0].dim[1]);
  const fv_adaptive_pool_attrs *a = c->attrs;
  FV_INFER_REQUIRE(c, a->size.n == 1 || a->size.n == 2, "size: expected one or two numbers, got %lld",
                   (long long)a->size.n);
  for (int i = 0; i < 2; i++) c->shape[0].dim[1 + i] = at(&a->size, i, 1);
  return FV_OK;
}

fv_status fv_pool_grad_infer(fv_infer *c) {
  FV_TRY(check_image(c, "gradient"));
  const fv_int_list *size = adaptive(c->op) ? &((const fv_adaptive_pool_attrs *)c->attrs)->size
                                            : &((const fv_pool_attrs *)c->attrs)->size;
  const fv_shape dy = c->in[0]->shape;
  FV_INFER_REQUIRE(c, size->n == 1 || size->n == 2, "size: expected one or two numbers, got %lld", (long long)size->n);
  c->shape[0] = dy;
  for (int i = 0; i < 2; i++) c->shape[0].dim[1 + i] = at(size, i, 1);
  if (c->n_in > 1)
    FV_INFER_REQUIRE(c, fv_shape_equal(c->in[1]->shape, dy), "input 1: expected %s, got %s", fv_shape_text(dy),
                     fv_shape_text(c->in[1]->shape));
  if (adaptive(c->op)) return FV_OK;
  int64_t out[2];
  FV_TRY(pooled(c, &c->shape[0].dim[1], out));
  FV_INFER_REQUIRE(c, out[0] == dy.dim[1] && out[1] == dy.dim[2], "gradient: expected [N,%lld,%lld,C], got %s",
                   (long long)out[0], (long long)out[1], fv_shape_text(dy));
  return FV_OK;
}

fv_value *fv_pool_grad(const fv_grad *c, const char *op, fv_value *code) {
  const fv_shape x = c->node->in[0]->shape;
  const fv_int_list size = {.n = 2, .v = {x.dim[1], x.dim[2]}};
  fv_pool_attrs a = {0};
  fv_adaptive_pool_attrs b = {.size = size};
  if (!adaptive(c->node->op)) a = *(const fv_pool_attrs *)c->node->attrs;
  a.size = size;
  fv_value *const in[] = {c->dout[0], code};
  return fv_op_apply(c->g, op, adaptive(c->node->op) ? (const void *)&b : (const void *)&a, code ? 2 : 1, in);
}

/* ---- cost -------------------------------------------------------------------------------------------------------- */
static double window_area(const fv_pool_plan *p) {
  if (p->h.kernel) return (double)(p->h.kernel * p->w.kernel);
  return fmax(1, (double)p->h.in / (double)p->h.out) * fmax(1, (double)p->w.in / (double)p->w.out);
}
fv_cost fv_pool_cost(const fv_node *n) {
  const fv_pool_plan p = fv_pool_of(n);
  return fv_cost_elementwise(n, window_area(&p));
}
fv_cost fv_pool_grad_cost(const fv_node *n) {
  const fv_pool_plan p = fv_pool_of_grad(n);
  return (fv_cost){.flops = window_area(&p) * (double)fv_shape_count(n->in[0]->shape), .bytes = fv_cost_io(n)};
}

/* ---- references -------------------------------------------------------------------------------------------------- */
typedef struct place {
  int64_t n, oh, ow, c;
  int64_t out; /* flat index of the output */
} place;
static place place_of(const fv_pool_plan *p, int64_t i) {
  return (place){.n = i / p->c / p->w.out / p->h.out, .oh = i / p->c / p->w.out % p->h.out, .ow = i / p->c % p->w.out,
                 .c = i % p->c, .out = i};
}
static int64_t input_at(const fv_pool_plan *p, const place *o, int64_t h, int64_t w) {
  return ((o->n * p->h.in + h) * p->w.in + w) * p->c + o->c;
}
#define EACH_OF_WINDOW(p, o)                                                             \
  for (int64_t h = fv_window_begin(&(p)->h, (o)->oh); h < fv_window_end(&(p)->h, (o)->oh); h++) \
    for (int64_t w = fv_window_begin(&(p)->w, (o)->ow); w < fv_window_end(&(p)->w, (o)->ow); w++)

/* The first of equals; a NaN is larger than any number. */
void fv_pool_max_ref(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of(c->node);
  const int64_t count = fv_shape_count(c->out[0].shape);
  for (int64_t i = 0; i < count; i++) {
    const place o = place_of(&p, i);
    double best = 0;
    int64_t code = -1;
    EACH_OF_WINDOW(&p, &o) {
      const double v = fv_get(&c->in[0], input_at(&p, &o, h, w));
      if (code >= 0 && !(v > best) && !(isnan(v) && !isnan(best))) continue;
      best = v;
      code = fv_pool_code(&p, o.oh, o.ow, h, w);
    }
    fv_set(&c->out[0], i, best);
    fv_set(&c->out[1], i, (double)code);
  }
}

static void clear(const fv_tensor *t) {
  const int64_t n = fv_shape_count(t->shape);
  for (int64_t i = 0; i < n; i++) fv_set(t, i, 0);
}
static void add(const fv_tensor *t, int64_t i, double v) { fv_set(t, i, fv_get(t, i) + v); }

void fv_pool_max_grad_ref(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of_grad(c->node);
  const int64_t count = fv_shape_count(c->in[0].shape);
  clear(&c->out[0]);
  for (int64_t i = 0; i < count; i++) {
    const place o = place_of(&p, i);
    const int64_t code = (int64_t)fv_get(&c->in[1], i);
    EACH_OF_WINDOW(&p, &o)
      if (fv_pool_code(&p, o.oh, o.ow, h, w) == code) add(&c->out[0], input_at(&p, &o, h, w), fv_get(&c->in[0], i));
  }
}

void fv_pool_avg_ref(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of(c->node);
  const int64_t count = fv_shape_count(c->out[0].shape);
  for (int64_t i = 0; i < count; i++) {
    const place o = place_of(&p, i);
    double sum = 0;
    EACH_OF_WINDOW(&p, &o) sum += fv_get(&c->in[0], input_at(&p, &o, h, w));
    fv_set(&c->out[0], i, sum * fv_pool_scale(&p, o.oh, o.ow));
  }
}

void fv_pool_avg_grad_ref(const fv_call *c) {
  const fv_pool_plan p = fv_pool_of_grad(c->node);
  const int64_t count = fv_shape_count(c->in[0].shape);
  clear(&c->out[0]);
  for (int64_t i = 0; i < count; i++) {
    const place o = place_of(&p, i);
    const double v = fv_get(&c->in[0], i) * fv_pool_scale(&p, o.oh, o.ow);
    EACH_OF_WINDOW(&p, &o) add(&c->out[0], input_at(&p, &o, h, w), v);
  }
}
