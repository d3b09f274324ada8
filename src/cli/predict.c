/* SPDX-License-Identifier: Apache-2.0 */
/* predict.c: what a model says to images, texts or series. Each input may hold many; "-" stands for lines on standard
 * input, answered as they come: the texts themselves, or names of inputs. */
#include "cli.h"

#include <stdlib.h>

typedef struct answers {
  const cli_args *args;
  fv_model *model;
  json_t *all; /* with --json */
} answers;

static void print_prediction(const char *input, size_t index, size_t n, bool scored, const json_t *entry) {
  const json_t *top = json_object_get(entry, "top"), *text = json_object_get(entry, "text");
  const json_t *node = json_object_get(entry, "node");
  const json_t *translation = json_object_get(entry, "translation");
  size_t i;
  json_t *guess;
  if (scored) printf("%10.4f  ", json_number_value(json_object_get(entry, "score")));
  if (translation) printf("%s", json_string_value(translation));
  else if (text) printf("%s", json_string_value(text));
  else if (node) printf("%s", json_string_value(node));
  else if (n > 1) printf("%s[%zu]", input, index);
  else printf("%s", input);
  json_array_foreach((json_t *)(uintptr_t)top, i, guess)
      printf("  %s %.2f %%", json_string_value(json_object_get(guess, "label")),
             100 * json_number_value(json_object_get(guess, "probability")));
  putchar('\n');
}

/* A row a step, a column a channel. */
static void print_forecast(const char *input, const json_t *forecast) {
  size_t i;
  json_t *channel;
  printf("%s\n%6s", input, "row");
  json_array_foreach((json_t *)(uintptr_t)forecast, i, channel)
      printf("  %12.12s", json_string_value(json_object_get(channel, "channel")));
  const size_t rows = json_array_size(json_object_get(json_array_get(forecast, 0), "values"));
  for (size_t row = 0; row < rows; row++) {
    printf("\n%6zu", row + 1);
    json_array_foreach((json_t *)(uintptr_t)forecast, i, channel)
        printf("  %12.6g", json_number_value(json_array_get(json_object_get(channel, "values"), row)));
  }
  putchar('\n');
}

/* A line an item, with what of the past said so. */
static void print_wishes(const json_t *entry) {
  size_t i, k;
  json_t *item, *past;
  printf("user %s, from the last %lld ratings\n", json_string_value(json_object_get(entry, "user")),
         (long long)json_integer_value(json_object_get(entry, "history")));
  json_array_foreach(json_object_get(entry, "top"), i, item) {
    printf("  %5.1f %%  %s", 100 * json_number_value(json_object_get(item, "probability")),
           json_string_value(json_object_get(item, "label")));
    json_array_foreach(json_object_get(item, "because"), k, past)
        printf("%s%s (%s)", k ? ", " : "  from ", json_string_value(json_object_get(past, "label")),
               json_string_value(json_object_get(past, "was")));
    putchar('\n');
  }
}

static int answer(answers *w, const char *input) {
  char *json = NULL;
  json_error_t error;
  const fv_predict_request request = {.input = input, .top = (int)w->args->top, .sets = w->args->sets,
                                      .n_sets = w->args->n_sets, .tokens = w->args->tokens,
                                      .target = w->args->target};
  fv_status status = fv_model_answer(w->model, &request, &json);
  if (status != FV_OK) return cli_failed(status);
  json_t *result = json_loads(json, 0, &error), *list = json_object_get(result, "predictions");
  fv_string_free(json);
  if (!result) return cli_out_of_memory();
  for (size_t i = 0; i < json_array_size(list); i++) {
    json_t *entry = json_array_get(list, i), *forecast = json_object_get(entry, "forecast");
    if (!w->args->json && forecast) print_forecast(input, forecast);
    else if (!w->args->json && json_object_get(entry, "user")) print_wishes(entry);
    else if (!w->args->json) print_prediction(input, i, json_array_size(list), w->args->target, entry);
    else json_object_set_new(entry, "input", json_string(input));
  }
  if (w->args->json) json_array_extend(w->all, list);
  json_decref(result);
  return 0;
}

static int answer_text(answers *w, const char *line) {
  size_t n = strlen(line) + sizeof "text:";
  char *input = malloc(n);
  if (!input) return cli_out_of_memory();
  snprintf(input, n, "text:%s", line);
  int code = answer(w, input);
  free(input);
  return code;
}

static int answer_lines(answers *w) {
  char *line = NULL;
  size_t room = 0;
  ssize_t n;
  int code = 0;
  while (code == 0 && (n = getline(&line, &room, stdin)) >= 0) {
    while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
    if (fv_model_reads_texts(w->model)) code = answer_text(w, line);
    else if (n > 0) code = answer(w, line);
    if (!w->args->json) fflush(stdout);
  }
  free(line);
  return code;
}

static int run(const cli_args *a) {
  if (a->target && (a->n_names > 2 || strcmp(a->names[1], "-") == 0))
    return cli_refuse("fovea predict: --target: expected one file or text, got %s", a->n_names > 2 ? "several" : "'-'");
  answers w = {.args = a, .all = a->json ? json_array() : NULL};
  fv_status status = fv_model_open(a->names[0], (int)a->threads, &w.model);
  int code = status == FV_OK ? 0 : cli_failed(status);
  for (int i = 1; code == 0 && i < a->n_names; i++)
    code = strcmp(a->names[i], "-") == 0 ? answer_lines(&w) : answer(&w, a->names[i]);
  fv_model_free(w.model);
  if (a->json && code == 0) return cli_print_json(json_pack("{s:o}", "predictions", w.all));
  json_decref(w.all);
  return code;
}

static const cli_option options[] = {
    {.name = "top",
     .kind = CLI_NUMBER,
     CLI_FIELD(top),
     .value = "K",
     .letter = 'k',
     .min = 1,
     .max = 1000000,
     .doc = "how many of the likeliest labels to tell, or tokens with --target; 3 unless "
            "given"},
    {.name = "set",
     .kind = CLI_SET,
     .value = "KEY=VALUE",
     .doc = "translate: how to write: beam, penalty, sample, temperature, top_k, "
            "top_p, seed"},
    {.name = "tokens", CLI_FIELD(tokens), .doc = "translate: with --json, also tokens and what each looked at"},
    {.name = "target",
     .kind = CLI_TEXT,
     CLI_FIELD(target),
     .value = "FILE",
     .doc = "translate: no translation, but the score of this one, a line for each of "
            "INPUT's, or text:WORDS; with --json --tokens also each token's, and the "
            "K likeliest in its place"},
    CLI_THREADS,
    CLI_JSON,
    {0}};
extern const cli_command cli_predict;
const cli_command cli_predict = {.name = "predict",
                                 .usage = "MODEL INPUT... [--top K]",
                                 .options = options,
                                 .min_names = 2,
                                 .max_names = -1,
                                 .wants = "a model and at least one input",
                                 .run = run,
                                 .doc =
                                     "labels for images, texts or nodes, translations of texts, forecasts of series, "
                                     "items for users",
                                 .more =
                                     "MODEL is a run directory or its model.safetensors. INPUT is a PNG, JPEG, IDX or "
                                     "NPY file, a file with a text a line, a CSV whose last rows are the past of a "
                                     "series, or one of a user's ratings; test:N for a sample of the test split; "
                                     "node:ID for a node of a graph; user:ID for one of the data's users; "
                                     "text:WORDS for a text itself; or - for texts, or a list of the others, on "
                                     "standard input, one a line."};
