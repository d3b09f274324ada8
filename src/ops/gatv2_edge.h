/* SPDX-License-Identifier: Apache-2.0 */
/* gatv2_edge.h: one edge and head in the references of gatv2_attend's gradients, which share their first inputs. */
#ifndef FV_OPS_GATV2_EDGE_H
#define FV_OPS_GATV2_EDGE_H

#include "ops/attend.h"

#include <math.h>

enum { FV_GATV2_DY, FV_GATV2_L, FV_GATV2_R, FV_GATV2_ATT };

typedef struct fv_gatv2_edge {
  double w, de; /* m alpha; the gradient of the score */
} fv_gatv2_edge;

/* The edge e from source j to target i. */
static inline fv_gatv2_edge fv_gatv2_edge_of(const fv_call *c, int64_t i, int64_t j, int64_t h, int64_t e, int dalpha,
                                             int kept) {
  const int64_t heads = c->in[FV_GATV2_L].shape.dim[1], d = c->in[FV_GATV2_L].shape.dim[2], to = i * heads + h;
  double score = 0, dot = 0;
  for (int64_t f = 0; f < d; f++) {
    const double l = fv_get(&c->in[FV_GATV2_L], (j * heads + h) * d + f);
    const double z = l + fv_get(&c->in[FV_GATV2_R], to * d + f);
    score += fv_get(&c->in[FV_GATV2_ATT], h * d + f) * fv_attend_leaky(z, ((const fv_attend_attrs *)c->attrs)->slope);
    dot += fv_get(&c->in[FV_GATV2_DY], to * d + f) * l;
  }
  const double alpha = exp(score - fv_get(&c->in[FV_ATTEND_LSE], to));
  const double more = fv_attend_in(c, dalpha) ? fv_get(&c->in[dalpha], e * heads + h) : 0;
  fv_gatv2_edge edge = {.w = alpha * fv_attend_kept(c, kept, e * heads + h)};
  edge.de = edge.w * dot + alpha * (more - fv_get(&c->in[FV_ATTEND_DELTA], to));
  return edge;
}
/* l_j + r_i */
static inline double fv_gatv2_sum(const fv_call *c, int64_t i, int64_t j, int64_t h, int64_t f) {
  const int64_t heads = c->in[FV_GATV2_L].shape.dim[1], d = c->in[FV_GATV2_L].shape.dim[2];
  return fv_get(&c->in[FV_GATV2_L], (j * heads + h) * d + f) + fv_get(&c->in[FV_GATV2_R], (i * heads + h) * d + f);
}

#endif
