/* SPDX-License-Identifier: Apache-2.0 */
/* args.c: the command line, read by a command's table of options. Options and names may be mixed; "--" ends the
 * options; "--name value", "--name=value", "-n value" and "-nvalue" are the same. */
#include "cli.h"

#include <stdarg.h>

/* ---- mistakes ---------------------------------------------------------------------------------------------------- */
static void print_error(const char *text) {
  char line[2048];
  snprintf(line, sizeof line, "%s", text);
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?'; /* one line, whatever was typed */
  fflush(stdout);
  fprintf(stderr, "fovea: error: %s\n", line);
}

int cli_refuse(const char *fmt, ...) {
  char text[2048];
  va_list list;
  va_start(list, fmt);
  vsnprintf(text, sizeof text, fmt, list);
  va_end(list);
  print_error(text);
  return 2;
}

int cli_failed(fv_status status) {
  print_error(fv_error_message());
  return fv_status_exit_code(status);
}

int cli_out_of_memory(void) {
  print_error("memory (fovea): expected some more, got none");
  return 1;
}

int cli_refuse_name(const char *what, const char *where, const char *got, const char *const *names) {
  char all[1024] = "";
  const char *near = fv_nearest_name(got, names);
  if (near) return cli_refuse("%s (%s): expected a known name, got '%s'; did you mean '%s'?", what, where, got, near);
  for (size_t n = 0; *names && n + 1 < sizeof all; names++)
    n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", n ? ", " : "", *names);
  return cli_refuse("%s (%s): expected one of %s, got '%s'", what, where, all, got);
}

/* ---- options ----------------------------------------------------------------------------------------------------- */
static const cli_option help_option = {.name = "help", CLI_FIELD(help), .letter = 'h'};

const cli_option *cli_option_find(const cli_option *table, const char *name) {
  for (; table->name; table++)
    if (strcmp(table->name, name) == 0) return table;
  return strcmp(help_option.name, name) == 0 ? &help_option : NULL;
}

static const cli_option *find_letter(const cli_option *table, char letter) {
  for (; table->name; table++)
    if (table->letter == letter) return table;
  return letter == help_option.letter ? &help_option : NULL;
}

static bool has_setting(const fv_option *table, const char *name) {
  for (; table->name; table++)
    if (strcmp(table->name, name) == 0) return true;
  return false;
}

static bool is_setting(const cli_args *a, const char *name) {
  int recipe = a->n_names ? fv_recipe_find(a->names[0]) : -1;
  return has_setting(fv_train_options(), name) ||
         (recipe >= 0 && has_setting(fv_recipe_get_info(recipe).options, name));
}

static bool refuse_option(const cli_args *a, const char *name) {
  const char *names[64] = {"help"};
  size_t n = 1;
  if (a->command->has_settings && is_setting(a, name)) {
    cli_refuse("option (fovea %s): expected a known one, got '--%s'; a setting is given as '--set %s=VALUE'",
               a->command->name, name, name);
    return false;
  }
  for (const cli_option *o = a->command->options; o->name && n + 1 < CLI_COUNT_OF(names); o++) names[n++] = o->name;
  const char *near = fv_nearest_name(name, names);
  if (near)
    cli_refuse("option (fovea %s): expected a known one, got '--%s'; did you mean '--%s'?", a->command->name, name,
               near);
  else
    cli_refuse("option (fovea %s): expected a known one, got '--%s'; 'fovea %s --help' lists them", a->command->name,
               name, a->command->name);
  return false;
}

static bool add_set(cli_args *a, const char *key, const char *value) {
  if (a->n_sets == CLI_MOST_SETS)
    return cli_refuse("settings (fovea %s): expected at most %d, got more", a->command->name, CLI_MOST_SETS), false;
  a->sets[a->n_sets++] = (fv_setting){key, value};
  return true;
}

static bool refuse_value(const cli_args *a, const cli_option *o, const char *expected, const char *got) {
  cli_refuse("option --%s (fovea %s): expected %s, got '%s'", o->name, a->command->name, expected, got);
  return false;
}

/* "800M": 1024-based. */
static bool parse_bytes(const char *text, int64_t *bytes) {
  static const char units[] = "KMGT";
  char digits[24];
  size_t n = strspn(text, "0123456789");
  int shift = 0;
  const char *unit = text[n] ? strchr(units, text[n]) : NULL;
  if (n == 0 || n >= sizeof digits || (text[n] && (!unit || text[n + 1]))) return false;
  memcpy(digits, text, n);
  digits[n] = 0;
  if (unit) shift = 10 * (int)(unit - units + 1);
  if (!fv_parse_int(digits, bytes) || *bytes > INT64_MAX >> shift) return false;
  *bytes <<= shift;
  return true;
}

static bool store_text(cli_args *a, const cli_option *o, const char *value) {
  const char *const *choice = o->choices;
  while (choice && *choice && strcmp(*choice, value) != 0) choice++;
  if (choice && !*choice) {
    char what[64];
    snprintf(what, sizeof what, "option --%s", o->name);
    return cli_refuse_name(what, a->command->name, value, o->choices), false;
  }
  if (!*value) return refuse_value(a, o, "a value", "");
  *(const char **)((char *)a + o->offset) = value;
  return true;
}

static bool store_number(cli_args *a, const cli_option *o, const char *value) {
  char expected[96];
  int64_t n;
  snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)o->min, (long long)o->max);
  if (!fv_parse_int(value, &n) || n < o->min || n > o->max) return refuse_value(a, o, expected, value);
  *(int64_t *)((char *)a + o->offset) = n;
  return true;
}

static bool store_real(cli_args *a, const cli_option *o, const char *value) {
  char expected[96];
  double x;
  snprintf(expected, sizeof expected, "a number from %lld to %lld", (long long)o->min, (long long)o->max);
  if (!fv_parse_real(value, &x) || x < (double)o->min || x > (double)o->max)
    return refuse_value(a, o, expected, value);
  *(double *)((char *)a + o->offset) = x;
  return true;
}

static bool store(cli_args *a, const cli_option *o, char *value) {
  char *equals;
  if (o != &help_option) a->given[o - a->command->options] = true;
  switch (o->kind) {
    case CLI_SWITCH: *(bool *)((char *)a + o->offset) = true; return true;
    case CLI_TEXT: return store_text(a, o, value);
    case CLI_NUMBER: return store_number(a, o, value);
    case CLI_REAL: return store_real(a, o, value);
    case CLI_BYTES:
      if (parse_bytes(value, (int64_t *)((char *)a + o->offset))) return true;
      return refuse_value(a, o, "a size as 800M or 2G", value);
    case CLI_SETTING: return add_set(a, o->name, value);
    case CLI_SET:
      equals = strchr(value, '=');
      if (!equals || equals == value) return refuse_value(a, o, "KEY=VALUE", value);
      *equals = 0;
      return add_set(a, value, equals + 1);
  }
  return false;
}

/* name=...: --set may be followed by several. */
static bool looks_like_setting(const char *word) {
  size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_");
  return n > 0 && word[n] == '=';
}

/* The option at argv[*i], with its value, which may be the next word. */
static bool take(cli_args *a, const cli_option *o, char *value, int argc, char **argv, int *i) {
  if (o->kind == CLI_SWITCH && value) return refuse_value(a, o, "no value", value);
  if (o->kind != CLI_SWITCH && !value) {
    if (*i + 1 >= argc)
      return cli_refuse("option --%s (fovea %s): expected a value, got none", o->name, a->command->name), false;
    value = argv[++*i];
  }
  if (!store(a, o, value)) return false;
  while (o->kind == CLI_SET && *i + 1 < argc && looks_like_setting(argv[*i + 1]))
    if (!store(a, o, argv[++*i])) return false;
  return true;
}

static bool take_long(cli_args *a, int argc, char **argv, int *i) {
  char *name = argv[*i] + 2, *value = strchr(name, '=');
  if (value) *value++ = 0;
  const cli_option *o = cli_option_find(a->command->options, name);
  return o ? take(a, o, value, argc, argv, i) : refuse_option(a, name);
}

static bool take_short(cli_args *a, int argc, char **argv, int *i) {
  for (char *c = argv[*i] + 1; *c; c++) {
    const cli_option *o = find_letter(a->command->options, *c);
    if (!o) {
      cli_refuse("option (fovea %s): expected a known one, got '-%c'; 'fovea %s --help' lists them", a->command->name,
                 *c, a->command->name);
      return false;
    }
    if (o->kind != CLI_SWITCH) return take(a, o, c[1] ? c + 1 : NULL, argc, argv, i);
    store(a, o, NULL);
  }
  return true;
}

static bool check_names(const cli_args *a) {
  const cli_command *c = a->command;
  if (a->help || a->man) return true;
  if (a->n_names < c->min_names)
    return cli_refuse("fovea %s (%s): expected %s, got %s", c->name, c->usage, c->wants,
                      a->n_names ? "too few" : "none"),
           false;
  if (c->max_names >= 0 && a->n_names > c->max_names)
    return cli_refuse("fovea %s (%s): expected %s, got also '%s'", c->name, c->usage,
                      c->wants ? c->wants : "no more words", a->names[c->max_names]),
           false;
  const char *const *verb = c->verbs;
  while (verb && *verb && a->n_names && strcmp(*verb, a->names[0]) != 0) verb++;
  if (verb && !*verb) return cli_refuse_name(c->name, c->usage, a->names[0], c->verbs), false;
  return true;
}

bool cli_option_goes_with(const cli_option *o, const char *verb) {
  if (!verb || !o->verb) return !verb && !o->verb;
  for (const char *p = o->verb;; p += 2) { /* names follow each other with ", " */
    size_t n = strcspn(p, ",");
    if (n == strlen(verb) && strncmp(p, verb, n) == 0) return true;
    p += n;
    if (!*p) return false;
  }
}

static bool check_verb(const cli_args *a) {
  if (a->help) return true;
  for (size_t i = 0; a->command->options[i].name; i++) {
    const cli_option *o = &a->command->options[i];
    if (!a->given[i] || !o->verb || cli_option_goes_with(o, a->names[0])) continue;
    cli_refuse("option --%s (fovea %s): expected with '%s', got it with '%s'", o->name, a->command->name, o->verb,
               a->names[0]);
    return false;
  }
  return true;
}

bool cli_parse(const cli_command *command, int argc, char **argv, cli_args *a) {
  bool options = true;
  a->command = command;
  a->names = (const char **)(argv + 2); /* names are moved to the front: never past the word being read */
  for (int i = 2; i < argc; i++) {
    if (options && strcmp(argv[i], "--") == 0) options = false;
    else if (options && strncmp(argv[i], "--", 2) == 0) {
      if (!take_long(a, argc, argv, &i)) return false;
    } else if (options && argv[i][0] == '-' && argv[i][1]) {
      if (!take_short(a, argc, argv, &i)) return false;
    } else a->names[a->n_names++] = argv[i];
  }
  return check_names(a) && check_verb(a);
}
