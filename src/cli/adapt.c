/* SPDX-License-Identifier: Apache-2.0 */
/* adapt.c: a classifier of one's own classes from a few pictures of each. */
#include "cli.h"

static int run(const cli_args *a) {
  fv_model *model = NULL;
  char *json = NULL;
  if (!a->out) return cli_refuse("fovea adapt: expected --out FILE, where the new model goes");
  fv_status status = fv_model_open(a->names[0], (int)a->threads, &model);
  if (status == FV_OK) status = fv_model_adapt(model, a->names[1], a->out, &json);
  fv_model_free(model);
  return status == FV_OK ? cli_print_result(a, json) : cli_failed(status);
}

static const cli_option options[] = {{.name = "out",
                                      .kind = CLI_TEXT,
                                      CLI_FIELD(out),
                                      .value = "FILE",
                                      .letter = 'o',
                                      .doc = "the new model's file; must be given"},
                                     CLI_THREADS,
                                     CLI_JSON,
                                     CLI_QUIET,
                                     {0}};
extern const cli_command cli_adapt;
const cli_command cli_adapt = {.name = "adapt",
                               .usage = "MODEL SUPPORT_DIR --out FILE",
                               .options = options,
                               .min_names = 2,
                               .max_names = 2,
                               .wants = "a model and a folder",
                               .run = run,
                               .doc = "a classifier of your own classes from a few pictures of each, without training",
                               .more =
                                   "MODEL is one of few-shot, a run directory or its model.safetensors. SUPPORT_DIR "
                                   "has a folder for each class, with its PNG or JPEG files in it. 'fovea predict' and "
                                   "'fovea explain' then take FILE and pictures."};
