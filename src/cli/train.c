/* SPDX-License-Identifier: Apache-2.0 */
/* train.c: trains a recipe and leaves a run directory. */
#include "cli.h"

#include <sys/stat.h>

/* runs/RECIPE-DATA; of a path, its last part. */
static void default_out(const cli_args *a, char *out, size_t size) {
  int i = fv_recipe_find(a->names[0]);
  const char *data = a->data ? a->data : i >= 0 ? fv_recipe_get_info(i).default_data : "data";
  size_t n = strlen(data), start;
  while (n > 1 && data[n - 1] == '/') n--;
  for (start = n; start > 0 && data[start - 1] != '/'; start--) continue;
  snprintf(out, size, "runs/%s-%.*s", a->names[0], (int)(n - start), data + start);
}

static void print_files(const char *out) {
  static const char *const files[] = {"model.safetensors", "curves.png", "metrics.jsonl", "config.json", NULL};
  printf("\n");
  for (int i = 0; files[i]; i++) {
    char path[4096];
    struct stat info;
    cli_text text;
    snprintf(path, sizeof path, "%s/%s", out, files[i]);
    if (stat(path, &info) == 0) printf("  %s  %s\n", path, cli_bytes((double)info.st_size, text));
  }
}

static int run(const cli_args *a) {
  char out[4096], *json = NULL;
  cli_progress p = cli_progress_new(a);
  if (!a->out) default_out(a, out, sizeof out);
  fv_train_request request = {.recipe = a->names[0],
                              .data = a->data,
                              .preset = a->preset,
                              .out = a->out ? a->out : out,
                              .sets = a->sets,
                              .n_sets = a->n_sets,
                              .threads = (int)a->threads,
                              .resume = a->resume,
                              .memory_limit = a->memory,
                              .together = (int)a->together,
                              .report = cli_progress_report,
                              .arg = &p};
  fv_stop_catch();
  bool many = a->folds || a->seeds;
  fv_status status = many ? fv_train_repeat(&request, a->folds ? 0 : (int)a->seeds, &json) : fv_train(&request, &json);
  cli_progress_end(&p);
  if (status != FV_OK) return cli_failed(status);
  int code = cli_print_result(a, json);
  if (!a->json && !a->quiet && !many) print_files(request.out);
  return code;
}

static const cli_option options[] = {
    CLI_DATA(
        "dataset to train on, by name or as a path: class folders, a table (CSV, TSV, JSON lines), an NPY or IDX pair, "
        "a .zip of graphs, or two files A,B: sentences, or nodes and edges of a graph"),
    CLI_SETTINGS,
    {.name = "out",
     .kind = CLI_TEXT,
     CLI_FIELD(out),
     .value = "DIR",
     .letter = 'o',
     .doc = "run directory; runs/RECIPE-DATA unless given"},
    {.name = "resume",
     CLI_FIELD(resume),
     .letter = 'r',
     .doc = "go on with the run in the run directory, to the same end"},
    {.name = "folds",
     CLI_FIELD(folds),
     .doc = "one run for each fold of data without a test part, in DIR/fold-N: mean and deviation"},
    {.name = "seeds",
     .kind = CLI_NUMBER,
     CLI_FIELD(seeds),
     .value = "N",
     .min = 1,
     .max = 100000,
     .doc = "N runs, each with another seed, in DIR/seed-N: mean and deviation"},
    {.name = "together",
     .kind = CLI_NUMBER,
     CLI_FIELD(together),
     .value = "N",
     .max = 1024,
     .doc = "of --folds and --seeds, runs at once; 0, the default: as many as threads, if memory has room for them"},
    {.name = "memory",
     .kind = CLI_BYTES,
     CLI_FIELD(memory),
     .value = "SIZE",
     .doc = "refuse a run that needs more than this: 800M, 2G"},
    CLI_THREADS,
    CLI_JSON,
    CLI_QUIET,
    {0}};
extern const cli_command cli_train;
const cli_command cli_train = {
    .name = "train",
    .usage = "RECIPE [--data NAME|PATH] [--set KEY=VALUE]...",
    .options = options,
    .min_names = 1,
    .max_names = 1,
    .wants = "one recipe",
    .run = run,
    .has_settings = true,
    .doc = "train a recipe; leaves a run directory",
    .more =
        "The test split is looked at once, at the end. Ctrl-C saves and stops; --resume goes on to the same bits as a "
        "run "
        "that never stopped. An earlier run in the same directory is moved aside, never written over."};
