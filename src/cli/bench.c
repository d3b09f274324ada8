/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c: where the time of a training step goes; how fast an operation alone is (bench_op.c). */
#include "bench_gat.h"

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

static int bench_recipe(const cli_args *a) {
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

static int run(const cli_args *a) {
  if (strcmp(a->names[0], "gat") == 0) return cli_bench_gat(a);
  bool recipe = strcmp(a->names[0], "recipe") == 0;
  if (!recipe && a->n_names > 1)
    return cli_refuse("fovea bench %s: expected options alone, got also '%s'", a->names[0], a->names[1]);
  if (recipe && a->n_names < 2) return cli_refuse("fovea bench recipe (RECIPE): expected one recipe, got none");
  return recipe ? bench_recipe(a) : cli_bench_op(a);
}

static const char *const verbs[] = {"recipe", "attention", "lstm", "gru", "gat", NULL};
#define ATTENTION .verb = "attention"
#define OPERATIONS .verb = "attention, lstm, gru"
#define RECURRENT .verb = "lstm, gru"
static const cli_option options[] = {
    {.name = "runs", .kind = CLI_NUMBER, CLI_FIELD(samples), .value = "N", .letter = 'n', .min = 1, .max = 100000,
     .doc = "steps or calls to time; unless given, 20 steps, or calls for 0.3 s and at least 3"},
    CLI_THREADS,
    CLI_JSON,
    CLI_DATA_OF("recipe", "dataset to train on, by name or as a path"),
    CLI_SETTINGS_OF("recipe"),
    {.name = "shape", .kind = CLI_TEXT, CLI_FIELD(shape), .value = "SIZES", OPERATIONS,
     .doc = "attention: B,T,S,H,D, batch, targets, sources, heads, width of a head; lstm, gru: B,T,I,H, batch, steps, "
            "width of an input, width of the state; unless given, a table of usual shapes"},
    {.name = "causal", CLI_FIELD(causal), ATTENTION, .doc = "targets see sources up to their own place, from the end"},
    {.name = "backward", CLI_FIELD(backward), .verb = "attention, lstm, gru, gat",
     .doc = "forward and gradient together"},
    {.name = "bidirectional", CLI_FIELD(bidirectional), RECURRENT, .doc = "both directions"},
    {.name = "window", .kind = CLI_NUMBER, CLI_FIELD(window), .value = "N", .max = INT64_C(1) << 40, ATTENTION,
     .doc = "targets see the last N of the sources they could see; 0: all"},
    {.name = "groups", .kind = CLI_NUMBER, CLI_FIELD(groups), .value = "G", .min = 1, .max = INT32_MAX, ATTENTION,
     .doc = "groups of heads that share keys and values; unless given, as many as heads"},
    {.name = "dropout", .kind = CLI_REAL, CLI_FIELD(dropout), .value = "P", .max = 1, ATTENTION,
     .doc = "of the weights, less than 1"},
    {.name = "bias", CLI_FIELD(bias), ATTENTION,
     .doc = "a bias [H,T,S] is added to the scores; with --backward it has a gradient"},
    {.name = "top-k", .kind = CLI_NUMBER, CLI_FIELD(top_k), .value = "K", .max = 64, ATTENTION,
     .doc = "also give the K largest weights of each target"},
    {.name = "totals", CLI_FIELD(totals), ATTENTION, .doc = "also give the sum of each source's weights"},
    {.name = "entropy", CLI_FIELD(entropy), ATTENTION, .doc = "also give the entropy of each target's weights"},
    {.name = "out", .kind = CLI_TEXT, CLI_FIELD(out), .value = "FILE", .letter = 'o', OPERATIONS,
     .doc = "write inputs and results to FILE.safetensors, for others to check"},
    CLI_BENCH_GAT,
    {0}};
extern const cli_command cli_bench;
const cli_command cli_bench = {
    .name = "bench",
    .usage = "recipe RECIPE [--data NAME|PATH] [--set KEY=VALUE]... | attention|lstm|gru [--shape SIZES] [OPTION]... | "
             "gat [OPTION]...",
    .options = options,
    .min_names = 1,
    .max_names = 2,
    .verbs = verbs,
    .wants = "'recipe' and one recipe, or 'attention', 'lstm', 'gru' or 'gat'",
    .run = run,
    .has_settings = true,
    .doc = "where the time of a training step goes; how fast attention and recurrent layers are",
    .more =
        "'recipe' times real training steps: matrix products and convolutions, each also against the same call alone, "
        "and everything else. Floating-point operations are those of the plain sums: convolutions by Winograd's method "
        "take fewer, and may come out above what the processor does at best. 'attention' times the attention operation on random numbers and measures, between the "
        "calls and on the same threads, what the processor does at best; floating-point operations are those of the "
        "pairs of target and source that see each other, 4 D each forward and 10 D for the gradient. One new token "
        "against a cache is --shape B,1,S,H,D. 'lstm' and 'gru' do the same for a recurrent layer over sequences; "
        "with --backward the products for the weights count too, and repacking the weights as each training step does. "
        "A decoder's step is --shape B,1,I,H. 'gat' times one layer of graph attention of 64 inputs on a random graph. "
        "Leaves no files unless asked to."};
