/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the table of commands, and choosing one. */
#include "cli.h"

#include <errno.h>

extern const cli_command cli_list, cli_train, cli_eval, cli_predict, cli_explain, cli_plan, cli_data, cli_tokenizer,
    cli_bench, cli_adapt, cli_completion, cli_help_command, cli_version;
const cli_command *const cli_commands[] = {&cli_list,      &cli_train, &cli_eval,       &cli_predict,
                                           &cli_explain,   &cli_adapt, &cli_plan,       &cli_data,
                                           &cli_tokenizer, &cli_bench, &cli_completion, &cli_help_command,
                                           &cli_version,   NULL};

const cli_command *cli_command_find(const char *name) {
  const char *names[CLI_COUNT_OF(cli_commands)] = {NULL};
  for (size_t i = 0; cli_commands[i]; i++) {
    if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    names[i] = cli_commands[i]->name;
  }
  cli_refuse_name("command", "fovea", name, names);
  return NULL;
}

static const char *command_name(const char *word) {
  if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) return "help";
  if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) return "version";
  return word;
}

/* FOVEA_VERBOSE=1: beside the results, never among them. */
static void log_line(void *arg, const char *line) {
  (void)arg;
  fprintf(stderr, "%s\n", line);
}

static int run(int argc, char **argv) {
  cli_args args = {.top = 3, .samples = 0};
  fv_log_to(log_line, NULL);
  if (argc < 2) return cli_refuse("command (fovea): expected one, got none; 'fovea help' lists them");
  const cli_command *command = cli_command_find(command_name(argv[1]));
  if (!command || !cli_parse(command, argc, argv, &args)) return 2;
  return args.help ? cli_help(&args) : command->run(&args);
}

/* What was printed must have arrived: a full disk behind standard output is a failure. */
int main(int argc, char **argv) {
  int code = run(argc, argv);
  errno = 0;
  if (fflush(stdout) == 0 && !ferror(stdout)) return code;
  fprintf(stderr, "fovea: error: standard output: expected to write to it, got %s\n",
          errno ? strerror(errno) : "an error");
  return code ? code : 1;
}
