/* SPDX-License-Identifier: Apache-2.0 */
/* recipes.c: the table of recipes as callers see it. */
#include "train/train.h"

int fv_recipe_count(void) {
  int n = 0;
  while (fv_recipes[n]) n++;
  return n;
}

fv_recipe_info fv_recipe_get_info(int i) {
  fv_recipe_info info = fv_recipes[i]->info;
  info.training = fv_recipes[i]->training;
  return info;
}

int fv_recipe_find(const char *name) {
  for (int i = 0; fv_recipes[i]; i++)
    if (!strcmp(fv_recipes[i]->info.name, name)) return i;
  return -1;
}

const char *fv_recipe_nearest(const char *name) {
  const char *names[256] = {NULL};
  for (size_t i = 0; fv_recipes[i] && i + 1 < FV_COUNT(names); i++) names[i] = fv_recipes[i]->info.name;
  return fv_nearest_name(name, names);
}
