/* SPDX-License-Identifier: Apache-2.0 */
/* adapt.c: a classifier of someone's own classes from a few pictures of each: a model of episodes whose support set is
 * always that one. Nothing is trained; the pictures go into the model's file. */
#include "train/train.h"

static const char *const tensor_names[] = {"support.ink", "support.label"};

fv_status fv_model_take_support(fv_model *m, fv_support *s) {
  const fv_problem was = m->task;
  m->task.n_classes = s->n_classes;
  m->task.support = s->n;
  m->task.asked = 1;
  const fv_status status = fv_model_check(m);
  if (status != FV_OK) {
    m->task = was;
    return status;
  }
  fv_support_free(m->support);
  m->support = s;
  m->classes = s->classes;
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&m->predict[i]);
  return FV_OK;
}

/* ---- in the model's file ----------------------------------------------------------------------------------------- */
int fv_support_arrays(const fv_support *s, fv_array arrays[FV_SUPPORT_ARRAYS]) {
  if (!s) return 0;
  arrays[0] = (fv_array){.name = tensor_names[0], .elem = FV_ELEM_U8, .ndim = 3, .dim = {s->n, s->h, s->w},
                         .count = s->n * s->h * s->w, .bytes = (size_t)(s->n * s->h * s->w), .data = s->ink};
  arrays[1] = (fv_array){.name = tensor_names[1], .elem = FV_ELEM_I32, .ndim = 1, .dim = {s->n}, .count = s->n,
                         .bytes = (size_t)s->n * sizeof *s->label, .data = s->label};
  return FV_SUPPORT_ARRAYS;
}

void fv_support_json(const fv_support *s, fv_json *j) {
  fv_json_begin(j, "support", '[');
  for (int64_t i = 0; i < s->n; i++) fv_json_text(j, NULL, s->picture[i]);
  fv_json_end(j, ']');
}

static fv_status read_names(const json_t *list, const char *path, fv_support *s) {
  for (int64_t i = 0; i < s->n; i++) {
    const char *name = json_string_value(json_array_get(list, (size_t)i));
    FV_REQUIRE(name, FV_ERR_CORRUPT, "%s: metadata: support: expected a text", path);
    s->picture[i] = fv_arena_strdup(s->arena, name);
    FV_REQUIRE(s->picture[i], FV_ERR_MEMORY, "%s: out of memory", path);
  }
  return FV_OK;
}

/* Each class has a picture, and each picture a class. */
static fv_status read_labels(const fv_array *labels, const char *path, fv_support *s) {
  FV_TRY(fv_array_to_i32(labels, s->label));
  for (int64_t i = 0; i < s->n; i++)
    FV_REQUIRE(s->label[i] >= 0 && s->label[i] < s->n_classes, FV_ERR_CORRUPT,
               "%s: support.label: expected a class below %d, got %d", path, s->n_classes, s->label[i]);
  for (int c = 0; c < s->n_classes; c++) {
    int64_t i = 0;
    while (i < s->n && s->label[i] != c) i++;
    FV_REQUIRE(i < s->n, FV_ERR_CORRUPT, "%s: support.label: expected a picture of class %d, got none", path, c);
  }
  return FV_OK;
}

static fv_status read_support(const fv_model *m, const json_t *list, const fv_safetensors *file, const char *path,
                              fv_arena **arena, fv_support **s) {
  const int64_t n = (int64_t)json_array_size(list), h = m->task.glyph.dim[0], w = m->task.glyph.dim[1];
  const fv_array *ink = fv_safetensors_find(file, tensor_names[0]), *label = fv_safetensors_find(file, tensor_names[1]);
  FV_REQUIRE(ink && label && m->task.n_classes <= n, FV_ERR_CORRUPT,
             "%s: expected a support set with names, pictures and labels, one or more of each class, got only some of "
             "that", path);
  FV_REQUIRE(ink->elem == FV_ELEM_U8 && ink->ndim == 3 && ink->dim[0] == n && ink->dim[1] == h && ink->dim[2] == w &&
             label->ndim == 1 && label->dim[0] == n, FV_ERR_CORRUPT,
             "%s: support: expected bytes [%lld,%lld,%lld] and so many labels, got %s and %s", path, (long long)n,
             (long long)h, (long long)w, fv_dims_text(ink->dim, ink->ndim), fv_dims_text(label->dim, label->ndim));
  FV_TRY(fv_support_new(arena, n, h, w, s));
  (*s)->n_classes = (int)m->task.n_classes;
  (*s)->classes = m->classes;
  memcpy((*s)->ink, ink->data, ink->bytes);
  FV_TRY(read_names(list, path, *s));
  return read_labels(label, path, *s);
}

fv_status fv_model_read_support(fv_model *m, const json_t *root, const fv_safetensors *file, const char *path) {
  const json_t *list = json_object_get(root, "support");
  fv_status status = FV_OK;
  fv_arena *arena = NULL;
  fv_support *s = NULL;
  if (!list) return FV_OK;
  FV_REQUIRE(m->task.ways, FV_ERR_CORRUPT, "%s: metadata: expected a support set of a model of episodes alone", path);
  FV_TRY(fv_arena_new(&arena));
  FV_TRY_DONE(read_support(m, list, file, path, &arena, &s));
  FV_TRY_DONE(fv_model_take_support(m, s));
  s = NULL;
done:
  fv_arena_free(arena);
  fv_support_free(s);
  return status;
}

/* ---- what is asked ----------------------------------------------------------------------------------------------- */
fv_status fv_episode_open(fv_model *m, const char *input, const char *data, fv_dataset **d, int64_t *index) {
  const bool sample = fv_is_test_sample(input);
  *index = 0;
  if (m->support) {
    FV_REQUIRE(!sample && !data, FV_ERR_REQUEST,
               "%s: expected a picture, since the model was adapted to classes of its own", input);
    return fv_dataset_of_query(m->support, input, d);
  }
  FV_REQUIRE(sample, FV_ERR_REQUEST, "%s: expected test:N, an episode; 'fovea adapt' makes a model of your own "
             "classes of it, which answers to pictures", input);
  FV_TRY(fv_model_open_data(m, data, d));
  return fv_test_sample(input, *d, index);
}

/* ---- the request ------------------------------------------------------------------------------------------------- */
static fv_status adapted_json(const fv_model *m, const char *out, fv_json *j) {
  const fv_support *s = m->support;
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "model", out);
  fv_json_int(j, "pictures", s->n);
  fv_json_begin(j, "classes", '{');
  for (int c = 0; c < s->n_classes; c++) {
    int64_t n = 0;
    for (int64_t i = 0; i < s->n; i++) n += s->label[i] == c;
    fv_json_int(j, s->classes[c], n);
  }
  fv_json_end(j, '}');
  fv_json_end(j, '}');
  return FV_OK;
}

fv_status fv_model_adapt(fv_model *m, const char *dir, const char *out, char **json) {
  fv_status status = FV_OK;
  fv_support *s = NULL;
  fv_json j = {0};
  *json = NULL;
  FV_REQUIRE_DONE(m->task.ways, FV_ERR_REQUEST,
                  "adapt: expected a model that learns from a few examples (few-shot), got one of %s",
                  m->recipe->info.name);
  FV_TRY_DONE(fv_support_read(dir, m->task.glyph.dim[0], m->task.glyph.dim[1], &s));
  FV_TRY_DONE(fv_model_take_support(m, s));
  s = NULL;
  FV_TRY_DONE(fv_model_save(m, m->slab, NULL, out));
  FV_TRY_DONE(adapted_json(m, out, &j));
done:
  fv_support_free(s);
  return fv_json_give(&j, status, "adapt", json);
}
