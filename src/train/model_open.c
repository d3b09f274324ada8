/* SPDX-License-Identifier: Apache-2.0 */
/* model_open.c: a model from its file. Everything in the file is checked before it is used: it may be anyone's. */
#include "train/train.h"

#include <math.h>

static fv_status text_of(const json_t *root, const char *key, const char *path, const char **out) {
  const json_t *v = json_object_get(root, key);
  FV_REQUIRE(json_is_string(v), FV_ERR_CORRUPT, "%s: metadata: '%s': expected a text, got %s", path, key,
             v ? "something else" : "none");
  *out = json_string_value(v);
  return FV_OK;
}

/* The members of a settings object as sets. */
static fv_status sets_of(const json_t *object, const char *key, const char *path, fv_setting *sets, int *n, int max) {
  const json_t *members = json_object_get(object, key);
  FV_REQUIRE(json_is_object(members), FV_ERR_CORRUPT, "%s: metadata: '%s': expected an object", path, key);
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)members, name, value) {
    FV_REQUIRE(json_is_string(value) && *n < max, FV_ERR_CORRUPT, "%s: metadata: %s.%s: expected a text", path, key,
               name);
    if (*json_string_value(value)) sets[(*n)++] = (fv_setting){name, json_string_value(value)};
  }
  return FV_OK;
}

static fv_status read_numbers(const json_t *root, const char *key, const char *path, int64_t n, float *out) {
  const json_t *list = json_object_get(json_object_get(root, "preprocessing"), key);
  FV_REQUIRE(json_array_size(list) == (size_t)n, FV_ERR_CORRUPT,
             "%s: metadata: preprocessing.%s: expected %d numbers, got %d", path, key, (int)n,
             (int)json_array_size(list));
  for (int64_t i = 0; i < n; i++) {
    out[i] = (float)json_number_value(json_array_get(list, (size_t)i));
    FV_REQUIRE(isfinite(out[i]) && out[i] >= 0, FV_ERR_CORRUPT,
               "%s: metadata: preprocessing.%s: expected a number from 0", path, key);
  }
  return FV_OK;
}

/* [H,W,C]; ndim 0: there is none. */
static fv_status read_shape(const json_t *root, const char *key, const char *path, fv_shape *shape) {
  const json_t *image = json_object_get(root, key);
  if (!image) return FV_OK;
  FV_REQUIRE(json_array_size(image) == 3, FV_ERR_CORRUPT, "%s: metadata: '%s': expected [height, width, channels]",
             path, key);
  shape->ndim = 3;
  for (int i = 0; i < 3; i++) {
    shape->dim[i] = json_integer_value(json_array_get(image, (size_t)i));
    FV_REQUIRE(shape->dim[i] >= 1 && shape->dim[i] <= (i == 2 ? 4 : FV_IMAGE_SIDE), FV_ERR_CORRUPT,
               "%s: metadata: '%s': expected a size that images have, got %lld", path, key, (long long)shape->dim[i]);
  }
  return FV_OK;
}

static fv_status read_image(fv_model *m, const json_t *root, const char *path) {
  FV_TRY(read_shape(root, "image", path, &m->task.image));
  if (!m->task.image.ndim) return FV_OK;
  FV_TRY(read_numbers(root, "mean", path, m->task.image.dim[2], m->mean));
  return read_numbers(root, "deviation", path, m->task.image.dim[2], m->deviation);
}

static fv_status read_labels(fv_model *m, const json_t *root, const char *path) {
  const json_t *labels = json_object_get(root, "labels");
  size_t n = json_array_size(labels);
  FV_REQUIRE(json_is_array(labels) && n <= 1000000, FV_ERR_CORRUPT,
             "%s: metadata: 'labels': expected a list of names, got %zu", path, n);
  const char **names = fv_arena_alloc(m->arena, FV_MAX(n, 1) * sizeof *names);
  FV_REQUIRE(names, FV_ERR_MEMORY, "%s: out of memory", path);
  for (size_t i = 0; i < n; i++) {
    const json_t *name = json_array_get(labels, i);
    FV_REQUIRE(json_is_string(name), FV_ERR_CORRUPT, "%s: metadata: label %zu: expected a text", path, i);
    names[i] = fv_arena_strdup(m->arena, json_string_value(name));
    FV_REQUIRE(names[i], FV_ERR_MEMORY, "%s: out of memory", path);
  }
  m->task.n_classes = (int64_t)n;
  m->classes = names;
  return FV_OK;
}

static fv_status read_lengths(fv_model *m, const json_t *root, const char *path) {
  enum { LONGEST = 1 << 20 };
  const json_t *lengths = json_object_get(root, "lengths");
  FV_REQUIRE(json_array_size(lengths) <= FV_MAX_LENGTHS, FV_ERR_CORRUPT,
             "%s: metadata: 'lengths': expected at most %d, got %zu", path, FV_MAX_LENGTHS, json_array_size(lengths));
  m->n_lengths = (int)json_array_size(lengths);
  for (int i = 0; i < m->n_lengths; i++) {
    m->length[i] = json_integer_value(json_array_get(lengths, (size_t)i));
    FV_REQUIRE(m->length[i] > (i ? m->length[i - 1] : 0) && m->length[i] <= LONGEST, FV_ERR_CORRUPT,
               "%s: metadata: 'lengths': expected numbers that rise, to at most %d, got %lld", path, LONGEST,
               (long long)m->length[i]);
  }
  if (m->n_lengths) m->reading.longest = fv_model_longest(m);
  return FV_OK;
}

static fv_status read_tokenizers(fv_model *m, const json_t *root, const char *path) {
  const json_t *list = json_object_get(root, "tokenizers");
  FV_REQUIRE(json_array_size(list) <= FV_TOKENIZED, FV_ERR_CORRUPT,
             "%s: metadata: 'tokenizers': expected at most %d, got %zu", path, FV_TOKENIZED, json_array_size(list));
  for (size_t k = 0; k < json_array_size(list); k++) {
    const json_t *text = json_array_get(list, k);
    FV_REQUIRE(json_is_string(text), FV_ERR_CORRUPT, "%s: metadata: tokenizers: expected a text", path);
    FV_TRY(fv_tokenizer_parse(json_string_value(text), json_string_length(text), path, &m->reading.tokenizer[k]));
    m->task.vocabulary[k] = fv_tokenizer_size(m->reading.tokenizer[k]);
  }
  return FV_OK;
}

static fv_status read_channel(const json_t *channel, const char *path, fv_channels *c, size_t k) {
  const json_t *mean = json_object_get(channel, "mean"), *deviation = json_object_get(channel, "deviation");
  FV_REQUIRE(json_is_number(mean) && json_is_number(deviation), FV_ERR_CORRUPT,
             "%s: metadata: series.channels: expected a mean and a deviation", path);
  c->mean[k] = json_number_value(mean);
  c->deviation[k] = json_number_value(deviation);
  FV_REQUIRE(isfinite(c->mean[k]) && isfinite(c->deviation[k]) && c->deviation[k] > 0, FV_ERR_CORRUPT,
             "%s: metadata: series.channels: expected a mean and a deviation above 0, got %g and %g", path, c->mean[k],
             c->deviation[k]);
  return FV_OK;
}

static fv_status read_channels(fv_model *m, const json_t *list, const char *path) {
  enum { MOST = 4096 };
  const char *names[MOST];
  const size_t n = json_array_size(list);
  FV_REQUIRE(n >= 1 && n <= MOST, FV_ERR_CORRUPT, "%s: metadata: series.channels: expected 1 to %d, got %zu", path,
             MOST, n);
  for (size_t k = 0; k < n; k++) {
    names[k] = json_string_value(json_object_get(json_array_get(list, k), "name"));
    FV_REQUIRE(names[k], FV_ERR_CORRUPT, "%s: metadata: series.channels: expected a name", path);
  }
  FV_TRY(fv_channels_new((int64_t)n, names, &m->reading.channels));
  for (size_t k = 0; k < n; k++) FV_TRY(read_channel(json_array_get(list, k), path, m->reading.channels, k));
  m->task.channels = (int64_t)n;
  return FV_OK;
}

static fv_status read_series(fv_model *m, const json_t *root, const char *path) {
  enum { LONGEST = 100000 };
  const json_t *series = json_object_get(root, "series");
  if (!series) return FV_OK;
  const int64_t past = json_integer_value(json_object_get(series, "past")),
                horizon = json_integer_value(json_object_get(series, "horizon"));
  FV_REQUIRE(past >= 1 && past <= LONGEST && horizon >= 1 && horizon <= LONGEST, FV_ERR_CORRUPT,
             "%s: metadata: series: expected past and horizon of 1 to %d, got %lld and %lld", path, LONGEST,
             (long long)past, (long long)horizon);
  m->task.past = m->reading.past = past;
  m->task.horizon = m->reading.horizon = horizon;
  return read_channels(m, json_object_get(series, "channels"), path);
}

static fv_status read_graph(fv_model *m, const json_t *root, const char *path) {
  const json_t *graph = json_object_get(root, "graph");
  if (!graph) return FV_OK;
  const struct { const char *key; int64_t *v; } all[] = {{"features", &m->task.features}, {"words", &m->task.words},
                                                         {"nodes", &m->task.nodes}, {"edges", &m->task.edges},
                                                         {"block", &m->task.block}};
  for (size_t i = 0; i < FV_COUNT(all); i++) {
    *all[i].v = json_integer_value(json_object_get(graph, all[i].key));
    FV_REQUIRE(*all[i].v >= (i == 0) && *all[i].v < INT32_MAX, FV_ERR_CORRUPT,
               "%s: metadata: graph.%s: expected a number that graphs have, got %lld", path, all[i].key,
               (long long)*all[i].v);
  }
  return FV_OK;
}

static fv_status read_episodes(fv_model *m, const json_t *root, const char *path) {
  const json_t *episodes = json_object_get(root, "episodes");
  if (!episodes) return FV_OK;
  int64_t *const size = m->task.glyph.dim;
  const struct { const char *key; int64_t *v, most; } all[] = {
      {"ways", &m->task.ways, FV_MOST_WAYS}, {"shots", &m->task.shots, FV_MOST_PICTURES},
      {"queries", &m->task.queries, FV_MOST_PICTURES}, {"height", &size[0], FV_IMAGE_SIDE},
      {"width", &size[1], FV_IMAGE_SIDE}};
  for (size_t i = 0; i < FV_COUNT(all); i++) {
    *all[i].v = json_integer_value(json_object_get(episodes, all[i].key));
    FV_REQUIRE(*all[i].v >= 1 && *all[i].v <= all[i].most, FV_ERR_CORRUPT,
               "%s: metadata: episodes.%s: expected 1 to %lld, got %lld", path, all[i].key, (long long)all[i].most,
               (long long)*all[i].v);
  }
  m->task.glyph.ndim = 3;
  size[2] = 1;
  m->reading.ways = m->task.ways;
  m->reading.shots = m->task.shots;
  m->reading.queries = m->task.queries;
  m->task.support = m->task.ways * m->task.shots;
  m->task.asked = m->task.ways * m->task.queries;
  FV_REQUIRE(m->task.support + m->task.asked <= FV_MOST_PICTURES &&
             (m->task.n_classes == m->task.ways || json_object_get(root, "support")), FV_ERR_CORRUPT,
             "%s: metadata: episodes: expected at most %d pictures and a label for each way", path, FV_MOST_PICTURES);
  return FV_OK;
}

/* Of superpixels: there must be room for the graph of any image. */
static fv_status read_picture(fv_model *m, const json_t *root, const char *path) {
  fv_reading *r = &m->reading;
  FV_TRY(read_shape(root, "picture", path, &r->picture));
  FV_REQUIRE(!r->picture.ndim == !r->superpixels, FV_ERR_CORRUPT,
             "%s: metadata: expected 'picture' and the setting superpixels, got one of them", path);
  if (!r->superpixels) return FV_OK;
  FV_REQUIRE(m->task.features == r->picture.dim[2] + 2 && m->task.edges == FV_SUPERPIXEL_EDGES &&
                 m->reading.longest >= fv_superpixels_most(r),
             FV_ERR_CORRUPT, "%s: metadata: expected graphs of superpixels, got others", path);
  return FV_OK;
}

/* Texts and histories vary in length: without lengths there would be no room for a sample. */
static fv_status check_lengths(const fv_model *m, const json_t *root, const char *path) {
  static const char *const varies[] = {"tokenizers", "catalogue"};
  for (size_t i = 0; i < FV_COUNT(varies); i++)
    FV_REQUIRE(m->n_lengths || !json_object_get(root, varies[i]), FV_ERR_CORRUPT,
               "%s: metadata: expected 'lengths' beside '%s', got none", path, varies[i]);
  return FV_OK;
}

static fv_status read_task(fv_model *m, const json_t *root, const char *path) {
  FV_TRY(read_image(m, root, path));
  FV_TRY(read_series(m, root, path));
  FV_TRY(read_graph(m, root, path));
  FV_TRY(read_labels(m, root, path));
  FV_TRY(read_episodes(m, root, path));
  FV_TRY(read_lengths(m, root, path));
  FV_TRY(read_picture(m, root, path));
  FV_TRY(check_lengths(m, root, path));
  FV_TRY(read_tokenizers(m, root, path));
  const json_t *catalogue = json_object_get(root, "catalogue");
  if (catalogue) FV_TRY(fv_catalogue_read(catalogue, path, &m->reading.catalogue));
  fv_model_meet_catalogue(m);
  FV_REQUIRE(!m->task.features || (!m->task.image.ndim && !m->task.horizon && !m->task.vocabulary[0]), FV_ERR_CORRUPT,
             "%s: metadata: expected a graph alone, got other data beside", path);
  return FV_OK;
}

static bool has_shape(const fv_array *a, fv_shape shape) {
  bool same = a->ndim == shape.ndim;
  for (int d = 0; same && d < a->ndim; d++) same = a->dim[d] == shape.dim[d];
  return same;
}

fv_status fv_model_check_tensors(const fv_model *m, const fv_safetensors *file, const char *path) {
  for (int i = 0; i < m->params->n; i++) {
    const fv_param_info *p = &m->params->v[i];
    const fv_array *a = fv_safetensors_find(file, p->name);
    FV_REQUIRE(a, FV_ERR_CORRUPT, "%s: expected a tensor '%s', got none", path, p->name);
    FV_REQUIRE(has_shape(a, p->shape), FV_ERR_CORRUPT, "%s: tensor '%s': expected %s, got %s", path, p->name,
               fv_shape_text(p->shape), fv_dims_text(a->dim, a->ndim));
  }
  const int all = m->params->n + (m->support ? FV_SUPPORT_ARRAYS : 0);
  FV_REQUIRE(fv_safetensors_count(file) == all, FV_ERR_CORRUPT, "%s: expected the model's %d tensors, got %lld", path,
             all, (long long)fv_safetensors_count(file));
  return FV_OK;
}

fv_status fv_model_read_slab(const fv_model *m, const fv_safetensors *file, const char *path, float *slab) {
  FV_TRY(fv_model_check_tensors(m, file, path));
  for (int i = 0; i < m->params->n; i++) {
    const fv_param_info *p = &m->params->v[i];
    FV_TRY(fv_array_to_f32(fv_safetensors_find(file, p->name), slab + p->offset));
  }
  return FV_OK;
}

static fv_status open_file(const char *given, char *path, size_t size, fv_safetensors **file) {
  const int written = snprintf(path, size, fv_path_is_dir(given) ? "%s/model.safetensors" : "%s", given);
  FV_REQUIRE(written >= 0 && (size_t)written < size, FV_ERR_REQUEST, "model: expected a shorter path");
  return fv_safetensors_open(path, file);
}

fv_status fv_model_start_from(fv_model *m, const char *given) {
  char path[4096];
  fv_safetensors *file;
  fv_status status = FV_OK;
  FV_TRY(open_file(given, path, sizeof path, &file));
  for (int i = 0; i < m->params->n; i++) {
    const fv_param_info *p = &m->params->v[i];
    const fv_array *a = fv_safetensors_find(file, p->name);
    if (!a || !has_shape(a, p->shape)) continue;
    FV_TRY_DONE(fv_array_to_f32(a, m->slab + p->offset));
    m->started++;
  }
  FV_REQUIRE_DONE(m->started, FV_ERR_REQUEST,
                  "start (%s): expected weights of the names and shapes of the recipe's, got none", path);
done:
  fv_safetensors_close(file);
  return status;
}

/* What a caller may ask for is a request; what a file says is its own fault. */
static fv_status blame_file(fv_status status, const char *path) {
  if (status == FV_OK) return status;
  return fv_error_prefix(status == FV_ERR_REQUEST ? FV_ERR_CORRUPT : status, "%s: metadata", path);
}

static fv_status open_root(const json_t *root, const char *path, int threads, fv_model **model) {
  enum { MOST = 256 };
  fv_setting sets[MOST];
  int n_sets = 0;
  const char *recipe, *data;
  FV_TRY(text_of(root, "recipe", path, &recipe));
  FV_TRY(text_of(root, "data", path, &data));
  FV_TRY(sets_of(root, "settings", path, sets, &n_sets, MOST));
  FV_TRY(sets_of(root, "training", path, sets, &n_sets, MOST));
  fv_status status = fv_model_new(recipe, data, NULL, sets, n_sets, threads, model);
  FV_TRY(blame_file(status, path));
  const json_t *preset = json_object_get(root, "preset");
  if (json_is_string(preset)) (*model)->preset = fv_arena_strdup((*model)->arena, json_string_value(preset));
  FV_TRY(read_task(*model, root, path));
  return blame_file(fv_model_declare(*model), path);
}

fv_status fv_model_open(const char *given, int threads, fv_model **model) {
  fv_status status = FV_OK;
  fv_safetensors *file = NULL;
  json_t *root = NULL;
  char path[4096];
  *model = NULL;
  FV_TRY_DONE(open_file(given, path, sizeof path, &file));
  const char *meta = fv_safetensors_meta(file, "fovea");
  FV_REQUIRE_DONE(meta, FV_ERR_CORRUPT, "%s: expected a model written by fovea, got a file without its metadata", path);
  FV_TRY_DONE(fv_json_parse(meta, strlen(meta), path, (size_t)64 << 20, &root));
  FV_TRY_DONE(open_root(root, path, threads, model));
  FV_TRY_DONE(blame_file(fv_model_read_support(*model, root, file, path), path));
  /* Only now: a few words of metadata must not be able to ask for more memory than the file has bytes. */
  FV_TRY_DONE(fv_model_check_tensors(*model, file, path));
  FV_TRY_DONE(fv_slab_new(&(*model)->ledger, FV_ACCOUNT_PARAMETERS, (*model)->params->size * (int64_t)sizeof(float),
                          (void **)&(*model)->slab));
  FV_TRY_DONE(fv_model_read_slab(*model, file, path, (*model)->slab));
done:
  json_decref(root);
  fv_safetensors_close(file);
  if (status != FV_OK) {
    fv_model_free(*model);
    *model = NULL;
  }
  return status;
}
