/* SPDX-License-Identifier: Apache-2.0 */
/* help.c: what one can ask for, from the tables that also do the parsing. */
#include "cli.h"

#include <math.h>

/* ---- settings ---------------------------------------------------------------------------------------------------- */
/* The value of `name` in "name=value name=value", or NULL. */
static const char *value_in(const char *given, const char *name, char *value, size_t size) {
  size_t n = strlen(name);
  for (const char *at = given; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
    if (strncmp(at, name, n) == 0 && at[n] == '=') {
      snprintf(value, size, "%.*s", (int)strcspn(at + n + 1, " "), at + n + 1);
      return value;
    }
  return NULL;
}

static const char *type_name(const fv_option *o) {
  static const char *const names[] = {"whole number", "number", "true or false", "choice", "text", "whole numbers"};
  return names[o->type];
}

static void add_range(const fv_option *o, char *about, size_t size) {
  size_t n = strlen(about);
  if (o->type == FV_OPT_ENUM) {
    n += (size_t)snprintf(about + n, size - n, ": ");
    for (const char *const *c = o->choices; *c && n < size; c++)
      n += (size_t)snprintf(about + n, size - n, "%s%s", c == o->choices ? "" : ", ", *c);
  } else if (o->min != 0 || o->max != 0) {
    if (isinf(o->max)) snprintf(about + n, size - n, ", at least %g", o->min);
    else if (isinf(o->min)) snprintf(about + n, size - n, ", at most %g", o->max);
    else snprintf(about + n, size - n, ", %g to %g", o->min, o->max);
  }
}

void cli_each_setting(const fv_option *table, const char *given, cli_setting_row *row, void *arg) {
  for (const fv_option *o = table; o->name; o++) {
    char about[512], changed[128];
    const char *def = value_in(given, o->name, changed, sizeof changed);
    snprintf(about, sizeof about, "%s", type_name(o));
    add_range(o, about, sizeof about);
    size_t n = strlen(about);
    if (!def) def = o->def;
    if (n < sizeof about) snprintf(about + n, sizeof about - n, "; default %s", def && *def ? def : "none");
    row(arg, o->name, about, o->doc ? o->doc : "");
  }
}

static void print_setting(void *arg, const char *name, const char *about, const char *doc) {
  char text[1024];
  (void)arg;
  snprintf(text, sizeof text, "%s (%s)", doc, about);
  cli_wrap(name, 15, text);
}

static void print_recipe(const fv_recipe_info *r) {
  printf("\nrecipe\n");
  cli_wrap(r->name, 15, r->doc);
  if (r->paper) cli_wrap("papers", 15, r->paper);
  cli_wrap("trained on", 15, r->default_data);
  printf("\npresets (--preset NAME)\n");
  for (const fv_preset *p = r->presets; p && p->name; p++) {
    char text[512];
    snprintf(text, sizeof text, "%s (%s)", p->doc ? p->doc : "", p->settings);
    cli_wrap(p->name, 15, text);
  }
  printf("\nsettings of the recipe (--set KEY=VALUE)\n");
  cli_each_setting(r->options, NULL, print_setting, NULL);
  printf("\nsettings of training (--set KEY=VALUE)\n");
  cli_each_setting(fv_train_options(), r->training, print_setting, NULL);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */
static void option_label(const cli_option *o, char *label, size_t size) {
  char letter[8] = "    ";
  if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
  snprintf(label, size, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
}

void cli_each_option(const cli_command *c, void (*heading)(const char *verb), cli_option_row *row) {
  static const char *const none[] = {NULL};
  const char *const *verb = none;
  do { /* the options of all, then those of each verb */
    bool any = false;
    for (const cli_option *o = c->options; o->name; o++) {
      if (!cli_option_goes_with(o, *verb)) continue;
      if (!any) heading(*verb);
      any = true;
      row(o);
    }
    verb = *verb ? verb + 1 : c->verbs;
  } while (verb && *verb);
}

static void print_heading(const char *verb) { printf(verb ? "\noptions of '%s'\n" : "\noptions\n", verb); }

static void print_option(const cli_option *o) {
  char label[96];
  option_label(o, label, sizeof label);
  cli_wrap(label, 22, o->doc);
}

/* The recipe whose help is wanted: the last name, where it is no verb. */
static const char *recipe_of(const cli_args *a) {
  const char *last = a->command->has_settings && a->n_names ? a->names[a->n_names - 1] : NULL;
  for (const char *const *verb = a->command->verbs; last && verb && *verb; verb++)
    if (a->n_names == 1 && strcmp(last, *verb) == 0) return NULL;
  return last;
}

static int help_command(const cli_args *a) {
  const cli_command *c = a->command;
  int i = -1;
  const char *recipe = recipe_of(a);
  if (recipe) {
    i = fv_recipe_find(recipe);
    const char *near = i < 0 ? fv_recipe_nearest(recipe) : NULL;
    if (i < 0 && near)
      return cli_refuse("recipe (fovea %s): expected a known name, got '%s'; did you mean '%s'?", c->name, recipe,
                        near);
    if (i < 0)
      return cli_refuse("recipe (fovea %s): expected a known name, got '%s'; 'fovea list' tells them", c->name, recipe);
  }
  printf("usage: fovea %s%s%s\n\n%s\n", c->name, *c->usage ? " " : "", c->usage, c->doc);
  if (c->more) {
    putchar('\n');
    cli_paragraph(c->more);
  }
  cli_each_option(c, print_heading, print_option);
  if (i >= 0) {
    fv_recipe_info r = fv_recipe_get_info(i);
    print_recipe(&r);
  } else if (c->has_settings) {
    printf("\n'fovea %s%s RECIPE --help' tells a recipe's presets and settings.\n", c->name,
           c->verbs ? " recipe" : "");
  }
  return 0;
}

static int help_program(void) {
  printf(
      "fovea %s: attention models, trained, explained and deployed\n\nusage: fovea COMMAND [OPTION]...\n\ncommands\n",
      FV_VERSION);
  for (int i = 0; cli_commands[i]; i++) cli_wrap(cli_commands[i]->name, 10, cli_commands[i]->doc);
  printf(
      "\n'fovea help COMMAND' or 'fovea COMMAND --help' tells more. To begin:\n\n"
      "  fovea train image-classify\n"
      "  fovea explain runs/image-classify-cluttered-digits --out looks.png --faithfulness\n");
  return 0;
}

int cli_help(const cli_args *a) { return a->command ? help_command(a) : help_program(); }

static int run(const cli_args *a) {
  cli_args about = *a;
  about.command = a->n_names ? cli_command_find(a->names[0]) : NULL;
  if (a->n_names && !about.command) return 2;
  about.names = a->names + 1;
  about.n_names = a->n_names > 1 ? a->n_names - 1 : 0;
  return a->man ? cli_man(about.command) : cli_help(&about);
}

static const cli_option options[] = {
    {.name = "man", CLI_FIELD(man), .doc = "as a manual page's source, for man -l or groff"}, {0}};
extern const cli_command cli_help_command;
const cli_command cli_help_command = {.name = "help",
                                      .usage = "[COMMAND [RECIPE]]",
                                      .options = options,
                                      .max_names = 3,
                                      .run = run,
                                      .wants = "a command and a recipe",
                                      .doc = "this list, or all about one command"};
