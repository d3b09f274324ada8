/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c: what a training run takes, before anything runs. */
#include "cli.h"

#include <errno.h>
#include <unistd.h>

static int write_dot(const fv_train_request *request, const char *path) {
  char *dot = NULL;
  fv_status status = fv_plan_dot(request, &dot);
  if (status != FV_OK) return cli_failed(status);
  FILE *file = fopen(path, "w");
  bool failed = !file || fputs(dot, file) < 0;
  if (file) failed |= fclose(file) != 0;
  fv_string_free(dot);
  if (!failed) return 0;
  int code = errno;
  if (file) unlink(path);
  cli_refuse("%s (fovea plan --dot): expected to write it, got %s", path, strerror(code));
  return code == ENOENT ? 2 : 1;
}

static int run(const cli_args *a) {
  char *json = NULL;
  fv_train_request request = {.recipe = a->names[0],
                              .data = a->data,
                              .preset = a->preset,
                              .sets = a->sets,
                              .n_sets = a->n_sets,
                              .threads = (int)a->threads,
                              .memory_limit = a->memory ? a->memory : fv_machine_bytes()};
  fv_status status = fv_plan(&request, &json);
  if (status != FV_OK) return cli_failed(status);
  int code = a->dot ? write_dot(&request, a->dot) : 0;
  if (code == 0) return cli_print_result(a, json);
  fv_string_free(json);
  return code;
}

static const cli_option options[] = {
    CLI_DATA("dataset, by name or as a path; its files need not be there"),
    CLI_SETTINGS,
    {.name = "memory",
     .kind = CLI_BYTES,
     CLI_FIELD(memory),
     .value = "SIZE",
     .doc = "does it fit into this much (800M, 2G); unless given, into the memory of this machine"},
    {.name = "dot",
     .kind = CLI_TEXT,
     CLI_FIELD(dot),
     .value = "FILE",
     .doc = "also write the training step's graph for Graphviz"},
    CLI_THREADS,
    CLI_JSON,
    {0}};
extern const cli_command cli_plan;
const cli_command cli_plan = {.name = "plan",
                              .usage = "RECIPE [--data NAME|PATH] [--set KEY=VALUE]...",
                              .options = options,
                              .min_names = 1,
                              .max_names = 1,
                              .wants = "one recipe",
                              .run = run,
                              .has_settings = true,
                              .doc = "parameters, operations and memory of a run, before it runs",
                              .more =
                                  "The bytes are those the run will use, not an estimate: planning and training make "
                                  "the same buffers by the same calls."};
