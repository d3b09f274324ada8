/* SPDX-License-Identifier: Apache-2.0 */
/* graphs_explain.c: which nodes of a graph its class rests on: the weights of the pooling. Of the graph of an image
 * nodes are superpixels, and the image is painted. Whether that is what counts: nodes go with all their edges, those
 * with the largest weight first, with the smallest first, or in any order, and the network looks again. */
#include "train/graph_explain.h"

enum { SAMPLES = 100 };

typedef struct view {
  fv_model *m;
  fv_dataset *data, *given; /* the data set, where it is needed; of the image in a file, or NULL */
  const fv_dataset *at;     /* that of which the graph is */
  uint8_t *pixels;          /* of the image in a file */
  fv_runner r[FV_MAX_LENGTHS];
  const char *pooling;  /* the tap */
  int64_t most;         /* nodes of the largest graph */
  void *field[FV_MAX_FIELDS]; /* the graph as it is */
  int32_t *degree, *neighbour; /* and what is left of it */
  uint8_t *gone;
  double *share;        /* of each node */
  int32_t *order;       /* nodes, the largest share first */
  float *p;             /* [classes] */
  int64_t index, n;
  int32_t label, answer;
} view;

static fv_status open_file(view *v, const char *input) {
  int64_t n;
  FV_REQUIRE(v->m->reading.picture.ndim, FV_ERR_REQUEST, "%s: expected test:N, a graph of the test split", input);
  FV_TRY(fv_pictures_read(v->m, input, &v->pixels, &n));
  FV_REQUIRE(n == 1, FV_ERR_REQUEST, "%s: expected one image, got %lld", input, (long long)n);
  return fv_dataset_of_pictures(v->pixels, n, &v->m->reading, &v->given);
}

static fv_status view_open(fv_model *m, const fv_explain_request *rq, view *v) {
  const bool file = rq->input && !fv_is_test_sample(rq->input);
  *v = (view){.m = m};
  if (file) FV_TRY(open_file(v, rq->input));
  if (!file || rq->faithfulness) FV_TRY(fv_model_open_data(m, rq->data, &v->data));
  v->at = v->data ? v->data : v->given;
  v->most = fv_model_longest(m);
  for (int f = 0; f < v->at->n_fields; f++) {
    v->field[f] = fv_alloc((size_t)fv_field_bytes(&v->at->field[f], v->most));
    FV_REQUIRE(v->field[f], FV_ERR_MEMORY, "explain: out of memory");
  }
  FV_TRY(FV_NEW(&v->degree, v->most));
  FV_TRY(FV_NEW(&v->neighbour, v->most * m->task.edges));
  FV_TRY(FV_NEW(&v->gone, v->most));
  FV_TRY(FV_NEW(&v->share, v->most));
  FV_TRY(FV_NEW(&v->order, v->most));
  return FV_NEW(&v->p, m->task.n_classes);
}

static void view_close(view *v) {
  for (int i = 0; i < FV_MAX_LENGTHS; i++) fv_runner_free(&v->r[i]);
  for (int f = 0; f < FV_MAX_FIELDS; f++) fv_free(v->field[f]);
  void *all[] = {v->degree, v->neighbour, v->gone, v->share, v->order, v->p};
  for (size_t i = 0; i < FV_COUNT(all); i++) fv_free(all[i]);
  fv_dataset_close(v->data);
  fv_dataset_close(v->given);
  fv_free(v->pixels);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */
static fv_status runner_of(view *v, int bucket) {
  fv_graph *g;
  if (v->r[bucket].program) return FV_OK;
  v->m->task.length = v->m->length[bucket];
  FV_TRY(fv_model_graph(v->m, FV_MODE_PREDICT, 1, true, &g));
  for (int i = 0; i < g->taps.n; i++)
    if (!strcmp(g->taps.v[i].kind, FV_TAP_POOLING)) v->pooling = fv_arena_strdup(v->m->arena, g->taps.v[i].name);
  FV_TRY(fv_runner_new(&v->m->ledger, g, v->m->slab, 1, 1, &v->r[bucket]));
  FV_REQUIRE(v->pooling, FV_ERR_INTERNAL, "explain: expected a tap on the pooling, got none");
  return fv_runner_refresh(&v->r[bucket], v->m->slab, v->m->pool);
}

/* The graph without the nodes that are gone, which keep their places. */
static void leave_out(view *v) {
  const int32_t *degree = v->field[0], *place = v->field[1];
  int64_t at = 0;
  memset(v->degree, 0, (size_t)v->most * sizeof *v->degree);
  for (int64_t i = 0; i < v->n; place += degree[i++])
    for (int32_t k = 0; k < degree[i] && !v->gone[i]; k++) {
      if (v->gone[place[k]]) continue;
      v->neighbour[at++] = place[k];
      v->degree[i]++;
    }
}

static fv_status look(view *v, const fv_exec **exec) {
  const int bucket = fv_length_bucket(v->m->length, v->m->n_lengths, v->n);
  FV_TRY(runner_of(v, bucket));
  fv_exec *e = v->r[bucket].exec[0];
  leave_out(v);
  for (int f = 0; f < v->at->n_fields; f++) {
    const int input = fv_exec_input(e, v->at->field[f].name);
    if (input >= 0) fv_exec_bind_input(e, input, f == 0 ? v->degree : f == 1 ? v->neighbour : v->field[f]);
  }
  fv_exec_run(e);
  memcpy(v->p, fv_exec_output(e, "probabilities")->data, (size_t)v->m->task.n_classes * sizeof *v->p);
  *exec = e;
  return FV_OK;
}

static fv_status look_at(view *v, const fv_dataset *d, int64_t index) {
  const fv_exec *exec;
  v->at = d;
  for (int f = 0; f < d->n_fields; f++) memset(v->field[f], 0, (size_t)fv_field_bytes(&d->field[f], v->most));
  d->read(d, FV_SPLIT_TEST, index, 0, v->field);
  v->index = index;
  v->n = d->length(d, FV_SPLIT_TEST, index);
  v->label = *(const int32_t *)v->field[d->n_fields - 1];
  memset(v->gone, 0, (size_t)v->most);
  FV_TRY(look(v, &exec));
  v->answer = (int32_t)fv_map_peak(v->p, v->m->task.n_classes);
  const float *alpha = fv_exec_output(exec, v->pooling)->data;
  for (int64_t i = 0; i < v->n; i++) v->share[i] = (double)alpha[i];
  fv_order_falling(alpha, v->n, v->order);
  return FV_OK;
}

/* ---- fidelity ---------------------------------------------------------------------------------------------------- */
/* One node at least is left. */
static fv_status look_without(void *arg, const int32_t *gone, int64_t n, const float **p) {
  view *v = arg;
  const fv_exec *exec;
  memset(v->gone, 0, (size_t)v->most);
  for (int64_t k = 0; k < FV_MIN(n, v->n - 1); k++) v->gone[gone[k]] = 1;
  *p = v->p;
  return look(v, &exec);
}

static fv_status measure(view *v, int64_t wanted, fv_fidelity *f) {
  const int64_t count = v->data->count[FV_SPLIT_TEST], n = FV_MIN(wanted ? wanted : SAMPLES, count);
  for (int64_t i = 0; i < n; i++) {
    FV_TRY(look_at(v, v->data, i * count / n));
    FV_TRY(fv_fidelity_add(
        f, &(fv_fidelity_sample){.number = v->index, .n = v->n, .order = v->order, .classes = v->m->task.n_classes,
                                 .label = v->label, .answer = v->answer, .probability = (double)v->p[v->answer],
                                 .look = look_without, .arg = v}));
  }
  return FV_OK;
}

/* ---- what is written --------------------------------------------------------------------------------------------- */
static void put_nodes(const view *v, const fv_cut_image *cut, fv_json *j) {
  const int32_t *degree = v->field[0];
  fv_json_begin(j, "nodes", '[');
  for (int64_t k = 0; k < v->n; k++) {
    fv_json_begin(j, NULL, '{');
    fv_json_int(j, "node", v->order[k]);
    fv_json_int(j, "degree", degree[v->order[k]] - 1);
    if (cut->pixels) fv_cut_image_place(cut, v->order[k], j);
    fv_json_real(j, "share", v->share[v->order[k]]);
    fv_json_end(j, '}');
  }
  fv_json_end(j, ']');
}

/* "test:3: 8 (0.99), is 8; 25 nodes" */
static void caption_of(const view *v, char *text, size_t size) {
  const char *const *names = v->m->classes;
  char which[32] = "", truth[96] = "";
  if (!v->given) snprintf(which, sizeof which, "test:%lld: ", (long long)v->index);
  if (v->label >= 0) snprintf(truth, sizeof truth, ", is %s", names[v->label]);
  snprintf(text, size, "%s%s (%.2f)%s; %lld nodes", which, names[v->answer], (double)v->p[v->answer], truth,
           (long long)v->n);
}

/* From the node with the largest share outward. */
static fv_status make_sketch(const view *v, fv_sketch *s) {
  const int32_t *degree = v->field[0], *place = v->field[1];
  fv_sketch_add(s, v->order[0], (fv_drawn_node){.parent = -1});
  for (int at = 0; at < s->h.n_nodes; at++) {
    int64_t first = 0;
    for (int32_t i = 0; i < s->id[at]; i++) first += degree[i];
    for (int32_t k = 0; k < degree[s->id[at]]; k++) {
      const int32_t other = place[first + k];
      int known = fv_sketch_find(s, other);
      if (known < 0 && s->h.n_nodes < FV_SKETCH_ROOM)
        known = fv_sketch_add(s, other, (fv_drawn_node){.parent = at, .hop = s->node[at].hop + 1});
      if (known > at) fv_sketch_join(s, at, known, v->share[other]);
    }
  }
  for (int i = 0; i < s->h.n_nodes; i++) {
    s->node[i].of_class = -1;
    s->node[i].share = v->share[s->id[i]];
    s->node[i].name = fv_arena_printf(v->m->arena, "%lld", (long long)s->id[i]);
    FV_REQUIRE(s->node[i].name, FV_ERR_MEMORY, "explain: out of memory");
  }
  caption_of(v, s->title, sizeof s->title);
  return FV_OK;
}

static fv_status write_out(const view *v, const fv_cut_image *cut, const fv_fidelity *f, const fv_json *j,
                           const char *out) {
  fv_image painted = {0};
  fv_sketch *s;
  if (!out) return FV_OK;
  FV_TRY(fv_sketch_new(v->m, &s));
  fv_status status = make_sketch(v, s);
  if (status == FV_OK && cut->pixels) status = fv_cut_image_picture(cut, 0, &painted);
  s->picture = cut->pixels ? &painted : NULL;
  s->fidelity = f->samples ? f : NULL;
  if (status == FV_OK) status = fv_sketch_write(s, v->m, j, out);
  fv_image_free(&painted);
  fv_free(s);
  return status;
}

static fv_status put_terminal(const view *v, const fv_cut_image *cut, int columns, fv_json *j) {
  fv_text text = {0};
  fv_image image;
  char caption[256];
  caption_of(v, caption, sizeof caption);
  fv_text_printf(&text, "%s\n", caption);
  FV_TRY(fv_cut_image_picture(cut, 1, &image));
  fv_status status = fv_term_image(&image, FV_MIN(columns > 0 ? columns : 80, image.w), fv_term_detect(1), &text);
  if (status == FV_OK) fv_json_text(j, "terminal", text.s);
  fv_text_free(&text);
  fv_image_free(&image);
  return status;
}

static fv_status put_all(const view *v, const fv_explain_request *rq, const fv_cut_image *cut, const fv_fidelity *f,
                         fv_json *j) {
  fv_json_begin(j, NULL, '{');
  fv_json_text(j, "method", "attention");
  if (v->given) fv_json_text(j, "input", rq->input);
  else fv_json_int(j, "graph", v->index);
  fv_json_text(j, "label", v->m->classes[v->answer]);
  fv_json_float(j, "probability", v->p[v->answer]);
  if (v->label >= 0) fv_json_text(j, "truth", v->m->classes[v->label]);
  put_nodes(v, cut, j);
  if (cut->pixels && rq->out && fv_ends_with(rq->out, ".json")) fv_cut_image_json(cut, j);
  if (f->samples) fv_fidelity_json(f, j);
  if (cut->pixels && rq->terminal) FV_TRY(put_terminal(v, cut, rq->terminal_columns, j));
  fv_explain_files(rq, j);
  fv_json_end(j, '}');
  return FV_OK;
}

static fv_status explain(view *v, const fv_explain_request *rq, fv_cut_image *cut, fv_json *j) {
  fv_fidelity measured = {.things = "nodes", .parts = 3};
  int64_t index = 0;
  if (rq->input && !v->given) FV_TRY(fv_test_sample(rq->input, v->data, &index));
  if (rq->faithfulness) FV_TRY(measure(v, rq->samples, &measured));
  FV_TRY(look_at(v, v->given ? v->given : v->data, index));
  if (v->m->reading.picture.ndim) FV_TRY(fv_cut_image_new(v->at, index, v->share, v->n, cut));
  FV_TRY(put_all(v, rq, cut, &measured, j));
  return write_out(v, cut, &measured, j, rq->out);
}

fv_status fv_graphs_explain(fv_model *m, const fv_explain_request *rq, char **json) {
  view v;
  fv_json j = {0};
  fv_cut_image cut = {0};
  FV_TRY(fv_graph_check_request(rq));
  fv_status status = view_open(m, rq, &v);
  if (status == FV_OK) status = explain(&v, rq, &cut, &j);
  fv_cut_image_free(&cut);
  view_close(&v);
  return fv_json_give(&j, status, "explain", json);
}
