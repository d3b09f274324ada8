/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.c: whom and what ratings are about, by name and by row. */
#include "data/data.h"

fv_status fv_catalogue_new(int n_traits, int n_kinds, const char *const *trait_names, fv_catalogue **catalogue) {
  fv_catalogue *c = NULL;
  fv_status status = FV_OK;
  *catalogue = NULL;
  FV_TRY_DONE(FV_NEW(&c, 1));
  FV_TRY_DONE(fv_arena_new(&c->arena));
  c->n_traits = n_traits;
  c->n_kinds = n_kinds;
  c->trait_name = fv_arena_alloc(c->arena, (size_t)FV_MAX(n_traits, 1) * sizeof *c->trait_name);
  for (int i = 0; c->trait_name && i < n_traits; i++)
    if (!(c->trait_name[i] = fv_arena_strdup(c->arena, trait_names[i]))) c->trait_name = NULL;
  FV_REQUIRE_DONE(c->trait_name, FV_ERR_MEMORY, "ratings: no memory for names");
  *catalogue = c;
  c = NULL;
done:
  fv_catalogue_free(c);
  return status;
}

/* Doubles when a power of two is full. */
static fv_status make_room(fv_catalogue *c, int64_t n) {
  if (n & (n - 1)) return FV_OK;
  const size_t room = (size_t)FV_MAX(2 * n, 2);
  const char **title = fv_realloc(c->title, room * sizeof *title);
  if (title) c->title = title;
  int32_t *kinds = fv_realloc(c->kinds, room * (size_t)FV_MAX(c->n_kinds, 1) * sizeof *kinds);
  if (kinds) c->kinds = kinds;
  FV_REQUIRE(title && kinds, FV_ERR_MEMORY, "ratings: no memory for %zu items", room);
  return FV_OK;
}

fv_status fv_catalogue_add(fv_catalogue *c, const char *name, size_t n, const char *title, const int32_t *kinds) {
  const int64_t before = c->item.n;
  int64_t i;
  FV_TRY(make_room(c, before));
  FV_TRY(fv_wordmap_add(&c->item, name, n, &i));
  FV_REQUIRE(i == before, FV_ERR_REQUEST, "ratings: expected items of different names, got '%s' twice",
             fv_show(name, n));
  c->title[i] = title ? fv_arena_strdup(c->arena, title) : fv_arena_printf(c->arena, "%.*s", (int)n, name);
  FV_REQUIRE(c->title[i], FV_ERR_MEMORY, "ratings: no memory for names");
  if (c->n_kinds) memcpy(c->kinds + i * c->n_kinds, kinds, (size_t)c->n_kinds * sizeof *kinds);
  return FV_OK;
}

void fv_catalogue_free(fv_catalogue *c) {
  if (!c) return;
  fv_wordmap_free(&c->user);
  fv_wordmap_free(&c->item);
  fv_wordmap_free(&c->trait);
  fv_wordmap_free(&c->kind);
  fv_free(c->title);
  fv_free(c->kinds);
  fv_arena_free(c->arena);
  fv_free(c);
}
