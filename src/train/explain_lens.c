/* SPDX-License-Identifier: Apache-2.0 */
/* explain_lens.c: a model's graph made to tell where it looks. One image a run, images side by side over the workers,
 * so a map does not depend on what else was asked for. The score explained is the largest: the predicted class's. */
#include "train/explain.h"

/* ---- the graph ------------------------------------------------------------------------------------------------- */
static fv_value *named(const fv_named_list *list, const char *name) {
  for (int i = 0; i < list->n; i++)
    if (!strcmp(list->v[i].name, name)) return list->v[i].value;
  return NULL;
}

/* d score / d (image, taps) as outputs "d.NAME". */
static fv_status add_gradients(fv_lens *lens, fv_graph *g) {
  fv_value *wrt[FV_EXPLAIN_TAPS + 1] = {named(&g->inputs, "image")}, *grads[FV_EXPLAIN_TAPS + 1];
  fv_value *scores = named(&g->outputs, "scores");
  FV_ASSERT(wrt[0] && scores);
  for (int i = 0; i < lens->n_taps; i++) wrt[i + 1] = g->taps.v[i].value;
  fv_value *score = fv_reduce(g, "amax", scores, FV_SHAPE(1), false);
  FV_TRY(fv_graph_differentiate(g, score, false, lens->n_taps + 1, wrt, grads));
  fv_output(g, "d.image", grads[0]);
  for (int i = 0; i < lens->n_taps; i++) fv_output(g, lens->tap[i].gradient, grads[i + 1]);
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
    lens->tokens = FV_MAX(lens->tokens, fv_dim(t->value, -1));
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

static void list_views(fv_lens *lens, const fv_graph *g) {
  for (const fv_explain_method *m = fv_explain_methods; m->name && lens->n_views < FV_EXPLAIN_METHODS; m++)
    if (!view_known(lens, m->name) && view_grid(g, m, &lens->m->task.image, &lens->view[lens->n_views]))
      lens->n_views++;
}

fv_status fv_lens_new(fv_model *m, fv_lens *lens) {
  fv_graph *g;
  *lens = (fv_lens){.m = m};
  FV_TRY(fv_model_graph(m, FV_MODE_PREDICT, 1, true, &g));
  fv_status status = list_taps(lens, g);
  if (status == FV_OK) status = add_gradients(lens, g);
  if (status != FV_OK) {
    fv_graph_free(g);
    return status;
  }
  list_views(lens, g);
  FV_TRY(fv_runner_new(&m->ledger, g, m->slab, fv_pool_threads(m->pool), 1, &lens->r));
  return fv_runner_refresh(&lens->r, m->slab, m->pool);
}

void fv_lens_free(fv_lens *lens) {
  fv_runner_free(&lens->r);
  *lens = (fv_lens){0};
}

fv_status fv_lens_find(const fv_lens *lens, const char *method, int *view) {
  const char *names[FV_EXPLAIN_METHODS + 1] = {NULL}, *all[2 * FV_EXPLAIN_METHODS] = {NULL};
  char list[256] = "";
  *view = 0;
  if (!method || !strcmp(method, "attention")) return FV_OK;
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
  fv_free(s->v);
  for (int i = 0; i < FV_EXPLAIN_METHODS; i++) fv_free(s->map[i]);
  *s = (fv_sights){0};
}

typedef struct look {
  fv_lens *lens;
  fv_sights *s;
  float *x; /* [workers, image] */
  double *scratch; /* [workers, 2 tokens] */
} look;

static void map_view(const look *l, const fv_exec *exec, const fv_explain_view *view, int worker, float *map) {
  fv_explain_taps t = {.image = fv_exec_output(exec, "d.image"), .scratch = l->scratch + worker * 2 * l->lens->tokens};
  for (int i = 0; view->method->kind && i < l->lens->n_taps; i++) {
    if (strcmp(l->lens->tap[i].kind, view->method->kind)) continue;
    t.tap[t.n] = fv_exec_output(exec, l->lens->tap[i].name);
    t.gradient[t.n++] = fv_exec_output(exec, l->lens->tap[i].gradient);
  }
  view->method->map(&t, (int64_t)view->h * view->w, map);
}

static void look_at(void *arg, int64_t i, int worker) {
  const look *l = arg;
  const fv_model *m = l->lens->m;
  fv_exec *exec = l->lens->r.exec[worker];
  int64_t size = fv_shape_count(m->task.image), channels = m->task.image.dim[2];
  float *x = l->x + worker * size;
  fv_standardise(l->s->pixels + i * size, size / channels, (int)channels, m->mean, m->deviation, x);
  fv_exec_bind_input(exec, fv_exec_input(exec, "image"), x);
  fv_exec_run(exec);
  const float *p = fv_exec_output(exec, "probabilities")->data;
  l->s->v[i].prediction = fv_map_peak(p, m->task.n_classes);
  l->s->v[i].probability = p[l->s->v[i].prediction];
  for (int k = 0; k < l->lens->n_views; k++) {
    const fv_explain_view *view = &l->lens->view[k];
    map_view(l, exec, view, worker, l->s->map[k] + i * view->h * view->w);
  }
}

fv_status fv_lens_look(fv_lens *lens, fv_sights *s) {
  fv_status status = FV_OK;
  look l = {.lens = lens, .s = s};
  int workers = lens->r.n_exec;
  FV_TRY_DONE(FV_NEW(&l.x, workers * fv_shape_count(lens->m->task.image)));
  FV_TRY_DONE(FV_NEW(&l.scratch, FV_MAX(workers * 2 * lens->tokens, 1)));
  for (int k = 0; k < lens->n_views; k++) FV_TRY_DONE(FV_NEW(&s->map[k], s->n * lens->view[k].h * lens->view[k].w));
  fv_pool_run(lens->m->pool, s->n, look_at, &l);
done:
  fv_free(l.x);
  fv_free(l.scratch);
  return status;
}
