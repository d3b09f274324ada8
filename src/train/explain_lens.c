/* SPDX-License-Identifier: Apache-2.0 */
/* explain_lens.c: a model's graph made to tell where it looks. One image, text or window a run, samples side by side
 * over the workers, so a map does not depend on what else was asked for. The score explained is the largest: the
 * predicted class's; of series the forecast along a direction that is an input. */
#include "train/explain.h"

/* ---- the graph ------------------------------------------------------------------------------------------------- */
static fv_value *named(const fv_named_list *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (!strcmp(list->v[i].name, name)) return list->v[i].value;
  return NULL;
}

static fv_value *score_of(fv_graph *g) {
  fv_value *scores = named(&g->outputs, "scores"), *forecast = named(&g->outputs, "forecast");
  if (scores) return fv_reduce(g, "amax", scores, FV_SHAPE(1), false);
  if (!forecast) return NULL;
  fv_value *toward = fv_input(g, "toward", FV_F32, FV_SHAPE(1, fv_dim(forecast, 1), fv_dim(forecast, 2)));
  return fv_reduce(g, "sum", fv_mul(g, forecast, toward), FV_SHAPE(1, 2), false);
}

/* d score / d (taps, image or past) as outputs "d.NAME". Taps of series are there to be read alone. */
static fv_status add_gradients(fv_lens *lens, fv_graph *g) {
  fv_value *wrt[FV_EXPLAIN_TAPS + 1], *grads[FV_EXPLAIN_TAPS + 1], *score = score_of(g);
  fv_value *seen = named(&g->inputs, lens->series ? "past" : "image");
  const int n_taps = lens->series ? 0 : lens->n_taps;
  int n = n_taps;
  FV_REQUIRE(score, FV_ERR_REQUEST, "explain: expected a model that scores classes, got one of recipe '%s'",
             lens->m->recipe->info.name);
  for (int i = 0; i < n; i++) wrt[i] = g->taps.v[i].value;
  if (seen) wrt[n++] = seen;
  FV_TRY(fv_graph_differentiate(g, score, false, n, wrt, grads));
  for (int i = 0; i < n_taps; i++) fv_output(g, lens->tap[i].gradient, grads[i]);
  if (seen) fv_output(g, lens->series ? "d.past" : "d.image", grads[n - 1]);
  return fv_graph_check(g);
}

static fv_status list_taps(fv_lens *lens, const fv_graph *g) {
  FV_REQUIRE(g->taps.n <= FV_EXPLAIN_TAPS, FV_ERR_REQUEST,
             "explain: expected a model with at most %d places of attention, got %d", FV_EXPLAIN_TAPS, g->taps.n);
  for (int i = 0; i < g->taps.n; i++) {
    const fv_named *t = &g->taps.v[i];
    lens->tap[i].name = t->name;
    lens->tap[i].kind = t->kind;
    lens->tap[i].gradient = fv_arena_printf(g->arena, "d.%s", t->name);
    FV_REQUIRE(lens->tap[i].gradient, FV_ERR_MEMORY, "explain: out of memory");
    if (strcmp(t->kind, FV_TAP_INPUT)) lens->tokens = FV_MAX(lens->tokens, fv_dim(t->value, -1));
  }
  lens->n_taps = g->taps.n;
  return FV_OK;
}

/* ---- which methods apply --------------------------------------------------------------------------------------- */
static bool view_known(const fv_lens *lens, const char *name) {
  for (int i = 0; i < lens->n_views; i++)
    if (!strcmp(lens->view[i].method->name, name)) return true;
  return false;
}

/* Of texts every map is a number a word. */
static bool view_words(const fv_lens *lens, const fv_graph *g, const fv_explain_method *m, fv_explain_view *view) {
  static const char *const kinds[] = {FV_TAP_TOKENS, FV_TAP_POOLING, FV_TAP_INPUT};
  *view = (fv_explain_view){.method = m, .h = 1, .w = (int)lens->tokens};
  for (size_t k = 0; k < FV_COUNT(kinds); k++)
    for (int i = 0; i < g->taps.n; i++)
      if (m->kind && !strcmp(m->kind, kinds[k]) && !strcmp(g->taps.v[i].kind, kinds[k])) return true;
  return false;
}

/* The size of the method's map; false: the model has no such attention, or not over the places of an image. */
static bool view_grid(const fv_graph *g, const fv_explain_method *m, const fv_shape *image, fv_explain_view *view) {
  const fv_value *last = NULL;
  *view = (fv_explain_view){.method = m, .h = (int)image->dim[0], .w = (int)image->dim[1]};
  if (!m->kind) return true;
  for (int i = 0; i < g->taps.n; i++)
    if (!strcmp(g->taps.v[i].kind, m->kind)) last = g->taps.v[i].value;
  if (!last) return false;
  if (!strcmp(m->kind, FV_TAP_SPATIAL)) view->h = (int)fv_dim(last, 1), view->w = (int)fv_dim(last, 2);
  if (!strcmp(m->kind, FV_TAP_POOLING))
    return fv_map_grid(fv_dim(last, 1), image->dim[0], image->dim[1], &view->h, &view->w);
  if (!strcmp(m->kind, FV_TAP_WEIGHTS))
    return fv_map_grid(fv_dim(last, 3) - 1, image->dim[0], image->dim[1], &view->h, &view->w);
  return true;
}

/* Of series a number a row. */
static bool view_rows(const fv_lens *lens, const fv_graph *g, const fv_explain_method *m, fv_explain_view *view) {
  *view = (fv_explain_view){.method = m, .h = 1, .w = (int)lens->m->task.past};
  if (!m->kind || strcmp(m->kind, FV_TAP_ROWS)) return m->kind && !strcmp(m->kind, FV_EXPLAIN_PAST);
  for (int i = 0; i < g->taps.n; i++)
    if (!strcmp(g->taps.v[i].kind, FV_TAP_ROWS)) return true;
  return false;
}

static void list_views(fv_lens *lens, const fv_graph *g) {
  for (const fv_explain_method *m = fv_explain_methods; m->name && lens->n_views < FV_EXPLAIN_METHODS; m++) {
    fv_explain_view *view = &lens->view[lens->n_views];
    if (view_known(lens, m->name)) continue;
    lens->n_views += lens->texts    ? view_words(lens, g, m, view)
                     : lens->series ? view_rows(lens, g, m, view)
                                    : view_grid(g, m, &lens->m->task.image, view);
  }
}

static fv_status make_runner(fv_lens *lens, int bucket) {
  fv_model *m = lens->m;
  fv_graph *g;
  m->task.length = m->length[bucket];
  FV_TRY(fv_model_graph(m, FV_MODE_PREDICT, 1, true, &g));
  fv_status status = lens->n_views ? FV_OK : list_taps(lens, g);
  if (status == FV_OK) status = add_gradients(lens, g);
  if (status != FV_OK) {
    fv_graph_free(g);
    return status;
  }
  if (!lens->n_views) list_views(lens, g);
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, fv_pool_threads(m->pool), 1, &lens->r[bucket]));
  return fv_runner_refresh(&lens->r[bucket], m->slab, m->pool);
}

/* What there is to see is known from the longest. */
fv_status fv_lens_new(fv_model *m, fv_lens *lens) {
  *lens = (fv_lens){.m = m, .texts = m->task.vocabulary[0] > 0, .series = m->task.horizon > 0};
  lens->images = !lens->texts && !lens->series;
  if (m->n_lengths) lens->tokens = fv_model_longest(m);
  return make_runner(lens, FV_MAX(m->n_lengths - 1, 0));
}

void fv_lens_free(fv_lens *lens) {
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&lens->r[i]);
  *lens = (fv_lens){0};
}

fv_status fv_lens_find(const fv_lens *lens, const char *method, int *view) {
  const char *names[FV_EXPLAIN_METHODS + 1] = {NULL}, *all[2 * FV_EXPLAIN_METHODS] = {NULL};
  char list[256] = "";
  *view = 0;
  /* The last view knows nothing of attention. */
  if (!method || (!strcmp(method, "attention") && lens->n_views > 1)) return FV_OK;
  for (int i = 0; i < lens->n_views; i++) {
    names[i] = lens->view[i].method->name;
    if (!strcmp(names[i], method)) {
      *view = i;
      return FV_OK;
    }
    size_t n = strlen(list);
    snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", names[i]);
  }
  for (size_t i = 0; fv_explain_methods[i].name && i + 1 < FV_COUNT(all); i++) all[i] = fv_explain_methods[i].name;
  for (int i = 0; all[i]; i++)
    FV_REQUIRE(strcmp(all[i], method), FV_ERR_REQUEST,
               "explain: method '%s': expected one that this model's attention allows (%s)", method, list);
  const char *near = fv_nearest_name(method, names);
  return FV_FAIL(FV_ERR_REQUEST, "explain: method '%s': expected one of %s%s%s%s", method, list,
                 near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* ---- looking --------------------------------------------------------------------------------------------------- */
void fv_sights_free(fv_sights *s) {
  fv_free(s->pixels);
  fv_arena_free(s->arena);
  fv_free(s->past);
  fv_free(s->future);
  fv_free(s->forecast);
  fv_free(s->channels);
  fv_free(s->v);
  for (int i = 0; i < FV_EXPLAIN_METHODS; i++) fv_free(s->map[i]);
  *s = (fv_sights){0};
}

typedef struct look {
  fv_lens *lens;
  fv_sights *s;
  float *x; /* [workers, size]: an image, the longest text, what a window needs */
  int64_t size;
  double *scratch; /* [workers, 2 tokens] */
  float *cells; /* [workers, tokens] */
} look;

static void map_cells(const look *l, const fv_exec *exec, const fv_explain_view *view, int worker, int64_t cells,
                      float *map) {
  fv_explain_taps t = {.image = fv_exec_output(exec, "d.image"), .past = fv_exec_output(exec, "d.past"),
                       .rows = l->x + worker * l->size, .scratch = l->scratch + worker * 2 * l->lens->tokens};
  for (int i = 0; view->method->kind && i < l->lens->n_taps; i++) {
    if (strcmp(l->lens->tap[i].kind, view->method->kind)) continue;
    t.tap[t.n] = fv_exec_output(exec, l->lens->tap[i].name);
    t.gradient[t.n++] = fv_exec_output(exec, l->lens->tap[i].gradient);
  }
  view->method->map(&t, cells, map);
}

/* A word's number is the sum of its tokens'. */
static void map_view(const look *l, const fv_exec *exec, int view, int64_t i, int worker) {
  const fv_explain_view *v = &l->lens->view[view];
  const fv_words *w = &l->s->v[i].words;
  float *map = l->s->map[view] + i * v->h * v->w, *cells = l->cells + worker * l->lens->tokens;
  if (!l->lens->texts) {
    map_cells(l, exec, v, worker, (int64_t)v->h * v->w, map);
    return;
  }
  map_cells(l, exec, v, worker, w->n_tokens, cells);
  for (int64_t k = 0; k < w->n_tokens; k++) map[w->word[k]] += cells[k];
}

static fv_exec *bind(const look *l, int64_t i, int worker) {
  const fv_model *m = l->lens->m;
  if (l->lens->texts) {
    const fv_words *w = &l->s->v[i].words;
    const int bucket = fv_words_bucket(m, w);
    fv_exec *exec = l->lens->r[bucket].exec[worker];
    int32_t *tokens = (int32_t *)(l->x + worker * l->size);
    fv_words_tokens(m, w, NULL, bucket, tokens);
    fv_exec_bind_input(exec, fv_exec_input(exec, "tokens"), tokens);
    return exec;
  }
  fv_exec *exec = l->lens->r[0].exec[worker];
  const int64_t channels = m->task.image.dim[2];
  float *x = l->x + worker * l->size;
  fv_standardise(l->s->pixels + i * l->size, l->size / channels, (int)channels, m->mean, m->deviation, x);
  fv_exec_bind_input(exec, fv_exec_input(exec, "image"), x);
  return exec;
}

static fv_exec *classify(const look *l, int64_t i, int worker) {
  fv_exec *exec = bind(l, i, worker);
  fv_exec_run(exec);
  const float *p = fv_exec_output(exec, "probabilities")->data;
  l->s->v[i].prediction = fv_map_peak(p, l->lens->m->task.n_classes);
  l->s->v[i].probability = p[l->s->v[i].prediction];
  return exec;
}

static fv_exec *forecast(const look *l, int64_t i, int worker) {
  fv_exec *exec = l->lens->r[0].exec[worker];
  fv_window_run(l->lens, exec, l->s, i, l->x + worker * l->size);
  return exec;
}

static void look_at(void *arg, int64_t i, int worker) {
  const look *l = arg;
  const fv_exec *exec = l->lens->series ? forecast(l, i, worker) : classify(l, i, worker);
  for (int k = 0; k < l->lens->n_views; k++) map_view(l, exec, k, i, worker);
}

static fv_status make_runners(fv_lens *lens, const fv_sights *s) {
  for (int64_t i = 0; lens->texts && i < s->n; i++) {
    const int bucket = fv_words_bucket(lens->m, &s->v[i].words);
    if (!lens->r[bucket].program) FV_TRY(make_runner(lens, bucket));
  }
  return FV_OK;
}

static int64_t size_of(const fv_lens *lens) {
  if (lens->series) return fv_window_room(lens->m);
  return lens->texts ? lens->tokens : fv_shape_count(lens->m->task.image);
}

fv_status fv_lens_look(fv_lens *lens, fv_sights *s) {
  fv_status status = FV_OK;
  look l = {.lens = lens, .s = s, .size = size_of(lens)};
  int workers = fv_pool_threads(lens->m->pool);
  FV_TRY(make_runners(lens, s));
  FV_TRY_DONE(FV_NEW(&l.x, workers * l.size));
  FV_TRY_DONE(FV_NEW(&l.scratch, FV_MAX(workers * 2 * lens->tokens, 1)));
  FV_TRY_DONE(FV_NEW(&l.cells, FV_MAX(workers * lens->tokens, 1)));
  for (int k = 0; k < lens->n_views; k++) FV_TRY_DONE(FV_NEW(&s->map[k], s->n * lens->view[k].h * lens->view[k].w));
  fv_pool_run(lens->m->pool, s->n, look_at, &l);
done:
  fv_free(l.x);
  fv_free(l.scratch);
  fv_free(l.cells);
  return status;
}
