/* SPDX-License-Identifier: Apache-2.0 */
/* classifier.c: from logits to loss, metric and probabilities. */
#include "models/recipe.h"
#include "ops/cross_entropy.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

/* One number a sample: of many answers their mean. */
static fv_value *of_samples(fv_graph *g, fv_value *each, fv_shape answers) {
  if (answers.ndim == 1) return each;
  return fv_reduce(g, "mean", fv_reshape(g, each, answers), FV_SHAPE(1), false);
}

void fv_classifier_outputs(fv_graph *g, fv_value *logits, const fv_problem *task, fv_mode mode) {
  if (!logits) return; /* the graph knows why */
  fv_shape answers = fv_value_shape(logits);
  answers.ndim--;
  logits = fv_reshape(g, logits, FV_SHAPE(-1, fv_dim(logits, answers.ndim)));
  fv_value *named = fv_op(g, "copy", NULL, logits);
  if (mode != FV_MODE_TRAIN) {
    fv_output(g, "scores", named);
    fv_output(g, "probabilities", fv_op(g, "softmax", &(fv_softmax_attrs){.axis = -1}, logits));
  }
  if (mode == FV_MODE_PREDICT) return;
  fv_value *label = fv_reshape(g, fv_input(g, "label", FV_I32, answers), FV_SHAPE(-1));
  fv_reduce_attrs last = {.axes = {1, {-1}}};
  fv_value *right = fv_op(g, "eq", NULL, fv_op(g, "argmax", &last, logits), label);
  fv_output(g, "each.accuracy", of_samples(g, fv_real(g, right), answers));
  fv_cross_entropy_attrs mean = {.label_smoothing = task->label_smoothing};
  if (mode == FV_MODE_TRAIN) {
    fv_output(g, "loss", fv_op(g, "cross_entropy", &mean, logits, label));
    return;
  }
  fv_value *loss = fv_op_text(g, "cross_entropy", "reduction=none", 2, (fv_value *[]){logits, label});
  fv_output(g, "each.loss", of_samples(g, loss, answers));
}
