/* SPDX-License-Identifier: Apache-2.0 */
/* classifier.c: from logits to loss, metric and probabilities. */
#include "models/recipe.h"
#include "ops/cross_entropy.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

void fv_classifier_outputs(fv_graph *g, fv_value *logits, const fv_problem *task, fv_mode mode) {
  fv_value *named = fv_op(g, "copy", NULL, logits);
  if (mode != FV_MODE_TRAIN) {
    fv_output(g, "scores", named);
    fv_output(g, "probabilities", fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, logits));
  }
  if (mode == FV_MODE_PREDICT) return;
  fv_value *label = fv_input(g, "label", FV_I32, FV_SHAPE(fv_dim(logits, 0)));
  fv_reduce_attrs last = {.axes = {1, {-1}}};
  fv_value *right = fv_op(g, "eq", NULL, fv_op(g, "argmax", &last, logits), label);
  fv_output(g, "each.accuracy", fv_real(g, right));
  fv_cross_entropy_attrs mean = {.label_smoothing = task->label_smoothing};
  if (mode == FV_MODE_TRAIN) fv_output(g, "loss", fv_op(g, "cross_entropy", &mean, logits, label));
  else fv_output(g, "each.loss", fv_op_text(g, "cross_entropy", "reduction=none", 2, (fv_value *[]){logits, label}));
}
