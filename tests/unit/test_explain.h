/* SPDX-License-Identifier: Apache-2.0 */
/* test_explain.h: models in the scratch directory, and what explaining says of them. */
#ifndef FV_TEST_EXPLAIN_H
#define FV_TEST_EXPLAIN_H

#include "test_io.h"
#include "train/explain.h"

static inline void train(const char *out, const char *recipe, const char *data, const char *preset,
                         const fv_setting *sets, int n) {
  char *json;
  const fv_train_request rq = {.recipe = recipe, .data = data, .preset = preset, .out = in_scratch(out), .sets = sets,
                               .n_sets = n, .threads = 2};
  OK(fv_train(&rq, &json));
  fv_string_free(json);
}

static inline fv_model *open_model(const char *name) {
  fv_model *m;
  OK(fv_model_open(in_scratch(name), 2, &m));
  return m;
}

static inline json_t *explain(fv_model *m, const fv_explain_request *rq) {
  char *text;
  json_t *root;
  OK(fv_model_explain(m, rq, &text));
  OK(fv_json_parse(text, strlen(text), "result", 1 << 24, &root));
  fv_string_free(text);
  return root;
}

#endif
