/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h (private): what the subcommands share. A command is one file and one row in main.c: a name, a line of help, a
 * table of options, a function. Parsing, help, manual pages and completion all come from these rows. */
#ifndef FV_CLI_CLI_H
#define FV_CLI_CLI_H

#include "fovea/fovea.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { CLI_MOST_SETS = 128, CLI_MOST_OPTIONS = 64, CLI_COLUMNS = 100 };
#define CLI_COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- what was asked ---------------------------------------------------------------------------------------------- */
typedef struct cli_command cli_command;
typedef struct cli_args {
  const cli_command *command;
  const char **names; /* what is not an option, in order */
  int n_names;
  fv_setting sets[CLI_MOST_SETS];
  int n_sets;
  const char *data, *preset, *out, *method, *split, *dot, *shape, *mechanism, *kind, *normal, *column, *format;
  const char *encoding, *target;
  int64_t threads, top, samples, seeds, together, memory, groups, window, top_k, nodes, edges, heads, width, size,
      min_count;
  double dropout;
  bool json, quiet, resume, folds, faithfulness, help, man, causal, backward, bias, totals, entropy, lower, whole,
      specials, skip_bad, bidirectional, tokens;
  bool given[CLI_MOST_OPTIONS]; /* by place in the command's table */
} cli_args;

typedef enum cli_kind {
  CLI_SWITCH,  /* no value */
  CLI_TEXT,    /* one of `choices` when there are any */
  CLI_NUMBER,  /* min to max */
  CLI_REAL,    /* min to max */
  CLI_BYTES,   /* 512M, 2G */
  CLI_SETTING, /* the option's name is the name of a setting */
  CLI_SET      /* key=value, many times */
} cli_kind;

typedef struct cli_option {
  const char *name;
  cli_kind kind;
  size_t offset; /* into cli_args; not for settings */
  const char *value, *doc;
  char letter;   /* short form, or 0 */
  int64_t min, max;
  const char *const *choices;
  const char *verb; /* it goes with this first name alone, or with one of "these, names"; NULL: with any */
} cli_option;
#define CLI_FIELD(field) .offset = offsetof(cli_args, field)

struct cli_command {
  const char *name, *usage, *doc;
  const char *more;          /* a paragraph for the help and the manual page; may be NULL */
  const char *const *verbs;  /* first name: one of these; NULL when free */
  const cli_option *options; /* ends with name NULL */
  int min_names, max_names;  /* max -1: any number */
  const char *wants;         /* what the names are: "a recipe" */
  int (*run)(const cli_args *args); /* the exit status */
  bool has_settings;         /* --help RECIPE and --set */
};
extern const cli_command *const cli_commands[]; /* NULL-terminated; main.c */
const cli_command *cli_command_find(const char *name); /* refused with a suggestion, then NULL */

/* Options that mean the same everywhere. */
#define CLI_JSON {.name = "json", CLI_FIELD(json), .doc = "print one JSON object and nothing else"}
#define CLI_QUIET {.name = "quiet", CLI_FIELD(quiet), .letter = 'q', .doc = "no progress and no summary"}
#define CLI_THREADS \
  {.name = "threads", .kind = CLI_NUMBER, CLI_FIELD(threads), .value = "N", .letter = 't', .max = 1024, \
   .doc = "threads to use; 0, the default: every processor. Results are the same bits for any number"}
/* `of`: the verb they go with, or NULL. */
#define CLI_DATA_OF(of, text) \
  {.name = "data", .kind = CLI_TEXT, CLI_FIELD(data), .value = "NAME|PATH", .letter = 'd', .verb = of, .doc = text}
#define CLI_DATA(text) CLI_DATA_OF(NULL, text)
#define CLI_SETTINGS_OF(of) \
  {.name = "preset", .kind = CLI_TEXT, CLI_FIELD(preset), .value = "NAME", .letter = 'p', .verb = of, \
   .doc = "a named group of settings of the recipe"}, \
  {.name = "epochs", .kind = CLI_SETTING, .value = "N", .letter = 'e', .verb = of, \
   .doc = "passes over the training set"}, \
  {.name = "steps", .kind = CLI_SETTING, .value = "N", .verb = of, \
   .doc = "stop after N batches, whatever the epochs"}, \
  {.name = "batch", .kind = CLI_SETTING, .value = "N", .letter = 'b', .verb = of, .doc = "samples a step"}, \
  {.name = "lr", .kind = CLI_SETTING, .value = "X", .verb = of, \
   .doc = "learning rate, at the peak of its schedule"}, \
  {.name = "seed", .kind = CLI_SETTING, .value = "N", .letter = 's', .verb = of, .doc = "of all random numbers"}, \
  {.name = "set", .kind = CLI_SET, .value = "KEY=VALUE", .verb = of, \
   .doc = "any setting of the recipe or of training; many may follow, and the last one of a name counts"}
#define CLI_SETTINGS CLI_SETTINGS_OF(NULL)

/* Fills args from argv[2..]; false after a mistake, which was told. */
bool cli_parse(const cli_command *command, int argc, char **argv, cli_args *args);
bool cli_option_goes_with(const cli_option *option, const char *verb); /* verb NULL: whether it goes with any */
const cli_option *cli_option_find(const cli_option *table, const char *name);

/* ---- mistakes: one line on standard error ------------------------------------------------------------------------ */
int cli_refuse(const char *fmt, ...) FV_PRINTF(1, 2); /* the request is wrong: 2 */
int cli_failed(fv_status status);                     /* the library's text and exit status */
int cli_out_of_memory(void);
/* Refuses `what` 'got', which is none of names. */
int cli_refuse_name(const char *what, const char *where, const char *got, const char *const *names);

/* ---- help.c, man.c ----------------------------------------------------------------------------------------------- */
/* One call for each option, those of a verb after those of all. */
typedef void cli_option_row(const cli_option *option);
void cli_each_option(const cli_command *command, void (*heading)(const char *verb), cli_option_row *row);
int cli_help(const cli_args *args); /* of args->command, or of the program when that is NULL */
int cli_man(const cli_command *command);
/* A table of settings, one call a row: name; type, range and default; doc. `given`: defaults the recipe changes. */
typedef void cli_setting_row(void *arg, const char *name, const char *about, const char *doc);
void cli_each_setting(const fv_option *table, const char *given, cli_setting_row *row, void *arg);

/* ---- output.c: for people ---------------------------------------------------------------------------------------- */
typedef char cli_text[64];
const char *cli_count(double n, cli_text text);     /* 1,234,567 */
const char *cli_bytes(double n, cli_text text);     /* 12.3 MiB */
const char *cli_duration(double s, cli_text text);  /* 3 min 20 s */
/* "  label      text", folded at the edge of the window. */
void cli_wrap(const char *label, int width, const char *text);
void cli_paragraph(const char *text);
int cli_columns(void);
bool cli_is_terminal(void);
/* A result of the library: as it is, or as a table. Frees it. */
int cli_print_result(const cli_args *args, char *json);
void cli_print_table(const json_t *object);
int cli_print_json(json_t *object); /* takes it */

/* ---- bench_op.c -------------------------------------------------------------------------------------------------- */
int cli_bench_op(const cli_args *args);

/* ---- progress.c -------------------------------------------------------------------------------------------------- */
typedef struct cli_progress {
  bool silent, live; /* live: one line that is written over */
  bool drawn;
  double last, epoch_shown; /* when something was shown, and an epoch's line */
  char held[512];    /* that of the last epoch, while it waits; or "" */
  char what[128];    /* the file being shown */
  const char *verb;  /* what is done to it: "fetching" */
} cli_progress;
cli_progress cli_progress_new(const cli_args *args);
void cli_progress_report(void *arg, const fv_train_event *event); /* fv_train_report */
bool cli_progress_data(void *arg, const char *what, int64_t done, int64_t total); /* fv_progress */
void cli_progress_end(cli_progress *p); /* leaves a clean line */

#endif
