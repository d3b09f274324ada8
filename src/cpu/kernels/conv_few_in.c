/* SPDX-License-Identifier: Apache-2.0 */
/* conv_few_in: the weight's gradient of a layer that reads an image of few channels (the first one of every network).
 * Vectors run along output channels; a weight's gradient is a sum over pixels of map times shifted pixel, and all that
 * a group of ten taps needs stays in registers while the maps are read once. The bias is one more tap, of ones. */
#include "cpu/planes.h"
#include "cpu/simd.h"
#include "ops/conv2d_grad_weight.h"

enum { VECTORS = FV_W == 16 ? 2 : 1, BLOCK = VECTORS * FV_W, GROUP = 10 };
enum { FEW = 3, LEAST = 17 }; /* where this is faster than oneDNN: input channels, output channels */

typedef struct layout {
  fv_conv_geometry q;
  int64_t pitch, plane;        /* floats: of a row, of a padded plane */
  int64_t taps, groups, lanes; /* with the bias's; of GROUP taps; output channels rounded up */
} layout;

static layout layout_of(const fv_node *n) {
  layout l = {.q = fv_conv_geometry_of(n->attrs, n->in[0]->shape, n->in[1]->shape, n->out[0]->shape)};
  l.pitch = l.q.w + 2 * l.q.pw;
  l.plane = fv_round_up((l.q.h + 2 * l.q.ph) * l.pitch, FV_W);
  l.taps = l.q.c * l.q.kh * l.q.kw + (n->n_out > 1);
  l.groups = fv_ceil_div(l.taps, GROUP);
  l.lanes = fv_round_up(l.q.o, BLOCK);
  return l;
}

static bool can(const fv_node *n) {
  layout l = layout_of(n);
  return n->in[0]->dtype == FV_F32 && l.q.groups == 1 && l.q.c >= 1 && l.q.c <= FEW && l.q.o >= LEAST && l.q.n > 0 &&
         l.plane <= INT32_MAX / 64;
}

/* Planes of the channels and of ones; then the sums [tap][lanes]. */
static int64_t scratch(const fv_node *n) {
  layout l = layout_of(n);
  return ((l.q.c + 1) * l.plane + l.groups * GROUP * l.lanes) * (int64_t)sizeof(float);
}

/* Where tap t reads, from the place of a pixel in the first plane. Past the last: the last again, not kept. */
static int64_t tap_offset(const layout *l, int64_t t) {
  const fv_conv_geometry *q = &l->q;
  int64_t inside = q->c * q->kh * q->kw;
  t = FV_MIN(t, l->taps - 1);
  if (t == inside) return q->c * l->plane;
  return t / (q->kh * q->kw) * l->plane + t / q->kw % q->kh * q->dh * l->pitch + t % q->kw * q->dw;
}

/* `part`: fewer channels than a block are left (a constant where this is called). */
static inline __attribute__((always_inline)) void add_group(const layout *l, const float *planes, const float *maps,
                                                            const int64_t offset[GROUP], float *sums, int64_t left,
                                                            bool part) {
  const fv_conv_geometry *q = &l->q;
  fv_f32v sum[GROUP][VECTORS];
  for (int t = 0; t < GROUP; t++)
    for (int v = 0; v < VECTORS; v++) sum[t][v] = fv_vload(sums + t * l->lanes + v * FV_W);
  for (int64_t oy = 0; oy < q->oh; oy++) {
    const float *at = planes + oy * q->sh * l->pitch;
    for (int64_t ox = 0; ox < q->ow; ox++, at += q->sw, maps += q->o) {
      fv_f32v m[VECTORS];
      for (int v = 0; v < VECTORS; v++)
        m[v] = part ? fv_vload_n(maps + FV_MIN(v * FV_W, left), FV_MAX(FV_MIN(left - v * FV_W, FV_W), 0))
                    : fv_vload(maps + v * FV_W);
      for (int t = 0; t < GROUP; t++) {
        fv_f32v x = fv_vsplat(at[offset[t]]);
        for (int v = 0; v < VECTORS; v++) sum[t][v] = fv_vfma(x, m[v], sum[t][v]);
      }
    }
  }
  for (int t = 0; t < GROUP; t++)
    for (int v = 0; v < VECTORS; v++) fv_vstore(sums + t * l->lanes + v * FV_W, sum[t][v]);
}

static void add_image(const layout *l, const float *planes, const float *maps, float *sums) {
  for (int64_t o = 0; o < l->q.o; o += BLOCK)
    for (int64_t g = 0; g < l->groups; g++) {
      int64_t offset[GROUP];
      for (int t = 0; t < GROUP; t++) offset[t] = tap_offset(l, g * GROUP + t);
      float *into = sums + g * GROUP * l->lanes + o;
      if (l->q.o - o >= BLOCK) add_group(l, planes, maps + o, offset, into, BLOCK, false);
      else add_group(l, planes, maps + o, offset, into, l->q.o - o, true);
    }
}

static void run(const fv_call *c) {
  layout l = layout_of(c->node);
  const fv_conv_geometry *q = &l.q;
  float *planes = c->scratch, *ones = planes + q->c * l.plane, *sums = ones + l.plane;
  memset(sums, 0, (size_t)(l.groups * GROUP * l.lanes) * sizeof *sums);
  for (int64_t i = 0; i < l.plane; i++) ones[i] = 1;
  for (int64_t n = 0; n < q->n; n++) {
    for (int64_t i = 0; i < q->c; i++)
      fv_to_plane((const float *)c->in[0].data + n * q->h * q->w * q->c, q->h, q->w, q->c, i, q->ph, q->pw, l.pitch,
                  l.plane, planes + i * l.plane);
    add_image(&l, planes, (const float *)c->in[1].data + n * q->oh * q->ow * q->o, sums);
  }
  int64_t inside = q->c * q->kh * q->kw;
  for (int64_t o = 0; o < q->o; o++) {
    for (int64_t t = 0; t < inside; t++) ((float *)c->out[0].data)[o * inside + t] = sums[t * l.lanes + o];
    if (c->n_out > 1) ((float *)c->out[1].data)[o] = sums[inside * l.lanes + o];
  }
}

const fv_kernel FV_KERNELS(conv_few_in)[] = {
    {.op = "conv2d_grad_weight", .name = "few_in", .isa = FV_ISA_LEVEL, .priority = 20, .can = can, .scratch = scratch,
     .run = run},
    {0}};
