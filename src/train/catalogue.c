/* SPDX-License-Identifier: Apache-2.0 */
/* catalogue.c: whom and what a model of ratings knows, into model.safetensors and back. */
#include "train/train.h"

static void names_json(fv_json *j, const char *key, const fv_wordmap *map) {
  fv_json_begin(j, key, '[');
  for (int64_t i = 0; i < map->n; i++) {
    const fv_bytes name = fv_wordmap_at(map, i);
    fv_json_bytes(j, NULL, name.s, name.n);
  }
  fv_json_end(j, ']');
}

void fv_catalogue_json(const fv_catalogue *c, fv_json *j) {
  fv_json_begin(j, "catalogue", '{');
  fv_json_begin(j, "traits", '[');
  for (int i = 0; i < c->n_traits; i++) fv_json_text(j, NULL, c->trait_name[i]);
  fv_json_end(j, ']');
  names_json(j, "trait_values", &c->trait);
  names_json(j, "kinds", &c->kind);
  fv_json_int(j, "kinds_an_item", c->n_kinds);
  names_json(j, "users", &c->user);
  fv_json_int(j, "items_trained", c->items);
  fv_json_begin(j, "items", '[');
  for (int64_t i = 0; i < c->item.n; i++) {
    const fv_bytes name = fv_wordmap_at(&c->item, i);
    fv_json_begin(j, NULL, '[');
    fv_json_bytes(j, NULL, name.s, name.n);
    fv_json_text(j, NULL, c->title[i]);
    for (int k = 0; k < c->n_kinds; k++) fv_json_int(j, NULL, c->kinds[i * c->n_kinds + k]);
    fv_json_end(j, ']');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

static fv_status read_names(const json_t *root, const char *key, const char *path, fv_wordmap *map) {
  const json_t *list = json_object_get(root, key);
  FV_REQUIRE(json_is_array(list), FV_ERR_CORRUPT, "%s: metadata: catalogue.%s: expected a list", path, key);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *name = json_array_get(list, i);
    int64_t at = -1;
    FV_REQUIRE(json_is_string(name), FV_ERR_CORRUPT, "%s: metadata: catalogue.%s: expected texts", path, key);
    FV_TRY(fv_wordmap_add(map, json_string_value(name), json_string_length(name), &at));
    FV_REQUIRE(at == (int64_t)i, FV_ERR_CORRUPT, "%s: metadata: catalogue.%s: expected '%s' once, got it twice", path,
               key, json_string_value(name));
  }
  return FV_OK;
}

static fv_status read_item(const json_t *item, const char *path, fv_catalogue *c) {
  int32_t kinds[FV_MOST_KINDS] = {0};
  const json_t *name = json_array_get(item, 0), *title = json_array_get(item, 1);
  FV_REQUIRE(json_is_string(name) && json_is_string(title) && json_array_size(item) == (size_t)c->n_kinds + 2,
             FV_ERR_CORRUPT, "%s: metadata: catalogue.items: expected a name, a title and %d kinds", path, c->n_kinds);
  for (int k = 0; k < c->n_kinds; k++) {
    const json_int_t kind = json_integer_value(json_array_get(item, (size_t)k + 2));
    FV_REQUIRE(kind >= 0 && kind < c->kind.n + 2, FV_ERR_CORRUPT,
               "%s: metadata: catalogue.items: expected kinds from 0 to %lld, got %lld", path,
               (long long)c->kind.n + 1, (long long)kind);
    kinds[k] = (int32_t)kind;
  }
  return fv_catalogue_add(c, json_string_value(name), json_string_length(name), json_string_value(title), kinds);
}

static fv_status read_items(const json_t *root, const char *path, fv_catalogue *c) {
  const json_t *list = json_object_get(root, "items");
  c->items = json_integer_value(json_object_get(root, "items_trained"));
  FV_REQUIRE(c->items >= 1 && c->items <= (int64_t)json_array_size(list), FV_ERR_CORRUPT,
             "%s: metadata: catalogue.items_trained: expected 1 to %zu, got %lld", path, json_array_size(list),
             (long long)c->items);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const fv_status status = read_item(json_array_get(list, i), path, c);
    if (status == FV_ERR_REQUEST) return fv_error_prefix(FV_ERR_CORRUPT, "%s: metadata", path);
    FV_TRY(status);
  }
  return FV_OK;
}

fv_status fv_catalogue_read(const json_t *root, const char *path, fv_catalogue **catalogue) {
  const char *traits[FV_MOST_TRAITS];
  const json_t *list = json_object_get(root, "traits");
  const size_t n = json_array_size(list);
  const json_int_t kinds = json_integer_value(json_object_get(root, "kinds_an_item"));
  FV_REQUIRE(n <= FV_MOST_TRAITS && kinds >= 0 && kinds <= FV_MOST_KINDS, FV_ERR_CORRUPT,
             "%s: metadata: catalogue: expected at most %d traits and %d kinds, got %zu and %lld", path, FV_MOST_TRAITS,
             FV_MOST_KINDS, n, (long long)kinds);
  for (size_t i = 0; i < n; i++) {
    traits[i] = json_string_value(json_array_get(list, i));
    FV_REQUIRE(traits[i], FV_ERR_CORRUPT, "%s: metadata: catalogue.traits: expected texts", path);
  }
  FV_TRY(fv_catalogue_new((int)n, (int)kinds, traits, catalogue));
  FV_TRY(read_names(root, "trait_values", path, &(*catalogue)->trait));
  FV_TRY(read_names(root, "kinds", path, &(*catalogue)->kind));
  FV_TRY(read_names(root, "users", path, &(*catalogue)->user));
  return read_items(root, path, *catalogue);
}
