/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c: a script for bash. Commands, options and fixed words are written into it; names of recipes and
 * datasets are asked of the program when needed, which takes it a few milliseconds. */
#include "cli.h"

static void put_words(const cli_command *c) {
  printf("    %s) words='", c->name);
  for (const cli_option *o = c->options; o->name; o++) printf("--%s ", o->name);
  printf("--help'; verbs='");
  for (const char *const *v = c->verbs; v && *v; v++) printf("%s%s", v == c->verbs ? "" : " ", *v);
  printf("' ;;\n");
}

static void put_choices(void) {
  for (int i = 0; cli_commands[i]; i++)
    for (const cli_option *o = cli_commands[i]->options; o->name; o++) {
      if (!o->choices) continue;
      printf("    %s:--%s) COMPREPLY=($(compgen -W '", cli_commands[i]->name, o->name);
      for (const char *const *c = o->choices; *c; c++) printf("%s%s", c == o->choices ? "" : " ", *c);
      printf("' -- \"$cur\")); return ;;\n");
    }
}

static const char head[] =
    "# bash completion for fovea; made by 'fovea completion bash'\n"
    "_fovea() {\n"
    "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd=${COMP_WORDS[1]} "
    "fovea=${COMP_WORDS[0]}\n"
    "  local words='' verbs=''\n"
    "  [ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "  [ \"$cur\" = = ] && cur=''\n";

static const char names[] =
    "  case $cmd:$prev in\n"
    "    *:--data|*:-d) COMPREPLY=($(compgen -W \"$(\"$fovea\" list datasets 2>/dev/null)\" -- \"$cur\") $(compgen -f "
    "-- \"$cur\")); return ;;\n"
    "    data:get|data:info|data:verify) COMPREPLY=($(compgen -W \"$(\"$fovea\" list datasets 2>/dev/null)\" -- "
    "\"$cur\")); return ;;\n"
    "    train:train|plan:plan|bench:recipe) COMPREPLY=($(compgen -W \"$(\"$fovea\" list recipes 2>/dev/null)\" -- "
    "\"$cur\")); return ;;\n"
    "    *:--out|*:-o|*:--dot) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n";

static int run(const cli_args *a) {
  static const char *const shells[] = {"bash", NULL};
  if (strcmp(a->names[0], "bash") != 0) return cli_refuse_name("shell", "fovea completion", a->names[0], shells);
  fputs(head, stdout);
  fputs("  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    COMPREPLY=($(compgen -W '", stdout);
  for (int i = 0; cli_commands[i]; i++) printf("%s%s", i ? " " : "", cli_commands[i]->name);
  fputs("' -- \"$cur\")); return\n  fi\n", stdout);
  fputs(names, stdout);
  put_choices();
  fputs("    help:help) COMPREPLY=($(compgen -W '", stdout);
  for (int i = 0; cli_commands[i]; i++) printf("%s%s", i ? " " : "", cli_commands[i]->name);
  fputs("' -- \"$cur\")); return ;;\n  esac\n  case $cmd in\n", stdout);
  for (int i = 0; cli_commands[i]; i++) put_words(cli_commands[i]);
  fputs(
      "  esac\n"
      "  case $cur in\n"
      "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
      "    *) [ \"$COMP_CWORD\" -eq 2 ] && COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
      "       COMPREPLY+=($(compgen -f -- \"$cur\")) ;;\n"
      "  esac\n"
      "}\n"
      "complete -o filenames -F _fovea fovea\n",
      stdout);
  return 0;
}

static const cli_option options[] = {{0}};
extern const cli_command cli_completion;
const cli_command cli_completion = {.name = "completion",
                                    .usage = "bash",
                                    .options = options,
                                    .min_names = 1,
                                    .max_names = 1,
                                    .wants = "the name of a shell: bash",
                                    .run = run,
                                    .doc = "a completion script for a shell",
                                    .more = "To try it: source <(fovea completion bash)"};
