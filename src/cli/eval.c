/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c: trained models on a whole split; several side by side in one table. */
#include "cli.h"

static int evaluate(const cli_args *a, const char *path, cli_progress *p, char **json) {
  fv_model *model = NULL;
  fv_split split = FV_SPLIT_TEST;
  for (int s = 0; a->split && s < FV_SPLITS; s++)
    if (strcmp(a->split, fv_split_names[s]) == 0) split = (fv_split)s;
  fv_status status = fv_model_open(path, (int)a->threads, &model);
  if (status == FV_OK) status = fv_model_set(model, a->sets, a->n_sets);
  if (status == FV_OK) status = fv_model_eval(model, a->data, split, cli_progress_report, p, json);
  fv_model_free(model);
  cli_progress_end(p);
  return status == FV_OK ? 0 : cli_failed(status);
}

/* A row a model, a column a metric: those of the first model. */
static void print_side_by_side(const json_t *models) {
  const json_t *first = json_object_get(json_array_get(models, 0), "metrics");
  const char *name;
  json_t *value, *entry;
  size_t i;
  int width = 5;
  json_array_foreach((json_t *)(uintptr_t)models, i, entry) {
    int n = (int)strlen(json_string_value(json_object_get(entry, "model")));
    if (n > width) width = n;
  }
  printf("  %-*s", width, "model");
  json_object_foreach((json_t *)(uintptr_t)first, name, value) printf("  %10s", name);
  printf("  %10s  %10s\n", "parameters", "samples");
  json_array_foreach((json_t *)(uintptr_t)models, i, entry) {
    printf("  %-*s", width, json_string_value(json_object_get(entry, "model")));
    json_object_foreach((json_t *)(uintptr_t)first, name, value)
        printf("  %10.4f", json_number_value(json_object_get(json_object_get(entry, "metrics"), name)));
    cli_text parameters, samples;
    printf("  %10s  %10s\n", cli_count(json_number_value(json_object_get(entry, "parameters")), parameters),
           cli_count(json_number_value(json_object_get(entry, "samples")), samples));
  }
}

static int run_many(const cli_args *a, cli_progress *p) {
  json_t *models = json_array();
  json_error_t error;
  int code = 0;
  for (int i = 0; code == 0 && i < a->n_names; i++) {
    char *json = NULL;
    code = evaluate(a, a->names[i], p, &json);
    json_t *one = code == 0 ? json_loads(json, 0, &error) : NULL;
    fv_string_free(json);
    if (code == 0 && json_object_set_new(one, "model", json_string(a->names[i])) < 0) code = cli_out_of_memory();
    json_array_append_new(models, one);
  }
  if (code == 0 && a->json) return cli_print_json(json_pack("{s:o}", "models", models));
  if (code == 0 && !a->quiet) print_side_by_side(models);
  json_decref(models);
  return code;
}

static int run(const cli_args *a) {
  cli_progress p = cli_progress_new(a);
  char *json = NULL;
  fv_stop_catch();
  if (a->n_names > 1) return run_many(a, &p);
  int code = evaluate(a, a->names[0], &p, &json);
  return code == 0 ? cli_print_result(a, json) : code;
}

static const cli_option options[] = {CLI_DATA("another dataset than the one it was trained on"),
                                     {.name = "split",
                                      .kind = CLI_TEXT,
                                      CLI_FIELD(split),
                                      .value = "train|test|validation",
                                      .choices = fv_split_names,
                                      .doc = "test unless given"},
                                     {.name = "set",
                                      .kind = CLI_SET,
                                      .value = "KEY=VALUE",
                                      .doc = "few-shot: episodes of other ways, shots, queries"},
                                     CLI_THREADS,
                                     CLI_JSON,
                                     CLI_QUIET,
                                     {0}};
extern const cli_command cli_eval;
const cli_command cli_eval = {.name = "eval",
                              .usage = "MODEL... [--data NAME|PATH] [--split test]",
                              .options = options,
                              .min_names = 1,
                              .max_names = -1,
                              .wants = "at least one model",
                              .run = run,
                              .doc = "metrics of a trained model on a dataset, or of several in one table",
                              .more = "MODEL is a run directory or its model.safetensors."};
