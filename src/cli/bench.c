/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c: where the time of a training step goes. */
#include "cli.h"

enum { STEPS = 20 };

static void print_nodes(const json_t *result) {
  json_t *nodes = json_object_get(result, "nodes"), *n;
  size_t i;
  printf("\n  %-34s %-10s %5s %9s %7s %8s %7s %8s\n", "operation", "kernel", "nodes", "ms", "share", "GFLOP/s", "GB/s",
         "of alone");
  json_array_foreach(nodes, i, n) {
    const json_t *alone = json_object_get(n, "of_alone");
    printf("  %-34.34s %-10.10s %5d %9.3f %5.1f %% %8.1f %7.1f", json_string_value(json_object_get(n, "op")),
           json_string_value(json_object_get(n, "kernel")), (int)json_integer_value(json_object_get(n, "count")),
           json_number_value(json_object_get(n, "milliseconds")), 100 * json_number_value(json_object_get(n, "share")),
           json_number_value(json_object_get(n, "gflops")),
           json_number_value(json_object_get(n, "gigabytes_per_second")));
    if (alone) printf(" %6.1f %%", 100 * json_number_value(alone));
    putchar('\n');
  }
}

static int run(const cli_args *a) {
  char *json = NULL;
  json_error_t error;
  fv_train_request request = {.recipe = a->names[1],
                              .data = a->data,
                              .preset = a->preset,
                              .sets = a->sets,
                              .n_sets = a->n_sets,
                              .threads = (int)a->threads};
  fv_status status = fv_bench_recipe(&request, a->samples ? (int)a->samples : STEPS, &json);
  if (status != FV_OK) return cli_failed(status);
  json_t *result = a->json ? NULL : json_loads(json, 0, &error);
  int code = cli_print_result(a, json);
  if (result) print_nodes(result);
  json_decref(result);
  return code;
}

static const char *const verbs[] = {"recipe", NULL};
static const cli_option options[] = {CLI_DATA("dataset to train on, by name or as a path"),
                                     CLI_SETTINGS,
                                     {.name = "runs",
                                      .kind = CLI_NUMBER,
                                      CLI_FIELD(samples),
                                      .value = "N",
                                      .letter = 'n',
                                      .min = 1,
                                      .max = 1000000,
                                      .doc = "steps to time; 20 unless given"},
                                     CLI_THREADS,
                                     CLI_JSON,
                                     {0}};
extern const cli_command cli_bench;
const cli_command cli_bench = {
    .name = "bench",
    .usage = "recipe RECIPE [--data NAME|PATH] [--set KEY=VALUE]...",
    .options = options,
    .min_names = 2,
    .max_names = 2,
    .verbs = verbs,
    .wants = "'recipe' and one recipe",
    .run = run,
    .has_settings = true,
    .doc = "where the time of a training step goes",
    .more =
        "Times real training steps: matrix products and convolutions, each also against the same call alone, and "
        "everything else. Leaves no files."};
