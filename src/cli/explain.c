/* SPDX-License-Identifier: Apache-2.0 */
/* explain.c: where a model looked, which words or rows of a series counted: a picture, a page or numbers, and a
 * sketch in the terminal. */
#include "cli.h"

#include <stdlib.h>

static bool known_ending(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot && (strcmp(dot, ".png") == 0 || strcmp(dot, ".html") == 0 || strcmp(dot, ".json") == 0 ||
                 strcmp(dot, ".dot") == 0);
}

static int print_human(const cli_args *a, char *json) {
  json_error_t error;
  json_t *result = json_loads(json, 0, &error);
  fv_string_free(json);
  if (!result) return cli_out_of_memory();
  json_t *sketch = json_object_get(result, "terminal");
  if (json_is_string(sketch)) printf("%s\n", json_string_value(sketch));
  json_object_del(result, "terminal");
  cli_print_table(result);
  if (a->out) printf("\n  %s\n", a->out);
  json_decref(result);
  return 0;
}

static int run(const cli_args *a) {
  fv_model *model = NULL;
  char *json = NULL;
  bool shown = !a->json && !a->quiet;
  fv_explain_request request = {.input = a->n_names > 1 ? a->names[1] : NULL,
                                .data = a->data,
                                .out = a->out,
                                .method = a->method,
                                .samples = a->samples,
                                .faithfulness = a->faithfulness,
                                .terminal = shown,
                                .terminal_columns = cli_columns()};
  if (a->out && !known_ending(a->out))
    return cli_refuse("option --out (fovea explain): expected a name that ends in .png, .html, .dot or .json, got '%s'",
                      a->out);
  fv_stop_catch();
  fv_status status = fv_model_open(a->names[0], (int)a->threads, &model);
  if (status == FV_OK) status = fv_model_explain(model, &request, &json);
  fv_model_free(model);
  if (status != FV_OK) return cli_failed(status);
  return shown ? print_human(a, json) : cli_print_result(a, json);
}

static const cli_option options[] = {
    {.name = "out",
     .kind = CLI_TEXT,
     CLI_FIELD(out),
     .value = "FILE",
     .letter = 'o',
     .doc = "what to write: FILE.png, FILE.html or FILE.json; of graphs also FILE.dot"},
    {.name = "method",
     .kind = CLI_TEXT,
     CLI_FIELD(method),
     .value = "NAME",
     .letter = 'm',
     .doc = "how: attention, pooling, rollout, input-gradient, as the recipe has it; its first unless given"},
    {.name = "faithfulness",
     CLI_FIELD(faithfulness),
     .letter = 'f',
     .doc = "also deletion and insertion against a random order; the pointing game where the data has boxes; "
            "comprehensiveness and sufficiency of texts and series; edges removed from graphs, examples from few"},
    {.name = "samples",
     .kind = CLI_NUMBER,
     CLI_FIELD(samples),
     .value = "N",
     .letter = 'n',
     .min = 1,
     .max = 1000000000,
     .doc = "how many samples of the test split, when no input is given or for --faithfulness"},
    CLI_DATA("another dataset than the one it was trained on"),
    CLI_THREADS,
    CLI_JSON,
    CLI_QUIET,
    {0}};
extern const cli_command cli_explain;
const cli_command cli_explain = {
    .name = "explain",
    .usage = "MODEL [INPUT] --out FILE.png|.html|.json [--faithfulness]",
    .options = options,
    .min_names = 1,
    .max_names = 2,
    .wants = "a model and at most one input",
    .run = run,
    .doc = "where a model looks, and whether that is what counts",
    .more =
        "MODEL is a run directory or its model.safetensors. INPUT is a PNG, JPEG, IDX or "
        "NPY file, a file with a text a line, or of series a CSV; node:ID of graphs; text:WORDS for a text "
        "itself; - for texts on standard input; or test:N. Without one, samples of the "
        "test split are explained. Of texts the terminal shows the words with their "
        "weights."};
