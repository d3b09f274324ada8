/* SPDX-License-Identifier: Apache-2.0 */
/* optimizer.c: shapes of the operations of an optimiser's step (optimizer.h). */
#include "ops/optimizer.h"

fv_status fv_optimizer_infer(fv_infer *c, int n_states) {
  fv_shape s = c->in[0]->shape;
  FV_INFER_REQUIRE(c, s.ndim == 1, "p: expected [n], got %s", fv_shape_text(s));
  for (int i = 0; i < c->n_in; i++)
    FV_INFER_REQUIRE(c, c->in[i]->dtype == c->in[0]->dtype && (c->in[i]->dtype == FV_F32 || c->in[i]->dtype == FV_F64),
                     "input %d: expected real numbers as input 0, got %s", i, fv_dtype_name(c->in[i]->dtype));
  for (int i = 1; i < c->n_in - 1; i++)
    FV_INFER_REQUIRE(c, fv_shape_equal(c->in[i]->shape, s), "input %d: expected %s as p, got %s", i, fv_shape_text(s),
                     fv_shape_text(c->in[i]->shape));
  FV_INFER_REQUIRE(c, fv_shape_equal(c->in[c->n_in - 1]->shape, FV_SHAPE(FV_HYPERS)), "hyper: expected [%d], got %s",
                   FV_HYPERS, fv_shape_text(c->in[c->n_in - 1]->shape));
  c->n_out = 1 + n_states;
  for (int i = 0; i < c->n_out; i++) {
    c->dtype[i] = c->dtype[0];
    c->shape[i] = s;
  }
  return FV_OK;
}
