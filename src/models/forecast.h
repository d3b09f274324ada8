/* SPDX-License-Identifier: Apache-2.0 */
/* forecast.h (private to src/models): the networks of the recipe `forecast`. Each reads the past [n,L,C] and gives the
 * future [n,H,C], both standardised. */
#ifndef FV_MODELS_FORECAST_H
#define FV_MODELS_FORECAST_H

#include "models/recipe.h"

typedef struct fv_forecast_settings {
  int64_t model;
  bool normalise;
  int64_t window;                                     /* dlinear */
  int64_t width, heads, feedforward, layers, patch, stride; /* patchtst */
  bool carry;
  int64_t hidden;                                     /* darnn */
  double dropout;
} fv_forecast_settings;

enum { FV_PATCH_STRIDES = 64, FV_DARNN_STEPS = 1024 }; /* at most: of a patch, of its past */

fv_value *fv_dlinear(fv_graph *g, const fv_forecast_settings *s, const fv_problem *task, fv_value *past);
fv_value *fv_patchtst(fv_graph *g, const fv_forecast_settings *s, const fv_problem *task, fv_value *past,
                      bool training);
fv_value *fv_darnn(fv_graph *g, const fv_forecast_settings *s, const fv_problem *task, fv_value *past);

#endif
