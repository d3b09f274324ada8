/* SPDX-License-Identifier: Apache-2.0 */
/* list.c: what there is: recipes, datasets, attention mechanisms. Reads tables alone, no file. */
#include "cli.h"

typedef struct row {
  const char *name, *doc, *more_key, *more;
} row;

static row recipe_row(int i) {
  fv_recipe_info r = fv_recipe_get_info(i);
  return (row){r.name, r.doc, "paper", r.paper};
}
static row dataset_row(int i) {
  fv_dataset_info d = fv_dataset_get_info(i);
  return (row){d.name, d.doc, "shape", d.shape};
}
static row mechanism_row(int i) {
  fv_mechanism_info m = fv_mechanism_get_info(i);
  return (row){m.name, m.doc, "paper", m.paper};
}

static const struct {
  const char *title;
  int (*count)(void);
  row (*get)(int i);
} sections[] = {{"recipes", fv_recipe_count, recipe_row},
                {"datasets", fv_dataset_count, dataset_row},
                {"mechanisms", fv_mechanism_count, mechanism_row}};

static void print_section(size_t s) {
  int width = 0;
  for (int i = 0; i < sections[s].count(); i++) {
    int w = (int)strlen(sections[s].get(i).name);
    if (w > width) width = w;
  }
  printf("%s%s\n", s ? "\n" : "", sections[s].title);
  for (int i = 0; i < sections[s].count(); i++) {
    row r = sections[s].get(i);
    cli_wrap(r.name, width, r.doc ? r.doc : "");
  }
}

static int print_json(void) {
  json_t *root = json_pack("{s:s}", "version", FV_VERSION);
  for (size_t s = 0; s < CLI_COUNT_OF(sections); s++) {
    json_t *list = json_array();
    for (int i = 0; i < sections[s].count(); i++) {
      row r = sections[s].get(i);
      json_array_append_new(list, json_pack("{s:s, s:s?, s:s?}", "name", r.name, "doc", r.doc, r.more_key, r.more));
    }
    json_object_set_new(root, sections[s].title, list);
  }
  return cli_print_json(root);
}

/* Names alone, one a line: for completion and scripts. */
static int print_names(const char *section) {
  for (size_t s = 0; s < CLI_COUNT_OF(sections); s++)
    for (int i = 0; strcmp(section, sections[s].title) == 0 && i < sections[s].count(); i++)
      puts(sections[s].get(i).name);
  return 0;
}

static int run(const cli_args *a) {
  if (a->json) return print_json();
  if (a->n_names) return print_names(a->names[0]);
  for (size_t s = 0; s < CLI_COUNT_OF(sections); s++) print_section(s);
  return 0;
}

static const char *const verbs[] = {"recipes", "datasets", "mechanisms", NULL};
static const cli_option options[] = {CLI_JSON, {0}};
extern const cli_command cli_list;
const cli_command cli_list = {.name = "list",
                              .usage = "[recipes|datasets|mechanisms]",
                              .options = options,
                              .max_names = 1,
                              .verbs = verbs,
                              .run = run,
                              .doc = "recipes, datasets and attention mechanisms",
                              .more = "With a word, only the names of that kind, one a line."};
