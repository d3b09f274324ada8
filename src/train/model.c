/* SPDX-License-Identifier: Apache-2.0 */
/* model.c: a recipe with its settings, the shape of its data and its parameters; from a request or from a file, and
 * back into a file. model.safetensors holds all that is needed to use it: the tensors under their PyTorch names, and
 * in the metadata recipe, settings, labels and preprocessing. */
#include "train/generate.h"

static const char FORMAT[] = "fovea-1";

/* ---- settings ---------------------------------------------------------------------------------------------------- */
static fv_status set_one(fv_model *m, const char *what, const char *key, const char *value) {
  const fv_option *own = m->recipe->info.options;
  if (fv_options_find(own, key)) return fv_options_set(own, m->settings, what, key, value, m->arena);
  if (fv_options_find(fv_train_settings_table, key))
    return fv_options_set(fv_train_settings_table, &m->train, what, key, value, m->arena);
  const char *names[128] = {NULL};
  size_t n = 0;
  for (const fv_option *o = own; o->name && n + 1 < FV_COUNT(names); o++) names[n++] = o->name;
  for (const fv_option *o = fv_train_settings_table; o->name && n + 1 < FV_COUNT(names); o++) names[n++] = o->name;
  const char *near = fv_nearest_name(key, names);
  return FV_FAIL(FV_ERR_REQUEST, "setting '%s' (%s): expected a known name%s%s%s", key, what,
                 near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* "key=value key=value" */
static fv_status set_text(fv_model *m, const char *what, const char *text) {
  char *copy = fv_arena_strdup(m->arena, text), *save = NULL;
  FV_REQUIRE(copy, FV_ERR_MEMORY, "model: out of memory");
  for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
    char *equals = strchr(word, '=');
    FV_REQUIRE(equals, FV_ERR_REQUEST, "%s: expected key=value, got '%s'", what, word);
    *equals = 0;
    FV_TRY(set_one(m, what, word, equals + 1));
  }
  return FV_OK;
}

static fv_status set_preset(fv_model *m, const char *what, const char *preset) {
  const char *names[64] = {NULL};
  size_t n = 0;
  for (const fv_preset *p = m->recipe->info.presets; p && p->name && n + 1 < FV_COUNT(names); p++) {
    if (!strcmp(p->name, preset)) {
      m->preset = p->name;
      return set_text(m, what, p->settings);
    }
    names[n++] = p->name;
  }
  const char *near = fv_nearest_name(preset, names);
  return FV_FAIL(FV_ERR_REQUEST, "preset '%s' (%s): expected a known name%s%s%s", preset, what,
                 near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Whether images are to be changed by chance in a way that nobody but the user said. */
static bool augments(const fv_train_settings *was, const fv_train_settings *is) {
  return (is->shift && is->shift != was->shift) || (is->flip && !was->flip) ||
         (is->cutout && is->cutout != was->cutout) || (is->rotate > 0 && is->rotate != was->rotate) ||
         (is->zoom > 0 && is->zoom != was->zoom);
}

static fv_status model_settings(fv_model *m, const char *data, const char *preset, const fv_setting *sets, int n_sets) {
  char what[128];
  snprintf(what, sizeof what, "recipe %s", m->recipe->info.name);
  m->settings = fv_arena_alloc(m->arena, m->recipe->settings_size);
  FV_REQUIRE(m->settings, FV_ERR_MEMORY, "model: out of memory");
  FV_TRY(fv_options_defaults(m->recipe->info.options, m->settings));
  FV_TRY(fv_options_defaults(fv_train_settings_table, &m->train));
  FV_TRY(set_text(m, what, m->recipe->training));
  int set = data ? fv_dataset_find(data) : -1;
  if (set >= 0 && fv_dataset_get_info(set).training) FV_TRY(set_text(m, what, fv_dataset_get_info(set).training));
  if (preset) FV_TRY(set_preset(m, what, preset));
  else if (m->recipe->info.presets) FV_TRY(set_text(m, what, m->recipe->info.presets[0].settings)); /* the default */
  const fv_train_settings without = m->train;
  for (int i = 0; i < n_sets; i++) FV_TRY(set_one(m, what, sets[i].key, sets[i].value));
  m->augments = augments(&without, &m->train);
  while (m->train.batch % m->train.shards) m->train.shards--; /* the largest that divides */
  const fv_train_settings *t = &m->train;
  m->reading = (fv_reading){.fold = t->fold, .text = t->text, .label = t->label, .skip_bad = t->skip_bad,
                            .joint = t->joint, .like = t->like, .dislike = t->dislike, .longest = t->longest,
                            .past = t->past, .horizon = t->horizon,
                            .ways = t->ways, .shots = t->shots, .queries = t->queries,
                            .superpixels = t->superpixels, .compactness = t->compactness,
                            .directed = t->directed, .neighbours = t->neighbours,
                            .tokens = {.kind = (fv_tokenizer_kind)t->tokenizer, .size = t->vocabulary,
                                       .min_count = t->min_count, .lower = t->lower},
                            .vectors = t->vectors, .vectors_words = t->vectors_words};
  return FV_OK;
}

fv_status fv_model_new(const char *recipe, const char *data, const char *preset, const fv_setting *sets, int n_sets,
                       int threads, fv_model **model) {
  *model = NULL;
  fv_status status = FV_OK;
  FV_TRY(fv_cpu_init());
  int index = fv_recipe_find(recipe);
  const char *near = index < 0 ? fv_recipe_nearest(recipe) : NULL;
  FV_REQUIRE(index >= 0, FV_ERR_REQUEST, "recipe '%s': expected a known name%s%s%s", recipe,
             near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
  FV_REQUIRE(threads >= 0 && threads <= 1024, FV_ERR_REQUEST, "threads: expected 0 (all) to 1024, got %d", threads);
  fv_model *m;
  FV_TRY(FV_NEW(&m, 1));
  m->recipe = fv_recipes[index];
  FV_TRY_DONE(fv_arena_new(&m->arena));
  FV_TRY_DONE(fv_params_new(&m->params));
  m->data = fv_arena_strdup(m->arena, data ? data : m->recipe->info.default_data);
  FV_REQUIRE_DONE(m->data, FV_ERR_MEMORY, "model: out of memory");
  FV_TRY_DONE(model_settings(m, m->data, preset, sets, n_sets));
  FV_TRY_DONE(fv_pool_new(threads ? threads : fv_cpu_count(), &m->pool));
  m->reading.pool = m->pool;
done:
  if (status == FV_OK) *model = m;
  else fv_model_free(m);
  return status;
}

fv_status fv_model_set(fv_model *m, const fv_setting *sets, int n_sets) {
  fv_train_settings *t = &m->train;
  fv_reading *r = &m->reading;
  const struct { const char *key; const int64_t *from; int64_t *to; } all[] = {
      {"ways", &t->ways, &r->ways}, {"shots", &t->shots, &r->shots}, {"queries", &t->queries, &r->queries}};
  for (int i = 0; i < n_sets; i++) {
    size_t k = 0;
    while (k < FV_COUNT(all) && strcmp(all[k].key, sets[i].key) != 0) k++;
    FV_REQUIRE(k < FV_COUNT(all) && m->task.ways, FV_ERR_REQUEST,
               "setting '%s': expected ways, shots or queries of a model of episodes, got another of one of %s",
               sets[i].key, m->recipe->info.name);
    FV_TRY(fv_options_set(fv_train_settings_table, t, "episodes", sets[i].key, sets[i].value, m->arena));
    *all[k].to = *all[k].from;
  }
  return FV_OK;
}

void fv_model_free(fv_model *m) {
  if (!m) return;
  fv_writer_free(m->writer);
  fv_writer_free(m->writer_of_one);
  fv_runners_free(&m->eval);
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&m->predict[i]);
  fv_reading_free(&m->reading);
  fv_support_free(m->support);
  fv_free(m->sample);
  fv_slab_free(m->slab);
  fv_params_free(m->params);
  fv_pool_free(m->pool);
  fv_arena_free(m->arena);
  fv_free(m);
}

/* ---- graphs ------------------------------------------------------------------------------------------------------ */
fv_status fv_model_graph(fv_model *m, fv_mode mode, int64_t n, bool taps, fv_graph **graph) {
  fv_graph *g;
  fv_status status = FV_OK;
  *graph = NULL;
  FV_TRY(fv_graph_new(m->params, FV_F32, &g));
  m->recipe->build(g, m->settings, &m->task, mode, n);
  FV_TRY_DONE(fv_graph_check(g));
  for (int i = 0; taps && i < g->taps.n; i++) fv_output(g, g->taps.v[i].name, g->taps.v[i].value);
  FV_TRY_DONE(fv_graph_check(g));
done:
  if (status == FV_OK) *graph = g;
  else fv_graph_free(g);
  return status;
}

fv_status fv_model_differentiate(fv_graph *g) {
  for (int i = 0; i < g->outputs.n; i++)
    if (!strcmp(g->outputs.v[i].name, "loss"))
      return fv_graph_differentiate(g, g->outputs.v[i].value, true, 0, NULL, NULL);
  return FV_FAIL(FV_ERR_INTERNAL, "recipe: expected an output 'loss', got none");
}

int fv_model_workers(const fv_model *m) { return m->train.shards == 1 ? 1 : fv_pool_threads(m->pool); }

fv_status fv_model_runners(fv_model *m, fv_mode mode, int64_t n, int workers, const float *params, bool differentiate,
                           fv_runners *r) {
  fv_graph *g[FV_MAX_LENGTHS] = {NULL};
  const int lengths = FV_MAX(m->n_lengths, 1);
  fv_status status = FV_OK;
  for (int i = 0; i < lengths; i++) {
    m->task.length = m->length[i];
    FV_TRY_DONE(fv_model_graph(m, mode, n, false, &g[i]));
    if (differentiate) FV_TRY_DONE(fv_model_differentiate(g[i]));
  }
  return fv_runners_new(&m->ledger, lengths, g, params, workers, m->pool, n, r);
done:
  for (int i = 0; i < lengths; i++) fv_graph_free(g[i]);
  return status;
}

/* The tokens that are a mark at the end of a sentence, where the vocabulary has them. */
static void find_stops(fv_model *m) {
  static const char *const marks[] = {".", "!", "?", "...", "\xe3\x80\x82"};
  const fv_tokenizer *t = m->reading.tokenizer[0];
  m->task.n_stops = 0;
  for (size_t i = 0; t && i < FV_COUNT(marks); i++) {
    int32_t id = fv_tokenizer_find(t, marks[i], strlen(marks[i]));
    if (id > 0) m->task.stop[m->task.n_stops++] = id;
  }
}

fv_status fv_model_check(const fv_model *m) {
  const fv_status status = m->recipe->check ? m->recipe->check(m->settings, &m->task) : FV_OK;
  return status == FV_OK ? FV_OK : fv_error_prefix(status, "%s", m->recipe->info.name);
}

fv_status fv_model_declare(fv_model *m) {
  find_stops(m);
  m->task.label_smoothing = m->train.label_smoothing;
  m->task.joint = m->train.joint;
  m->task.longest = m->task.length = fv_model_longest(m);
  FV_TRY(fv_model_check(m));
  fv_graph *g;
  FV_TRY(fv_model_graph(m, FV_MODE_TRAIN, 1, false, &g)); /* for its parameters */
  fv_graph_free(g);
  return fv_params_layout(m->params);
}

fv_status fv_model_build(fv_model *m) {
  FV_TRY(fv_model_declare(m));
  FV_TRY(fv_slab_new(&m->ledger, FV_ACCOUNT_PARAMETERS, m->params->size * (int64_t)sizeof(float), (void **)&m->slab));
  if (m->ledger.dry) return FV_OK;
  fv_params_init(m->params, (uint64_t)m->train.seed, m->slab);
  if (m->train.start) FV_TRY(fv_model_start_from(m, m->train.start));
  return m->train.vectors ? fv_model_load_vectors(m) : FV_OK;
}

int fv_model_metric_outputs(const fv_model *m, const char *names[FV_METRIC_OUTPUTS]) {
  names[0] = m->recipe->ranks ? "each.score" : fv_arena_printf(m->arena, "each.%s", m->recipe->metric);
  names[1] = m->recipe->ranks ? "each.positive" : NULL;
  return m->recipe->ranks ? 2 : 1;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */
static void settings_json(fv_json *j, const char *key, const fv_option *table, const void *fields) {
  fv_json_begin(j, key, '{');
  for (const fv_option *o = table; o->name; o++) {
    fv_text value = {0};
    fv_options_print(o, fields, &value);
    fv_json_text(j, o->name, value.s ? value.s : "");
    fv_text_free(&value);
  }
  fv_json_end(j, '}');
}

static void shape_json(fv_json *j, const char *key, fv_shape shape) {
  fv_json_begin(j, key, '[');
  for (int i = 0; i < shape.ndim; i++) fv_json_int(j, NULL, shape.dim[i]);
  fv_json_end(j, ']');
}

static void numbers_json(fv_json *j, const char *key, const float *v, int64_t n) {
  fv_json_begin(j, key, '[');
  for (int64_t i = 0; i < n; i++) fv_json_float(j, NULL, v[i]);
  fv_json_end(j, ']');
}

static void series_json(const fv_model *m, fv_json *j) {
  const fv_channels *c = m->reading.channels;
  fv_json_begin(j, "series", '{');
  fv_json_int(j, "past", m->task.past);
  fv_json_int(j, "horizon", m->task.horizon);
  fv_json_begin(j, "channels", '[');
  for (int64_t k = 0; c && k < c->n; k++) {
    fv_json_begin(j, NULL, '{');
    fv_json_text(j, "name", c->name[k]);
    fv_json_real(j, "mean", c->mean[k]);
    fv_json_real(j, "deviation", c->deviation[k]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
  fv_json_end(j, '}');
}

static void graph_json(const fv_model *m, fv_json *j) {
  fv_json_begin(j, "graph", '{');
  fv_json_int(j, "features", m->task.features);
  fv_json_int(j, "words", m->task.words);
  fv_json_int(j, "nodes", m->task.nodes);
  fv_json_int(j, "edges", m->task.edges);
  fv_json_int(j, "block", m->task.block);
  fv_json_end(j, '}');
}

static void episodes_json(const fv_model *m, fv_json *j) {
  fv_json_begin(j, "episodes", '{');
  fv_json_int(j, "ways", m->task.ways);
  fv_json_int(j, "shots", m->task.shots);
  fv_json_int(j, "queries", m->task.queries);
  fv_json_int(j, "height", m->task.glyph.dim[0]);
  fv_json_int(j, "width", m->task.glyph.dim[1]);
  fv_json_end(j, '}');
}

/* What it learnt of its data: meet.c. */
static fv_status task_json(const fv_model *m, fv_json *j) {
  fv_json_begin(j, "labels", '[');
  for (int64_t i = 0; i < m->task.n_classes; i++) fv_json_text(j, NULL, m->classes[i]);
  fv_json_end(j, ']');
  if (m->task.image.ndim) {
    shape_json(j, "image", m->task.image);
    fv_json_begin(j, "preprocessing", '{');
    numbers_json(j, "mean", m->mean, m->task.image.dim[2]);
    numbers_json(j, "deviation", m->deviation, m->task.image.dim[2]);
    fv_json_end(j, '}');
  }
  if (m->task.horizon) series_json(m, j);
  if (m->task.features) graph_json(m, j);
  if (m->task.ways) episodes_json(m, j);
  if (m->reading.picture.ndim) shape_json(j, "picture", m->reading.picture);
  if (m->reading.catalogue) fv_catalogue_json(m->reading.catalogue, j);
  if (m->support) fv_support_json(m->support, j);
  if (m->n_lengths) {
    fv_json_begin(j, "lengths", '[');
    for (int i = 0; i < m->n_lengths; i++) fv_json_int(j, NULL, m->length[i]);
    fv_json_end(j, ']');
  }
  if (!m->reading.tokenizer[0]) return FV_OK;
  fv_json_begin(j, "tokenizers", '[');
  for (int k = 0; k < FV_TOKENIZED && m->reading.tokenizer[k]; k++) {
    char *text;
    FV_TRY(fv_tokenizer_print(m->reading.tokenizer[k], &text));
    fv_json_text(j, NULL, text);
    fv_string_free(text);
  }
  fv_json_end(j, ']');
  return FV_OK;
}

fv_status fv_model_describe(const fv_model *m, fv_json *j) {
  fv_json_text(j, "recipe", m->recipe->info.name);
  fv_json_text(j, "preset", m->preset);
  fv_json_text(j, "data", m->data);
  settings_json(j, "settings", m->recipe->info.options, m->settings);
  settings_json(j, "training", fv_train_settings_table, &m->train);
  FV_REQUIRE(!j->text.failed, FV_ERR_MEMORY, "model: out of memory");
  return FV_OK;
}

/* The slab's parameters as named arrays, with room for a support set; fv_free the result. */
static fv_status arrays_of(const fv_model *m, const float *slab, fv_array **arrays) {
  FV_TRY(FV_NEW(arrays, m->params->n + FV_SUPPORT_ARRAYS));
  for (int i = 0; i < m->params->n; i++) {
    const fv_param_info *p = &m->params->v[i];
    fv_array *a = &(*arrays)[i];
    *a = (fv_array){.name = p->name, .elem = FV_ELEM_F32, .ndim = p->shape.ndim, .data = slab + p->offset};
    for (int d = 0; d < p->shape.ndim; d++) a->dim[d] = p->shape.dim[d];
    FV_TRY(fv_array_measure(a, p->name));
  }
  return FV_OK;
}

fv_status fv_model_save(const fv_model *m, const float *slab, const char *metrics_json, const char *path) {
  fv_status status = FV_OK;
  fv_array *arrays = NULL;
  fv_json j = {0};
  FV_TRY_DONE(arrays_of(m, slab, &arrays));
  fv_json_begin(&j, NULL, '{');
  FV_TRY_DONE(fv_model_describe(m, &j));
  FV_TRY_DONE(task_json(m, &j));
  fv_json_end(&j, '}');
  FV_REQUIRE_DONE(!j.text.failed, FV_ERR_MEMORY, "model: out of memory");
  fv_pair meta[] = {{"format", FORMAT}, {"fovea", j.text.s}, {"metrics", metrics_json ? metrics_json : "{}"}};
  const int more = fv_support_arrays(m->support, arrays + m->params->n);
  FV_TRY_DONE(fv_safetensors_write(path, arrays, m->params->n + more, meta, FV_COUNT(meta)));
done:
  fv_free(arrays);
  fv_json_free(&j);
  return status;
}

fv_status fv_model_weights_sha256(const fv_model *m, const float *slab, char hex[65]) {
  fv_array *arrays;
  fv_status status = arrays_of(m, slab, &arrays);
  if (status == FV_OK) status = fv_arrays_sha256(arrays, m->params->n, hex);
  fv_free(arrays);
  return status;
}
