/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c: a trained model on a whole split. */
#include "cli.h"

static int run(const cli_args *a) {
  fv_model *model = NULL;
  char *json = NULL;
  cli_progress p = cli_progress_new(a);
  fv_split split = FV_SPLIT_TEST;
  for (int s = 0; a->split && s < FV_SPLITS; s++)
    if (strcmp(a->split, fv_split_names[s]) == 0) split = (fv_split)s;
  fv_stop_catch();
  fv_status status = fv_model_open(a->names[0], (int)a->threads, &model);
  if (status == FV_OK) status = fv_model_eval(model, a->data, split, cli_progress_report, &p, &json);
  fv_model_free(model);
  cli_progress_end(&p);
  return status == FV_OK ? cli_print_result(a, json) : cli_failed(status);
}

static const cli_option options[] = {CLI_DATA("another dataset than the one it was trained on"),
                                     {.name = "split",
                                      .kind = CLI_TEXT,
                                      CLI_FIELD(split),
                                      .value = "train|test|validation",
                                      .choices = fv_split_names,
                                      .doc = "test unless given"},
                                     CLI_THREADS,
                                     CLI_JSON,
                                     CLI_QUIET,
                                     {0}};
extern const cli_command cli_eval;
const cli_command cli_eval = {.name = "eval",
                              .usage = "MODEL [--data NAME|PATH] [--split test]",
                              .options = options,
                              .min_names = 1,
                              .max_names = 1,
                              .wants = "one model",
                              .run = run,
                              .doc = "a trained model's metrics on a dataset",
                              .more = "MODEL is a run directory or its model.safetensors."};
