/* SPDX-License-Identifier: Apache-2.0 */
/* man.c: manual pages, fovea-COMMAND(1), from the tables; the build runs this, so that they are never behind the
 * program. fovea(1) itself is written by hand: man/fovea.1. Reference: man(7), groff_man(7). */
#include "cli.h"

/* Text as troff: hyphens and backslashes kept, no line a request by accident. */
static void put(const char *text) {
  if (*text == '.' || *text == '\'') fputs("\\&", stdout);
  for (; *text; text++) {
    if (*text == '-') fputs("\\-", stdout);
    else if (*text == '\\') fputs("\\e", stdout);
    else putchar(*text);
  }
}

static void item(const char *head, const char *text) {
  fputs(".TP\n.B ", stdout);
  put(head);
  putchar('\n');
  put(text);
  putchar('\n');
}

static void option_heading(const char *verb) {
  if (!verb) return;
  fputs(".SS Options of ", stdout);
  put(verb);
  putchar('\n');
}

static void put_option(const cli_option *o) {
  char head[128], letter[8] = "";
  if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
  snprintf(head, sizeof head, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
  item(head, o->doc);
}

static void put_setting(void *arg, const char *name, const char *about, const char *doc) {
  char text[1024];
  (void)arg;
  snprintf(text, sizeof text, "%s (%s)", doc, about);
  item(name, text);
}

static void put_recipes(void) {
  for (int i = 0; i < fv_recipe_count(); i++) {
    fv_recipe_info r = fv_recipe_get_info(i);
    fputs(".SH SETTINGS OF ", stdout);
    put(r.name);
    putchar('\n');
    put(r.doc);
    putchar('\n');
    for (const fv_preset *p = r.presets; p && p->name; p++) {
      char head[128], text[512];
      snprintf(head, sizeof head, "--preset %s", p->name);
      snprintf(text, sizeof text, "%s (%s)", p->doc ? p->doc : "", p->settings);
      item(head, text);
    }
    cli_each_setting(r.options, NULL, put_setting, NULL);
  }
  puts(
      ".SH SETTINGS OF TRAINING\nThe defaults are those of the program; a recipe may have its own, which "
      "\\fBfovea train\\fR \\fIRECIPE\\fR \\fB\\-\\-help\\fR tells.");
  cli_each_setting(fv_train_options(), NULL, put_setting, NULL);
}

int cli_man(const cli_command *c) {
  if (!c) return cli_refuse("fovea help --man (COMMAND): expected a command, got none; fovea(1) is a page of its own");
  printf(".TH FOVEA\\-%s 1 \"\" \"fovea %s\" \"fovea\"\n.SH NAME\nfovea\\-%s \\- ", c->name, FV_VERSION, c->name);
  put(c->doc);
  printf("\n.SH SYNOPSIS\n.B fovea %s\n", c->name);
  put(c->usage);
  puts("\n.SH DESCRIPTION");
  put(c->more ? c->more : c->doc);
  puts("\n.SH OPTIONS");
  item("-h, --help", "what this page says");
  cli_each_option(c, option_heading, put_option);
  if (c->has_settings) put_recipes();
  puts(
      ".SH EXIT STATUS\n0 success; 1 the work failed; 2 the request was wrong. Every error is one line on standard "
      "error.\n"
      ".SH SEE ALSO\n.BR fovea (1)");
  return 0;
}
